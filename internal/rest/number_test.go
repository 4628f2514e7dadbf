package rest

import (
	"math/big"
	"strings"
	"testing"
)

func TestNumbersAreReadExactly(t *testing.T) {
	for _, c := range []struct {
		text, plain string
		decimals    int
	}{
		{"0", "0", 0}, {"-0", "0", 0}, {"0e400", "0", 0}, {"-0.000e-999999999", "0", 0}, {"10", "10", 0}, {"10.0", "10", 0},
		{"1e1", "10", 0}, {"1.0E+2", "100", 0}, {"1e-05", "0.00001", 5}, {"12.50", "12.5", 1}, {"0.0125e2", "1.25", 2},
		{"1.293384261075731499e18", "1293384261075731499", 0}, {"9007199254740993", "9007199254740993", 0},
		{"-1.5e0", "-1.5", 1}, {"100e-2", "1", 0}, {"123456789.123456789", "123456789.123456789", 9},
	} {
		d := readDecimal(Literal(c.text))
		if got := d.plain(); got != c.plain || d.decimals() != c.decimals {
			t.Errorf("%s is %s with %d decimals, want %s with %d", c.text, got, d.decimals(), c.plain, c.decimals)
		}
	}
	for text, want := range map[string]int{
		"1e400": 1, "-1e400": -1, "1e-400": 1, "-1e-400": -1, "1e99999999999999999999": 1, "1e-99999999999999999999": 1,
		"0e99999999999999999999": 0, "0." + strings.Repeat("0", 1000) + "1": 1,
	} {
		if got := readDecimal(Literal(text)).compare(0); got != want {
			t.Errorf("%.30s compares with 0 as %d, want %d", text, got, want)
		}
	}
}

// FuzzNumber holds the reading of numbers and of ids against arithmetic without limits.
func FuzzNumber(f *testing.F) {
	for _, seed := range []string{
		"0", "-0", "1e3", "1.293384261075731499e18", "1e-05", "9223372036854775807", "9223372036854775808", "0.1e1", "1e400",
		"-1e-400", "12.50", "1.0E+2", "100000000000000000000e-2",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		tree, err := parseTree([]byte(text))
		number, ok := tree.(Literal)
		if err != nil || !ok {
			return
		}
		d := readDecimal(number) // and does not hang, whatever the exponent
		identity, isID := idOf(number)
		if at := strings.IndexAny(text, "eE"); len(text) > 200 || at >= 0 && len(strings.Trim(text[at+1:], "+-0 ")) > 3 {
			return // too large for the arithmetic that it is compared with
		}
		exact, ok := new(big.Rat).SetString(string(number))
		if !ok {
			t.Fatalf("%q is a number that math/big does not know", text)
		}
		if d.wholeDigits() <= maxWholeDigits && d.decimals() <= maxDecimals {
			if again, _ := new(big.Rat).SetString(d.plain()); again == nil || again.Cmp(exact) != 0 {
				t.Fatalf("%q was read as %s", text, d.plain())
			}
		}
		for _, with := range []int64{0, 1, -1, 100, 1 << 62} {
			if got, want := d.compare(with), exact.Cmp(new(big.Rat).SetInt64(with)); got != want {
				t.Fatalf("%q compares with %d as %d, want %d", text, with, got, want)
			}
		}
		wholeNumber := exact.IsInt() && exact.Num().IsInt64()
		if digits, ok := d.whole(); ok != wholeNumber || ok && string(digits) != exact.Num().String() {
			t.Fatalf("%q is whole: %t %s", text, ok, digits)
		}
		if want := wholeNumber && exact.Sign() > 0; isID != want || isID && identity != exact.Num().String() {
			t.Fatalf("%q is an id: %t %s", text, isID, identity)
		}
	})
}
