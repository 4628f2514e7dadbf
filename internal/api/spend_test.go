package api

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tollgate/tollgate/internal/admission"
)

// TestSharedLimits sets the limits of a billing group and of the account over the
// API, and asks what they do to calls.
func TestSharedLimits(t *testing.T) {
	h := newHarness(t)
	group := fmt.Sprint(h.do("POST", "/v2/billing_groups", `{"name":"west"}`).want(http.StatusOK)["id"])
	_, connection := h.pbx(fmt.Sprintf(`{"name":"office","billing_group_id":%q}`, group))
	first := h.reserve(connection, "+13125550199").Decision.ID
	h.answer(first)
	h.settle(first, 5*time.Second) // five cents
	groups, ours := "/v2/billing_groups/"+group, "/tollgate/v1/billing_groups/"+group

	// Without a limit nothing is counted.
	if got := h.do("GET", ours+"/usage", "").want(http.StatusOK); got["posted"] != nil || got["remaining"] != nil {
		t.Errorf("usage without a limit: %v", got)
	}
	h.do("PATCH", groups, `{"daily_spend_limit_enabled":true}`).
		wantError(http.StatusUnprocessableEntity, "10004 /daily_spend_limit")
	h.do("PATCH", groups, `{"daily_spend_limit":"0.06","spend_limit_action":"stop"}`).
		wantError(http.StatusUnprocessableEntity, "10032 /spend_limit_action")
	h.do("PATCH", groups, `{"daily_spend_limit":"0.06","daily_spend_limit_enabled":true,"spend_limit_action":"end_calls"}`).want(http.StatusOK)
	want := map[string]any{
		"id": group, "record_type": "billing_group_usage", "day": start.UTC().Format(time.DateOnly), "posted": "0.05",
		"held": "0.00", "overrun": "0.00", "daily_spend_limit": "0.06", "daily_spend_limit_enabled": true,
		"remaining": "0.01", "spend_hold": nil,
	}
	if diff := cmp.Diff(want, h.do("GET", ours+"/usage", "").want(http.StatusOK)); diff != "" {
		t.Errorf("usage (-want +got):\n%s", diff)
	}
	asked := fmt.Sprintf(`{"connection_id":%q,"from":"+13125550100","to":"+13125550199"}`, connection)
	if f := h.do("POST", "/tollgate/v1/decisions/explain", asked).want(http.StatusOK); f["allowed"] != true ||
		f["budget_sec"] != 1.0 {
		t.Errorf("one second is left, and the forecast is %v, %v s", f["reason"], f["budget_sec"])
	}
	second := h.reserve(connection, "+13125550199")
	if !second.Decision.Allow || second.GrantedSecs != 1 {
		t.Errorf("the last cent: %v, %d s", second.Decision.Reason, second.GrantedSecs)
	}
	refused := h.refusedCall(connection)
	d := h.do("GET", "/tollgate/v1/decisions/"+refused, "").want(http.StatusOK)
	rules := d["rules"].([]any)
	rule := rules[admission.RuleSpend].(map[string]any)
	if d["reason"] != "billing_group_daily_spend_limit" || d["code"] != "TG7" ||
		rule["allowed"] != "no limit; billing group "+group+" together at most 0.06" {
		t.Errorf("decision %v %v: %v", d["reason"], d["code"], rule)
	}

	// The account's: a key that may only write can set and lower it, and not loosen it.
	h.do("PATCH", groups, `{"daily_spend_limit_enabled":false}`).want(http.StatusOK)
	const account = "/tollgate/v1/account"
	h.do("PATCH", account, `{"daily_spend_limit":"0.50","daily_spend_limit_enabled":true,"after_limit":"hold_until_released"}`).want(http.StatusOK)
	h.do("PATCH", account, `{"daily_spend_limit":"0.06"}`).want(http.StatusOK)
	for _, loosened := range []string{
		`{"daily_spend_limit":"0.07"}`, `{"daily_spend_limit_enabled":false}`, `{"after_limit":"resume_at_reset"}`,
	} {
		h.doWith(h.newKey(h.first.ID, ScopeRead, ScopeWrite), "PATCH", account, loosened).
			wantError(http.StatusForbidden, "10010 /daily_spend_limit")
	}
	h.refusedCall(connection)
	usage := h.do("GET", account+"/usage", "").want(http.StatusOK)
	if hold, _ := usage["spend_hold"].(map[string]any); hold["cause"] != "limit_reached" ||
		hold["until"] != nil || usage["remaining"] != "0.00" {
		t.Errorf("usage of the account: %v", usage)
	}
	h.doWith(h.adminKey(), "PATCH", account, `{"daily_spend_limit":"10.00"}`).want(http.StatusOK)
	if d := h.reserve(connection, "+13125550199").Decision; d.Allow || d.Reason.String() != "spend_held" {
		t.Errorf("raised but not released: %v", d.Reason)
	}
	release := accountsPath + "/" + h.first.ID.String() + "/release"
	h.doWith(h.newKey(h.first.ID, ScopeRead, ScopeWrite), "POST", release, "").wantError(http.StatusForbidden, "10010 /")
	h.do("POST", "/tollgate/v1/spend_holds/release", "").want(http.StatusOK) // the account's own is none of its
	held := h.do("GET", "/tollgate/v1/spend_holds", "").list()
	if len(held) != 1 || held[0]["scope_type"] != "account" || held[0]["scope_id"] != h.first.ID.String() ||
		held[0]["cause"] != "limit_reached" {
		t.Errorf("held: %v", held)
	}
	h.doWith(h.adminKey(), "POST", release, "").want(http.StatusOK)
	if d := h.reserve(connection, "+13125550199").Decision; !d.Allow {
		t.Errorf("raised and released: %v", d.Reason)
	}
}
