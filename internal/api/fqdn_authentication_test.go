package api

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tollgate/tollgate/internal/secret"
)

// How the calls of an FQDN connection are recognised: what is in force follows from what
// was asked for, under whichever of its names.
func TestAuthenticationMethods(t *testing.T) {
	h := newHarness(t)
	h.key = h.newKey(h.first.ID, ScopeRead, ScopeWrite)
	n := 0
	for _, c := range []struct {
		create, change, method, ip string // what is shown in the end
	}{
		{`"outbound":{}`, "", "ip-authentication", "ip-authentication"},
		{`"user_name":"USER","password":"correct-horse"`, "", "credential-authentication", "ip-authentication"},
		{`"user_name":"USER"`, "", "ip-authentication", "ip-authentication"},
		{`"user_name":"USER"`, `{"password":"correct-horse"}`, "credential-authentication", "ip-authentication"},
		{`"outbound":{"ip_authentication_method":"credential-authentication"}`,
			"", "credential-authentication", "credential-authentication"},
		{
			`"outbound":{"fqdn_authentication_method":"credential-authentication","ip_authentication_method":"ip-authentication"}`,
			"", "credential-authentication", "ip-authentication"},
		{`"user_name":"USER","password":"correct-horse","outbound":{"ip_authentication_method":"ip-authentication"}`, "",
			"credential-authentication", "ip-authentication"},
		{`"user_name":"USER","password":"correct-horse","outbound":{"fqdn_authentication_method":"ip-authentication"}`, "",
			"ip-authentication", "ip-authentication"},
		{`"outbound":{"ip_authentication_method":"token"}`, "", "ip-authentication", "token"},
		{`"outbound":{"ip_authentication_method":"tech-prefixp-charge-info"}`, "", "ip-authentication", "ip-authentication"},
		{`"outbound":{"ip_authentication_method":"p-charge-info"}`, "", "ip-authentication", "ip-authentication"},
		{`"outbound":{"ip_authentication_method":"credential-authentication"}`,
			`{"outbound":{"fqdn_authentication_method":"ip-authentication"}}`, "ip-authentication", "ip-authentication"},
		{`"outbound":{"fqdn_authentication_method":"ip-authentication"}`,
			`{"outbound":{"ip_authentication_method":"credential-authentication"}}`, "credential-authentication",
			"credential-authentication"},
		{`"outbound":{"fqdn_authentication_method":"credential-authentication"}`,
			`{"outbound":{"fqdn_authentication_method":null}}`, "ip-authentication", "ip-authentication"},
	} {
		n++
		create := strings.ReplaceAll(c.create, "USER", fmt.Sprintf("user%d", n))
		made := h.do("POST", "/v2/fqdn_connections", `{"connection_name":"office",`+create+`}`).want(http.StatusCreated)
		one := fmt.Sprint("/v2/fqdn_connections/", made["id"])
		if c.change != "" {
			h.do("PATCH", one, c.change).want(http.StatusOK)
		}
		outbound := h.do("GET", one, "").want(http.StatusOK)["outbound"].(map[string]any)
		if outbound["fqdn_authentication_method"] != c.method || outbound["ip_authentication_method"] != c.ip {
			t.Errorf("%s, %s: %v and %v, want %s and %s", c.create, c.change, outbound["fqdn_authentication_method"],
				outbound["ip_authentication_method"], c.method, c.ip)
		}
		want := map[bool]string{true: "token", false: "p-charge-info"}[c.ip == "token"]
		other := h.do("GET", one+"/fqdn_authentication", "").want(http.StatusOK)
		if other["fqdn_outbound_authentication"] != c.method || other["ip_authentication_method"] != want {
			t.Errorf("%s, %s: under the other name %v", c.create, c.change, other)
		}
	}
	h.do("POST", "/v2/fqdn_connections", `{"connection_name":"office","outbound":{"fqdn_authentication_method":"ip-authentication",
		"ip_authentication_method":"credential-authentication"}}`).wantError(http.StatusUnprocessableEntity, "10015 /outbound/ip_authentication_method")
	h.do("POST", "/v2/fqdn_connections", `{"connection_name":"office","outbound":{"fqdn_authentication_method":"token"}}`).
		wantError(http.StatusUnprocessableEntity, "10032 /outbound/fqdn_authentication_method")
}

