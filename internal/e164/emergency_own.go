package e164

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
)

// The reasons why a number may not be put on a list of own emergency numbers. All
// of them are ErrOwnEmergency.
var (
	// ErrOwnEmergency means that a text may not be an emergency number of one's own.
	ErrOwnEmergency = errors.New("not a number that may be an emergency number")
	// ErrOwnEmergencyForm means that it is not 2 to 6 digits. The longest emergency
	// number of any country has 6.
	ErrOwnEmergencyForm = fmt.Errorf("%w: want 2 to %d digits", ErrOwnEmergency, maxEmergencyDigits)
	// ErrOwnEmergencyDialled means that a call to it could be one to a subscriber.
	ErrOwnEmergencyDialled = fmt.Errorf("%w: it can be dialled as a telephone number", ErrOwnEmergency)
	// ErrOwnEmergencyCostly means that it is a short number that costs money.
	ErrOwnEmergencyCostly = fmt.Errorf("%w: it is a short number that costs money", ErrOwnEmergency)
)

// OwnEmergency reports whether a number may be an emergency number besides those of
// the home country, on a list that an operator maintains: nothing stops a call to it. So it
// is short, and no call to it could reach anyone else, however it is dialled:
// in the home country, in international form, or behind the tech prefix, which may
// itself be the beginning of a number.
func OwnEmergency(number string, home Country, techPrefix string) error {
	if len(number) < 2 || len(number) > maxEmergencyDigits || !isDigits(number) {
		return ErrOwnEmergencyForm
	}
	if _, known := Emergency(number, home, nil); known {
		return nil // it is one already
	}
	if costlyShortNumber(number, home) {
		return ErrOwnEmergencyCostly
	}
	for _, dialled := range [...]string{number, techPrefix + number} {
		for _, country := range [...]Country{home, 0} {
			if n, err := Normalise(dialled, country); err == nil && Valid(n) {
				return ErrOwnEmergencyDialled
			}
		}
		if n, err := Normalise("+"+dialled, 0); err == nil && allocated(n) {
			return ErrOwnEmergencyDialled
		}
	}
	return nil
}

// costlyShortNumber knows the short numbers of the home country that cost money, and
// the directory enquiries of Europe (118 and two or three digits), which are dear in
// every country that has them and in no metadata of some.
func costlyShortNumber(number string, home Country) bool {
	if strings.HasPrefix(number, "118") && len(number) >= 5 {
		return true
	}
	if int(home) >= len(costlyShort) || costlyShort[home] == "" {
		return false
	}
	return compiledCostly[home]().MatchString(number)
}

// compiledCostly compiles the pattern of a country when it is first needed.
var compiledCostly = func() (all [len(countryTable)]func() *regexp.Regexp) {
	for c := range all {
		all[c] = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile("^(?:" + costlyShort[c] + ")$") })
	}
	return all
}()
