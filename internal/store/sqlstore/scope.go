package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/store"
	"github.com/tollgate/tollgate/internal/store/sqlstore/database"
	"github.com/tollgate/tollgate/internal/store/sqlstore/table"
	"github.com/tollgate/tollgate/internal/store/sqlstore/trail"
)

// A scope that is not always counted has rows in spend_days while it has a limit. A
// write of configuration that sets a limit adds up what the days of live calls have
// cost so far; it has the ledger to itself, so that no charge is counted twice or
// not at all. See admission.Scope.

// limitedTable is where scopes of a kind and their limits are configured, and how the
// calls of one are found.
type limitedTable struct {
	kind   admission.ScopeKind
	name   string
	uuids  bool   // whether ids are UUIDs
	column string // of call_records
}

// limitedTables are all of them: a line for each kind, or some.
var limitedTables = [...]limitedTable{
	{admission.ScopeProfile, "profiles", false, "profile_id"},
	{admission.ScopeGroup, "billing_groups", true, "billing_group_id"},
	{admission.ScopeAccount, "accounts", false, "account_id"},
	{admission.ScopeLimit, "spend_limits", false, ""}, // see spendlimit.go
}

// scopeID is how a statement says the scope_id of a row of the table.
func (t *limitedTable) scopeID(d *dialect) string {
	if t.uuids {
		return "id"
	}
	return d.scopeID
}

// callsOf describes how the calls of a kind of scope are found.
func callsOf(kind admission.ScopeKind) *limitedTable {
	for i := range limitedTables {
		if limitedTables[i].kind == kind {
			return &limitedTables[i]
		}
	}
	panic(fmt.Sprintf("sqlstore: scopes of kind %d are in no table", kind))
}

// ofScope selects the rows of a scope, by scopeArgs.
const ofScope = "account_id = $1 AND scope_kind = $2 AND scope_id = $3"

func scopeArgs(account id.ID, scope admission.Scope, more ...any) []any {
	return append([]any{int64(account), int64(scope.Kind), scope.ID[:]}, more...)
}

// countSpend has a scope counted from now on, or no more.
func countSpend(ctx context.Context, tx *database.Tx, account id.ID, scope admission.Scope, on bool) error {
	if scope.Limit(tx.Snapshot).On == on {
		return nil
	}
	if err := tx.Exec(ctx, "DELETE FROM spend_days WHERE "+ofScope, scopeArgs(account, scope)...); err != nil {
		return fmt.Errorf("count %s: %w", scope, err)
	}
	if !on {
		tx.Afterwards(func(s *admission.State) { s.Uncount(scope) })
		return nil
	}
	spends, err := addUp(ctx, tx, account, scope)
	if err != nil {
		return fmt.Errorf("count %s: %w", scope, err)
	}
	if err := insertSpends(ctx, tx, spends); err != nil {
		return fmt.Errorf("count %s: %w", scope, err)
	}
	tx.Afterwards(func(s *admission.State) { s.Count(spends) })
	return nil
}

// addUp adds up the days that may still change: of the last days, and of live calls.
func addUp(ctx context.Context, tx *database.Tx, account id.ID,
	scope admission.Scope) (map[admission.SpendKey]admission.Spend, error) {
	spends := make(map[admission.SpendKey]admission.Spend)
	add := func(day record.Day, posted, held, overrun money.Amount) {
		s := spends[scope.On(day)]
		s.Account = account
		s.Posted = money.Add(s.Posted, posted)
		s.Held = money.Add(s.Held, held)
		s.Overrun = money.Add(s.Overrun, overrun)
		spends[scope.On(day)] = s
	}
	oldest := record.DayOf(tx.Now().UnixMicro()) - table.KeptSpendDays
	var leases []*admission.Lease
	err := table.Query(ctx, tx, func(rows *sql.Rows) error {
		l, err := table.ScanLease(rows.Scan)
		if err != nil {
			return err
		}
		oldest = min(oldest, record.DayOf(l.ReservedMicros))
		if own, ok := l.Payer().In(scope.Kind); ok && own == scope && !l.Emergency {
			leases = append(leases, l)
		}
		return nil
	}, "SELECT "+table.LeaseColumns+" FROM leases WHERE account_id = $1", int64(account))
	if err != nil {
		return nil, err
	}
	sum := func(rows *sql.Rows) error {
		var day record.Day
		var posted, held, overrun money.Amount
		err := rows.Scan(&day, &posted, &held, &overrun)
		add(day, posted, held, overrun)
		return err
	}
	if scope.Kind == admission.ScopeAccount {
		return spends, table.Query(ctx, tx, sum, `SELECT day, CAST(SUM(posted) AS BIGINT), CAST(SUM(held) AS BIGINT), CAST(SUM(overrun) AS BIGINT)
			FROM spend_days WHERE account_id = $1 AND scope_kind = $2 AND day >= $3 GROUP BY day`,
			int64(account), int64(admission.ScopeProfile), int64(oldest))
	}
	for _, l := range leases {
		for _, s := range l.Posted {
			add(s.Day, s.Cost, 0, 0)
		}
		for _, h := range l.Held {
			add(h.Day, 0, h.Cost, 0)
		}
	}
	calls := callsOf(scope.Kind)
	var key any = scope.ID[:]
	if !calls.uuids {
		key = int64(scope.ID.Number())
	}
	err = table.Query(ctx, tx, sum, `SELECT s.day, CAST(SUM(s.cost) AS BIGINT), 0, 0 FROM call_records AS r
		JOIN call_slices AS s ON s.account_id = r.account_id AND s.call_id = r.id
		WHERE r.account_id = $1 AND r.ended_at >= $2 AND r.`+calls.column+` = $3 AND s.day >= $4
			AND NOT r.emergency GROUP BY s.day`,
		int64(account), oldest.StartMicros(), key, int64(oldest))
	if err != nil {
		return nil, err
	}
	return spends, table.Query(ctx, tx, sum, fmt.Sprintf(`SELECT ended_at / %d, 0, 0, CAST(SUM(overrun_cost) AS BIGINT) FROM call_records
		WHERE account_id = $1 AND ended_at >= $2 AND %s = $3 AND overrun_cost > 0 GROUP BY 1`, record.MicrosPerDay, calls.column),
		int64(account), oldest.StartMicros(), key)
}

