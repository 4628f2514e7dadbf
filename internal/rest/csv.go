package rest

import (
	"fmt"
	"strings"

	"github.com/tollgate/tollgate/internal/csvcell"
	"github.com/tollgate/tollgate/internal/money"
)

// CsvLine appends a line of CSV (RFC 4180). Where a spreadsheet could take a text for
// a formula, an apostrophe stands before it, as OWASP's page on CSV injection wants;
// numbers, amounts and truth values are written as they are.
func CsvLine(text *strings.Builder, cells []any) {
	for i, cell := range cells {
		if i > 0 {
			text.WriteByte(',')
		}
		text.WriteString(csvcell.Quote(csvCell(cell)))
	}
	text.WriteByte('\n')
}

func csvCell(value any) string {
	switch v := value.(type) {
	case nil:
		return ""
	case money.Amount:
		return v.String()
	case string:
		return csvcell.Protect(v)
	case fmt.Stringer:
		return csvcell.Protect(v.String())
	}
	return fmt.Sprint(value)
}
