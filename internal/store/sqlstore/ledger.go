package sqlstore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/record"
)

// errDiscard makes database/sql throw a connection away.
var errDiscard = driver.ErrBadConn

// errStrayChange says that the ledger changed something of a profile or a call
// that the writer has never seen, which is a bug.
var errStrayChange = errors.New("change belongs to no account")

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

// writeChanges writes what the commands of a group have changed.
func (w *writer) writeChanges(ctx context.Context, c admission.Changes) error {
	for _, part := range []struct {
		what  string
		write func(context.Context, *admission.Changes) error
	}{
		{"leases", w.writeLeases}, {"records", w.writeRecords}, {"slices", w.writeSlices},
		{"spends", w.writeSpends}, {"shared spends", w.writeScopes}, {"holds", w.writeHolds}, {"callee counts", w.writeCallees},
	} {
		if err := part.write(ctx, &c); err != nil {
			return fmt.Errorf("write %s: %w", part.what, err)
		}
	}
	return nil
}

func (w *writer) writeLeases(ctx context.Context, c *admission.Changes) error {
	if len(c.Gone) > 0 {
		ended := make(map[uuid.UUID]id.ID, len(c.Records))
		for _, r := range c.Records {
			ended[r.ID] = r.AccountID
		}
		args := make([]any, 0, 2*len(c.Gone))
		for i := range c.Gone {
			account, ok := ended[c.Gone[i]]
			if !ok {
				return errStrayChange // a lease goes only with its record
			}
			args = append(args, int64(account), c.Gone[i][:])
		}
		gone := w.bulk("gone", "DELETE FROM leases WHERE (account_id, id) IN (VALUES ", ")", 2)
		if err := w.exec(ctx, gone, args); err != nil {
			return err
		}
	}
	args := make([]any, 0, 3*len(c.Leases))
	for _, l := range c.Leases {
		args = append(args, int64(l.Account), l.ID[:], appendLease(make([]byte, 0, 512), l))
	}
	return w.exec(ctx, w.bulk("leases", "INSERT INTO leases (account_id, id, body) VALUES ",
		" ON CONFLICT (account_id, id) DO UPDATE SET body = excluded.body", 3), args)
}

// writeRecords has no ON CONFLICT: a second record of one call must fail.
func (w *writer) writeRecords(ctx context.Context, c *admission.Changes) error {
	args := make([]any, 0, numRecordColumns*len(c.Records))
	for _, r := range c.Records {
		args = recordValues(args, r)
	}
	return w.exec(ctx, w.bulk("records", "INSERT INTO call_records ("+recordColumns+") VALUES ", "", numRecordColumns), args)
}

func (w *writer) writeSlices(ctx context.Context, c *admission.Changes) error {
	var args []any
	for _, r := range c.Records {
		for _, s := range r.Slices {
			args = append(args, int64(r.AccountID), r.ID[:], int64(s.Day), int64(r.ProfileID), s.Secs, int64(s.Cost))
		}
	}
	return w.exec(ctx, w.bulk("slices",
		"INSERT INTO call_slices (account_id, call_id, day, profile_id, secs, cost) VALUES ", "", 6), args)
}

func (w *writer) writeSpends(ctx context.Context, c *admission.Changes) error {
	args := make([]any, 0, 8*len(c.Spends))
	for key, spend := range c.Spends {
		if key.Profile == 0 {
			continue
		}
		account, ok := w.accounts[key.Profile]
		if !ok {
			return errStrayChange
		}
		args = append(args, int64(account), int64(key.Profile), int64(key.Day),
			int64(spend.Posted), int64(spend.Held), int64(spend.Overrun), int64(spend.Told), int64(spend.ToldLimit))
	}
	return w.exec(ctx, w.bulk("spends", "INSERT INTO profile_days (account_id, profile_id, day, posted, held, overrun, told, told_limit) VALUES ",
		` ON CONFLICT (account_id, profile_id, day) DO UPDATE
			SET posted = excluded.posted, held = excluded.held, overrun = excluded.overrun,
				told = excluded.told, told_limit = excluded.told_limit`, 8), args)
}

// accountOf is whose a scope is.
func (w *writer) accountOf(scope admission.Scope, c *admission.Changes) (account id.ID, ok bool) {
	switch {
	case scope.Profile != 0:
		account, ok = w.accounts[scope.Profile]
	case scope.Account != 0:
		return scope.Account, true
	default:
		account, ok = c.Groups[scope.Group]
	}
	return account, ok
}

func (w *writer) writeScopes(ctx context.Context, c *admission.Changes) error {
	var args []any
	for key, spend := range c.Spends {
		if key.Profile != 0 {
			continue
		}
		account, ok := w.accountOf(key.Scope(), c)
		if !ok {
			return errStrayChange
		}
		args = append(args, int64(account), groupColumn(key.Scope()), int64(key.Day),
			int64(spend.Posted), int64(spend.Held), int64(spend.Overrun), int64(spend.Told), int64(spend.ToldLimit))
	}
	return w.exec(ctx, w.bulk("scopes", "INSERT INTO scope_days ("+scopeDayColumns+") VALUES ",
		` ON CONFLICT (account_id, billing_group_id, day) DO UPDATE
			SET posted = excluded.posted, held = excluded.held, overrun = excluded.overrun,
				told = excluded.told, told_limit = excluded.told_limit`, 8), args)
}

