package sqlstore

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/record"
)

// columns are rows turned on their side, as unnest takes them: one array for each
// column, so that one statement serves any number of rows.
type columns []any

// add appends a row. A column holds int64, string, bool or []byte, and nil stands
// for no bytes.
func (c *columns) add(values ...any) {
	if *c == nil {
		*c = make(columns, len(values))
	}
	for i, v := range values {
		column := &(*c)[i]
		switch v := v.(type) {
		case int64:
			list, _ := (*column).([]int64)
			*column = append(list, v)
		case string:
			list, _ := (*column).([]string)
			*column = append(list, plainText(v))
		case bool:
			list, _ := (*column).([]bool)
			*column = append(list, v)
		case []byte:
			list, _ := (*column).([][]byte)
			*column = append(list, v)
		case nil:
			list, _ := (*column).([][]byte)
			*column = append(list, nil)
		default:
			panic(fmt.Sprintf("sqlstore: column %d of type %T", i, v))
		}
	}
}

// queue appends a statement that takes the columns, if there are any rows.
func (c columns) queue(b *pgx.Batch, text string) {
	if c != nil {
		b.Queue(text, c...)
	}
}

// The statements of a group. Records have no ON CONFLICT: a second record of one
// call must fail.
const (
	putLeases = `INSERT INTO leases (id, account_id, profile_id, connection_id, owner, emergency, expires_at, body)
		SELECT * FROM unnest($1::BYTEA[], $2::BIGINT[], $3::BIGINT[], $4::BIGINT[], $5::BYTEA[], $6::BOOLEAN[], $7::BIGINT[], $8::BYTEA[])
		ON CONFLICT (id) DO UPDATE SET expires_at = excluded.expires_at, body = excluded.body`
	insertLeases = `INSERT INTO leases (id, account_id, profile_id, connection_id, owner, emergency, expires_at, body)
		SELECT * FROM unnest($1::BYTEA[], $2::BIGINT[], $3::BIGINT[], $4::BIGINT[], $5::BYTEA[], $6::BOOLEAN[], $7::BIGINT[], $8::BYTEA[])`
	putSpends = `INSERT INTO profile_days (account_id, profile_id, day, posted, held, overrun, told, told_limit)
		SELECT * FROM unnest($1::BIGINT[], $2::BIGINT[], $3::BIGINT[], $4::BIGINT[], $5::BIGINT[], $6::BIGINT[], $7::BIGINT[], $8::BIGINT[])
		ON CONFLICT (profile_id, day) DO UPDATE SET posted = excluded.posted, held = excluded.held, overrun = excluded.overrun,
			told = excluded.told, told_limit = excluded.told_limit`
	putScopes = `INSERT INTO scope_days (` + scopeDayColumns + `)
		SELECT * FROM unnest($1::BIGINT[], $2::BYTEA[], $3::BIGINT[], $4::BIGINT[], $5::BIGINT[], $6::BIGINT[], $7::BIGINT[], $8::BIGINT[])
		ON CONFLICT (account_id, billing_group_id, day) DO UPDATE SET posted = excluded.posted, held = excluded.held, overrun = excluded.overrun,
			told = excluded.told, told_limit = excluded.told_limit`
	putHolds = `INSERT INTO spend_holds (` + holdColumns + `)
		SELECT * FROM unnest($1::BIGINT[], $2::BIGINT[], $3::BYTEA[], $4::BIGINT[], $5::BIGINT[], $6::BIGINT[])
		ON CONFLICT (account_id, profile_id, billing_group_id) DO UPDATE SET cause = excluded.cause, since = excluded.since, until_day = excluded.until_day`
	putCallees = `INSERT INTO callee_counts (account_id, profile_id, callee, period, calls)
		SELECT * FROM unnest($1::BIGINT[], $2::BIGINT[], $3::BIGINT[], $4::BIGINT[], $5::BIGINT[])
		ON CONFLICT (profile_id, callee, period) DO UPDATE SET calls = excluded.calls`
	insertSlices = `INSERT INTO call_slices (account_id, call_id, day, profile_id, secs, cost)
		SELECT * FROM unnest($1::BIGINT[], $2::BYTEA[], $3::BIGINT[], $4::BIGINT[], $5::BIGINT[], $6::BIGINT[])`
	insertRecords = `INSERT INTO call_records (` + recordColumns + `) SELECT * FROM unnest(
		$1::BIGINT[], $2::BYTEA[], $3::BIGINT[], $4::BIGINT[], $5::BIGINT[], $6::BYTEA[],
		$7::BIGINT[], $8::BIGINT[], $9::BIGINT[], $10::BIGINT[], $11::TEXT[], $12::BIGINT[], $13::TEXT[], $14::TEXT[], $15::BOOLEAN[],
		$16::TEXT[], $17::TEXT[], $18::BIGINT[], $19::BIGINT[], $20::TEXT[], $21::BIGINT[], $22::BIGINT[], $23::BIGINT[], $24::BIGINT[], $25::BYTEA[],
		$26::TEXT[], $27::TEXT[])`
)

