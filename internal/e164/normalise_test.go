package e164

import (
	"errors"
	"math/rand/v2"
	"regexp/syntax"
	"strconv"
	"strings"
	"testing"

	"github.com/nyaruka/phonenumbers"
)

// home reads a case's country; "" is no home.
func home(t testing.TB, alpha2 string) Country {
	t.Helper()
	if alpha2 == "" {
		return 0
	}
	c, ok := CountryByAlpha2(alpha2)
	if !ok {
		t.Fatalf("no country %q", alpha2)
	}
	return c
}

func TestNormalise(t *testing.T) {
	for _, c := range readCases(t, "testdata/dialled.csv") {
		t.Run(c["dialled"]+" from "+c["home"], func(t *testing.T) {
			got, err := Normalise(c["dialled"], home(t, c["home"]))
			if got.String() != c["number"] {
				t.Errorf("got %q (%v), want %q: %s", got, err, c["number"], c["why"])
			}
			if (err == nil) != (c["number"] != "") || err != nil && !errors.Is(err, ErrDialled) {
				t.Errorf("error %v", err)
			}
		})
	}
	for _, dialled := range []string{"+1201\x00555", "\x00", "+1201555\n0123", "+1201\u00a0555", "\xff\xfe",
		"2015550123\x00"} {
		if n, err := Normalise(dialled, home(t, "US")); !errors.Is(err, ErrDialledText) {
			t.Errorf("Normalise(%q) = %s, %v, want ErrDialledText", dialled, n, err)
		}
	}
}

// TestNormaliseAgrees dials random allocated numbers of every region in each
// national form and compares with libphonenumber's parser.
func TestNormaliseAgrees(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	counts := map[string]*[2]int{"trunk": {}, "national": {}, "idd": {}, "plus": {}}
	for _, meta := range metadata(t) {
		c, ok := CountryByAlpha2(meta.GetId())
		if !ok {
			continue // a range without a country dials nothing
		}
		idd, err := syntax.Parse(meta.GetInternationalPrefix(), syntax.Perl)
		if err != nil {
			t.Fatal(err)
		}
		for _, desc := range descriptions(meta) {
			if desc.GetNationalNumberPattern() == "" || desc.GetExampleNumber() == "" {
				continue
			}
			re, err := syntax.Parse(desc.GetNationalNumberPattern(), syntax.Perl)
			if err != nil {
				t.Fatal(err)
			}
			for range 5 {
				var text, prefix strings.Builder
				sample(random, re, &text)
				sample(random, idd, &prefix)
				whole := strconv.Itoa(int(meta.GetCountryCode())) + text.String()
				if n, err := Parse("+" + whole); err != nil || !allocated(n) {
					continue
				}
				forms := map[string]string{
					"trunk": meta.GetNationalPrefix() + text.String(), "national": text.String(),
					"idd": prefix.String() + whole, "plus": "+" + whole,
				}
				for form, dialled := range forms {
					counts[form][0]++
					got, _ := Normalise(dialled, c)
					if want := parsedBy(dialled, meta.GetId()); got.String() == want {
						counts[form][1]++
					} else {
						t.Logf("%s: %s from %s: got %q, libphonenumber has %q", form, dialled, c, got, want)
					}
				}
			}
		}
	}
	for form, count := range counts {
		share := 100 * float64(count[1]) / float64(count[0])
		t.Logf("%s: %d dialled, %.3f %% agree", form, count[0], share)
		if share < 99 {
			t.Errorf("%s: only %.3f %% agree with libphonenumber, want at least 99 %%", form, share)
		}
	}
}

// parsedBy is the number that libphonenumber reads, "" where it reads none.
func parsedBy(dialled, region string) string {
	number, err := phonenumbers.Parse(dialled, region)
	if err != nil {
		return ""
	}
	return phonenumbers.Format(number, phonenumbers.E164)
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"+12015550123", "+0", "++1", "+1201555", "12015550123", "+999999999999999",
		"+1234567890123456"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		n, err := Parse(text)
		if err != nil {
			if n != 0 || !errors.Is(err, ErrSyntax) {
				t.Errorf("Parse(%q) = %d, %v", text, n, err)
			}
			return
		}
		if n.String() != text {
			t.Errorf("Parse(%q).String() = %q", text, n)
		}
		class := Classify(n)
		if class.Country != 0 && class.Range != "" {
			t.Errorf("%s has a country and a range: %+v", n, class)
		}
		if class.Country == 0 && class.Range == "" && (class.Type != TypeUnknown || Valid(n)) {
			t.Errorf("%s has no place in the plan, but type %s", n, class.Type)
		}
	})
}

func FuzzNormalise(f *testing.F) {
	for _, c := range readCases(f, "testdata/dialled.csv") {
		f.Add(c["dialled"], uint16(home(f, c["home"])))
	}
	f.Fuzz(func(t *testing.T, dialled string, country uint16) {
		c := Country(country % uint16(len(countryTable)+3))
		n, err := Normalise(dialled, c)
		if err != nil {
			if n != 0 || !errors.Is(err, ErrDialled) {
				t.Errorf("Normalise(%q, %s) = %d, %v", dialled, c, n, err)
			}
			return
		}
		if parsed, err := Parse(n.String()); err != nil || parsed != n {
			t.Errorf("Normalise(%q, %s) = %s, which does not parse: %v", dialled, c, n, err)
		}
		if again, err := Normalise(n.String(), c); err != nil || again != n {
			t.Errorf("Normalise(%q, %s) = %s, which normalises to %s: %v", dialled, c, n, again, err)
		}
		if i := strings.IndexFunc(dialled, func(r rune) bool {
			return !strings.ContainsRune("+0123456789-. ()",
				r)
		}); i >= 0 {
			t.Errorf("Normalise(%q, %s) = %s, though character %d is not allowed", dialled, c, n, i)
		}
		if _, emergency := Emergency(dialled, c, nil); emergency && allocated(n) {
			t.Errorf("%q from %s is an emergency call and also the number %s", dialled, c, n)
		}
	})
}

func BenchmarkNormalise(b *testing.B) {
	for _, c := range []struct{ name, dialled, home string }{
		{"plus", "+12015550123", "US"}, {"bare", "12015550123", ""}, {"US", "2015550123", "US"},
		{"GB", "020 7946 0018", "GB"}, {"idd", "011442079460018", "US"}, {"BR", "011961234567", "BR"},
		{"refused", "9011442079460018", "US"},
	} {
		b.Run(c.name, func(b *testing.B) {
			from := home(b, c.home)
			b.ReportAllocs()
			for b.Loop() {
				_, _ = Normalise(c.dialled, from)
			}
		})
	}
}
