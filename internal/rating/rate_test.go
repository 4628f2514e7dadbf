package rating_test

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/rating"
)

func TestBillableSecs(t *testing.T) {
	tests := []struct {
		first, next int32
		elapsed     time.Duration
		want        int64
	}{
		{60, 60, -time.Second, 0},
		{60, 60, 0, 0},
		{60, 60, 1, 60},
		{60, 60, 60 * time.Second, 60},
		{60, 60, 60*time.Second + 1, 120},
		{30, 6, 29 * time.Second, 30},
		{30, 6, 31 * time.Second, 36},
		{30, 6, 36*time.Second + time.Millisecond, 42},
		{1, 1, 59*time.Second + 1, 60},
		{6, 60, 7 * time.Second, 66},
		{0, 0, 1500 * time.Millisecond, 2},
		{1, 1, math.MaxInt64, 9223372037},
	}
	for _, test := range tests {
		rate := rating.Rate{FirstIncrement: test.first, Increment: test.next}
		got := rate.BillableSecs(test.elapsed)
		if got != test.want {
			t.Errorf("%d/%d: BillableSecs(%v) = %d, want %d", test.first, test.next, test.elapsed, got, test.want)
		}
	}
	huge := rating.Rate{FirstIncrement: 60, Increment: 60}.RoundUp(math.MaxInt64)
	if huge != math.MaxInt64 {
		t.Errorf("RoundUp(MaxInt64) = %d, want saturation", huge)
	}
}

func TestCost(t *testing.T) {
	rate := rating.Rate{PerMinute: money.MustParse("0.01"), ConnectFee: money.MustParse("0.05"), FirstIncrement: 6,
		Increment: 6}
	tests := []struct {
		from, to int64
		want     string
	}{
		{0, 0, "0.00"},
		{0, 60, "0.06"},
		{0, 6, "0.051"},
		{6, 60, "0.009"},
		{60, 60, "0.00"},
		{0, 1, "0.050166667"},
		{1, 2, "0.000166667"},
		{2, 3, "0.000166666"},
	}
	for _, test := range tests {
		got := rate.SliceCost(test.from, test.to).String()
		if got != test.want {
			t.Errorf("SliceCost(%d, %d) = %s, want %s", test.from, test.to, got, test.want)
		}
	}
	dear := rating.Rate{PerMinute: rating.MaxPrice, ConnectFee: rating.MaxPrice, FirstIncrement: 1, Increment: 1}
	if dear.Cost(math.MaxInt64) != money.Max {
		t.Errorf("Cost(MaxInt64) = %v, want saturation", dear.Cost(math.MaxInt64))
	}
	if dear.Cost(-1) != 0 {
		t.Errorf("Cost(-1) = %v, want 0", dear.Cost(-1))
	}
}

func drawAmount(t *rapid.T, name string) money.Amount {
	most := rapid.SampledFrom([]money.Amount{0, 100, money.Cent, money.Dollar, rating.MaxPrice}).Draw(t, name+" at most")
	return money.Amount(rapid.Int64Range(0, int64(most)).Draw(t, name))
}

func drawRate(t *rapid.T) rating.Rate {
	return rating.Rate{
		PerMinute:      drawAmount(t, "per minute"),
		ConnectFee:     drawAmount(t, "connect fee"),
		FirstIncrement: rapid.Int32Range(1, 90).Draw(t, "first increment"),
		Increment:      rapid.Int32Range(1, 90).Draw(t, "increment"),
	}
}

func TestSlicesTelescope(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rate := drawRate(t)
		var secs int64
		var sum money.Amount
		for range rapid.IntRange(1, 20).Draw(t, "slices") {
			to := secs + rapid.Int64Range(0, 1000).Draw(t, "length")
			slice := rate.SliceCost(secs, to)
			if slice < 0 {
				t.Fatalf("SliceCost(%d, %d) = %v", secs, to, slice)
			}
			sum += slice
			secs = to
		}
		if sum != rate.Cost(secs) {
			t.Fatalf("slices up to %d s sum to %v, want %v", secs, sum, rate.Cost(secs))
		}
	})
}

