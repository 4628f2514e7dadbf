package policy

import "time"

// Period is over how long the money counts that a spend limit limits. Its zero value is
// the day. The numbers are to be stored; append only.
type Period uint8

// The periods.
const (
	PeriodDay Period = iota
	PeriodHour
	PeriodMonth
	PeriodRollingDay // the last 24 hours
)

// periods are all of them. A window begins with the first instant whose money counts,
// and the first instant after it is the end of the step in which an instant is: money is
// booked by steps, and a step has the same window throughout.
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
	// Its steps are hours, of which the oldest counts until it is wholly past: what counts
	// is never less than what 24 hours have cost.
	PeriodRollingDay: {"rolling_24h", func(at time.Time) (start, end time.Time) {
		step := at.UTC().Truncate(time.Hour)
		return step.Add(-24 * time.Hour), step.Add(time.Hour)
	}},
}

// midnight is when a day begins in the time zone of an instant: at 0:00 or, where clocks
// are put forward over that, when they have been.
func midnight(year int, month time.Month, day int, at time.Time) time.Time {
	return time.Date(year, month, day, 0, 0, 0, 0, at.Location())
}

// Window is the time whose money counts for a limit of the period at an instant, in a
// time zone: from its start to before its end, in Unix microseconds.
func (p Period) Window(atMicros int64, zone *time.Location) (startMicros, endMicros int64) {
	start, end := periods[p].window(time.UnixMicro(atMicros).In(zone))
	return start.UnixMicro(), end.UnixMicro()
}

// String is the word of the API.
func (p Period) String() string { return periods[p].word }
