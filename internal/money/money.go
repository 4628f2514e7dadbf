// Package money holds exact amounts of US dollars.
//
// An Amount is an integer count of nano-dollars, so that a rate deck with nine
// decimals and a sum of a million calls are both exact. There is no floating
// point anywhere: JSON numbers are read from their literal digits.
package money

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"strings"
)

// Amount is an exact amount of US dollars in units of 1e-9 USD. Its range is
// about plus or minus 9.22 billion dollars. The zero value is zero dollars.
// Prices per minute are Amounts too; their field names end in PerMinute.
type Amount int64

// Units of Amount.
const (
	Nano   Amount = 1
	Micro         = 1000 * Nano
	Cent          = 10_000 * Micro
	Dollar        = 100 * Cent
)

// Max is the largest Amount.
const Max Amount = math.MaxInt64

// decimals is the number of digits after the point that an Amount can hold.
const decimals = 9

// Errors of Parse. They are wrapped with the text that was refused.
var (
	ErrSyntax    = errors.New("not a decimal amount such as 100.00")
	ErrPrecision = errors.New("more than 9 decimals")
	ErrRange     = errors.New("amount out of range")
)

// Parse reads a decimal amount of dollars: digits, optionally a point and up to
// nine more digits ("100", "100.00", "0.0125"). There is no sign, no exponent,
// no thousands separator and no currency symbol.
func Parse(s string) (Amount, error) {
	whole, fraction, pointed := strings.Cut(s, ".")
	if whole == "" || (pointed && fraction == "") || !allDigits(whole) || !allDigits(fraction) {
		return 0, fmt.Errorf("parse %.40q: %w", s, ErrSyntax)
	}
	if len(fraction) > decimals {
		if strings.Trim(fraction[decimals:], "0") != "" {
			return 0, fmt.Errorf("parse %.40q: %w", s, ErrPrecision)
		}
		fraction = fraction[:decimals]
	}
	whole = strings.TrimLeft(whole, "0")
	if len(whole) > 10 {
		return 0, fmt.Errorf("parse %.40q: %w", s, ErrRange)
	}
	// At most 19 digits remain, which a uint64 always holds.
	digits := whole + fraction + "000000000"[len(fraction):]
	nano, err := strconv.ParseUint(digits, 10, 64)
	if err != nil || nano > math.MaxInt64 {
		return 0, fmt.Errorf("parse %.40q: %w", s, ErrRange)
	}
	return Amount(nano), nil
}

// MustParse is Parse for constants in tests and tables. It panics on a bad literal.
func MustParse(s string) Amount {
	a, err := Parse(s)
	if err != nil {
		panic(err)
	}
	return a
}

func allDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// String writes the amount with two decimals, or more where they are needed:
// "100.00", "0.0125", "-3.50". Parse reads it back where it is not negative.
func (a Amount) String() string {
	return string(a.AppendText(nil))
}

// AppendText appends what String returns.
func (a Amount) AppendText(dst []byte) []byte {
	magnitude := uint64(a)
	if a < 0 {
		dst = append(dst, '-')
		magnitude = -magnitude
	}
	dst = strconv.AppendUint(dst, magnitude/uint64(Dollar), 10)
	fraction := magnitude % uint64(Dollar)
	dst = append(dst, '.')
	kept := decimals
	for kept > 2 && fraction%10 == 0 {
		fraction /= 10
		kept--
	}
	start := len(dst)
	for range kept {
		dst = append(dst, '0')
	}
	for i := len(dst) - 1; i >= start; i-- {
		dst[i] = byte('0' + fraction%10)
		fraction /= 10
	}
	return dst
}

// MarshalJSON writes the amount as a JSON string ("100.00"), the form in which
// Telnyx writes daily_spend_limit.
func (a Amount) MarshalJSON() ([]byte, error) {
	out := append(make([]byte, 0, 24), '"')
	out = a.AppendText(out)
	return append(out, '"'), nil
}

// UnmarshalJSON reads a JSON string such as "100.00". A JSON number is refused:
// Telnyx documents a string, and a client's float may already have lost digits.
func (a *Amount) UnmarshalJSON(text []byte) error {
	if len(text) < 2 || text[0] != '"' || text[len(text)-1] != '"' {
		return fmt.Errorf("parse %.40s: %w, as a JSON string", text, ErrSyntax)
	}
	parsed, err := Parse(string(text[1 : len(text)-1]))
	if err != nil {
		return err
	}
	*a = parsed
	return nil
}

// Rate is a price per minute. It is an Amount that is a JSON number on the wire,
// the form in which Telnyx writes max_destination_rate.
type Rate Amount

// String writes the rate as Amount.String does.
func (r Rate) String() string { return Amount(r).String() }

// MarshalJSON writes the rate as a JSON number without trailing zeros: 10, 0.0125.
func (r Rate) MarshalJSON() ([]byte, error) {
	text := Amount(r).String()
	text = strings.TrimRight(text, "0")
	return []byte(strings.TrimSuffix(text, ".")), nil
}

// UnmarshalJSON reads a JSON number from its literal digits, never through a
// float. Exponents and negative numbers are refused.
func (r *Rate) UnmarshalJSON(text []byte) error {
	parsed, err := Parse(string(text))
	if err != nil {
		return err
	}
	*r = Rate(parsed)
	return nil
}

// PerMinuteTimes is the price of seconds at perMinute, rounded up to the next
// nano-dollar. It saturates at Max. Neither argument may be negative.
//
// The rounding is applied to the whole duration: the price of a part of a call
// is the difference of two such values, so that parts always sum to the whole.
func PerMinuteTimes(perMinute Amount, seconds int64) Amount {
	if perMinute < 0 || seconds < 0 {
		panic("money: negative price or duration")
	}
	high, low := bits.Mul64(uint64(perMinute), uint64(seconds))
	low, carry := bits.Add64(low, 59, 0)
	high += carry
	if high >= 60 {
		return Max
	}
	quotient, _ := bits.Div64(high, low, 60)
	if quotient > math.MaxInt64 {
		return Max
	}
	return Amount(quotient)
}

// Add is a + b, saturating at Max. Neither may be negative.
func Add(a, b Amount) Amount {
	if sum := a + b; sum >= a {
		return sum
	}
	return Max
}
