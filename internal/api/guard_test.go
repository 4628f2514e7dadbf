package api

import (
	"net/http"
	"net/http/httptest"
	"runtime"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/id"
)

// turnstile is a guard that lets no stranger in, and notes which accounts were known.
type turnstile struct {
	entered int
	known   []id.ID
}

func (g *turnstile) Enter(*http.Request, bool) time.Duration {
	g.entered++
	return 1500 * time.Millisecond
}

func (g *turnstile) Known(_ *http.Request, account id.ID) { g.known = append(g.known, account) }

// What is the same for everyone is compressed once: what a thousand strangers ask for
// costs less than one compression.
func TestWhatIsPublicIsCompressedOnce(t *testing.T) {
	h := newHarness(t)
	ask := func(path string) {
		request := httptest.NewRequest(http.MethodGet, path, nil)
		request.Header.Set("Accept-Encoding", "gzip")
		h.api.engine.ServeHTTP(discard{http.Header{}}, request)
	}
	for _, path := range []string{"/openapi.json", "/docs", "/docs/swagger-ui-bundle.js"} {
		ask(path)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		const asked = 200
		for range asked {
			ask(path)
		}
		runtime.ReadMemStats(&after)
		if each := (after.TotalAlloc - before.TotalAlloc) / asked; each > 16<<10 {
			t.Errorf("%s takes %d bytes of memory each time", path, each)
		}
	}
}

// discard is an answer that is not read.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(p []byte) (int, error) { return len(p), nil }
func (d discard) WriteHeader(int)             {}

func TestAKeyThatWasValidOnceIsNoStrangers(t *testing.T) {
	h := newHarness(t)
	guard := &turnstile{}
	api := newServer(Config{Stores: storesOf(h.store), Live: h.live, Clock: h.clock.Now, Guard: guard})
	ask := func(key string) *httptest.ResponseRecorder {
		request := httptest.NewRequest(http.MethodGet, "/v2/outbound_voice_profiles", nil)
		if key != "" {
			request.Header.Set("Authorization", "Bearer "+key)
		}
		answer := httptest.NewRecorder()
		api.engine.ServeHTTP(answer, request)
		return answer
	}
	for _, key := range []string{"", "not-a-key-that-there-is", h.key} {
		answer := ask(key)
		if answer.Code != http.StatusTooManyRequests || answer.Header().Get("Retry-After") != "2" ||
			answer.Header().Get("Connection") != "close" {
			t.Errorf("%q: %d %v", key, answer.Code, answer.Header())
		}
	}
	ring := api.keys
	ring.note(HashKey(h.key), true)
	entered := guard.entered
	if answer := ask(h.key); answer.Code != http.StatusOK || guard.entered != entered || len(guard.known) != 1 {
		t.Errorf("a key that was valid: %d, %+v", answer.Code, guard)
	}
	ring.forget() // some key has changed
	if answer := ask(h.key); answer.Code != http.StatusOK || guard.entered != entered {
		t.Errorf("after a change of keys: %d, %+v", answer.Code, guard)
	}
	ring.note(HashKey("not-a-key-that-there-is"), true)
	if answer := ask("not-a-key-that-there-is"); answer.Code != http.StatusUnauthorized {
		t.Errorf("a key that is valid no more: %d", answer.Code)
	}
	if answer := ask("not-a-key-that-there-is"); answer.Code != http.StatusTooManyRequests {
		t.Errorf("a key that is valid no more, again: %d", answer.Code)
	}
}
