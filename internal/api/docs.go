package api

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"path"
	"strings"

	"github.com/swaggest/swgui/v5/static"
)

// docsPage shows the OpenAPI document. Everything that it loads comes from this
// server, and its policy lets nothing else in.
const docsPage = `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Tollgate API</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" type="image/png" href="/docs/favicon-32x32.png">
<link rel="stylesheet" href="/docs/swagger-ui.css">
</head>
<body>
<div id="swagger-ui">This page needs JavaScript. The document itself is at <a href="/openapi.json">/openapi.json</a>.</div>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</body>
</html>
`

// docsScript starts the page. validatorUrl would send the document to a server of others.
const docsScript = `"use strict";
window.ui = SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  validatorUrl: null,
  presets: [SwaggerUIBundle.presets.apis],
  layout: "BaseLayout"
});
`

// docsPolicy lets the page load from this server alone. The pictures in Swagger
// UI's style sheet are data URLs, and its elements have styles of their own.
const docsPolicy = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; " +
	"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// docsMaxAge is how long a browser keeps the page's files: until the next day,
// since their names stay the same from release to release.
const docsMaxAge = "public, max-age=86400"

// routeDocs registers the interactive page. It is for people, so it is not among
// the operations.
func (s *server) routeDocs() {
	s.mux.HandleFunc("GET /docs", docsText("text/html; charset=utf-8", docsPage))
	s.mux.HandleFunc("GET /docs/start.js", docsText("text/javascript; charset=utf-8", docsScript))
	for name, kind := range map[string]string{
		"swagger-ui.css": "text/css; charset=utf-8", "swagger-ui-bundle.js": "text/javascript; charset=utf-8", "favicon-32x32.png": "image/png",
	} {
		s.mux.HandleFunc("GET "+path.Join("/docs", name), s.docsFile(name, kind))
	}
}

func docsHeader(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Content-Security-Policy", docsPolicy)
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Frame-Options", "DENY")
}

func docsText(kind, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		docsHeader(w)
		writeBody(w, http.StatusOK, kind, []byte(text))
	}
}

// docsFile serves a file of Swagger UI, which are compressed but for pictures.
func (s *server) docsFile(name, kind string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		docsHeader(w)
		body, err := static.FS.ReadFile(name)
		compressed := err != nil
		if compressed {
			body, err = static.FS.ReadFile(name + ".gz")
		}
		if compressed && err == nil {
			w.Header().Set("Vary", "Accept-Encoding")
			if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
				w.Header().Set("Content-Encoding", "gzip")
			} else {
				body, err = inflate(body)
			}
		}
		if err != nil {
			scopeOf(r).failure = err
			writeFailure(w, scopeOf(r).requestID, toFailure(err))
			return
		}
		w.Header().Set("Cache-Control", docsMaxAge)
		writeBody(w, http.StatusOK, kind, body)
	}
}

func inflate(compressed []byte) ([]byte, error) {
	reader, err := gzip.NewReader(bytes.NewReader(compressed))
	if err != nil {
		return nil, fmt.Errorf("inflate a file of the page: %w", err)
	}
	text, err := io.ReadAll(reader)
	if err != nil {
		return nil, fmt.Errorf("inflate a file of the page: %w", err)
	}
	return text, nil
}
