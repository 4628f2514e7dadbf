package e164

import (
	"math/rand/v2"
	"regexp/syntax"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/nyaruka/phonenumbers"
)

// samples draws random numbers of one description of the metadata, without the
// calling code.
func samples(t testing.TB, random *rand.Rand, desc *phonenumbers.PhoneNumberDesc, count int) []string {
	t.Helper()
	if desc.GetNationalNumberPattern() == "" || desc.GetNationalNumberPattern() == "NA" {
		return nil
	}
	re, err := syntax.Parse(desc.GetNationalNumberPattern(), syntax.Perl)
	if err != nil {
		t.Fatal(err)
	}
	var drawn []string
	for range count {
		var text strings.Builder
		sample(random, re, &text)
		drawn = append(drawn, text.String())
	}
	return drawn
}

// ways is how a number may be written so that a network still completes it.
func ways(random *rand.Rand, meta *phonenumbers.PhoneMetadata, national string) []string {
	code := strconv.Itoa(int(meta.GetCountryCode()))
	trunk := meta.GetNationalPrefix()
	written := []string{
		"+" + code + national, "00" + code + national, "011" + code + national, "0011" + code + national,
		"+" + code + " " + national, "(+" + code + ")" + national, "+" + code + "-" + national, code + national,
		trunk + national, national, trunk + " " + national[:2] + "." + national[2:],
	}
	for _, prefix := range []string{trunk, "0", "(0)", " 0 ", "00", trunk + trunk} {
		if prefix != "" {
			written = append(written, "+"+code+prefix+national, "00"+code+prefix+national, "011"+code+prefix+national)
		}
	}
	for _, carrier := range []string{"015", "021", "0021", "1900", "1920", "03", "0441", "80", "8", "1", "01", "044",
		"045"} {
		if parsedBy("+"+code+carrier+national, meta.GetId()) == "+"+code+national {
			written = append(written, "+"+code+carrier+national, carrier+national)
		}
	}
	for extra := 1; len(code)+len(national)+extra <= MaxDigits; extra++ {
		more := make([]byte, extra)
		for i := range more {
			more[i] = byte('0' + random.IntN(10))
		}
		written = append(written, "+"+code+national+string(more), "+"+code+trunk+national+string(more),
			trunk+national+string(more))
	}
	for less := 1; less <= 2 && len(national) > less+3; less++ {
		written = append(written, "+"+code+national[:len(national)-less], trunk+national[:len(national)-less])
	}
	return written
}

// TestNoWritingHidesPremium writes premium rate numbers of every region in every
// way, dialled from several homes. Whatever is read as a number begins with the
// number as the network has it, or may be premium rate.
func TestNoWritingHidesPremium(t *testing.T) {
	count := 12
	if testing.Short() {
		count = 3
	}
	random := rand.New(rand.NewPCG(7, 8))
	tried, read, another := 0, 0, 0
	for _, meta := range metadata(t) {
		own, ok := CountryByAlpha2(meta.GetId())
		if !ok {
			continue
		}
		for _, national := range samples(t, random, meta.GetPremiumRate(), count) {
			whole := strconv.Itoa(int(meta.GetCountryCode())) + national
			plain, err := Parse("+" + whole)
			if err != nil || Classify(plain).Type != TypePremiumRate {
				continue
			}
			for _, written := range ways(random, meta, national) {
				for _, from := range []Country{0, own, home(t, "DE"), home(t, "US"), home(t, "AU")} {
					if strings.HasPrefix(written, "011") && from.CallingCode() != 1 {
						continue // 011 is an area code there
					}
					tried++
					n, err := Normalise(written, from)
					j, ok := Judge(n)
					if err != nil || !ok {
						continue
					}
					read++
					if j.Possible.Has(TypePremiumRate) {
						continue
					}
					// Another number of the plan, and not a disguise of this one.
					if j.Exact() && !strings.HasPrefix(n.String(), plain.String()) {
						another++
						continue
					}
					if !strings.HasPrefix(n.String(), "+"+strconv.Itoa(int(meta.GetCountryCode()))) ||
						!strings.Contains(n.String(), national) {
						another++
						continue
					}
					t.Errorf("%q from %s is %s: %s (%v), hides %s", written, from, n, j.Type, names(j.Possible), plain)
				}
			}
		}
	}
	t.Logf("%d writings, %d read as numbers, %d of these another number of a plan", tried, read, another)
	if read < 1000 {
		t.Errorf("only %d writings were read", read)
	}
}

