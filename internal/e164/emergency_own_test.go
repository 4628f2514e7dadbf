package e164

import (
	"errors"
	"strings"
	"testing"
)

// TestOwnEmergency: what may be an emergency number of one's own is short and
// reaches no one else.
func TestOwnEmergency(t *testing.T) {
	for _, c := range []struct {
		number, home, prefix string
		want                 error
		why                  string
	}{
		{"5555", "", "", nil, "an extension of a site's own"},
		{"5555", "US", "", nil, ""},
		{"933", "US", "", nil, "the test of the address"},
		{"988", "US", "", nil, "a crisis line, toll-free"},
		{"112", "DE", "", nil, "it is one already"},
		{"90000", "SE", "", nil, "it is one already, of five digits"},
		{"124422", "ER", "", nil, "the longest there is"},
		{"116117", "DE", "", nil, "doctors on duty, toll-free"},
		{"116117", "NO", "", nil, ""},
		{"447011123456", "", "", ErrOwnEmergencyForm, "a personal number of the United Kingdom"},
		{"882161234567890", "US", "", ErrOwnEmergencyForm, "a satellite phone"},
		{"1234567", "", "", ErrOwnEmergencyForm, "seven digits"},
		{"1", "", "", ErrOwnEmergencyForm, ""},
		{"", "", "", ErrOwnEmergencyForm, ""},
		{"+112", "", "", ErrOwnEmergencyForm, ""},
		{"11 2", "", "", ErrOwnEmergencyForm, ""},
		{"١١٢", "", "", ErrOwnEmergencyForm, "digits of another script"},
		{"112;x", "", "", ErrOwnEmergencyForm, ""},
		{"urn:service:sos", "", "", ErrOwnEmergencyForm, ""},
		{"118118", "GB", "", ErrOwnEmergencyCostly, "directory enquiries"},
		{"11833", "DE", "", ErrOwnEmergencyCostly, ""},
		{"118712", "FR", "", ErrOwnEmergencyCostly, ""},
		{"11888", "", "", ErrOwnEmergencyCostly, "also without a localization"},
		{"3699", "FR", "", ErrOwnEmergencyCostly, "a service with an added price"},
		{"892", "IT", "", nil, "no service"},
		{"72100", "SE", "", ErrOwnEmergencyCostly, ""},
		{"321000", "GL", "", ErrOwnEmergencyDialled, "a subscriber in Greenland"},
		{"0321000", "GL", "", ErrOwnEmergencyForm, ""},
		{"251234", "NC", "", ErrOwnEmergencyDialled, "a subscriber in New Caledonia"},
		{"301234", "DE", "", ErrOwnEmergencyDialled, "030 1234 in Berlin, without its 0"},
		{"123456", "US", "4930", ErrOwnEmergencyDialled, "4930123456 is a number in Berlin"},
		{"123456", "", "4930", ErrOwnEmergencyDialled, ""},
		{"550123", "US", "1212", nil, "1212550123 is too short to be a number"},
	} {
		err := OwnEmergency(c.number, home(t, c.home), c.prefix)
		if (c.want == nil) != (err == nil) || !errors.Is(err, c.want) {
			t.Errorf("OwnEmergency(%q, %q, %q) = %v, want %v: %s", c.number, c.home, c.prefix, err, c.want, c.why)
		}
	}
}

// TestOwnEmergencyIsNoNumber holds for all short texts and many countries that what
// may be an emergency number can be dialled as nothing else.
func TestOwnEmergencyIsNoNumber(t *testing.T) {
	for _, c := range Countries() {
		for _, text := range []string{"18", "190", "2222", "30123", "251234", "321000", "600100", "811811", "0800", "00491",
			"999999"} {
			if OwnEmergency(text, c, "") != nil {
				continue
			}
			if _, known := Emergency(text, c, nil); known {
				continue
			}
			for _, dialled := range []string{text, "+" + text, strings.Join(strings.Split(text, ""), "-")} {
				if n, err := Normalise(dialled, c); err == nil && Valid(n) {
					t.Errorf("%q may be an emergency number in %s, and is %s", dialled, c, n)
				}
			}
		}
	}
}