// What fqdn_authentication says of the method is shown there alone: the connection keeps a
// word that its clients know. A client that sends that word back changes nothing.
func TestMethodChosenUnderTheOtherName(t *testing.T) {
	h := newHarness(t)
	for i, c := range []struct{ before, chosen, own, then, other, after string }{
		{"ip-authentication", `"p-charge-info"`, "ip-authentication",
			`"ip-authentication"`, "p-charge-info", "ip-authentication"},
		{"ip-authentication", `"token"`, "ip-authentication", `"ip-authentication"`, "token", "ip-authentication"},
		{"ip-authentication", `"token"`, "ip-authentication", `"token"`, "token", "token"},
		{"ip-authentication", `"token"`, "ip-authentication", `null`, "p-charge-info", "ip-authentication"},
		{"token", `"token"`, "token", `"token"`, "token", "token"},
		{"token", `"p-charge-info"`, "ip-authentication", `"ip-authentication"`, "p-charge-info", "ip-authentication"},
		{"token", `null`, "ip-authentication", `"token"`, "token", "token"},
		{"tech-prefixp-charge-info", `"token"`, "ip-authentication", `"credential-authentication"`,
			"p-charge-info", "credential-authentication"},
	} {
		made := h.do("POST", "/v2/fqdn_connections",
			fmt.Sprintf(`{"connection_name":"office %d","outbound":{"ip_authentication_method":%q}}`, i,
				c.before)).want(http.StatusCreated)
		one := fmt.Sprint("/v2/fqdn_connections/", made["id"])
		method := func() any {
			return h.do("GET", one, "").want(http.StatusOK)["outbound"].(map[string]any)["ip_authentication_method"]
		}
		h.do("PATCH", one+"/fqdn_authentication", `{"ip_authentication_method":`+c.chosen+`}`).want(http.StatusOK)
		if got := method(); got != c.own {
			t.Errorf("%s, %s chosen: the connection has %v, want %s", c.before, c.chosen, got, c.own)
		}
		h.do("PATCH", one, `{"outbound":{"ip_authentication_method":`+c.then+`}}`).want(http.StatusOK)
		other := h.do("GET", one+"/fqdn_authentication", "").want(http.StatusOK)["ip_authentication_method"]
		if got := method(); got != c.after || other != c.other {
			t.Errorf("%s, %s chosen, %s sent: %v and %v, want %s and %s",
				c.before, c.chosen, c.then, got, other, c.after, c.other)
		}
	}
}

// fqdn_authentication shows and changes fields of the connection, and no password.
func TestFQDNAuthentication(t *testing.T) {
	h := newHarness(t)
	h.key = h.newKey(h.first.ID, ScopeRead, ScopeWrite)
	made := h.do("POST", "/v2/fqdn_connections", `{"connection_name":"office","user_name":"office1","password":"correct-horse",
		"webhook_event_url":"https://example.com/one","microsoft_teams_sbc":true,"txt_ttl":60}`).want(http.StatusCreated)
	one := fmt.Sprint("/v2/fqdn_connections/", made["id"])
	want := map[string]any{
		"id": made["id"], "connection_id": made["id"], "record_type": "fqdn_authentication", "microsoft_teams_sbc": true,
		"fqdn_outbound_authentication": "credential-authentication", "ip_authentication_method": "p-charge-info",
		"user_name": "office1", "password": secret.Mask, "txt_name": nil, "txt_ttl": 60.0, "txt_value": nil,
		"webhook_url": "https://example.com/one", "failover_url": nil,
	}
	if diff := cmp.Diff(want, h.do("GET", one+"/fqdn_authentication", "").want(http.StatusOK)); diff != "" {
		t.Errorf("read (-want +got):\n%s", diff)
	}
	changed := h.do("PATCH", one+"/fqdn_authentication", `{"password":"battery-staple","ip_authentication_method":"token",
		"failover_url":"https://example.com/two","txt_name":"a"}`).want(http.StatusOK)
	want["password"], want["ip_authentication_method"] = "battery-staple", "token"
	want["failover_url"], want["txt_name"] = "https://example.com/two", "a"
	if diff := cmp.Diff(want, changed); diff != "" {
		t.Errorf("changed (-want +got):\n%s", diff)
	}
	got := h.do("GET", one, "").want(http.StatusOK)
	if got["password"] != secret.Mask || got["webhook_event_failover_url"] != "https://example.com/two" ||
		got["txt_name"] != "a" {
		t.Errorf("the connection: %v", got)
	}
	for body, wrong := range map[string]string{
		`{"password":"********"}`:                              "10015 /password",
		`{"password":"short"}`:                                 "10025 /password",
		`{"user_name":"12345678"}`:                             "10015 /user_name",
		`{"webhook_url":"example.com"}`:                        "10015 /webhook_url",
		`{"failover_url":"x","ip_authentication_method":"ip"}`: "10032 /ip_authentication_method",
		`{"fqdn_outbound_authentication":"token"}`:             "10032 /fqdn_outbound_authentication",
	} {
		h.do("PATCH", one+"/fqdn_authentication", body).wantError(http.StatusUnprocessableEntity, wrong)
	}
	seen := h.doWith(h.newKey(h.first.ID, ScopeRead, ScopeSecrets), "GET", one+"/fqdn_authentication", "").
		want(http.StatusOK)
	if seen["password"] != "battery-staple" {
		t.Errorf("with the scope secrets: %v, after refused changes", seen["password"])
	}
	h.do("PATCH", one+"/fqdn_authentication",
		`{"id":"1","microsoft_teams_sbc":false,"fqdn_outbound_authentication":"ip-authentication"}`).want(http.StatusOK)
	if got := h.do("GET", one, "").want(http.StatusOK); got["microsoft_teams_sbc"] != true ||
		got["outbound"].(map[string]any)["fqdn_authentication_method"] != "ip-authentication" {
		t.Errorf("the connection in the end: %v", got)
	}
	other, key := h.secondAccount()
	_ = other
	h.doWith(key, "GET", one+"/fqdn_authentication", "").wantError(http.StatusNotFound, "10005 /")
	h.doWith(key, "PATCH", one+"/fqdn_authentication", `{"user_name":"thief1"}`).wantError(http.StatusNotFound, "10005 /")
	audit := h.doWith(h.adminKey(), "GET", "/v2/audit_events", "").text
	for _, password := range []string{"correct-horse", "battery-staple"} {
		if strings.Contains(audit, password) {
			t.Errorf("the audit has the password %s", password)
		}
	}
}

