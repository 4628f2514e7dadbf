package admission

import (
	"errors"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/record"
)

// HangUp ends a live call on request. It is a mark on the call's lease: durable, and
// found by the owner of the call however it is notified. A call that is marked
// gets no longer grant.
type HangUp struct {
	ID      uuid.UUID
	Account id.ID // calls of others are unknown to it
	// By says who asked, for the call's record.
	By string
	// Force ends an emergency call too.
	Force bool
}

func (HangUp) command() {}

// causeNormal is the hangup cause of calls that were ended on purpose.
const causeNormal = "normal_clearing"

// MaxHangUpBy bounds what is kept of who asked, in bytes.
const MaxHangUpBy = 1000

// ErrEmergencyCall means that a call was not ended because it is an emergency call.
var ErrEmergencyCall = errors.New("it is an emergency call")

// hangUp marks a lease. A second mark changes nothing: the first one stands.
func (s *State) hangUp(c *HangUp) Result {
	if r := s.ended[c.ID]; r != nil && r.AccountID == c.Account {
		return Result{Record: r}
	}
	l := s.leases[c.ID]
	switch {
	case l == nil || l.Account != c.Account:
		return Result{Err: ErrUnknownCall}
	case l.Emergency && !c.Force:
		return Result{Err: ErrEmergencyCall}
	case l.HungUpMicros == 0:
		// 0 stands for no mark.
		l.HungUpMicros = max(s.now, 1)
		l.HungUpBy = new(Requester(c.By[:min(len(c.By), MaxHangUpBy)]))
		s.dirtyLeases[l.ID] = struct{}{}
		if IsSwitchID(l.ID) {
			s.events = append(s.events, Event{Kind: EventHangUp, AtMicros: s.now, Account: l.Account, Profile: l.Profile,
				Connection: l.Connection, Call: l.ID, SIPCallID: l.SIPCallID, Decision: l.Decision, Answered: l.AnsweredMicros})
		}
	}
	return l.endNow(l.grant(Result{Answered: l.AnsweredMicros != 0, DueMicros: l.DueMicros()}))
}

// endNow makes of the result of a call of another switch that was hung up one that
// says that its time has ended, so that a switch which goes by the grant alone ends it.
func (l *Lease) endNow(r Result) Result {
	if l.HungUpMicros == 0 {
		return r
	}
	r.DueMicros = l.HungUpMicros
	r.GrantedSecs = 0
	if l.AnsweredMicros != 0 {
		passed := (max(0, l.HungUpMicros-l.AnsweredMicros) + 999_999) / 1_000_000
		r.GrantedSecs = min(l.AllowedSecs(), passed)
	}
	return r
}

// Requester is who requested the hang-up of a call. Few calls have one, so that leases point to it.
type Requester string

// String implements fmt.Stringer; "" for none.
func (r *Requester) String() string {
	if r == nil {
		return ""
	}
	return string(*r)
}

// noteHangUp writes into the record of a call who had it ended. A side that hung up
// by itself before the news reached the call ended it.
func (l *Lease) noteHangUp(r *record.Call, e *Ending) {
	switch {
	case l.HungUpMicros == 0:
		return
	case e.HungUp || r.Outcome == record.OutcomeLost:
	case IsSwitchID(l.ID) && (e.Source == record.SideUnknown || e.Source == record.SideTollgate):
		// The switch was told to end the call, and names no side that did so by itself.
	default:
		return
	}
	r.HangupSource, r.HungUpBy = record.SideTollgate, l.HungUpBy.String()
	if r.HangupCause == "" {
		r.HangupCause = causeNormal
	}
}
