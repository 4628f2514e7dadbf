package e164

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestCountryTable(t *testing.T) {
	all := Countries()
	const iso, added = 249, 3
	if len(all) != iso+added {
		t.Fatalf("%d countries, want %d", len(all), iso+added)
	}
	names := map[string]Country{}
	for i, c := range all {
		if i > 0 && all[i-1].Alpha2() >= c.Alpha2() {
			t.Errorf("%s is not after %s", c, all[i-1])
		}
		if len(c.Alpha2()) != 2 || len(c.Alpha3()) != 3 || c.Name() == "" || c.Alpha3() != strings.ToUpper(c.Alpha3()) {
			t.Errorf("bad row %q %q %q", c.Alpha2(), c.Alpha3(), c.Name())
		}
		if got, ok := CountryByAlpha2(c.Alpha2()); !ok || got != c {
			t.Errorf("CountryByAlpha2(%q) = %d, %v", c.Alpha2(), got, ok)
		}
		if got, ok := CountryByAlpha3(c.Alpha3()); !ok || got != c {
			t.Errorf("CountryByAlpha3(%q) = %d, %v", c.Alpha3(), got, ok)
		}
		if other, ok := names[c.Name()]; ok {
			t.Errorf("%s and %s have one name", c, other)
		}
		names[c.Name()] = c
	}
	for alpha2, alpha3 := range map[string]string{"US": "USA", "DE": "DEU", "GB": "GBR", "XK": "XKX", "AC": "ASC",
		"TA": "TAA", "CH": "CHE", "RO": "ROU", "CD": "COD"} {
		if got := home(t, alpha2).Alpha3(); got != alpha3 {
			t.Errorf("%s is %s, want %s", alpha2, got, alpha3)
		}
	}
	for _, meta := range metadata(t) {
		if _, ok := CountryByAlpha2(meta.GetId()); !ok && meta.GetId() != "001" {
			t.Errorf("the metadata's region %s is not in the table", meta.GetId())
		}
	}
}

func TestCountryByCodeRefuses(t *testing.T) {
	for _, code := range []string{"", "us", "Us", "USA", "ZZ", "U", "U1", "[[", "\x00\x00", "UK", " US", "US "} {
		if c, ok := CountryByAlpha2(code); ok || c != 0 {
			t.Errorf("CountryByAlpha2(%q) = %s, %v", code, c, ok)
		}
	}
	for _, code := range []string{"", "usa", "US", "ZZZ", "USAA"} {
		if c, ok := CountryByAlpha3(code); ok || c != 0 {
			t.Errorf("CountryByAlpha3(%q) = %s, %v", code, c, ok)
		}
	}
	for _, c := range []Country{0, Country(len(countryTable)), 65535} {
		if c.Alpha2() != "" || c.Alpha3() != "" || c.Name() != "" {
			t.Errorf("country %d has a name", uint16(c))
		}
	}
}

func TestSuggestCountry(t *testing.T) {
	for text, want := range map[string]string{
		"us": "US", "USA": "US", "usa": "US", "United States": "US", "uk": "GB", "UK": "GB", "England": "GB",
		"germany": "DE", " de ": "DE", "DEU": "DE", "Curaçao": "CW", "curacao": "CW", "türkiye": "TR", "Turkey": "TR",
		"ivory coast": "CI", "kosovo": "XK", "xkx": "XK", "EL": "GR",
		"": "", "ZZ": "", "Atlantis": "", "+1": "", strings.Repeat("a", 1<<16): "",
	} {
		got, ok := SuggestCountry(text)
		if got != want || ok != (want != "") {
			t.Errorf("SuggestCountry(%.30q) = %q, %v, want %q", text, got, ok, want)
		}
	}
	for name, alpha2 := range commonNames {
		if _, ok := CountryByAlpha2(alpha2); !ok || name != strings.ToLower(name) || len(name) > maxCountryText {
			t.Errorf("bad common name %q of %q", name, alpha2)
		}
	}
}

// TestCountrySet compares the set with a map of the same members.
func TestCountrySet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		members := rapid.SliceOf(rapid.Uint16Range(0, 300)).Draw(t, "members")
		var set, reversed CountrySet
		model := map[Country]bool{}
		for _, c := range members {
			set.Add(Country(c))
			if Country(c).Alpha2() != "" {
				model[Country(c)] = true
			}
		}
		for _, c := range slices.Backward(members) {
			reversed.Add(Country(c))
		}
		for c := range Country(400) {
			if set.Has(c) != model[c] {
				t.Fatalf("Has(%d) = %v", c, set.Has(c))
			}
		}
		listed := slices.Collect(set.All())
		if len(listed) != len(model) || set.Len() != len(model) || !slices.IsSorted(listed) {
			t.Fatalf("%d members listed as %v, Len %d", len(model), listed, set.Len())
		}
		if set != reversed {
			t.Fatal("the order of adding shows in the set")
		}
	})
	var set CountrySet
	set.Add(home(t, "US"))
	set.Add(home(t, "CA"))
	for c := range set.All() {
		if c.Alpha2() != "CA" {
			t.Errorf("the first member is %s", c)
		}
		break
	}
}

