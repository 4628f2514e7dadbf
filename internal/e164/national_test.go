package e164

import (
	"math/rand/v2"
	"regexp/syntax"
	"strconv"
	"strings"
	"testing"

	"github.com/nyaruka/phonenumbers"
)

func TestNational(t *testing.T) {
	for _, c := range readCases(t, "testdata/national.csv") {
		n, err := Parse(c["number"])
		if err != nil {
			t.Fatal(err)
		}
		country := home(t, c["country"])
		got, ok := country.National(n)
		if got != c["national"] || ok != (c["national"] != "") {
			t.Errorf("%s in %s: %q, %v; want %q: %s", c["number"], c["country"], got, ok, c["national"], c["why"])
		}
		// What is dialled so in the country is read as the same number.
		if back, err := Normalise(got, country); ok && (err != nil || back != n) {
			t.Errorf("%s in %s: %q is read back as %s, %v", c["number"], c["country"], got, back, err)
		}
	}
}

func TestInternationalPrefix(t *testing.T) {
	for country, want := range map[string]string{"GB": "00", "US": "011", "JP": "010", "AU": "", "BR": "", "AQ": "",
		"": ""} {
		c, _ := CountryByAlpha2(country)
		if got := c.InternationalPrefix(); got != want {
			t.Errorf("%s: %q, want %q", country, got, want)
		}
	}
}

// TestNationalAgrees compares with libphonenumber's NATIONAL, for numbers drawn
// from every pattern of every country.
func TestNationalAgrees(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	numbers, differ := 0, 0
	for _, meta := range metadata(t) {
		home, ok := CountryByAlpha2(meta.GetId())
		if !ok {
			continue
		}
		code := int(meta.GetCountryCode())
		for _, desc := range descriptions(meta) {
			if desc.GetNationalNumberPattern() == "" {
				continue
			}
			re, err := syntax.Parse(desc.GetNationalNumberPattern(), syntax.Perl)
			if err != nil {
				t.Fatal(err)
			}
			for range 20 {
				var text strings.Builder
				sample(random, re, &text)
				for _, national := range []string{text.String(), spoil(random, text.String())} {
					n, err := Parse("+" + strconv.Itoa(code) + national)
					if err != nil {
						continue
					}
					numbers++
					got, ok := home.National(n)
					if code == 54 && national[0] == '9' {
						continue // the Go port loses the area code of Argentine mobiles, which libphonenumber itself has
					}
					if want := oracleNational(code, national); !ok || got != want {
						differ++
						t.Logf("+%d %s: %q, %v; libphonenumber has %q", code, national, got, ok, want)
					}
				}
			}
		}
	}
	if numbers < 10_000 || differ > 0 {
		t.Errorf("%d of %d numbers differ", differ, numbers)
	}
}

// oracleNational is the digits of libphonenumber's national form.
func oracleNational(code int, national string) string {
	formatted := phonenumbers.Format(oracleNumber(code, national), phonenumbers.NATIONAL)
	return strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, formatted)
}
