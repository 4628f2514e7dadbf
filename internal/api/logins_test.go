package api

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/store"
)

// Every way of not getting in is counted and is in the log with the address, and no
// key ever is.
func TestFailedLogins(t *testing.T) {
	h := newHarness(t)
	counts := map[string]int{}
	h.api.LoginFailed = func(why string) { counts[why]++ }
	reader := h.newKey(h.first.ID, ScopeRead)
	expired := h.newKey(h.first.ID, ScopeRead)
	k, err := h.store.KeyByHash(t.Context(), HashKey(expired))
	if err != nil {
		t.Fatal(err)
	}
	_, err = h.store.Keys().Update(t.Context(), h.first.ID, k.ID, func(k store.Key) (store.Key, error) {
		k.ExpiresAt = new(h.clock.Now().Add(-time.Second))
		return k, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	tenant, stranger := h.secondAccount()
	_, err = h.store.Accounts().Update(t.Context(), tenant.ID, tenant.ID, func(a store.Account) (store.Account, error) {
		a.Active = false
		return a, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	unknown := "tg_live_" + strings.Repeat("a", keyRandom)
	unknown += checksum(unknown)
	for _, c := range []struct{ why, key, method string }{
		{loginMalformed, "short", "GET"}, {loginMalformed, unknown[:len(unknown)-1] + "-", "GET"},
		{loginUnknown, unknown, "GET"}, {loginUnknown, "a-key-that-was-never-made", "GET"}, {loginExpired, expired, "GET"},
		{loginScope, reader, "POST"}, {loginDeactivated, stranger, "GET"},
	} {
		before := counts[c.why]
		h.with(c.key, c.method, "/v2/billing_groups", "{}")
		if counts[c.why] != before+1 {
			t.Errorf("%s with %.12s…: %v", c.why, c.key, counts)
		}
		if text := h.log.String(); !strings.Contains(text, `"address":"127.0.0.1","reason":"`+c.why+`"`) ||
			strings.Contains(text, c.key) {
			t.Errorf("%s: log %s", c.why, text)
		}
		h.clock.Advance(loginInterval)
	}
	// A flood of one source is a line in ten seconds, which says how many they were.
	lines := strings.Count(h.log.String(), "login failed")
	for range 500 {
		h.with(unknown, "GET", "/v2/billing_groups", "")
	}
	h.clock.Advance(loginInterval)
	h.with(unknown, "GET", "/v2/billing_groups", "")
	text := h.log.String()
	if more := strings.Count(text, "login failed") - lines; more != 2 ||
		!strings.Contains(text, `"more_since_the_last_line":499`) || counts[loginUnknown] != 503 {
		t.Errorf("%d lines, %v", more, counts)
	}
	h.do("GET", "/v2/billing_groups", "").want(http.StatusOK)
}

// Sources without number fill neither the memory nor the log.
func TestFailedLoginsOfManySources(t *testing.T) {
	var f failedLogins
	now, written := start, 0
	for n := range 100_000 {
		write, _ := f.take(failedLogin{netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)}), loginUnknown}, now)
		if write {
			written++
		}
		if len(f.seen) > maxFailedSources {
			t.Fatalf("%d sources are remembered", len(f.seen))
		}
	}
	if written != 100 {
		t.Errorf("%d lines were written at once", written)
	}
}
