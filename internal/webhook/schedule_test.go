package webhook_test

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/google/go-cmp/cmp"

	"github.com/tollgate/tollgate/internal/webhook"
)

// pauses plays a schedule until the delivery is dead. Attempts take no time.
func pauses(s webhook.Schedule, hasFailover bool, random float64) []string {
	var out []string
	now := start
	for attempts := 1; ; attempts++ {
		next, ok := s.Next(attempts, hasFailover, start, now, random)
		if !ok {
			return append(out, "dead")
		}
		out = append(out, next.Sub(now).String())
		now = next
	}
}

func TestSchedule(t *testing.T) {
	one := "5s 15s 45s 2m15s 6m45s 20m15s 1h0m45s 3h2m15s 4h0m0s 4h0m0s 4h0m0s 4h0m0s dead"
	if diff := cmp.Diff(one, strings.Join(pauses(webhook.DefaultSchedule(), false, 0.5), " ")); diff != "" {
		t.Errorf("without failover (-want +got):\n%s", diff)
	}
	both := "0s " + strings.ReplaceAll(one, " ", " 0s ")
	if diff := cmp.Diff(both, strings.Join(pauses(webhook.DefaultSchedule(), true, 0.5), " ")); diff != "" {
		t.Errorf("with failover (-want +got):\n%s", diff)
	}
	few := webhook.Schedule{First: time.Minute, Factor: 10, Longest: time.Hour, MaxRounds: 3, MaxAge: 24 * time.Hour}
	if diff := cmp.Diff([]string{"1m0s", "10m0s", "dead"}, pauses(few, false, 0.5)); diff != "" {
		t.Errorf("three rounds (-want +got):\n%s", diff)
	}
	// A delivery that waited out its age is tried, and with its failover, once.
	if _, ok := webhook.DefaultSchedule().Next(1, true, start, start.Add(48*time.Hour), 0.5); !ok {
		t.Error("an old delivery is dead before its failover was tried")
	}
	if _, ok := webhook.DefaultSchedule().Next(2, true, start, start.Add(48*time.Hour), 0.5); ok {
		t.Error("an old delivery is tried for another round")
	}
}

func TestScheduleProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := webhook.Schedule{
			First:     time.Duration(rapid.Int64Range(1, int64(time.Hour)).Draw(t, "first")),
			Factor:    rapid.IntRange(1, 100).Draw(t, "factor"),
			Longest:   time.Duration(rapid.Int64Range(1, int64(24*time.Hour)).Draw(t, "longest")),
			MaxRounds: rapid.IntRange(1, 1000).Draw(t, "rounds"),
			MaxAge:    time.Duration(rapid.Int64Range(0, int64(48*time.Hour)).Draw(t, "age")),
		}
		attempts := rapid.IntRange(1, 3000).Draw(t, "attempts")
		failover := rapid.Bool().Draw(t, "failover")
		random := rapid.Float64Range(0, 0.999999).Draw(t, "random")
		now := start.Add(time.Duration(rapid.Int64Range(0, int64(72*time.Hour)).Draw(t, "elapsed")))
		next, ok := s.Next(attempts, failover, start, now, random)
		if !ok {
			return
		}
		if failover && attempts%2 == 1 {
			if !next.Equal(now) {
				t.Fatalf("the failover waits %v", next.Sub(now))
			}
			return
		}
		pause := next.Sub(now)
		if pause < 0 || pause > s.Longest+s.Longest/4+1 || pause < min(s.First, s.Longest)*3/4-1 {
			t.Fatalf("pause is %v", pause)
		}
		if next.Sub(start) > s.MaxAge {
			t.Fatalf("the attempt is due at the age of %v", next.Sub(start))
		}
	})
}
