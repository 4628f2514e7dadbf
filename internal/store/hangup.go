package store

import (
	"context"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/e164"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/record"
)

// HangUps ends live calls on request. What it answers is durable: the node that owns the
// call is notified at once and finds the mark by itself otherwise.
type HangUps interface {
	// HangUpCall has one call end. It fails with ErrNotFound when the account has no
	// such call, live or ended, and with admission.ErrEmergencyCall for an emergency
	// call that is not forced.
	HangUpCall(ctx context.Context, account id.ID, call uuid.UUID, h HangUp) (HungUp, error)
	// HangUpCalls has all live calls end that a filter selects. Emergency calls that are
	// not forced are left out and counted. Many are marked in several transactions, so that
	// other calls need not wait; an error may leave some of them marked.
	HangUpCalls(ctx context.Context, account id.ID, f CallFilter, h HangUp) (HungUpCalls, error)
}

// HangUp is who ends calls, and on which terms.
type HangUp struct {
	By    string // for the records
	Force bool   // emergency calls too
}

// CallFilter selects live calls by what is not zero.
type CallFilter struct {
	Profile, Connection id.ID
	Country             e164.Country // of the called number
}

// Selects reports whether a call is meant.
func (f *CallFilter) Selects(c *LiveCall) bool {
	l := &c.Lease
	return (f.Profile == 0 || l.Profile == f.Profile) && (f.Connection == 0 || l.Connection == f.Connection) &&
		(f.Country == 0 || c.Country() == f.Country)
}

// HungUp is a call that was to be hung up.
type HungUp struct {
	// Record is set when the call had ended already, and Live when it had not.
	Record *record.Call
	Live   LiveCall
	// Switch means that another switch carries the call, and OwnerLost that the node
	// that did is silent: the call ends when its lease does at the latest.
	Switch, OwnerLost bool
}

// HungUpCalls is what hanging up by a filter led to.
type HungUpCalls struct {
	Calls       []uuid.UUID // that are to end now
	Already     int         // how many were to end before
	Emergencies int         // how many were left out
}
