package rest

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/field"
)

// Moment is what a client names by a time: from the first microsecond that is not
// before it, to the first one that is after it. A day is all of that UTC day. A time
// with at most three decimals is its millisecond, since answers show times in those:
// a bound that was copied from an answer includes or excludes what it was copied from.
type Moment struct {
	First, After int64
}

// momentPattern has the forms in which clients write times: those of RFC 3339, and of
// what languages print, as "2026-11-30 10:00:00 +0000". A space where a sign should be
// is a plus that was not encoded. The parts are the day, the hour with the minute, the
// second, its decimals, and the zone.
var momentPattern = regexp.MustCompile(`^([0-9]{4}-[0-9]{2}-[0-9]{2})` +
	`(?:[Tt ]([0-9]{2}:[0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,9}))?)? ?(Z|z|UTC|[-+ ](?:[01][0-9]|2[0-3]):?[0-5][0-9])?)?$`)

// unixPattern is a time in seconds since 1970, as the Telnyx SDK 2 for Node and the first
// ones for Python send dates.
var unixPattern = regexp.MustCompile(`^[0-9]{9,10}$`)

var errMoment = errors.New("not a time")

// millisDecimals is how many decimals the seconds of an answer have.
const millisDecimals = 3

// ParseMoment reads a time or a day. A time without a zone is in UTC.
func ParseMoment(text string) (Moment, error) {
	if unixPattern.MatchString(text) {
		seconds, err := strconv.ParseInt(text, 10, 64)
		return momentAt(time.Unix(seconds, 0), time.Millisecond), err
	}
	parts := momentPattern.FindStringSubmatch(text)
	if parts == nil {
		return Moment{}, errMoment
	}
	day, clock, second, decimals, zone := parts[1], parts[2], parts[3], parts[4], parts[5]
	if clock == "" {
		t, err := time.Parse(time.DateOnly, day)
		return momentAt(t, 24*time.Hour), err
	}
	if second == "" {
		second = "00"
	}
	whole := day + "T" + clock + ":" + second
	if decimals != "" {
		whole += "." + decimals
	}
	switch {
	case len(zone) < len("+0000"): // none, Z or UTC
		whole += "Z"
	default:
		sign := strings.Replace(zone[:1], " ", "+", 1)
		whole += sign + zone[1:3] + ":" + zone[len(zone)-2:]
	}
	t, err := time.Parse(time.RFC3339Nano, whole)
	if len(decimals) > millisDecimals {
		return momentAt(t, time.Nanosecond), err
	}
	return momentAt(t, time.Millisecond), err
}

// momentAt is the moment that begins at a time and lasts so long.
func momentAt(t time.Time, lasts time.Duration) Moment {
	ceil := func(t time.Time) int64 { return t.Add(time.Microsecond - 1).UnixMicro() }
	return Moment{First: ceil(t), After: ceil(t.Add(lasts))}
}

// The formats of schemas of times that a request names.
const (
	momentFormat    = "time-or-day"
	dateRangeFormat = "date-range"
)

// MomentSchema is the schema of a time or a day.
func MomentSchema() *Schema {
	return &Schema{Kind: "string", Format: momentFormat, Parse: ParseWith(ParseMoment),
		Example: "2018-02-02T22:25:27.521Z"}
}

// WholeDay describes what a day is as a bound.
const WholeDay = "A day, as in 2018-02-02, is all of that UTC day."

// TimeFilters are all bounds of a time: filter[name], which is [eq] too, and each other
// one of Telnyx's operators.
func TimeFilters(name, storeField string) []Parameter {
	filters := []Parameter{MomentFilter("filter["+name+"]", storeField, "eq")}
	for _, bound := range TimeBounds()[1:] { // [eq] is the first
		filters = append(filters, MomentFilter("filter["+name+"]["+bound+"]", storeField, bound))
	}
	return filters
}

// TimeBounds are the operators by which a time is filtered.
func TimeBounds() []string { return []string{"eq", "gt", "gte", "lt", "lte"} }

// MomentFilter selects by one bound of a time, in Telnyx's word for it.
func MomentFilter(name, storeField, bound string) Parameter {
	words := map[string]string{"eq": "is this time", "gt": "is after this time", "gte": "is this time or after it",
		"lt": "is before this time", "lte": "is this time or before it"}
	return Parameter{Name: name, Schema: MomentSchema(),
		Description: "Only objects whose " + storeField + " " + words[bound] + ". " + WholeDay,
		Filter: func(value string) ([]collection.Filter, *Problem) {
			m, err := ParseMoment(value)
			if err != nil {
				return nil, &Problem{Code: field.Malformed, Detail: Excerpt(value) + " is not a time in RFC 3339 form."}
			}
			return m.filters(storeField, bound), nil
		}}
}

