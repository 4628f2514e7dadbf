package rating

import (
	"errors"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tollgate/tollgate/internal/e164"
	"github.com/tollgate/tollgate/internal/money"
)

// The parsers of single cells. Each returns what is wrong as a text for
// RowError.Want, empty if the cell is good.

// maxExcerpt is how much of a bad value an error repeats, in bytes.
const maxExcerpt = 40

// excerpt is a short valid copy of a text from a file, which may be huge or binary.
func excerpt(s string) string {
	if len(s) > maxExcerpt {
		s = s[:maxExcerpt] + "..."
	}
	return strings.ToValidUTF8(strings.Clone(s), "\uFFFD")
}

// parsePrefixCell reads digits, with a plus sign before them or not.
func parsePrefixCell(cell string) (digits, want string) {
	digits = strings.TrimPrefix(cell, "+")
	_, err := ParsePrefix(digits)
	switch {
	case err == nil:
		return digits, ""
	case strings.ContainsAny(digits, ",;/|-: \n") && strings.ContainsAny(digits, "0123456789"):
		return "", "lists and ranges of prefixes are not read: want one prefix in each row, such as 1876"
	case strings.ContainsAny(digits, "eE.") && strings.ContainsAny(digits, "0123456789"):
		return "", "a spreadsheet has rewritten the digits: want the column saved as text, such as 1876"
	}
	return "", "want 1 to 15 digits that do not start with 0, such as 1876"
}

// parseAreaCell reads the digits that follow a country code; there may be none.
func parseAreaCell(countryCode, cell string) (digits, want string) {
	if strings.HasPrefix(cell, "+") {
		return "", "want the digits that follow the country code, without a plus sign"
	}
	digits, want = parsePrefixCell(countryCode + cell)
	if want != "" && len(countryCode)+len(cell) > e164.MaxDigits {
		want = "want at most 15 digits, country code included"
	}
	return digits, want
}

// parsePriceCell reads an amount of dollars, with "$" before it or not.
func parsePriceCell(cell string) (price money.Amount, want string) {
	digits := cell
	if after, ok := strings.CutPrefix(cell, "$"); ok {
		digits = strings.TrimLeft(after, " ")
	}
	price, err := money.Parse(digits)
	switch {
	case err == nil && price <= MaxPrice:
		return price, ""
	case err == nil || errors.Is(err, money.ErrRange):
		return 0, "want at most " + MaxPrice.String() + " dollars"
	case errors.Is(err, money.ErrPrecision):
		return 0, "want at most 9 decimals, such as 0.0125"
	case strings.Contains(digits, ","):
		return 0, "decimal commas and thousands separators are not read: want a decimal point, such as 0.0125"
	}
	return 0, "want an amount of dollars such as 0.0125, without exponent, sign or unit"
}

// parseSecsCell reads an increment.
func parseSecsCell(cell string) (secs int32, want string) {
	value, err := strconv.ParseUint(cell, 10, 32)
	if err != nil || value < 1 || value > MaxIncrement {
		return 0, "want whole seconds from 1 to 3600, such as 60"
	}
	return int32(value), ""
}

// parseIncrementsCell reads an increment, or the first and the next as in "30/6".
func parseIncrementsCell(cell string) (first, next int32, want string) {
	const both = "want whole seconds from 1 to 3600, such as 60, or the first and the next increment, such as 30/6"
	before, after, two := strings.Cut(cell, "/")
	first, want = parseSecsCell(strings.TrimSpace(before))
	if want != "" {
		return 0, 0, both
	}
	if !two {
		return first, first, ""
	}
	next, want = parseSecsCell(strings.TrimSpace(after))
	if want != "" {
		return 0, 0, both
	}
	return first, next, ""
}

// Dates outside these years are slips of the pen.
const (
	firstYear = 2000
	lastYear  = 2099
)

// parseDateCell reads a day, which begins at midnight UTC, or a moment.
func parseDateCell(cell string) (at time.Time, want string) {
	at, err := time.Parse(time.DateOnly, cell)
	if err != nil {
		at, err = time.Parse(time.RFC3339, cell)
	}
	at = at.UTC()
	if err != nil || at.Year() < firstYear || at.Year() > lastYear {
		return time.Time{}, "want a date as 2026-03-01 (midnight UTC) or 2026-03-01T00:00:00Z, in the years 2000 to 2099"
	}
	return at, ""
}

// isDollars says whether a currency is the one that decks are in.
func isDollars(cell string) bool {
	return strings.EqualFold(cell, "USD") || strings.EqualFold(cell, "US$") || cell == "$"
}

func isText(cell string) bool { return utf8.ValidString(cell) && !strings.Contains(cell, "\x00") }
