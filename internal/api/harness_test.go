package api

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/rest"
	"github.com/tollgate/tollgate/internal/store"
	"github.com/tollgate/tollgate/internal/store/sqlstore"
	"github.com/tollgate/tollgate/internal/verification"
)

// start is the time of every test's clock: a Wednesday.
var start = time.Date(2026, 3, 11, 15, 4, 5, 678_000_000, time.UTC)

// harness is the API over a real store on a temporary file.
type harness struct {
	t     testing.TB
	store *sqlstore.Store
	live  *policy.Live
	url   string
	key   string
	first store.Account
	log   *lockedBuffer
	clock *testClock
	api   *server
	keys  []string       // of tests that send very many requests
	asked int            // how many they have sent
	pages map[string]int // status of each page of errors that was asked for
	said  codes

	documented sync.Map // the answers that were held against the OpenAPI document
}

// answered is an answer of an operation.
type answered struct {
	op     *rest.Operation
	status int
	dryRun string
	text   string
}

// codes are the calls that were to say one.
type codes struct {
	mu    sync.Mutex
	calls []verification.Call
	err   error // of the next ones
}

func (c *codes) say(call verification.Call) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls = append(c.calls, call)
	return c.err
}

// last is the last call, and how many there were.
func (c *codes) last() (call verification.Call, calls int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.calls) > 0 {
		call = c.calls[len(c.calls)-1]
	}
	return call, len(c.calls)
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
	config := sqlstore.Config{
		Live: live, Clock: clock.Now, MaxClockOffset: -1, // the clock of the test is not that of the database
		IDs: id.NewSource(1, clock.Now), Owner: uuid.New(),
		Logger: slog.New(slog.DiscardHandler), Ticks: make(chan time.Time),
	}
	if onServer {
		config.DatabaseURL, config.NodeName = newDatabase(t), "node"
	} else {
		config.Path = filepath.Join(t.TempDir(), "tollgate.db")
	}
	s, err := sqlstore.Open(t.Context(), config)
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
	h := &harness{t: t, store: s, live: live, first: first, log: &lockedBuffer{}, clock: clock}
	h.key = h.newKey(first.ID, ScopeRead, ScopeWrite, ScopeCarrier)
	h.api = newServer(Config{Stores: storesOf(s), Live: live, Clock: clock.Now, Version: "test",
		SayCode:   h.said.say,
		Downloads: &Downloads{Key: []byte("a key of the tests"), Open: openSound},
		Logger:    slog.New(slog.NewJSONHandler(h.log, nil))})
	server := httptest.NewServer(h.api.engine)
	t.Cleanup(server.Close)
	h.url = server.URL
	return h
}

// storesOf gives each part of the API what it asks of the store.
func storesOf(s *sqlstore.Store) Stores {
	return Stores{
		Resources: s, Tenants: s, Keys: s, Writes: s, Ledger: s, Calls: s, HangUps: s, Spending: s, Connections: s,
		Decks: s, Reports: s, Recordings: s, Verifications: s, Webhooks: s.Webhooks(), Bans: s,
	}
}

// stores are those of the harness, of which a test may change some.
func (h *harness) stores(change func(*Stores)) Stores {
	s := storesOf(h.store)
	change(&s)
	return s
}

// lockedBuffer is what the server logs, to be read while it runs.
type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
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
	other, err := h.store.Accounts().Create(h.t.Context(), 0, store.Account{Name: "other", Active: true})
	if err != nil {
		h.t.Fatal(err)
	}
	return other, h.newKey(other.ID, ScopeRead, ScopeWrite, ScopeCarrier)
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
func (h *harness) do(method, target, body string) reply { return h.doWith(h.key, method, target, body) }

func (h *harness) doWith(key, method, target, body string) reply {
	h.t.Helper()
	header := http.Header{}
	if key != "" {
		header.Set("Authorization", "Bearer "+key)
	}
	if body != "" {
		header.Set("Content-Type", "application/json")
	}
	return h.send(method, target, header, strings.NewReader(body))
}

func (h *harness) send(method, target string, header http.Header, body io.Reader) reply {
	h.t.Helper()
	request, err := http.NewRequestWithContext(h.t.Context(), method, h.url+target, body)
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
			h.t.Fatalf("%s %s: answer is not JSON: %v: %s", method, target, err, text)
		}
	}
	h.checkDocumented(request, r)
	return r
}

// checkDocumented holds every answer of every test against the OpenAPI document's
// schemas: nothing is missing, nothing is of another type, nothing is undocumented.
func (h *harness) checkDocumented(request *http.Request, r reply) {
	h.t.Helper()
	_, pattern := h.api.engine.Mux.Handler(request)
	i := slices.IndexFunc(h.api.engine.Operations, func(op rest.Operation) bool {
		return op.Path == pattern && op.Method == request.Method
	})
	if i < 0 || r.text == "" || path.Clean(request.URL.Path) != request.URL.Path {
		return
	}
	op := &h.api.engine.Operations[i]
	answer := answered{op: op, status: r.status, dryRun: r.header.Get("Tollgate-Dry-Run"), text: r.text}
	if _, before := h.documented.LoadOrStore(answer, true); before {
		return
	}
	for _, difference := range op.Differences(r.status, r.header, []byte(r.text)) {
		h.t.Errorf("%s %s: %s", op.Method, op.Path, difference)
	}
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
		address, err := url.Parse(fmt.Sprint(meta["url"]))
		if code == "" || entry["title"] == "" || entry["detail"] == "" ||
			err != nil || address.Scheme != "http" && address.Scheme != "https" ||
			address.Host == "" || address.Path != "/docs/errors/"+code ||
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
		if !slices.ContainsFunc(errorPages(),
			func(p rest.ErrorPage) bool { return string(p.Code) == code && p.Title == entry["title"] }) {
			r.t.Errorf("code %s is not explained", code)
		}
		out = append(out, code+place)
	}
	return out
}
