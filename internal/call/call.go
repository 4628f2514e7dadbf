// Package call is the life of one call, free of SIP: from the attempt over the
// decision, the hunt through the gateways, the answer and the meter to the
// settled end. It is a pure state machine. An edge gives it events and carries
// out its actions; it does no I/O, reads no clock and starts no goroutine.
package call

import (
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/routing"
)

// state is where in its life a call is.
type state uint8

const (
	fresh    state = iota // nothing has happened yet
	deciding              // the ledger has been asked
	hunting               // a gateway is being tried
	running               // answered
	ending                // ended for both sides; the ledger does not know it yet
	over
)

// underway is which command the ledger has not answered yet.
type underway uint8

const (
	none underway = iota
	reserve
	answer
	renew
	end
)

// Call is the life of one call. It is not safe for concurrent use.
type Call struct {
	attempt   admission.Call
	owner     uuid.UUID
	emergency string // what to dial, "" when it is not an emergency call
	gateways  []*routing.Gateway

	state    state
	underway underway
	leased   bool             // the ledger holds a lease, or may hold one
	forced   bool             // gateways that were skipped are tried anyway
	rung     bool             // the current gateway has rung
	why      admission.Reason // of the last skip
	retryAt  time.Time        // no command before this, after the store failed
	failures int32            // of the store in a row
	patience time.Time        // until when an emergency call waits for the decision
	timer    time.Time        // as last set

	current int // index of the gateway being tried
	// triedMicros is since when it is.
	triedMicros int64
	reached     int               // one more than the index of the last gateway that was not skipped; 0 for none
	skipped     []bool            // by gateway
	failure     *Refused          // of the last gateway that was tried, when it was its own
	answered    *admission.Answer // until the ledger has confirmed it
	ending      admission.Ending
	meter       meter
	out         []Action
}

// New prepares a call. The gateways are those of the connection's account that
// are enabled in the snapshot, in the order of routing.Order with a seed from the
// call's id; an emergency call keeps to those with an emergency route. The decision may
// choose others among them by routes.
func New(s *policy.Snapshot, attempt admission.Call, owner uuid.UUID) *Call {
	c := &Call{attempt: attempt, owner: owner}
	connection := s.Connection(attempt.Connection)
	if connection == nil {
		return c
	}
	c.emergency, _ = connection.Emergency(s.Account(connection.Account), attempt.To)
	c.meter.endless = c.emergency != ""
	c.gateways = hunt(s, connection.Account, attempt.ID, c.emergency != "")
	return c
}

// ID is the id of the call, its lease, its decision and its record.
func (c *Call) ID() uuid.UUID { return c.attempt.ID }

// Attempt returns the attempt as it is given to the ledger.
func (c *Call) Attempt() admission.Call { return c.attempt }

// Emergency returns the number to send on when this is an emergency call.
func (c *Call) Emergency() (number string, ok bool) { return c.emergency, c.emergency != "" }

// Running reports whether the call is answered and has not ended.
func (c *Call) Running() bool { return c.state == running }

// Alive reports whether either side is still in the call.
func (c *Call) Alive() bool { return c.state != ending && c.state != over }

// AnsweredAt is when the callee took the call, zero before.
func (c *Call) AnsweredAt() time.Time { return c.meter.answered }

// Granted is how long after its answer the call may last as of now.
func (c *Call) Granted() time.Duration { return c.meter.granted }

// Handle takes an event and returns what is to be done. The slice is valid until
// the next call. now never goes back.
func (c *Call) Handle(e Event, now time.Time) []Action {
	clear(c.out)
	c.out = c.out[:0]
	switch e := e.(type) {
	case Begin:
		c.begin(e, now)
	case *LedgerDone:
		c.ledgerDone(e, now)
	case Rang:
		c.ring(e, now)
	case Answered:
		c.answer(e, now)
	case Refused:
		c.refused(e, now)
	case Unreachable:
		c.unreachable(e, now)
	case NoMedia:
		c.noMedia(e, now)
	case Skipped:
		c.skip(e, now)
	case RingTimeout:
		c.ringTimeout(e, now)
	case Cancelled:
		c.cancelled(now)
	case HungUp:
		c.hungUp(e, now)
	case HangUp:
		c.hangUp(now)
	case Stopping:
		c.stop(now)
	}
	c.proceed(now)
	return c.out
}

