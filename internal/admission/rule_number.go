package admission

import (
	"fmt"

	"github.com/tollgate/tollgate/internal/e164"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/policy"
)

// RuleNumber holds that what was dialled is a number.
const RuleNumber Rule = 4

// ReasonNumberInvalid is the reason of RuleNumber.
const ReasonNumberInvalid Reason = 9

var numberRule = rule{
	name:    "number",
	needs:   needConnection,
	gather:  gatherCallee,
	judge:   func(f *Facts) Reason { return refuseIf(f.Callee == 0, ReasonNumberInvalid) },
	explain: explainNumber,
	fix:     overrideFix,
	code: func(c *coder, f *Facts) {
		ints(c, &f.Callee)
		ints(c, &f.Class.Type)
		c.country(&f.Class.Country)
		c.rangeName(&f.Class.Range)
		ints(c, &f.Could)
		ints(c, &f.Override)
	},
	reasons: []answer{
		{ReasonNumberInvalid, "number_invalid", "D14", 404, "Dialed number is not valid",
			"Dial +E.164, or set outbound.localization for national dialling. Where the number exists and the built-in " +
				"numbering plan does not know it, add an override under /tollgate/v1/numbering_plan_overrides."},
	},
}

// NumberFacts are what the dialled text was read as.
type NumberFacts struct {
	Callee   e164.Number
	Class    e164.Class
	Could    e164.NumberTypeSet // every type that a network could take the callee for
	Override id.ID              // of the numbering plan, that decided about the callee; 0 for none
}

func gatherCallee(f *Facts, in *inquiry) {
	if f.Emergency {
		return
	}
	f.Callee, in.callee = readCallee(in.plan, in.caller, in.call.To)
	f.Class = in.callee.Class
	f.Could = in.callee.Possible
	f.Override = id.ID(in.callee.Override)
}

// Callee is the number that a connection dials with this text by the numbering plan
// of the moment, or 0 when it is none. It is for calls that are no emergency.
func Callee(plan e164.Plan, c *policy.Connection, dialled string) e164.Number {
	callee, _ := readCallee(plan, c, dialled)
	return callee
}

func readCallee(plan e164.Plan, c *policy.Connection, dialled string) (callee e164.Number, judged e164.Judgement) {
	callee, err := plan.Normalise(dialled, c.Home)
	if err != nil {
		judged.Override = refusedBy(plan, c, dialled)
		return 0, judged
	}
	judged, ok := plan.Judge(callee)
	if !ok {
		return 0, judged
	}
	return callee, judged
}

// refusedBy is the override because of which a text is no number, or 0.
func refusedBy(plan e164.Plan, c *policy.Connection, dialled string) int64 {
	if plan.Overlay == nil {
		return 0
	}
	callee, err := e164.Normalise(dialled, c.Home)
	if err != nil {
		return 0
	}
	o := plan.Override(callee)
	if o == nil {
		return 0
	}
	return o.ID
}

// explainNumber tells what the dialled text was read as, and which override decided.
func explainNumber(f *Facts) (seen, allowed string) {
	seen = fmt.Sprintf("%q, read as %s", f.To, orNone(f.Callee.String()))
	if f.Override != 0 {
		seen += fmt.Sprintf(" by override %s of the numbering plan", f.Override)
	}
	return seen, "a valid E.164 number"
}

// overrideFix is the way out where an override refuses.
func overrideFix(f *Facts) string {
	if f.Override == 0 {
		return ""
	}
	return fmt.Sprintf("Change override %s under /tollgate/v1/numbering_plan_overrides, or its "+
		"min_digits and max_digits.", f.Override)
}
