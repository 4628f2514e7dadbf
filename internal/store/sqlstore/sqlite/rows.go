package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/store/sqlstore/table"
)

// bulkSizes are how many rows one statement takes. Few sizes keep the prepared
// statements few; what is left over goes by the next smaller size.
var bulkSizes = [...]int{64, 8, 1}

// bulk is a statement that is repeated over rows of values, many at a time.
type bulk struct {
	conn       *sql.Conn
	head, tail string // before and after the list of rows
	columns    int
	prepared   [len(bulkSizes)]*sql.Stmt
}

func (b *bulk) close() {
	for _, s := range b.prepared {
		if s != nil {
			_ = s.Close() // the connection goes with it
		}
	}
}

// statement is prepared when it is first needed.
func (b *bulk) statement(ctx context.Context, size int) (*sql.Stmt, error) {
	if b.prepared[size] != nil {
		return b.prepared[size], nil
	}
	row := "(?" + strings.Repeat(", ?", b.columns-1) + ")"
	list := row + strings.Repeat(", "+row, bulkSizes[size]-1)
	s, err := b.conn.PrepareContext(ctx, b.head+list+b.tail)
	if err != nil {
		return nil, err
	}
	b.prepared[size] = s
	return s, nil
}

// each calls run for statements and their values until all values are used up.
func (b *bulk) each(ctx context.Context, args []any, run func(*sql.Stmt, []any) error) error {
	for size := range bulkSizes {
		n := bulkSizes[size] * b.columns
		for len(args) >= n {
			s, err := b.statement(ctx, size)
			if err != nil {
				return err
			}
			if err := run(s, args[:n]); err != nil {
				return err
			}
			args = args[n:]
		}
	}
	return nil
}

// bulk returns the statement of a name on the present connection.
func (w *writer) bulk(name, head, tail string, columns int) *bulk {
	b := w.insert[name]
	if b == nil {
		b = &bulk{conn: w.conn, head: head, tail: tail, columns: columns}
		w.insert[name] = b
	}
	return b
}

func (w *writer) exec(ctx context.Context, b *bulk, args []any) error {
	return b.each(ctx, args, func(s *sql.Stmt, args []any) error {
		_, err := s.ExecContext(ctx, args...)
		return err
	})
}

// leasesGone is the number, beside those of tables, under which leases are deleted by
// their places.
const leasesGone = table.NumTables

// statement is what rows are written with, head before their list and tail after it.
type statement struct {
	head, tail string
	columns    int
}

// statements are those of each number.
var statements = func() (all [table.NumTables + 1]statement) {
	for n, l := range table.FileLayouts {
		all[n] = statement{l.Head + "VALUES ", l.Conflict, len(l.Types)}
	}
	all[leasesGone] = statement{"DELETE FROM leases WHERE place IN (VALUES ", ")", 1}
	return all
}()

// place gives each new lease its place in the table, and returns the places of those
// that are gone.
func (w *writer) place(c *admission.Changes) (gone []int64) {
	for _, call := range c.Gone {
		if place, ok := w.places[call]; ok { // else it has come and gone in this group
			gone = append(gone, place)
			delete(w.places, call)
		}
	}
	for _, l := range c.Leases {
		if _, ok := w.places[l.ID]; !ok {
			w.lastPlace++
			w.places[l.ID] = w.lastPlace
		}
	}
	return gone
}

// rowsOf is what changes come to, in the order in which it is to be written. The
// leases in them have places, and gone are the places of those that are no more.
func (w *writer) rowsOf(c *admission.Changes, gone []int64) ([]table.Rows, error) {
	list := make([]table.Rows, 0, len(statements))
	if len(gone) > 0 {
		places := make([]any, len(gone))
		for i, place := range gone {
			places[i] = place
		}
		list = append(list, table.Rows{Table: leasesGone, Values: places})
	}
	if len(c.Leases) > 0 {
		leases := make([]any, 0, statements[table.LeaseRows].columns*len(c.Leases))
		for _, l := range c.Leases {
			leases = table.FileLeases.Append(leases, &table.LeaseRow{Place: w.places[l.ID], Lease: *l})
		}
		list = append(list, table.Rows{Table: table.LeaseRows, Values: leases})
	}
	return table.RowsOf(list, c, w.accounts)
}

