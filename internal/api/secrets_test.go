package api

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/tollgate/tollgate/internal/secret"
)

// secretKinds are the resources with secrets, each with one that is set when it is made.
var secretKinds = []struct{ path, create, field, name string }{
	{"/v2/credential_connections", `{"connection_name":"a","user_name":"user1","password":"first-secret"}`,
		"password", "connection_name"},
	{"/v2/fqdn_connections", `{"connection_name":"b","user_name":"user2","password":"first-secret"}`,
		"password", "connection_name"},
	{"/v2/fqdn_connections", `{"connection_name":"c","outbound":{"ip_authentication_token":"first-secret"}}`,
		"outbound/ip_authentication_token", "connection_name"},
	{"/v2/ip_connections",
		`{"connection_name":"d","outbound":{"ip_authentication_method":"token","ip_authentication_token":"first-secret"}}`,
		"outbound/ip_authentication_token", "connection_name"},
}

func valueAt(object map[string]any, path string) any {
	var at any = object
	for name := range strings.SplitSeq(path, "/") {
		at = at.(map[string]any)[name]
	}
	return at
}

func bodyAt(path, value string) string {
	body := fmt.Sprintf("%q", value)
	parts := strings.Split(path, "/")
	for i := len(parts) - 1; i >= 0; i-- {
		body = fmt.Sprintf("{%q:%s}", parts[i], body)
	}
	return body
}

// A secret is shown in the answer that sets it, and afterwards only to a key with the
// scope secrets.
func TestSecretsAreMasked(t *testing.T) {
	h := newHarness(t)
	seer := h.newKey(h.first.ID, ScopeRead, ScopeWrite, ScopeSecrets)
	for _, k := range secretKinds {
		made := h.do("POST", k.path+"?dry_run=true", k.create)
		if got := valueAt(made.want(http.StatusCreated), k.field); got != "first-secret" {
			t.Errorf("%s: a dry run shows %v", k.path, got)
		}
		object := h.with(h.key, "POST", k.path, k.create, "Idempotency-Key", k.path+k.field).want(http.StatusCreated)
		if got := valueAt(object, k.field); got != "first-secret" {
			t.Errorf("%s: create shows %v", k.path, got)
		}
		one := fmt.Sprint(k.path, "/", object["id"])
		masked := func(r reply) {
			t.Helper()
			if !strings.Contains(r.text, secret.Mask) || strings.Contains(r.text, "-secret") {
				t.Errorf("%s: not masked: %s", k.path, r.text)
			}
		}
		// The order matters: what was rendered for one key must not be given to another.
		for range 2 {
			if got := valueAt(h.with(seer, "GET", one, "").want(http.StatusOK), k.field); got != "first-secret" {
				t.Errorf("%s: the key with the scope sees %v", k.path, got)
			}
			masked(h.do("GET", one, ""))
			masked(h.do("GET", k.path, ""))
			if r := h.with(seer, "GET", k.path, ""); !strings.Contains(r.text, "first-secret") {
				t.Errorf("%s: the list hides it from the key with the scope", k.path)
			}
		}
		masked(h.do("PATCH", one+"?dry_run=true", `{"connection_name":"other name"}`))
		masked(h.do("PATCH", one, `{"connection_name":"other name"}`))
		got := valueAt(h.do("PATCH", one, bodyAt(k.field, "other-secret")).want(http.StatusOK), k.field)
		if got != "other-secret" {
			t.Errorf("%s: an update that sets it shows %v", k.path, got)
		}
		masked(h.do("GET", one, ""))
		if r := h.do("GET", "/v2/connections/"+fmt.Sprint(object["id"]), ""); strings.Contains(r.text, "-secret") {
			t.Errorf("%s: shown among all connections: %s", k.path, r.text)
		}
		// A repeated creation gets the answer of then, another key does not.
		again := h.with(h.key, "POST", k.path, k.create, "Idempotency-Key", k.path+k.field).want(http.StatusCreated)
		if got := valueAt(again, k.field); got != "first-secret" {
			t.Errorf("%s: the repetition shows %v", k.path, got)
		}
		r := h.with(h.newKey(h.first.ID), "POST", k.path, k.create, "Idempotency-Key", k.path+k.field)
		if strings.Contains(r.text, "first-secret") {
			t.Errorf("%s: another key gets the kept answer: %s", k.path, r.text)
		}
		masked(h.do("DELETE", one, ""))
	}
	for _, path := range []string{"/v2/audit_events?page[size]=100", "/tollgate/v1/webhook_deliveries"} {
		if r := h.with(seer, "GET", path, ""); strings.Contains(r.text, "-secret") {
			t.Errorf("%s shows a secret: %s", path, r.text)
		}
	}
	if text := h.log.String(); strings.Contains(text, "-secret") {
		t.Error("a secret is in the log")
	}
}

// Asterisks never become a secret.
func TestMaskIsNoSecret(t *testing.T) {
	h := newHarness(t)
	gateway := struct{ path, create, field, name string }{"/tollgate/v1/gateways",
		`{"name":"g","address":"carrier.example","user_name":"u","password":"first-secret"}`, "password", "name"}
	for _, k := range append(secretKinds, gateway) {
		made := h.do("POST", k.path, k.create)
		one := fmt.Sprint(k.path, "/", made.want(http.StatusCreated)["id"])
		for _, mask := range []string{
			secret.Mask, strings.Repeat("*", 9), strings.Repeat("*", 60), " ******** ", "••••••••",
		} {
			for _, request := range []struct{ method, path, body string }{
				{"PATCH", one, bodyAt(k.field, mask)},
				{"PATCH", one + "?dry_run=true", bodyAt(k.field, mask)},
				{"POST", k.path, strings.Replace(strings.Replace(k.create, "first-secret", mask, 1), `"user1"`, `"user9"`, 1)},
			} {
				r := h.do(request.method, request.path, request.body)
				r.wantError(http.StatusUnprocessableEntity, "10015 /"+k.field)
				if !strings.Contains(r.text, "Leave it out") {
					t.Errorf("no way out: %s", r.text)
				}
			}
		}
		// What else is wrong is said with it, and nothing is changed.
		both := strings.TrimSuffix(bodyAt(k.field, secret.Mask), "}") + fmt.Sprintf(`,%q:""}`, k.name)
		if r := h.do("PATCH", one, both); r.status != http.StatusUnprocessableEntity {
			t.Errorf("%d %s", r.status, r.text)
		}
		h.do("PATCH", one, fmt.Sprintf(`{%q:"other"}`, k.name)).want(http.StatusOK)
		h.do("DELETE", one, "").want(http.StatusOK)
	}
	// What only begins like a mask is one's own choice; what looks as stored hashes do is not.
	h.do("POST", "/v2/credential_connections", `{"connection_name":"a","user_name":"user1","password":"*******a"}`).
		want(http.StatusCreated)
	h.do("POST", "/v2/credential_connections",
		`{"connection_name":"b","user_name":"user2","password":"\u001fHA1:0123:4567"}`).
		wantError(http.StatusUnprocessableEntity, "10015 /password")
}
