package api

import (
	"net/http"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/tollgate/tollgate/internal/admission"
)

// What a report says of the caller's number and of the profile, as JSON and CSV, and
// that detail records say and select the same.
func TestUsageReportBySourceAndTags(t *testing.T) {
	h := newHarness(t)
	profile, connection := h.pbx(`{"name":"office","tags":["night","Day"],"whitelisted_destinations":["US","GB"]}`)
	for _, from := range []string{"+13125550100", "+13125550100", "+447400123456", "anonymous"} {
		d := h.reserveFrom(connection, from, "+13125550199").Decision
		if d.Allow {
			h.run(admission.Release{ID: d.ID, Ending: admission.Ending{Cancelled: true, EndedMicros: h.clock.Now().UnixMicro()}})
		}
	}
	target := "/v2/usage_reports?product=sip-trunking&date_range=today&metrics=attempted" +
		"&sort=-attempted,source_country_code" +
		"&dimensions=source_country_code,source_tn_type,is_local_calling,tags,bundle_id"
	row := func(country, kind any, local bool, tags any, attempted float64) map[string]any {
		return map[string]any{
			"source_country_code": country, "source_tn_type": kind, "is_local_calling": local, "tags": tags, "bundle_id": nil,
			"attempted": attempted,
		}
	}
	gb := row("GB", "mobile", false, "night,Day", 1)
	if diff := gocmp.Diff(gb, h.do("GET", target+"&filter[source_country_code]=GB", "").list()[0]); diff != "" {
		t.Errorf("of British callers (-want +got):\n%s", diff)
	}
	diff := gocmp.Diff(row("US", "fixed_line_or_mobile", true, "night,Day", 2), h.do("GET", target, "").list()[0])
	if diff != "" {
		t.Errorf("first row (-want +got):\n%s", diff)
	}
	diff = gocmp.Diff([]map[string]any{gb}, h.do("GET", target+"&filter[source_tn_type]=mobile", "").list())
	if diff != "" {
		t.Errorf("of mobile callers (-want +got):\n%s", diff)
	}
	lines := h.do("GET", target+"&format=csv", "").text
	for _, line := range []string{
		"US,fixed_line_or_mobile,true,\"night,Day\",,2\n", "GB,mobile,false,\"night,Day\",,1\n",
		"\n,,false,\"night,Day\",,1\n",
	} {
		if !strings.Contains(lines, line) {
			t.Errorf("CSV %q does not have %q", lines, line)
		}
	}
	british := "/v2/detail_records?filter[record_type]=sip-trunking" +
		"&filter[source_country_code]=GB&filter[source_tn_type]=mobile"
	records := h.do("GET", british, "").list()
	if len(records) != 1 || records[0]["source_country_code"] != "GB" ||
		records[0]["source_tn_type"] != "mobile" || records[0]["from"] != "+447400123456" {
		t.Errorf("detail records of British mobiles: %v", records)
	}
	h.do("PATCH", "/v2/outbound_voice_profiles/"+profile, `{"tags":[]}`).want(http.StatusOK)
	if rows := h.do("GET", target, "").list(); len(rows) != 3 || rows[0]["tags"] != nil {
		t.Errorf("without tags: %v", rows)
	}
	wrong := h.do("GET", target+"&filter[source_country_code]=UK&filter[source_tn_type]=x", "")
	if wrong.status != http.StatusUnprocessableEntity || !strings.Contains(wrong.text, "GB") {
		t.Errorf("wrong filters: %d %s", wrong.status, wrong.text)
	}
}
