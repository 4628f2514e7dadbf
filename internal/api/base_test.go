package api

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/tollgate/tollgate/internal/rest"
)

// explained checks that every error of an answer has the absolute address of a page that
// explains its code.
func (h *harness) explained(what string, text []byte) {
	h.t.Helper()
	var answer struct {
		Errors []struct {
			Meta struct {
				URL string `json:"url"`
			} `json:"meta"`
		} `json:"errors"`
	}
	if err := json.Unmarshal(text, &answer); err != nil || len(answer.Errors) == 0 {
		h.t.Errorf("%s: no errors in %.200s: %v", what, text, err)
		return
	}
	for _, e := range answer.Errors {
		address, err := url.ParseRequestURI(e.Meta.URL)
		if err != nil || !address.IsAbs() || address.Host == "" {
			h.t.Errorf("%s: meta.url is %q", what, e.Meta.URL)
			continue
		}
		if h.pages == nil {
			h.pages = map[string]int{}
		}
		if h.pages[e.Meta.URL] == 0 {
			h.pages[e.Meta.URL] = h.doWith("", "GET", strings.TrimPrefix(e.Meta.URL, h.url), "").status
		}
		if h.pages[e.Meta.URL] != http.StatusOK || !strings.HasPrefix(e.Meta.URL, h.url) {
			h.t.Errorf("%s: %s answers with %d", what, e.Meta.URL, h.pages[e.Meta.URL])
		}
	}
}

// Every error, wherever it comes from, says in an absolute address where it is explained.
func TestEveryErrorIsExplained(t *testing.T) {
	h := newHarness(t)
	admin, tried := h.adminKey(), 0
	ask := func(key, method, target, body string, headers ...string) {
		t.Helper()
		r := h.with(key, method, target, body, headers...)
		if r.status < http.StatusBadRequest {
			return
		}
		tried++
		if method != http.MethodHead {
			h.explained(fmt.Sprint(method, " ", target, " ", r.status), []byte(r.text))
		}
	}
	for i := range h.api.engine.Operations {
		op := &h.api.engine.Operations[i]
		target := strings.NewReplacer("{id}", "1293384261075731499", "{name}", "switch").Replace(op.Path)
		if op.Scope != "" {
			ask("none", op.Method, target, "{}")
			ask(h.newKey(h.first.ID), op.Method, target, "{}")
		}
		ask(admin, "PUT", target, "{}")
		if op.Scope == "" {
			continue // what anyone may ask for refuses nothing
		}
		ask(admin, op.Method, target+"?nothing=of-this", `{"nothing":1}`)
		ask(admin, op.Method, target, `{"name":1,"id":[],"connection_id":-1}`)
		ask(admin, op.Method, target, `{`)
		ask(admin, op.Method, target, `{}`, "If-Match", `"999-x"`)
		ask(admin, op.Method, target, `{}`, "Idempotency-Key", strings.Repeat("k", 300))
	}
	for _, target := range []string{
		"/", "/v2", "/v2/", "//", "/v2/nothing", "/v2/phone_numbers", "/v2/calls", "/v2/v2/ips",
		"/tollgate/v1/downloads/x.wav", "/a/../b", "/%00", "/docs/errors/1",
		"/v2/ips?filter[name][contains]=" + strings.Repeat("a", 2000),
	} {
		for _, method := range []string{"GET", "POST", "DELETE"} {
			ask(admin, method, target, "")
		}
	}
	if tried < 400 {
		t.Errorf("only %d errors were looked at", tried)
	}
}

