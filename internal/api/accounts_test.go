package api

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/rest"
	"github.com/tollgate/tollgate/internal/store"
)

const keysPath, accountsPath = "/tollgate/v1/api_keys", "/tollgate/v1/accounts"

func TestKeyFromCreationToRevocation(t *testing.T) {
	h := newHarness(t)
	made := h.do("POST", keysPath, `{"name":"deploy","scopes":["read"]}`).want(http.StatusCreated)
	secret, one := made["secret"].(string), keysPath+"/"+made["id"].(string)
	if !plausible(secret) || !strings.HasPrefix(secret, made["hint"].(string)) || made["last_used_at"] != nil {
		t.Errorf("made %v", made)
	}
	h.doWith(secret, "GET", "/v2/ips", "").want(http.StatusOK)
	h.doWith(secret, "POST", "/v2/ips", `{}`).wantError(http.StatusForbidden, "10010 /")
	for _, target := range []string{one, keysPath} {
		if text := h.do("GET", target, "").text; strings.Contains(text, secret) || strings.Contains(text, "hash") {
			t.Errorf("%s shows the secret: %s", target, text)
		}
	}
	// The name and the scopes are changed at once, though the key is in memory.
	h.do("PATCH", one, `{"name":"other","scopes":["write"]}`).want(http.StatusOK)
	// The use was noted before the change, so it is written by now.
	if used := h.do("GET", one, "").want(200)["last_used_at"]; used != rest.WireTime(start) {
		t.Errorf("last used at %v", used)
	}
	h.doWith(secret, "GET", "/v2/ips", "").wantError(http.StatusForbidden, "10010 /")
	h.do("PATCH", one, fmt.Sprintf(`{"scopes":["read"],"expires_at":%q}`, rest.WireTime(start.Add(time.Hour)))).
		want(http.StatusOK)
	h.doWith(secret, "GET", "/v2/ips", "").want(http.StatusOK)

	rotated := h.do("POST", one+"/rotate", `{"grace_secs":60}`).want(http.StatusOK)
	next := rotated["secret"].(string)
	h.doWith(next, "GET", "/v2/ips", "").want(http.StatusOK)
	h.clock.Advance(59 * time.Second)
	h.doWith(secret, "GET", "/v2/ips", "").want(http.StatusOK)
	h.clock.Advance(time.Second)
	h.doWith(secret, "GET", "/v2/ips", "").wantError(http.StatusUnauthorized, "10009")
	h.doWith(next, "GET", "/v2/ips", "").want(http.StatusOK)
	// A second rotation ends the grace of the first one.
	third := h.do("POST", one+"/rotate", `{}`).want(http.StatusOK)["secret"].(string)
	h.do("POST", one+"/rotate", `{}`).want(http.StatusOK)
	h.doWith(next, "GET", "/v2/ips", "").wantError(http.StatusUnauthorized, "10009")
	h.doWith(third, "GET", "/v2/ips", "").want(http.StatusOK)

	h.clock.Advance(time.Hour)
	h.doWith(third, "GET", "/v2/ips", "").wantError(http.StatusUnauthorized, "10009") // expired
	h.do("PATCH", one, `{"expires_at":null}`).want(http.StatusOK)
	h.doWith(third, "GET", "/v2/ips", "").want(http.StatusOK)
	// The answer says when it was last used; the use itself may be noted a little later.
	if gone := h.do("DELETE", one, "").want(http.StatusOK); gone["last_used_at"] == nil {
		t.Errorf("a key that was used is answered as never used when it is deleted: %v", gone)
	}
	h.doWith(third, "GET", "/v2/ips", "").wantError(http.StatusUnauthorized, "10009")
	h.do("GET", one, "").wantError(http.StatusNotFound, "10005 /")
}

// No key gets more by way of another one than it has itself.
func TestKeysGiveNoMoreThanTheyHave(t *testing.T) {
	h := newHarness(t)
	writer, admin := h.newKey(h.first.ID, ScopeWrite), h.adminKey()
	h.doWith(writer, "POST", keysPath, `{"name":"more"}`).wantError(http.StatusForbidden, "10010 /scopes") // read and write by default
	h.doWith(writer, "POST", keysPath, `{"name":"more","scopes":["write","admin"]}`).
		wantError(http.StatusForbidden, "10010 /scopes")
	less := h.doWith(writer, "POST", keysPath, `{"name":"as much","scopes":["write"]}`).want(http.StatusCreated)
	h.doWith(writer, "PATCH", keysPath+"/"+less["id"].(string), `{"scopes":["read"]}`).
		wantError(http.StatusForbidden, "10010 /scopes")
	more := keysPath + "/" + h.doWith(admin, "POST", keysPath,
		`{"name":"admin","scopes":["read","write","admit","admin"]}`).want(http.StatusCreated)["id"].(string)
	h.do("POST", more+"/rotate", `{}`).wantError(http.StatusForbidden, "10010 /")
	h.do("PATCH", more, `{"name":"mine"}`).wantError(http.StatusForbidden, "10010 /")
	h.do("DELETE", more, "").wantError(http.StatusForbidden, "10010 /")
	h.doWith(admin, "DELETE", more, "").want(http.StatusOK)
}

