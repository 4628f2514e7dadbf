package e164

import (
	"encoding/csv"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// readCases reads a table of cases. The first row names the columns; # begins a
// comment.
func readCases(t testing.TB, path string) []map[string]string {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	reader := csv.NewReader(file)
	reader.Comment = '#'
	rows, err := reader.ReadAll()
	if err != nil {
		t.Fatalf("read %s: %v", path, err)
	}
	var cases []map[string]string
	for _, row := range rows[1:] {
		c := map[string]string{}
		for i, name := range rows[0] {
			c[name] = row[i]
		}
		cases = append(cases, c)
	}
	if len(cases) == 0 {
		t.Fatalf("%s has no cases", path)
	}
	return cases
}

// numberOf reads a case's number, which may be shorter than Parse allows.
func numberOf(t testing.TB, text string) Number {
	t.Helper()
	var n Number
	for _, digit := range text[1:] {
		n = n*10 + Number(digit-'0')
	}
	if text[0] != '+' || n.String() != text {
		t.Fatalf("%q is not a number", text)
	}
	return n
}

func TestClassify(t *testing.T) {
	nanp := map[string]bool{}
	for _, c := range readCases(t, "testdata/classify.csv") {
		t.Run(c["number"], func(t *testing.T) {
			got := Classify(numberOf(t, c["number"]))
			want := map[string]string{"country": c["country"], "range": c["range"], "type": c["type"]}
			have := map[string]string{"country": got.Country.Alpha2(), "range": got.Range, "type": got.Type.String()}
			for column, value := range want {
				if value == "*" && have[column] != "" {
					want[column] = have[column]
				}
			}
			if c["type"] == "*" && got.Type == TypeUnknown {
				t.Error("the number should be allocated, but has no type")
			}
			if diff := cmp.Diff(want, have); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c["why"], diff)
			}
			if got.Country != 0 && got.Range != "" {
				t.Errorf("both a country (%s) and a range (%s)", got.Country, got.Range)
			}
		})
		if c["number"][1] == '1' && c["country"] != "" {
			nanp[c["country"]] = true
		}
	}
	if len(nanp) != 25 {
		t.Errorf("the table has %d countries of +1, want all 25: %v", len(nanp), nanp)
	}
}

// TestEveryAreaCode holds that no area code of +1 is counted to a country that
// does not have it: a whitelist of US and CA must keep the islands out.
func TestEveryAreaCode(t *testing.T) {
	islands := map[int]string{
		242: "BS", 246: "BB", 264: "AI", 268: "AG", 284: "VG", 340: "VI", 345: "KY", 441: "BM", 473: "GD", 649: "TC",
		658: "JM", 664: "MS", 670: "MP", 671: "GU", 684: "AS", 721: "SX", 758: "LC", 767: "DM", 784: "VC", 787: "PR",
		809: "DO", 829: "DO", 849: "DO", 868: "TT", 869: "KN", 876: "JM", 939: "PR",
	}
	for area := range 1000 {
		for _, rest := range []Number{2345678, 5550123, 123456, 9999999} {
			n := 10_000_000_000 + Number(area)*10_000_000 + rest
			got := Classify(n).Country.Alpha2()
			want, island := islands[area]
			if island && got != want {
				t.Errorf("%s: country %q, want %q", n, got, want)
			}
			if !island && got != "" && got != "US" && got != "CA" {
				t.Errorf("%s: country %q, want US, CA or none", n, got)
			}
		}
	}
}

func TestValid(t *testing.T) {
	cases := map[string]bool{
		"+12015550123":    true,
		"+1201555012":     false, // short
		"+120155501234":   false, // long
		"+17102345678":    false, // no such area code
		"+447700900123":   true,  // possible though not allocated
		"+4420":           false,
		"+4915123456789":  true,
		"+88161234":       false, // a range, but short
		"+881612345678":   true,
		"+80012345678":    true,
		"+800123456789":   false,
		"+9991234567":     false,
		"+999999999999":   false,
		"+29022158":       true,
		"+1":              false,
		"+18446744073709": false,
	}
	for text, want := range cases {
		if got := Valid(numberOf(t, text)); got != want {
			t.Errorf("Valid(%s) = %v, want %v", text, got, want)
		}
	}
	if Valid(0) || Valid(^Number(0)) {
		t.Error("no number, or one of 20 digits, is valid")
	}
	if got := Classify(0); got != (Class{}) {
		t.Errorf("no number has class %+v", got)
	}
}

func TestPlanSize(t *testing.T) {
	const maxBytes = 1 << 20
	if len(plan)%stateBytes != 0 || len(plan) == 0 || len(plan) > maxBytes {
		t.Errorf("the plan has %d bytes, want a multiple of %d up to %d", len(plan), stateBytes, maxBytes)
	}
	if PlanVersion == "" {
		t.Error("the plan has no version")
	}
}

func TestLookupsAllocateNothing(t *testing.T) {
	var countries CountrySet
	var ranges RangeSet
	countries.Add(1)
	ranges.Add(5)
	n, iridium := Number(447400123456), Number(881612345678)
	sink := false
	allocations := testing.AllocsPerRun(100, func() {
		sink = Classify(n).In(countries, ranges) != Classify(iridium).In(countries, ranges) && Valid(n)
		_, ok := CountryByAlpha2("US")
		_, ok3 := CountryByAlpha3("USA")
		sink = sink && ok && ok3
	})
	if allocations != 0 {
		t.Errorf("%v allocations, want none", allocations)
	}
	if !sink {
		t.Error("a lookup failed")
	}
}

func BenchmarkClassify(b *testing.B) {
	for name, n := range map[string]Number{"US": 12015550123, "GB": 447400123456, "JM": 18765230123,
		"Iridium": 881612345678} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Classify(n)
			}
		})
	}
}

func BenchmarkClassifyMixed(b *testing.B) {
	var numbers []Number
	for _, c := range readCases(b, "testdata/classify.csv") {
		numbers = append(numbers, numberOf(b, c["number"]))
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		Classify(numbers[i])
		if i++; i == len(numbers) {
			i = 0
		}
	}
}

func BenchmarkValid(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		Valid(447400123456)
	}
}
