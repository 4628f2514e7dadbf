package api

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
)

// TestDeckComparison: what changes from one deck to another, weighed by calls, as JSON and CSV, and in a dry run.
func TestDeckComparison(t *testing.T) {
	const path = "/tollgate/v1/rate_decks"
	h := newHarness(t)
	_, stranger := h.secondAccount()
	_, connection := h.pbx(`{"name":"office","whitelisted_destinations":["US","GB"]}`)
	for _, to := range []string{"+447400123456", "+442079460123", "+13125550199"} {
		call := h.reserve(connection, to).Decision.ID
		h.answer(call)
		h.clock.Advance(90 * time.Second)
		h.settle(call, 90*time.Second)
	}
	const before = "prefix,rate,first_increment,increment,description\n44,0.01,60,60,UK\n4474,0.10,60,60,UK mobile\n" +
		"1,0.02,6,6,US\n53,0.9,60,60,Cuba\n33,0.01,1,1,France\n"
	const after = "prefix,rate,first_increment,increment,effective_at,description\n44,0.02,60,60,,UK\n1,0.02,6,6,,US\n" +
		"33,0.02,1,1,2999-01-01,France\n33,0.005,1,1,,France\n49,0.01,60,60,,Germany\n"
	old := fmt.Sprint(h.send("POST", path+"?name=a", h.sheetHeader("text/csv"), strings.NewReader(before)).
		want(http.StatusCreated)["id"])
	text := strings.ReplaceAll(after, "2999", "2099")
	next := h.send("POST", path+"?name=b&compare_with="+old, h.sheetHeader("text/csv"), strings.NewReader(text)).
		want(http.StatusCreated)
	total := func(calls, callSecs float64, costBefore, costAfter string) map[string]any {
		return map[string]any{"added": 1.0, "gone": 1.0, "dearer": 1.0, "cheaper": 2.0, "mixed": 0.0, "same": 1.0,
			"calls": calls, "call_sec": callSecs, "calls_unpriced": 0.0, "cost_before": costBefore, "cost_after": costAfter}
	}
	if diff := gocmp.Diff(total(0, 0, "0.00", "0.00"), next["comparison"].(map[string]any)["total"]); diff != "" {
		t.Errorf("of an import (-want +got):\n%s", diff)
	}
	compare := path + "/" + fmt.Sprint(next["id"]) + "/compare"
	got := h.do("GET", compare+"?with="+old, "").want(http.StatusOK)
	if diff := gocmp.Diff(total(3, 270, "0.195", "0.09"), got["total"]); diff != "" {
		t.Errorf("weighed (-want +got):\n%s", diff)
	}
	var countries []string
	for _, c := range got["countries"].([]any) {
		countries = append(countries, fmt.Sprint(c.(map[string]any)["country_code"]))
	}
	if diff := gocmp.Diff([]string{"<nil>", "CU", "DE", "FR", "GB"}, countries); diff != "" {
		t.Errorf("countries (-want +got):\n%s", diff)
	}
	got = h.do("GET", compare+"?traffic=false&with="+old, "").want(http.StatusOK)
	if diff := gocmp.Diff(total(0, 0, "0.00", "0.00"), got["total"]); diff != "" {
		t.Errorf("without traffic (-want +got):\n%s", diff)
	}
	list := h.do("GET", compare+"/prefixes?page[size]=2&page[number]=2&with="+old, "").list()
	rate := func(prefix, rate string) map[string]any {
		return map[string]any{"prefix": prefix, "rate": rate, "connect_fee": "0.00", "first_increment": 60.0,
			"increment": 60.0}
	}
	want := []map[string]any{
		{"record_type": "rate_deck_difference", "prefix": "4474", "description": "UK mobile", "country_code": "GB",
			"change": "cheaper", "before": rate("4474", "0.10"), "after": rate("44", "0.02"), "calls": 1.0, "call_sec": 90.0,
			"cost_before": "0.15", "cost_after": "0.03"},
		{"record_type": "rate_deck_difference", "prefix": "49", "description": "Germany", "country_code": "DE",
			"change": "added",
			"before": nil, "after": rate("49", "0.01"), "calls": 0.0, "call_sec": 0.0, "cost_before": "0.00",
			"cost_after": "0.00"}}
	if diff := gocmp.Diff(want, list); diff != "" {
		t.Errorf("second page (-want +got):\n%s", diff)
	}
	lines := h.do("GET", compare+"/prefixes?format=csv&changes=gone,dearer&at=2099-06-01&with="+old, "").text
	if _, rows, _ := strings.Cut(lines, "\n"); rows != ""+
		"33,France,FR,dearer,33,0.01,0.00,1,1,33,0.02,0.00,1,1,0,0,0.00,0.00\n"+
		"44,UK,GB,dearer,44,0.01,0.00,60,60,44,0.02,0.00,60,60,1,90,0.015,0.03\n"+
		"53,Cuba,CU,gone,53,0.90,0.00,60,60,,,,,,0,0,0.00,0.00\n" {
		t.Errorf("CSV %s", rows)
	}
	h.doWith(stranger, "GET", compare+"?with="+old, "").wantError(http.StatusNotFound, "10005 /")
	h.do("GET", compare+"?with=1", "").wantError(http.StatusUnprocessableEntity, "10017 with")
	h.do("GET", compare, "").want(http.StatusOK) // with the default deck
	h.send("POST", path+"?name=b&compare_with=1", h.sheetHeader("text/csv"), strings.NewReader(text)).
		wantError(http.StatusUnprocessableEntity, "10017 compare_with")
}