func (w *writer) writeHolds(ctx context.Context, c *admission.Changes) error {
	var args []any
	for scope, hold := range c.Holds {
		account, ok := w.accountOf(scope, c)
		if !ok {
			return errStrayChange
		}
		args = append(args, int64(account), int64(scope.Profile), groupColumn(scope), int64(hold.Cause), hold.SinceMicros, int64(hold.UntilDay))
	}
	return w.exec(ctx, w.bulk("holds", "INSERT INTO spend_holds ("+holdColumns+") VALUES ",
		` ON CONFLICT (account_id, profile_id, billing_group_id) DO UPDATE
			SET cause = excluded.cause, since = excluded.since, until_day = excluded.until_day`, 6), args)
}

func (w *writer) writeCallees(ctx context.Context, c *admission.Changes) error {
	args := make([]any, 0, 5*len(c.Callees))
	for key, calls := range c.Callees {
		account, ok := w.accounts[key.Profile]
		if !ok {
			return errStrayChange
		}
		args = append(args, int64(account), int64(key.Profile), int64(key.Callee), int64(key.Window), int64(calls))
	}
	return w.exec(ctx, w.bulk("callees", "INSERT INTO callee_counts (account_id, profile_id, callee, period, calls) VALUES ",
		" ON CONFLICT (account_id, profile_id, callee, period) DO UPDATE SET calls = excluded.calls", 5), args)
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

// Days of the past that a running ledger may still look at. A calling window in
// the westernmost time zone began at most two accounting days ago; one day more
// is for a clock that was set back.
const (
	keptSpendDays  = 3
	keptCalleeDays = 3
)

// loadState builds the ledger from the database, and the accounts of its profiles.
func loadState(ctx context.Context, q querier, now time.Time) (*admission.State, map[id.ID]id.ID, error) {
	accounts := make(map[id.ID]id.ID)
	today := record.DayOf(now.UnixMicro())
	oldest := today - keptSpendDays
	var leases []*admission.Lease
	err := query(ctx, q, func(rows *sql.Rows) error {
		l, err := scanLease(rows.Scan)
		if err != nil {
			return err
		}
		leases = append(leases, l)
		accounts[l.Profile] = l.Account
		// The charges of a call never fall on a day before its reservation.
		oldest = min(oldest, record.DayOf(l.ReservedMicros))
		return nil
	}, "SELECT account_id, id, body FROM leases")
	if err != nil {
		return nil, nil, err
	}
	spends := make(map[admission.SpendKey]admission.Spend)
	err = query(ctx, q, func(rows *sql.Rows) error {
		var account id.ID
		var key admission.SpendKey
		var spend admission.Spend
		err := rows.Scan(&account, &key.Profile, &key.Day, &spend.Posted, &spend.Overrun, &spend.Told, &spend.ToldLimit)
		spends[key] = spend
		accounts[key.Profile] = account
		return err
	}, "SELECT account_id, profile_id, day, posted, overrun, told, told_limit FROM profile_days WHERE day >= $1", int64(oldest))
	if err != nil {
		return nil, nil, err
	}
	err = query(ctx, q, func(rows *sql.Rows) error {
		_, key, spend, err := scanScopeDay(rows.Scan)
		spend.Held = 0 // as of profiles it is the sum of what leases hold
		spends[key] = spend
		return err
	}, "SELECT "+scopeDayColumns+" FROM scope_days WHERE day >= $1", int64(oldest))
	if err != nil {
		return nil, nil, err
	}
	holds, err := loadHolds(ctx, q, "")
	if err != nil {
		return nil, nil, err
	}
	callees := make(map[admission.CalleeKey]int32)
	err = query(ctx, q, func(rows *sql.Rows) error {
		var account id.ID
		var key admission.CalleeKey
		var calls int32
		err := rows.Scan(&account, &key.Profile, &key.Callee, &key.Window, &calls)
		callees[key] = calls
		accounts[key.Profile] = account
		return err
	}, "SELECT account_id, profile_id, callee, period, calls FROM callee_counts WHERE period >= $1", int64(today-keptCalleeDays))
	if err != nil {
		return nil, nil, err
	}
	state := admission.NewState()
	state.Restore(spends, leases, callees, now)
	state.PutHolds(holds)
	return state, accounts, nil
}

func scanLease(scan func(...any) error) (*admission.Lease, error) {
	var account id.ID
	var call uuid.UUID
	var body []byte
	if err := scan(&account, &call, &body); err != nil {
		return nil, err
	}
	return decodeLease(account, call, body)
}
