package rest

import (
	"math/big"
	"strconv"
	"strings"

	"github.com/tollgate/tollgate/internal/id"
)

// decimal is a JSON number as it stands in a text, read exactly: its digits times ten
// to a power. Nothing is expanded, so 1e999999999 takes no more room than 1.
type decimal struct {
	negative bool
	digits   string // neither the first nor the last one is 0; "" is zero
	power    int
}

// maxPower is far beyond every power that a value can have. Greater ones become it.
const maxPower = 1 << 40

// readDecimal reads a number that the JSON reader has accepted.
func readDecimal(number Literal) decimal {
	text := string(number)
	mantissa, exponent := text, 0
	if at := strings.IndexAny(text, "eE"); at >= 0 {
		mantissa, exponent = text[:at], readExponent(text[at+1:])
	}
	mantissa, negative := strings.CutPrefix(mantissa, "-")
	whole, fraction, _ := strings.Cut(mantissa, ".")
	digits := strings.TrimLeft(whole+fraction, "0")
	trimmed := strings.TrimRight(digits, "0")
	if trimmed == "" {
		return decimal{negative: negative}
	}
	return decimal{negative: negative, digits: trimmed, power: exponent - len(fraction) + len(digits) - len(trimmed)}
}

func readExponent(text string) int {
	digits := strings.TrimLeft(strings.TrimLeft(text, "+-"), "0")
	exponent := maxPower
	if len(digits) <= len("999999999999") {
		exponent, _ = strconv.Atoi("0" + digits)
	}
	if text[0] == '-' {
		return -min(exponent, maxPower)
	}
	return min(exponent, maxPower)
}

// Limits of what is expanded. Every number of this API is below 10^19, and what has
// more digits after the point than maxDecimals has more than any of them keeps.
const (
	maxWholeDigits = 19
	maxDecimals    = 40
)

// wholeDigits is how many digits the number has before the point; not above 0 when it
// has none there but 0.
func (d decimal) wholeDigits() int { return len(d.digits) + d.power }

// decimals is how many digits the number has after the point.
func (d decimal) decimals() int { return max(0, -d.power) }

// plain is the number without an exponent. Only numbers within the limits above may be
// asked for it. That of -0 is 0.
func (d decimal) plain() string {
	if d.negative && d.digits != "" {
		return "-" + d.magnitude()
	}
	return d.magnitude()
}

func (d decimal) magnitude() string {
	switch {
	case d.digits == "":
		return "0"
	case d.power >= 0:
		return d.digits + strings.Repeat("0", d.power)
	case d.wholeDigits() > 0:
		at := d.wholeDigits()
		return d.digits[:at] + "." + d.digits[at:]
	}
	return "0." + strings.Repeat("0", -d.wholeDigits()) + d.digits
}

// compare compares the number with a whole one, as cmp.Compare does.
func (d decimal) compare(with int64) int {
	switch {
	case d.digits == "":
		return new(big.Int).Cmp(big.NewInt(with))
	case d.wholeDigits() > maxWholeDigits && d.negative:
		return -1
	case d.wholeDigits() > maxWholeDigits:
		return 1
	}
	short := d
	if cut := d.decimals() - maxDecimals; cut > 0 {
		// What is cut off is less than the last digit that is kept, and not zero: one
		// more digit tells on which side of a whole number the value is.
		short.digits = d.digits[:max(0, len(d.digits)-cut)] + "1"
		short.power = -maxDecimals - 1
	}
	value, _ := new(big.Rat).SetString(short.plain())
	return value.Cmp(new(big.Rat).SetInt64(with))
}

// whole is the number's digits when it is an integer of 64 bits.
func (d decimal) whole() (digits Literal, ok bool) {
	if d.power < 0 || d.wholeDigits() > maxWholeDigits {
		return "", false
	}
	text := d.plain()
	if _, err := strconv.ParseInt(text, 10, 64); err != nil {
		return "", false
	}
	return Literal(text), true
}

// idOf is the id that a JSON number stands for: clients keep ids in integers, and some
// write them with a point or an exponent. A number with a sign is none.
func idOf(number Literal) (text string, ok bool) {
	d := readDecimal(number)
	digits, ok := d.whole()
	if !ok || d.negative {
		return "", false
	}
	if _, err := id.Parse(string(digits)); err != nil {
		return "", false
	}
	return string(digits), true
}
