package timer

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestTimers holds the heap of timers against a plain list.
func TestTimers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var h Heap
		var all [20]Timer
		owner := quiet{}
		start := time.Unix(0, 0)
		want := map[*Timer]time.Time{}
		for range rapid.IntRange(0, 200).Draw(t, "steps") {
			one := &all[rapid.IntRange(0, len(all)-1).Draw(t, "timer")]
			at := start.Add(time.Duration(rapid.IntRange(0, 50).Draw(t, "at")))
			switch rapid.IntRange(0, 3).Draw(t, "step") {
			case 0, 1:
				h.Set(one, owner, 1, at)
				want[one] = at
			case 2:
				h.Stop(one)
				delete(want, one)
			case 3:
				for due := h.Due(at); due != nil; due = h.Due(at) {
					for _, other := range want {
						if other.Before(want[due]) {
							t.Fatalf("%v is due before %v", want[due], other)
						}
					}
					delete(want, due)
				}
				for _, other := range want {
					if !other.After(at) {
						t.Fatalf("not due at %v: %v", at, other)
					}
				}
			}
			if len(h.heap) != len(want) {
				t.Fatalf("%d timers set, want %d", len(h.heap), len(want))
			}
		}
	})
}

// quiet is an owner to whom a timer means nothing.
type quiet struct{}

func (quiet) Expire(Kind) {}
