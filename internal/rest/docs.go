package rest

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"

	"github.com/swaggest/swgui/v5/static"
)

// docsPage shows the OpenAPI document. Everything that it loads comes from this
// server, and its policy lets nothing else in.
const docsPage = `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>%s API</title>
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
func (s *Server) routeDocs() {
	files := map[string]*asset{
		"/docs":                newAsset("text/html; charset=utf-8", fmt.Appendf(nil, docsPage, s.Title)),
		"/docs/start.js":       newAsset("text/javascript; charset=utf-8", []byte(docsScript)),
		"/docs/swagger-ui.css": newCompressedAsset("text/css; charset=utf-8", docsFile("swagger-ui.css.gz")),
		"/docs/swagger-ui-bundle.js": newCompressedAsset("text/javascript; charset=utf-8",
			docsFile("swagger-ui-bundle.js.gz")),
		"/docs/favicon-32x32.png": newAsset("image/png", docsFile("favicon-32x32.png")),
	}
	files["/docs/favicon-32x32.png"].compressed = nil // a picture is compressed as it is
	for path, file := range files {
		if path != "/docs" && path != "/docs/start.js" {
			file.cacheControl = docsMaxAge
		}
		s.Mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
			docsHeader(w, r)
			file.serve(w, r)
		})
	}
}

// docsFile is a file of Swagger UI, which are compressed but for pictures.
func docsFile(name string) []byte {
	text, err := static.FS.ReadFile(name)
	if err != nil {
		panic("rest: a file of the page is not in the program: " + err.Error())
	}
	return text
}

// strictTransport has browsers ask this host by TLS only, for a year.
const strictTransport = "max-age=31536000"

func docsHeader(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", docsPolicy)
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Frame-Options", "DENY")
	if r.TLS != nil {
		h.Set("Strict-Transport-Security", strictTransport)
	}
}

// inflate reads a compressed file of the page.
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
