package postgres

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/column"
	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/store/sqlstore/table"
)

// spelledRows is up to how many rows a statement names each value of each row. More
// are given to it as one array for each column, so that one statement serves any
// number of rows; to take those apart costs the server as much as some rows do.
const spelledRows = 8

// insertion is a statement that writes rows.
type insertion struct {
	spelled [spelledRows]string // for one row, for two, and so on
	arrays  string
}

// insertInto makes the statements that insert rows with columns of some types, such
// as "BIGINT, BYTEA"; tail comes after the rows.
func insertInto(table, columns, types, tail string) *insertion {
	var s insertion
	head := "INSERT INTO " + table + " (" + columns + ") "
	var arrays, rows strings.Builder
	list, n := strings.Split(types, ", "), 0
	for i, name := range list {
		fmt.Fprintf(&arrays, ", $%d::%s[]", i+1, name)
	}
	s.arrays = head + "SELECT * FROM unnest(" + arrays.String()[2:] + ")" + tail
	for i := range s.spelled {
		for j := range list {
			n++
			fmt.Fprintf(&rows, "%s$%d", [...]string{", (", ", "}[min(j, 1)], n)
		}
		rows.WriteString(")")
		s.spelled[i] = head + "VALUES " + rows.String()[2:] + tail
	}
	return &s
}

// typesOf are the types of columns of some kinds.
func typesOf(kinds []column.Kind) string {
	types := make([]string, len(kinds))
	for i, kind := range kinds {
		types[i] = kind.PostgreSQL()
	}
	return strings.Join(types, ", ")
}

// tuples are the rows that one insertion writes. A column holds int64, string, bool or []byte,
// and nil stands for no bytes.
type tuples struct {
	values []any
	n      int
}

// add appends a row.
func (r *tuples) add(values ...any) {
	r.values = append(r.values, values...)
	r.n++
}

// addLease appends a row of leaseRow.
func (r *tuples) addLease(l *admission.Lease) {
	r.add(l.ID[:], int64(l.Account), int64(l.Profile), int64(l.Connection), l.Owner[:], l.Emergency, l.ExpiresMicros,
		l.HungUpMicros != 0, table.AppendLease(make([]byte, 0, 512), l))
}

// queue appends the statement that writes the rows, if there are any.
func (r *tuples) queue(b *pgx.Batch, s *insertion) {
	switch {
	case r.n == 0:
	case r.n <= spelledRows:
		for i, v := range r.values {
			if text, ok := v.(string); ok {
				r.values[i] = plainText(text)
			}
		}
		b.Queue(s.spelled[r.n-1], r.values...)
	default:
		b.Queue(s.arrays, r.columns()...)
	}
}

// columns are the rows turned on their side, as unnest takes them.
func (r *tuples) columns() []any {
	all := make([]any, len(r.values)/r.n)
	for i := range r.values {
		column := &all[i%len(all)]
		switch v := r.values[i].(type) {
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
			panic(fmt.Sprintf("sqlstore: column %d of type %T", i%len(all), v))
		}
	}
	return all
}

// The statements of a group. Records have no ON CONFLICT: a second record of one
// call must fail.
const (
	leaseRow      = "id, account_id, profile_id, connection_id, owner, emergency, expires_at, hung_up, body"
	leaseRowTypes = "BYTEA, BIGINT, BIGINT, BIGINT, BYTEA, BOOLEAN, BIGINT, BOOLEAN, BYTEA"
)

