package rest

import (
	"fmt"
	"strings"

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
		text.WriteString(csvQuote(csvCell(cell)))
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
		return harmlessCell(v)
	case fmt.Stringer:
		return harmlessCell(v.String())
	}
	return fmt.Sprint(value)
}

// The characters with which a formula can begin, in the width of East Asian texts
// too, and those that programs leave out before they look.
const (
	formulaStarts = "=+-@＝＋－＠"
	cellBlanks    = " \u00a0\u200b\ufeff"
)

// harmlessCell puts an apostrophe before what is no plain text in a spreadsheet.
func harmlessCell(text string) string {
	if text == "" {
		return ""
	}
	if strings.ContainsRune("\t\r\n", rune(text[0])) {
		return "'" + text
	}
	if rest := strings.TrimLeft(text, cellBlanks); rest != "" &&
		strings.ContainsRune(formulaStarts+"\t\r\n", firstRune(rest)) {
		return "'" + text
	}
	return text
}

func firstRune(text string) rune {
	for _, r := range text {
		return r
	}
	return 0
}

// csvQuote puts a cell in quotes when it holds what ends a cell, in the programs too
// that expect semicolons or tabs: there the rest would be a cell of its own.
func csvQuote(cell string) string {
	if !strings.ContainsAny(cell, ",;\t\r\n\"'|") && strings.TrimSpace(cell) == cell {
		return cell
	}
	return `"` + strings.ReplaceAll(cell, `"`, `""`) + `"`
}
