package api

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// seconds is a duration in microseconds, written in seconds with a fraction.
type seconds int64

var errSeconds = errors.New("not a number of seconds")

func (s seconds) duration() time.Duration { return time.Duration(s) * time.Microsecond }

// maxSeconds is a year: far above what any call lasts.
const maxSeconds = 366 * 24 * 60 * 60

func parseSeconds(text string) (seconds, error) {
	whole, part, dotted := strings.Cut(text, ".")
	secs, err := strconv.ParseUint(whole, 10, 63)
	if err != nil || secs > maxSeconds || dotted && part == "" || strings.Trim(part, "0123456789") != "" {
		return 0, fmt.Errorf("%.24q: %w", text, errSeconds)
	}
	// Programs that have the duration in a float write more digits than it means.
	micros, err := strconv.ParseUint((part + "000000")[:6], 10, 32)
	if err != nil {
		return 0, fmt.Errorf("%.24q: %w", text, errSeconds)
	}
	return seconds(secs*1_000_000 + micros), nil
}

// UnmarshalJSON reads a JSON number of at least 0.
func (s *seconds) UnmarshalJSON(text []byte) error {
	parsed, err := parseSeconds(string(text))
	if err == nil {
		*s = parsed
	}
	return err
}

// MarshalJSON writes a JSON number.
func (s seconds) MarshalJSON() ([]byte, error) { return appendSeconds(nil, int64(s)), nil }

func appendSeconds(b []byte, micros int64) []byte {
	b = strconv.AppendInt(b, micros/1_000_000, 10)
	if part := micros % 1_000_000; part != 0 {
		text := strconv.FormatInt(1_000_000+part, 10)
		b = append(append(b, '.'), strings.TrimRight(text[1:], "0")...)
	}
	return b
}