var (
	putLeases = insertInto("leases", leaseRow, leaseRowTypes,
		" ON CONFLICT (id) DO UPDATE SET expires_at = excluded.expires_at, hung_up = excluded.hung_up, body = excluded.body")
	insertLeases = insertInto("leases", leaseRow, leaseRowTypes, "")
	putSpends    = insertInto("spend_days", table.SpendColumns, "BIGINT, BIGINT, BYTEA, BIGINT, BIGINT, BIGINT, BIGINT, BIGINT, BIGINT",
		" ON CONFLICT (scope_id, scope_kind, day) DO UPDATE SET posted = excluded.posted, held = excluded.held, "+
			"overrun = excluded.overrun, told = excluded.told, told_limit = excluded.told_limit")
	putHolds = insertInto("spend_holds", table.HoldColumns, "BIGINT, BIGINT, BYTEA, BIGINT, BIGINT, BIGINT",
		" ON CONFLICT (scope_id, scope_kind) DO UPDATE SET cause = excluded.cause, since = "+
			"excluded.since, until_day = excluded.until_day")
	putCallees = insertInto("callee_counts", "account_id, profile_id, callee, period, calls",
		"BIGINT, BIGINT, BIGINT, BIGINT, BIGINT",
		" ON CONFLICT (profile_id, callee, period) DO UPDATE SET calls = excluded.calls")
	insertSlices = insertInto("call_slices", "account_id, call_id, day, profile_id, secs, cost",
		"BIGINT, BYTEA, BIGINT, BIGINT, BIGINT, BIGINT", "")
	insertRecords = insertInto("call_records", table.RecordColumns, typesOf(table.RecordKinds), "")
)

var insertEmergencies = insertInto("emergency_days", table.EmergencyColumns,
	"BIGINT, BIGINT, BIGINT, BIGINT, BIGINT, BIGINT, BIGINT", table.AddEmergencies)

// save writes what the commands have changed, and commits.
func (w *writer) save(ctx context.Context, c *pgx.Conn, g *ledgerGroup, changes *admission.Changes) error {
	b := &pgx.Batch{}
	w.queueEndTurn(b)
	if err := g.queueChanges(b, changes); err != nil {
		return err
	}
	owner, beat := w.queueNode(b, g)
	commit := func() error { return c.SendBatch(ctx, b).Close() }
	if around := w.ledger.AroundCommit; around != nil {
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
	var put, insert, records, cuts, spends, holds, callees tuples
	for _, l := range changes.Leases {
		into := &insert
		if _, ok := loaded[l.ID]; ok {
			into = &put
		}
		into.addLease(l)
	}
	records.values = make([]any, 0, len(table.RecordKinds)*len(changes.Records))
	for _, r := range changes.Records {
		records.values = table.RecordValues(records.values, r)
		records.n++
		for _, s := range r.Slices {
			cuts.add(int64(r.AccountID), r.ID[:], int64(s.Day), int64(r.ProfileID), s.Secs, int64(s.Cost))
		}
	}
	for key, s := range changes.Spends {
		spends.add(table.SpendValues(nil, key, &s)...)
	}
	for scope, hold := range changes.Holds {
		holds.add(table.HoldValues(nil, scope, hold)...)
	}
	for key, calls := range changes.Callees {
		account, ok := g.profiles[key.Profile]
		if !ok {
			return table.ErrStrayChange
		}
		callees.add(int64(account), int64(key.Profile), int64(key.Callee), int64(key.Window), int64(calls))
	}
	var emergencies tuples
	for _, key := range table.SortedEmergencies(changes.Emergencies) {
		emergencies.values = table.AppendEmergencies(emergencies.values, key, changes.Emergencies[key])
		emergencies.n++
	}
	put.queue(b, putLeases)
	insert.queue(b, insertLeases)
	records.queue(b, insertRecords)
	cuts.queue(b, insertSlices)
	spends.queue(b, putSpends)
	holds.queue(b, putHolds)
	callees.queue(b, putCallees)
	emergencies.queue(b, insertEmergencies)
	if len(changes.Spends) > 0 && record.DayOf(g.opened) < record.DayOf(g.now) {
		b.Queue("UPDATE ledger_scopes SET at = $2 WHERE id = ANY($1)", g.profileIDs(), g.now)
	}
	return nil
}

// queueNode keeps the node's own row, has plans made anew, and gives up nodes that
// have long been silent. It returns the incarnation and the heartbeat that hold once it has
// committed.
func (w *writer) queueNode(b *pgx.Batch, g *ledgerGroup) (owner uuid.UUID, heartbeat int64) {
	owner, heartbeat = w.owner, w.heartbeat
	if g.fenced {
		// What this node held it may have lost; it begins anew, as another owner.
		owner, heartbeat = uuid.New(), g.now
		b.Queue("INSERT INTO nodes (owner, name, heartbeat_at, expired) VALUES ($1, $2, $3, FALSE)",
			owner[:], w.ledger.node.Name, heartbeat)
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
func (w *writer) keepCounts(g *ledgerGroup) {
	now := w.ledger.Clock()
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
