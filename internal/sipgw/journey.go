package sipgw

import (
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/call"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/record"
)

// Journey is what happened in one call and when. Times are zero where the call
// never got there.
type Journey struct {
	Call                uuid.UUID
	Account, Connection id.ID
	SIPCallID           string

	Started  time.Time // the caller's INVITE
	Decided  time.Time // the ledger has answered
	Rang     time.Time
	Answered time.Time
	Ended    time.Time // for both sides
	Settled  time.Time // the ledger has its end
	Tries    []Try
	Status   int          // of the final response to the caller
	Record   *record.Call // nil when the ledger never heard of the call
}

// Try is one gateway that was tried.
type Try struct {
	Gateway        id.ID
	Started, Ended time.Time // Ended: its final response, or that it was given up
	Status         int       // of its final response; 0 for none
	Reason         string    // its phrase, or why there is none
}

// maxTries bounds what a journey keeps of a hunt.
const maxTries = 16

// noteEvent notes what has come to the call. A nil journey notes nothing.
func (j *Journey) noteEvent(e call.Event, now time.Time) {
	if j == nil {
		return
	}
	switch e := e.(type) {
	case *call.LedgerDone:
		if j.Decided.IsZero() {
			j.Decided = now
		}
	case call.Rang:
		if j.Rang.IsZero() {
			j.Rang = now
		}
	case call.Answered:
		j.endTry(200, "OK", now)
	case call.Refused:
		j.endTry(e.Status, e.Phrase, now)
	case call.Unreachable:
		j.endTry(0, e.Why(), now)
	case call.RingTimeout:
		j.endTry(0, call.WhyRingTimeout, now)
	case call.Cancelled:
		j.endTry(0, call.WhyCancelled, now)
	}
}

// noteAction notes what the call does.
func (j *Journey) noteAction(a call.Action, now time.Time) {
	if j == nil {
		return
	}
	switch a := a.(type) {
	case call.Try:
		if len(j.Tries) < maxTries {
			j.Tries = append(j.Tries, Try{Gateway: a.Gateway.ID, Started: now})
		}
	case call.Accept:
		j.Answered, j.Status = now, 200
	case call.Refuse:
		j.endTry(0, "", now)
		j.Ended, j.Status = now, a.Status
	case call.EndBoth:
		j.Ended = now
	case call.Over:
		j.Settled, j.Record = now, a.Record
	}
}

// endTry ends the last try, if it has not ended.
func (j *Journey) endTry(status int, reason string, now time.Time) {
	if n := len(j.Tries); n > 0 && j.Tries[n-1].Ended.IsZero() {
		try := &j.Tries[n-1]
		try.Ended, try.Status, try.Reason = now, status, reason
	}
}
