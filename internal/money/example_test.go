package money_test

import (
	"fmt"

	"github.com/tollgate/tollgate/internal/money"
)

func ExampleParse() {
	rate, err := money.Parse("0.0125")
	fmt.Println(rate, err)
	_, err = money.Parse("$1,000")
	fmt.Println(err != nil)
	// Output:
	// 0.0125 <nil>
	// true
}

// The parts of a call always sum to the price of the whole, because rounding is applied
// to the whole duration.
func ExamplePerMinuteTimes() {
	rate := money.MustParse("0.01")
	whole := money.PerMinuteTimes(rate, 61)
	first := money.PerMinuteTimes(rate, 7)
	rest := whole - first
	fmt.Println(first, rest, first+rest)
	// Output: 0.001166667 0.009 0.010166667
}
