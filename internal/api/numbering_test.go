package api

import (
	"fmt"
	"net/http"
	"testing"
)

// Overrides of the numbering plan: only an admin changes them, every key reads them,
// and what is wrong with one is reported by field.
func TestNumberingPlanOverrides(t *testing.T) {
	const path = "/tollgate/v1/numbering_plan_overrides"
	h := newHarness(t)
	_, stranger := h.secondAccount()
	admin := h.newKey(h.first.ID, ScopeRead, ScopeAdmin)
	made := h.doWith(admin, "POST", path, `{"prefix":"1436","valid":true,"country":"US","valid_from":"2026-01-01"}`).
		want(http.StatusCreated)
	one := path + "/" + fmt.Sprint(made["id"])
	if made["valid_from"] != "2026-01-01T00:00:00Z" || made["record_type"] != "numbering_plan_override" {
		t.Errorf("made %v", made)
	}
	writer := h.newKey(h.first.ID, ScopeRead, ScopeWrite, ScopeCarrier, ScopeAdmit)
	for _, key := range []string{writer, stranger} {
		h.doWith(key, "POST", path, `{"prefix":"1621","valid":true}`).wantError(http.StatusForbidden, "10010 /")
		h.doWith(key, "PATCH", one, `{"valid":false}`).wantError(http.StatusForbidden, "10010 /")
		h.doWith(key, "DELETE", one, "").wantError(http.StatusForbidden, "10010 /")
		h.doWith(key, "GET", one, "").want(http.StatusOK)
		if items := h.doWith(key, "GET", path+"?filter[prefix]=1436", "").list(); len(items) != 1 {
			t.Errorf("%d listed, want 1", len(items))
		}
	}
	for body, wanted := range map[string]string{
		`{"prefix":"1436","valid":false}`:                                                     "10012 /prefix",
		`{"prefix":"911","valid":true}`:                                                       "10015 /prefix",
		`{"prefix":"+1621","valid":true}`:                                                     "10015 /prefix",
		`{"prefix":"1621","valid":true,"country":"XX"}`:                                       "10032 /country",
		`{"prefix":"1621","valid":true,"number_type":"cheap"}`:                                "10032 /number_type",
		`{"prefix":"1621"}`:                                                                   "10004 /valid",
		`{"prefix":"1621","valid":true,"valid_from":"soon"}`:                                  "10015 /valid_from",
		`{"prefix":"1621","valid":true,"valid_from":"2027-01-01","valid_until":"2026-01-01"}`: "10015 /valid_until",
		`{"prefix":"1621","valid":true,"min_digits":12,"max_digits":11}`:                      "10033 /max_digits",
	} {
		h.doWith(admin, "POST", path, body).wantError(http.StatusUnprocessableEntity, wanted)
	}
	if items := h.doWith(admin, "GET", path, "").list(); len(items) != 1 {
		t.Errorf("%d overrides after refusals, want 1", len(items))
	}
	noted := false
	for _, event := range h.doWith(admin, "GET", "/v2/audit_events", "").list() {
		noted = noted || event["resource_id"] == made["id"]
	}
	if !noted {
		t.Error("the audit does not know of it")
	}
	h.doWith(admin, "DELETE", one, "").want(http.StatusOK)
}
