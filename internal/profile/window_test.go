package profile

import (
	"testing"
	"time"

	"github.com/go-json-experiment/json"
)

func TestTimesOfDay(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"08:00", "08:00:00"}, {"08:00:00", "08:00:00"}, {"08:00:00.00Z", "08:00:00"}, {"20:00Z", "20:00:00"},
		{"23:59:59.999999", "23:59:59.999999"}, {"00:00:10", "00:00:10"}, {"10:20:30.5", "10:20:30.5"},
	} {
		got, err := ParseTimeOfDay(c.text)
		if err != nil || got.String() != c.want {
			t.Errorf("ParseTimeOfDay(%q) = %s, %v; want %s", c.text, got, err, c.want)
		}
	}
	for _, bad := range []string{"", "8:00", "24:00", "08:60", "08:00:60", "08", "08:00:00.", "08:00:00.1234567",
		"08:00:00+01:00", "-1:00", "08:00:00:00", "٠٨:00", "08:00 AM"} {
		if got, err := ParseTimeOfDay(bad); err == nil {
			t.Errorf("ParseTimeOfDay(%q) = %s without an error", bad, got)
		}
	}
	var v struct{ At *TimeOfDay }
	if err := json.Unmarshal([]byte(`{"At":"08:00:00.00Z"}`), &v); err != nil {
		t.Fatal(err)
	}
	if out, err := json.Marshal(v); err != nil || string(out) != `{"At":"08:00:00"}` {
		t.Errorf("wrote %s, %v", out, err)
	}
	if err := json.Unmarshal([]byte(`{"At":800}`), &v); err == nil {
		t.Error("a number was read as a time of day")
	}
}

func FuzzParseTimeOfDay(f *testing.F) {
	f.Add("08:00:00.00Z")
	f.Add("23:59:59.999999")
	f.Fuzz(func(t *testing.T, text string) {
		at, err := ParseTimeOfDay(text)
		if err != nil {
			return
		}
		if at < 0 || time.Duration(at) >= 24*time.Hour {
			t.Fatalf("ParseTimeOfDay(%q) = %v, beyond a day", text, time.Duration(at))
		}
		if again, err := ParseTimeOfDay(at.String()); err != nil || again != at {
			t.Fatalf("%q prints as %s, which does not read back", text, at)
		}
	})
}

func window(t *testing.T, start, end, zone string) Window {
	t.Helper()
	w := CallingWindow{}
	for _, set := range []struct {
		text string
		to   **TimeOfDay
	}{{start, &w.StartTime}, {end, &w.EndTime}} {
		if set.text == "" {
			continue
		}
		at, err := ParseTimeOfDay(set.text)
		if err != nil {
			t.Fatal(err)
		}
		*set.to = &at
	}
	if zone != "" {
		w.TimeZone = &zone
	}
	compiled, err := w.Compile()
	if err != nil {
		t.Fatal(err)
	}
	return compiled
}

func TestWindowsOpenAndCount(t *testing.T) {
	const today = 20781 // 2026-11-24
	for _, c := range []struct {
		start, end, zone, at string
		open                 bool
		instance             int32
	}{
		{"08:00", "20:00", "", "2026-11-24T07:59:59Z", false, today},
		{"08:00", "20:00", "", "2026-11-24T08:00:00Z", true, today},
		{"08:00", "20:00", "", "2026-11-24T19:59:59Z", true, today},
		{"08:00", "20:00", "", "2026-11-24T20:00:00Z", false, today},
		{"22:00", "02:00", "", "2026-11-24T01:59:59Z", true, today - 1},
		{"22:00", "02:00", "", "2026-11-24T02:00:00Z", false, today},
		{"22:00", "02:00", "", "2026-11-24T22:00:00Z", true, today},
		{"", "", "", "2026-11-24T00:00:00Z", true, today},
		{"08:00", "", "", "2026-11-24T07:00:00Z", false, today},
		{"08:00", "", "", "2026-11-24T23:00:00Z", true, today},
		{"", "20:00", "", "2026-11-24T19:00:00Z", true, today},
		{"", "20:00", "", "2026-11-24T21:00:00Z", false, today},
		{"09:00", "09:00", "", "2026-11-24T08:00:00Z", true, today - 1},
		{"09:00", "09:00", "", "2026-11-24T10:00:00Z", true, today},
		{"09:00", "17:00", "America/New_York", "2026-11-24T14:00:00Z", true, today},
		{"09:00", "17:00", "America/New_York", "2026-11-24T13:59:00Z", false, today},
		// The day of 25 hours: the hour from one to two comes twice.
		{"01:00", "02:00", "America/New_York", "2026-11-01T05:30:00Z", true, today - 23},
		{"01:00", "02:00", "America/New_York", "2026-11-01T06:30:00Z", true, today - 23},
		{"01:00", "02:00", "America/New_York", "2026-11-01T07:00:00Z", false, today - 23},
		// The day of 23 hours: the hour from two to three is not there.
		{"02:00", "03:00", "America/New_York", "2026-03-08T06:59:59Z", false, today},
		{"02:00", "03:00", "America/New_York", "2026-03-08T07:00:00Z", false, today},
		{"22:00", "02:30", "America/New_York", "2026-03-08T06:59:59Z", true, today - 262},
		{"22:00", "02:30", "America/New_York", "2026-03-08T07:00:00Z", false, today},
		{"22:00", "02:00", "Asia/Tokyo", "2026-11-23T16:00:00Z", true, today - 1}, // 01:00 on the 24th there
	} {
		at, err := time.Parse(time.RFC3339, c.at)
		if err != nil {
			t.Fatal(err)
		}
		w := window(t, c.start, c.end, c.zone)
		open, instance := w.Locate(at)
		if open != c.open || (open && instance != c.instance) {
			t.Errorf("%s to %s %s at %s: open=%v in %d, want %v in %d", c.start, c.end, c.zone, c.at, open, instance, c.open,
				c.instance)
		}
	}
}

func TestAnUnknownTimeZoneDoesNotCompile(t *testing.T) {
	w := CallingWindow{TimeZone: new("Mars/Olympus")}
	if _, err := w.Compile(); err == nil {
		t.Error("compiled without an error")
	}
}
