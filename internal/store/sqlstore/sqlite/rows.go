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

// tableChange is a way in which commands change a table of the ledger. Its number is in
// the journal, which a later version may have to read: neither it nor its columns ever
// change, and a table that gets another column gets another number.
type tableChange int

const (
	leasesGone tableChange = iota
	leasesPut
	recordsNew
	slicesNew
	daysPut
	holdsPut
	calleesPut
	emergenciesAdd
	numChanges
)

// statements are what each change is done with. There is no ON CONFLICT for records:
// a second record of one call must fail.
var statements = [numChanges]struct {
	head, tail string
	columns    int
}{
	leasesGone: {"DELETE FROM leases WHERE place IN (VALUES ", ")", 1},
	leasesPut: {"INSERT INTO leases (place, account_id, id, body) VALUES ",
		" ON CONFLICT (place) DO UPDATE SET body = excluded.body", 4},
	recordsNew: {"INSERT INTO call_records (" + table.RecordColumns + ") VALUES ", "", len(table.RecordKinds)},
	slicesNew:  {"INSERT INTO call_slices (account_id, call_id, day, profile_id, secs, cost) VALUES ", "", 6},
	daysPut: {"INSERT INTO spend_days (" + table.SpendColumns + ") VALUES ",
		` ON CONFLICT (account_id, scope_kind, scope_id, day) DO UPDATE
			SET posted = excluded.posted, held = excluded.held, overrun = excluded.overrun,
				told = excluded.told, told_limit = excluded.told_limit`, 9},
	holdsPut: {"INSERT INTO spend_holds (" + table.HoldColumns + ") VALUES ",
		` ON CONFLICT (scope_id, scope_kind) DO UPDATE
			SET cause = excluded.cause, since = excluded.since, until_day = excluded.until_day`, 6},
	calleesPut: {"INSERT INTO callee_counts (account_id, profile_id, callee, period, calls) VALUES ",
		" ON CONFLICT (account_id, profile_id, callee, period) DO UPDATE SET calls = excluded.calls", 5},
	emergenciesAdd: {"INSERT INTO emergency_days (" + table.EmergencyColumns + ") VALUES ", table.AddEmergencies, 7},
}

// rows are the values for one statement, row after row.
type rows struct {
	change tableChange
	values []any
}

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
func (w *writer) rowsOf(c *admission.Changes, gone []int64) ([]rows, error) {
	list := make([]rows, 0, numChanges)
	add := func(change tableChange, values []any) {
		if len(values) > 0 {
			list = append(list, rows{change, values})
		}
	}
	places := make([]any, 0, len(gone))
	for _, place := range gone {
		places = append(places, place)
	}
	add(leasesGone, places)
	leases := make([]any, 0, statements[leasesPut].columns*len(c.Leases))
	for _, l := range c.Leases {
		leases = append(leases, w.places[l.ID], int64(l.Account), l.ID[:], table.AppendLease(make([]byte, 0, 512), l))
	}
	add(leasesPut, leases)
	records := make([]any, 0, len(table.RecordKinds)*len(c.Records))
	var slices []any
	for _, r := range c.Records {
		records = table.RecordValues(records, r)
		for _, s := range r.Slices {
			slices = append(slices, int64(r.AccountID), r.ID[:], int64(s.Day), int64(r.ProfileID), s.Secs, int64(s.Cost))
		}
	}
	add(recordsNew, records)
	add(slicesNew, slices)
	var days, holds, callees []any
	for key, spend := range c.Spends {
		days = table.SpendValues(days, key, &spend)
	}
	for scope, hold := range c.Holds {
		holds = table.HoldValues(holds, scope, hold)
	}
	for key, calls := range c.Callees {
		account, ok := w.accounts[key.Profile]
		if !ok {
			return nil, table.ErrStrayChange
		}
		callees = append(callees, int64(account), int64(key.Profile), int64(key.Callee), int64(key.Window), int64(calls))
	}
	add(daysPut, days)
	add(holdsPut, holds)
	add(calleesPut, callees)
	var emergencies []any
	for _, key := range table.SortedEmergencies(c.Emergencies) {
		emergencies = table.AppendEmergencies(emergencies, key, c.Emergencies[key])
	}
	add(emergenciesAdd, emergencies)
	return list, nil
}

// writeRows writes to the tables of the ledger.
func (w *writer) writeRows(ctx context.Context, list []rows) error {
	for _, r := range list {
		if err := w.exec(ctx, w.statement(r.change), r.values); err != nil {
			return fmt.Errorf("change %d of the ledger: %w", r.change, err)
		}
	}
	return nil
}

func (w *writer) statement(c tableChange) *bulk {
	return w.bulk(statements[c].head, statements[c].head, statements[c].tail, statements[c].columns)
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
	err := table.Query(ctx, q, func(rows *sql.Rows) error {
		l, err := table.ScanLease(func(into ...any) error { return rows.Scan(append([]any{&lastPlace}, into...)...) })
		if err != nil {
			return err
		}
		leases = append(leases, l)
		accounts[l.Profile] = l.Account
		places[l.ID] = lastPlace
		// The charges of a call never fall on a day before its reservation.
		oldest = min(oldest, record.DayOf(l.ReservedMicros))
		return nil
	}, "SELECT place, account_id, id, body FROM leases ORDER BY place")
	if err != nil {
		return err
	}
	spends := make(map[admission.SpendKey]admission.Spend)
	err = table.Query(ctx, q, func(rows *sql.Rows) error {
		key, spend, err := table.ScanSpend(rows.Scan)
		spends[key] = spend
		return err
	}, "SELECT "+table.SpendColumns+" FROM spend_days WHERE day >= $1", int64(oldest))
	if err != nil {
		return err
	}
	holds, err := table.LoadHolds(ctx, q, "")
	if err != nil {
		return err
	}
	callees := make(map[admission.CalleeKey]int32)
	err = table.Query(ctx, q, func(rows *sql.Rows) error {
		var account id.ID
		var key admission.CalleeKey
		var calls int32
		err := rows.Scan(&account, &key.Profile, &key.Callee, &key.Window, &calls)
		callees[key] = calls
		accounts[key.Profile] = account
		return err
	}, "SELECT account_id, profile_id, callee, period, calls FROM callee_counts WHERE period >= $1",
		int64(today-table.KeptCalleeDays))
	if err != nil {
		return err
	}
	started, err := table.LoadStarted(ctx, q, today)
	if err != nil {
		return err
	}
	state := admission.NewState()
	state.CountPaces(&w.ledger.paces)
	state.Restore(spends, leases, callees, now)
	state.PutHolds(holds)
	state.PutEmergencies(started)
	w.state, w.accounts, w.places, w.lastPlace, w.foldedPlace = state, accounts, places, lastPlace, lastPlace
	return nil
}
