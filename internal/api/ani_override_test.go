package api

import (
	"fmt"
	"net/http"
	"testing"
)

// ani_override replaces the caller id of outbound calls, and ani_override_type says
// on which (Telnyx's text of both fields), whatever kind the connection is of.
func TestCallerOverrideByKindOfConnection(t *testing.T) {
	const own, override = "+13125550100", "+12028290922"
	for _, path := range []string{"/v2/ip_connections", "/v2/credential_connections", "/v2/fqdn_connections"} {
		h := newHarness(t)
		profile, _ := h.pbx(`{"name":"office"}`)
		for kind, shown := range map[string][2]string{ // on an ordinary call, on an emergency call
			"always": {override, override}, "normal": {override, own}, "emergency": {own, override},
		} {
			login := ""
			if path != "/v2/ip_connections" {
				login = fmt.Sprintf(`"user_name":"user%s","password":"a-long-password",`, kind)
			}
			made := h.do("POST", path, fmt.Sprintf(`{"connection_name":"%s",%s"outbound":{"outbound_voice_profile_id":%q,
				"ani_override":%q,"ani_override_type":%q}}`, kind, login, profile, override, kind)).want(http.StatusCreated)
			for i, to := range []string{"+13125550199", "911"} {
				got := h.do("POST", "/tollgate/v1/decisions/explain",
					fmt.Sprintf(`{"connection_id":%q,"from":%q,"to":%q}`, made["id"], own, to)).want(http.StatusOK)
				if got["cli"] != shown[i] || got["allowed"] != true {
					t.Errorf("%s, %s, %s: shows %v, %v", path, kind, to, got["cli"], got["reason"])
				}
			}
		}
	}
}

// Any phone number is taken; a call shows it only while it is one that can call.
func TestCallerOverrideIsLookedAtByTheCall(t *testing.T) {
	h := newHarness(t)
	_, connection := h.pbx(`{"name":"office"}`)
	one := "/v2/ip_connections/" + connection
	explain := func(to string) map[string]any {
		t.Helper()
		return h.do("POST", "/tollgate/v1/decisions/explain",
			fmt.Sprintf(`{"connection_id":%q,"from":"+13125550100","to":%q}`, connection, to)).want(http.StatusOK)
	}
	for _, text := range []string{
		"always", "string", "+", "12", "+999123456789", "+1312555010012345", "tel:+13125550100",
	} {
		h.do("PATCH", one, fmt.Sprintf(`{"outbound":{"ani_override":%q}}`, text)).
			wantError(http.StatusUnprocessableEntity, "10016 /outbound/ani_override")
	}
	h.do("PATCH", one, `{"outbound":{"ani_override":"+1234567890"}}`).want(http.StatusOK)
	if got := explain("+13125550199"); got["code"] != "D35" {
		t.Errorf("a number that no plan has: %v", got)
	}
	if got := explain("911"); got["allowed"] != true || got["cli"] != "+13125550100" {
		t.Errorf("an emergency call: %v", got)
	}
	h.do("PATCH", one, `{"outbound":{"ani_override":"+12028290922"}}`).want(http.StatusOK)
	if got := explain("+13125550199"); got["allowed"] != true || got["cli"] != "+12028290922" {
		t.Errorf("a number of the plan: %v", got)
	}
	admin := h.adminKey()
	override := h.with(admin, "POST", "/tollgate/v1/numbering_plan_overrides", `{"prefix":"1202829","valid":false}`).
		want(http.StatusCreated)
	if got := explain("+13125550199"); got["code"] != "D35" {
		t.Errorf("a number that the operator has taken out of the plan: %v", got)
	}
	h.with(admin, "DELETE", "/tollgate/v1/numbering_plan_overrides/"+override["id"].(string), "").want(http.StatusOK)
	if got := explain("+13125550199"); got["allowed"] != true {
		t.Errorf("a number that is in the plan again: %v", got)
	}
}