// save writes what the commands have changed, and commits.
func (w *clusterWriter) save(ctx context.Context, c *pgx.Conn, g *ledgerGroup, changes *admission.Changes) error {
	b := &pgx.Batch{}
	if err := g.queueChanges(b, changes); err != nil {
		return err
	}
	owner, beat := w.queueNode(b, g)
	commit := func() error { return c.SendBatch(ctx, b).Close() }
	if around := w.store.config.AroundCommit; around != nil {
		if err := commit(); err != nil {
			return err
		}
		err := around(func() error {
			_, err := c.Exec(ctx, "COMMIT")
			return err
		})
		if err != nil {
			return err
		}
	} else {
		b.Queue("COMMIT")
		if err := commit(); err != nil {
			return err
		}
	}
	w.owner, w.heartbeat = owner, beat
	w.keepCounts(g)
	return nil
}

func (g *ledgerGroup) queueChanges(b *pgx.Batch, changes *admission.Changes) error {
	if len(changes.Gone) > 0 {
		gone := make([][]byte, len(changes.Gone))
		for i := range changes.Gone {
			gone[i] = changes.Gone[i][:]
		}
		b.Queue("DELETE FROM leases WHERE id = ANY($1)", gone)
	}
	loaded := make(map[uuid.UUID]struct{}, len(g.part.Leases))
	for _, l := range g.part.Leases {
		loaded[l.ID] = struct{}{}
	}
	var put, insert, records, cuts, spends, scopes, holds, callees columns
	for _, l := range changes.Leases {
		into := &insert
		if _, ok := loaded[l.ID]; ok {
			into = &put
		}
		into.add(l.ID[:], int64(l.Account), int64(l.Profile), int64(l.Connection), l.Owner[:], l.Emergency, l.ExpiresMicros,
			appendLease(make([]byte, 0, 512), l))
	}
	values := make([]any, 0, numRecordColumns)
	for _, r := range changes.Records {
		values = recordValues(values[:0], r)
		records.add(values...)
		for _, s := range r.Slices {
			cuts.add(int64(r.AccountID), r.ID[:], int64(s.Day), int64(r.ProfileID), s.Secs, int64(s.Cost))
		}
	}
	for key, s := range changes.Spends {
		account, ok := g.accountOf(key.Scope(), changes)
		if !ok {
			return errStrayChange
		}
		if key.Profile == 0 {
			scopes.add(int64(account), groupColumn(key.Scope()), int64(key.Day), int64(s.Posted), int64(s.Held), int64(s.Overrun), int64(s.Told), int64(s.ToldLimit))
			continue
		}
		spends.add(int64(account), int64(key.Profile), int64(key.Day), int64(s.Posted), int64(s.Held), int64(s.Overrun), int64(s.Told), int64(s.ToldLimit))
	}
	for scope, hold := range changes.Holds {
		account, ok := g.accountOf(scope, changes)
		if !ok {
			return errStrayChange
		}
		holds.add(int64(account), int64(scope.Profile), groupColumn(scope), int64(hold.Cause), hold.SinceMicros, int64(hold.UntilDay))
	}
	for key, calls := range changes.Callees {
		account, ok := g.profiles[key.Profile]
		if !ok {
			return errStrayChange
		}
		callees.add(int64(account), int64(key.Profile), int64(key.Callee), int64(key.Window), int64(calls))
	}
	put.queue(b, putLeases)
	insert.queue(b, insertLeases)
	records.queue(b, insertRecords)
	cuts.queue(b, insertSlices)
	spends.queue(b, putSpends)
	scopes.queue(b, putScopes)
	holds.queue(b, putHolds)
	callees.queue(b, putCallees)
	if len(changes.Spends) > 0 && record.DayOf(g.opened) < record.DayOf(g.now) {
		b.Queue("UPDATE ledger_scopes SET at = $2 WHERE id = ANY($1)", g.profileIDs(), g.now)
	}
	return nil
}

