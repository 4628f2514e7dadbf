// Package calls has what is kept of calls: those that are live and may be hung up, the
// records and decisions of those that have ended, and what is counted, listed and added
// up of records.
package calls

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/store"
	"github.com/tollgate/tollgate/internal/store/sqlstore/database"
	"github.com/tollgate/tollgate/internal/store/sqlstore/table"
)

// Calls implements store.Calls, store.HangUps and store.Reports but for Tags.
type Calls struct {
	db       *database.DB
	accounts func(ctx context.Context, use func(*store.Account)) error
	counts   counts
}

// New makes the calls of a database. accounts goes through all accounts.
func New(db *database.DB, accounts func(context.Context, func(*store.Account)) error) *Calls {
	return &Calls{db: db, accounts: accounts}
}

// Decision implements store.Calls.
func (c *Calls) Decision(ctx context.Context, account id.ID, decision uuid.UUID) (admission.Decision, error) {
	live, err := c.db.Lease(ctx, account, decision)
	if err != nil {
		return readDecision(decision, nil, err)
	}
	if live != nil {
		return readDecision(decision, live.Decision, nil)
	}
	var encoded []byte
	err = c.db.ReadLedger(ctx, account, func(tx table.Querier) error {
		r, err := table.Records.Scan(tx.QueryRowContext(ctx,
			"SELECT "+table.Records.Names()+" FROM call_records WHERE account_id = $1 AND id = $2",
			int64(account), decision[:]).Scan)
		if err == nil {
			encoded = r.Decision
		}
		return err
	})
	return readDecision(decision, encoded, err)
}

func readDecision(decision uuid.UUID, encoded []byte, err error) (admission.Decision, error) {
	if err != nil {
		return admission.Decision{}, table.ReadError("decision", decision.String(), err)
	}
	d, err := admission.DecodeDecision(encoded)
	if err != nil {
		return admission.Decision{}, fmt.Errorf("read decision %s: %w: %w", decision, table.ErrCorrupt, err)
	}
	return d, nil
}

// LiveCalls implements store.Calls.
func (c *Calls) LiveCalls(ctx context.Context, account id.ID) ([]store.LiveCall, error) {
	calls := []store.LiveCall{}
	now := c.db.Clock().UnixMicro()
	err := c.db.ReadLedger(ctx, account, func(tx table.Querier) error {
		return table.Query(ctx, tx, func(rows *sql.Rows) error {
			l, err := table.ScanLease(rows.Scan)
			if err != nil {
				return err
			}
			calls = append(calls, liveCall(l, now))
			return nil
		}, "SELECT "+table.LeaseColumns+" FROM leases WHERE account_id = $1 ORDER BY id", int64(account))
	})
	if err != nil {
		return nil, fmt.Errorf("list live calls: %w", table.Unavailable(err))
	}
	return calls, nil
}

// LiveCall implements store.Calls.
func (c *Calls) LiveCall(ctx context.Context, account id.ID, call uuid.UUID) (store.LiveCall, error) {
	now := c.db.Clock().UnixMicro()
	l, err := c.db.Lease(ctx, account, call)
	if err == nil && l == nil {
		err = sql.ErrNoRows
	}
	if err != nil {
		return store.LiveCall{}, table.ReadError("live call", call.String(), err)
	}
	return liveCall(l, now), nil
}

func liveCall(l *admission.Lease, now int64) store.LiveCall {
	call := store.LiveCall{Lease: *l}
	if l.AnsweredMicros != 0 {
		call.ElapsedMs = max(0, now-l.AnsweredMicros) / 1000
	}
	return call
}
