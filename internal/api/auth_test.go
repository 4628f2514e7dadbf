package api

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/rest"
	"github.com/tollgate/tollgate/internal/store"
)

// Every operation is tried without a key, with bad, expired and revoked keys, and
// with a key of every scope but the right one. The list of operations is the router's own, so none is left out.
func TestEveryOperationWantsAKey(t *testing.T) {
	h := newHarness(t)
	only, without := map[string]string{}, map[string]string{}
	for _, scope := range Scopes() {
		only[scope] = h.newKey(h.first.ID, scope)
		without[scope] = h.newKey(h.first.ID, slices.DeleteFunc(Scopes(), func(s string) bool { return s == scope })...)
	}
	expired, revoked, rotated := h.deadKeys()
	unknown, err := NewKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	open := map[string]bool{"/healthz": true, "/readyz": true, "/openapi.json": true}
	for i := range h.api.engine.Operations {
		op := &h.api.engine.Operations[i]
		if op.Path == "/docs/errors/{id}" {
			h.doWith("", op.Method, "/docs/errors/10015", "").want(http.StatusOK)
			continue
		}
		if open[op.Path] {
			h.doWith("", op.Method, op.Path, "").want(http.StatusOK)
			continue
		}
		target := strings.ReplaceAll(op.Path, "{id}", "1293384261075731499")
		for _, key := range []string{
			"", "x", unknown, expired, revoked, rotated, h.key[:len(h.key)-1] + "!", h.key + "A", strings.Repeat("k", 300),
		} {
			r := h.doWith(key, op.Method, target, "{}")
			r.wantError(http.StatusUnauthorized, "10009")
			if r.header.Get("WWW-Authenticate") != "Bearer" {
				t.Errorf("%s %s: no WWW-Authenticate", op.Method, op.Path)
			}
		}
		h.doWith(without[op.Scope], op.Method, target, "{}").wantError(http.StatusForbidden, "10010 /")
		if r := h.doWith(only[op.Scope], op.Method, target, "{}"); r.status == http.StatusForbidden ||
			r.status == http.StatusUnauthorized {
			t.Errorf("%s %s: refused to a key that has the scope %s: %s", op.Method, op.Path, op.Scope, r.text)
		}
		if (op.Scope == ScopeRead) != (op.Method == http.MethodGet) && op.Scope != ScopeAdmin &&
			!slices.Contains([]string{"explain_decision", "get_admission", "check_registration_status"}, op.ID) {
			// A switch has only the scope to admit, and what changes nothing wants only to read.
			t.Errorf("%s %s wants the scope %s", op.Method, op.Path, op.Scope)
		}
	}
}

// deadKeys are keys that were good once: one has expired, one was revoked, and one
// was replaced by a rotation without grace. Each has been used before, so that it
// was in the server's memory.
func (h *harness) deadKeys() (expired, revoked, rotated string) {
	h.t.Helper()
	make := func(body string) (one, secret string) {
		data := h.do("POST", "/tollgate/v1/api_keys", body).want(http.StatusCreated)
		secret = data["secret"].(string)
		h.doWith(secret, "GET", "/v2/ips", "").want(http.StatusOK)
		return "/tollgate/v1/api_keys/" + data["id"].(string), secret
	}
	_, expired = make(fmt.Sprintf(`{"name":"short","expires_at":%q}`, rest.WireTime(h.clock.Now().Add(time.Second))))
	one, revoked := make(`{"name":"revoked"}`)
	h.do("DELETE", one, "").want(http.StatusOK)
	one, rotated = make(`{"name":"rotated"}`)
	h.do("POST", one+"/rotate", `{"grace_secs":0}`).want(http.StatusOK)
	h.clock.Advance(time.Second)
	return expired, revoked, rotated
}

