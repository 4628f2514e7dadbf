// Package httpd serves HTTP where strangers can reach it. It bounds what they take:
// connections in total and per source, the time for each step of a request, and requests
// a second. A client that has shown a valid key on a connection is no stranger on it:
// those connections are never closed to make room for strangers, and their requests are not
// counted with those of strangers.
//
// Only HTTP/1.1 is served. No client needs HTTP/2 here, and what it multiplexes could
// not be told apart by connection.
package httpd

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

// Limits of time. Strangers have less of it than clients that have shown a key.
const (
	readHeaderTimeout = 10 * time.Second
	readTimeout       = 5 * time.Minute // a rate deck of 64 MiB over a slow line
	writeTimeout      = 5 * time.Minute
	idleTimeout       = 2 * time.Minute
	maxHeaderBytes    = 16 << 10

	strangerRead  = 10 * time.Second // also for the next request on a connection
	strangerWrite = 20 * time.Second
)

// Config describes what is served.
type Config struct {
	Name    string // of the listener, in the log: "api"
	Handler http.Handler
	TLS     *tls.Config // nil serves plain HTTP
	// Connections bounds all of them; half may be of strangers.
	Connections int
	// KeyHolders means that requests may show a key, so that the handler calls Enter and
	// Known. Without it every request is a stranger's, and counted before the handler.
	KeyHolders bool
	// TrustedProxies are the networks of proxies whose X-Forwarded-For and
	// X-Forwarded-Proto are believed.
	TrustedProxies []netip.Prefix

	Clock func() time.Time
	Log   *slog.Logger
}

// Server is a listener and what it has let in.
type Server struct {
	Config
	http *http.Server

	mu    sync.Mutex // guards all below
	conns connections
	rates rates
	told  map[string]time.Time // when a full budget was last logged
	stats Stats
}

// Stats is what a server has counted.
type Stats struct {
	Known, Strangers int // open connections
	// Refused counts connections that were closed and requests that were refused, by
	// the budget that was full.
	Refused map[string]uint64
}

// The budgets, as metrics and the log call them.
const (
	fullConnections        = "connections"
	fullStrangers          = "stranger_connections"
	fullSource             = "source_connections"
	fullHolder             = "account_connections"
	fullRequests           = "stranger_requests"
	fullSourceRequests     = "source_requests"
	fullHandshakes         = "stranger_handshakes"
	fullSourceHandshakes   = "source_handshakes"
	fullDescriptors        = "descriptors"
	tellInterval           = time.Minute
	leastConnections       = 16
	strangersShare         = 2 // the half of all connections
	sourceShare            = 2 // the half of the strangers'
	leastSourceConnections = 8 // however few there are in total
	holderShare            = 2 // of all connections, for one account
)

// Budgets are the names of all budgets.
func Budgets() []string {
	return []string{fullConnections, fullStrangers, fullSource, fullHolder, fullRequests, fullSourceRequests,
		fullHandshakes, fullSourceHandshakes, fullDescriptors}
}

// New prepares a server, which Serve starts.
func New(c Config) *Server {
	c.Connections = max(c.Connections, leastConnections)
	s := &Server{Config: c, told: make(map[string]time.Time), stats: Stats{Refused: make(map[string]uint64)}}
	s.conns.init(c.Connections)
	s.rates.init()
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	s.http = &http.Server{
		Handler: http.HandlerFunc(s.serve), TLSConfig: c.TLS, Protocols: protocols,
		ReadHeaderTimeout: readHeaderTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout,
		IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaderBytes,
		ErrorLog:    slog.NewLogLogger(c.Log.Handler(), slog.LevelDebug),
		ConnContext: withConn,
	}
	return s
}

// Serve takes connections until Shutdown or Close; then it returns nil.
func (s *Server) Serve(listener net.Listener) error {
	guarded := &guardedListener{listener, s}
	var err error
	if s.TLS != nil {
		err = s.http.ServeTLS(guarded, "", "")
	} else {
		err = s.http.Serve(guarded)
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// Shutdown accepts no more connections and waits for running requests; when ctx ends it
// closes them.
func (s *Server) Shutdown(ctx context.Context) error {
	if err := s.http.Shutdown(ctx); err != nil {
		return s.http.Close()
	}
	return nil
}

// Close closes everything at once.
func (s *Server) Close() error { return s.http.Close() }

// Stats returns what has been counted.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := Stats{Known: s.conns.total - s.conns.strangers, Strangers: s.conns.strangers,
		Refused: make(map[string]uint64, len(s.stats.Refused))}
	for why, n := range s.stats.Refused {
		out.Refused[why] = n
	}
	return out
}

// serve runs one request.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	c := connOf(r)
	c.serving.Add(1)
	defer c.serving.Add(-1)
	if forwarded, ok := s.forwarded(c.source, r.Header.Values("X-Forwarded-For")); ok {
		r.RemoteAddr = netip.AddrPortFrom(forwarded, 0).String()
	}
	if !s.trusted(c.source) {
		r.Header.Del("X-Forwarded-Proto")
	}
	if r.ContentLength < 0 {
		// RFC 9112 section 6.3: a length beside Transfer-Encoding, which net/http has
		// removed, may be an attempt to smuggle a request behind this one.
		w.Header().Set("Connection", "close")
	}
	if !s.KeyHolders {
		if wait := s.Enter(r, false); wait > 0 {
			w.Header().Set("Connection", "close")
			w.Header().Set("Retry-After", "1")
			http.Error(w, "Too many requests.", http.StatusTooManyRequests)
			return
		}
	}
	s.Handler.ServeHTTP(w, r)
}

// full counts what a full budget turned away, and logs it once a minute. The
// caller holds mu.
func (s *Server) full(budget string, most int, source netip.Addr) {
	s.stats.Refused[budget]++
	now := s.Clock()
	if last, told := s.told[budget]; told && now.Sub(last) < tellInterval {
		return
	}
	s.told[budget] = now
	s.Log.Warn("HTTP: a connection budget is full; strangers are refused first, clients with a key last",
		"listener", s.Name, "budget", budget, "most", most, "source", source.String(), "turned_away", s.stats.Refused[budget])
}
