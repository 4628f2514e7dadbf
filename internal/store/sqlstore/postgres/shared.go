package postgres

import (
	"encoding/binary"
	"math"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/store/sqlstore/table"
)

// payer is whose money moves beside a profile's.
type payer struct {
	account id.ID
	group   uuid.UUID // Nil for none
}

func payerOf(account id.ID, group *uuid.UUID) payer {
	if group == nil {
		return payer{account: account}
	}
	return payer{account, *group}
}

// planShared finds the billing groups and accounts in which the group's money is
// counted. Their rows are locked among the others, by id.
func (w *writer) planShared(g *ledgerGroup, scopes map[id.ID]struct{}, count func(string, id.ID, int32)) {
	add := func(scope admission.Scope, lock, account id.ID, limit policy.SpendLimit) {
		if !limit.On {
			return
		}
		if limit.EndCalls {
			count("account_id", account, policy.NoLimit) // among so many the budget is shared
		}
		scopes[lock] = struct{}{}
		g.shared[scope] = account
	}
	for p := range g.payers {
		if a := w.snapshot.Account(p.account); a != nil {
			add(admission.Scope{Account: p.account}, p.account, p.account, a.Spending)
		}
		if group := w.snapshot.Group(p.group); group != nil {
			add(admission.Scope{Group: p.group}, groupLock(p.group), p.account, group.Spending)
		}
	}
}

// groupLock is the row of ledger_scopes that is locked for a billing group. Ids of
// other things are positive. Two groups with the same row only wait for each other.
func groupLock(group uuid.UUID) id.ID {
	return id.ID(binary.BigEndian.Uint64(group[:8])^binary.BigEndian.Uint64(group[8:])) | math.MinInt64
}

// queueShared reads what the billing groups and accounts of the group have spent.
func (g *ledgerGroup) queueShared(b *pgx.Batch) {
	if len(g.shared) == 0 {
		return
	}
	accounts, groups := g.sharedColumns()
	b.Queue("SELECT "+table.ScopeDayColumns+` FROM unnest($1::BIGINT[], $2::BYTEA[]) AS k (account, billing_group)
		CROSS JOIN LATERAL (SELECT * FROM scope_days WHERE account_id = account AND billing_group_id = billing_group AND day >= $3) AS d`,
		accounts, groups, int64(g.oldest)).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			_, key, spend, err := table.ScanScopeDay(rows.Scan)
			if err != nil {
				return err
			}
			g.part.Spends[key] = spend
		}
		return rows.Err()
	})
}

func (g *ledgerGroup) sharedColumns() (accounts []int64, groups [][]byte) {
	accounts, groups = []int64{}, [][]byte{}
	for scope, account := range g.shared {
		accounts, groups = append(accounts, int64(account)), append(groups, table.GroupColumn(scope))
	}
	return accounts, groups
}

// queueHolds reads what is held back of the profiles and of what they share.
func (g *ledgerGroup) queueHolds(b *pgx.Batch) {
	if len(g.profiles) == 0 {
		return
	}
	accounts, groups := g.sharedColumns()
	b.Queue("SELECT "+table.HoldColumns+` FROM spend_holds WHERE profile_id = ANY($1)
		UNION ALL SELECT `+table.HoldColumns+` FROM unnest($2::BIGINT[], $3::BYTEA[]) AS k (account, billing_group)
			CROSS JOIN LATERAL (SELECT * FROM spend_holds WHERE account_id = account AND profile_id = 0 AND billing_group_id = billing_group) AS h`,
		g.profileIDs(), accounts, groups).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			scope, hold, err := table.ScanHold(rows.Scan)
			if err != nil {
				return err
			}
			if g.part.Holds == nil {
				g.part.Holds = make(map[admission.Scope]admission.SpendHold)
			}
			g.part.Holds[scope] = hold
		}
		return rows.Err()
	})
}