func names(set NumberTypeSet) (all []string) {
	for kind := range set.All() {
		all = append(all, kind.String())
	}
	return all
}

// TestCompleteAgrees writes a trunk prefix between calling code and number, in
// every region, and compares with what libphonenumber reads.
func TestCompleteAgrees(t *testing.T) {
	random := rand.New(rand.NewPCG(9, 10))
	regions := map[string]bool{}
	for _, meta := range metadata(t) {
		if _, ok := CountryByAlpha2(meta.GetId()); !ok || meta.GetNationalPrefix() == "" {
			continue
		}
		for _, desc := range descriptions(meta) {
			for _, national := range samples(t, random, desc, 8) {
				code := strconv.Itoa(int(meta.GetCountryCode()))
				if plain, err := Parse("+" + code + national); err != nil || !allocated(plain) || rehome(plain) != plain {
					continue
				}
				written := "+" + code + meta.GetNationalPrefix() + national
				if len(written) > MaxDigits+1 {
					continue
				}
				want := parsedBy(written, meta.GetId())
				got, err := Normalise(written, 0)
				// Taking off more is right where the result is the number that was meant.
				if plain := "+" + code + national; got.String() != want && got.String() != plain && (err != nil || Valid(got)) {
					t.Errorf("%s in %s: got %q (%v), libphonenumber has %q", written, meta.GetId(), got, err, want)
				}
				regions[meta.GetId()] = regions[meta.GetId()] || want == "+"+code+national
			}
		}
	}
	stripped := 0
	for _, did := range regions {
		if did {
			stripped++
		}
	}
	t.Logf("%d regions, the prefix comes off in %d", len(regions), stripped)
	if stripped < 42 {
		t.Errorf("the trunk prefix comes off in %d regions, want at least 42", stripped)
	}
}

// TestPlainNumbersStay holds that a number of the plan is read as it is written.
func TestPlainNumbersStay(t *testing.T) {
	random := rand.New(rand.NewPCG(11, 12))
	for _, meta := range metadata(t) {
		if _, ok := CountryByAlpha2(meta.GetId()); !ok {
			continue
		}
		for _, desc := range descriptions(meta) {
			for _, national := range samples(t, random, desc, 10) {
				n, err := Parse("+" + strconv.Itoa(int(meta.GetCountryCode())) + national)
				if err != nil || !allocated(n) {
					continue
				}
				if got := (Plan{}).complete(n); got != n && rehome(n) == n {
					t.Errorf("%s (%s) is read as %s", n, meta.GetId(), got)
				}
				if j, ok := Judge(n); !ok || j.Dearest() != j.Type || j.Shorter != 0 {
					t.Errorf("%s (%s) is %s, judged as %s", n, meta.GetId(), j.Type, j.Dearest())
				}
			}
		}
	}
}

// TestJudge holds what numbers that are not of the plan as they stand could be.
func TestJudge(t *testing.T) {
	for _, c := range readCases(t, "testdata/judged.csv") {
		t.Run(c["number"], func(t *testing.T) {
			j, ok := Judge(numberOf(t, c["number"]))
			if !ok {
				t.Error("not valid")
			}
			want := map[string]string{"country": c["country"], "type": c["type"], "judged": c["judged"],
				"could be": c["could be"]}
			got := map[string]string{
				"country": j.Country.Alpha2(), "type": j.Type.String(), "judged": j.Dearest().String(),
				"could be": strings.Join(names(j.Possible), " "),
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c["why"], diff)
			}
		})
	}
}

func TestJudgeAllocatesNothing(t *testing.T) {
	numbers := []Number{499001234567, 4990012345678, 4911833, 447700900123, 390012345678, 12129761234}
	sink := NumberTypeSet(0)
	if allocations := testing.AllocsPerRun(100, func() {
		for _, n := range numbers {
			j, _ := Judge(n)
			sink |= j.Possible
		}
	}); allocations != 0 {
		t.Errorf("%v allocations, want none", allocations)
	}
	if !sink.Has(TypePremiumRate) {
		t.Error("none is premium rate")
	}
}

func BenchmarkJudge(b *testing.B) {
	for name, n := range map[string]Number{"plan": 447400123456, "doubtful": 4990012345678, "short": 4911833} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Judge(n)
			}
		})
	}
}