func (c *Call) do(a Action) { c.out = append(c.out, a) }

// proceed cuts a call whose grant ends, submits the command that the state asks
// for, and sets the timer for what comes next.
func (c *Call) proceed(now time.Time) {
	if cut := c.meter.cutAt(); c.state == running && !cut.IsZero() && !now.Before(cut) {
		c.ending.Limit = c.meter.limit
		c.endBoth(record.SideUnknown, CauseTimeLimit, now)
	}
	if c.state == deciding && c.emergency != "" && !now.Before(c.patience) {
		// Every answer of the ledger would be yes, and it may take long to say that it cannot.
		c.try(0, now)
	}
	if c.underway == none && !now.Before(c.retryAt) {
		if kind, command := c.next(now); kind != none {
			c.underway = kind
			c.do(Command{command})
		}
	}
	if due := c.due(now); !due.Equal(c.timer) {
		c.timer = due
		c.do(SetTimer{due})
	}
}

// next is the command that the ledger must hear next. There is one at a time, so
// that what the store answers is never ambiguous.
func (c *Call) next(now time.Time) (underway, admission.Command) {
	switch {
	case c.state == fresh, c.state == over:
		return none, nil
	case !c.leased:
		return reserve, admission.Reserve{Call: c.attempt, Owner: c.owner}
	case c.state == ending && c.meter.answered.IsZero():
		return end, admission.Release{ID: c.attempt.ID, Ending: c.ending}
	case c.state == ending:
		return end, admission.Settle{ID: c.attempt.ID, Ending: c.ending}
	case c.answered != nil:
		return answer, *c.answered
	case c.meter.mayGrow() && !now.Before(c.meter.renewAt):
		return renew, admission.Renew{
			ID: c.attempt.ID, Elapsed: c.meter.elapsed(now), GrantedSecs: int64(c.meter.granted / time.Second),
		}
	}
	return none, nil
}

// due is when proceed has something to do without another event.
func (c *Call) due(now time.Time) (at time.Time) {
	switch {
	case c.state == running:
		at = c.meter.cutAt()
	case c.state == deciding && c.emergency != "":
		at = c.patience
	}
	next := time.Time{}
	switch {
	case c.underway != none, c.state == fresh, c.state == over:
	case now.Before(c.retryAt):
		next = c.retryAt
	case (c.state == hunting || c.state == running) && c.meter.mayGrow():
		next = c.meter.renewAt
	}
	if at.IsZero() || (!next.IsZero() && next.Before(at)) {
		return next
	}
	return at
}

func (c *Call) begin(e Begin, now time.Time) {
	if c.state != fresh {
		return
	}
	c.state = deciding
	c.patience = now.Add(admission.EmergencyPatience)
	// The ledger heeds an edge's refusal only when its own rules do not refuse, and
	// never for an emergency call.
	switch {
	case e.Stopping:
		c.attempt.EdgeRefusal = admission.ReasonStopping
	case c.attempt.EdgeRefusal != admission.ReasonNone:
		// The edge has its own reason already.
	case len(c.gateways) == 0:
		c.attempt.EdgeRefusal = admission.ReasonNoGateway
	}
}

