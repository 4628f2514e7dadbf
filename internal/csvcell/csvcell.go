// Package csvcell writes texts into cells of CSV so that no spreadsheet takes one for a formula, and reads them back.
package csvcell

import (
	"strings"
	"unicode/utf8"
)

// The characters with which a formula can begin, in the width of East Asian texts too, and those that programs leave
// out before they look.
const (
	formulaStarts = "=+-@＝＋－＠"
	blanks        = " \u00a0\u200b\ufeff"
)

// Protect puts an apostrophe before a text that a spreadsheet could take for a formula, as OWASP's page on CSV
// injection wants, and before one that Plain would take an apostrophe from.
func Protect(text string) string {
	if isFormula(text) || Plain(text) != text {
		return "'" + text
	}
	return text
}

// Plain is a text without the apostrophe that Protect, or a spreadsheet that keeps a number as text, put before it:
// Plain(Protect(text)) is text.
func Plain(text string) string {
	// Of several apostrophes, all but the last were put before the text by Protect.
	bare := strings.TrimLeft(text, "'")
	if len(bare) < len(text) && bare != "" && (isFormula(bare) || bare[0] >= '0' && bare[0] <= '9') {
		return text[1:]
	}
	return text
}

func isFormula(text string) bool {
	if text == "" {
		return false
	}
	if strings.ContainsRune("\t\r\n", rune(text[0])) {
		return true
	}
	bare := strings.TrimLeft(text, blanks)
	first, _ := utf8.DecodeRuneInString(bare)
	return bare != "" && strings.ContainsRune(formulaStarts+"\t\r\n", first)
}

// Quote puts a cell in quotes (RFC 4180) when it holds what ends a cell, in the programs too that expect semicolons or
// tabs: there the rest would be a cell of its own.
func Quote(cell string) string {
	if !strings.ContainsAny(cell, ",;\t\r\n\"'|") && strings.TrimSpace(cell) == cell {
		return cell
	}
	return `"` + strings.ReplaceAll(cell, `"`, `""`) + `"`
}
