package e164

import (
	"math/rand/v2"
	"regexp/syntax"
	"strconv"
	"strings"
	"testing"

	"github.com/nyaruka/phonenumbers"
)

// oracleTypes maps libphonenumber's types to ours, to compare the two.
var oracleTypes = map[phonenumbers.PhoneNumberType]NumberType{
	phonenumbers.UNKNOWN:              TypeUnknown,
	phonenumbers.FIXED_LINE:           TypeFixedLine,
	phonenumbers.MOBILE:               TypeMobile,
	phonenumbers.FIXED_LINE_OR_MOBILE: TypeFixedLineOrMobile,
	phonenumbers.TOLL_FREE:            TypeTollFree,
	phonenumbers.PREMIUM_RATE:         TypePremiumRate,
	phonenumbers.SHARED_COST:          TypeSharedCost,
	phonenumbers.VOIP:                 TypeVoIP,
	phonenumbers.PERSONAL_NUMBER:      TypePersonal,
	phonenumbers.PAGER:                TypePager,
	phonenumbers.UAN:                  TypeUAN,
	phonenumbers.VOICEMAIL:            TypeVoicemail,
}

// oracle asks libphonenumber for the class of a number in digits. The national
// number is set directly, since its parser would take trunk prefixes off.
func oracle(code int, national string) (region string, kind NumberType) {
	number := oracleNumber(code, national)
	if number == nil {
		return "", TypeUnknown
	}
	region = phonenumbers.GetRegionCodeForNumber(number)
	if region == "001" {
		return region, TypeUnknown
	}
	return region, oracleTypes[phonenumbers.GetNumberType(number)]
}

// oracleNumber is a number as libphonenumber has it, or nil.
func oracleNumber(code int, national string) *phonenumbers.PhoneNumber {
	value, err := strconv.ParseUint(national, 10, 64)
	if err != nil {
		return nil
	}
	number := &phonenumbers.PhoneNumber{CountryCode: new(int32(code)), NationalNumber: &value}
	if zeros := len(national) - len(strings.TrimLeft(national, "0")); zeros > 0 && zeros < len(national) {
		number.ItalianLeadingZero = new(true)
		number.NumberOfLeadingZeros = new(int32(zeros))
	}
	return number
}

// tally counts how often this package agrees with the oracle.
type tally struct {
	numbers, country, kind, premium, premiumKept int
}

// compare checks one number that the oracle holds for valid or not.
func (a *tally) compare(t *testing.T, code int, national string) {
	t.Helper()
	number, err := Parse("+" + strconv.Itoa(code) + national)
	if err != nil {
		return // shorter or longer than E.164 allows, which the patterns do not know
	}
	region, kind := oracle(code, national)
	got := Classify(number)
	a.numbers++
	countryAgrees := got.Country.Alpha2() == region || region == "001" && got.Range != "" && got.Country == 0
	if region == "" {
		countryAgrees = true // nothing matches and the calling code is shared: no opinion of the country
	}
	if got.Country.Alpha2() == "EH" && region == "MA" && strings.HasPrefix(national, "528") {
		countryAgrees = true // the one place where the plan puts the metadata right on purpose
	}
	kindAgrees := got.Type == kind || region == "001"
	if countryAgrees {
		a.country++
	}
	if kindAgrees {
		a.kind++
	}
	if kind == TypePremiumRate {
		a.premium++
		if got.Type == TypePremiumRate {
			a.premiumKept++
		}
	}
	if !countryAgrees || !kindAgrees {
		t.Logf("+%d %s: got %s%s %s, libphonenumber has %s %s", code, national, got.Country, got.Range, got.Type, region,
			kind)
	}
}

// hold fails the test where agreement is below the floors.
func (a *tally) hold(t *testing.T) {
	t.Helper()
	share := func(part, whole int) float64 { return 100 * float64(part) / float64(max(whole, 1)) }
	t.Logf("%d numbers: country %.4f %%, type %.4f %%, premium-rate %.4f %% of %d", a.numbers,
		share(a.country, a.numbers), share(a.kind, a.numbers), share(a.premiumKept, a.premium), a.premium)
	if share(a.country, a.numbers) < 99.9 {
		t.Errorf("country agrees with libphonenumber for %.4f %%, want at least 99.9 %%", share(a.country, a.numbers))
	}
	if share(a.kind, a.numbers) < 99 {
		t.Errorf("type agrees with libphonenumber for %.4f %%, want at least 99 %%", share(a.kind, a.numbers))
	}
	if share(a.premiumKept, a.premium) < 99 {
		t.Errorf("premium-rate agrees with libphonenumber for %.4f %%, want at least 99 %%", share(a.premiumKept, a.premium))
	}
}

