package admission

import (
	"fmt"

	"github.com/tollgate/tollgate/internal/e164"
	"github.com/tollgate/tollgate/internal/policy"
)

// RuleCaller holds that the call shows a caller id that is a number, and one that it may show.
const RuleCaller Rule = 3

// The reasons of RuleCaller.
const (
	ReasonCallerInvalid    Reason = 8
	ReasonCallerNotAllowed Reason = 34
)

var callerRule = rule{
	name:    "caller_id",
	needs:   needConnection,
	gather:  gatherCaller,
	judge:   judgeCaller,
	explain: explainCaller,
	code: func(c *coder, f *Facts) {
		ints(c, &f.Caller, &f.CallerID.Presented)
		ints(c, &f.CallerID.OnMismatch)
		c.Bools(&f.CallerForced, &f.CallerID.Restricted, &f.CallerID.Listed, &f.CallerID.Replaced, &f.CallerID.Confirmed)
	},
	reasons: []answer{
		{ReasonCallerInvalid, "caller_id_invalid", "D35", 403, "Invalid Caller Origination Number",
			"Send a caller id that is an E.164 number after the connection's localisation, or set outbound.ani_override."},
		{ReasonCallerNotAllowed, "caller_id_not_allowed", "D51", 403, "Unverified origination number",
			"Show a caller id that caller_ids of the connection lists, or list this one there."},
	},
}

// CallerFacts are the caller id that is shown, and how it came about.
type CallerFacts struct {
	Caller       e164.Number // that is shown
	CallerForced bool        // it is the connection's ani_override
	CallerID     CallerID
}

// CallerID describes the caller id that a call presents.
type CallerID struct {
	Presented  e164.Number // read from what the caller sent; 0 for none
	OnMismatch policy.Mismatch
	Restricted bool // the connection lists the numbers that its callers may show
	Listed     bool // the presented number is one of them
	Replaced   bool // Facts.Caller stands in the place of the presented number
	// Confirmed means that Facts.Caller is known to be the connection's to show. Only
	// then may anything assert it to a carrier.
	Confirmed bool
}

// gatherCaller finds out which number is shown. Telnyx's ani_override (connection
// field outbound.ani_override_type: always, normal, emergency) comes first.
func gatherCaller(f *Facts, in *inquiry) {
	s, plan, c := in.policy, in.plan, in.caller
	ids := c.CallerIDs
	caller := &f.CallerID
	if n, err := plan.Normalise(in.call.From, c.Home); err == nil && plan.Valid(n) {
		caller.Presented = n
	}
	caller.OnMismatch = ids.OnMismatch
	caller.Restricted = !ids.Listed.Empty()
	caller.Listed = ids.Listed.Has(caller.Presented)
	f.Caller = caller.Presented
	if f.CallerForced = forcesCaller(c, f.Emergency); f.CallerForced {
		f.Caller = c.ANIOverride
	}
	switch {
	case f.Emergency && !s.Confirms(c, f.Caller):
		// The one who answers must be able to call back, so a number that is known to be the
		// connection's is better than one that anyone may have made up.
		if known := s.ForEmergency(c); known != 0 {
			f.Caller = known
			f.CallerForced = false
			caller.Replaced = true
		}
	case f.Emergency, f.CallerForced, caller.Listed:
	case caller.OnMismatch == policy.MismatchReplace && ids.Replacement() != 0:
		f.Caller, caller.Replaced = ids.Replacement(), true
	}
	if (f.CallerForced || caller.Replaced) && !plan.Valid(f.Caller) {
		// What is configured is no number that could call, or is none any more.
		if f.Caller, f.CallerForced, caller.Replaced = 0, false, false; f.Emergency {
			f.Caller = caller.Presented
		}
	}
	caller.Confirmed = s.Confirms(c, f.Caller)
}

func forcesCaller(c *policy.Connection, emergency bool) bool {
	if c.ANIOverride == 0 {
		return false
	}
	switch c.ANIOverrideType {
	case "normal":
		return !emergency
	case "emergency":
		return emergency
	}
	return true
}

func judgeCaller(f *Facts) Reason {
	switch {
	case f.Caller == 0:
		return ReasonCallerInvalid
	case f.CallerForced, f.CallerID.Replaced, !f.CallerID.Restricted, f.CallerID.Listed:
		return ReasonNone
	case f.CallerID.OnMismatch == policy.MismatchRefuse:
		return ReasonCallerNotAllowed
	}
	return ReasonNone
}

func explainCaller(f *Facts) (seen, allowed string) {
	how := ""
	switch {
	case f.CallerForced:
		how = " (ani_override)"
	case f.CallerID.Replaced:
		how = " (in its place)"
	case f.CallerID.Restricted && !f.CallerID.Listed:
		how = " (not in caller_ids)"
	}
	seen = fmt.Sprintf("%q, used as %s%s", f.From, orNone(f.Caller.String()), how)
	if f.Caller != 0 {
		seen += yesNo(f.CallerID.Confirmed, ", confirmed", ", not confirmed")
	}
	allowed = "a valid E.164 caller id"
	if f.CallerID.Restricted && f.CallerID.OnMismatch == policy.MismatchRefuse {
		allowed += " that caller_ids of the connection lists"
	}
	return seen, allowed
}
