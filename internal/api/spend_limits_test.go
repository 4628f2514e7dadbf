package api

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// Spend limits: what is wrong with one is reported by field, its usage is told, and a
// refusal names the limit, the spend, the amount and when it opens again.
func TestSpendLimits(t *testing.T) {
	const path = "/tollgate/v1/spend_limits"
	h := newHarness(t)
	for body, wanted := range map[string]string{
		`{"name":"x","scope_type":"account"}`:                                            "10004 /amount",
		`{"name":"x","amount":"1.00"}`:                                                   "10004 /scope_type",
		`{"name":"x","scope_type":"planet","amount":"1.00"}`:                             "10032 /scope_type",
		`{"name":"x","scope_type":"caller","amount":"1.00"}`:                             "10004 /scope_value",
		`{"name":"x","scope_type":"account","scope_value":"1","amount":"1.00"}`:          "10015 /scope_value",
		`{"name":"x","scope_type":"caller","scope_value":"12","amount":"1.00"}`:          "10015 /scope_value",
		`{"name":"x","scope_type":"country","scope_value":"XX","amount":"1.00"}`:         "10015 /scope_value",
		`{"name":"x","scope_type":"prefix","scope_value":"+44","amount":"1.00"}`:         "10015 /scope_value",
		`{"name":"x","scope_type":"prefix","scope_value":"044","amount":"1.00"}`:         "10015 /scope_value",
		`{"name":"x","scope_type":"connection","scope_value":"77","amount":"1.00"}`:      "10017 /scope_value",
		`{"name":"x","scope_type":"account","amount":"-1.00"}`:                           "10015 /amount",
		`{"name":"x","scope_type":"account","amount":"1.00","period":"week"}`:            "10032 /period",
		`{"name":"x","scope_type":"account","amount":"1.00","time_zone":"Mars/Olympus"}`: "10032 /time_zone",
		`{"name":"x","scope_type":"account","amount":"1.00","time_zone":"Local"}`:        "10032 /time_zone",
		`{"name":"x","scope_type":"account","amount":"1.00","action":"shout"}`:           "10032 /action",
		`{"name":"x","scope_type":"account","amount":"1.00","daily":true}`:               "10015 /daily",
	} {
		h.do("POST", path, body).wantError(http.StatusUnprocessableEntity, wanted)
	}
	for i := range 10 {
		h.do("POST", path, fmt.Sprintf(`{"name":"limit %d","scope_type":"country","scope_value":"FR","amount":"1.00"}`, i)).
			want(http.StatusCreated)
	}
	h.do("POST", path, `{"name":"one more","scope_type":"country","scope_value":"FR","amount":"1.00"}`).
		wantError(http.StatusUnprocessableEntity, "10027 /scope_value")
	made := h.do("POST", path, `{"name":"caller","scope_type":"caller","scope_value":"+13125550100","amount":"0","period":"hour"}`).
		want(http.StatusCreated)
	usage := h.do("GET", fmt.Sprint(path, "/", made["id"], "/usage"), "").want(http.StatusOK)
	if usage["posted"] != "0.00" || usage["remaining"] != "0.00" || usage["to"] == nil {
		t.Errorf("usage %v", usage)
	}
	_, pbx := h.pbx(`{"name":"limited"}`)
	body := attemptOf(pbx, "a@pbx", "+13125550199")
	refused := h.doWith(h.newKey(h.first.ID, ScopeAdmit), "POST", "/tollgate/v1/admissions", body).want(http.StatusOK)
	if refused["decision"] == "allow" {
		t.Fatalf("let through: %v", refused)
	}
	why := h.do("GET", fmt.Sprint("/tollgate/v1/decisions/", refused["id"]), "").want(http.StatusOK)
	for _, wanted := range []string{
		fmt.Sprint(made["id"]), "caller +13125550100 hour UTC", "posted 0.00", "at the latest",
	} {
		if !strings.Contains(fmt.Sprint(why), wanted) {
			t.Errorf("the refusal does not say %q: %v", wanted, why)
		}
	}
}
