package routing

import (
	"encoding/csv"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/tollgate/tollgate/internal/e164"
	"github.com/tollgate/tollgate/internal/id"
)

func gateway(number int, priority, weight int32) *Gateway {
	g := NewGateway()
	g.ID = id.ID(number)
	g.Priority = priority
	g.Weight = weight
	return &g
}

func TestOrderIsByPriorityThenByWeightedDraw(t *testing.T) {
	off := gateway(9, 0, 100)
	off.Enabled = false
	all := []*Gateway{gateway(1, 10, 1), gateway(2, 0, 3), gateway(3, 0, 1), gateway(4, 0, 0), off}
	first := map[id.ID]int{}
	const draws = 20_000
	for seed := range uint64(draws) {
		ordered := Order(all, seed)
		if len(ordered) != 4 {
			t.Fatalf("%d gateways, want the 4 that are enabled", len(ordered))
		}
		if ordered[3].ID != 1 {
			t.Fatalf("the gateway of the lower priority is not last: %v", ordered[3].ID)
		}
		if ordered[2].ID != 4 {
			t.Fatalf("weight 0 is not last within its priority: %v", ordered[2].ID)
		}
		first[ordered[0].ID]++
	}
	if share := float64(first[2]) / draws; share < 0.73 || share > 0.77 {
		t.Errorf("weight 3 against 1 goes first in %.3f of the calls, want 0.75", share)
	}
	again := Order(all, 7)
	for i, g := range Order(all, 7) {
		if again[i] != g {
			t.Fatal("one seed gives two orders")
		}
	}
}

// TestNumberFormats writes numbers as the gateways in testdata/numbers.csv want them.
func TestNumberFormats(t *testing.T) {
	file, err := os.Open("testdata/numbers.csv")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	reader := csv.NewReader(file)
	reader.Comment = '#'
	rows, err := reader.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows[1:] {
		g := NewGateway()
		g.Name, g.Address = "carrier", "192.0.2.1"
		g.NumberFormat, g.CallerFormat = row[1], row[1]
		if row[2] != "" {
			g.CountryCode = &row[2]
		}
		if row[3] != "" {
			g.InternationalPrefix = new(strings.Trim(row[3], "'"))
		}
		if row[7] != "" {
			g.NationalPrefix = new(strings.Trim(row[7], "'"))
		}
		digits, err := strconv.Atoi(row[4])
		if err != nil {
			t.Fatal(err)
		}
		g.StripDigits, g.CallerStripDigits = int32(digits), int32(digits)
		g.Prefix, g.CallerPrefix = row[5], row[5]
		var number e164.Number
		if row[0] != "" {
			if number, err = e164.Parse(row[0]); err != nil {
				t.Fatal(err)
			}
		}
		if errs := g.Validate(); len(errs) > 0 {
			t.Errorf("%v: %v", row, errs)
		}
		if got := g.UserPart(number); got != row[6] {
			t.Errorf("%v: called %q", row, got)
		}
		if got := g.CallerPart(number); got != row[6] {
			t.Errorf("%v: caller %q", row, got)
		}
	}
}