// Spend implements store.Spends.
func (s *Store) Spend(ctx context.Context, account id.ID, scope admission.Scope) (use store.SpendUse, err error) {
	day := record.DayOf(s.config.Clock().UnixMicro())
	err = s.db.ReadLedger(ctx, account, func(tx table.Querier) error {
		err := tx.QueryRowContext(ctx, "SELECT posted, held, overrun FROM spend_days WHERE "+ofScope+" AND day = $4",
			scopeArgs(account, scope, int64(day))...).Scan(&use.Posted, &use.Held, &use.Overrun)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		holds, err := table.LoadHolds(ctx, tx, "WHERE "+ofScope, scopeArgs(account, scope)...)
		if hold, held := holds[scope]; held && hold.On(day) {
			use.Hold = &hold
		}
		return err
	})
	if err != nil {
		return use, fmt.Errorf("read the spend of %s: %w", scope, table.Unavailable(err))
	}
	return use, nil
}

// spendRelease is what the audit keeps of a release.
type spendRelease struct {
	Scope string `json:"scope"`
	Cause string `json:"cause"`
	Since int64  `json:"since"`
}

// Release implements store.Spends.
func (s *Store) Release(ctx context.Context, account id.ID, scope admission.Scope) error {
	err := s.db.Write(ctx, account, func(tx *database.Tx) error {
		args := scopeArgs(account, scope)
		if scope.Kind == admission.ScopeGroup {
			if err := permit(ctx, tx, account, whole(store.LockGroups)); err != nil {
				return err
			}
		}
		holds, err := table.LoadHolds(ctx, tx, "WHERE "+ofScope, args...)
		if err != nil {
			return err
		}
		hold, held := holds[scope]
		if held {
			if err := tx.Exec(ctx, "DELETE FROM spend_holds WHERE "+ofScope, args...); err != nil {
				return err
			}
			tx.Afterwards(func(s *admission.State) { s.DropHold(scope) })
		}
		c := trail.Change{Kind: "spend_hold", Action: "delete", Account: account, Resource: scope.String()}
		c.Before = &spendRelease{Scope: scope.String(), Cause: hold.Cause.String(), Since: hold.SinceMicros}
		tx.Note(c, scope)
		return nil
	})
	if err != nil {
		return fmt.Errorf("release %s: %w", scope, err)
	}
	return nil
}

// ListHolds implements store.Spending.
func (s *Store) ListHolds(ctx context.Context, account id.ID,
	q collection.Query) (collection.Page[store.HeldScope], error) {
	page := collection.Page[store.HeldScope]{Items: []store.HeldScope{}}
	today := record.DayOf(s.config.Clock().UnixMicro())
	const where = "WHERE account_id = $1 AND (until_day = 0 OR until_day > $2)"
	err := s.db.ReadLedger(ctx, account, func(tx table.Querier) error {
		if err := tx.QueryRowContext(ctx, "SELECT COUNT(*) FROM spend_holds "+where, int64(account),
			int64(today)).Scan(&page.Total); err != nil {
			return err
		}
		skip := min(max(0, q.Number-1), page.Total) * q.Size
		return table.Holds.Each(ctx, tx, func(r *table.HoldRow) {
			page.Items = append(page.Items, store.HeldScope{Scope: r.Scope, Hold: r.SpendHold})
		}, where+" ORDER BY scope_kind DESC, scope_id LIMIT $3 OFFSET $4",
			int64(account), int64(today), q.Size, skip)
	})
	if err != nil {
		return collection.Page[store.HeldScope]{}, fmt.Errorf("list spend holds: %w", table.Unavailable(err))
	}
	return page, nil
}

// ReleaseAll implements store.Spending.
func (s *Store) ReleaseAll(ctx context.Context, account id.ID) (released int, err error) {
	err = s.db.Write(ctx, account, func(tx *database.Tx) error {
		holds, err := table.LoadHolds(ctx, tx, "WHERE account_id = $1", int64(account))
		if err != nil {
			return err
		}
		own := admission.AccountScope(account)
		delete(holds, own)
		for scope := range holds {
			if scope.Kind != admission.ScopeGroup {
				continue
			}
			if err := permit(ctx, tx, account, whole(store.LockGroups)); err != nil {
				return err
			}
		}
		released = len(holds)
		err = tx.Exec(ctx, "DELETE FROM spend_holds WHERE account_id = $1 AND scope_id <> $2", int64(account), own.ID[:])
		if err != nil {
			return err
		}
		for scope := range holds {
			tx.Afterwards(func(s *admission.State) { s.DropHold(scope) })
		}
		c := trail.Change{Kind: "spend_hold", Action: "delete", Account: account, Resource: "all profiles and billing groups"}
		c.Before = &struct {
			Released int `json:"released"`
		}{released}
		tx.Note(c, released)
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("release all: %w", err)
	}
	return released, nil
}
