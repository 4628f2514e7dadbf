package admission

import (
	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/record"
)

// A switch names its calls, and often by what their callers chose: a Call-ID. So an
// id that was used before proves nothing. A Reserve is a repetition only if it has
// the proof of the first one, which the switch makes up for each request. Anything
// else with a used id is refused, and no call that has ended is ever admitted
// again. See docs/decisions/0012-repeated-admissions.md.

// RequestID is the proof of a request, by what the switch names it: "" for none.
func RequestID(name string) uuid.UUID {
	if name == "" {
		return uuid.Nil
	}
	return nameID("request", 0, name)
}

// SpareID makes a random UUID one that a call of a switch may have.
func SpareID(random uuid.UUID) uuid.UUID { return asName(random) }

// IDUse reports whether the id that a switch gave its call was used before.
type IDUse uint8

// The uses of an id. Their order is stored; append only.
const (
	IDUnused IDUse = iota
	IDLive         // a live call has it
	IDOver         // a call that has ended, or was refused, has it
)

// known is what the ledger has of a call: its lease or, once it has ended, its record.
func (s *State) known(call uuid.UUID) (l *Lease, r *record.Call) {
	if l = s.leases[call]; l == nil {
		r = s.ended[call]
	}
	return l, r
}

// repeatedReserve answers a Reserve that repeats another one. Where it only has the
// id of another call it gets an unused one, so that it is decided for itself.
func (s *State) repeatedReserve(p *policy.Snapshot, c *Reserve) (Result, bool) {
	l, r := s.known(c.Call.ID)
	var result Result
	var encoded []byte
	switch {
	case l != nil:
		encoded, result = l.Decision, l.grant(result)
		result.DueMicros = l.DueMicros()
		result.Answered = l.AnsweredMicros != 0
	case r != nil:
		encoded, result.Record = r.Decision, r
	default:
		return result, false
	}
	result.Decision, result.Err = DecodeDecision(encoded)
	if result.Err != nil || !IsSwitchID(c.Call.ID) {
		return result, true
	}
	urgent, same := isEmergency(p, &c.Call), sameAttempt(&result.Decision.Facts, &c.Call)
	ended := r != nil && result.Decision.Allow
	switch {
	case !proves(&result.Decision.Facts, c, l), urgent && (ended || !same):
		if c.Spare == uuid.Nil {
			return Result{Err: ErrOtherContent}, true
		}
		c.takeSpare(l != nil)
		return Result{}, false
	case !same:
		return Result{Err: ErrOtherContent}, true
	case l != nil && l.HungUpMicros != 0 && !urgent:
		result.Decision.Allow, result.Decision.Reason = false, ReasonHungUp
	case ended:
		result.Decision.Allow = false
		result.Decision.Reason = ReasonCallEnded
	}
	return result, true
}

// proves reports whether a Reserve is a repetition of the one that led to a call. l is
// nil when the call has ended.
func proves(f *Facts, c *Reserve, l *Lease) bool {
	return c.Call.Request != uuid.Nil && c.Call.Request == f.Request && (l == nil || l.Owner == c.Owner)
}

// takeSpare gives the call the spare id that its edge has reserved, and notes why.
func (c *Reserve) takeSpare(live bool) {
	c.Call.ID, c.Call.IDUse = c.Spare, IDOver
	if live {
		c.Call.IDUse = IDLive
	}
}

func isEmergency(p *policy.Snapshot, call *Call) bool {
	c := p.Connection(call.Connection)
	if c == nil {
		return false
	}
	_, urgent := c.Emergency(p.Account(c.Account), call.To)
	return urgent
}
