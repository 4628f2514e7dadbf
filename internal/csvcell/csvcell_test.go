package csvcell

import (
	"encoding/csv"
	"strings"
	"testing"
)

// What Protect writes is no formula, and Plain reads it back.
func FuzzProtect(f *testing.F) {
	for _, text := range []string{"", "'", "=1+1", "'=1", "''=1", "'44", "''44", " =1", "\u00a0@x", "＝1", "'＝1", "\t=1",
		"'x", "-", "+49", "it's", "'\n", "\xff", "' ="} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		cell := Protect(text)
		if isFormula(cell) {
			t.Errorf("%q is written as %q", text, cell)
		}
		if got := Plain(cell); got != text {
			t.Errorf("%q is written as %q and read as %q", text, cell, got)
		}
		read, err := csv.NewReader(strings.NewReader("a," + Quote(cell) + ",b\n")).Read()
		want := strings.ReplaceAll(cell, "\r\n", "\n") // as encoding/csv reads line breaks
		if err != nil || len(read) != 3 || read[1] != want {
			t.Errorf("the cell %q is read as %q: %v", cell, read, err)
		}
	})
}