// filters are the conditions that one of Telnyx's operators means.
func (m Moment) filters(storeField, bound string) []collection.Filter {
	from, to := m.Bounds(bound)
	first := int64(1) // a time of 0 is none, of what has not happened
	if from != nil {
		first = max(first, *from)
	}
	filters := []collection.Filter{{Field: storeField, Op: collection.AtLeast, Value: first}}
	if to != nil {
		filters = append(filters, collection.Filter{Field: storeField, Op: collection.Below, Value: *to})
	}
	return filters
}

// Bounds are the microseconds that one of Telnyx's operators means: from the first one,
// and to before the second; nil for no bound.
func (m Moment) Bounds(bound string) (from, to *int64) {
	switch bound {
	case "gt":
		return &m.After, nil
	case "gte":
		return &m.First, nil
	case "lt":
		return nil, &m.First
	case "lte":
		return nil, &m.After
	}
	return &m.First, &m.After
}

// dateRangePattern has the words of Telnyx's filter[date_range], and the forms last_N_days,
// last_N_weeks and last_N_months.
const dateRangePattern = `^(yesterday|today|tomorrow|(last|this|next)_(week|month)|` +
	`last_[1-9][0-9]{0,2}_(days|weeks|months))$`

// How far back date_range reaches: about three years.
const (
	maxRangeDays   = 999
	maxRangeWeeks  = 156
	maxRangeMonths = 36
)

var dateRangeWanted = fmt.Sprintf("one of yesterday, today, tomorrow, last_week, this_week, next_week, last_month, "+
	"this_month, next_month, last_N_days with N from 1 to %d, last_N_weeks from 1 to %d, or last_N_months from 1 to %d",
	maxRangeDays, maxRangeWeeks, maxRangeMonths)

// DateRangeSchema is the schema of a span of days.
func DateRangeSchema() *Schema {
	return &Schema{Kind: "string", Format: dateRangeFormat, Pattern: regexp.MustCompile(dateRangePattern),
		Example: "last_7_days",
		Parse: func(word string) error {
			_, _, err := DateRange(word, time.Unix(0, 0))
			return err
		}}
}

var errDateRange = errors.New("not a date range")

// DateRange is the span of days that a word of Telnyx's filter[date_range] means.
// Weeks begin on Monday; all days are UTC days. last_7_days is today and the six days
// before it, last_2_weeks today and the 13 days before it, and last_3_months begins on the
// day after the day of three months ago that has today's number, or after the last
// day of that month when it has none.
func DateRange(word string, now time.Time) (from, to time.Time, err error) {
	now = now.UTC()
	start := now.Truncate(24 * time.Hour)
	monday := start.AddDate(0, 0, -(int(start.Weekday())+6)%7)
	first := start.AddDate(0, 0, 1-start.Day())
	span := func(from time.Time, months, days int) (time.Time, time.Time, error) {
		return from, from.AddDate(0, months, days), nil
	}
	switch word {
	case "today":
		return span(start, 0, 1)
	case "yesterday":
		return span(start.AddDate(0, 0, -1), 0, 1)
	case "tomorrow":
		return span(start.AddDate(0, 0, 1), 0, 1)
	case "this_week":
		return span(monday, 0, 7)
	case "last_week":
		return span(monday.AddDate(0, 0, -7), 0, 7)
	case "next_week":
		return span(monday.AddDate(0, 0, 7), 0, 7)
	case "this_month":
		return span(first, 1, 0)
	case "last_month":
		return span(first.AddDate(0, -1, 0), 1, 0)
	case "next_month":
		return span(first.AddDate(0, 1, 0), 1, 0)
	}
	number, unit, _ := strings.Cut(strings.TrimPrefix(word, "last_"), "_")
	n, err := strconv.Atoi(number)
	most := map[string]int{"days": maxRangeDays, "weeks": maxRangeWeeks, "months": maxRangeMonths}[unit]
	if err != nil || n < 1 || n > most {
		return start, start, errDateRange
	}
	tomorrow := start.AddDate(0, 0, 1)
	switch unit {
	case "days":
		return tomorrow.AddDate(0, 0, -n), tomorrow, nil
	case "weeks":
		return tomorrow.AddDate(0, 0, -7*n), tomorrow, nil
	}
	month := first.AddDate(0, -n, 0)
	last := month.AddDate(0, 1, -1).Day()
	return month.AddDate(0, 0, min(start.Day(), last)), tomorrow, nil
}
