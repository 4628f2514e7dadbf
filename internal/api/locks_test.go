package api

import (
	"fmt"
	"github.com/tollgate/tollgate/internal/rest"
	"net/http"
	"strings"
	"testing"
	"time"
)

// tenant is another account, as its own key and a key of the operator's see it.
type tenant struct {
	*harness
	admin         string // of the server's first account
	path          string // of the account, for admin
	key, operator string // with read, write and admit; with read and carrier
}

func (h *harness) tenant() *tenant {
	h.t.Helper()
	admin := h.adminKey()
	made := h.doWith(admin, "POST", "/tollgate/v1/accounts", `{"name":"tenant"}`).want(http.StatusCreated)
	path := fmt.Sprint("/tollgate/v1/accounts/", made["id"])
	operator := h.doWith(admin, "POST", path+"/api_keys", `{"name":"operator","scopes":["read","carrier"]}`).
		want(http.StatusCreated)
	return &tenant{harness: h, admin: admin, path: path,
		key: made["api_key"].(map[string]any)["secret"].(string), operator: operator["secret"].(string)}
}

func (h *tenant) deck(csv string) string {
	h.t.Helper()
	header := http.Header{"Authorization": {"Bearer " + h.operator}, "Content-Type": {"text/csv"}}
	return fmt.Sprint(h.send("POST", "/tollgate/v1/rate_decks?name=deck",
		header, strings.NewReader(csv)).want(http.StatusCreated)["id"])
}

// What sets a price or a route is refused to a key that can only write, with the way
// out, and the operator does it by a key of the tenant's account.
func TestPricesAndRoutesNeedCarrier(t *testing.T) {
	h := newHarness(t).tenant()
	deck, other := h.deck("prefix,rate\n1,0.01\n"), h.deck("prefix,rate\n1,0\n")
	gateway := fmt.Sprint(h.doWith(h.operator, "POST", "/tollgate/v1/gateways",
		`{"name":"g","address":"192.0.2.1"}`).want(http.StatusCreated)["id"])
	h.doWith(h.operator, "POST", "/tollgate/v1/rate_decks/"+deck+"/activate", "").want(http.StatusOK)
	for _, op := range h.api.engine.Operations {
		if op.Scope != ScopeCarrier {
			continue
		}
		one := deck
		if strings.Contains(op.Path, "gateways") {
			one = gateway
		}
		body := ""
		if op.Body != nil {
			body = `{"name":"g","address":"192.0.2.2"}`
		}
		r := h.doWith(h.key, op.Method, strings.ReplaceAll(op.Path, "{id}", one), body)
		r.wantError(http.StatusForbidden, "10010 /")
		if !strings.Contains(r.text, "api_keys") {
			t.Errorf("%s does not tell the way out: %s", op.ID, r.text)
		}
	}
	// A profile that names a free deck would be the same by another way.
	free := fmt.Sprintf(`{"name":"abc","rate_deck_id":%q}`, other)
	h.doWith(h.key, "POST", "/v2/outbound_voice_profiles", free).wantError(http.StatusForbidden, "10010 /rate_deck_id")
	made := h.doWith(h.key, "POST", "/v2/outbound_voice_profiles", `{"name":"abc"}`).want(http.StatusOK)
	one := fmt.Sprint("/v2/outbound_voice_profiles/", made["id"])
	h.doWith(h.key, "PATCH", one, free).wantError(http.StatusForbidden, "10010 /rate_deck_id")
	both := h.doWith(h.admin, "POST", h.path+"/api_keys", `{"name":"both","scopes":["read","write","carrier"]}`).
		want(http.StatusCreated)["secret"].(string)
	h.doWith(both, "PATCH", one, free).want(http.StatusOK)
	// It may be repeated as it is, but not be taken off.
	h.doWith(h.key, "PATCH", one, free).want(http.StatusOK)
	h.doWith(h.key, "PATCH", one, `{"rate_deck_id":null}`).wantError(http.StatusForbidden, "10010 /rate_deck_id")
}