// The same of what happens before and behind the operations.
func TestEveryFailureIsExplained(t *testing.T) {
	h := newHarness(t)
	ask := func(what string, handler http.Handler, target string, status int) {
		t.Helper()
		request := httptest.NewRequest("GET", target, nil)
		request.Host = strings.TrimPrefix(h.url, "http://")
		request.Header.Set("Authorization", "Bearer "+h.key)
		recorder := httptest.NewRecorder()
		handler.ServeHTTP(recorder, request)
		if recorder.Code != status {
			t.Errorf("%s: %d, want %d", what, recorder.Code, status)
		}
		h.explained(what, recorder.Body.Bytes())
	}
	with := func(change func(*Config)) http.Handler {
		c := Config{Stores: storesOf(h.store), Live: h.live, Clock: h.clock.Now}
		change(&c)
		return New(c)
	}
	broken := func(c *Config) { c.Writes = brokenStore{h.store, func() error { return errors.New("gone") }} }
	ask("no store", with(broken), "/readyz", http.StatusServiceUnavailable)
	panics := func(c *Config) { c.Writes = brokenStore{h.store, func() error { panic("fault") }} }
	ask("panic", with(panics), "/readyz", http.StatusInternalServerError)
	ask("guard", with(func(c *Config) { c.Guard = &turnstile{} }), "/v2/ips", http.StatusTooManyRequests)
	slow := with(func(c *Config) { c.RateLimit = rest.RateLimit{PerSecond: 1e-9, Burst: 1} })
	slow.ServeHTTP(httptest.NewRecorder(), h.request("GET", "/v2/ips"))
	ask("too many", slow, "/v2/ips", http.StatusTooManyRequests)
}

// request is one with the harness's key.
func (h *harness) request(method, target string) *http.Request {
	r := httptest.NewRequest(method, target, nil)
	r.Header.Set("Authorization", "Bearer "+h.key)
	return r
}

// The address is the one that the client used, so far as it can be one: what else a client
// writes into its request comes back in no address.
func TestAddressOfTheServer(t *testing.T) {
	h := newHarness(t)
	for _, c := range []struct{ host, proto, public, want string }{
		{"api.example.com", "", "", "http://api.example.com"},
		{"api.example.com:8080", "", "", "http://api.example.com:8080"},
		{"[2001:db8::1]:8080", "", "", "http://[2001:db8::1]:8080"}, {"[2001:db8::1]", "", "", "http://[2001:db8::1]"},
		{"192.0.2.1:80", "", "", "http://192.0.2.1:80"}, {"under_score-1.example", "", "", "http://under_score-1.example"},
		{"api.example.com", "https", "", "https://api.example.com"},
		{"api.example.com", "HTTPS", "", "https://api.example.com"},
		{"api.example.com", "http", "", "http://api.example.com"},
		{"api.example.com", "javascript", "", "http://api.example.com"},
		{"api.example.com", "https, http", "", "http://api.example.com"},
		{"api.example.com", "", "https://public.example.com/", "https://public.example.com"},
		{"", "", "", "http://localhost"}, {"a b", "", "", "http://localhost"},
		{"user@evil.example", "", "", "http://localhost"}, {"evil.example/path", "", "", "http://localhost"},
		{"evil.example?x=", "", "", "http://localhost"}, {"evil.example#", "", "", "http://localhost"},
		{"evil.example:", "", "", "http://localhost"}, {"evil.example:99999", "", "", "http://localhost"},
		{":80", "", "", "http://localhost"}, {"[::1", "", "", "http://localhost"}, {"::1", "", "", "http://localhost"},
		{"[name]", "", "", "http://localhost"}, {"<b>", "", "", "http://localhost"},
		{"\"quoted\"", "", "", "http://localhost"}, {"%41.example", "", "", "http://localhost"},
		{strings.Repeat("a", 300), "", "", "http://localhost"},
	} {
		r := h.request("GET", "/v2/ips/7")
		r.Host = c.host
		r.Header.Set("X-Forwarded-Host", "evil.example")
		if c.proto != "" {
			r.Header.Set("X-Forwarded-Proto", c.proto)
		}
		s := &rest.Server{Config: rest.Config{PublicURL: c.public}}
		if got := s.BaseOf(r); got != c.want {
			t.Errorf("%.40q with %q is at %s, want %s", c.host, c.proto, got, c.want)
		}
	}
}
