package rating_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tollgate/tollgate/internal/e164"
	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/rating"
)

// noon is the moment for which tests compile decks.
var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func perMinute(price money.Amount) rating.Rate {
	return rating.Rate{PerMinute: price, FirstIncrement: 60, Increment: 60}
}

func mustDeck(t testing.TB, rows []rating.Row) *rating.Deck {
	t.Helper()
	deck, err := rating.NewDeck(rows, noon)
	if err != nil {
		t.Fatal(err)
	}
	return deck
}

func TestLookup(t *testing.T) {
	prefixes := []string{"1", "1876", "1876555", "44", "447", "4420", "88213", "882131234567890"}
	var rows []rating.Row
	for i, p := range prefixes {
		rows = append(rows, rating.Row{Prefix: p, Rate: perMinute(money.Amount(i + 1)), Line: i + 2})
	}
	deck := mustDeck(t, rows)
	if deck.Len() != len(prefixes) {
		t.Errorf("Len() = %d, want %d", deck.Len(), len(prefixes))
	}
	tests := []struct{ number, want string }{
		{"+12025550123", "1"},
		{"+18765550123", "1876555"},
		{"+18765500123", "1876"},
		{"+1876555", "1876555"},
		{"+447700900123", "447"},
		{"+442079460000", "4420"},
		{"+443079460000", "44"},
		{"+882131234567890", "882131234567890"},
		{"+882131234567891", "88213"},
		{"+88213123456789", "88213"},
		{"+33123456789", ""},
		{"+8821000000", ""},
	}
	for _, test := range tests {
		n, err := e164.Parse(test.number)
		if err != nil {
			t.Fatal(err)
		}
		match, ok := deck.Match(n)
		if ok != (test.want != "") || match.Prefix.String() != test.want {
			t.Errorf("Match(%s) = %q %v, want %q", test.number, match.Prefix, ok, test.want)
		}
		if ok && prefixes[match.Rate.PerMinute-1] != test.want {
			t.Errorf("Match(%s) has the rate of %s", test.number, prefixes[match.Rate.PerMinute-1])
		}
	}
	for _, n := range []e164.Number{0, 1, 187655, 1876555012345678, 18446744073709551615} {
		rate, length, ok := deck.Lookup(n)
		if ok || length != 0 || rate != (rating.Rate{}) {
			t.Errorf("Lookup(%d) matched %d digits; it is no E.164 number", n, length)
		}
	}
}

func TestEmptyDeck(t *testing.T) {
	deck := mustDeck(t, nil)
	_, _, ok := deck.Lookup(12025550123)
	_, changes := deck.NextChange()
	if ok || changes || deck.Len() != 0 {
		t.Errorf("an empty deck matches (%v), changes (%v) or has %d prefixes", ok, changes, deck.Len())
	}
}