// A tenant gets what it needs for its own calls. What decides about prices, routes,
// secrets and limits stays with the operator of the server.
func TestTenantsFirstKey(t *testing.T) {
	h := newHarness(t)
	admin := h.newKey(h.first.ID, Scopes()...)
	made := h.doWith(admin, "POST", "/tollgate/v1/accounts", `{"name":"tenant"}`).want(http.StatusCreated)
	if scopes := fmt.Sprint(made["api_key"].(map[string]any)["scopes"]); scopes != "[read write admit]" {
		t.Errorf("a tenant's first key has %s", scopes)
	}
	given := h.doWith(admin, "POST", "/tollgate/v1/api_keys",
		`{"name":"all","scopes":["read","write","admit","carrier","secrets","admin"]}`)
	given.want(http.StatusCreated)
	for _, scope := range []string{ScopeCarrier, ScopeSecrets} {
		body := fmt.Sprintf(`{"name":"more","scopes":[%q]}`, scope)
		h.doWith(h.newKey(h.first.ID), "POST", "/tollgate/v1/api_keys", body).wantError(http.StatusForbidden, "10010 /scopes")
	}
}

func TestAuthorizationHeader(t *testing.T) {
	h := newHarness(t)
	for header, status := range map[string]int{
		"Bearer " + h.key: 200, "bearer " + h.key: 200, "BEARER " + h.key: 200,
		"Basic " + h.key: 401, h.key: 401, "Bearer  " + h.key: 401, "Bearer": 401, "Bearer " + h.key + " x": 401,
	} {
		r := h.send("GET", "/v2/ips", http.Header{"Authorization": {header}}, nil)
		if r.status != status {
			t.Errorf("%.12q...: status %d, want %d", header, r.status, status)
		}
	}
}

