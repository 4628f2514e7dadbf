package profile

import (
	"fmt"
	"time"
)

const day = 24 * time.Hour

// Window is a compiled CallingWindow. The zero value is always open and limits nothing.
type Window struct {
	Start, End  time.Duration // since local midnight; equal means the whole day
	CallsPerCLD int32         // NoLimit when calls to one number are not limited
	Location    *time.Location
	Limited     bool // false for a profile without a window
}

// NoLimit is the compiled value of a limit that is not set.
const NoLimit = -1

// Compile resolves the time zone. A missing start means midnight and a missing
// end means the end of the day. It fails only for an unknown time zone.
func (w *CallingWindow) Compile() (Window, error) {
	if w == nil {
		return Window{CallsPerCLD: NoLimit, Location: time.UTC}, nil
	}
	compiled := Window{CallsPerCLD: NoLimit, Location: time.UTC, Limited: true}
	if w.StartTime != nil {
		compiled.Start = time.Duration(*w.StartTime)
	}
	if w.EndTime != nil {
		compiled.End = time.Duration(*w.EndTime)
	}
	if w.CallsPerCLD != nil {
		compiled.CallsPerCLD = *w.CallsPerCLD
	}
	if w.TimeZone != nil {
		location, err := time.LoadLocation(*w.TimeZone)
		if err != nil {
			return Window{}, fmt.Errorf("load time zone %q: %w", *w.TimeZone, err)
		}
		compiled.Location = location
	}
	return compiled, nil
}

// Locate reports whether a call may start at now and returns the instance of the window
// that now falls in: the number of days from 1970-01-01 to the local date on which the
// instance began. In a window that crosses midnight the hours after midnight
// belong to the instance of the day before.
//
// On the two days a year when clocks change, the window follows the wall clock:
// an hour that occurs twice is open twice, and one that is skipped does not occur.
func (w *Window) Locate(now time.Time) (open bool, instance int32) {
	const daySecs = int64(day / time.Second)
	local := now.Unix()
	if w.Location != nil && w.Location != time.UTC {
		_, offset := now.In(w.Location).Zone()
		local += int64(offset)
	}
	today := int32(local / daySecs)
	at := time.Duration(local%daySecs)*time.Second + time.Duration(now.Nanosecond())
	switch {
	case !w.Limited || w.Start == w.End:
		if at < w.Start {
			today--
		}
		return true, today
	case w.Start < w.End:
		return at >= w.Start && at < w.End, today
	case at < w.End: // crosses midnight and began yesterday
		return true, today - 1
	default:
		return at >= w.Start, today
	}
}