// ledgerDone takes the answer to the command under way.
func (c *Call) ledgerDone(e *LedgerDone, now time.Time) {
	kind := c.underway
	c.underway = none
	if kind == none {
		return
	}
	if e.Err != nil && kind != reserve {
		c.storeFailed(kind, now)
		return
	}
	if e.Err == nil {
		c.failures, c.retryAt = 0, time.Time{}
	}
	switch {
	case kind == reserve:
		c.reserved(e, now)
	case kind == end:
		c.finish(e.Result.Record)
	case c.state == ending:
		// The ending goes next.
	case e.Result.Err != nil:
		// The lease is gone: the ledger thought its owner lost. Nothing holds money
		// or a channel for this call any more.
		c.leaseLost(now)
	case kind == renew:
		c.meter.extend(&e.Result, now)
	case kind == answer:
		c.answered = nil
		c.meter.confirm(&e.Result, now)
	}
	if e.Err == nil && e.Result.HungUp {
		c.hangUp(now) // in case that no other news of it comes
	}
}

// storeFailed plans the repetition of a command. A renewal is repeated as often as
// a refused one; the rest ever more slowly, since nothing waits for it.
func (c *Call) storeFailed(kind underway, now time.Time) {
	pause := min(storeRetryLeast<<min(c.failures, 3), storeRetryMost)
	if kind == renew {
		pause = renewRetry
	}
	c.failures++
	c.retryAt = now.Add(pause)
}

// reserved takes the decision.
func (c *Call) reserved(e *LedgerDone, now time.Time) {
	switch {
	case e.Err != nil && c.emergency != "":
		// No store failure may stop an emergency call. The ledger is told later.
		c.storeFailed(reserve, now)
		if c.state == deciding {
			c.try(0, now)
		}
	case e.Err != nil:
		if c.state == deciding {
			c.refuse(admission.ReasonStoreUnavailable, now)
		}
		if e.Nothing {
			c.finish(nil)
			return
		}
		// The reservation may be durable anyway; only a release makes sure.
		c.leased = true
		c.storeFailed(reserve, now)
	case !e.Result.Decision.Allow:
		d := e.Result.Decision
		if c.state == deciding {
			c.do(Refuse{Status: d.Reason.Status(), Phrase: d.Phrase(), Reason: d.Reason, Decision: &d})
		}
		if c.state == deciding || c.state == ending {
			c.finish(e.Result.Record)
		}
		c.leased = true // an emergency call continues although the ledger does not know it
	default:
		c.leased = true
		c.meter.grant(&e.Result)
		if c.state == deciding {
			c.gateways = e.Result.Decision.Facts.Gateways(c.gateways)
			c.try(0, now)
		}
	}
}

func (c *Call) ring(e Rang, now time.Time) {
	if c.state != hunting || e.Gateway != c.current {
		return
	}
	c.reached = c.current + 1
	c.rung = c.rung || !e.Early
	if c.ending.RingingMicros == 0 {
		c.ending.RingingMicros = now.UnixMicro()
	}
}

func (c *Call) answer(e Answered, now time.Time) {
	if c.state != hunting || e.Gateway != c.current {
		return
	}
	c.reached = c.current + 1
	c.state = running
	c.meter.start(now)
	c.answered = &admission.Answer{
		ID: c.attempt.ID, AtMicros: now.UnixMicro(),
		Gateway: c.gateways[c.current].ID, Teardown: e.Teardown,
	}
	c.do(Accept{})
}

func (c *Call) noMedia(e NoMedia, now time.Time) {
	if c.state != hunting || e.Gateway != c.current {
		return
	}
	c.reached = c.current + 1
	c.tried(0, "no_media", now)
	c.do(Refuse{Status: e.Status, Phrase: e.Phrase})
	c.close(record.SideTollgate, e.Cause, e.Status, e.Phrase, now)
}

func (c *Call) ringTimeout(e RingTimeout, now time.Time) {
	if c.state != hunting || e.Gateway != c.current {
		return
	}
	c.giveUp(WhyRingTimeout, CauseNoAnswer, now)
	if !c.rung {
		c.failed(Refused{Gateway: e.Gateway, Status: 408, Phrase: "Request Timeout"}, now)
		return
	}
	c.do(Refuse{Status: 480, Phrase: "Temporarily Unavailable"})
	c.close(record.SideTollgate, CauseNoAnswer, 480, "Temporarily Unavailable", now)
}

