package sqlstore

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/column"
	"github.com/tollgate/tollgate/internal/e164"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/spendlimit"
	"github.com/tollgate/tollgate/internal/store"
	"github.com/tollgate/tollgate/internal/store/sqlstore/database"
	"github.com/tollgate/tollgate/internal/store/sqlstore/table"
)

func spendLimitNoun() *noun[spendlimit.Limit, id.ID] {
	type T = spendlimit.Limit
	return &noun[T, id.ID]{
		name: "spend limit", table: "spend_limits", fresh: spendlimit.New,
		columns: append(named("name", func(l *T) *string { return &l.Name }),
			column.Words("scope_type", func(l *T) *string { return &l.ScopeType }),
			computed("scope_key", column.Text, func(l *T) any { return l.ScopeKey() }),
		),
		indexes: []table.Index{{On: "account_id, scope_key"}},
		most:    spendlimit.MaxInAccount,
		check:   checkSpendLimit,
		kind:    policy.KindSpendLimit, put: once(policy.PutLimit),
		gone: func(o policy.Object) policy.Change { return policy.DropLimit(o.Account, o.ID) },
		drop: func(ctx context.Context, tx *database.Tx, l *T) ([]policy.Change, error) {
			return nil, uncountLimit(ctx, tx, l)
		},
	}
}

// checkSpendLimit looks at what the limit is about, and has its money counted from now on.
func checkSpendLimit(ctx context.Context, tx *database.Tx, l *spendlimit.Limit) error {
	if err := referSubject(ctx, tx, l); err != nil {
		return err
	}
	var others int
	err := tx.QueryRowContext(ctx,
		"SELECT COUNT(*) FROM spend_limits WHERE account_id = $1 AND scope_key = $2 AND id <> $3",
		int64(l.AccountID), l.ScopeKey(), int64(l.ID)).Scan(&others)
	if err == nil && others >= spendlimit.MaxInScope {
		err = &collection.ReferenceError{Err: store.ErrTooMany, Field: "/scope_value",
			Other: fmt.Sprintf("%d spend limits of this scope", spendlimit.MaxInScope)}
	}
	if err != nil {
		return err
	}
	known := tx.Snapshot.SpendLimit(l.AccountID, l.ID)
	if known != nil && known.Shape == l.Shape() {
		return nil
	}
	if err := uncountLimit(ctx, tx, l); err != nil {
		return err
	}
	return countLimit(ctx, tx, l)
}

// referSubject wants a profile, a connection or a billing group of the account.
func referSubject(ctx context.Context, tx *database.Tx, l *spendlimit.Limit) error {
	subject, err := l.Subject()
	if err != nil {
		return err
	}
	const pointer = "/scope_value"
	switch l.ScopeType {
	case spendlimit.ScopeProfile:
		return database.Refer(ctx, tx, "profiles", l.AccountID, int64(subject.Profile), pointer, *l.ScopeValue)
	case spendlimit.ScopeBillingGroup:
		return database.Refer(ctx, tx, "billing_groups", l.AccountID, subject.Group[:], pointer, *l.ScopeValue)
	case spendlimit.ScopeConnection:
		for _, name := range []string{"ip_connections", "credential_connections"} {
			found, err := table.Exists(ctx, tx, "SELECT 1 FROM "+name+" WHERE account_id = $1 AND id = $2",
				int64(l.AccountID), int64(subject.Connection))
			if err != nil || found {
				return err
			}
		}
		return database.Refer(ctx, tx, "fqdn_connections", l.AccountID, int64(subject.Connection), pointer,
			*l.ScopeValue)
	}
	return nil
}

func uncountLimit(ctx context.Context, tx *database.Tx, l *spendlimit.Limit) error {
	scope := admission.LimitScope(l.ID)
	if err := tx.Exec(ctx, "DELETE FROM spend_days WHERE "+ofScope, scopeArgs(l.AccountID, scope)...); err != nil {
		return fmt.Errorf("count %s: %w", scope, err)
	}
	tx.Afterwards(func(s *admission.State) { s.Uncount(scope) })
	return nil
}

