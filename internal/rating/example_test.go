package rating_test

import (
	"fmt"
	"strings"
	"time"

	"github.com/tollgate/tollgate/internal/e164"
	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/rating"
)

// The columns are recognised by the names that carriers use. A bad cell is named with
// what would be right.
func ExampleReadCSV() {
	file := strings.NewReader("Dial Code;Price;Interval\n1876;$0.21;60/60\n44;free;1/1\n")
	_, _, problems, err := rating.ReadCSV(file, rating.Options{})
	for _, problem := range problems {
		fmt.Println(problem.Line, problem.Column, problem.Value)
	}
	fmt.Println(err)
	// Output:
	// 3 Price free
	// <nil>
}

// The longest prefix decides.
func ExampleDeck_Match() {
	file := strings.NewReader("prefix,rate,increment\n1,0.0085,6\n1876,0.21,60\n")
	rows, _, problems, err := rating.ReadCSV(file, rating.Options{})
	if err != nil || len(problems) > 0 {
		fmt.Println(problems, err)
		return
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