// accountOf is whose a scope is.
func (g *ledgerGroup) accountOf(scope admission.Scope, changes *admission.Changes) (account id.ID, ok bool) {
	switch {
	case scope.Profile != 0:
		account, ok = g.profiles[scope.Profile]
	case scope.Account != 0:
		return scope.Account, true
	default:
		account, ok = changes.Groups[scope.Group]
	}
	return account, ok
}

// queueNode keeps the node's own row, has plans made anew, and gives up nodes that
// have long been silent. It returns the incarnation and the heartbeat that hold once it has
// committed.
func (w *clusterWriter) queueNode(b *pgx.Batch, g *ledgerGroup) (owner uuid.UUID, heartbeat int64) {
	owner, heartbeat = w.owner, w.heartbeat
	if g.fenced {
		// What this node held it may have lost; it begins anew, as another owner.
		owner, heartbeat = uuid.New(), g.now
		b.Queue("INSERT INTO nodes (owner, name, heartbeat_at, expired) VALUES ($1, $2, $3, FALSE)",
			owner[:], w.store.config.NodeName, heartbeat)
	} else if time.Duration(g.now-w.heartbeat)*time.Microsecond >= heartbeatEvery {
		heartbeat = g.now
		b.Queue("UPDATE nodes SET heartbeat_at = $2 WHERE owner = $1", owner[:], heartbeat)
		b.Queue(renewPlans)
	}
	if g.expire {
		b.Queue(`UPDATE nodes SET expired = TRUE WHERE owner IN (
			SELECT owner FROM nodes WHERE NOT expired AND heartbeat_at < $1 AND owner <> $2 FOR UPDATE SKIP LOCKED)`,
			g.now-deadAfter.Microseconds(), owner[:])
	}
	return owner, heartbeat
}

// keepCounts remembers the counts that are only shown, with the group's own calls.
func (w *clusterWriter) keepCounts(g *ledgerGroup) {
	now := w.store.config.Clock()
	for _, c := range g.shown {
		w.counts[c.scope] = liveCount{at: now}
	}
	for scope := range g.part.Live {
		if last, shown := w.counts[scope]; shown {
			w.counts[scope] = liveCount{n: max(0, g.state.LiveIn(scope)), at: last.at}
		}
	}
	for _, c := range g.exact {
		delete(w.counts, c.scope)
	}
}

// forgetNodes deletes the rows of nodes that were given up a day ago and have no
// leases any more.
func forgetNodes(ctx context.Context, tx *txn, now time.Time) error {
	return tx.exec(ctx, `DELETE FROM nodes WHERE expired AND heartbeat_at < $1
		AND NOT EXISTS (SELECT 1 FROM leases WHERE leases.owner = nodes.owner)`, now.Add(-24*time.Hour).UnixMicro())
}
