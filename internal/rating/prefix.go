package rating

import (
	"errors"
	"fmt"
	"math/bits"
	"strconv"

	"github.com/tollgate/tollgate/internal/e164"
)

// Prefix is the leading digits of numbers, as an integer: 1876 for Jamaica. No
// E.164 number starts with 0, so the integer is exact and zero means no prefix.
type Prefix uint64

// ErrPrefix means that a text is not 1 to 15 digits of which the first is not 0.
var ErrPrefix = errors.New("not a prefix of 1 to 15 digits that does not start with 0")

// ParsePrefix reads 1 to 15 digits of which the first is not 0.
func ParsePrefix(s string) (Prefix, error) {
	if len(s) < 1 || len(s) > e164.MaxDigits || s[0] == '0' {
		return 0, fmt.Errorf("parse %.24q: %w", s, ErrPrefix)
	}
	var p Prefix
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, fmt.Errorf("parse %.24q: %w", s, ErrPrefix)
		}
		p = p*10 + Prefix(s[i]-'0')
	}
	return p, nil
}

// PrefixOf is the first length digits of n. It is 0 if length is not between 1
// and the number of n's digits.
func PrefixOf(n e164.Number, length int) Prefix {
	digits := digitCount(uint64(n))
	if length < 1 || length > digits {
		return 0
	}
	return Prefix(uint64(n) / powersOfTen[digits-length])
}

// String writes the digits; "" for no prefix.
func (p Prefix) String() string {
	if p == 0 {
		return ""
	}
	return strconv.FormatUint(uint64(p), 10)
}

// Len is the number of digits.
func (p Prefix) Len() int { return digitCount(uint64(p)) }

// powersOfTen holds 10^0 to 10^19, all that a uint64 can hold.
var powersOfTen = func() (powers [20]uint64) {
	powers[0] = 1
	for i := 1; i < len(powers); i++ {
		powers[i] = powers[i-1] * 10
	}
	return powers
}()

// digitCount is the number of decimal digits of n, 0 for 0.
func digitCount(n uint64) int {
	// 1233/4096 is just above log10(2), which makes the guess right or one too low.
	guess := bits.Len64(n) * 1233 >> 12
	if n >= powersOfTen[guess] {
		guess++
	}
	return guess
}

// sortKey is a prefix in dictionary order: its digits, padded with zeros to 15
// places, above its length in the low four bits. A prefix sorts before every
// longer one that starts with it.
type sortKey uint64

const keyLenBits = 4

func (p Prefix) key() sortKey {
	length := p.Len()
	return sortKey(uint64(p)*powersOfTen[e164.MaxDigits-length]<<keyLenBits | uint64(length))
}

func (k sortKey) len() int { return int(k & (1<<keyLenBits - 1)) }

// digits are the count digits of the padded prefix that follow the first from.
func (k sortKey) digits(from, count int) uint64 {
	return uint64(k>>keyLenBits) / powersOfTen[e164.MaxDigits-from-count] % powersOfTen[count]
}

// commonDigits is the number of leading digits in which the padded forms of a
// and b agree, given that they agree in the first known.
func commonDigits(a, b sortKey, known int) int {
	for known < e164.MaxDigits && a.digits(known, 1) == b.digits(known, 1) {
		known++
	}
	return known
}
