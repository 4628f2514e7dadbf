package admission

import (
	"github.com/tollgate/tollgate/internal/e164"
	"github.com/tollgate/tollgate/internal/record"
)

// refusalRecord is the record of an attempt that was not admitted.
func refusalRecord(d *Decision, c *Call) *record.Call {
	f := &d.Facts
	r := &record.Call{
		ID: d.ID, AccountID: f.Account, ProfileID: f.Profile, ConnectionID: f.Connection,
		SIPCallID: c.SIPCallID, From: f.From, To: f.To, Caller: f.Caller, Callee: f.Callee,
		Country: f.Class.Country, Range: f.Class.Range, NumberType: f.Class.Type,
		StartedMicros: f.AtMicros, EndedMicros: f.AtMicros,
		Outcome: record.OutcomeRefused, Reason: d.Reason.String(),
		SIPStatus: int32(d.Reason.Status()), SIPPhrase: d.Phrase(),
		HangupCause: "call_rejected", HangupSource: record.SideTollgate,
		Rate: f.Rate, RatePrefix: f.ratePrefix(), Decision: d.Append(nil), Emergency: f.Emergency, Attestation: f.Attestation,
		RouteID: f.Route,
	}
	classifySource(r)
	return r
}

// classifySource notes where the caller's number belongs.
func classifySource(r *record.Call) {
	if r.Caller == 0 {
		return
	}
	class := e164.Classify(r.Caller)
	r.HasSource = true
	r.SourceCountry = class.Country
	r.SourceType = class.Type
}

// ratePrefix is the prefix of the deck that priced the call.
func (f *Facts) ratePrefix() string {
	switch {
	case !f.HasRate:
		return ""
	case f.Emergency:
		return f.Urgent.Prefix
	}
	return f.Callee.String()[1 : 1+f.RatePrefixDigits]
}

// leaseRecord is the record of an admitted call, without its money.
func leaseRecord(l *Lease, e *Ending, outcome record.Outcome) *record.Call {
	r := &record.Call{
		ID: l.ID, AccountID: l.Account, ProfileID: l.Profile, ConnectionID: l.Connection,
		GatewayID: e.Gateway, BillingGroup: l.BillingGroup, SIPCallID: l.SIPCallID,
		Emergency: l.Emergency, StartedMicros: l.ReservedMicros,
		RingingMicros: e.RingingMicros, AnsweredMicros: l.AnsweredMicros, EndedMicros: e.EndedMicros,
		Outcome: outcome, SIPStatus: e.SIPStatus, SIPPhrase: e.SIPPhrase,
		HangupCause: e.Cause, HangupSource: e.Source, DurationMicros: e.Elapsed.Microseconds(),
		GrantedSecs: l.GrantedSecs, Rate: l.Rate, Decision: l.Decision, Quality: e.Quality,
		Attempts: e.Attempts,
	}
	if e.Limit != ReasonNone {
		r.Reason = e.Limit.String()
	}
	if d, err := DecodeDecision(l.Decision); err == nil {
		f := &d.Facts
		r.From = f.From
		r.To = f.To
		r.Caller = f.Caller
		r.Callee = f.Callee
		r.Country = f.Class.Country
		r.Range = f.Class.Range
		r.NumberType = f.Class.Type
		r.RatePrefix, r.Attestation = f.ratePrefix(), f.Attestation
		r.RouteID = f.Route
		classifySource(r)
	}
	return r
}
