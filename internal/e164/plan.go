package e164

import _ "embed"

//go:generate go run ./gen

// plan is an automaton over the digits of a number, in rows of stateBytes: ten
// transitions of two bytes, low byte first, then the country that numbers have
// from there on (0 leaves it as it was), the type of a number that ends there, and
// the set of types, in two bytes, of the numbers that end there or later.
// It is exactly libphonenumber's patterns, all calling codes in one.
//
//go:embed plan.bin
var plan string

const (
	stateBytes   = 24
	stateCountry = 20
	stateType    = 21
	stateReach   = 22
	rootState    = 1
)

// lengths is how many digits a number may have after its calling code.
type lengths struct {
	min, max uint8
}

// Classify looks a number up in the numbering plan. It allocates nothing.
//
// The country is that of the longest beginning of the number which the plan
// knows, so a number of wrong length or in an unallocated block keeps the country
// it would be routed to, with TypeUnknown. Under +1 that beginning is the area
// code: one that is not allocated has no country. Services of the whole North
// American plan (toll-free, 900, 500) count as US, as libphonenumber has it.
// Exchanges that are premium rate within an ordinary area code are known too, which
// libphonenumber does not know: see premiumExchange.
func Classify(n Number) Class {
	digits := n.Digits()
	return classify(&digits)
}

func classify(digits *Digits) Class {
	if digits.Len >= 3 {
		if r := rangeOf(digits); r != 0 {
			return Class{Range: rangeNames[r], Type: rangeType(r, digits)}
		}
	}
	country, kind := walk(digits)
	class := Class{Country: country, Type: kind}
	if premiumExchange(digits, class) {
		class.Type = TypePremiumRate
	}
	return class
}

// walk runs the automaton over the digits.
func walk(digits *Digits) (Country, NumberType) {
	state, country := rootState, byte(0)
	for i := range digits.Len {
		at := state*stateBytes + 2*int(digits.Digit[i])
		state = int(plan[at]) | int(plan[at+1])<<8
		if state == 0 {
			return Country(country), TypeUnknown
		}
		if c := plan[state*stateBytes+stateCountry]; c != 0 {
			country = c
		}
	}
	return Country(country), NumberType(plan[state*stateBytes+stateType])
}

// rangeOf finds the range without a country that the first three digits name.
func rangeOf(digits *Digits) Range {
	if digits.Digit[0] < 8 {
		return 0
	}
	switch int(digits.Digit[0])*100 + int(digits.Digit[1])*10 + int(digits.Digit[2]) {
	case 800:
		return 1
	case 808:
		return 2
	case 870:
		return 3
	case 878:
		return 4
	case 881:
		return 5
	case 882:
		return 6
	case 883:
		return 7
	case 888:
		return 8
	case 979:
		return 9
	}
	return 0
}

// rangeType is the type by the prefix alone, whatever the length: a satellite
// number must not lose its type, and with it a block on satellites, by being odd.
// Under +882 two networks are satellites: 13 (Emsat) and 16 (Thuraya).
func rangeType(r Range, digits *Digits) NumberType {
	switch rangeNames[r] {
	case "+870", "+881":
		return TypeSatellite
	case "+882":
		if digits.Len >= 5 && digits.Digit[3] == 1 && (digits.Digit[4] == 3 || digits.Digit[4] == 6) {
			return TypeSatellite
		}
	}
	return TypeInternational
}

// Valid reports whether the number's prefix is in the world numbering plan, as a
// country or as a range without one, and its length is possible there. It says
// nothing about whether the number is allocated: see Class.Type for that.
func Valid(n Number) bool {
	digits := n.Digits()
	class := classify(&digits)
	return valid(&digits, &class)
}

// valid is Valid for a number of which the class is known.
func valid(digits *Digits, class *Class) bool {
	if digits.Len < 3 || digits.Len > MaxDigits {
		return false
	}
	if class.Range != "" {
		return rangeLengths[rangeOf(digits)].allow(digits.Len - 3)
	}
	if class.Country == 0 {
		return false
	}
	row := &dialTable[class.Country]
	return row.national.allow(digits.Len - row.codeDigits())
}

func (l lengths) allow(digits int) bool {
	return digits >= int(l.min) && digits <= int(l.max)
}