// The use of a key is written at most once a minute.
func TestLastUsedIsCoarse(t *testing.T) {
	h := newHarness(t)
	counting := &countingStore{KeyFinder: h.store}
	handler := New(Config{Stores: h.stores(func(s *Stores) { s.Keys = counting }), Live: h.live, Clock: h.clock.Now})
	for i := range 10 {
		r := httptest.NewRequestWithContext(t.Context(), "GET", "/v2/ips", nil)
		r.Header.Set("Authorization", "Bearer "+h.key)
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code != http.StatusOK {
			t.Fatalf("status %d: %s", w.Code, w.Body)
		}
		if i == 4 {
			h.clock.Advance(time.Minute)
		}
	}
	if counting.noted != 2 || counting.found != 2 {
		t.Errorf("10 requests in two minutes: the use was noted %d times, the key was looked up %d times",
			counting.noted, counting.found)
	}
}

func TestAccount(t *testing.T) {
	h := newHarness(t)
	const path = "/tollgate/v1/account"
	got := h.do("GET", path, "").want(http.StatusOK)
	if got["id"] != h.first.ID.String() || got["concurrent_call_limit"] != nil || got["active"] != true {
		t.Errorf("account %v", got)
	}
	body := `{"name":"Example Ltd","concurrent_call_limit":10,"emergency_numbers":["5555"],"record_retention_days":90,"recording_retention_days":30}`
	h.do("PATCH", path, body).wantError(http.StatusForbidden, "10010 /emergency_numbers/0")
	changed := h.doWith(h.newKey(h.first.ID, ScopeWrite, ScopeAdmin), "PATCH", path, body).want(http.StatusOK)
	for name, want := range map[string]any{
		"name": "Example Ltd", "concurrent_call_limit": 10.0, "record_retention_days": 90.0, "recording_retention_days": 30.0,
	} {
		if changed[name] != want {
			t.Errorf("%s is %v, want %v", name, changed[name], want)
		}
	}
	if diff := cmp.Diff(changed, h.do("GET", path, "").want(http.StatusOK)); diff != "" {
		t.Errorf("read differs from changed (-changed +read):\n%s", diff)
	}
	// The audit names the fields as the API does.
	event := h.do("GET", "/v2/audit_events?page[size]=1", "").list()[0]
	for _, c := range event["changes"].([]any) {
		if name := c.(map[string]any)["field"].(string); changed[name] == nil {
			t.Errorf("the audit has a change of %q, which is no field of an account", name)
		}
	}
	if live := h.live.Snapshot().Account(h.first.ID); live.ChannelLimit != 10 || len(live.EmergencyNumbers) != 1 {
		t.Errorf("in force: %+v", live)
	}
	profile := h.do("POST", "/v2/outbound_voice_profiles", `{"name":"abc","concurrent_call_limit":10}`).
		want(http.StatusOK)["id"].(string)
	h.do("POST", "/v2/outbound_voice_profiles", `{"name":"abc","concurrent_call_limit":11}`).
		wantError(http.StatusUnprocessableEntity, "10033 /concurrent_call_limit")
	// Lowering is allowed, and the profile keeps its own limit; raising is the operator's.
	h.do("PATCH", path, `{"concurrent_call_limit":5}`).want(http.StatusOK)
	kept := h.do("PATCH", "/v2/outbound_voice_profiles/"+profile, `{"name":"abd"}`).
		want(http.StatusOK)["concurrent_call_limit"]
	if kept != 10.0 {
		t.Errorf("the profile's limit is %v", kept)
	}
	h.do("PATCH", path, `{"concurrent_call_limit":6}`).wantError(http.StatusForbidden, "10010 /concurrent_call_limit")
	h.do("PATCH", path, `{"concurrent_call_limit":null}`).wantError(http.StatusForbidden, "10010 /concurrent_call_limit")
	tag := h.do("GET", path, "").header.Get("ETag")
	h.with(h.adminKey(), "PATCH", path, `{"concurrent_call_limit":6}`, "If-Match", tag).want(http.StatusOK)
	h.with(h.adminKey(), "PATCH", path, `{"concurrent_call_limit":7}`, "If-Match", tag).
		wantError(http.StatusPreconditionFailed, "10027 /")
}

