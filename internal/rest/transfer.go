package rest

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// gzipFrom is the size of a body from which it is compressed. A smaller one fits a
// packet or two anyway.
const gzipFrom = 1024

// acceptsGzip reads Accept-Encoding (RFC 9110 section 12.5.3).
func acceptsGzip(header http.Header) bool {
	if len(header["Accept-Encoding"]) == 0 {
		return false
	}
	accepted := false
	for item := range strings.SplitSeq(strings.Join(header.Values("Accept-Encoding"), ","), ",") {
		coding, params, _ := strings.Cut(item, ";")
		coding = strings.ToLower(strings.TrimSpace(coding))
		if coding != "gzip" && coding != "x-gzip" && coding != "*" {
			continue
		}
		wanted := true
		if weight, given := strings.CutPrefix(strings.ReplaceAll(strings.ToLower(params), " ", ""), "q="); given {
			q, err := strconv.ParseFloat(weight, 64)
			wanted = err == nil && q > 0
		}
		if coding != "*" {
			return wanted // it is named, so "*" does not matter
		}
		accepted = wanted
	}
	return accepted
}

// compressors are gzip writers for reuse: one takes hundreds of kilobytes to make.
type compressors struct{ pool sync.Pool }

// compress returns nil when the body would not become smaller.
func (c *compressors) compress(body []byte) []byte {
	var out bytes.Buffer
	w, ok := c.pool.Get().(*gzip.Writer)
	if !ok {
		w = gzip.NewWriter(nil)
	}
	defer c.pool.Put(w)
	w.Reset(&out)
	_, err := w.Write(body)
	if closeErr := w.Close(); err != nil || closeErr != nil || out.Len() >= len(body) {
		return nil // a buffer takes everything, so there is no error
	}
	return out.Bytes()
}

// writeBody writes a whole answer, compressed when the client can read that and it
// is worth it.
func writeBody(w http.ResponseWriter, status int, contentType string, body []byte) {
	header := w.Header()
	if contentType == jsonType[0] {
		header["Content-Type"] = jsonType
	} else {
		header.Set("Content-Type", contentType)
	}
	if len(body) >= gzipFrom && header.Get("Content-Encoding") == "" {
		header.Add("Vary", "Accept-Encoding")
		if seen, ok := w.(*statusWriter); ok && seen.gzip != nil {
			if smaller := seen.gzip.compress(body); smaller != nil {
				body = smaller
				header.Set("Content-Encoding", "gzip")
				if tag := header.Get("Etag"); tag != "" {
					header.Set("Etag", compressedTag(tag))
				}
			}
		}
	}
	header.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	// A client that went away is not an error of the server.
	_, _ = w.Write(body)
}

// corsMaxAgeSecs is how long a browser may remember the answer to a preflight.
const corsMaxAgeSecs = "600"

// cors lets the scripts of the listed origins read the answers (the Fetch standard,
// "CORS protocol"). It returns true when it has answered the request, which was a
// preflight. Keys are in a header that no browser sends by itself, so credentials
// are never allowed.
func (s *Server) cors(w http.ResponseWriter, r *http.Request) bool {
	if len(s.CORSOrigins) == 0 {
		return false
	}
	header := w.Header()
	header.Add("Vary", "Origin")
	origin := r.Header.Get("Origin")
	if origin == "" || !slices.Contains(s.CORSOrigins, origin) {
		return false
	}
	header.Set("Access-Control-Allow-Origin", origin)
	if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
		header.Set("Access-Control-Expose-Headers",
			strings.Join([]string{"ETag", "X-Request-Id", "Retry-After", replayedHeader,
				dryRunHeader, ignoredHeader, ignoredParametersHeader,
				"X-Ratelimit-Limit", "X-Ratelimit-Remaining", "X-Ratelimit-Reset"}, ", "))
		return false
	}
	header.Set("Access-Control-Allow-Methods", "GET, HEAD, POST, PATCH, DELETE")
	header.Set("Access-Control-Allow-Headers",
		strings.Join([]string{"Authorization", "Content-Type", "If-Match", "If-None-Match",
			idempotencyHeader, reasonHeader, "X-Request-Id"}, ", "))
	header.Set("Access-Control-Max-Age", corsMaxAgeSecs)
	w.WriteHeader(http.StatusNoContent)
	return true
}

// streamLimit is how long a client may take for one piece of a streamed answer.
const streamLimit = time.Minute

// stream writes an answer as it is made.
func (op *Operation) stream(answer *Response, w http.ResponseWriter) error {
	s := &streamWriter{w: w, status: op.Status, kind: cmp.Or(answer.Kind, "application/json")}
	err := answer.Stream(s)
	switch {
	case err != nil && s.begun && s.err == nil:
		if seen, ok := w.(*statusWriter); ok {
			seen.exchange.failure = err // for the log
		}
		panic(http.ErrAbortHandler)
	case s.err != nil: // the client went away, which is not an error of the server
		panic(http.ErrAbortHandler)
	case err == nil && !s.begun:
		writeBody(w, op.Status, s.kind, nil)
	}
	return err
}

// streamWriter sends the header with the first piece, and gives the client time for each.
type streamWriter struct {
	w      http.ResponseWriter
	status int
	kind   string
	begun  bool
	err    error // of the connection
}

func (s *streamWriter) Write(piece []byte) (int, error) {
	// A server without such deadlines, as in a test, is as good.
	_ = http.NewResponseController(s.w).SetWriteDeadline(time.Now().Add(streamLimit))
	if !s.begun {
		s.begun = true
		s.w.Header().Set("Content-Type", s.kind)
		s.w.WriteHeader(s.status)
	}
	n, err := s.w.Write(piece)
	s.err = err
	return n, err
}
