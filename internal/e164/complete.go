package e164

import (
	"regexp"
	"strings"
	"sync"
)

// complete reads an international number as the network of its country will: what
// that removes digits is applied, so that the number that is judged and priced is the
// one that is sent, and the one that rings. It is 0 where nothing is left that
// could be a number.
//
// "+49 0 900 1234567" has the trunk prefix of Germany behind the calling code. A
// carrier or a network on the way takes it off, as libphonenumber does, and the call
// goes to a premium rate number that the digits as written do not show.
func (p Plan) complete(n Number) Number {
	digits := n.Digits()
	if digits.Len < 3 || rangeOf(&digits) != 0 {
		return n
	}
	country, kind := walk(&digits)
	exact := kind != TypeUnknown && country != 0 // a number of the plan keeps its digits
	if exact && !sharesPlan.Has(country) {
		return n
	}
	for tries := 0; !exact && tries < MaxDigits; tries++ {
		next := p.stripInternational(n)
		if next == n {
			break
		}
		n = next
	}
	if p.keeps(n, 4) {
		return n
	}
	return rehome(n)
}

// stripInternational takes one trunk prefix or carrier's code off what follows the
// calling code. A number of the plan is left as it is, for there the digit belongs
// to the number, such as the 0 in Italy.
//
// It takes off whatever libphonenumber takes off, and a trunk prefix also where the
// rest has an impossible length, if no number of the calling code begins with it.
func (p Plan) stripInternational(n Number) Number {
	digits := n.Digits()
	if digits.Len < 3 || rangeOf(&digits) != 0 {
		return n
	}
	country, kind := walk(&digits)
	code, length := callingCode(&digits)
	if code == 0 || kind != TypeUnknown && country != 0 {
		return n
	}
	main := mainCountry[code]
	row := main.dial()
	if row.trunkParse == "" || isDigits(row.trunkParse) && !digits.have(length, row.trunkParse) {
		return n
	}
	national := digits.text(length)
	rest, _ := main.stripTrunk(national)
	if rest == "" || rest == national || !main.takesOff(national, rest) {
		var found bool
		if rest, found = strings.CutPrefix(national, row.trunk); !found || row.trunk == "" ||
			begins(&digits, length+len(row.trunk)) {
			return n
		}
	}
	if p.keeps(n, length+max(1, len(national)-len(rest))) {
		return n
	}
	stripped, ok := number(row.code, rest)
	if !ok {
		return 0
	}
	return stripped
}

// takesOff is libphonenumber's rule for whether the rest is the number meant: not
// where only the whole fits the pattern of all numbers, nor where the rest has a
// length that no number has.
func (c Country) takesOff(national, rest string) bool {
	row := c.dial()
	if len(rest) <= int(row.national.max) && row.possible&(1<<len(rest)) == 0 {
		return false
	}
	general := compiledGeneral[c]()
	return general.MatchString(rest) || !general.MatchString(national)
}

// text is the digits from one position on.
func (d *Digits) text(from int) string {
	var text [len(d.Digit)]byte
	for i := from; i < d.Len; i++ {
		text[i] = '0' + d.Digit[i]
	}
	return string(text[from:d.Len])
}

// have reports whether the digits from one position on are those of a text.
func (d *Digits) have(from int, text string) bool {
	if d.Len < from+len(text) {
		return false
	}
	for i := range len(text) {
		if d.Digit[from+i] != text[i]-'0' {
			return false
		}
	}
	return true
}

// callingCode finds the calling code at the beginning of a number, and its length.
func callingCode(digits *Digits) (code, length int) {
	for length < min(3, digits.Len) {
		code = code*10 + int(digits.Digit[length])
		length++
		if mainCountry[code] != 0 {
			return code, length
		}
	}
	return 0, 0
}

// begins reports whether any number of the plan begins with that many of the digits.
func begins(digits *Digits, length int) bool {
	state := rootState
	for i := range min(length, digits.Len) {
		at := state*stateBytes + 2*int(digits.Digit[i])
		if state = int(plan[at]) | int(plan[at+1])<<8; state == 0 {
			return false
		}
	}
	at := state*stateBytes + stateReach
	return plan[at] != 0 || plan[at+1] != 0 || length < 3
}

// compiledGeneral compiles the pattern of all numbers of a country when it is first
// needed: for a number that is not of the plan, of a country whose own numbers may
// begin like its trunk prefix.
var compiledGeneral = func() (all [len(countryTable)]func() *regexp.Regexp) {
	for c := range all {
		all[c] = sync.OnceValue(func() *regexp.Regexp {
			return regexp.MustCompile("^(?:" + dialTable[c].general + ")$")
		})
	}
	return all
}()
