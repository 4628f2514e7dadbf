package routing

import (
	"testing"

	"github.com/tollgate/tollgate/internal/id"
)

func gateway(number int, priority, weight int32) *Gateway {
	g := NewGateway()
	g.ID, g.Priority, g.Weight = id.ID(number), priority, weight
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

func TestNumberFormats(t *testing.T) {
	g := NewGateway()
	g.Prefix = "99#"
	if got := g.UserPart(442079460000); got != "99#+442079460000" {
		t.Errorf("UserPart = %q", got)
	}
	g.NumberFormat, g.CallerFormat = FormatE164, FormatE164
	if got := g.UserPart(442079460000); got != "99#442079460000" {
		t.Errorf("UserPart = %q", got)
	}
	if got := g.CallerPart(0); got != "" {
		t.Errorf("CallerPart of no caller = %q", got)
	}
}
