package sheet

import (
	"errors"
	"math/big"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/rating"
)

// The parsers of single cells. Each returns what is wrong as a text for RowError.Want, empty if the cell is good.

// maxExcerpt is how much of a bad value an error repeats, in bytes.
const maxExcerpt = 40

// excerpt is a short valid copy of a text from a file, which may be huge or binary.
func excerpt(s string) string {
	if len(s) > maxExcerpt {
		s = s[:maxExcerpt] + "..."
	}
	return strings.ToValidUTF8(strings.Clone(s), "\uFFFD")
}

// decimals is what the prices of a column say of their form.
type decimals int

const (
	plain          decimals = iota // 12
	point                          // 0.0125
	comma                          // 0,0125
	commaOrGroup                   // 1,250: a price, or a thousand
	maxPriceDigits = 40
)

var (
	numberForm  = regexp.MustCompile(`^[0-9]*([.,][0-9]+)?([eE][-+]?[0-9]{1,2})?$`)
	currencyUSD = regexp.MustCompile(`(?i)^(us\$|usd|\$)\s*|\s*(us\$|usd|\$)$`)
	perMinute   = regexp.MustCompile(`(?i)\s*(/|per)\s*min(ute)?$`)
)

// parsePrice reads an amount of dollars: with "$" or "USD" before or after it, with a decimal point or comma, as a
// spreadsheet writes it (9.5E-03, 0.012300000000000001), or without a digit before the point.
func parsePrice(cell string) (price money.Amount, form decimals, want string) {
	digits := perMinute.ReplaceAllString(cell, "")
	digits = currencyUSD.ReplaceAllString(digits, "")
	switch {
	case strings.HasPrefix(digits, "-") || strings.HasPrefix(digits, "+") || strings.HasPrefix(digits, "("):
		return 0, plain, "want an amount of dollars without a sign, such as 0.0125"
	case strings.Count(digits, ",") > 1 || strings.Contains(digits, ",") && strings.Contains(digits, "."):
		return 0, plain, "thousands separators are not read: want an amount of dollars such as 0.0125"
	case len(digits) > maxPriceDigits && allDigits(digits):
		return 0, plain, "want at most " + rating.MaxPrice.String() + " dollars"
	case digits == "" || len(digits) > maxPriceDigits || !numberForm.MatchString(digits) || digits[0] == 'e' ||
		digits[0] == 'E':
		return 0, plain, "want an amount of dollars such as 0.0125, with one decimal point or comma and no other unit"
	}
	form = formOf(digits)
	digits = strings.Replace(digits, ",", ".", 1)
	if digits[0] == '.' {
		digits = "0" + digits
	}
	price, err := money.Parse(digits)
	if errors.Is(err, money.ErrPrecision) || strings.ContainsAny(digits, "eE") {
		price, err = money.Parse(shortest(digits))
	}
	switch {
	case err == nil && price <= rating.MaxPrice:
		return price, form, ""
	case err == nil || errors.Is(err, money.ErrRange):
		return 0, form, "want at most " + rating.MaxPrice.String() + " dollars"
	case errors.Is(err, money.ErrPrecision):
		return 0, form, "want at most 9 decimals, such as 0.0125"
	}
	return 0, form, "want an amount of dollars such as 0.0125"
}

// formOf tells how the decimals of a number are written.
func formOf(digits string) decimals {
	before, after, found := strings.Cut(digits, ",")
	switch {
	case found && len(after) == 3 && strings.TrimLeft(before, "0") != "" && len(before) <= 3:
		return commaOrGroup
	case found:
		return comma
	case strings.Contains(digits, "."):
		return point
	}
	return plain
}

// shortest is a number as it was before a program wrote it with an exponent, or with the noise of a binary fraction,
// which begins at the sixteenth digit.
func shortest(digits string) string {
	exact, ok := new(big.Rat).SetString(digits)
	if !ok {
		return digits
	}
	mantissa, _, _ := strings.Cut(strings.ToLower(digits), "e")
	if significant := strings.Trim(strings.Replace(mantissa, ".", "", 1), "0"); len(significant) >= 15 {
		approximate, _ := exact.Float64()
		rounded := strconv.FormatFloat(approximate, 'g', 14, 64)
		if exact, ok = new(big.Rat).SetString(rounded); !ok {
			return digits
		}
	}
	const most = 18 // more than money takes, so that a longer number is refused by it
	text := strings.TrimRight(exact.FloatString(most), "0")
	return strings.TrimSuffix(text, ".")
}

var secondsForm = regexp.MustCompile(`(?i)^([0-9]{1,9})(\.0+)?\s*(s|sec|secs|seconds?)?$`)

// parseSecs reads an increment, with its unit or without.
func parseSecs(cell string) (secs int32, want string) {
	match := secondsForm.FindStringSubmatch(cell)
	if match == nil {
		return 0, "want whole seconds from 1 to 3600, such as 60"
	}
	value, err := strconv.ParseUint(match[1], 10, 32)
	if err != nil || value < 1 || value > rating.MaxIncrement {
		return 0, "want whole seconds from 1 to 3600, such as 60"
	}
	return int32(value), ""
}

