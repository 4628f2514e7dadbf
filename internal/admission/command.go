package admission

import (
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/record"
)

// Command is one of Reserve, Answer, Renew, Settle, Release, HangUp, Expire,
// ExpireOwners and, for the calls of other switches, Report and ExpireSwitch. Each
// names its call by an id that the caller chose, and may be repeated: the second time changes nothing and gives the same result.
type Command interface{ command() }

// Reserve decides an attempt and, when it is allowed, takes a channel in each
// scope and holds the first grant's money: all or nothing.
type Reserve struct {
	Call  Call
	Owner uuid.UUID
	// Spare is the id that a call of a switch gets when the one it came with was used
	// before and the request is no repetition. See SpareID.
	Spare uuid.UUID
}

// Answer starts the meter of a call.
type Answer struct {
	ID       uuid.UUID
	AtMicros int64 // when the callee answered
	Gateway  id.ID
	Teardown []byte
}

// Renew extends the grant of an answered call.
type Renew struct {
	ID          uuid.UUID
	Elapsed     time.Duration // since the answer, by the owner's monotonic clock
	GrantedSecs int64         // what the owner has been granted so far
}

// Ending is how a call ended.
type Ending struct {
	Gateway       id.ID
	RingingMicros int64
	EndedMicros   int64
	Elapsed       time.Duration // answer to end by the owner's monotonic clock; 0 if it was not answered
	Cancelled     bool          // the caller gave up before the answer
	HungUp        bool          // it ended because of a HangUp
	Limit         Reason        // that ended it while it ran; ReasonNone for another end
	Source        record.Side
	SIPStatus     int32
	SIPPhrase     string
	Cause         string
	Quality       *record.Quality  // nil where the media were not anchored
	Attempts      []record.Attempt // the gateways that were tried
}

// Settle ends an answered call: the exact charge is posted, the rest of the hold
// and the channels are freed, and the record is written.
type Settle struct {
	ID     uuid.UUID
	Ending Ending
}

// Release ends a call that was never answered. Nothing is charged.
type Release struct {
	ID     uuid.UUID
	Ending Ending
}

// Expire ends every call whose lease was not renewed in time.
type Expire struct{}

// ExpireOwners ends every call whose owner is not Keep: those of processes that
// died. The calls of other switches live on, since their switches do.
type ExpireOwners struct{ Keep uuid.UUID }

func (Reserve) command()      {}
func (Answer) command()       {}
func (Renew) command()        {}
func (Settle) command()       {}
func (Release) command()      {}
func (Expire) command()       {}
func (ExpireOwners) command() {}

// Result is what a command led to.
type Result struct {
	Decision    Decision // of Reserve
	GrantedSecs int64    // in all, after Reserve, Answer and Renew
	MaxSecs     int64    // beyond which no grant will ever reach; 0 for no limit
	Extended    bool     // Renew: the grant became longer
	Limit       Reason   // Renew: why it did not, where a limit of the call or of its money keeps it
	// Of Reserve and Report while the call is live: whether it is answered, and when
	// it must be answered or, once it is, must have ended; 0 means never.
	Answered  bool
	DueMicros int64
	HungUp    bool           // the call is live and is to end at once: its hang-up was requested
	Record    *record.Call   // of Reserve when it refused, Settle, Release and Report once it has ended
	Expired   []*record.Call // of Expire and ExpireOwners
	Teardowns [][]byte       // of ExpireOwners: the notes of the answered calls
	Err       error
}
