package rating_test

import (
	"fmt"
	"time"

	"github.com/tollgate/tollgate/internal/e164"
	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/rating"
)

// The longest prefix decides.
func ExampleDeck_Match() {
	rows := []rating.Row{
		{Prefix: "1", Rate: rating.Rate{PerMinute: money.MustParse("0.0085"), FirstIncrement: 6, Increment: 6}},
		{Prefix: "1876", Rate: rating.Rate{PerMinute: money.MustParse("0.21"), FirstIncrement: 60, Increment: 60}},
	}
	deck, err := rating.NewDeck(rows, time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC))
	if err != nil {
		fmt.Println(err)
		return
	}
	jamaica, _ := e164.Parse("+18765551234")
	match, ok := deck.Match(jamaica)
	fmt.Println(match.Prefix, match.Rate.PerMinute, ok)
	// Output: 1876 0.21 true
}

// 30/6 bills at least half a minute and then steps of six seconds.
func ExampleRate_Cost() {
	rate := rating.Rate{PerMinute: money.MustParse("0.06"), FirstIncrement: 30, Increment: 6}
	for _, elapsed := range []time.Duration{time.Second, 31 * time.Second} {
		secs := rate.BillableSecs(elapsed)
		fmt.Println(secs, rate.Cost(secs))
	}
	// Output:
	// 30 0.03
	// 36 0.036
}

// How far a call may go on with the money that is left: always to a billing boundary.
func ExampleRate_GrantWithin() {
	rate := rating.Rate{PerMinute: money.MustParse("0.06"), FirstIncrement: 6, Increment: 6}
	fmt.Println(rate.GrantWithin(0, 30, money.MustParse("0.02")))
	// Output: 18
}
