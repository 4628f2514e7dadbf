package rest

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strconv"
	"sync"
)

// asset is a text that is the same for as long as the process runs. It is compressed
// once, and not for each request: anyone may ask for it, as often as they like.
type asset struct {
	kind         string
	cacheControl string
	tag          string        // of the plain text, quoted
	plain        func() []byte // the same bytes each time, as compressed
	compressed   func() []byte // nil when the text is served as it is
}

// revalidated has a browser ask again each time, and be told that nothing has changed.
const revalidated = "public, no-cache"

// newAsset is an asset of a plain text.
func newAsset(kind string, text []byte) *asset {
	a := &asset{kind: kind, cacheControl: revalidated, tag: assetTag(text), plain: func() []byte { return text }}
	if len(text) >= gzipFrom {
		a.compressed = sync.OnceValue(func() []byte {
			var out bytes.Buffer
			w, _ := gzip.NewWriterLevel(&out, gzip.BestCompression) // a level that exists
			_, _ = w.Write(text)                                    // a buffer takes everything
			_ = w.Close()
			return out.Bytes()
		})
	}
	return a
}

// newCompressedAsset is an asset of a text that is compressed already.
func newCompressedAsset(kind string, compressed []byte) *asset {
	return &asset{
		kind: kind, cacheControl: revalidated, tag: assetTag(compressed),
		compressed: func() []byte { return compressed },
		plain: sync.OnceValue(func() []byte {
			text, err := inflate(compressed)
			if err != nil {
				panic("rest: a file of the page cannot be inflated: " + err.Error()) // it is in the program
			}
			return text
		}),
	}
}

// assetHashBytes is how much of the hash is in the tag of an asset.
const assetHashBytes = 16

func assetTag(text []byte) string {
	sum := sha256.Sum256(text)
	return `"` + hex.EncodeToString(sum[:assetHashBytes]) + `"`
}

// serve answers with the asset, or that what the client has is still right.
func (a *asset) serve(w http.ResponseWriter, r *http.Request) {
	header, tag, body := w.Header(), a.tag, a.plain
	header.Set("Cache-Control", a.cacheControl)
	if a.compressed != nil {
		header.Add("Vary", "Accept-Encoding")
		if acceptsGzip(r.Header) {
			tag, body = compressedTag(a.tag), a.compressed
		}
	}
	header.Set("Etag", tag)
	if unchanged(r.Header.Values("If-None-Match"), a.tag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	if a.compressed != nil && tag != a.tag {
		header.Set("Content-Encoding", "gzip")
	}
	header.Set("Content-Type", a.kind)
	header.Set("Content-Length", strconv.Itoa(len(body())))
	w.WriteHeader(http.StatusOK)
	// A client that went away is not an error of the server.
	_, _ = w.Write(body())
}
