package api

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// The networks of a credential connection: what they may be, and what they do to the
// admissions of a switch that has authenticated the user itself.
func TestAllowedSources(t *testing.T) {
	h := newHarness(t)
	h.key = h.newKey(h.first.ID, Scopes()...)
	deck := h.importDeck("prefix,rate\n1,0.01\n")
	h.do("POST", "/tollgate/v1/rate_decks/"+deck+"/activate", "").want(http.StatusOK)
	p := h.do("POST", "/v2/outbound_voice_profiles", `{"name":"abc"}`).want(http.StatusOK)["id"]
	body := fmt.Sprintf(`{"connection_name":"phone","user_name":"alice1","password":"correct-horse","outbound":{"outbound_voice_profile_id":"%v"}}`, p)
	made := h.do("POST", "/v2/credential_connections", body).want(http.StatusCreated)
	if given, there := made["allowed_sources"]; given != nil || !there {
		t.Errorf("by default %v", given)
	}
	one := fmt.Sprint("/v2/credential_connections/", made["id"])
	for sources, errors := range map[string]string{
		`[]`: "10025 /allowed_sources", `["0.0.0.0/0"]`: "10015 /allowed_sources/0",
		`["192.0.2.1","::/0","192.0.2.1/24"]`: "10015 /allowed_sources/1 10015 /allowed_sources/2",
		`["office"]`:                          "10015 /allowed_sources/0", `"192.0.2.1"`: "10026 /allowed_sources",
		`[null]`: "10026 /allowed_sources/0", `["255.255.255.255"]`: "10015 /allowed_sources/0",
		`["0.0.0.0/1","128.0.0.0/1"]`: "10015 /allowed_sources/0 10015 /allowed_sources/1",
		`[""]`:                        "10015 /allowed_sources/0", `["192.0.2.1:5060"]`: "10015 /allowed_sources/0",
	} {
		h.do("PATCH", one, `{"allowed_sources":`+sources+`}`).
			wantError(http.StatusUnprocessableEntity, strings.Split(strings.ReplaceAll(errors, " 10", "\n10"), "\n")...)
	}
	set := h.do("PATCH", one, `{"allowed_sources":["192.0.2.0/24","::ffff:198.51.100.7","2001:DB8::/32"]}`).
		want(http.StatusOK)
	if got := fmt.Sprint(set["allowed_sources"]); got != "[192.0.2.0/24 198.51.100.7 2001:db8::/32]" {
		t.Errorf("set to %s", got)
	}
	for i, c := range []struct{ who, reason string }{
		{`"user_name":"alice1"`, "source_not_allowed"},
		{`"user_name":"alice1","source_ip":"192.0.2.77"`, "none"},
		{`"user_name":"alice1","source_ip":"::ffff:198.51.100.7"`, "none"},
		{`"user_name":"alice1","source_ip":"203.0.113.1"`, "source_not_allowed"},
		{fmt.Sprintf(`"connection_id":"%v"`, made["id"]), "source_not_allowed"},
		{fmt.Sprintf(`"connection_id":"%v","source_ip":"2001:db8::7"`, made["id"]), "none"},
		{`"source_ip":"192.0.2.77"`, "connection_unknown"}, // it is no way in without the user
	} {
		r := h.do("POST", "/tollgate/v1/admissions",
			fmt.Sprintf(`{%s,"call_id":"call-%d","from":"+13125550100","to":"+13125550199"}`, c.who, i)).want(http.StatusOK)
		reason := fmt.Sprint(r["reason"])
		if r["decision"] == "allow" {
			reason = "none"
		}
		if reason != c.reason {
			t.Errorf("%s: %v %s, want %s", c.who, r["decision"], reason, c.reason)
		}
		if reason == "source_not_allowed" && !strings.Contains(fmt.Sprint(r), "TG16") {
			t.Errorf("no code: %v", r)
		}
	}
	// No address stops a call for help that a switch has authenticated.
	r := h.do("POST", "/tollgate/v1/admissions",
		`{"user_name":"alice1","source_ip":"203.0.113.1","call_id":"help","from":"+13125550100","to":"911"}`).
		want(http.StatusOK)
	if r["decision"] != "allow" {
		t.Errorf("911 from elsewhere: %v", r)
	}
	explained := h.do("POST", "/tollgate/v1/decisions/explain",
		fmt.Sprintf(`{"connection_id":"%v","from":"+13125550100","to":"+13125550199"}`, made["id"])).want(http.StatusOK)
	if explained["allowed"] != true {
		t.Errorf("explained as %v", explained)
	}
	if off := h.do("PATCH", one, `{"allowed_sources":null}`).want(http.StatusOK); off["allowed_sources"] != nil {
		t.Errorf("taken off: %v", off["allowed_sources"])
	}
}
