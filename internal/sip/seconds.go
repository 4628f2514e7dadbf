package sip

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

// Seconds writes an interval as delta-seconds.
func Seconds(d time.Duration) string { return strconv.FormatInt(int64(d/time.Second), 10) }

// ReadSeconds reads delta-seconds before any parameters; 0 when there are none.
func ReadSeconds(value string) time.Duration {
	if value == "" {
		return 0
	}
	number, _, _ := strings.Cut(value, ";")
	n, err := strconv.ParseUint(trimSpace(number), 10, 31)
	if err != nil {
		return 0
	}
	return time.Duration(n) * time.Second
}

// ReadExpires reads the life of a registration: a malformed one is an hour (RFC 3261 section
// 20.19), and one that is too long for a number is very long.
func ReadExpires(value string) time.Duration {
	number, _, _ := strings.Cut(value, ";")
	n, err := strconv.ParseUint(trimSpace(number), 10, 31)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return time.Hour
	}
	return time.Duration(n) * time.Second // the most that there is where it was too long
}

// Refresher reads the parameter of a Session-Expires value.
func Refresher(value string) string {
	i := strings.IndexByte(value, ';')
	if i < 0 {
		return ""
	}
	who, _, _ := parameter(value[i:], "refresher")
	return strings.ToLower(who)
}
