package rest

import (
	"testing"
	"time"
)

// Times are read in every form that clients write them in.
func TestMoments(t *testing.T) {
	at := time.Date(2026, 11, 30, 10, 20, 30, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"2026-11-30T10:20:30Z": at, "2026-11-30t10:20:30z": at, "2026-11-30T10:20:30.000Z": at,
		"2026-11-30T10:20:30.000000000Z": at,
		"2026-11-30T10:20:30+00:00":      at, "2026-11-30T10:20:30 00:00": at, "2026-11-30T12:20:30+02:00": at,
		"2026-11-30T12:20:30 02:00": at,
		"2026-11-30T05:20:30-05:00": at, "2026-11-30T10:20:30": at, "2026-11-30 10:20:30": at,
		"2026-11-30 10:20:30+00:00": at,
		"2026-11-30 10:20:30 +0000": at, "2026-11-30 10:20:30  0000": at, "2026-11-30 10:20:30 UTC": at,
		"2026-11-30T10:20:30-0000": at,
		"2026-11-30T10:20Z":        at.Add(-30 * time.Second), "1796034030": at, "2026-12-01T00:20:30+14:00": at,
		"2026-11-30T10:20:30.5Z":      at.Add(500 * time.Millisecond),
		"2026-11-30T10:20:30.123456Z": at.Add(123456 * time.Microsecond),
	} {
		m, err := ParseMoment(text)
		if err != nil || m.First != want.UnixMicro() {
			t.Errorf("%s: %v, %v, want %v", text, time.UnixMicro(m.First).UTC(), err, want)
		}
	}
	// A time below a microsecond is between two.
	if m, err := ParseMoment("2026-11-30T10:20:30.0000005Z"); err != nil ||
		m.First != at.UnixMicro()+1 || m.After != m.First {
		t.Errorf("half a microsecond: %+v, %v", m, err)
	}
	m, err := ParseMoment("2026-11-30")
	if err != nil || m.First != at.Truncate(24*time.Hour).UnixMicro() || m.After-m.First != 24*time.Hour.Microseconds() {
		t.Errorf("a day: %+v, %v", m, err)
	}
	for _, text := range []string{
		"", "2026", "2026-11", "2026-11-31", "2026-02-29", "2026-00-10", "2026-13-10", "20261130", "2026-11-30T",
		"2026-11-30T10", "2026-11-30T25:00:00Z", "2026-11-30T10:60:00Z", "2026-11-30T10:20:60Z", "2026-11-30T10:20:30,5Z",
		"2026-11-30T10:20:30+24:00", "2026-11-30T10:20:30+1:00", "2026-11-30T10:20:30 CET", "now", " 2026-11-30",
		"2026-11-30 ", "1796034030000", "2026-11-30T10:20:30.1234567890Z", "2026-11-30Z", "-1796034030", "２０２６-11-30",
	} {
		if m, err := ParseMoment(text); err == nil {
			t.Errorf("%q is read as %+v", text, m)
		}
	}
}
