package rest

import (
	"testing"
	"time"
)

func TestDateRanges(t *testing.T) {
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC) // a Sunday
	for word, want := range map[string][2]string{
		"today": {"2026-03-01", "2026-03-02"}, "yesterday": {"2026-02-28", "2026-03-01"},
		"this_week": {"2026-02-23", "2026-03-02"}, "last_week": {"2026-02-16", "2026-02-23"},
		"this_month": {"2026-03-01", "2026-04-01"}, "last_month": {"2026-02-01", "2026-03-01"},
		"tomorrow": {"2026-03-02", "2026-03-03"}, "next_week": {"2026-03-02", "2026-03-09"},
		"next_month": {"2026-04-01", "2026-05-01"}, "last_1_days": {"2026-03-01", "2026-03-02"},
		"last_7_days": {"2026-02-23", "2026-03-02"}, "last_999_days": {"2023-06-07", "2026-03-02"},
		"last_1_weeks": {"2026-02-23", "2026-03-02"}, "last_156_weeks": {"2023-03-06", "2026-03-02"},
		"last_1_months": {"2026-02-02", "2026-03-02"}, "last_3_months": {"2025-12-02", "2026-03-02"},
		"last_36_months": {"2023-03-02", "2026-03-02"},
	} {
		from, to, err := DateRange(word, now)
		if got := [2]string{from.Format(time.DateOnly), to.Format(time.DateOnly)}; got != want || err != nil {
			t.Errorf("%s: %v, want %v; %v", word, got, want, err)
		}
	}
}
