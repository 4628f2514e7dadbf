package rest

import (
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/id"
)

func TestLimiterIsBounded(t *testing.T) {
	now := time.Date(2026, 3, 11, 15, 4, 5, 678_000_000, time.UTC)
	start := now
	l := NewLimiter(RateLimit{}, func() time.Time { return now })
	for key := range maxLimited + 100 {
		l.take(id.ID(key + 1))
		if key == maxLimited/2 {
			now = now.Add(time.Hour) // the first half is whole again
		}
	}
	if len(l.whole) > maxLimited || len(l.whole) < maxLimited/3 {
		t.Errorf("the table has %d keys", len(l.whole))
	}
	now = start // a clock that goes back refuses no one for longer than the burst lasts
	if left := l.take(id.ID(maxLimited + 100)); left.retry > 2*time.Hour {
		t.Errorf("after the clock went back: %+v", left)
	}
}