// The operator's keys are out of the tenant's reach, and its own operation is no way
// around the rule that a key gives only what it has.
func TestScopesAreNotGivenAround(t *testing.T) {
	h := newHarness(t).tenant()
	keys := h.doWith(h.key, "GET", "/tollgate/v1/api_keys?sort=name", "").list()
	operator := fmt.Sprint("/tollgate/v1/api_keys/", keys[1]["id"])
	h.doWith(h.key, "DELETE", operator, "").wantError(http.StatusForbidden, "10010 /")
	h.doWith(h.key, "POST", operator+"/rotate", "{}").wantError(http.StatusForbidden, "10010 /")
	h.doWith(h.key, "PATCH", operator, `{"name":"mine"}`).wantError(http.StatusForbidden, "10010 /")
	onlyAdmin := h.newKey(h.first.ID, ScopeAdmin)
	own := "/tollgate/v1/accounts/" + h.first.ID.String() + "/api_keys"
	h.doWith(onlyAdmin, "POST", own, `{"name":"more","scopes":["read"]}`).wantError(http.StatusForbidden, "10010 /scopes")
	h.doWith(onlyAdmin, "POST", h.path+"/api_keys", `{"name":"sees","scopes":["secrets"]}`).
		wantError(http.StatusForbidden, "10010 /scopes")
	h.doWith(onlyAdmin, "POST", h.path+"/api_keys", `{"name":"sets","scopes":["carrier"]}`).want(http.StatusCreated)
}

// What an admin has locked is refused to every other key, by each way that leads to it,
// and all of it is reported at once.
func TestLockedFields(t *testing.T) {
	h := newHarness(t).tenant()
	deck, free := h.deck("prefix,rate\n1,0.01\n"), h.deck("prefix,rate\n1,0\n")
	both := h.doWith(h.admin, "POST", h.path+"/api_keys", `{"name":"both","scopes":["read","write","admit","carrier"]}`).
		want(http.StatusCreated)["secret"].(string)
	make := func(path, body string, status int) string {
		t.Helper()
		return fmt.Sprint(path, "/", h.doWith(both, "POST", path, body).want(status)["id"])
	}
	group := make("/v2/billing_groups",
		`{"name":"group","daily_spend_limit":"5.00","daily_spend_limit_enabled":true,"after_limit":"hold_until_released"}`,
		200)
	inGroup := make("/v2/outbound_voice_profiles",
		fmt.Sprintf(`{"name":"in group","billing_group_id":%q}`, strings.TrimPrefix(group, "/v2/billing_groups/")), 200)
	priced := make("/v2/outbound_voice_profiles", fmt.Sprintf(`{"name":"priced","rate_deck_id":%q}`, deck), 200)
	gateway := make("/tollgate/v1/gateways", `{"name":"g","address":"192.0.2.1"}`, 201)
	h.doWith(h.admin, "PATCH", h.path, fmt.Sprintf(`{"default_rate_deck_id":%q,"daily_spend_limit":"10.00","daily_spend_limit_enabled":true,
		"concurrent_call_limit":5,"locked_fields":["daily_spend_limit","concurrent_call_limit","default_rate_deck_id","rate_deck_id",
		"rate_decks","gateways","billing_groups","emergency_numbers","record_retention_days","recording_retention_days"]}`, deck)).want(http.StatusOK)

	const account, decks, profiles = "/tollgate/v1/account", "/tollgate/v1/rate_decks/", "/v2/outbound_voice_profiles"
	for _, c := range []struct{ method, path, body, errors string }{
		{"PATCH", account, `{"daily_spend_limit":"9.00"}`, "10010 /daily_spend_limit"},
		{"PATCH", account, `{"daily_spend_limit_enabled":false}`, "10010 /daily_spend_limit"},
		{"PATCH", account, `{"spend_limit_action":"end_calls","after_limit":"hold_until_released"}`,
			"10010 /spend_limit_action 10010 /after_limit"},
		{"PATCH", account, `{"concurrent_call_limit":4,"record_retention_days":1,"recording_retention_days":1}`,
			"10010 /concurrent_call_limit 10010 /record_retention_days 10010 /recording_retention_days"},
		{"PATCH", account, `{"emergency_numbers":["112"]}`, "10010 /emergency_numbers/0"},
		{"POST", decks + free + "/activate", "", "10010 / 10010 /"}, // the decks are locked, and the default one
		{"DELETE", decks + deck, "", "10010 /"},
		{"DELETE", decks + free, "", "10010 /"},
		{"POST", profiles, fmt.Sprintf(`{"name":"free","rate_deck_id":%q}`, free), "10010 /rate_deck_id"},
		{"PATCH", inGroup, fmt.Sprintf(`{"rate_deck_id":%q}`, free), "10010 /rate_deck_id"},
		{"PATCH", priced, `{"rate_deck_id":null}`, "10010 /rate_deck_id"},
		{"DELETE", priced, "", "10010 /"},
		{"PATCH", inGroup, `{"billing_group_id":null}`, "10010 /billing_group_id"},
		{"DELETE", inGroup, "", "10010 /"},
		{"PATCH", group, `{"daily_spend_limit":"6.00"}`, "10010 /daily_spend_limit"},
		{"DELETE", group, "", "10010 /"},
		{"POST", strings.Replace(group, "/v2/", "/tollgate/v1/", 1) + "/release", "", "10010 /"},
		{"POST", "/tollgate/v1/gateways", `{"name":"h","address":"192.0.2.2"}`, "10010 /"},
		{"PATCH", gateway, `{"priority":5}`, "10010 /"},
		{"DELETE", gateway, "", "10010 /"},
	} {
		r := h.doWith(both, c.method, c.path, c.body)
		r.wantError(http.StatusForbidden, strings.Split(strings.ReplaceAll(c.errors, " 10010", "\n10010"), "\n")...)
		if !strings.Contains(r.text, "/tollgate/v1/accounts/{id}") {
			t.Errorf("%s %s does not tell the way out: %s", c.method, c.path, r.text)
		}
	}
	header := http.Header{"Authorization": {"Bearer " + both}, "Content-Type": {"text/csv"}}
	h.send("POST", "/tollgate/v1/rate_decks?name=x", header, strings.NewReader("prefix,rate\n1,0\n")).
		wantError(http.StatusForbidden, "10010 /")

	// No key of the tenant's changes the locks; a field that is not named may be repeated, and what is not locked goes on.
	h.doWith(both, "PATCH", account, `{"locked_fields":[]}`)
	h.doWith(both, "PATCH", account, `{"daily_spend_limit":"10.00","name":"renamed"}`).want(http.StatusOK)
	h.doWith(both, "PATCH", inGroup, `{"name":"still in group"}`).want(http.StatusOK)
	h.doWith(both, "PATCH", group, `{"name":"renamed"}`).want(http.StatusOK)
	if now := h.doWith(both, "GET", account, "").want(http.StatusOK); len(now["locked_fields"].([]any)) != 10 ||
		now["daily_spend_limit"] != "10.00" {
		t.Errorf("the account is now %v", now)
	}
	h.doWith(h.admin, "PATCH", h.path, `{"daily_spend_limit":"12.00","locked_fields":[]}`).want(http.StatusOK)
	h.doWith(both, "PATCH", gateway, `{"priority":5}`).want(http.StatusOK)
	h.doWith(h.admin, "PATCH", h.path, `{"locked_fields":["gateways","gateways"]}`).
		wantError(http.StatusUnprocessableEntity, "10015 /locked_fields")
	h.doWith(h.admin, "PATCH", h.path, `{"locked_fields":["everything"]}`).
		wantError(http.StatusUnprocessableEntity, "10032 /locked_fields/0")
}

