package sipgw

import (
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/call"
	"github.com/tollgate/tollgate/internal/timer"
)

// The pace at which calls are hung up that the API ends: of the whole
// gateway 4,000 a second. Each is two BYEs and a command for the ledger, and calls that
// go on must not wait for them.
const (
	hangUpBatch = 40
	hangUpPause = 10 * time.Millisecond
)

// HangUp ends calls that the API was asked to end and that the ledger has marked. Calls
// that the server does not have, or that are over, are left out, so that it may be
// told of one any number of times. It returns at once, and may be called at any time.
func (srv *Server) HangUp(calls []uuid.UUID) {
	if !srv.started.Load() {
		return // it has no calls yet
	}
	for _, sh := range srv.shards {
		sh.post(func() { sh.doom(calls) })
	}
}

// doomed are the calls of a shard that are to be hung up, in the order in which they
// are.
type doomed struct {
	waiting []*session
	pause   timer.Timer
	sh      *shard
}

// doom queues those of the calls that the shard has.
func (sh *shard) doom(calls []uuid.UUID) {
	d := &sh.doomed
	// Looked for among all: an index of the ids would cost every call memory, and a
	// hang-up by the API is rare.
	wanted := make(map[uuid.UUID]struct{}, len(calls))
	for _, c := range calls {
		wanted[c] = struct{}{}
	}
	for s := range sh.calls {
		if _, named := wanted[s.machine.ID()]; named && !s.doomed {
			s.doomed = true
			d.waiting = append(d.waiting, s)
		}
	}
	if !d.pause.IsSet() {
		d.Expire(timerHangUp)
	}
}

// Expire hangs up on the next calls.
func (d *doomed) Expire(timer.Kind) {
	n := min(len(d.waiting), max(1, hangUpBatch/len(d.sh.srv.shards)))
	for i, s := range d.waiting[:n] {
		d.waiting[i] = nil
		s.handle(call.HangUp{})
	}
	if d.waiting = d.waiting[n:]; len(d.waiting) == 0 {
		d.waiting = nil
		return
	}
	d.sh.timers.Set(&d.pause, d, timerHangUp, d.sh.now.Add(hangUpPause))
}
