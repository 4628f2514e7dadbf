package record_test

import (
	"math"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/record"
)

// TestMOS compares the score with values computed by hand from ITU-T G.107.
func TestMOS(t *testing.T) {
	for _, c := range []struct {
		name string
		in   record.Reception
		want float64
	}{
		{"all arrived", record.Reception{Packets: 1000}, 4.40},
		{"1 percent lost", record.Reception{Packets: 990, Lost: 10}, 4.32},
		{"5 percent lost", record.Reception{Packets: 950, Lost: 50}, 3.90},
		{"20 percent lost", record.Reception{Packets: 800, Lost: 200}, 2.61},
		{"half lost", record.Reception{Packets: 500, Lost: 500}, 1.59},
		{"much jitter", record.Reception{Packets: 1000, Jitter: 150 * time.Millisecond}, 3.59},
		{"absurd jitter", record.Reception{Packets: 1, Jitter: time.Hour}, 1},
		{"nearly all lost", record.Reception{Packets: 1, Lost: math.MaxUint32}, 1.17},
	} {
		got, ok := c.in.MOS()
		if !ok || math.Abs(got-c.want) > 0.01 {
			t.Errorf("%s: MOS %.3f, %v; want %.2f", c.name, got, ok, c.want)
		}
	}
	none := record.Reception{Lost: 5}
	if _, ok := none.MOS(); ok {
		t.Error("a side that was not heard has a MOS")
	}
}
