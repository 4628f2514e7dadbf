package sheet_test

import (
	"os"
	"strings"
	"testing"

	"github.com/tollgate/tollgate/internal/rating/sheet"
)

// TestThePageNamesEveryMeaning holds docs/RATES.md to the words that columns may have.
func TestThePageNamesEveryMeaning(t *testing.T) {
	page, err := os.ReadFile("../../../docs/RATES.md")
	if err != nil {
		t.Fatal(err)
	}
	_, row, _ := strings.Cut(string(page), "| `columns` |")
	row, _, _ = strings.Cut(row, "\n")
	for _, word := range sheet.Meanings() {
		if !strings.Contains(row, "`"+word+"`") {
			t.Errorf("docs/RATES.md does not name the meaning %q", word)
		}
	}
}
