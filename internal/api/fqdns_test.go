package api

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFQDNs(t *testing.T) {
	h := newHarness(t)
	profile := fmt.Sprint(h.do("POST", "/v2/outbound_voice_profiles", `{"name":"office"}`).want(http.StatusOK)["id"])
	connect := func(prefix string) string {
		t.Helper()
		body := fmt.Sprintf(`{"connection_name":"office","outbound":{"outbound_voice_profile_id":%q,"tech_prefix":%q}}`,
			profile, prefix)
		return fmt.Sprint(h.do("POST", "/v2/fqdn_connections", body).want(http.StatusCreated)["id"])
	}
	name := func(connection, fqdn, more string) string {
		return fmt.Sprintf(`{"connection_id":%q,"fqdn":%q,%s}`, connection, fqdn, more)
	}
	first, second, third := connect(""), connect(""), connect("1234")

	made := h.do("POST", "/v2/fqdns", name(first, "SIP.example.com", `"dns_record_type":"a"`)).want(http.StatusCreated)
	want := map[string]any{"id": made["id"], "record_type": "fqdn", "connection_id": first, "fqdn": "SIP.example.com",
		"dns_record_type": "a", "port": 5060.0, "created_at": made["created_at"], "updated_at": made["updated_at"]}
	if diff := cmp.Diff(want, made); diff != "" {
		t.Errorf("created (-want +got):\n%s", diff)
	}
	h.do("POST", "/v2/fqdns", name(second, "sip.Example.com.", `"dns_record_type":"srv"`)).
		wantError(http.StatusUnprocessableEntity, "10012 /fqdn")
	srv := h.do("POST", "/v2/fqdns", name(third, "sip.Example.com.", `"dns_record_type":"srv"`)).want(http.StatusCreated)
	if srv["port"] != nil {
		t.Errorf("port of an SRV record: %v", srv["port"])
	}
	h.do("PATCH", "/v2/fqdn_connections/"+third, `{"outbound":{"tech_prefix":null}}`).
		wantError(http.StatusUnprocessableEntity, "10012 /outbound/tech_prefix")

	// The port of an A record is not there until it is given.
	one := fmt.Sprint("/v2/fqdns/", made["id"])
	if got := h.do("PATCH", one, `{"dns_record_type":"srv"}`).want(http.StatusOK); got["port"] != nil {
		t.Errorf("changed to SRV: %v", got)
	}
	if got := h.do("PATCH", one, `{"dns_record_type":"a","port":5080}`).want(http.StatusOK); got["port"] != 5080.0 {
		t.Errorf("changed back: %v", got)
	}
	h.do("PATCH", one, `{"dns_record_type":"srv"}`).wantError(http.StatusUnprocessableEntity, "10015 /port")

	for filter, want := range map[string]int{
		"filter[fqdn]=sip.EXAMPLE.com": 2, "filter[connection_id]=" + first: 1, "filter[port]=5080": 1,
		"filter[port]=5060": 0, "filter[dns_record_type]=srv": 1, "filter[fqdn]=example.com": 0,
	} {
		if got := h.do("GET", "/v2/fqdns?"+filter, "").list(); len(got) != want {
			t.Errorf("%s finds %v", filter, got)
		}
	}
	for _, path := range []string{"/v2/connections", "/v2/fqdn_connections"} {
		for filter, want := range map[string]int{
			"filter[fqdn]=Sip.example.com": 2, "filter[fqdn]=absent.example": 0,
			"filter[outbound_voice_profile_id]=" + profile: 3, "filter[connection_name][contains]=OFFICE": 3,
		} {
			if got := h.do("GET", path+"?"+filter, "").list(); len(got) != want {
				t.Errorf("%s?%s finds %v", path, filter, got)
			}
		}
	}
	if got := h.do("GET", "/v2/connections/"+first, "").want(http.StatusOK); got["record_type"] != "fqdn_connection" ||
		got["outbound_voice_profile_id"] != profile {
		t.Errorf("as any connection: %v", got)
	}
	got := h.do("GET", "/v2/outbound_voice_profiles/"+profile, "").want(http.StatusOK)
	if got["connections_count"] != 3.0 {
		t.Errorf("connections_count %v", got["connections_count"])
	}
	h.do("DELETE", "/v2/outbound_voice_profiles/"+profile, "").wantError(http.StatusUnprocessableEntity, "10021 /")
	forecast := fmt.Sprintf(`{"connection_id":%q,"from":"+13125550100","to":"+13125550199"}`, first)
	got = h.do("POST", "/tollgate/v1/decisions/explain", forecast).want(http.StatusOK)
	if got["outbound_voice_profile_id"] != profile {
		t.Errorf("forecast of an FQDN connection: %v", got)
	}

	// Its names go with a connection.
	h.do("DELETE", "/v2/fqdn_connections/"+first, "").want(http.StatusOK)
	h.do("GET", one, "").wantError(http.StatusNotFound, "10005 /")
	h.do("GET", "/v2/connections/"+first, "").wantError(http.StatusNotFound, "10005 /")
	h.do("POST", "/v2/fqdns", name(second, "sip.example.com", `"dns_record_type":"a"`)).want(http.StatusCreated)
}

// Telnyx describes what an FQDN connection is by default.
func TestFQDNConnectionDefaults(t *testing.T) {
	h := newHarness(t)
	made := h.do("POST", "/v2/fqdn_connections", `{"connection_name":"office"}`).want(http.StatusCreated)
	inbound, outbound := made["inbound"].(map[string]any), made["outbound"].(map[string]any)
	for name, want := range map[string]any{
		"transport_protocol": "UDP", "active": true, "default_on_hold_comfort_noise_enabled": true, "dtmf_type": "RFC 2833",
		"webhook_api_version": "1", "microsoft_teams_sbc": false, "user_name": nil, "anchorsite_override": "Latency",
	} {
		if diff := cmp.Diff(want, made[name]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	for name, want := range map[string]any{
		"default_routing_method": "sequential", "sip_subdomain_receive_settings": "from_anyone",
		"sip_compact_headers_enabled": true, "timeout_1xx_secs": 3.0, "timeout_2xx_secs": 90.0,
		"ani_number_format": "E.164-national", "default_primary_fqdn_id": nil,
	} {
		if diff := cmp.Diff(want, inbound[name]); diff != "" {
			t.Errorf("inbound.%s (-want +got):\n%s", name, diff)
		}
	}
	for name, want := range map[string]any{
		"localization": "US", "ip_authentication_method": "ip-authentication", "instant_ringback_enabled": false,
		"t38_reinvite_source": "customer", "ani_override_type": "always", "timeout_1xx_secs": 3.0, "timeout_2xx_secs": 90.0,
		"outbound_voice_profile_id": nil, "channel_limit": nil,
	} {
		if diff := cmp.Diff(want, outbound[name]); diff != "" {
			t.Errorf("outbound.%s (-want +got):\n%s", name, diff)
		}
	}
}
