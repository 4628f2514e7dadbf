package calls

import (
	"context"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/store"
	"github.com/tollgate/tollgate/internal/store/sqlstore/database"
	"github.com/tollgate/tollgate/internal/store/sqlstore/table"
	"github.com/tollgate/tollgate/internal/store/sqlstore/trail"
)

// Hanging up is a write like those of configuration, so that the mark on the lease,
// the audit event and the answer that is kept for an idempotency key are one
// transaction. The owner of the call is told after it: with PostgreSQL by a
// notification, and by looking for marks once a second, since a notification can be
// lost. See docs/decisions/0024-hang-ups.md.

// hangUpsAtOnce is how many calls one transaction marks.
const hangUpsAtOnce = 500

// hangUpNote is what the audit keeps of a hang-up.
type hangUpNote struct {
	HangUp      bool        `json:"hang_up"`
	Force       bool        `json:"force"`
	Connection  id.ID       `json:"connection_id,omitzero"`
	Profile     id.ID       `json:"outbound_voice_profile_id,omitzero"`
	SIPCallID   string      `json:"sip_call_id,omitzero"`
	Filter      *filterNote `json:"filter,omitzero"`
	Count       int         `json:"count,omitzero"`
	Emergencies int         `json:"emergency_calls_skipped,omitzero"`
	Calls       []uuid.UUID `json:"calls,omitzero"`
}

// filterNote is by what calls were chosen; empty for all of the account.
type filterNote struct {
	All        bool   `json:"all"`
	Profile    id.ID  `json:"outbound_voice_profile_id,omitzero"`
	Connection id.ID  `json:"connection_id,omitzero"`
	Country    string `json:"country_code,omitzero"`
}

// HangUpCall implements store.HangUps.
func (c *Calls) HangUpCall(ctx context.Context, account id.ID, call uuid.UUID, h store.HangUp) (store.HungUp, error) {
	var out store.HungUp
	err := c.db.Write(ctx, account, func(tx *database.Tx) error {
		out = store.HungUp{}
		leases, err := tx.Leases(ctx, account, []uuid.UUID{call})
		if err != nil {
			return err
		}
		if len(leases) == 0 {
			if out.Record, err = readRecord(ctx, tx, account, call); err != nil {
				return table.ReadError("call", call.String(), err)
			}
			tx.Answer(out)
			return nil
		}
		l := leases[0]
		fresh, _, emergencies, err := hangUp(ctx, tx, leases, h)
		switch {
		case err != nil:
			return err
		case emergencies > 0:
			return admission.ErrEmergencyCall
		}
		if len(fresh) > 0 {
			c := trail.Change{Kind: "call", Action: "update", Account: account, Resource: call.String()}
			c.After = &hangUpNote{HangUp: true, Force: h.Force, Connection: l.Connection, Profile: l.Profile,
				SIPCallID: l.SIPCallID}
			tx.Note(c, nil)
		}
		out.Live = liveCall(l, c.db.Clock().UnixMicro())
		out.Switch = admission.IsSwitchID(l.Owner)
		out.OwnerLost, err = tx.OwnerLost(ctx, l)
		tx.Answer(out)
		return err
	})
	if err != nil {
		return store.HungUp{}, fmt.Errorf("hang up %s: %w", call, err)
	}
	return out, nil
}

// HangUpCalls implements store.HangUps.
func (c *Calls) HangUpCalls(ctx context.Context, account id.ID, f store.CallFilter,
	h store.HangUp) (store.HungUpCalls, error) {
	var out store.HungUpCalls
	live, err := c.LiveCalls(ctx, account)
	if err != nil {
		return out, err
	}
	var calls []uuid.UUID
	for i := range live {
		if f.Selects(&live[i]) {
			calls = append(calls, live[i].Lease.ID)
		}
	}
	origin := collection.OriginOf(ctx)
	for first := true; first || len(calls) > 0; first = false {
		n := min(hangUpsAtOnce, len(calls))
		part := ctx
		if origin != nil && n < len(calls) {
			// The answer is whole, and kept, with the last of them.
			unanswered := *origin
			unanswered.Idempotency = nil
			part = collection.WithOrigin(ctx, &unanswered)
		}
		total, err := c.hangUpPart(part, account, calls[:n], f, h, out)
		if err != nil {
			return store.HungUpCalls{}, fmt.Errorf("hang up calls: %w", err)
		}
		out, calls = total, calls[n:]
	}
	return out, nil
}

// hangUpPart marks some of the calls that a filter has selected, after others.
func (c *Calls) hangUpPart(ctx context.Context, account id.ID, calls []uuid.UUID, f store.CallFilter, h store.HangUp,
	before store.HungUpCalls) (total store.HungUpCalls, err error) {
	err = c.db.Write(ctx, account, func(tx *database.Tx) error {
		leases, err := tx.Leases(ctx, account, calls)
		if err != nil {
			return err
		}
		fresh, already, emergencies, err := hangUp(ctx, tx, leases, h)
		if err != nil {
			return err
		}
		if len(fresh) > 0 {
			note := filterNote{All: f == store.CallFilter{}, Profile: f.Profile, Connection: f.Connection}
			if f.Country != 0 {
				note.Country = f.Country.Alpha2()
			}
			c := trail.Change{Kind: "call", Action: "update", Account: account, Resource: "calls"}
			c.After = &hangUpNote{HangUp: true, Force: h.Force, Filter: &note, Count: len(fresh), Emergencies: emergencies,
				Calls: fresh}
			tx.Note(c, nil)
		}
		total = store.HungUpCalls{Calls: slices.Concat(before.Calls, fresh), Already: before.Already + already,
			Emergencies: before.Emergencies + emergencies}
		tx.Answer(total)
		return nil
	})
	return total, err
}

// hangUp marks leases of the account of the write. fresh are the calls that were not
// marked yet. A dry run counts only.
func hangUp(ctx context.Context, tx *database.Tx, leases []*admission.Lease,
	h store.HangUp) (fresh []uuid.UUID, already, emergencies int, err error) {
	var marks []admission.HangUp
	var chosen []*admission.Lease
	for _, l := range leases {
		switch {
		case l.Emergency && !h.Force:
			emergencies++
		case l.HungUpMicros != 0:
			already++
			tx.Ending = append(tx.Ending, l.ID) // the news of it may have been lost
		default:
			fresh, chosen = append(fresh, l.ID), append(chosen, l)
			marks = append(marks, admission.HangUp{ID: l.ID, Account: l.Account, By: h.By, Force: h.Force})
			tx.Ending = append(tx.Ending, l.ID)
		}
	}
	if origin := collection.OriginOf(ctx); len(marks) == 0 || origin != nil && origin.DryRun {
		return fresh, already, emergencies, nil
	}
	return fresh, already, emergencies, tx.HangUp(ctx, chosen, marks)
}
