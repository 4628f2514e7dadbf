package e164

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/nyaruka/phonenumbers"
)

func TestEmergency(t *testing.T) {
	for _, c := range readCases(t, "testdata/emergency.csv") {
		t.Run(c["dialled"]+" from "+c["home"], func(t *testing.T) {
			var extra []string
			if c["extra"] != "" {
				extra = strings.Split(c["extra"], "|")
			}
			number, ok := Emergency(c["dialled"], home(t, c["home"]), extra)
			if number != c["number"] || ok != (c["number"] != "") {
				t.Errorf("got %q, %v, want %q: %s", number, ok, c["number"], c["why"])
			}
		})
	}
	if _, ok := Emergency("", 0, []string{""}); ok {
		t.Error("an empty entry of the list makes nothing an emergency call")
	}
}

// TestEmergencyAgrees holds that every emergency number of every country is found,
// and that short numbers which are none are not, besides 112 and 911.
func TestEmergencyAgrees(t *testing.T) {
	var short []string
	for length, limit := 1, 10; length <= 3; length, limit = length+1, limit*10 {
		for i := range limit {
			short = append(short, fmt.Sprintf("%0*d", length, i))
		}
	}
	found := 0
	for _, c := range Countries() {
		for _, dialled := range append(EmergencyNumbers(c), short...) {
			want := phonenumbers.IsEmergencyNumber(dialled, c.Alpha2())
			if want {
				found++
			}
			number, got := Emergency(dialled, c, nil)
			want = want || dialled == "112" || dialled == "911"
			if trunk := c.dial().trunk; got && !want && trunk != "" && trunk+number == dialled {
				continue // "017" in a country of trunk prefix 0 and emergency number 17
			}
			if got != want || got && number != dialled {
				t.Errorf("Emergency(%q, %s) = %q, %v, want %v", dialled, c, number, got, want)
			}
		}
	}
	if found < 500 {
		t.Errorf("only %d emergency numbers compared", found)
	}
}

// TestEmergencyTakesNoNumber holds for every country that no text of six digits or
// fewer which is an emergency call could have been a call to a subscriber. A few
// have the length of a number, such as 010111 in South Africa, where the police are
// 10111; there is no such number.
func TestEmergencyTakesNoNumber(t *testing.T) {
	for _, c := range append(Countries(), 0) {
		row := c.dial()
		for _, emergency := range append(EmergencyNumbers(c), "112", "911") {
			for _, dialled := range []string{emergency, "+" + emergency, row.trunk + emergency,
				fmt.Sprintf("+%d%s", row.code, emergency)} {
				if _, ok := Emergency(dialled, c, nil); !ok {
					continue
				}
				if n, err := Normalise(dialled, c); err == nil && allocated(n) {
					t.Errorf("%q from %s is an emergency call, but also the allocated number %s", dialled, c, n)
				}
			}
		}
	}
}

func FuzzEmergency(f *testing.F) {
	for _, c := range readCases(f, "testdata/emergency.csv") {
		f.Add(c["dialled"], uint16(home(f, c["home"])), c["extra"])
	}
	f.Fuzz(func(t *testing.T, dialled string, country uint16, extra string) {
		c := Country(country % uint16(len(countryTable)+3))
		number, ok := Emergency(dialled, c, nil)
		if !ok {
			if number != "" {
				t.Errorf("Emergency(%q, %s) is no emergency call, but has the number %q", dialled, c, number)
			}
			if got, ok := Emergency(dialled, c, []string{extra}); ok && (got != dialled || extra != dialled) {
				t.Errorf("Emergency(%q, %s, %q) = %q", dialled, c, extra, got)
			}
			return
		}
		if sosURN(dialled) {
			return
		}
		plain, _, _ := strings.Cut(dialled, ";")
		stripped := strings.Map(func(r rune) rune {
			if strings.ContainsRune("+-. ()", r) {
				return -1
			}
			return r
		}, plain)
		if stripped = strings.TrimPrefix(strings.ToLower(stripped), "tel:"); len(stripped) > maxEmergencyDigits ||
			!strings.HasSuffix(stripped, number) {
			t.Errorf("Emergency(%q, %s) = %q", dialled, c, number)
		}
		if number != "112" && number != "911" && !slices.Contains(EmergencyNumbers(c), number) {
			t.Errorf("Emergency(%q, %s) = %q, which is none of %v", dialled, c, number, EmergencyNumbers(c))
		}
	})
}

func BenchmarkEmergency(b *testing.B) {
	from := home(b, "US")
	extra := []string{"933", "988"}
	for _, dialled := range []string{"911", "9911", "+12015550123"} {
		b.Run(dialled, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Emergency(dialled, from, extra)
			}
		})
	}
}
