package api

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// Routes: what a request may say, whose gateways it may name, and which routes may be there
// together.
func TestRoutes(t *testing.T) {
	const path, gateways = "/tollgate/v1/routes", "/tollgate/v1/gateways"
	const carrier = `{"name":"carrier","address":"carrier.example"}`
	h := newHarness(t)
	other, _ := h.secondAccount()
	stranger := h.newKey(other.ID, ScopeRead, ScopeWrite, ScopeCarrier)
	own := h.do("POST", gateways, carrier).want(http.StatusCreated)["id"]
	foreign := h.doWith(stranger, "POST", gateways, carrier).want(http.StatusCreated)["id"]
	to := func(gateway any, more string) string {
		return fmt.Sprintf(`{"name":"britain","match":{"prefixes":["+44"]},"gateways":[{"gateway_id":%q}]%s}`, gateway, more)
	}
	h.do("POST", path, to(foreign, "")).wantError(http.StatusNotFound, "10005 /gateways/0/gateway_id")
	h.do("POST", path, to("77", "")).wantError(http.StatusNotFound, "10005 /gateways/0/gateway_id")
	for body, wanted := range map[string]string{
		`{"name":"x"}`:                "10025 /gateways",
		to(own, `,"action":"drop"`):   "10032 /action",
		to(own, `,"action":"refuse"`): "10025 /gateways",
		to(own, `,"order":"quality"`): "10032 /order",
		to(own, `,"priority":-1`):     "10033 /priority",
		`{"name":"x","action":"refuse","match":{"prefixes":["44x"]}}`:         "10032 /match/prefixes/0",
		`{"name":"x","action":"refuse","match":{"time":{"days":["monday"]}}}`: "10032 /match/time/days/0",
	} {
		h.do("POST", path, body).wantError(http.StatusUnprocessableEntity, wanted)
	}
	made := h.do("POST", path, to(own, "")).want(http.StatusCreated)
	equal := h.do("POST", path, `{"name":"no calls","action":"refuse","match":{"prefixes":["33","44"]}}`)
	equal.wantError(http.StatusUnprocessableEntity, "10012 /match")
	for _, named := range []string{"britain", "no calls", fmt.Sprint(made["id"])} {
		if !strings.Contains(equal.text, named) {
			t.Errorf("the error does not name %s: %s", named, equal.text)
		}
	}
	h.do("POST", path, `{"name":"later","action":"refuse","priority":1,"match":{"prefixes":["44"]}}`).
		want(http.StatusCreated)
	h.do("DELETE", fmt.Sprint(gateways, "/", own), "").wantError(http.StatusUnprocessableEntity, "10021 /")
	h.do("DELETE", fmt.Sprint(path, "/", made["id"]), "").want(http.StatusOK)
	h.do("DELETE", fmt.Sprint(gateways, "/", own), "").want(http.StatusOK)
}