// A key that expires makes none that lives longer, nor extends itself.
func TestKeysDoNotOutliveTheirMaker(t *testing.T) {
	h := newHarness(t)
	until := func(d time.Duration) string { return fmt.Sprintf("%q", rest.WireTime(start.Add(d))) }
	made := h.do("POST", "/tollgate/v1/api_keys", `{"name":"contractor","expires_at":`+until(time.Hour)+`}`).
		want(http.StatusCreated)
	key, own := made["secret"].(string), fmt.Sprint("/tollgate/v1/api_keys/", made["id"])
	for _, expires := range []string{"null", until(2 * time.Hour)} {
		h.doWith(key, "POST", "/tollgate/v1/api_keys", `{"name":"more","expires_at":`+expires+`}`).
			wantError(http.StatusForbidden, "10010 /expires_at")
		h.doWith(key, "PATCH", own, `{"expires_at":`+expires+`}`).wantError(http.StatusForbidden, "10010 /expires_at")
	}
	h.doWith(key, "POST", "/tollgate/v1/api_keys", `{"name":"more"}`).wantError(http.StatusForbidden, "10010 /expires_at")
	h.doWith(key, "POST", "/tollgate/v1/api_keys", `{"name":"more","expires_at":`+until(time.Hour)+`}`).
		want(http.StatusCreated)
	h.doWith(key, "PATCH", own, `{"name":"renamed"}`).want(http.StatusOK)
	h.doWith(key, "PATCH", own, `{"expires_at":`+until(time.Minute)+`}`).want(http.StatusOK)
	h.do("PATCH", own, `{"expires_at":null}`).want(http.StatusOK)
}
