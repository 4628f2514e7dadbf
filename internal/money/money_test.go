package money

import (
	"errors"
	"math"
	"math/big"
	"testing"

	"github.com/go-json-experiment/json"
	"pgregory.net/rapid"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		text string
		want Amount
		err  error
	}{
		{"0", 0, nil},
		{"100", 100 * Dollar, nil},
		{"100.00", 100 * Dollar, nil},
		{"0.0125", 12_500 * Micro, nil},
		{"0.000000001", Nano, nil},
		{"007.50", 750 * Cent, nil},
		{"1.0000000000", Dollar, nil},
		{"9223372036.854775807", Max, nil},
		{"9223372036.854775808", 0, ErrRange},
		{"10000000000", 0, ErrRange},
		{"99999999999999999999999999", 0, ErrRange},
		{"0.0000000001", 0, ErrPrecision},
		{"", 0, ErrSyntax},
		{".5", 0, ErrSyntax},
		{"5.", 0, ErrSyntax},
		{"-1", 0, ErrSyntax},
		{"+1", 0, ErrSyntax},
		{"1e3", 0, ErrSyntax},
		{"1,000", 0, ErrSyntax},
		{"$1", 0, ErrSyntax},
		{" 1", 0, ErrSyntax},
		{"1.0.0", 0, ErrSyntax},
		{"NaN", 0, ErrSyntax},
		{"١", 0, ErrSyntax},
	} {
		got, err := Parse(c.text)
		if got != c.want || !errors.Is(err, c.err) {
			t.Errorf("Parse(%q) = %v, %v; want %v, %v", c.text, int64(got), err, int64(c.want), c.err)
		}
	}
}

func TestString(t *testing.T) {
	for _, c := range []struct {
		amount Amount
		want   string
	}{
		{0, "0.00"}, {100 * Dollar, "100.00"}, {12_500 * Micro, "0.0125"}, {Nano, "0.000000001"},
		{-350 * Cent, "-3.50"}, {math.MinInt64, "-9223372036.854775808"}, {Max, "9223372036.854775807"},
	} {
		if got := c.amount.String(); got != c.want {
			t.Errorf("String of %d = %q, want %q", int64(c.amount), got, c.want)
		}
	}
}

func TestPrintedAmountsReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		amount := Amount(rapid.Int64Range(0, math.MaxInt64).Draw(t, "amount"))
		again, err := Parse(amount.String())
		if err != nil || again != amount {
			t.Fatalf("%d prints as %s, which reads as %d, %v", int64(amount), amount, int64(again), err)
		}
		rate, err := Rate(amount).MarshalJSON()
		var read Rate
		if err != nil || read.UnmarshalJSON(rate) != nil || read != Rate(amount) {
			t.Fatalf("rate %d is %s in JSON, which reads as %d", int64(amount), rate, int64(read))
		}
	})
}

func TestPerMinuteTimesRoundsUpExactly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		perMinute := rapid.Int64Range(0, math.MaxInt64).Draw(t, "per minute")
		seconds := rapid.Int64Range(0, math.MaxInt64).Draw(t, "seconds")
		exact := new(big.Int).Mul(big.NewInt(perMinute), big.NewInt(seconds))
		exact.Add(exact, big.NewInt(59)).Div(exact, big.NewInt(60))
		want := Max
		if exact.IsInt64() {
			want = Amount(exact.Int64())
		}
		if got := PerMinuteTimes(Amount(perMinute), seconds); got != want {
			t.Fatalf("%d a minute for %d s = %d, want %d", perMinute, seconds, int64(got), int64(want))
		}
	})
}

func TestAddSaturates(t *testing.T) {
	if got := Add(Max-1, 2); got != Max {
		t.Errorf("Add above the range = %v, want Max", got)
	}
	if got := Add(1, 2); got != 3 {
		t.Errorf("Add(1, 2) = %v", int64(got))
	}
}

func TestJSON(t *testing.T) {
	type both struct {
		Limit *Amount `json:"limit"`
		Rate  *Rate   `json:"rate"`
	}
	var v both
	if err := json.Unmarshal([]byte(`{"limit":"100.00","rate":10.5}`), &v); err != nil {
		t.Fatal(err)
	}
	if *v.Limit != 100*Dollar || *v.Rate != Rate(1050*Cent) {
		t.Errorf("read %v and %v", v.Limit, v.Rate)
	}
	out, err := json.Marshal(v)
	if err != nil || string(out) != `{"limit":"100.00","rate":10.5}` {
		t.Errorf("wrote %s, %v", out, err)
	}
	for _, bad := range []string{`{"limit":100}`, `{"limit":"1e2"}`, `{"rate":"10"}`, `{"rate":1e1}`, `{"rate":-1}`,
		`{"limit":true}`} {
		if err := json.Unmarshal([]byte(bad), &v); err == nil {
			t.Errorf("%s was read without an error", bad)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"100.00", "0.0000000001", "9223372036.854775808", "-1", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		amount, err := Parse(text)
		if err != nil {
			return
		}
		if amount < 0 {
			t.Fatalf("Parse(%q) is negative", text)
		}
		if again, err := Parse(amount.String()); err != nil || again != amount {
			t.Fatalf("Parse(%q) prints as %s, which does not read back", text, amount)
		}
	})
}

func BenchmarkPerMinuteTimes(b *testing.B) {
	b.ReportAllocs()
	seconds := int64(0)
	for b.Loop() {
		seconds++
		_ = PerMinuteTimes(12_500*Micro, seconds)
	}
}
