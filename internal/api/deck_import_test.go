package api

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// sheetHeader is the header of a request with a price sheet.
func (h *harness) sheetHeader(kind string) http.Header {
	return http.Header{"Authorization": {"Bearer " + h.key}, "Content-Type": {kind}}
}

// TestSheetIsReported has what an import says of its file, first in a dry run, which keeps nothing.
func TestSheetIsReported(t *testing.T) {
	h := newHarness(t)
	const text = "Acme\nPrefix;Rate;Status;Pulse rule\n53;0,9;Blocked;1/1\n44;0,0123;;60/1\n"
	query := url.Values{"name": {"acme"}, "columns": {`{"Pulse rule":"increments"}`}, "dry_run": {"true"}}
	target := "/tollgate/v1/rate_decks?"
	for _, dry := range []bool{true, false} {
		reply := h.send("POST", target+query.Encode(), h.sheetHeader("text/plain"), strings.NewReader(text))
		got := reply.want(http.StatusCreated)["import"]
		want := map[string]any{"format": "text", "encoding": "UTF-8", "separator": ";", "sheet": nil, "header_line": 2.0,
			"columns": []any{
				map[string]any{"name": "Prefix", "meaning": "prefix"}, map[string]any{"name": "Rate", "meaning": "rate"},
				map[string]any{"name": "Status", "meaning": "status"},
				map[string]any{"name": "Pulse rule", "meaning": "increments"}},
			"rows": 1.0, "rows_skipped": 1.0, "rows_repeated": 0.0,
			"skipped": []any{map[string]any{"line": 3.0, "prefix": "53", "reason": `Status is "Blocked"`}},
			"notes":   []any{map[string]any{"line": 1.0, "text": "Acme"}},
			"sample": []any{map[string]any{"record_type": "rate_deck_row", "prefix": "44", "rate": "0.0123",
				"connect_fee": "0.00", "first_increment": 60.0, "increment": 1.0, "description": "", "effective_at": nil,
				"line": 4.0}}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("dry run %v (-want +got):\n%s", dry, diff)
		}
		if decks := h.do("GET", "/tollgate/v1/rate_decks", "").list(); dry != (len(decks) == 0) {
			t.Errorf("dry run %v: decks %v", dry, decks)
		}
		query.Del("dry_run")
	}
}

// TestSheetQuestions has the parameters that answer what a sheet leaves open, and what is refused without them.
func TestSheetQuestions(t *testing.T) {
	h := newHarness(t)
	for _, c := range []struct{ text, answer, value string }{
		{"prefix,rate,days\n44,0.01,Mon-Sun\n", "columns", `{"days":"ignore"}`},
		{"prefix;rate\n44;1,234\n", "decimal", "comma"},
		{"prefix,rate,effective\n44,0.01,3/4/2026\n", "dates", "dmy"},
		{"prefix,rate\n+20,0.01\n201,0.02\n", "bare_codes", "nanp"},
		{"All in EUR\nprefix,rate\n44,0.01\n", "notes", "ignore"},
	} {
		query := url.Values{"name": {"x"}}
		h.send("POST", "/tollgate/v1/rate_decks?"+query.Encode(), h.sheetHeader("text/csv"), strings.NewReader(c.text)).
			want(http.StatusUnprocessableEntity)
		query.Set(c.answer, c.value)
		h.send("POST", "/tollgate/v1/rate_decks?"+query.Encode(), h.sheetHeader("text/csv"), strings.NewReader(c.text)).
			want(http.StatusCreated)
	}
	h.send("POST", "/tollgate/v1/rate_decks?name=x&columns=%7B%22a%22:%22b%22%7D", h.sheetHeader("text/csv"),
		strings.NewReader("prefix,rate\n1,1\n")).wantError(http.StatusUnprocessableEntity, "10015 columns")
	h.send("POST", "/tollgate/v1/rate_decks?name=x", h.sheetHeader("multipart/form-data; boundary=X"),
		strings.NewReader("--X\r\n")).want(http.StatusUnsupportedMediaType)
}