var incrementsForm = regexp.MustCompile(`^([^/+:;,x|-]+)([/+:;,x|-]([^/+:;,x|-]+))?$`)

// parseIncrements reads an increment, or the first and the next as in "30/6".
func parseIncrements(cell string) (first, next int32, want string) {
	const both = "want whole seconds from 1 to 3600, such as 60, or the first and the next increment, such as 30/6"
	match := incrementsForm.FindStringSubmatch(cell)
	if match == nil {
		return 0, 0, both
	}
	first, want = parseSecs(strings.TrimSpace(match[1]))
	if want != "" {
		return 0, 0, both
	}
	if match[2] == "" {
		return first, first, ""
	}
	next, want = parseSecs(strings.TrimSpace(match[3]))
	if want != "" {
		return 0, 0, both
	}
	return first, next, ""
}

// isDollars reports whether a currency is the one that decks are in.
func isDollars(cell string) bool {
	return strings.EqualFold(cell, "USD") || strings.EqualFold(cell, "US$") || cell == "$" ||
		strings.EqualFold(cell, "US dollar") || strings.EqualFold(cell, "US dollars")
}

// isMinute reports whether the unit of a price is a minute.
func isMinute(cell string) bool {
	switch strings.TrimSuffix(strings.TrimPrefix(strings.ToLower(strings.ReplaceAll(cell, " ", "")), "per"), "s") {
	case "min", "minute", "/min", "/minute", "60", "60sec", "60second", "1min", "1minute", "1m", "m", "minuto", "minuten":
		return true
	}
	return false
}

// isZero reports whether a cell says that there is nothing of what its column is about.
func isZero(cell string) bool {
	digits := strings.TrimSpace(strings.TrimSuffix(currencyUSD.ReplaceAllString(cell, ""), "%"))
	digits = strings.TrimRight(strings.TrimRight(strings.ToLower(digits), "sec"), " ")
	switch strings.ToLower(strings.TrimSpace(cell)) {
	case "", "-", "no", "none", "n/a", "na", "null":
		return true
	}
	return digits != "" && strings.Trim(digits, "0.,") == "" && strings.Contains(digits, "0")
}

// standing is whether a row holds.
type standing int

const (
	holds standing = iota
	gone           // withdrawn, blocked, or not yet opened
	unclear
)

// goneWords and holdingWords are in status columns, in the form that plainName makes.
var (
	goneWords = []string{"blocked", "closed", "coderemoval", "coderemoved", "removal", "removed", "remove", "deleted",
		"delete",
		"deletion", "withdrawn", "withdraw", "discontinued", "discontinue", "forbidden", "suspended", "inactive", "disabled",
		"disable", "block", "close", "closing", "notavailable", "unavailable", "na", "notoffered", "nolongeroffered", "d",
		"del",
		"end", "ended", "expired", "obsolete", "dropped", "drop", "prohibited", "denied", "barred", "destinationclosed",
		"codeclosed", "destinationremoved", "destinationblocked", "b", "bloqueado", "cerrado", "eliminado", "baja", "fechado",
		"removido", "bloqué", "fermé", "supprimé", "gesperrt", "gelöscht", "entfernt", "inaktiv", "inactivo", "inativo"}
	holdingWords = []string{"", "active", "open", "opened", "new", "newcode", "newdestination", "newrate", "added", "add",
		"addition", "codeadded", "codeaddition", "increase", "increased", "rateincrease", "priceincrease", "increasing",
		"decrease", "decreased", "ratedecrease", "pricedecrease", "decreasing", "unchanged", "nochange", "same", "current",
		"currentrate", "pending", "changed", "change", "ratechange", "update", "updated", "enabled", "enable", "valid",
		"effective", "available", "ok", "yes", "allowed", "i", "n", "nc", "u", "up", "down", "a", "increasedrate",
		"decreasedrate",
		"activo", "abierto", "nuevo", "sincambio", "aumento", "disminucion", "disminución", "ativo", "novo", "actif",
		"nouveau",
		"ouvert", "aktiv", "neu", "unverändert", "erhöhung", "senkung", "codechange", "noratechange", "notchanged"}
	signedNumber = regexp.MustCompile(`^[-+]?[0-9]*[.,]?[0-9]+\s*%?$`)
)

// parseStatus reads what a status column says of its row. A column of changes may have the amount of each.
func parseStatus(cell string) standing {
	word := plainName(cell)
	switch {
	case contains(goneWords, word):
		return gone
	case contains(holdingWords, word) || signedNumber.MatchString(cell):
		return holds
	}
	return unclear
}

// parseFlag reads a column of yes and no; "" is no answer.
func parseFlag(cell string) (yes, known bool) {
	switch strings.ToLower(strings.TrimSuffix(cell, ".0")) {
	case "1", "yes", "y", "true", "t", "on", "active", "enabled", "si", "sí", "sim", "oui", "ja", "x":
		return true, true
	case "0", "no", "n", "false", "f", "off", "inactive", "disabled", "não", "nao", "non", "nein":
		return false, true
	}
	return false, false
}

func contains(words []string, word string) bool {
	for _, w := range words {
		if w == word {
			return true
		}
	}
	return false
}

func isText(cell string) bool { return utf8.ValidString(cell) && !strings.Contains(cell, "\x00") }