// writeRows writes to the tables of the ledger.
func (w *writer) writeRows(ctx context.Context, list []table.Rows) error {
	for _, r := range list {
		if err := w.exec(ctx, w.statement(r.Table), r.Values); err != nil {
			return fmt.Errorf("change %d of the ledger: %w", r.Table, err)
		}
	}
	return nil
}

func (w *writer) statement(number table.Number) *bulk {
	s := &statements[number]
	return w.bulk(s.head, s.head, s.tail, s.columns)
}

// findEnded returns those of the calls that have a record.
func (w *writer) findEnded(ctx context.Context, calls []uuid.UUID) (ended []uuid.UUID, err error) {
	args := make([]any, len(calls))
	for i := range calls {
		args[i] = calls[i][:]
	}
	b := w.bulk("ended", "SELECT id FROM call_records WHERE id IN (VALUES ", ")", 1)
	err = b.each(ctx, args, func(s *sql.Stmt, args []any) (err error) {
		rows, err := s.QueryContext(ctx, args...)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, rows.Close()) }()
		for rows.Next() {
			var call uuid.UUID
			if err := rows.Scan(&call); err != nil {
				return err
			}
			ended = append(ended, call)
		}
		return rows.Err()
	})
	return ended, err
}

// load builds the ledger from the database, and notes the accounts of its profiles and
// the places of its leases.
func (w *writer) load(ctx context.Context, q table.Querier, now time.Time) error {
	accounts, places, lastPlace := make(map[id.ID]id.ID), make(map[uuid.UUID]int64), int64(0)
	today := record.DayOf(now.UnixMicro())
	oldest := today - table.KeptSpendDays
	var leases []*admission.Lease
	err := table.FileLeases.Each(ctx, q, func(l *table.LeaseRow) {
		leases = append(leases, &l.Lease)
		accounts[l.Profile] = l.Account
		places[l.ID], lastPlace = l.Place, l.Place
		// The charges of a call never fall on a day before its reservation.
		oldest = min(oldest, record.DayOf(l.ReservedMicros))
	}, "ORDER BY place")
	if err != nil {
		return err
	}
	spends := make(map[admission.SpendKey]admission.Spend)
	err = table.Spends.Each(ctx, q, func(r *table.SpendRow) { spends[r.SpendKey] = r.Spend },
		"WHERE day >= $1", int64(oldest))
	if err != nil {
		return err
	}
	holds, err := table.LoadHolds(ctx, q, "")
	if err != nil {
		return err
	}
	callees := make(map[admission.CalleeKey]int32)
	err = table.Callees.Each(ctx, q, func(r *table.CalleeRow) {
		callees[r.CalleeKey] = r.Calls
		accounts[r.Profile] = r.Account
	}, "WHERE period >= $1", int64(today-table.KeptCalleeDays))
	if err != nil {
		return err
	}
	started := make(map[admission.EmergencyKey]int64)
	err = table.Emergencies.Each(ctx, q, func(r *table.EmergencyRow) { started[r.EmergencyKey] = r.Started },
		"WHERE day >= $1", int64(today))
	if err != nil {
		return err
	}
	state := admission.NewState()
	state.CountPaces(&w.ledger.paces)
	state.Restore(spends, leases, callees, now)
	state.PutHolds(holds)
	state.PutEmergencies(started)
	w.state = state
	w.accounts = accounts
	w.places = places
	w.lastPlace = lastPlace
	w.foldedPlace = lastPlace
	return nil
}
