package policy

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tollgate/tollgate/internal/record"
)

func TestWindows(t *testing.T) {
	const form = "2006-01-02T15:04:05Z07:00"
	for _, c := range []struct {
		period         Period
		zone           string
		at, start, end string
	}{
		{PeriodDay, "UTC", "2026-11-30T23:59:59Z", "2026-11-30T00:00:00Z", "2026-12-01T00:00:00Z"},
		{PeriodDay, "UTC", "2026-12-01T00:00:00Z", "2026-12-01T00:00:00Z", "2026-12-02T00:00:00Z"},
		{PeriodDay, "America/New_York", "2026-12-01T00:00:00Z", "2026-11-30T05:00:00Z", "2026-12-01T05:00:00Z"},
		// Days on which clocks are put forward and back.
		{PeriodDay, "America/New_York", "2026-03-08T12:00:00Z", "2026-03-08T05:00:00Z", "2026-03-09T04:00:00Z"},
		{PeriodDay, "America/New_York", "2026-11-01T12:00:00Z", "2026-11-01T04:00:00Z", "2026-11-02T05:00:00Z"},
		{PeriodHour, "UTC", "2026-11-30T23:59:59Z", "2026-11-30T23:00:00Z", "2026-12-01T00:00:00Z"},
		{PeriodHour, "Asia/Kolkata", "2026-11-30T23:45:00Z", "2026-11-30T23:00:00Z", "2026-12-01T00:00:00Z"},
		{PeriodMonth, "UTC", "2028-02-29T12:00:00Z", "2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z"},
		{PeriodMonth, "UTC", "2026-12-31T23:59:59Z", "2026-12-01T00:00:00Z", "2027-01-01T00:00:00Z"},
		{PeriodMonth, "Asia/Tokyo", "2026-11-30T15:00:00Z", "2026-11-30T15:00:00Z", "2026-12-31T15:00:00Z"},
		{PeriodRollingDay, "UTC", "2026-11-30T12:34:56Z", "2026-11-29T12:00:00Z", "2026-11-30T13:00:00Z"},
	} {
		zone, err := time.LoadLocation(c.zone)
		if err != nil {
			t.Fatal(err)
		}
		at, err := time.Parse(form, c.at)
		if err != nil {
			t.Fatal(err)
		}
		start, end := c.period.Window(at.UnixMicro(), zone)
		gotStart, gotEnd := time.UnixMicro(start).UTC().Format(form), time.UnixMicro(end).UTC().Format(form)
		if gotStart != c.start || gotEnd != c.end {
			t.Errorf("%s in %s at %s: %s to %s, want %s to %s", c.period, c.zone, c.at, gotStart, gotEnd, c.start, c.end)
		}
	}
}

// TestWindowsOfAnyInstant: an instant is in its window, a window follows the one before
// without a gap and is the same throughout its last step, and a day of UTC is a record.Day.
func TestWindowsOfAnyInstant(t *testing.T) {
	zones := []string{
		"UTC", "America/New_York", "Australia/Lord_Howe", "America/Sao_Paulo", "Asia/Kolkata", "Pacific/Apia",
	}
	longest := [...]time.Duration{25 * time.Hour, time.Hour, 31*24*time.Hour + time.Hour, 25 * time.Hour}
	rapid.Check(t, func(rt *rapid.T) {
		period := Period(rapid.IntRange(0, len(periods)-1).Draw(rt, "period"))
		zone, err := time.LoadLocation(rapid.SampledFrom(zones).Draw(rt, "zone"))
		if err != nil {
			rt.Fatal(err)
		}
		at := rapid.Int64Range(0, 2_500_000_000_000_000).Draw(rt, "at")
		start, end := period.Window(at, zone)
		length := time.Duration(end-start) * time.Microsecond
		if at < start || at >= end || length > longest[period] {
			rt.Fatalf("the window of %d is %d to %d", at, start, end)
		}
		if lastStart, lastEnd := period.Window(end-1, zone); lastStart != start || lastEnd != end {
			rt.Fatalf("the window of %d is %d to %d, that of its end %d to %d", at, start, end, lastStart, lastEnd)
		}
		next, _ := period.Window(end, zone)
		switch {
		case period == PeriodRollingDay:
			if next != start+time.Hour.Microseconds() || at-start < 24*time.Hour.Microseconds() {
				rt.Fatalf("the window of %d begins at %d, the next at %d", at, start, next)
			}
		case next != end:
			rt.Fatalf("after %d a window begins at %d", end, next)
		case period == PeriodDay && zone == time.UTC:
			if day := record.DayOf(at); start != day.StartMicros() || end != (day+1).StartMicros() {
				rt.Fatalf("day %d is %d to %d", day, start, end)
			}
		}
	})
}
