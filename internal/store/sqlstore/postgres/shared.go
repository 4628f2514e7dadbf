package postgres

import (
	"encoding/binary"
	"math"

	"github.com/jackc/pgx/v5"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/store/sqlstore/table"
)

// planScopes finds the scopes in which the group's money is counted. Their rows are
// locked among the others, by id.
func (w *writer) planScopes(g *ledgerGroup, locks map[id.ID]struct{}, count func(string, id.ID, int32)) {
	for payer := range g.payers {
		w.planLimits(g, payer.Account, locks, count)
		for scope, limit := range payer.Counted(w.snapshot) {
			locks[lockOf(scope)] = struct{}{}
			g.scopes[scope] = struct{}{}
			if !limit.EndCalls {
				continue
			}
			// How many calls share what is left of the budget decides how long a grant is.
			switch live := payer.LiveIn(scope.Kind); live {
			case payer.Profile:
				count("profile_id", live, w.snapshot.Profile(live).ChannelLimit)
			case payer.Connection:
				count("connection_id", live, policy.NoLimit)
			default:
				count("account_id", live, policy.NoLimit)
			}
		}
	}
}

// planLimits finds the spend limits of an account. Which of them count a call is decided
// with the call, so all are loaded, and the account's row is locked for all of them.
func (w *writer) planLimits(g *ledgerGroup, account id.ID, locks map[id.ID]struct{}, count func(string, id.ID, int32)) {
	limits := w.snapshot.SpendLimits(account)
	if len(limits) == 0 {
		return
	}
	locks[account] = struct{}{}
	for _, l := range limits {
		g.scopes[admission.LimitScope(l.ID)] = struct{}{}
		if l.EndCalls {
			count("account_id", account, policy.NoLimit)
		}
	}
}

// lockOf is the row of ledger_scopes that is locked for a scope: its id or, where that
// is longer, a negative number. Two scopes with the same row only wait for each other.
func lockOf(scope admission.Scope) id.ID {
	high, low := binary.BigEndian.Uint64(scope.ID[:8]), binary.BigEndian.Uint64(scope.ID[8:])
	if high == 0 {
		return id.ID(low)
	}
	return id.ID(high^low) | math.MinInt64
}

func (g *ledgerGroup) scopeIDs() [][]byte {
	ids := make([][]byte, 0, len(g.scopes))
	for scope := range g.scopes {
		ids = append(ids, scope.ID[:])
	}
	return ids
}

// queueSpends reads what the group's scopes have spent, and which of them are held back.
func (g *ledgerGroup) queueSpends(b *pgx.Batch) {
	if len(g.scopes) == 0 {
		return
	}
	queueRead(b, &table.Spends, func(r *table.SpendRow) { g.part.Spends[r.SpendKey] = r.Spend },
		"WHERE scope_id = ANY($1) AND day >= $2", g.scopeIDs(), int64(g.oldest))
	queueRead(b, &table.Holds, func(r *table.HoldRow) {
		if g.part.Holds == nil {
			g.part.Holds = make(map[admission.Scope]admission.SpendHold)
		}
		g.part.Holds[r.Scope] = r.SpendHold
	}, "WHERE scope_id = ANY($1)", g.scopeIDs())
}
