package api

import (
	"bytes"
	"crypto/rand"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/store"
	"github.com/tollgate/tollgate/internal/store/sqlstore"
)

// start is the time of every test's clock: a Wednesday.
var start = time.Date(2026, 3, 11, 15, 4, 5, 678_000_000, time.UTC)

// harness is the API over a real store on a temporary file.
type harness struct {
	t     testing.TB
	store store.Store
	live  *policy.Live
	url   string
	key   string
	first store.Account
	log   *bytes.Buffer
	clock *testClock
}

type testClock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *testClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *testClock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func newHarness(t testing.TB) *harness {
	t.Helper()
	clock := &testClock{now: start}
	live := policy.NewLive()
	s, err := sqlstore.Open(t.Context(), sqlstore.Config{
		Path: filepath.Join(t.TempDir(), "tollgate.db"), Live: live, Clock: clock.Now,
		IDs: id.NewSource(1, clock.Now), Owner: uuid.New(), Logger: slog.New(slog.DiscardHandler), Ticks: make(chan time.Time),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	first, _, err := s.EnsureFirst(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	h := &harness{t: t, store: s, live: live, first: first, log: &bytes.Buffer{}, clock: clock}
	h.key = h.newKey(first.ID)
	server := httptest.NewServer(New(Config{Store: s, Live: live, Clock: clock.Now, Version: "test",
		Logger: slog.New(slog.NewJSONHandler(&lockedWriter{w: h.log}, nil))}))
	t.Cleanup(server.Close)
	h.url = server.URL
	return h
}

type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}

func (h *harness) newKey(account id.ID, scopes ...string) string {
	h.t.Helper()
	secret, err := NewKey(rand.Reader)
	if err != nil {
		h.t.Fatal(err)
	}
	key, err := ImportKey(secret, account, "test", scopes...)
	if err != nil {
		h.t.Fatal(err)
	}
	if _, err := h.store.PutKey(h.t.Context(), key); err != nil {
		h.t.Fatal(err)
	}
	return secret
}

// secondAccount makes another tenant and a key of it.
func (h *harness) secondAccount() (store.Account, string) {
	h.t.Helper()
	other, err := h.store.CreateAccount(h.t.Context(), store.Account{Name: "other", Active: true})
	if err != nil {
		h.t.Fatal(err)
	}
	return other, h.newKey(other.ID)
}

// reply is an answer of the API.
type reply struct {
	t      testing.TB
	status int
	header http.Header
	text   string
	body   map[string]any // nil when the answer is not JSON
}

// do sends a request with the harness's key.
func (h *harness) do(method, path, body string) reply { return h.doWith(h.key, method, path, body) }

func (h *harness) doWith(key, method, path, body string) reply {
	h.t.Helper()
	header := http.Header{}
	if key != "" {
		header.Set("Authorization", "Bearer "+key)
	}
	if body != "" {
		header.Set("Content-Type", "application/json")
	}
	return h.send(method, path, header, strings.NewReader(body))
}

func (h *harness) send(method, path string, header http.Header, body io.Reader) reply {
	h.t.Helper()
	request, err := http.NewRequestWithContext(h.t.Context(), method, h.url+path, body)
	if err != nil {
		h.t.Fatal(err)
	}
	request.Header = header
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		h.t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		h.t.Fatal(err)
	}
	r := reply{t: h.t, status: answer.StatusCode, header: answer.Header, text: string(text)}
	if strings.HasPrefix(answer.Header.Get("Content-Type"), "application/json") {
		if err := json.Unmarshal(text, &r.body); err != nil {
			h.t.Fatalf("%s %s: answer is not JSON: %v: %s", method, path, err, text)
		}
	}
	return r
}

// want checks the status and returns the answer's data, if it is an object.
func (r reply) want(status int) map[string]any {
	r.t.Helper()
	if r.status != status {
		r.t.Fatalf("status %d, want %d: %s", r.status, status, r.text)
	}
	data, _ := r.body["data"].(map[string]any)
	return data
}

func (r reply) list() []map[string]any {
	r.t.Helper()
	r.want(http.StatusOK)
	items, ok := r.body["data"].([]any)
	if !ok {
		r.t.Fatalf("data is no list: %s", r.text)
	}
	out := make([]map[string]any, len(items))
	for i := range items {
		out[i] = items[i].(map[string]any)
	}
	return out
}

// wantError checks the status and the code and place of every error.
func (r reply) wantError(status int, codesAndPlaces ...string) {
	r.t.Helper()
	if r.status != status {
		r.t.Fatalf("status %d, want %d: %s", r.status, status, r.text)
	}
	got := r.errors()
	if strings.Join(got, "\n") != strings.Join(codesAndPlaces, "\n") {
		r.t.Fatalf("errors %q, want %q: %s", got, codesAndPlaces, r.text)
	}
}

// errors lists code and place of every error, as in "10004 /name". It checks
// that each has all that the envelope promises.
func (r reply) errors() []string {
	r.t.Helper()
	entries, _ := r.body["errors"].([]any)
	if len(entries) == 0 {
		r.t.Fatalf("no errors in %d %s", r.status, r.text)
	}
	var out []string
	for _, e := range entries {
		entry := e.(map[string]any)
		meta, _ := entry["meta"].(map[string]any)
		code, _ := entry["code"].(string)
		if code == "" || entry["title"] == "" || entry["detail"] == "" || meta["url"] != "/docs/errors/"+code ||
			meta["request_id"] != r.header.Get("X-Request-Id") || meta["request_id"] == "" {
			r.t.Fatalf("incomplete error: %v", entry)
		}
		place := ""
		if source, ok := entry["source"].(map[string]any); ok {
			for _, name := range []string{"pointer", "parameter"} {
				if value, ok := source[name].(string); ok {
					place = " " + value
				}
			}
		}
		out = append(out, code+place)
	}
	return out
}
