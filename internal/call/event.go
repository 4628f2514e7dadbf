package call

import (
	"time"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/routing"
)

// Event is something that happened to a call. The edge gives it to Handle.
type Event interface{ event() }

// Begin starts the call. Stopping says that the server takes no new calls.
type Begin struct{ Stopping bool }

// LedgerDone is the answer to the last Command. It is given by its pointer, since it is
// large.
type LedgerDone struct {
	Result admission.Result
	Err    error // of the store: the command may or may not be durable
	// Nothing means that the command certainly had no effect.
	Nothing bool
}

// Rang means that a gateway answered with a provisional response that means more
// than 100 Trying. Early means that it is not 180 Ringing.
type Rang struct {
	Gateway int
	Early   bool
}

// Answered means that a gateway's callee took the call. Teardown is the edge's own
// note on how to end both legs after a crash.
type Answered struct {
	Gateway  int
	Teardown []byte
}

// Refused is a gateway's final response other than success.
type Refused struct {
	Gateway int
	Status  int
	Phrase  string
}

// Unreachable means that a gateway could not be reached or did not answer in time.
// Trying means that it sent 100 Trying and nothing else.
type Unreachable struct {
	Gateway int
	Trying  bool
}

// Why returns the reason as records name it.
func (e Unreachable) Why() string {
	if e.Trying {
		return "no_ringing"
	}
	return "no_response"
}

// The reasons in records of attempts that have no final response.
const (
	WhyRingTimeout = "ring_timeout"
	WhyCancelled   = "cancelled"
)

// NoMedia means that the caller's offer cannot be anchored: no gateway would do
// better.
type NoMedia struct {
	Gateway int
	Status  int
	Phrase  string
	Cause   string // a hangup cause of this package
}

// Skipped means that a gateway was not tried, for a reason of Tollgate's own: it is
// unhealthy, or has as many calls as it may have.
type Skipped struct {
	Gateway int
	Why     admission.Reason
}

// RingTimeout means that a gateway rang for longer than Timer C (RFC 3261 section 16.6).
type RingTimeout struct{ Gateway int }

// Cancelled means that the caller gave up before the answer.
type Cancelled struct{}

// HungUp means that a side ended the answered call, or is lost.
type HungUp struct {
	By    record.Side
	Cause string // a hangup cause of this package
}

// HangUp means that the call is to be hung up because the API asked for it. The ledger knows it.
type HangUp struct{}

// Due means that the time of the last SetTimer has come.
type Due struct{}

// Stopping means that the server ends the calls that are still running.
type Stopping struct{}

func (Begin) event()       {}
func (*LedgerDone) event() {}
func (Rang) event()        {}
func (Answered) event()    {}
func (Refused) event()     {}
func (Unreachable) event() {}
func (Skipped) event()     {}
func (NoMedia) event()     {}
func (RingTimeout) event() {}
func (Cancelled) event()   {}
func (HungUp) event()      {}
func (HangUp) event()      {}
func (Due) event()         {}
func (Stopping) event()    {}

// Action is something the edge must do, in the order given.
type Action interface{ action() }

// Command is to be submitted to the ledger, and its result given back as
// LedgerDone. There is never more than one under way.
type Command struct{ Command admission.Command }

// Try is to send the call to a gateway.
type Try struct {
	N       int
	Gateway *routing.Gateway
	// Force is to try it even if it would be skipped: an emergency call has found no
	// other way.
	Force bool
}

// CancelGateway is to stop trying a gateway, whatever it answers from now on.
type CancelGateway struct {
	N     int
	Cause string // CauseCancel where the caller gave up, else why Tollgate does
}

// Accept is to tell the caller that the call is answered.
type Accept struct{}

// Refuse is to tell the caller that the call failed. Decision is set when
// Tollgate's own rules refused.
type Refuse struct {
	Status   int
	Phrase   string
	Reason   admission.Reason
	Decision *admission.Decision
}

// EndBoth is to hang up on both sides, except on Except, which hung up itself.
type EndBoth struct {
	Except record.Side
	Cause  string
	Limit  admission.Reason // of CauseTimeLimit, where a limit is known to have ended the call
}

// SetTimer is to give Due at that time; the zero time stops the timer.
type SetTimer struct{ At time.Time }

// Over means that the call has ended and that the ledger knows it.
type Over struct{ Record *record.Call }

func (Command) action()       {}
func (Try) action()           {}
func (CancelGateway) action() {}
func (Accept) action()        {}
func (Refuse) action()        {}
func (EndBoth) action()       {}
func (SetTimer) action()      {}
func (Over) action()          {}