// countLimit adds up what calls have cost in the period that runs, and has it counted.
func countLimit(ctx context.Context, tx *database.Tx, l *spendlimit.Limit) error {
	limit, err := policy.CompileLimit(l)
	if err != nil {
		return err
	}
	spends, err := addUpLimit(ctx, tx, limit)
	if err != nil {
		return fmt.Errorf("count %s: %w", admission.LimitScope(l.ID), err)
	}
	if err := insertSpends(ctx, tx, spends); err != nil {
		return fmt.Errorf("count %s: %w", admission.LimitScope(l.ID), err)
	}
	tx.Afterwards(func(s *admission.State) { s.Count(spends) })
	return nil
}

// insertSpends writes what a scope that is counted from now on has spent.
func insertSpends(ctx context.Context, tx *database.Tx, spends map[admission.SpendKey]admission.Spend) error {
	for key, s := range spends {
		row := table.Spends.Append(nil, &table.SpendRow{SpendKey: key, Spend: s})
		err := tx.Exec(ctx, "INSERT INTO spend_days ("+table.Spends.Names()+") VALUES ("+
			table.Places(1, len(row))+")", row...)
		if err != nil {
			return err
		}
	}
	return nil
}

// addUpLimit adds up the steps that may still change: of the period that runs, and of
// live calls. What was spent while no spend limit counted it is booked by the UTC day.
func addUpLimit(ctx context.Context, tx *database.Tx,
	limit *policy.Limit) (map[admission.SpendKey]admission.Spend, error) {
	spends := make(map[admission.SpendKey]admission.Spend)
	from, _, _ := limit.Window(tx.Now().UnixMicro())
	add := func(atMicros int64, posted, held, overrun money.Amount) {
		if atMicros < from {
			return
		}
		key := admission.LimitKey(limit, atMicros)
		s := spends[key]
		s.Account = limit.Account
		s.Posted, s.Held, s.Overrun = money.Add(s.Posted, posted), money.Add(s.Held, held), money.Add(s.Overrun,
			overrun)
		spends[key] = s
	}
	var leases []*admission.Lease
	err := table.Query(ctx, tx, func(rows *sql.Rows) error {
		l, err := table.ScanLease(rows.Scan)
		if err != nil {
			return err
		}
		if spender := l.Spender(); l.Emergency || !limit.Counts(&spender) {
			return nil
		}
		leases = append(leases, l)
		// Steps are counted whole: those of its money, and all after it.
		for i := range l.Posted {
			start, _, _ := limit.Window(l.Posted[i].AtMicros())
			from = min(from, start)
		}
		for i := range l.Held {
			start, _, _ := limit.Window(l.Held[i].AtMicros())
			from = min(from, start)
		}
		return nil
	}, "SELECT "+table.LeaseColumns+" FROM leases WHERE account_id = $1", int64(limit.Account))
	if err != nil {
		return nil, err
	}
	for _, l := range leases {
		for i := range l.Posted {
			add(l.Posted[i].AtMicros(), l.Posted[i].Cost, 0, 0)
		}
		for i := range l.Held {
			add(l.Held[i].AtMicros(), 0, l.Held[i].Cost, 0)
		}
	}
	condition, args := callsUnder(limit)
	// Slices begin before their call ends, so no older record has one that counts.
	args = append([]any{int64(limit.Account), from}, args...)
	err = table.Query(ctx, tx, func(rows *sql.Rows) error {
		var slice record.Slice
		err := rows.Scan(&slice.Day, &slice.Quarter, &slice.Cost)
		add(slice.AtMicros(), slice.Cost, 0, 0)
		return err
	}, `SELECT s.day, s.quarter, CAST(SUM(s.cost) AS BIGINT) FROM call_records AS r
		JOIN call_slices AS s ON s.account_id = r.account_id AND s.call_id = r.id
		WHERE r.account_id = $1 AND r.ended_at >= $2 AND NOT r.emergency`+condition+" GROUP BY s.day, s.quarter", args...)
	if err != nil {
		return nil, err
	}
	return spends, table.Query(ctx, tx, func(rows *sql.Rows) error {
		var quarter int64
		var overrun money.Amount
		err := rows.Scan(&quarter, &overrun)
		add(quarter*record.MicrosPerQuarter, 0, 0, overrun)
		return err
	}, fmt.Sprintf(`SELECT r.ended_at / %d, CAST(SUM(r.overrun_cost) AS BIGINT) FROM call_records AS r
		WHERE r.account_id = $1 AND r.ended_at >= $2 AND r.overrun_cost > 0 AND NOT r.emergency`,
		record.MicrosPerQuarter)+condition+" GROUP BY 1", args...)
}