// A user name belongs to one connection of either kind.
func TestUserNamesOfBothKinds(t *testing.T) {
	h := newHarness(t)
	_, stranger := h.secondAccount()
	credential := `{"connection_name":"a phone","user_name":"shared1","password":"correct-horse"}`
	phone := h.do("POST", "/v2/credential_connections", credential).want(http.StatusCreated)
	for _, key := range []string{h.key, stranger} {
		h.doWith(key, "POST", "/v2/fqdn_connections", credential).
			wantError(http.StatusUnprocessableEntity, "10012 /user_name")
		made := h.doWith(key, "POST", "/v2/fqdn_connections", `{"connection_name":"other"}`).want(http.StatusCreated)
		one := fmt.Sprint("/v2/fqdn_connections/", made["id"])
		h.doWith(key, "PATCH", one, `{"user_name":"shared1"}`).wantError(http.StatusUnprocessableEntity, "10012 /user_name")
		h.doWith(key, "PATCH", one+"/fqdn_authentication", `{"user_name":"shared1"}`).
			wantError(http.StatusUnprocessableEntity, "10012 /user_name")
	}
	h.do("DELETE", fmt.Sprint("/v2/credential_connections/", phone["id"]), "").want(http.StatusOK)
	h.doWith(stranger, "POST", "/v2/fqdn_connections", credential).want(http.StatusCreated)
	h.do("POST", "/v2/credential_connections", credential).wantError(http.StatusUnprocessableEntity, "10012 /user_name")
}

