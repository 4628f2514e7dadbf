package sqlstore

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/record"
)

// Discrepancy is a profile and day whose account does not agree with its calls.
type Discrepancy struct {
	Account, Profile id.ID
	Day              record.Day
	// Posted is what the account says; Charged is the sum of what ended and live
	// calls were charged on that day.
	Posted, Charged money.Amount
	// Held is what the account says; Holding is the sum of what live calls hold.
	Held, Holding money.Amount
}

// Audit compares the account of every profile and day with the calls themselves,
// in one state of the database, and returns where they differ: nowhere, unless
// there is a bug or somebody else wrote to the file.
func (s *Store) Audit(ctx context.Context) ([]Discrepancy, error) {
	found := make(map[admission.SpendKey]*Discrepancy)
	at := func(account, profile id.ID, day record.Day) *Discrepancy {
		key := admission.SpendKey{Profile: profile, Day: day}
		if found[key] == nil {
			found[key] = &Discrepancy{Account: account, Profile: profile, Day: day}
		}
		return found[key]
	}
	err := s.db.reading(ctx, everyAccount, func(tx querier) error { return sumUp(ctx, tx, at) })
	if err != nil {
		return nil, fmt.Errorf("audit: %w", unavailable(err))
	}
	var differing []Discrepancy
	for _, d := range found {
		if d.Posted != d.Charged || d.Held != d.Holding {
			differing = append(differing, *d)
		}
	}
	slices.SortFunc(differing, func(a, b Discrepancy) int {
		return cmp.Or(cmp.Compare(a.Profile, b.Profile), cmp.Compare(a.Day, b.Day))
	})
	return differing, nil
}

func sumUp(ctx context.Context, tx querier, at func(account, profile id.ID, day record.Day) *Discrepancy) error {
	err := query(ctx, tx, func(rows *sql.Rows) error {
		var account, profile id.ID
		var day record.Day
		var posted, held money.Amount
		if err := rows.Scan(&account, &profile, &day, &posted, &held); err != nil {
			return err
		}
		d := at(account, profile, day)
		d.Posted, d.Held = posted, held
		return nil
	}, "SELECT account_id, profile_id, day, posted, held FROM profile_days")
	if err != nil {
		return err
	}
	err = query(ctx, tx, func(rows *sql.Rows) error {
		var account, profile id.ID
		var day record.Day
		var cost money.Amount
		if err := rows.Scan(&account, &profile, &day, &cost); err != nil {
			return err
		}
		at(account, profile, day).Charged += cost
		return nil
	}, "SELECT account_id, profile_id, day, CAST(SUM(cost) AS BIGINT) FROM call_slices GROUP BY account_id, profile_id, day")
	if err != nil {
		return err
	}
	return query(ctx, tx, func(rows *sql.Rows) error {
		l, err := scanLease(rows.Scan)
		if err != nil {
			return err
		}
		for _, s := range l.Posted {
			at(l.Account, l.Profile, s.Day).Charged += s.Cost
		}
		for _, h := range l.Held {
			at(l.Account, l.Profile, h.Day).Holding += h.Cost
		}
		return nil
	}, "SELECT account_id, id, body FROM leases")
}