// callsUnder selects the records r that a limit counts, by arguments from $3 on.
func callsUnder(limit *policy.Limit) (condition string, args []any) {
	of := &limit.Subject
	switch limit.Scope {
	case spendlimit.ScopeProfile:
		return " AND r.profile_id = $3", []any{int64(of.Profile)}
	case spendlimit.ScopeConnection:
		return " AND r.connection_id = $3", []any{int64(of.Connection)}
	case spendlimit.ScopeBillingGroup:
		return " AND r.billing_group_id = $3", []any{of.Group[:]}
	case spendlimit.ScopeCaller:
		return " AND r.caller = $3", []any{int64(of.Caller)}
	case spendlimit.ScopeCountry:
		return " AND r.country = $3", []any{of.Country.Alpha2()}
	case spendlimit.ScopePrefix:
		// One range of numbers for each length that a number may have.
		condition, low, high := "", of.Prefix, of.Prefix+1
		for digits := of.PrefixDigits; digits <= e164.MaxDigits; digits++ {
			condition += fmt.Sprintf(" OR r.callee >= $%d AND r.callee < $%d", 3+len(args), 4+len(args))
			args = append(args, int64(low), int64(high))
			low, high = low*10, high*10
		}
		return " AND (" + condition[len(" OR "):] + ")", args
	}
	return "", nil
}

// SpendUnder implements store.Spending.
func (s *Store) SpendUnder(ctx context.Context, l *policy.Limit) (use store.SpendUse, err error) {
	counting := make(map[admission.SpendKey]struct{})
	for key := range admission.LimitKeys(l, s.config.Clock().UnixMicro()) {
		counting[key] = struct{}{}
	}
	scope := admission.LimitScope(l.ID)
	err = s.db.ReadLedger(ctx, l.Account, func(tx table.Querier) error {
		return table.Spends.Each(ctx, tx, func(r *table.SpendRow) {
			if _, counts := counting[r.SpendKey]; counts {
				use.Posted = money.Add(use.Posted, r.Posted)
				use.Held = money.Add(use.Held, r.Held)
				use.Overrun = money.Add(use.Overrun, r.Overrun)
			}
		}, "WHERE "+ofScope, scopeArgs(l.Account, scope)...)
	})
	if err != nil {
		return use, fmt.Errorf("read the spend of %s: %w", scope, table.Unavailable(err))
	}
	return use, nil
}

// compiledLimits reads all spend limits, for the audit.
func compiledLimits(ctx context.Context, tx table.Querier) (limits []*policy.Limit, err error) {
	changes, err := spendLimitNoun().load(ctx, tx, nil)
	if err != nil {
		return nil, err
	}
	all, err := (&policy.Snapshot{}).With(changes...)
	if err != nil {
		return nil, err
	}
	all.EverySpendLimit(func(l *policy.Limit) bool {
		limits = append(limits, l)
		return true
	})
	return limits, nil
}
