package admission

import (
	"fmt"

	"github.com/tollgate/tollgate/internal/policy"
)

// RulePace holds that the connection does not begin too many calls in a second. See pace.go.
const RulePace Rule = 12

// ReasonCallRate is the reason of RulePace.
const ReasonCallRate Reason = 29

var paceRule = rule{
	name:  "calls_per_second",
	needs: needConnection,
	gather: func(f *Facts, in *inquiry) {
		if f.Pace.Max = in.caller.CallsPerSecond; f.Pace.Max != policy.NoLimit {
			f.Pace.Begun = in.use.Begun(f.Connection, f.Pace.Max)
		}
	},
	judge: func(f *Facts) Reason {
		return refuseIf(f.Pace.Max != policy.NoLimit && f.Pace.Begun >= f.Pace.Max, ReasonCallRate)
	},
	explain: explainPace,
	code:    func(c *coder, f *Facts) { ints(c, &f.Pace.Begun, &f.Pace.Max) },
	reasons: []answer{
		// The code that Telnyx answers with above its limit of calls a second.
		{ReasonCallRate, "calls_per_second", "P05", 503, "CPS Limit Reached",
			"Raise calls_per_second on the connection, or send its calls more slowly."},
	},
}

// PaceFacts are how many calls of the connection were begun in the past second, and
// how many may be.
type PaceFacts struct {
	Begun int32
	Max   int32 // policy.NoLimit for none
}

func explainPace(f *Facts) (seen, allowed string) {
	if f.Pace.Max == policy.NoLimit {
		return "any number of calls a second", "any number of calls a second"
	}
	return fmt.Sprintf("%d calls of the connection begun in the past second on this server", f.Pace.Begun),
		fmt.Sprintf("fewer than %d before this one", f.Pace.Max)
}
