package rest

import (
	"encoding/csv"
	"strings"
	"testing"

	"github.com/tollgate/tollgate/internal/money"
)

func TestCellsOfCSV(t *testing.T) {
	for _, c := range []struct {
		value any
		want  string // as a reader of CSV gets it
	}{
		{nil, ""}, {"", ""}, {"plain", "plain"}, {"a-b", "a-b"}, {"a=b", "a=b"}, {-5, "-5"}, {int64(7), "7"}, {true, "true"},
		{money.Amount(-12_500_000), "-0.0125"}, {"=1+1", "'=1+1"},
		{`=HYPERLINK("https://evil.example","x")`, `'=HYPERLINK("https://evil.example","x")`}, {"+4930123", "'+4930123"},
		{"-2+3", "'-2+3"}, {"@SUM(A1)", "'@SUM(A1)"}, {"\t=1", "'\t=1"}, {"\r=1", "'\r=1"}, {"\n=1", "'\n=1"},
		{" =1", "' =1"}, {"\ufeff=1", "'\ufeff=1"}, {"\u00a0@x", "'\u00a0@x"}, {"＝1", "'＝1"}, {"'=1", "''=1"},
		{"a;=1", "a;=1"}, {"a\n=1", "a\n=1"}, {`a"b`, `a"b`}, {" a ", " a "},
	} {
		var text strings.Builder
		CsvLine(&text, []any{c.value, "next"})
		got, err := csv.NewReader(strings.NewReader(text.String())).Read()
		// A reader makes one line break of \r\n only, so that nothing else is changed.
		if err != nil || len(got) != 2 || got[0] != c.want {
			t.Errorf("%q is written as %q, read as %q, %v", c.value, text.String(), got, err)
		}
	}
	// Programs that expect semicolons or tabs see one cell too.
	var text strings.Builder
	CsvLine(&text, []any{"a;=cmd()", "b\t=cmd()"})
	if want := "\"a;=cmd()\",\"b\t=cmd()\"\n"; text.String() != want {
		t.Errorf("%q, want %q", text.String(), want)
	}
}
