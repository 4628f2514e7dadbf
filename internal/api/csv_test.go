package api

import (
	"encoding/csv"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/money"
)

func TestCellsOfCSV(t *testing.T) {
	for _, c := range []struct {
		value any
		want  string // as a reader of CSV gets it
	}{
		{nil, ""}, {"", ""}, {"plain", "plain"}, {"a-b", "a-b"}, {"a=b", "a=b"}, {-5, "-5"}, {int64(7), "7"}, {true, "true"},
		{money.Amount(-12_500_000), "-0.0125"}, {"=1+1", "'=1+1"}, {`=HYPERLINK("https://evil.example","x")`, `'=HYPERLINK("https://evil.example","x")`},
		{"+4930123", "'+4930123"}, {"-2+3", "'-2+3"}, {"@SUM(A1)", "'@SUM(A1)"}, {"\t=1", "'\t=1"}, {"\r=1", "'\r=1"}, {"\n=1", "'\n=1"}, {" =1", "' =1"},
		{"\ufeff=1", "'\ufeff=1"}, {"\u00a0@x", "'\u00a0@x"}, {"＝1", "'＝1"}, {"'=1", "'=1"}, {"a;=1", "a;=1"}, {"a\n=1", "a\n=1"}, {`a"b`, `a"b`}, {" a ", " a "},
	} {
		var text strings.Builder
		csvLine(&text, []any{c.value, "next"})
		got, err := csv.NewReader(strings.NewReader(text.String())).Read()
		// A reader makes one line break of \r\n only, so that nothing else is changed.
		if err != nil || len(got) != 2 || got[0] != c.want {
			t.Errorf("%q is written as %q, read as %q, %v", c.value, text.String(), got, err)
		}
	}
	// Programs that expect semicolons or tabs see one cell too.
	var text strings.Builder
	csvLine(&text, []any{"a;=cmd()", "b\t=cmd()"})
	if want := "\"a;=cmd()\",\"b\t=cmd()\"\n"; text.String() != want {
		t.Errorf("%q, want %q", text.String(), want)
	}
}

// Tags with commas, quotes and formulas stay what they are in reports, and two lists
// of tags that differ are two rows.
func TestTagsOfReports(t *testing.T) {
	h := newHarness(t)
	lists := []string{`["a,b","c"]`, `["a","b","c"]`, `["=1+1"]`, `["say \"hi\"","x;y"]`, `["line\nbreak"]`, `["-a",""]`}
	wanted := []string{`"a,b",c`, `a,b,c`, `=1+1`, `"say ""hi""",x;y`, "\"line\nbreak\"", `-a,""`}
	for i, list := range lists {
		profile := h.do("POST", "/v2/outbound_voice_profiles", fmt.Sprintf(`{"name":"tagged %d","tags":%s}`, i, list)).want(http.StatusOK)["id"]
		made := h.do("POST", "/v2/ip_connections", fmt.Sprintf(`{"outbound":{"outbound_voice_profile_id":%q}}`, profile)).want(http.StatusCreated)["id"]
		h.reserveFrom(fmt.Sprint(made), "+13125550100", "+13125550123")
	}
	target := fmt.Sprintf("/v2/usage_reports?product=sip-trunking&dimensions=tags&metrics=attempted&start_date=%s&end_date=%s",
		start.Format(time.DateOnly), start.Format(time.DateOnly))
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
