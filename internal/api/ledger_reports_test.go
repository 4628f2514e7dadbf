package api

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/record"
)

func TestLedgerBillingGroupReport(t *testing.T) {
	h := newHarness(t)
	group := h.do("POST", "/v2/billing_groups", `{"name":"=sum, \"sales\""}`).want(http.StatusOK)["id"].(string)
	unused := h.do("POST", "/v2/billing_groups", `{"name":"unused"}`).want(http.StatusOK)["id"].(string)
	profile, connection := h.pbx(fmt.Sprintf(`{"name":"office","billing_group_id":%q}`, group))
	call := func(to string) {
		t.Helper()
		made := h.reserve(connection, to).Decision.ID
		h.command(admission.Answer{ID: made, AtMicros: h.clock.Now().UnixMicro()})
		h.clock.Advance(5 * time.Second)
		h.command(admission.Settle{ID: made,
			Ending: admission.Ending{EndedMicros: h.clock.Now().UnixMicro(), Elapsed: 5 * time.Second,
				SIPStatus: 200, Cause: "normal_clearing", Source: record.SideCaller}})
	}
	call("+13125550199")
	call("+13125550198")
	h.do("PATCH", "/v2/outbound_voice_profiles/"+profile, `{"billing_group_id":null}`).want(http.StatusOK)
	call("+13125550197")

	made := h.do("POST", ledgerReportsPath, `{"year":2026,"month":3}`).want(http.StatusOK)
	if made["status"] != "complete" || made["record_type"] != "ledger_billing_group_report" ||
		made["organization_id"] != h.first.OrganizationID.String() {
		t.Errorf("the report: %v", made)
	}
	one := ledgerReportsPath + "/" + made["id"].(string)
	if got := h.do("GET", one, "").want(http.StatusOK); cmp.Diff(made, got) != "" {
		t.Errorf("fetched again: %s", cmp.Diff(made, got))
	}
	address := made["report_url"].(string)
	answer, text := h.fetch(address)
	if answer.StatusCode != http.StatusOK || answer.Header.Get("Content-Type") != "text/csv; charset=utf-8" ||
		!strings.HasPrefix(address, h.url+"/") {
		t.Fatalf("%s: %d %s %v", address, answer.StatusCode, text, answer.Header)
	}
	rows, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	want := [][]string{
		{"year", "month", "billing_group_id", "billing_group_name", "attempted",
			"connected", "completed", "call_sec", "billed_sec", "cost", "currency"},
		{"2026", "3", "", "", "1", "1", "1", "5", "5", "0.05", "USD"},
		{"2026", "3", group, `'=sum, "sales"`, "2", "2", "2", "10", "10", "0.10", "USD"},
		{"2026", "3", unused, "unused", "0", "0", "0", "0", "0", "0.00", "USD"},
	}
	if diff := cmp.Diff(want, rows); diff != "" {
		t.Errorf("the report (-want +got):\n%s", diff)
	}

	for name, bad := range map[string]string{
		"of another report": strings.Replace(address, made["id"].(string), unused, 1),
		"signature":         address[:len(address)-3] + "AAA",
		"another account":   strings.Replace(address, "account="+h.first.ID.String(), "account=7", 1),
		"a recording":       strings.Replace(address, reportSuffix+"?", ".wav?", 1),
	} {
		if answer, text := h.fetch(bad); answer.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %d %s", name, answer.StatusCode, text)
		}
	}
	h.clock.Advance(10*time.Minute + time.Second)
	if answer, text := h.fetch(address); answer.StatusCode != http.StatusForbidden ||
		!bytes.Contains(text, []byte(ledgerReportsPath)) {
		t.Errorf("an address that has expired: %d %s", answer.StatusCode, text)
	}
	h.clock.Advance(30 * 24 * time.Hour)
	if got := h.do("GET", one, "").want(http.StatusOK); got["status"] != "deleted" || got["report_url"] != nil {
		t.Errorf("after 30 days: %v", got)
	}
}

func TestLedgerBillingGroupReportMonths(t *testing.T) {
	h := newHarness(t) // in March 2026
	for body, wanted := range map[string][]string{
		`{"year":2026,"month":13}`:     {"10033 /month"},
		`{"year":2026,"month":0}`:      {"10033 /month"},
		`{"year":2026,"month":4}`:      {"10033 /month"},
		`{"year":2027,"month":1}`:      {"10033 /year"},
		`{"year":1999,"month":1}`:      {"10033 /year"},
		`{"year":2026}`:                {"10004 /month"},
		`{"month":2}`:                  {"10004 /year"},
		`{"year":"2026","month":2}`:    {"10026 /year"},
		`{"year":2026.5,"month":2}`:    {"10026 /year"},
		`{"year":1e3,"month":"March"}`: {"10033 /year", "10026 /month"},
	} {
		h.do("POST", ledgerReportsPath, body).wantError(http.StatusUnprocessableEntity, wanted...)
	}
	for body, month := range map[string]string{
		`{}`: "2026-2", `{"year":2026,"month":3}`: "2026-3", `{"year":2019,"month":10}`: "2019-10",
		`{"year":null,"month":null}`: "2026-2",
	} {
		r := h.do("POST", ledgerReportsPath, body).want(http.StatusOK)
		if got := fmt.Sprint(r["year"], "-", r["month"]); got != month {
			t.Errorf("%q: %s, want %s", body, got, month)
		}
	}
	h.do("GET", ledgerReportsPath+"/f5586561-8ff0-4291-a0ac-84fe544797bd", "").wantError(http.StatusNotFound, "10005 /")
	other, key := h.secondAccount()
	foreign := h.doWith(key, "POST", ledgerReportsPath, `{}`).want(http.StatusOK)
	if foreign["organization_id"] != other.OrganizationID.String() {
		t.Errorf("another account's report: %v", foreign)
	}
	h.do("GET", ledgerReportsPath+"/"+foreign["id"].(string), "").wantError(http.StatusNotFound, "10005 /")
}
