package policy

import "time"

// Period is the time over which a spend limit counts money. Its zero value is the day.
// The numbers are stored: append only.
type Period uint8

// The periods.
const (
	PeriodDay Period = iota
	PeriodHour
	PeriodMonth
	PeriodRollingDay // the last 24 hours
)

// periods holds all periods. Money is booked in steps, and all instants of a step have
// the same window. A window starts with the first instant whose money counts and ends at
// the end of the current step.
var periods = [...]struct {
	word   string
	window func(at time.Time) (start, end time.Time)
}{
	PeriodDay: {"day", func(at time.Time) (start, end time.Time) {
		year, month, day := at.Date()
		return midnight(year, month, day, at), midnight(year, month, day+1, at)
	}},
	PeriodHour: {"hour", func(at time.Time) (start, end time.Time) {
		start = at.UTC().Truncate(time.Hour) // also where a zone is some minutes off
		return start, start.Add(time.Hour)
	}},
	PeriodMonth: {"month", func(at time.Time) (start, end time.Time) {
		year, month, _ := at.Date()
		return midnight(year, month, 1, at), midnight(year, month+1, 1, at)
	}},
	// Its steps are hours. The oldest hour counts until all of it is past, so that the
	// sum is never less than the cost of the last 24 hours.
	PeriodRollingDay: {"rolling_24h", func(at time.Time) (start, end time.Time) {
		step := at.UTC().Truncate(time.Hour)
		return step.Add(-24 * time.Hour), step.Add(time.Hour)
	}},
}

// midnight returns when a day begins in the time zone of an instant: at 0:00 or, if
// clocks skip that, at the first time after it.
func midnight(year int, month time.Month, day int, at time.Time) time.Time {
	return time.Date(year, month, day, 0, 0, 0, 0, at.Location())
}

// Window returns the time whose money counts for a limit of the period at an instant, in
// a time zone. The start is inclusive, the end exclusive, in Unix microseconds.
func (p Period) Window(atMicros int64, zone *time.Location) (startMicros, endMicros int64) {
	start, end := periods[p].window(time.UnixMicro(atMicros).In(zone))
	return start.UnixMicro(), end.UnixMicro()
}

// String returns the value that the API uses.
func (p Period) String() string { return periods[p].word }
