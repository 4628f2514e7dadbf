package profile

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// TimeOfDay is a time of day as the duration since midnight, below 24 hours.
type TimeOfDay time.Duration

// ErrTimeOfDay means that a text has none of the forms that Telnyx documents.
var ErrTimeOfDay = errors.New("not a time of day such as 08:00, 08:00:00 or 08:00:00.00Z")

// ParseTimeOfDay reads HH:MM, HH:MM:SS or HH:MM:SS with a fraction, each with or
// without a trailing Z. Fractions below a microsecond are refused.
func ParseTimeOfDay(s string) (TimeOfDay, error) {
	fail := fmt.Errorf("parse %.20q: %w", s, ErrTimeOfDay)
	parts := strings.Split(strings.TrimSuffix(s, "Z"), ":")
	if len(parts) < 2 || len(parts) > 3 {
		return 0, fail
	}
	hours, okH := twoDigits(parts[0], 24)
	minutes, okM := twoDigits(parts[1], 60)
	if !okH || !okM {
		return 0, fail
	}
	t := time.Duration(hours)*time.Hour + time.Duration(minutes)*time.Minute
	if len(parts) == 2 {
		return TimeOfDay(t), nil
	}
	whole, fraction, pointed := strings.Cut(parts[2], ".")
	seconds, okS := twoDigits(whole, 60)
	if !okS || (pointed && (fraction == "" || len(fraction) > 6)) {
		return 0, fail
	}
	t += time.Duration(seconds) * time.Second
	if pointed {
		micros, err := strconv.ParseUint((fraction + "000000")[:6], 10, 32)
		if err != nil {
			return 0, fail
		}
		t += time.Duration(micros) * time.Microsecond
	}
	return TimeOfDay(t), nil
}

func twoDigits(s string, below int) (int, bool) {
	if len(s) != 2 || s[0] < '0' || s[0] > '9' || s[1] < '0' || s[1] > '9' {
		return 0, false
	}
	n := int(s[0]-'0')*10 + int(s[1]-'0')
	return n, n < below
}

// String writes HH:MM:SS, with a fraction only if it is not zero.
func (t TimeOfDay) String() string {
	return time.Time{}.Add(time.Duration(t)).Format("15:04:05.999999")
}

// MarshalJSON writes the time as a JSON string.
func (t TimeOfDay) MarshalJSON() ([]byte, error) {
	return strconv.AppendQuote(nil, t.String()), nil
}

// UnmarshalJSON reads a JSON string in one of the forms of ParseTimeOfDay.
func (t *TimeOfDay) UnmarshalJSON(text []byte) error {
	if len(text) < 2 || text[0] != '"' || text[len(text)-1] != '"' {
		return fmt.Errorf("parse %.20s: %w", text, ErrTimeOfDay)
	}
	parsed, err := ParseTimeOfDay(string(text[1 : len(text)-1]))
	if err != nil {
		return err
	}
	*t = parsed
	return nil
}