func TestNewDeckRefuses(t *testing.T) {
	good := perMinute(money.Cent)
	with := func(change func(*rating.Rate)) rating.Rate {
		r := good
		change(&r)
		return r
	}
	later := noon.Add(time.Hour)
	tests := []struct {
		name, want string
		rows       []rating.Row
	}{
		{"no prefix", `line 3: parse "": not a prefix of 1 to 15 digits that does not start with 0`,
			[]rating.Row{{Rate: good, Line: 3}}},
		{"leading zero", `line 3: parse "0123": not a prefix of 1 to 15 digits that does not start with 0`,
			[]rating.Row{{Prefix: "0123", Rate: good, Line: 3}}},
		{"16 digits", `line 3: parse "1234567890123456": not a prefix of 1 to 15 digits that does not start with 0`,
			[]rating.Row{{Prefix: "1234567890123456", Rate: good, Line: 3}}},
		{"letters", `line 3: parse "12a": not a prefix of 1 to 15 digits that does not start with 0`,
			[]rating.Row{{Prefix: "12a", Rate: good, Line: 3}}},
		{"negative price", `compile line 3, prefix "1": price per minute -0.01 is not between 0 and 10000.00`,
			[]rating.Row{{Prefix: "1", Line: 3, Rate: with(func(r *rating.Rate) { r.PerMinute = -money.Cent })}}},
		{"dear connect fee", `compile line 3, prefix "1": connect fee 10000.01 is not between 0 and 10000.00`,
			[]rating.Row{{Prefix: "1", Line: 3,
				Rate: with(func(r *rating.Rate) { r.ConnectFee = rating.MaxPrice + money.Cent })}}},
		{"no first increment", `compile line 3, prefix "1": first increment 0 is not between 1 and 3600 seconds`,
			[]rating.Row{{Prefix: "1", Line: 3, Rate: with(func(r *rating.Rate) { r.FirstIncrement = 0 })}}},
		{"long increment", `compile line 3, prefix "1": increment 3601 is not between 1 and 3600 seconds`,
			[]rating.Row{{Prefix: "1", Line: 3, Rate: with(func(r *rating.Rate) { r.Increment = 3601 })}}},
		{"twice", "compile lines 3 and 9, prefix 1876: prefix is priced twice from the same moment",
			[]rating.Row{{Prefix: "1876", Rate: good, Line: 9}, {Prefix: "1", Rate: good, Line: 4},
				{Prefix: "1876", Rate: good, Line: 3}}},
		{"twice in the future", "compile lines 3 and 4, prefix 1: prefix is priced twice from the same moment",
			[]rating.Row{{Prefix: "1", Rate: good, Line: 2}, {Prefix: "1", Rate: good, Line: 3, EffectiveAt: later},
				{Prefix: "1", Rate: good, Line: 4, EffectiveAt: later.In(time.FixedZone("", 3600))}}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := rating.NewDeck(test.rows, noon)
			if err == nil || err.Error() != test.want {
				t.Errorf("NewDeck: %v\nwant %s", err, test.want)
			}
		})
	}
}

func TestEffectiveDates(t *testing.T) {
	day := func(d int) time.Time { return noon.AddDate(0, 0, d) }
	rows := []rating.Row{
		{Prefix: "1", Rate: perMinute(30), EffectiveAt: day(3)},
		{Prefix: "1", Rate: perMinute(10)},
		{Prefix: "1", Rate: perMinute(20), EffectiveAt: day(1)},
		{Prefix: "44", Rate: perMinute(99), EffectiveAt: day(2)},
	}
	tests := []struct {
		at      time.Time
		price   money.Amount
		length  int
		changes time.Time
	}{
		{day(0), 10, 1, day(1)},
		{day(1).Add(-1), 10, 1, day(1)},
		{day(1), 20, 1, day(2)},
		{day(2), 20, 2, day(3)},
		{day(3), 30, 2, time.Time{}},
		{day(9), 30, 2, time.Time{}},
		{time.Time{}, 10, 1, day(1)},
	}
	for _, test := range tests {
		deck, err := rating.NewDeck(rows, test.at)
		if err != nil {
			t.Fatal(err)
		}
		rate, _, _ := deck.Lookup(12025550123)
		changes, _ := deck.NextChange()
		if rate.PerMinute != test.price || deck.Len() != test.length || !changes.Equal(test.changes) {
			t.Errorf("at %v: price %d, %d prefixes, next change %v; want %d, %d, %v",
				test.at, rate.PerMinute, deck.Len(), changes, test.price, test.length, test.changes)
		}
	}
}

// oracle finds the longest prefix by trying every length.
func oracle(prices map[string]rating.Rate, n e164.Number) (rating.Rate, int, bool) {
	digits := strconv.FormatUint(uint64(n), 10)
	for length := len(digits); length > 0; length-- {
		rate, ok := prices[digits[:length]]
		if ok {
			return rate, length, true
		}
	}
	return rating.Rate{}, 0, false
}