// Fields that clients send in forms of their own.
func TestFieldsOfConnectionsAsClientsSendThem(t *testing.T) {
	h := newHarness(t)
	for _, k := range []struct{ path, more, filter string }{
		{"/v2/ip_connections", "", ""},
		{"/v2/credential_connections", `,"user_name":"phone1","password":"correct-horse"`, ""},
		{"/v2/fqdn_connections", "", ""},
	} {
		r := h.do("POST", k.path, `{"connection_name":"as sent","conversation_persistence":true,
			"inbound":{"codecs":["pcmu","PCMA","g722","Opus","H264","AMR-wb"]}`+k.more+`}`)
		made := r.want(http.StatusCreated)
		if ignored := r.header.Get("Tollgate-Ignored-Fields"); ignored != "conversation_persistence" ||
			made["conversation_persistence"] != false {
			t.Errorf("%s: created with %v, ignored %q", k.path, made["conversation_persistence"], ignored)
		}
		if got := fmt.Sprint(made["inbound"].(map[string]any)["codecs"]); got != "[G711U G711A G722 OPUS H.264 AMR-WB]" {
			t.Errorf("%s: codecs %s", k.path, got)
		}
		one := fmt.Sprint(k.path, "/", made["id"])
		got := h.do("PATCH", one, `{"conversation_persistence":true}`).want(http.StatusOK)
		if got["conversation_persistence"] != true {
			t.Errorf("%s: changed to %v", k.path, got["conversation_persistence"])
		}
		h.do("PATCH", one, `{"conversation_persistence":"yes"}`).
			wantError(http.StatusUnprocessableEntity, "10026 /conversation_persistence")
		h.do("PATCH", one, `{"webhook_api_version":"texml"}`).wantError(http.StatusUnprocessableEntity,
			map[bool]string{true: "10015 /webhook_api_version", false: "10032 /webhook_api_version"}[k.more != ""])
		if got := h.do("GET", k.path+"?filter[fqdn]=pbx.example.com", "").list(); len(got) != 0 {
			t.Errorf("%s: by a name of none: %v", k.path, got)
		}
		if k.path != "/v2/fqdn_connections" {
			continue
		}
		name := fmt.Sprintf(`{"connection_id":%q,"fqdn":"PBX.example.com","dns_record_type":"SRV"}`, made["id"])
		if got := h.do("POST", "/v2/fqdns", name).want(http.StatusCreated); got["dns_record_type"] != "srv" ||
			got["port"] != nil {
			t.Errorf("SRV: %v", got)
		}
		for filter, n := range map[string]int{
			"/v2/fqdns?filter[dns_record_type]=SRV": 1, "/v2/fqdns?filter[dns_record_type]=A": 0,
			"/v2/fqdn_connections?filter[fqdn]=pbx.example.com": 1, "/v2/credential_connections?filter[fqdn]=pbx.example.com": 0,
			"/v2/connections?filter[fqdn]=pbx.example.com": 1,
		} {
			if got := h.do("GET", filter, "").list(); len(got) != n {
				t.Errorf("%s finds %d, want %d", filter, len(got), n)
			}
		}
	}
	texml := h.do("POST", "/v2/credential_connections", `{"connection_name":"texml","user_name":"phone2","password":"correct-horse",
		"webhook_api_version":"texml","outbound":{"call_parking_enabled":true}}`).want(http.StatusCreated)
	h.do("PATCH", fmt.Sprint("/v2/credential_connections/", texml["id"]), `{"outbound":{"call_parking_enabled":false}}`).
		want(http.StatusOK)
	if texml["webhook_api_version"] != "2" {
		t.Errorf("texml reads as %v", texml["webhook_api_version"])
	}
	h.do("POST", "/v2/credential_connections", `{"connection_name":"other","user_name":"phone3","password":"correct-horse",
		"inbound":{"codecs":["PCMX"]}}`).wantError(http.StatusUnprocessableEntity, "10032 /inbound/codecs/0")
}

// An address of an FQDN connection belongs to its account and tells it apart, as one of an IP
// connection does.
func TestAddressesOfAnFQDNConnection(t *testing.T) {
	h := newHarness(t)
	profile := fmt.Sprint(h.do("POST", "/v2/outbound_voice_profiles", `{"name":"office"}`).want(http.StatusOK)["id"])
	connect := func(outbound string) string {
		body := fmt.Sprintf(`{"connection_name":"office","outbound":{"outbound_voice_profile_id":%q%s}}`, profile, outbound)
		return fmt.Sprint(h.do("POST", "/v2/fqdn_connections", body).want(http.StatusCreated)["id"])
	}
	address := func(connection, ip string) reply {
		return h.do("POST", "/v2/ips", fmt.Sprintf(`{"connection_id":%q,"ip_address":%q}`, connection, ip))
	}
	first, second, user := connect(""), connect(`,"tech_prefix":"1234"`),
		connect(`,"fqdn_authentication_method":"credential-authentication"`)
	made := address(first, "192.0.2.1").want(http.StatusCreated)
	address(second, "192.0.2.1").want(http.StatusCreated)
	address(user, "192.0.2.1").want(http.StatusCreated) // it takes no call by it
	address(connect(""), "192.0.2.1").wantError(http.StatusUnprocessableEntity, "10012 /ip_address")
	h.do("PATCH", "/v2/fqdn_connections/"+second, `{"outbound":{"tech_prefix":null}}`).
		wantError(http.StatusUnprocessableEntity, "10012 /outbound/tech_prefix")
	h.do("PATCH", "/v2/fqdn_connections/"+user, `{"outbound":{"fqdn_authentication_method":"ip-authentication"}}`).
		wantError(http.StatusUnprocessableEntity, "10012 /outbound/tech_prefix")
	_, stranger := h.secondAccount()
	h.doWith(stranger, "POST", "/v2/ips", `{"ip_address":"192.0.2.1"}`).
		wantError(http.StatusUnprocessableEntity, "10012 /ip_address")
	h.do("DELETE", "/v2/fqdn_connections/"+first, "").want(http.StatusOK)
	h.do("GET", fmt.Sprint("/v2/ips/", made["id"]), "").wantError(http.StatusNotFound, "10005 /")
}
