package rating

import (
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/e164"
	"github.com/tollgate/tollgate/internal/money"
)

// TestDearestFrom compares with a look at every row.
func TestDearestFrom(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	for range 300 {
		prices := map[string]Rate{}
		for range 1 + random.IntN(200) {
			prefix := strconv.FormatUint(1+random.Uint64N(4), 10)
			for range random.IntN(12) {
				prefix += strconv.Itoa(random.IntN(3))
			}
			prices[prefix] = Rate{
				PerMinute: money.Amount(random.IntN(100)), ConnectFee: money.Amount(random.IntN(100)), FirstIncrement: 1,
				Increment: 1,
			}
		}
		var rows []Row
		for prefix, rate := range prices {
			rows = append(rows, Row{Prefix: prefix, Rate: rate})
		}
		deck, err := NewDeck(rows, time.Unix(0, 0))
		if err != nil {
			t.Fatal(err)
		}
		for range 50 {
			text := strconv.FormatUint(1+random.Uint64N(4), 10)
			for range 6 + random.IntN(6) {
				text += strconv.Itoa(random.IntN(3))
			}
			n, err := e164.Parse("+" + text)
			if err != nil {
				t.Fatal(err)
			}
			var want Rate
			for prefix, rate := range prices {
				if len(prefix) > len(text) && strings.HasPrefix(prefix, text) {
					want = want.Dearer(rate)
				}
			}
			got, length, ok := deck.DearestFrom(n)
			if got != want || ok != (want != Rate{}) {
				t.Fatalf("%s: got %+v (%v), want %+v", n, got, ok, want)
			}
			if ok && length <= len(text) {
				t.Fatalf("%s: the dearest prefix has %d digits", n, length)
			}
		}
	}
}
