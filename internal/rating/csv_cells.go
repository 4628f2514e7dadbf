package rating

import (
	"errors"
	"fmt"
	"slices"
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

// maxCodes bounds the prefixes that one cell may list.
const maxCodes = 1000

// parseCodesCell reads the prefixes of a cell that follow countryCode, which may
// be "": one, a list as "9370;9371", ranges as "447700-447799", which become the
// shortest prefixes that cover them, and both behind a country code as in
// "44 7700-7799".
func parseCodesCell(countryCode, cell string) (codes []string, want string) {
	if digits := strings.TrimPrefix(cell, "+"); allDigits(digits) { // as nearly always
		return appendCode(nil, countryCode+digits)
	}
	cell = strings.ReplaceAll(cell, "\u00a0", " ")
	lead, rest, spaced := strings.Cut(cell, " ")
	if lead = strings.TrimPrefix(lead, "+"); spaced && allDigits(lead) && strings.ContainsAny(rest, "-,;") &&
		!strings.ContainsAny(rest, " +") {
		countryCode, cell = countryCode+lead, rest
	}
	parts := strings.FieldsFunc(cell, func(r rune) bool { return strings.ContainsRune(",;/|\n", r) })
	if len(parts) == 0 {
		return nil, wantPrefix
	}
	for _, part := range parts {
		part = strings.TrimPrefix(strings.TrimSpace(part), "+")
		from, to, isRange := strings.Cut(part, "-")
		if isRange {
			from, to = strings.TrimSpace(from), strings.TrimPrefix(strings.TrimSpace(to), "+")
			codes, want = appendRange(codes, countryCode+from, countryCode+to)
		} else {
			codes, want = appendCode(codes, countryCode+strings.TrimSuffix(part, ".0"))
		}
		if want != "" {
			return nil, want
		}
		if len(codes) > maxCodes {
			return nil, fmt.Sprintf("want at most %d prefixes in a field", maxCodes)
		}
	}
	slices.Sort(codes)
	return slices.Compact(codes), ""
}

const wantPrefix = "want 1 to 15 digits that do not start with 0, such as 1876, or a list 9370;9371, " +
	"or a range 447700-447799"

func appendCode(codes []string, digits string) (all []string, want string) {
	_, err := ParsePrefix(digits)
	switch {
	case err == nil:
		return append(codes, digits), ""
	case strings.ContainsAny(digits, "^*[]_X()"):
		return nil, "patterns are not read: " + wantPrefix
	case strings.ContainsAny(digits, "eE.") && strings.Trim(digits, "0123456789eE.+") == "" && digits != "":
		return nil, "a spreadsheet has rewritten the digits: want the column saved as text, such as 1876"
	case strings.Contains(digits, " "):
		return nil, "want the digits together, such as 447700, and lists separated by a semicolon, such as 9370;9371"
	}
	return nil, wantPrefix
}

// appendRange covers the codes of a range, both ends included, by as few prefixes
// as can be.
func appendRange(codes []string, from, to string) (all []string, want string) {
	low, errLow := ParsePrefix(from)
	high, errHigh := ParsePrefix(to)
	if errLow != nil || errHigh != nil || len(from) != len(to) || low > high {
		return nil, "not a range: want two codes of the same length in ascending order, such as 447700-447799"
	}
	for low <= high {
		step, zeros := Prefix(1), 0
		for zeros < low.Len()-1 && low%(step*10) == 0 && low+step*10-1 <= high {
			step *= 10
			zeros++
		}
		codes = append(codes, strconv.FormatUint(uint64(low/step), 10))
		if len(codes) > maxCodes {
			return nil, fmt.Sprintf("want a range of at most %d prefixes", maxCodes)
		}
		low += step
	}
	return codes, ""
}

// parseAreaCell reads the codes that follow a country code; there may be none.
func parseAreaCell(countryCode, cell string) (codes []string, want string) {
	if strings.HasPrefix(cell, "+") {
		return nil, "want the digits that follow the country code, without a plus sign"
	}
	if cell == "" {
		return []string{countryCode}, ""
	}
	codes, want = parseCodesCell(countryCode, cell)
	if want != "" && len(countryCode)+len(cell) > e164.MaxDigits && allDigits(cell) {
		want = "want at most 15 digits, country code included"
	}
	return codes, want
}

// allDigits is false for "".
func allDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

const wantDecimals = "want at most 9 decimals, such as 0.0125"

// parsePriceCell reads an amount of dollars: with a sign or word for dollars or
// not, with a decimal point or a decimal comma.
func parsePriceCell(cell string) (price money.Amount, want string) {
	price, err := money.Parse(cell) // as nearly always
	if err != nil {
		var digits string
		if digits, want = plainAmount(cell); want != "" {
			return 0, want
		}
		price, err = money.Parse(digits)
	}
	switch {
	case err == nil && price <= MaxPrice:
		return price, ""
	case err == nil || errors.Is(err, money.ErrRange):
		return 0, "want at most " + MaxPrice.String() + " dollars"
	case errors.Is(err, money.ErrPrecision):
		return 0, wantDecimals
	}
	return 0, "want an amount of dollars such as 0.0125, without sign or unit"
}

// plainAmount writes an amount as money.Parse reads it.
func plainAmount(cell string) (digits, want string) {
	digits, foreign := trimDollars(cell)
	if foreign != "" {
		return "", "the amount is in " + foreign + ": want an amount of US dollars, with a decimal point, such as 0.0125"
	}
	whole, decimals, comma := strings.Cut(digits, ",")
	switch {
	case !comma:
	case strings.ContainsAny(decimals, ",.") || strings.Contains(whole, "."):
		return "", "thousands separators are not read: want a decimal point alone, such as 1234.5"
	case len(decimals) == 3 && strings.Trim(whole, "0") != "":
		return "", "the comma may be a decimal comma or a thousands separator: want a decimal point, such as 1.234"
	default:
		digits = whole + "." + decimals
	}
	if strings.HasPrefix(digits, ".") {
		digits = "0" + digits
	}
	if mantissa, exponent, ok := strings.Cut(strings.ToUpper(digits), "E"); ok {
		digits, ok = shift(mantissa, exponent)
		if !ok {
			return "", "want an amount of dollars without exponent, such as 0.0125"
		}
	}
	return withoutNoise(digits), ""
}

// trimDollars takes the signs and words of dollars off an amount, and names the
// currency of one in another.
func trimDollars(cell string) (digits, foreign string) {
	digits = strings.ReplaceAll(cell, "\u00a0", " ")
	for _, word := range []string{"US$", "USD", "$"} {
		if len(digits) >= len(word) && strings.EqualFold(digits[:len(word)], word) {
			digits = digits[len(word):]
			break
		}
		if at := len(digits) - len(word); at >= 0 && strings.EqualFold(digits[at:], word) {
			digits = digits[:at]
			break
		}
	}
	return strings.TrimSpace(digits), foreignCurrency(digits)
}

// foreignCurrency names a currency that a text has beside its other words.
func foreignCurrency(text string) string {
	for sign, code := range map[string]string{"€": "EUR", "£": "GBP", "¥": "JPY", "₹": "INR", "₽": "RUB"} {
		if strings.Contains(text, sign) {
			return code
		}
	}
	for _, word := range strings.FieldsFunc(strings.ToUpper(text), func(r rune) bool { return r < 'A' || r > 'Z' }) {
		if slices.Contains(currencies, word) {
			return word
		}
	}
	return ""
}

// currencies are those in which carriers write price lists, beside the dollar.
var currencies = split(`EUR GBP CHF CAD AUD NZD JPY CNY INR RUB BRL MXN ZAR SEK NOK DKK PLN CZK HUF TRY UAH AED SGD HKD
	ARS CLP COP PEN EURO EUROS POUNDS STERLING`)

// shift writes a number with an exponent without it.
func shift(mantissa, exponent string) (digits string, ok bool) {
	power, err := strconv.Atoi(exponent)
	whole, decimals, _ := strings.Cut(mantissa, ".")
	if err != nil || power < -30 || power > 30 || !allDigits(whole+decimals) {
		return "", false
	}
	point := len(whole) + power
	digits = whole + decimals
	if point <= 0 {
		digits = strings.Repeat("0", 1-point) + digits
		point = 1
	}
	if point > len(digits) {
		digits += strings.Repeat("0", point-len(digits))
	}
	head := strings.TrimLeft(digits[:point], "0")
	return max(head, "0") + strings.TrimRight("."+digits[point:], "0."), true
}

// withoutNoise mends the last digits of a binary fraction, as in
// 0.012300000000000001 or 0.0094999999999999998: from the tenth decimal on there
// are at least three zeros or nines, and 15 digits before the last.
func withoutNoise(digits string) string {
	const kept, seen, significant = 9, 3, 15
	whole, decimals, _ := strings.Cut(digits, ".")
	if len(decimals) < kept+seen || !allDigits(whole+decimals) ||
		len(strings.TrimLeft(whole+decimals, "0")) < significant {
		return digits
	}
	switch decimals[kept : kept+seen] {
	case "000":
		return whole + "." + decimals[:kept]
	case "999":
		value, err := strconv.ParseUint(whole+decimals[:kept], 10, 62)
		if err != nil {
			return digits
		}
		text := fmt.Sprintf("%0*d", kept+1, value+1)
		return text[:len(text)-kept] + "." + text[len(text)-kept:]
	}
	return digits
}

// isZero says whether a cell says that a term does not exist.
func isZero(cell string) bool {
	cell = strings.TrimSpace(strings.Trim(cell, "$%"))
	if cell == "" || cell == "-" || strings.EqualFold(cell, "none") {
		return true
	}
	cell = strings.TrimRight(strings.ToLower(cell), "s")
	return strings.Trim(cell, "0.,") == "" && strings.Contains(cell, "0") || noWords[cell]
}

// parseSecsCell reads an increment: 60, 60s, "60 sec" or 1m.
func parseSecsCell(cell string) (secs int32, want string) {
	digits := strings.TrimSuffix(cell, ".0")
	scale := uint64(1)
	if !allDigits(digits) {
		digits, scale = trimUnit(strings.ToLower(digits))
	}
	value, err := strconv.ParseUint(digits, 10, 32)
	if err != nil || value*scale < 1 || value*scale > MaxIncrement {
		return 0, "want whole seconds from 1 to 3600, such as 60"
	}
	return int32(value * scale), ""
}

func trimUnit(cell string) (digits string, scale uint64) {
	for _, unit := range []struct {
		name  string
		scale uint64
	}{{"seconds", 1}, {"second", 1}, {"secs", 1}, {"sec", 1}, {"s", 1}, {"minutes", 60}, {"minute", 60},
		{"mins", 60}, {"min", 60}, {"m", 60}} {
		if digits, ok := strings.CutSuffix(cell, unit.name); ok {
			return strings.TrimSpace(digits), unit.scale
		}
	}
	return cell, 1
}

// parseIncrementsCell reads an increment, or the first and the next as in "30/6",
// "30+6", "30-6" or "30,6".
func parseIncrementsCell(cell string) (first, next int32, want string) {
	const both = "want whole seconds from 1 to 3600, such as 60, or the first and the next increment, such as 30/6"
	before, after, two := cell, "", false
	if at := strings.IndexAny(cell, "/+-,;|"); at >= 0 {
		before, after, two = cell[:at], cell[at+1:], true
	}
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

// isMinute says whether a unit of prices is the minute.
func isMinute(cell string) bool {
	plain := strings.TrimPrefix(plainName(cell), "usd")
	switch strings.TrimPrefix(plain, "per") {
	case "", "min", "mins", "minute", "minutes", "60", "60s", "60sec", "60secs", "60seconds", "1m", "1min", "1minute", "m",
		"minuto", "minutos":
		return true
	}
	return false
}

// Dates outside these years are slips of the pen.
const (
	firstYear = 2000
	lastYear  = 2099
)

const wantDate = "want a date as 2026-03-01 (midnight UTC) or 2026-03-01T00:00:00Z, in the years 2000 to 2099"

// dateLayouts are the ways of writing a moment that can be read only in one way.
var dateLayouts = []string{time.DateOnly, time.RFC3339, time.DateTime, "2006-01-02 15:04", "2006/01/02",
	"2006/01/02 15:04:05", "2006.01.02", "2006-01-02T15:04:05", "2006-01-02 15:04:05-07", "2006-01-02 15:04:05-07:00",
	"2006-01-02 15:04:05 UTC", "20060102", "2-Jan-2006", "2 Jan 2006", "2 January 2006", "Jan 2, 2006",
	"January 2, 2006", "2-January-2006", "2/Jan/2006", "2.1.2006", "2.1.2006 15:04", "2.1.2006 15:04:05"}

// orders of day and month, as layouts. A date such as 03/04/2026 is both.
var (
	dayFirst   = []string{"2/1/2006", "2-1-2006", "2/1/2006 15:04", "2/1/2006 15:04:05", "2-1-2006 15:04:05"}
	monthFirst = []string{"1/2/2006", "1-2-2006", "1/2/2006 15:04", "1/2/2006 15:04:05", "1-2-2006 15:04:05"}
)

// parseDateCell reads a day, which begins at midnight UTC, or a moment.
func parseDateCell(cell string) (at time.Time, want string) {
	at, ok := parseLayouts(cell, dateLayouts)
	if !ok {
		return time.Time{}, wantDate
	}
	return at, ""
}

func parseLayouts(cell string, layouts []string) (at time.Time, ok bool) {
	for _, layout := range layouts {
		at, err := time.Parse(layout, cell)
		if at = at.UTC(); err == nil && at.Year() >= firstYear && at.Year() <= lastYear {
			return at, true
		}
	}
	return time.Time{}, false
}

// isDollars says whether a currency is the one that decks are in.
func isDollars(cell string) bool {
	return strings.EqualFold(cell, "USD") || strings.EqualFold(cell, "US$") || cell == "$"
}

func isText(cell string) bool { return utf8.ValidString(cell) && !strings.Contains(cell, "\x00") }
