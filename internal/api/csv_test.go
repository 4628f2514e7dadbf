package api

import (
	"encoding/csv"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Tags with commas, quotes and formulas stay what they are in reports, and two lists
// of tags that differ are two rows.
func TestTagsOfReports(t *testing.T) {
	h := newHarness(t)
	lists := []string{`["a,b","c"]`, `["a","b","c"]`, `["=1+1"]`, `["say \"hi\"","x;y"]`, `["line\nbreak"]`, `["-a",""]`}
	wanted := []string{`"a,b",c`, `a,b,c`, `=1+1`, `"say ""hi""",x;y`, "\"line\nbreak\"", `-a,""`}
	for i, list := range lists {
		profile := h.do("POST", "/v2/outbound_voice_profiles", fmt.Sprintf(`{"name":"tagged %d","tags":%s}`, i, list)).
			want(http.StatusOK)["id"]
		made := h.do("POST", "/v2/ip_connections", fmt.Sprintf(`{"outbound":{"outbound_voice_profile_id":%q}}`, profile)).
			want(http.StatusCreated)["id"]
		h.reserveFrom(fmt.Sprint(made), "+13125550100", "+13125550123")
	}
	target := fmt.Sprintf("/v2/usage_reports?product=sip-trunking&dimensions=tags&metrics=attempted"+
		"&start_date=%s&end_date=%s", start.Format(time.DateOnly), start.Format(time.DateOnly))
	found := map[string]bool{}
	for _, row := range h.do("GET", target, "").list() {
		found[fmt.Sprint(row["tags"])] = true
	}
	r := h.do("GET", target+"&format=csv", "")
	lines, err := csv.NewReader(strings.NewReader(r.text)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	cells := map[string]bool{}
	for _, line := range lines {
		cells[line[0]] = true
	}
	for _, want := range wanted {
		if !found[want] {
			t.Errorf("no row for %q: %v", want, found)
		}
		cell := want
		if strings.HasPrefix(want, "=") || strings.HasPrefix(want, "-") {
			cell = "'" + want
		}
		if !cells[cell] {
			t.Errorf("no cell %q: %q", cell, r.text)
		}
		// What was joined is taken apart by any reader of CSV.
		if _, err := csv.NewReader(strings.NewReader(want)).Read(); err != nil {
			t.Errorf("%q: %v", want, err)
		}
	}
}