func TestRangeSet(t *testing.T) {
	want := []string{"+800", "+808", "+870", "+878", "+881", "+882", "+883", "+888", "+979"}
	if diff := cmp.Diff(want, Ranges()); diff != "" {
		t.Errorf("Ranges (-want +got):\n%s", diff)
	}
	var all, one RangeSet
	for _, name := range Ranges() {
		r, ok := ParseRange(name)
		if !ok || r.String() != name {
			t.Errorf("ParseRange(%q) = %s, %v", name, r, ok)
		}
		all.Add(r)
	}
	iridium, _ := ParseRange("+881")
	one.Add(iridium)
	if !one.Has("+881") || one.Has("+882") || one.Has("") || one.Has("881") || one.Len() != 1 || all.Len() != len(want) {
		t.Errorf("set of +881: %v; all: %v", slices.Collect(one.All()), slices.Collect(all.All()))
	}
	for _, bad := range []string{"", "881", "+88", "+8816", "+1", "+44", "001", "+999", "881+", "+ 88"} {
		if r, ok := ParseRange(bad); ok || r != 0 {
			t.Errorf("ParseRange(%q) = %d, %v", bad, r, ok)
		}
	}
	one.Add(0)
	one.Add(200)
	if one.Len() != 1 || Range(200).String() != "" {
		t.Error("a value that is no range became a member")
	}
	// Every range must be recognised by the code that classifies.
	for i, name := range rangeNames[1:] {
		n := numberOf(t, name+"12345678")
		if got := Classify(n); got.Range != name || got.Country != 0 {
			t.Errorf("%s is %+v, want range %d %s", n, got, i+1, name)
		}
	}
}

func TestClassIn(t *testing.T) {
	var countries CountrySet
	var ranges, noRanges RangeSet
	countries.Add(home(t, "US"))
	iridium, _ := ParseRange("+881")
	ranges.Add(iridium)
	for text, want := range map[string]bool{
		"+12015550123": true, "+18765230123": false, "+442079460018": false, "+881612345678": true,
		"+882162123456": false, "+17102345678": false, "+9991234567": false,
	} {
		if got := Classify(numberOf(t, text)).In(countries, ranges); got != want {
			t.Errorf("%s in US and +881: %v", text, got)
		}
	}
	if Classify(881612345678).In(countries, noRanges) {
		t.Error("a satellite number is in a whitelist that names no range")
	}
	if (Class{}).In(countries, ranges) {
		t.Error("a number of no place is in a whitelist")
	}
}

func TestNumberType(t *testing.T) {
	var set NumberTypeSet
	want := []NumberType{TypePremiumRate, TypeSatellite}
	set.Add(TypeSatellite)
	set.Add(TypePremiumRate)
	set.Add(numNumberTypes)
	if diff := cmp.Diff(want, slices.Collect(set.All())); diff != "" {
		t.Errorf("members (-want +got):\n%s", diff)
	}
	for kind := range numNumberTypes {
		name := kind.String()
		if got, ok := ParseNumberType(name); !ok || got != kind || name == "" || name != strings.ToLower(name) {
			t.Errorf("type %d is written %q and read as %d, %v", kind, name, got, ok)
		}
		if set.Has(kind) != slices.Contains(want, kind) {
			t.Errorf("Has(%s) = %v", kind, set.Has(kind))
		}
	}
	for _, bad := range []string{"", "Mobile", "premium", "invalid", "fixed-line"} {
		if got, ok := ParseNumberType(bad); ok || got != 0 {
			t.Errorf("ParseNumberType(%q) = %s, %v", bad, got, ok)
		}
	}
	if numNumberTypes.String() != "invalid" || set.Has(40) {
		t.Error("a value that is no type has a name or is a member")
	}
}

// TestDigitsOfEveryLength: digits are counted and told as strconv writes them.
func TestDigitsOfEveryLength(t *testing.T) {
	check := func(n Number) {
		text := ""
		if n != 0 {
			text = strconv.FormatUint(uint64(n), 10)
		}
		digits := n.Digits()
		got := ""
		for _, d := range digits.Digit[:digits.Len] {
			got += string('0' + rune(d))
		}
		if got != text {
			t.Errorf("%d has the digits %q", uint64(n), got)
		}
	}
	check(0)
	check(math.MaxUint64)
	for power := Number(1); ; power *= 10 {
		for _, n := range []Number{power - 1, power, power + 1, 2 * power, 9 * power} {
			check(n)
		}
		if power > math.MaxUint64/10/10 {
			break
		}
	}
}