func TestBillableSecsIsMonotoneAndOnBoundaries(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rate := drawRate(t)
		a := time.Duration(rapid.Int64Range(1, int64(time.Hour)).Draw(t, "a"))
		b := a + time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "more"))
		billedA, billedB := rate.BillableSecs(a), rate.BillableSecs(b)
		if billedA > billedB {
			t.Fatalf("%v bills %d s, the longer %v bills %d s", a, billedA, b, billedB)
		}
		over := time.Duration(billedB)*time.Second - b
		longest := time.Duration(max(rate.FirstIncrement, rate.Increment)) * time.Second
		if over < 0 || over >= longest {
			t.Fatalf("%v bills %d s: %v too much", b, billedB, over)
		}
		if rate.RoundUp(billedB) != billedB || (billedB-int64(rate.FirstIncrement))%int64(rate.Increment) != 0 {
			t.Fatalf("%v bills %d s, which is no boundary", b, billedB)
		}
	})
}

// slowGrant is GrantWithin second by second.
func slowGrant(rate rating.Rate, from, want int64, budget money.Amount) int64 {
	granted := from
	for to := from + 1; ; to++ {
		if rate.RoundUp(to) != to {
			continue
		}
		// The first boundary may lie past the wish; the others may not.
		if (granted > from || to > rate.RoundUp(from+1)) && to > from+want {
			return granted
		}
		if rate.SliceCost(from, to) > budget {
			return granted
		}
		granted = to
	}
}

func TestGrantWithinMatchesLoop(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rate := drawRate(t)
		from := rapid.Int64Range(0, 400).Draw(t, "from")
		if rapid.Bool().Draw(t, "from a boundary") {
			from = rate.RoundUp(from)
		}
		want := rapid.Int64Range(-5, 2000).Draw(t, "want")
		// Budgets on both sides of the cost of some boundary.
		budget := rate.SliceCost(from, rate.RoundUp(from+rapid.Int64Range(0, 2500).Draw(t, "affordable")))
		budget += money.Amount(rapid.Int64Range(-1, 1).Draw(t, "nudge"))
		got, slow := rate.GrantWithin(from, want, budget), slowGrant(rate, from, want, budget)
		if got != slow {
			t.Fatalf("%+v: GrantWithin(%d, %d, %v) = %d, want %d", rate, from, want, budget, got, slow)
		}
	})
}

func TestGrantWithinExtremes(t *testing.T) {
	cent := rating.Rate{PerMinute: money.Cent, FirstIncrement: 60, Increment: 60}
	dear := rating.Rate{PerMinute: rating.MaxPrice, FirstIncrement: 1, Increment: 1}
	tests := []struct {
		name       string
		rate       rating.Rate
		from, want int64
		budget     money.Amount
		to         int64
	}{
		{"one increment at least", cent, 0, 1, money.Cent, 60},
		{"no budget", cent, 0, 60, money.Cent - 1, 0},
		{"negative budget", rating.Rate{FirstIncrement: 6, Increment: 6}, 12, 60, -1, 12},
		{"free", rating.Rate{FirstIncrement: 6, Increment: 6}, 12, 60, 0, 72},
		{"free and endless", rating.Rate{}, 0, math.MaxInt64, 0, 9223372036},
		{"as far as the money goes", cent, 60, math.MaxInt64, 100 * money.Dollar, 60 + 10_000*60},
		{"saturated", dear, 9_000_000_000, 60, money.Max, 9_000_000_000},
		{"from beyond any call", cent, math.MaxInt64, 60, money.Max, math.MaxInt64},
		{"from before the call", cent, -1, 60, money.Max, -1},
	}
	for _, test := range tests {
		got := test.rate.GrantWithin(test.from, test.want, test.budget)
		if got != test.to {
			t.Errorf("%s: GrantWithin(%d, %d, %v) = %d, want %d", test.name, test.from, test.want, test.budget, got, test.to)
		}
	}
}
