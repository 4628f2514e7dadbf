package api

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// Another account's address is refused in a way that does not tell whose it is, until
// an admin shares it, and then only with what tells the two apart.
func TestAddressOfAnotherAccount(t *testing.T) {
	h := newHarness(t).tenant()
	connection := func(key, body string) string {
		return fmt.Sprint(h.doWith(key, "POST", "/v2/ip_connections", body).want(http.StatusCreated)["id"])
	}
	ip := func(key, source, connection string) reply {
		return h.doWith(key, "POST", "/v2/ips", fmt.Sprintf(`{"ip_address":%q,"connection_id":%q}`, source, connection))
	}
	owner := connection(h.key0(), `{"connection_name":"owner","outbound":{"tech_prefix":"1111"}}`)
	thief := connection(h.key, `{"connection_name":"thief","outbound":{"tech_prefix":"1212"}}`)
	mine := ip(h.key0(), "203.0.113.7", owner).want(http.StatusCreated)
	for _, source := range []string{"203.0.113.7", "::ffff:203.0.113.7", "203.0.113.0/24"} {
		r := ip(h.key, source, thief)
		r.wantError(http.StatusUnprocessableEntity, "10012 /ip_address")
		for _, secret := range []string{owner, h.first.ID.String(), fmt.Sprint(mine["id"]), h.first.Name} {
			if strings.Contains(r.text, secret) {
				t.Errorf("the refusal of %s tells %s: %s", source, secret, r.text)
			}
		}
		if !strings.Contains(r.text, "shared_sources") {
			t.Errorf("the refusal of %s does not tell the way out: %s", source, r.text)
		}
	}
	h.doWith(h.key, "PATCH", "/tollgate/v1/account", `{"shared_sources":["203.0.113.7"]}`)
	ip(h.key, "203.0.113.7", thief).wantError(http.StatusUnprocessableEntity, "10012 /ip_address")
	h.doWith(h.admin, "PATCH", h.path,
		`{"shared_sources":["::ffff:203.0.113.7","SIP.Example.com.","203.0.113.0/32","0.0.0.0/0","no name"]}`).
		wantError(http.StatusUnprocessableEntity, "10015 /shared_sources/3", "10015 /shared_sources/4")
	shared := h.doWith(h.admin, "PATCH", h.path, `{"shared_sources":["::ffff:203.0.113.7","SIP.Example.com."]}`).
		want(http.StatusOK)
	if got := fmt.Sprint(shared["shared_sources"]); got != "[203.0.113.7 sip.example.com]" {
		t.Errorf("shared_sources %s", got)
	}
	ip(h.key, "203.0.113.7", thief).want(http.StatusCreated)
	h.doWith(h.key, "PATCH", "/v2/ip_connections/"+thief, `{"outbound":{"tech_prefix":""}}`).
		wantError(http.StatusUnprocessableEntity, "10012 /outbound/tech_prefix")

	// A network that is larger than a site is for those who have carrier.
	ip(h.key, "198.18.0.0/16", thief).wantError(http.StatusForbidden, "10010 /ip_address")
	ip(h.key, "198.18.0.0/24", thief).want(http.StatusCreated)
	ip(h.key0(), "198.20.0.0/16", owner).want(http.StatusCreated)
	if found := h.doWith(h.key, "GET", "/v2/ips?filter[ip_address]=198.18.0.0/24", "").list(); len(found) != 1 {
		t.Errorf("%d networks are found", len(found))
	}
}

// key0 is a key of the first account.
func (h *tenant) key0() string { return h.harness.key }
