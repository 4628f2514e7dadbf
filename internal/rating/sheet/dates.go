package sheet

import (
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Dates outside these years are slips of the pen.
const (
	firstYear = 2000
	lastYear  = 2099
)

const wantDate = "want a date as 2026-03-01 (midnight UTC) or 2026-03-01T00:00:00Z, in the years 2000 to 2099"

// slashed is a date whose day and month may stand in either order.
type slashed struct {
	line           int
	column         string
	value          string
	a, b, year     int
	hour, min, sec int
}

var (
	slashForm = regexp.MustCompile(`^(\d{1,2})([/.-])(\d{1,2})[/.-](\d{4})(?:[ T](\d{1,2}):(\d{2})(?::(\d{2}))?)?$`)
	layouts   = []string{time.DateOnly, time.RFC3339, time.DateTime, "2006-01-02 15:04", "2006-01-02T15:04:05",
		"2006/01/02",
		"2006/01/02 15:04:05", "2006.01.02", "20060102", "2-Jan-2006", "2 Jan 2006", "02-Jan-2006", "2 January 2006",
		"Jan 2, 2006", "January 2, 2006", "Jan 2 2006", "2006-01-02 15:04:05.000", "2006-01-02 15:04:05-07",
		"2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05 UTC", "Mon, 02 Jan 2006 15:04:05 GMT"}
)

// readDate reads a day, which begins at midnight UTC, or a moment. Where day and month may stand in either order, it
// returns what is to be decided later.
func readDate(cell string) (at time.Time, open *slashed, want string) {
	if match := slashForm.FindStringSubmatch(cell); match != nil {
		number := func(i int) int { n, _ := strconv.Atoi(match[i]); return n }
		s := &slashed{value: excerpt(cell), a: number(1), b: number(3), year: number(4), hour: number(5), min: number(6),
			sec: number(7)}
		if match[2] == "." || s.a == s.b { // dots are for day, month and year in every country that writes them
			at, want = s.in(dayFirst)
			return at, nil, want
		}
		return time.Time{}, s, ""
	}
	for _, layout := range layouts {
		at, err := time.Parse(layout, cell)
		if at = at.UTC(); err == nil && at.Year() >= firstYear && at.Year() <= lastYear {
			return at, nil, ""
		}
	}
	return time.Time{}, nil, wantDate
}

// order is that of day and month.
type order int

const (
	undecided order = iota
	dayFirst
	monthFirst
)

// in is the date in an order.
func (s *slashed) in(o order) (at time.Time, want string) {
	day, month := s.a, s.b
	if o == monthFirst {
		day, month = s.b, s.a
	}
	at = time.Date(s.year, time.Month(month), day, s.hour, s.min, s.sec, 0, time.UTC)
	if at.Day() != day || int(at.Month()) != month || at.Hour() != s.hour || s.year < firstYear || s.year > lastYear {
		return time.Time{}, wantDate
	}
	return at, ""
}

// latest is the later one of the dates that it may be.
func (s *slashed) latest() (at time.Time, want string) {
	days, noDays := s.in(dayFirst)
	months, noMonths := s.in(monthFirst)
	if noDays != "" || noMonths == "" && months.After(days) {
		return months, noMonths
	}
	return days, noDays
}

// only is the order that a date leaves open alone: a month has at most 12.
func (s *slashed) only() order {
	switch {
	case s.a > 12:
		return dayFirst
	case s.b > 12:
		return monthFirst
	}
	return undecided
}

// neverEnds reports whether an end is so far away, or so written, that it means none.
func neverEnds(cell string) bool {
	return strings.HasPrefix(cell, "0000-00-00") || strings.EqualFold(cell, "never") || strings.EqualFold(cell, "infinity")
}

// foreseeable is how far ahead the end of a price may be and still be meant.
const foreseeable = 8 * 365 * 24 * time.Hour