func (c *Call) cancelled(now time.Time) {
	if c.state == hunting {
		c.giveUp(WhyCancelled, CauseCancel, now)
	}
	if c.state != hunting && c.state != deciding {
		return
	}
	c.do(Refuse{Status: 487, Phrase: "Request Terminated"})
	c.ending.Cancelled = true
	c.close(record.SideCaller, CauseCancel, 487, "Request Terminated", now)
}

func (c *Call) hungUp(e HungUp, now time.Time) {
	if c.state == running {
		c.endBoth(e.By, e.Cause, now)
	}
}

func (c *Call) stop(now time.Time) {
	switch c.state {
	case hunting:
		c.tried(0, "stopping", now)
		c.do(CancelGateway{N: c.current, Cause: CauseStopping})
		fallthrough
	case deciding:
		c.refuse(admission.ReasonStopping, now)
	case running:
		c.endBoth(record.SideUnknown, CauseStopping, now)
	}
}

// giveUp stops trying the current gateway.
func (c *Call) giveUp(why, cause string, now time.Time) {
	c.reached = c.current + 1
	c.tried(0, why, now)
	c.do(CancelGateway{N: c.current, Cause: cause})
}

// hangUp ends the call for both sides, in any state.
func (c *Call) hangUp(now time.Time) {
	switch c.state {
	case hunting:
		c.giveUp("hung_up", CauseNormal, now)
		fallthrough
	case deciding:
		c.refuse(admission.ReasonHungUp, now)
	case running:
		c.endBoth(record.SideUnknown, CauseNormal, now)
	default:
		return // it has not begun, or has ended
	}
	c.ending.HungUp = true
}

func (c *Call) leaseLost(now time.Time) {
	switch c.state {
	case hunting:
		c.tried(0, "lease_lost", now)
		c.do(CancelGateway{N: c.current, Cause: CauseLease})
		c.refuse(admission.ReasonStoreUnavailable, now)
	case running:
		c.endBoth(record.SideUnknown, CauseLease, now)
	}
}

// refuse ends an unanswered call for a reason of Tollgate's own.
func (c *Call) refuse(why admission.Reason, now time.Time) {
	d := admission.Decision{ID: c.attempt.ID, Reason: why}
	c.do(Refuse{Status: why.Status(), Phrase: d.Phrase(), Reason: why, Decision: &d})
	c.close(record.SideTollgate, ownCause(why), why.Status(), d.Phrase(), now)
}

// endBoth hangs up an answered call. by is the side that hung up already.
func (c *Call) endBoth(by record.Side, cause string, now time.Time) {
	c.do(EndBoth{Except: by, Cause: cause, Limit: c.ending.Limit})
	source := by
	if source == record.SideUnknown {
		source = record.SideTollgate
	}
	c.close(source, cause, 200, "OK", now)
}

// close is the end for both sides. What is left is to tell the ledger.
func (c *Call) close(by record.Side, cause string, status int, phrase string, now time.Time) {
	c.state = ending
	c.answered = nil
	c.retryAt = time.Time{}
	if c.reached > 0 && c.leased {
		c.ending.Gateway = c.gateways[c.reached-1].ID
	}
	if !c.meter.answered.IsZero() {
		c.tried(200, "OK", c.meter.answered) // only now, since a call lasts long
	}
	c.ending.EndedMicros = now.UnixMicro()
	c.ending.Elapsed = c.meter.elapsed(now)
	c.ending.SIPStatus, c.ending.SIPPhrase = int32(status), phrase
	c.ending.Cause, c.ending.Source = cause, by
}

func (c *Call) finish(r *record.Call) {
	c.state = over
	c.do(Over{Record: r})
}
