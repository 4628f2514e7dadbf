package postgres

import (
	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/record"
)

// To lock the profile of a call, a node has to know which it is, and mostly it does:
// it was the node that let the call through. What it remembers of a lease never
// changes while there is one, and a lease that is found under the locks is compared
// with it, so that a memory that is wrong costs a round trip and nothing else.

// maxKnownLeases bounds the memory, at some 100 bytes a call. A node with more calls
// forgets them all, and looks them up again one by one.
const maxKnownLeases = 200_000

// knownLease is what says of a lease which locks it needs, and of which days the
// spends.
type knownLease struct {
	payer    admission.Payer
	reserved record.Day // the charges of a call never fall on a day before it
}

func knownLeaseOf(l *admission.Lease) knownLease {
	return knownLease{l.Payer(), record.DayOf(l.ReservedMicros)}
}

// recall finds the profiles of all calls that the group names in memory, and
// reports whether it can.
func (w *writer) recall(g *ledgerGroup) bool {
	if g.sweeping() {
		return false
	}
	for _, call := range g.calls {
		if _, known := w.known[uuid.UUID(call)]; !known {
			return false
		}
	}
	for _, call := range g.all { // a Reserve may be a repetition
		if l, known := w.known[uuid.UUID(call)]; known {
			g.touch(l)
		}
	}
	return true
}

// remember keeps what the group's transaction has shown of its calls.
func (w *writer) remember(g *ledgerGroup) {
	for _, call := range g.all {
		l := g.state.Lease(uuid.UUID(call))
		if l == nil {
			delete(w.known, uuid.UUID(call))
			continue
		}
		if len(w.known) >= maxKnownLeases {
			clear(w.known)
		}
		w.known[l.ID] = knownLeaseOf(l)
	}
}

// touch notes a lease that the group may change.
func (g *ledgerGroup) touch(l knownLease) {
	g.profiles[l.payer.Profile] = l.payer.Account
	g.payers[l.payer] = struct{}{}
	g.oldest = min(g.oldest, l.reserved)
}

// touched reports whether what the group locks and loads is all that a lease needs.
func (g *ledgerGroup) touched(l knownLease) bool {
	_, planned := g.payers[l.payer]
	return planned && g.oldest <= l.reserved
}
