// Package e164 knows telephone numbers: their form (ITU-T E.164), the country or
// service a number belongs to, its type, national dialling, and emergency numbers.
//
// What a caller dialled takes this path:
//
//	Emergency  is it an emergency call? Asked first: nothing may stop one.
//	Normalise  the text, by the dialling rules of the caller's home, as a Number.
//	Valid      does the number's prefix exist, and is its length possible?
//	Classify   its country or range, and its type, for whitelists and blocks.
//	National   how it is dialled inside of a country, for carriers that want that.
//
// The numbering plan is libphonenumber's, compiled by the generator in gen to one
// automaton over digits, which is embedded; PlanVersion names its release. It holds
// the metadata's patterns exactly, so a lookup answers as libphonenumber does, in
// tens of nanoseconds and without allocation, and says more where libphonenumber
// has no answer: a number that is not allocated keeps the country of its prefix.
// The plan is a snapshot: new area codes need a new release.
package e164

import (
	"errors"
	"fmt"
	"math/bits"
	"strconv"
)

// Number is an international public telecommunication number, the digits
// without the plus, as an integer. E.164 allows at most 15 digits and none
// starts with 0, so the integer is exact and the zero value means "no number".
type Number uint64

// MaxDigits is the longest number that E.164 section 6.1 allows, country code included.
const MaxDigits = 15

// ErrSyntax means that a text is not "+" and 7 to 15 digits of which the first is not 0.
var ErrSyntax = errors.New("not a number in E.164 form such as +19705555098")

// Parse reads the strict international form: a plus sign, then 7 to 15 digits
// of which the first is not 0. Nothing else is accepted: no spaces, no dashes.
func Parse(s string) (Number, error) {
	if len(s) < 8 || len(s) > 1+MaxDigits || s[0] != '+' || s[1] == '0' {
		return 0, fmt.Errorf("parse %.24q: %w", s, ErrSyntax)
	}
	var n Number
	for i := 1; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return 0, fmt.Errorf("parse %.24q: %w", s, ErrSyntax)
		}
		n = n*10 + Number(s[i]-'0')
	}
	return n, nil
}

// Digits is a number's digits in order, without allocation. Only the first Len are set.
type Digits struct {
	Digit [MaxDigits + 5]byte // values 0 to 9; a uint64 has at most 20
	Len   int
}

// Digits returns the digits of n, most significant first.
func (n Number) Digits() (d Digits) {
	d.Len = n.length()
	for i := d.Len - 1; i >= 0; i-- {
		rest := n / 10
		d.Digit[i] = byte(n - 10*rest)
		n = rest
	}
	return d
}

// length counts the digits of n: an estimate by its bits, since log10(2) is about
// 1233/4096, which is one too few at most.
func (n Number) length() int {
	estimate := bits.Len64(uint64(n)) * 1233 >> 12
	if n >= powersOf10[estimate] {
		estimate++
	}
	return estimate
}

// powersOf10 has every power that a uint64 holds.
var powersOf10 = func() (powers [20]Number) {
	powers[0] = 1
	for i := 1; i < len(powers); i++ {
		powers[i] = 10 * powers[i-1]
	}
	return powers
}()

// First is the number that the first digits of n are; n itself where it has no more.
func (n Number) First(digits int) Number {
	for length := n.length(); length > digits; length-- {
		n /= 10
	}
	return n
}

// String writes the number with its plus sign; "" for no number.
func (n Number) String() string {
	if n == 0 {
		return ""
	}
	return string(n.AppendText(nil))
}

// AppendText appends what String returns.
func (n Number) AppendText(dst []byte) []byte {
	if n == 0 {
		return dst
	}
	return strconv.AppendUint(append(dst, '+'), uint64(n), 10)
}

// Masked writes the number for logs: the first four and the last two digits
// stay, as in "+4479******56".
func (n Number) Masked() string {
	text := []byte(n.String())
	for i := 5; i < len(text)-2; i++ {
		text[i] = '*'
	}
	return string(text)
}

// MarshalJSON writes the number as a JSON string, or null for no number.
func (n Number) MarshalJSON() ([]byte, error) {
	if n == 0 {
		return []byte("null"), nil
	}
	out := append(make([]byte, 0, 20), '"')
	out = n.AppendText(out)
	return append(out, '"'), nil
}

// UnmarshalJSON reads the strict form that Parse reads, or null.
func (n *Number) UnmarshalJSON(text []byte) error {
	if string(text) == "null" {
		*n = 0
		return nil
	}
	if len(text) < 2 || text[0] != '"' || text[len(text)-1] != '"' {
		return fmt.Errorf("parse %.24s: %w", text, ErrSyntax)
	}
	parsed, err := Parse(string(text[1 : len(text)-1]))
	if err != nil {
		return err
	}
	*n = parsed
	return nil
}