func TestLookupMatchesOracle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		// Few different digits make prefixes of prefixes likely; the size of the
		// deck decides how many digits the first table takes.
		pattern := rapid.SampledFrom([]string{`[12][12]{0,14}`, `[1-9][0-9]{0,5}`, `1[0-9]{0,3}`, `[1-9][0-9]{0,14}`}).Draw(t,
			"pattern")
		size := rapid.SampledFrom([]int{1, 10, 80, 700}).Draw(t, "size")
		prices := make(map[string]rating.Rate)
		var rows []rating.Row
		prefix := rapid.StringMatching(pattern)
		for range size {
			p := prefix.Draw(t, "prefix")
			_, known := prices[p]
			if !known {
				prices[p] = perMinute(money.Amount(len(rows) / 2))
				rows = append(rows, rating.Row{Prefix: p, Rate: prices[p]})
			}
		}
		deck, err := rating.NewDeck(rows, noon)
		if err != nil {
			t.Fatal(err)
		}
		for range 50 {
			digits := rapid.OneOf(rapid.StringMatching(`[12]{7,15}`), rapid.StringMatching(`[1-9][0-9]{6,14}`),
				rapid.Custom(func(t *rapid.T) string { // a number that starts with a prefix of the deck
					row := rapid.SampledFrom(rows).Draw(t, "row")
					tail := rapid.StringMatching(`[0-9]{15}`).Draw(t, "tail")
					return (row.Prefix + tail)[:max(len(row.Prefix), rapid.IntRange(7, 15).Draw(t, "length"))]
				})).Draw(t, "number")
			value, _ := strconv.ParseUint(digits, 10, 64)
			n := e164.Number(value)
			wantRate, wantLength, wantOK := rating.Rate{}, 0, false
			if len(digits) >= 7 {
				wantRate, wantLength, wantOK = oracle(prices, n)
			}
			rate, length, ok := deck.Lookup(n)
			if rate != wantRate || length != wantLength || ok != wantOK {
				t.Fatalf("Lookup(%s) = %v %d %v, want %v %d %v", digits, rate, length, ok, wantRate, wantLength, wantOK)
			}
		}
	})
}

func TestLargeDeckMatchesOracle(t *testing.T) {
	rows := northAmericanRows(60_000)
	prices := make(map[string]rating.Rate, len(rows))
	for _, row := range rows {
		prices[row.Prefix] = row.Rate
	}
	deck := mustDeck(t, rows)
	random := rand.New(rand.NewPCG(3, 4))
	for _, row := range rows {
		n := numberWithin(random, row.Prefix)
		type answer struct {
			Rate   rating.Rate
			Length int
			OK     bool
		}
		var got, want answer
		got.Rate, got.Length, got.OK = deck.Lookup(n)
		want.Rate, want.Length, want.OK = oracle(prices, n)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("Lookup(%d) (-want +got):\n%s", n, diff)
		}
	}
}

func TestLookupAllocatesNothing(t *testing.T) {
	deck := mustDeck(t, northAmericanRows(10_000))
	allocs := testing.AllocsPerRun(100, func() { deck.Lookup(12025550123) })
	if allocs != 0 {
		t.Errorf("Lookup allocates %v times", allocs)
	}
}

func TestPrefixOf(t *testing.T) {
	tests := []struct {
		length int
		want   string
	}{{-1, ""}, {0, ""}, {1, "1"}, {4, "1876"}, {11, "18765550123"}, {12, ""}}
	for _, test := range tests {
		p := rating.PrefixOf(18765550123, test.length)
		if p.String() != test.want || p.Len() != len(test.want) {
			t.Errorf("PrefixOf(18765550123, %d) = %q of %d digits, want %q", test.length, p, p.Len(), test.want)
		}
	}
	for digits, n := 1, uint64(1); digits <= 19; digits, n = digits+1, n*10 {
		low, high := rating.Prefix(n), rating.Prefix(n*10-1)
		if digits < 19 && (low.Len() != digits || high.Len() != digits) {
			t.Errorf("Len of %d and %d = %d and %d, want %d", low, high, low.Len(), high.Len(), digits)
		}
	}
}

// northAmericanRows makes a deck as a US carrier sends one: every country code
// of two or three digits with some mobile ranges, and the rest area codes with
// exchanges and thousands blocks. Three hundred different prices.
func northAmericanRows(count int) []rating.Row {
	random := rand.New(rand.NewPCG(1, 2))
	seen := make(map[uint64]bool, count)
	rows := make([]rating.Row, 0, count)
	for len(rows) < count {
		var prefix uint64
		switch random.IntN(10) {
		case 0: // abroad: 3 to 9 digits
			prefix = 20 + random.Uint64N(80)
			for range 1 + random.IntN(7) {
				prefix = prefix*10 + random.Uint64N(10)
			}
		case 1, 2, 3, 4: // 1 NPA NXX
			prefix = 1_000_000 + (200+random.Uint64N(800))*1000 + 200 + random.Uint64N(800)
		default: // 1 NPA NXX X
			prefix = 10_000_000 + (200+random.Uint64N(800))*10_000 + 2000 + random.Uint64N(8000)
		}
		if seen[prefix] {
			continue
		}
		seen[prefix] = true
		rows = append(rows, rating.Row{
			Prefix:      strconv.FormatUint(prefix, 10),
			Rate:        perMinute(money.Amount(1+random.IntN(300)) * 100 * money.Micro),
			Description: "Destination " + strconv.Itoa(random.IntN(2000)),
			Line:        len(rows) + 2,
		})
	}
	return rows
}