func TestExpiredKey(t *testing.T) {
	h := newHarness(t)
	secret := "an imported key of any form"
	if _, err := ImportKey(secret, h.first.ID, "spaces"); err == nil {
		t.Error("a key with spaces was accepted")
	}
	secret = strings.ReplaceAll(secret, " ", "-")
	key, err := ImportKey(secret, h.first.ID, "imported")
	if err != nil {
		t.Fatal(err)
	}
	key.ExpiresAt = new(start.Add(time.Hour))
	if _, err := h.store.PutKey(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	h.doWith(secret, "GET", "/v2/ips", "").want(http.StatusOK)
	h.clock.Advance(time.Hour)
	h.doWith(secret, "GET", "/v2/ips", "").wantError(http.StatusUnauthorized, "10009")
}

func TestDeactivatedAccount(t *testing.T) {
	h := newHarness(t)
	off := func(a store.Account) (store.Account, error) { a.Active = false; return a, nil }
	if _, err := h.store.Accounts().Update(t.Context(), h.first.ID, h.first.ID, off); err != nil {
		t.Fatal(err)
	}
	h.do("GET", "/v2/ips", "").wantError(http.StatusForbidden, "20012 /")
}

func TestKeys(t *testing.T) {
	seen := map[string]bool{}
	for range 50 {
		key, err := NewKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if len(key) != 57 || !strings.HasPrefix(key, "tg_live_") || !plausible(key) || seen[key] {
			t.Fatalf("bad key %q", key)
		}
		seen[key] = true
		typo := []byte(key)
		typo[20] ^= 1
		if plausible(string(typo)) {
			t.Errorf("the checksum of %q does not show a typing error", key)
		}
	}
	for _, secret := range []string{
		"", "short", strings.Repeat("x", 15), strings.Repeat("x", 257), "0123456789abcde\n", "0123456789abcdeé",
	} {
		if _, err := ImportKey(secret, 1, "x"); err == nil {
			t.Errorf("imported %q", secret)
		}
	}
	key, err := ImportKey("0123456789abcdef", 7, "x")
	if err != nil || key.Hint != "0123" || key.AccountID != 7 ||
		len(key.Scopes) != 2 || key.Hash != HashKey("0123456789abcdef") {
		t.Errorf("imported %+v, %v", key, err)
	}
	if _, err := NewKey(strings.NewReader("too few")); err == nil {
		t.Error("a key was made of too few random bytes")
	}
}

// oneOfEverything makes one of every kind of object, calls included, and returns their
// ids by the paths under which they are.
func (h *harness) oneOfEverything() map[string]string {
	h.t.Helper()
	ids := map[string]string{}
	for _, k := range resourceKinds() {
		made := h.do("POST", k.path, k.body(1)).want(k.created)
		ids[k.path] = fmt.Sprint(made["id"])
	}
	name := h.do("POST", "/v2/fqdns",
		fmt.Sprintf(`{"connection_id":%q,"fqdn":"sip.example.com","dns_record_type":"a"}`, ids["/v2/fqdn_connections"]))
	ids["/v2/fqdns"] = fmt.Sprint(name.want(http.StatusCreated)["id"])
	ids["/tollgate/v1/spend_limits"] = fmt.Sprint(h.do("POST", "/tollgate/v1/spend_limits",
		`{"name":"limit","scope_type":"account","amount":"500.00"}`).want(http.StatusCreated)["id"])
	deck := h.importDeck("prefix,rate\n1,0.01\n")
	ids["/tollgate/v1/rate_decks"] = deck
	ids["/v2/connections"] = ids["/v2/ip_connections"]
	ids["/tollgate/v1/outbound_voice_profiles"] = ids["/v2/outbound_voice_profiles"]
	ids["/tollgate/v1/billing_groups"] = ids["/v2/billing_groups"]
	key := h.do("GET", "/tollgate/v1/api_keys", "").list()[0]["id"]
	ids["/tollgate/v1/api_keys"] = fmt.Sprint(key)
	call := h.refusedCall(ids["/v2/ip_connections"])
	ids["/v2/detail_records"], ids["/tollgate/v1/decisions"], ids["/tollgate/v1/calls"] = call, call, call
	ids["/v2/recordings"] = h.recording().ID.String()
	ids[ledgerReportsPath] = fmt.Sprint(h.do("POST", ledgerReportsPath, `{}`).want(http.StatusOK)["id"])
	ids[deliveriesPath] = fmt.Sprint(h.do("GET", deliveriesPath, "").list()[0]["id"]) // of what was made and called above
	ids[attemptedPath] = ids[deliveriesPath]
	h.deliver(http.StatusOK)
	admitted := h.doWith(h.newKey(h.first.ID, ScopeAdmit), "POST", "/tollgate/v1/admissions",
		attemptOf(ids["/v2/ip_connections"], "a@pbx", "+13125550199"))
	ids["/tollgate/v1/admissions"] = fmt.Sprint(admitted.want(http.StatusOK)["id"])
	h.doWith(h.newKey(h.first.ID, ScopeAdmit), "POST", "/tollgate/v1/admissions",
		attemptOf(ids["/v2/ip_connections"], "b@pbx", "112")).want(http.StatusOK)
	// Something is held: the profile has a limit that is reached at once.
	h.do("PATCH", "/v2/outbound_voice_profiles/"+ids["/v2/outbound_voice_profiles"],
		`{"daily_spend_limit":"0.00","daily_spend_limit_enabled":true,"after_limit":"hold_until_released"}`).
		want(http.StatusOK)
	h.do("PATCH", "/v2/ip_connections/"+ids["/v2/ip_connections"],
		fmt.Sprintf(`{"outbound":{"outbound_voice_profile_id":%q}}`, ids["/v2/outbound_voice_profiles"])).want(http.StatusOK)
	ended := h.refusedCall(ids["/v2/ip_connections"])
	ids["/v2/calls"], ids["/tollgate/v1/calls"] = ended, ended // live ones are in TestHangUp
	ids[verifiedPath] = h.verifiedNumber(h.key, 1)
	return ids
}

// Another account's ids are 404 on every path, and are in none of its lists.
func TestTenancy(t *testing.T) {
	h := newHarness(t)
	other, stranger := h.secondAccount()
	strangeSwitch := h.newKey(other.ID, ScopeAdmit)
	ids := h.oneOfEverything()
	tried := 0
	for i := range h.api.engine.Operations {
		op := &h.api.engine.Operations[i]
		if op.Scope == "" {
			continue
		}
		if op.Scope == ScopeAdmin {
			h.doWith(stranger, op.Method, strings.Replace(op.Path, "{id}", h.first.ID.String(), 1), "").
				wantError(http.StatusForbidden, "10010 /")
			continue
		}
		prefix, _, withID := strings.Cut(op.Path, "/{id}")
		if prefix == "/tollgate/v1/numbering_plan_overrides" {
			continue // they belong to the server, and any key may read them
		}
		switch {
		case withID:
			tried++
			one := ids[prefix]
			if one == "" {
				t.Fatalf("no id for %s", op.Path)
			}
			target := strings.Replace(op.Path, "{id}", one, 1)
			body := ""
			if op.Body != nil {
				body = "{}"
			}
			key := stranger
			if op.Scope == ScopeAdmit {
				key = strangeSwitch
			}
			if len(op.Uploads) > 0 {
				header := http.Header{"Authorization": {"Bearer " + key}, "Content-Type": {op.Uploads[0]}}
				h.send(op.Method, target, header, strings.NewReader("prefix,action\n")).
					wantError(http.StatusNotFound, "10005 /")
				continue
			}
			h.doWith(key, op.Method, target, body).wantError(http.StatusNotFound, "10005 /")
		case op.Shape.Paged():
			target := op.Path
			switch op.Path {
			case "/v2/detail_records":
				target += "?filter[record_type]=sip-trunking"
			case "/v2/usage_reports":
				target += "?" + someUsage
			}
			mine := h.do(op.Method, target, "").list()
			if len(mine) == 0 && op.Path != "/tollgate/v1/calls" {
				t.Errorf("%s shows nothing of its own account's", op.Path)
			}
			r := h.doWith(stranger, op.Method, target, "")
			// Two keys, and the events of the account and the keys being made.
			own := map[string]int{"/tollgate/v1/api_keys": 2, "/v2/audit_events": 3}[op.Path]
			if items := r.list(); len(items) != own {
				t.Errorf("%s shows another account's %v", op.Path, items)
			}
			for _, foreign := range ids {
				if strings.Contains(r.text, foreign) {
					t.Errorf("%s shows another account's %s: %s", op.Path, foreign, r.text)
				}
			}
		}
	}
	if tried < 35 {
		t.Errorf("only %d operations were tried", tried)
	}
	for _, body := range []string{
		fmt.Sprintf(`{"connection_id":%q,"from":"+13125550100","to":"+13125550199"}`, ids["/v2/ip_connections"]),
		fmt.Sprintf(`{"outbound_voice_profile_id":%q,"from":"+13125550100","to":"+13125550199"}`,
			ids["/v2/outbound_voice_profiles"]),
	} {
		r := h.doWith(stranger, "POST", "/tollgate/v1/decisions/explain", body)
		if r.status != http.StatusUnprocessableEntity {
			t.Errorf("another account's policy is explained: %s", r.text)
		}
	}
	// References to another account's objects are as those to nothing.
	h.doWith(stranger, "POST", "/v2/ips",
		fmt.Sprintf(`{"ip_address":"192.0.2.9","connection_id":%q}`, ids["/v2/ip_connections"])).
		wantError(http.StatusUnprocessableEntity, "10017 /connection_id")
	h.doWith(stranger, "POST", "/v2/fqdns",
		fmt.Sprintf(`{"fqdn":"a.example","dns_record_type":"a","connection_id":%q}`, ids["/v2/fqdn_connections"])).
		wantError(http.StatusUnprocessableEntity, "10017 /connection_id")
	h.doWith(stranger, "POST", "/v2/outbound_voice_profiles",
		fmt.Sprintf(`{"name":"abc","billing_group_id":%q}`, ids["/v2/billing_groups"])).
		wantError(http.StatusForbidden, "10010 /billing_group_id")
	h.doWith(stranger, "POST", "/v2/outbound_voice_profiles",
		fmt.Sprintf(`{"name":"abc","rate_deck_id":%q}`, ids["/tollgate/v1/rate_decks"])).
		wantError(http.StatusUnprocessableEntity, "10017 /rate_deck_id")
}

// someUsage asks for a report that any call is in.
const someUsage = "product=sip-trunking&dimensions=connection_id&metrics=attempted&date_range=today"
