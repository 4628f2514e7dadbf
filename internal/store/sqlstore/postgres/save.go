package postgres

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tollgate/tollgate/internal/admission"
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
	columns int
}

// insertInto makes the statements that insert rows; tail comes after them.
func insertInto(l *table.Layout, tail string) *insertion {
	var s insertion
	var arrays, rows strings.Builder
	n := 0
	for i, name := range l.Types {
		fmt.Fprintf(&arrays, ", $%d::%s[]", i+1, name)
	}
	s.columns = len(l.Types)
	s.arrays = l.Head + "SELECT * FROM unnest(" + arrays.String()[2:] + ")" + tail
	for i := range s.spelled {
		for j := range l.Types {
			n++
			fmt.Fprintf(&rows, "%s$%d", [...]string{", (", ", "}[min(j, 1)], n)
		}
		rows.WriteString(")")
		s.spelled[i] = l.Head + "VALUES " + rows.String()[2:] + tail
	}
	return &s
}

// queue appends the statement that writes rows, if there are any. Their values are
// int64, string, bool or []byte, and nil stands for no bytes.
func (s *insertion) queue(b *pgx.Batch, values []any) {
	switch n := len(values) / s.columns; {
	case n == 0:
	case n <= spelledRows:
		for i, v := range values {
			if text, ok := v.(string); ok {
				values[i] = plainText(text)
			}
		}
		b.Queue(s.spelled[n-1], values...)
	default:
		b.Queue(s.arrays, onTheirSide(values, s.columns)...)
	}
}

// onTheirSide are rows of some columns as unnest takes them: an array for each column.
func onTheirSide(values []any, columns int) []any {
	all := make([]any, columns)
	for i := range values {
		column := &all[i%columns]
		switch v := values[i].(type) {
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
			panic(fmt.Sprintf("sqlstore: column %d of type %T", i%columns, v))
		}
	}
	return all
}

// insertions are the statements that write the rows of each table.
var insertions = func() (all [table.NumTables]*insertion) {
	for n, l := range table.ServerLayouts {
		all[n] = insertInto(l, l.Conflict)
	}
	return all
}()

// insertLeases is for leases that are known to be new.
var insertLeases = insertInto(table.ServerLayouts[table.LeaseRows], "")

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
	var put, insert []any
	for _, l := range changes.Leases {
		into := &insert
		if _, ok := loaded[l.ID]; ok {
			into = &put
		}
		*into = table.ServerLeases.Append(*into, &table.LeaseRow{Lease: *l})
	}
	insertions[table.LeaseRows].queue(b, put)
	insertLeases.queue(b, insert)
	list, err := table.RowsOf(nil, changes, g.profiles)
	if err != nil {
		return err
	}
	for _, rows := range list {
		insertions[rows.Table].queue(b, rows.Values)
	}
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
