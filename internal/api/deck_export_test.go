package api

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// TestDeckExport: what is exported is imported as the same rows, over the parts in which rows are kept too.
func TestDeckExport(t *testing.T) {
	const path = "/tollgate/v1/rate_decks"
	h := newHarness(t)
	_, stranger := h.secondAccount()
	var text strings.Builder
	text.WriteString("prefix,rate,connect_fee,first_increment,increment,effective_at,description\n")
	for i := range 10_050 {
		fmt.Fprintf(&text, "44%05d,0.%02d,0.00,60,1,,\"'=1; \"\"x\"\"\"\n", i, 1+i%99)
	}
	text.WriteString("53,0.123456789,0.50,30,6,2026-03-01T00:00:00.000001Z,\"Cuba, all\nof it\"\n")
	deck := h.send("POST", path+"?name=a", h.sheetHeader("text/csv"), strings.NewReader(text.String())).
		want(http.StatusCreated)
	export := path + "/" + fmt.Sprint(deck["id"]) + "/export"
	got := h.do("GET", export, "")
	if got.text != text.String() {
		t.Errorf("the export has %d bytes and begins with %.300s", len(got.text), got.text)
	}
	if kind := got.header.Get("Content-Type"); kind != "text/csv; charset=utf-8" {
		t.Errorf("the export is %q", kind)
	}
	h.doWith(stranger, "GET", export, "").wantError(http.StatusNotFound, "10005 /")
	h.do("DELETE", path+"/"+fmt.Sprint(deck["id"]), "").want(http.StatusOK)
	h.do("GET", export, "").wantError(http.StatusNotFound, "10005 /")
}