func TestTenants(t *testing.T) {
	h := newHarness(t)
	admin := h.adminKey()
	made := h.doWith(admin, "POST", accountsPath, `{"name":"tenant","concurrent_call_limit":5}`).want(http.StatusCreated)
	one := accountsPath + "/" + made["id"].(string)
	key := made["api_key"].(map[string]any)["secret"].(string)
	if got := h.doWith(key, "GET", "/tollgate/v1/account", "").want(http.StatusOK); got["id"] != made["id"] ||
		got["concurrent_call_limit"] != 5.0 {
		t.Errorf("the tenant sees %v", got)
	}
	h.doWith(key, "GET", accountsPath, "").wantError(http.StatusForbidden, "10010 /")
	h.doWith(key, "POST", keysPath, `{"name":"x","scopes":["admin"]}`).wantError(http.StatusForbidden, "10010 /scopes")
	if n := len(h.doWith(admin, "GET", accountsPath, "").list()); n != 2 {
		t.Errorf("%d accounts", n)
	}
	// The tenant sees that its account was made by the operator.
	events := h.doWith(key, "GET", "/v2/audit_events?sort=asc", "").list()
	if len(events) != 2 || events[0]["change_made_by"] != "account_manager" || events[1]["record_type"] != "api_key" {
		t.Errorf("events %v", events)
	}
	// A tenant that has lost its keys gets one from the operator, and never the operator's scope.
	h.doWith(admin, "POST", one+"/api_keys", `{"name":"x","scopes":["read","admin"]}`).
		wantError(http.StatusForbidden, "10010 /scopes")
	h.doWith(admin, "POST", one+"/api_keys", `{"scopes":["read"]}`).
		wantError(http.StatusUnprocessableEntity, "10004 /name")
	h.doWith(admin, "POST", accountsPath+"/1/api_keys", `{"name":"x"}`).wantError(http.StatusNotFound, "10005 /")
	h.doWith(key, "DELETE", keysPath+"/"+made["api_key"].(map[string]any)["id"].(string), "").want(http.StatusOK)
	h.doWith(key, "GET", "/v2/ips", "").wantError(http.StatusUnauthorized, "10009")
	again := h.with(admin, "POST", one+"/api_keys", `{"name":"again"}`, "Idempotency-Key", "again").
		want(http.StatusCreated)
	replayed := h.with(admin, "POST", one+"/api_keys", `{"name":"again"}`, "Idempotency-Key", "again").
		want(http.StatusCreated)
	if replayed["secret"] != again["secret"] {
		t.Errorf("a repeat made another key: %v", replayed)
	}
	key = again["secret"].(string)
	if got := h.doWith(key, "GET", "/tollgate/v1/account", "").want(http.StatusOK); got["id"] != made["id"] {
		t.Errorf("the new key sees %v", got)
	}
	events = h.doWith(key, "GET", "/v2/audit_events?page[size]=1", "").list()
	if events[0]["change_made_by"] != "account_manager" || events[0]["alternate_resource_id"] != "again" {
		t.Errorf("the tenant does not see who made its key: %v", events)
	}
	h.doWith(admin, "PATCH", one, `{"active":false}`).want(http.StatusOK)
	h.doWith(key, "GET", "/v2/ips", "").wantError(http.StatusForbidden, "20012 /")
	h.doWith(admin, "PATCH", one, `{"active":true}`).want(http.StatusOK)
	group := h.doWith(key, "POST", "/v2/billing_groups", `{"name":"abc"}`).want(http.StatusOK)["id"].(string)
	h.doWith(admin, "DELETE", one, "").wantError(http.StatusUnprocessableEntity, "10021 /")
	h.doWith(key, "DELETE", "/v2/billing_groups/"+group, "").want(http.StatusOK)
	h.doWith(admin, "DELETE", one, "").want(http.StatusOK)
	h.doWith(key, "GET", "/v2/ips", "").wantError(http.StatusUnauthorized, "10009")
	h.doWith(admin, "GET", one, "").wantError(http.StatusNotFound, "10005 /")
	deleted, err := id.Parse(made["id"].(string))
	if err != nil || h.live.Snapshot().Account(deleted) != nil {
		t.Errorf("a deleted account is in force: %v", err)
	}
	// One cannot lock oneself out.
	own := accountsPath + "/" + h.first.ID.String()
	h.doWith(admin, "PATCH", own, `{"active":false}`).wantError(http.StatusUnprocessableEntity, "10021 /active")
	h.doWith(admin, "DELETE", own, "").wantError(http.StatusUnprocessableEntity, "10021 /")
}

// countingStore counts what the API asks about keys.
type countingStore struct {
	store.KeyFinder
	noted, found int
}

func (c *countingStore) NoteKeyUse(account, key id.ID, at time.Time) {
	c.noted++
	c.KeyFinder.NoteKeyUse(account, key, at)
}

func (c *countingStore) KeyByHash(ctx context.Context, hash [32]byte) (store.Key, error) {
	c.found++
	return c.KeyFinder.KeyByHash(ctx, hash)
}
