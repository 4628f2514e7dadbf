package e164

import (
	"iter"
	"math/bits"
	"slices"
)

// CountrySet is a set of countries. The zero value is empty, sets compare with
// ==, and a copy is independent of its origin.
type CountrySet struct {
	word [4]uint64 // 256 bits; the table has 252 countries
}

// Add puts a country into the set. No country (0) is never a member.
func (s *CountrySet) Add(c Country) {
	if c != 0 && int(c) < len(countryTable) {
		s.word[c/64] |= 1 << (c % 64)
	}
}

// Has reports whether c is in the set; it is false for no country.
func (s CountrySet) Has(c Country) bool {
	return c < 256 && s.word[c/64]&(1<<(c%64)) != 0
}

// Len counts the members.
func (s CountrySet) Len() int {
	n := 0
	for _, word := range s.word {
		n += bits.OnesCount64(word)
	}
	return n
}

// All yields the members in alpha-2 order.
func (s CountrySet) All() iter.Seq[Country] {
	return func(yield func(Country) bool) {
		for i, word := range s.word {
			for ; word != 0; word &= word - 1 {
				if !yield(Country(i*64 + bits.TrailingZeros64(word))) {
					return
				}
			}
		}
	}
}

// NumberTypeSet is a set of number types. The zero value is empty.
type NumberTypeSet uint32

// Add puts a type into the set.
func (s *NumberTypeSet) Add(t NumberType) {
	if t < numNumberTypes {
		*s |= 1 << t
	}
}

// Has reports whether t is in the set.
func (s NumberTypeSet) Has(t NumberType) bool {
	return t < numNumberTypes && s&(1<<t) != 0
}

// All yields the members in the order of the constants.
func (s NumberTypeSet) All() iter.Seq[NumberType] {
	return func(yield func(NumberType) bool) {
		for t := range numNumberTypes {
			if s.Has(t) && !yield(t) {
				return
			}
		}
	}
}

// Range is a part of the world numbering plan that belongs to no country, as an
// index into the list that Ranges returns, counted from 1. 0 is "no range".
type Range uint8

// rangeNames are the calling codes without a country (ITU-T E.164 annex D). The
// order is stored nowhere.
var rangeNames = [...]string{
	"", "+800", "+808", "+870", "+878", "+881", "+882", "+883", "+888", "+979",
}

// Ranges lists the names that ParseRange accepts, in numeric order.
func Ranges() []string { return slices.Clone(rangeNames[1:]) }

// ParseRange reads the name of a range without a country, such as "+881".
func ParseRange(s string) (Range, bool) {
	if len(s) != 4 || s[0] != '+' {
		return 0, false
	}
	for i := 1; i < len(rangeNames); i++ {
		if rangeNames[i] == s {
			return Range(i), true
		}
	}
	return 0, false
}

// String returns the name such as "+881"; "" for no range.
func (r Range) String() string {
	if int(r) >= len(rangeNames) {
		return ""
	}
	return rangeNames[r]
}

// RangeSet is a set of ranges. The zero value is empty, and sets compare with ==.
type RangeSet uint16

// Add puts a range into the set. No range (0) is never a member.
func (s *RangeSet) Add(r Range) {
	if r != 0 && int(r) < len(rangeNames) {
		*s |= 1 << r
	}
}

// Has reports whether the range of that name, as in Class.Range, is in the set.
func (s RangeSet) Has(name string) bool {
	if s == 0 {
		return false
	}
	r, ok := ParseRange(name)
	return ok && s&(1<<r) != 0
}

// Len counts the members.
func (s RangeSet) Len() int { return bits.OnesCount16(uint16(s)) }

// All yields the members in numeric order.
func (s RangeSet) All() iter.Seq[Range] {
	return func(yield func(Range) bool) {
		for r := Range(1); int(r) < len(rangeNames); r++ {
			if s&(1<<r) != 0 && !yield(r) {
				return
			}
		}
	}
}

// In reports whether the number's country is in countries, or its range in
// ranges. A number that belongs to neither is in no whitelist.
func (c Class) In(countries CountrySet, ranges RangeSet) bool {
	if c.Country != 0 {
		return countries.Has(c.Country)
	}
	return ranges.Has(c.Range)
}
