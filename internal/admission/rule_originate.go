package admission

import (
	"fmt"
)

// RuleOriginate holds that the caller id that is shown is not one from which no call can come,
// where the profile refuses such (Do Not Originate, 47 CFR 64.1200). What is no number at all,
// by its length or its area code, the rule of the caller id refuses always.
const RuleOriginate Rule = 16

// ReasonCallerUnallocated is the reason of RuleOriginate.
const ReasonCallerUnallocated Reason = 38

var originateRule = rule{
	name:   "do_not_originate",
	needs:  needProfile,
	gather: gatherOriginate,
	judge: func(f *Facts) Reason {
		return refuseIf(f.CallerUnallocated && f.UnallocatedRefused, ReasonCallerUnallocated)
	},
	explain: explainOriginate,
	code:    func(c *coder, f *Facts) { c.Bools(&f.CallerUnallocated, &f.UnallocatedRefused) },
	reasons: []answer{
		{ReasonCallerUnallocated, "caller_id_unallocated", "TG22", 403, "Caller ID is an unallocated number",
			"Show a number that is in use, or set unallocated_callers of the profile to allow. Where the block is in use " +
				"and the built-in numbering plan does not know it, add an override under " +
				"/tollgate/v1/numbering_plan_overrides."},
	},
}

// OriginateFacts report whether the caller id is of a block in which there are no numbers, and
// whether that is refused.
type OriginateFacts struct{ CallerUnallocated, UnallocatedRefused bool }

// gatherOriginate is behind the rule of the caller id: it judges the number that is shown, which
// that rule has read by the connection's localisation.
func gatherOriginate(f *Facts, in *inquiry) {
	if in.profile == nil || f.Caller == 0 || f.Emergency {
		return
	}
	f.UnallocatedRefused = in.profile.RefuseUnallocated
	f.CallerUnallocated = in.plan.Unallocated(f.Caller)
}

func explainOriginate(f *Facts) (seen, allowed string) {
	seen = orNone(f.Caller.String())
	if f.CallerUnallocated {
		seen = fmt.Sprintf("%s, in a block that has no numbers", f.Caller)
	}
	return seen, yesNo(f.UnallocatedRefused, "a caller id of an allocated block", "any caller id")
}