// numberWithin is a number of 10 to 13 digits that starts with prefix.
func numberWithin(random *rand.Rand, prefix string) e164.Number {
	length := max(len(prefix), 10+random.IntN(4))
	if prefix[0] == '1' {
		length = max(len(prefix), 11)
	}
	n, _ := strconv.ParseUint(prefix, 10, 64)
	for range length - len(prefix) {
		n = n*10 + random.Uint64N(10)
	}
	return e164.Number(n)
}

// scatteredRows makes count prefixes of 11 digits without any order, the deck
// that shares the least.
func scatteredRows(count int) []rating.Row {
	random := rand.New(rand.NewPCG(5, 6))
	seen := make(map[uint64]bool, count)
	rows := make([]rating.Row, 0, count)
	for len(rows) < count {
		prefix := 10_000_000_000 + random.Uint64N(90_000_000_000)
		if !seen[prefix] {
			seen[prefix] = true
			rows = append(rows, rating.Row{Prefix: strconv.FormatUint(prefix, 10), Rate: perMinute(money.Amount(prefix % 300))})
		}
	}
	return rows
}

// unlikeRows is a carrier's deck in which no price comes twice.
func unlikeRows(count int) []rating.Row {
	rows := northAmericanRows(count)
	for i := range rows {
		rows[i].Rate.PerMinute = money.Amount(i)
	}
	return rows
}

// heap is the bytes that live objects take.
func heap() float64 {
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return float64(stats.HeapAlloc)
}

func BenchmarkLookup1M(b *testing.B) {
	decks := []struct {
		name string
		make func(int) []rating.Row
	}{{"carrier", northAmericanRows}, {"scattered", scatteredRows}, {"prices all different", unlikeRows}}
	for _, shape := range decks {
		b.Run(shape.name, func(b *testing.B) {
			rows := shape.make(1_000_000)
			random := rand.New(rand.NewPCG(7, 8))
			numbers := make([]e164.Number, 1<<20)
			for i := range numbers {
				numbers[i] = numberWithin(random, rows[random.IntN(len(rows))].Prefix)
			}
			before := heap()
			deck := mustDeck(b, rows)
			megabytes := (heap() - before) / 1e6
			runtime.KeepAlive(rows)

			b.ReportAllocs()
			b.ResetTimer()
			// Each number depends on the answer before, so that the processor
			// cannot overlap lookups: this is the latency of one.
			index, found := 0, 0
			for range b.N {
				_, length, ok := deck.Lookup(numbers[index&(len(numbers)-1)])
				if ok {
					found++
				}
				index += length
			}
			b.ReportMetric(megabytes, "heap-MB")
			b.ReportMetric(float64(found)/float64(b.N), "found/op")
		})
	}
}

func BenchmarkNewDeck500k(b *testing.B) {
	rows := northAmericanRows(500_000)
	before := heap()
	deck := mustDeck(b, rows)
	megabytes := (heap() - before) / 1e6
	runtime.KeepAlive(deck)
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		_ = mustDeck(b, rows)
	}
	b.ReportMetric(megabytes, "heap-MB")
}

func ExampleDeck_Lookup() {
	deck, err := rating.NewDeck([]rating.Row{
		{Prefix: "1", Rate: rating.Rate{PerMinute: money.MustParse("0.01"), FirstIncrement: 6, Increment: 6}},
		{Prefix: "1876", Rate: rating.Rate{PerMinute: money.MustParse("0.25"), FirstIncrement: 60, Increment: 60}},
	}, time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC))
	if err != nil {
		fmt.Println(err)
		return
	}
	rate, length, ok := deck.Lookup(18765550123)
	fmt.Println(rate.PerMinute, length, ok)
	// Output: 0.25 4 true
}
