package api

import (
	"compress/gzip"
	"fmt"
	"github.com/tollgate/tollgate/internal/rest"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// raw sends a request without the client's own handling of compression.
func (h *harness) raw(method, target string, headers ...string) (*http.Response, []byte) {
	h.t.Helper()
	r, err := http.NewRequestWithContext(h.t.Context(), method, h.url+target, nil)
	if err != nil {
		h.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+h.key)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	transport := &http.Transport{DisableCompression: true}
	defer transport.CloseIdleConnections()
	answer, err := transport.RoundTrip(r)
	if err != nil {
		h.t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	return answer, body
}

func TestGzip(t *testing.T) {
	h := newHarness(t)
	made := h.do("POST", "/v2/ip_connections", `{"connection_name":"large enough"}`).want(http.StatusCreated)
	one := "/v2/ip_connections/" + made["id"].(string)
	plain, text := h.raw("GET", one)
	if plain.Header.Get("Content-Encoding") != "" || len(text) < 1024 ||
		plain.Header.Get("Vary") != "Accept-Encoding" {
		t.Errorf("%d bytes uncompressed: %v", len(text), plain.Header)
	}
	for header, wanted := range map[string]bool{
		"gzip": true, "GZIP;q=0.5": true, "br, gzip": true, "*": true, "deflate, *;q=0.1": true, "x-gzip": true,
		"": false, "br": false, "gzip;q=0": false, "gzip;q=0, *": false, "identity": false, "gzip;q=x": false,
	} {
		answer, body := h.raw("GET", one, "Accept-Encoding", header)
		if got := answer.Header.Get("Content-Encoding") == "gzip"; got != wanted {
			t.Errorf("Accept-Encoding %q: compressed %t", header, got)
			continue
		}
		if !wanted {
			continue
		}
		if len(body) >= len(text) || answer.Header.Get("ETag") != strings.TrimSuffix(plain.Header.Get("ETag"), `"`)+`-gzip"` ||
			answer.Header.Get("Content-Length") != fmt.Sprint(len(body)) {
			t.Errorf("%d bytes of %d, %v", len(body), len(text), answer.Header)
		}
		reader, err := gzip.NewReader(strings.NewReader(string(body)))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(reader); err != nil || string(got) != string(text) {
			t.Errorf("decompressed to %s, %v", got, err)
		}
		answer, _ = h.raw("GET", one, "Accept-Encoding", header, "If-None-Match", answer.Header.Get("ETag"))
		if answer.StatusCode != http.StatusNotModified {
			t.Errorf("with the tag of the compressed body: %d", answer.StatusCode)
		}
	}
	if small, body := h.raw("GET", "/v2/ips", "Accept-Encoding", "gzip"); small.Header.Get("Content-Encoding") != "" ||
		len(body) >= 1024 {
		t.Errorf("a small body is compressed: %v", small.Header)
	}
}

// HEAD is answered as GET is, without the body.
func TestHead(t *testing.T) {
	h := newHarness(t)
	for i := range h.api.engine.Operations {
		op := &h.api.engine.Operations[i]
		if op.Method != http.MethodGet || op.Scope == ScopeAdmin {
			continue
		}
		target := strings.ReplaceAll(op.Path, "{id}", "1293384261075731499")
		get, text := h.raw("GET", target)
		head, body := h.raw("HEAD", target)
		if head.StatusCode != get.StatusCode || len(body) != 0 || len(text) == 0 ||
			head.Header.Get("ETag") != get.Header.Get("ETag") ||
			head.Header.Get("Content-Type") != get.Header.Get("Content-Type") {
			t.Errorf("HEAD %s: %d %v, GET: %d %v", target, head.StatusCode, head.Header, get.StatusCode, get.Header)
		}
	}
}

func TestCORS(t *testing.T) {
	h := newHarness(t)
	const origin = "https://console.example.com"
	preflight := []string{"Origin", origin, "Access-Control-Request-Method", "PATCH"}
	check := func(name string, wantStatus int, allowed bool, method, target string, headers ...string) http.Header {
		t.Helper()
		answer, _ := h.raw(method, target, headers...)
		want := ""
		if allowed {
			want = headers[1]
		}
		if got := answer.Header.Get("Access-Control-Allow-Origin"); answer.StatusCode != wantStatus || got != want {
			t.Errorf("%s: %d, allowed to %q", name, answer.StatusCode, got)
		}
		return answer.Header
	}
	check("off", http.StatusMethodNotAllowed, false, "OPTIONS", "/v2/ips", preflight...)
	check("off", http.StatusOK, false, "GET", "/v2/ips", "Origin", origin)
	h.api.engine.CORSOrigins = []string{origin}
	header := check("preflight", http.StatusNoContent, true, "OPTIONS", "/v2/ips", preflight...)
	if !strings.Contains(header.Get("Access-Control-Allow-Headers"), "Idempotency-Key") ||
		!strings.Contains(header.Get("Access-Control-Allow-Methods"), "PATCH") {
		t.Errorf("preflight: %v", header)
	}
	header = check("request", http.StatusOK, true, "GET", "/v2/ips", "Origin", origin)
	if !strings.Contains(header.Get("Access-Control-Expose-Headers"), "ETag") ||
		header.Get("Vary") != "Origin" || header.Get("Access-Control-Allow-Credentials") != "" {
		t.Errorf("request: %v", header)
	}
	for _, other := range []string{"https://console.example.com.evil.example", "http://console.example.com", "null", ""} {
		check("another origin", http.StatusMethodNotAllowed, false, "OPTIONS",
			"/v2/ips", "Origin", other, "Access-Control-Request-Method", "PATCH")
	}
	check("no preflight", http.StatusMethodNotAllowed, true, "OPTIONS", "/v2/ips", "Origin", origin)
}

func TestRateLimit(t *testing.T) {
	h := newHarness(t)
	h.api.engine.Limiter = rest.NewLimiter(rest.RateLimit{PerSecond: 2, Burst: 3}, h.clock.Now)
	want := func(status int, remaining, reset string) {
		t.Helper()
		r := h.do("GET", "/v2/ips", "")
		if r.status != status || r.header.Get("x-ratelimit-limit") != "3" ||
			r.header.Get("x-ratelimit-remaining") != remaining || r.header.Get("x-ratelimit-reset") != reset {
			t.Errorf("%d %v, want %d with %s left and whole after %s s", r.status, r.header, status, remaining, reset)
		}
		if status == http.StatusTooManyRequests {
			r.wantError(status, "10011 /")
			if r.header.Get("Retry-After") != "1" {
				t.Errorf("Retry-After %s", r.header.Get("Retry-After"))
			}
		}
	}
	want(200, "2", "1")
	want(200, "1", "1")
	want(200, "0", "2")
	want(429, "0", "2")
	want(429, "0", "2")                                                      // being refused costs nothing
	h.doWith(h.newKey(h.first.ID), "GET", "/v2/ips", "").want(http.StatusOK) // another key has its own
	h.clock.Advance(500 * time.Millisecond)
	want(200, "0", "2")
	want(429, "0", "2")
	h.clock.Advance(time.Hour)
	want(200, "2", "1")
	h.api.engine.Limiter = rest.NewLimiter(rest.RateLimit{PerSecond: -1}, h.clock.Now)
	if r := h.do("GET", "/v2/ips", ""); r.status != 200 || r.header.Get("x-ratelimit-limit") != "" {
		t.Errorf("without a limit: %d %v", r.status, r.header)
	}
	if r := h.doWith("", "GET", "/v2/ips", ""); r.header.Get("x-ratelimit-limit") != "" {
		t.Errorf("without a key: %v", r.header)
	}
}
