package e164

import _ "embed"

// shortPlan is the automaton of short numbers, in the form of plan: directory
// enquiries and the like behind the calling code of their country.
//
//go:embed short.bin
var shortPlan string

// Judgement describes a number, and what it may turn out to be.
//
// A network does not read a number as it was written. It stops at the digit with
// which the number is complete, and what follows is lost; it waits for more where
// digits are missing; and it may know a block that the plan does not. So a number
// that is not one of the plan as it stands is judged by everything it could be.
type Judgement struct {
	Class
	// Possible is every type that a network could take the number for. It is the
	// type alone where the plan knows the number, and never empty.
	Possible NumberTypeSet
	// Shorter has bit n set where the first n digits, calling code included, are a
	// number by themselves. It is 0 where the plan knows the whole number.
	Shorter uint16
	// Without is the number without zeros, or a trunk prefix, behind its calling code,
	// where a network could still take these off; else 0. WithoutShorter is to it
	// what Shorter is to the number.
	Without        Number
	WithoutShorter uint16
	// Short means that it is a short number of its country behind the calling code,
	// such as 11833 behind +49. Nothing says what such a service costs.
	Short bool
	// Override is the id of the operator's override that decided, or 0.
	Override int64
}

// Exact means that the number is one of the plan as it is written.
func (j *Judgement) Exact() bool { return j.Type != TypeUnknown }

// Dearest is the dearest of the types that the number could have.
func (j *Judgement) Dearest() NumberType { return j.Possible.Dearest() }

// Judge looks a number up in the numbering plan, and says what it could be where
// the plan does not know it. It is false for what is not Valid. It allocates nothing.
func Judge(n Number) (j Judgement, ok bool) {
	digits := n.Digits()
	j.Class = classify(&digits)
	if !valid(&digits, &j.Class) {
		return Judgement{}, false
	}
	if j.Exact() {
		j.Possible.Add(j.Type)
		return j, true
	}
	j.doubt(&digits)
	return j, true
}

// doubt adds everything that a number outside the plan could be.
func (j *Judgement) doubt(digits *Digits) {
	j.Shorter = j.add(digits)
	if j.Without = without(digits); j.Without != 0 {
		rest := j.Without.Digits()
		j.WithoutShorter = j.add(&rest)
	}
	if j.Possible == 0 {
		j.Possible.Add(TypeUnknown)
	}
}

// add adds what digits that are no number of the plan could be, and returns at
// which lengths they are one.
func (j *Judgement) add(digits *Digits) uint16 {
	types, ends := couldBe(plan, digits)
	if _, short := couldBe(shortPlan, digits); short>>digits.Len != 0 || directory(digits) {
		j.Short = true
		types.Add(TypePremiumRate)
	}
	j.Possible |= types
	return ends
}

// directory tells the directory enquiries of Europe: 118 begins them in every
// country, and the metadata has not all. What follows may be lost. It is for numbers that are not of the plan.
func directory(digits *Digits) bool {
	_, length := callingCode(digits)
	return length > 0 && (digits.Digit[0] == 3 || digits.Digit[0] == 4) && digits.value(length, 3) == 118
}

// without is a number without the zeros, or the trunk prefix, behind its calling
// code, or 0 where it has none. It is for numbers that are not of the plan.
func without(digits *Digits) Number {
	code, length := callingCode(digits)
	if code == 0 {
		return 0
	}
	from := length
	for from < digits.Len && digits.Digit[from] == 0 {
		from++
	}
	trunk := mainCountry[code].dial().trunk
	if trunk == "" && begins(digits, from+3) {
		return 0 // the zeros belong to the number, as in Italy
	}
	if from == length && trunk != "" {
		if !digits.have(from, trunk) {
			return 0
		}
		from += len(trunk)
	}
	if from == length {
		return 0
	}
	n := Number(code)
	for ; from < digits.Len; from++ {
		n = n*10 + Number(digits.Digit[from])
	}
	if n < minNumber {
		return 0
	}
	return n
}

// couldBe walks an automaton as far as it goes. types are those of the numbers that
// end on the way, and of all that begin with as many of the digits as the automaton
// knows; ends are the lengths of those on the way.
func couldBe(plan string, digits *Digits) (types NumberTypeSet, ends uint16) {
	state := rootState
	var reach NumberTypeSet
	for i := range min(digits.Len, MaxDigits) {
		at := state*stateBytes + 2*int(digits.Digit[i])
		state = int(plan[at]) | int(plan[at+1])<<8
		if state == 0 {
			break
		}
		at = state * stateBytes
		if kind := NumberType(plan[at+stateType]); kind != TypeUnknown {
			types.Add(kind)
			ends |= 1 << (i + 1)
		}
		if r := NumberTypeSet(plan[at+stateReach]) | NumberTypeSet(plan[at+stateReach+1])<<8; r != 0 {
			reach = r
		}
	}
	return types | reach, ends
}

// byPrice is the number types from the dearest to the cheapest, as they usually are.
var byPrice = [...]NumberType{
	TypePremiumRate, TypeSatellite, TypeInternational, TypeSharedCost, TypePersonal, TypePager, TypeUAN,
	TypeVoicemail, TypeMobile, TypeFixedLineOrMobile, TypeVoIP, TypeFixedLine, TypeTollFree,
}

// Dearest is the dearest type of the set, TypeUnknown where there is none.
func (s NumberTypeSet) Dearest() NumberType {
	for _, t := range byPrice {
		if s.Has(t) {
			return t
		}
	}
	return TypeUnknown
}

// premiumExchange tells the exchanges of the North American plan that are premium
// rate within ordinary area codes, which libphonenumber does not know: 976 in all
// of them, and 540 in the United States.
func premiumExchange(digits *Digits, class Class) bool {
	if digits.Len != 11 || digits.Digit[0] != 1 {
		return false
	}
	switch class.Type {
	case TypeFixedLine, TypeMobile, TypeFixedLineOrMobile:
	default:
		return false
	}
	exchange := int(digits.Digit[4])*100 + int(digits.Digit[5])*10 + int(digits.Digit[6])
	return exchange == 976 || exchange == 540 && class.Country == unitedStates
}

var unitedStates, _ = CountryByAlpha2("US")
