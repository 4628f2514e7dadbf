package admission

import (
	"fmt"
	"time"

	"github.com/tollgate/tollgate/internal/policy"
)

// RuleWindow holds that it is within the profile's calling window, and the number was not called
// too often in it.
const RuleWindow Rule = 8

// The reasons of RuleWindow.
const (
	ReasonOutsideWindow Reason = 14
	ReasonCalleeLimit   Reason = 15
)

var windowRule = rule{
	name:    "calling_window",
	needs:   needProfile,
	gather:  gatherWindow,
	judge:   judgeWindow,
	explain: explainWindow,
	code: func(c *coder, f *Facts) {
		c.Bools(&f.WindowOpen)
		ints(c, &f.WindowInstance, &f.CalleeCalls, &f.CalleeCallsMax)
		ints(c, &f.WindowStart, &f.WindowEnd)
	},
	reasons: []answer{
		{ReasonOutsideWindow, "outside_calling_window", "TG1", 403, "Outside the calling window of the Outbound Profile",
			"Call within the profile's calling_window, or widen it."},
		{ReasonCalleeLimit, "callee_limit", "TG2", 403, "Calls to this number in the calling window exceeded",
			"Raise calling_window.calls_per_cld, or wait for the next window."},
	},
}

// WindowFacts are the profile's calling window, and the calls to the number in it.
type WindowFacts struct {
	WindowOpen             bool
	WindowStart, WindowEnd time.Duration
	WindowInstance         int32
	CalleeCalls            int32
	CalleeCallsMax         int32 // policy.NoLimit for none
}

func gatherWindow(f *Facts, in *inquiry) {
	f.CalleeCallsMax = policy.NoLimit
	if in.profile == nil {
		return
	}
	window := &in.profile.Window
	f.WindowStart = window.Start
	f.WindowEnd = window.End
	f.CalleeCallsMax = window.CallsPerCLD
	f.WindowOpen, f.WindowInstance = window.Locate(in.now)
	if f.CalleeCallsMax != policy.NoLimit && f.Callee != 0 {
		f.CalleeCalls = in.use.Calls(f.Profile, f.Callee, f.WindowInstance)
	}
}

func judgeWindow(f *Facts) Reason {
	switch {
	case !f.WindowOpen:
		return ReasonOutsideWindow
	case f.CalleeCallsMax != policy.NoLimit && f.CalleeCalls >= f.CalleeCallsMax:
		return ReasonCalleeLimit
	}
	return ReasonNone
}

func explainWindow(f *Facts) (seen, allowed string) {
	at := time.UnixMicro(f.AtMicros).UTC().Format(time.TimeOnly)
	seen = at + " UTC, window " + yesNo(f.WindowOpen, "open", "closed")
	allowed = "any time of day"
	if f.WindowStart != f.WindowEnd {
		allowed = clock(f.WindowStart) + " to " + clock(f.WindowEnd) + " in the profile's time zone"
	}
	if f.CalleeCallsMax != policy.NoLimit {
		seen += fmt.Sprintf(", %d calls to this number", f.CalleeCalls)
		allowed += fmt.Sprintf(", fewer than %d calls to one number before this one", f.CalleeCallsMax)
	}
	return seen, allowed
}

func clock(d time.Duration) string { return time.Time{}.Add(d).Format(time.TimeOnly) }