// descriptions lists the patterns of every type of one region.
func descriptions(meta *phonenumbers.PhoneMetadata) []*phonenumbers.PhoneNumberDesc {
	return []*phonenumbers.PhoneNumberDesc{
		meta.GetFixedLine(), meta.GetMobile(), meta.GetTollFree(), meta.GetPremiumRate(), meta.GetSharedCost(),
		meta.GetVoip(), meta.GetPersonalNumber(), meta.GetPager(), meta.GetUan(), meta.GetVoicemail(),
	}
}

func metadata(t testing.TB) []*phonenumbers.PhoneMetadata {
	t.Helper()
	collection, err := phonenumbers.MetadataCollection()
	if err != nil {
		t.Fatal(err)
	}
	return collection.GetMetadata()
}

func TestClassifyAgreesOnExamples(t *testing.T) {
	var agreement tally
	for _, meta := range metadata(t) {
		for _, desc := range descriptions(meta) {
			if example := desc.GetExampleNumber(); example != "" {
				agreement.compare(t, int(meta.GetCountryCode()), example)
			}
		}
	}
	if agreement.numbers < 1000 {
		t.Errorf("compared only %d example numbers", agreement.numbers)
	}
	agreement.hold(t)
}

// sample writes a random text that the expression matches.
func sample(random *rand.Rand, re *syntax.Regexp, out *strings.Builder) {
	switch re.Op {
	case syntax.OpLiteral:
		out.WriteString(string(re.Rune))
	case syntax.OpCharClass:
		pair := 2 * random.IntN(len(re.Rune)/2)
		out.WriteRune(re.Rune[pair] + rune(random.IntN(int(re.Rune[pair+1]-re.Rune[pair])+1)))
	case syntax.OpCapture, syntax.OpConcat:
		for _, sub := range re.Sub {
			sample(random, sub, out)
		}
	case syntax.OpAlternate:
		sample(random, re.Sub[random.IntN(len(re.Sub))], out)
	case syntax.OpQuest:
		if random.IntN(2) == 0 {
			sample(random, re.Sub[0], out)
		}
	case syntax.OpRepeat:
		for range re.Min + random.IntN(max(re.Max-re.Min, 0)+1) {
			sample(random, re.Sub[0], out)
		}
	}
}

// TestClassifyAgreesOnRandomNumbers draws numbers from every pattern of every
// region, then spoils each a little, so that blocks next to allocated ones and
// wrong lengths are compared too.
func TestClassifyAgreesOnRandomNumbers(t *testing.T) {
	perPattern := 30
	if testing.Short() {
		perPattern = 4
	}
	random := rand.New(rand.NewPCG(1, 2))
	var valid, spoiled tally
	for _, meta := range metadata(t) {
		code := int(meta.GetCountryCode())
		for _, desc := range descriptions(meta) {
			if desc.GetNationalNumberPattern() == "" {
				continue
			}
			re, err := syntax.Parse(desc.GetNationalNumberPattern(), syntax.Perl)
			if err != nil {
				t.Fatal(err)
			}
			for range perPattern {
				var text strings.Builder
				sample(random, re, &text)
				valid.compare(t, code, text.String())
				spoiled.compare(t, code, spoil(random, text.String()))
			}
		}
	}
	t.Log("numbers that match a pattern")
	valid.hold(t)
	t.Log("the same numbers with one digit changed, added or taken off")
	spoiled.hold(t)
}

// spoil changes, adds or takes off one digit.
func spoil(random *rand.Rand, digits string) string {
	if digits == "" {
		return "1"
	}
	digit := strconv.Itoa(random.IntN(10))
	at := random.IntN(len(digits))
	switch random.IntN(4) {
	case 0:
		return digits + digit
	case 1:
		return digits[:len(digits)-1]
	}
	return digits[:at] + digit + digits[at+1:]
}
