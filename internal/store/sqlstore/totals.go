package sqlstore

import (
	"context"
	"fmt"

	"github.com/tollgate/tollgate/internal/store/sqlstore/table"
)

// Totals are what the database holds of all accounts, for metrics.
type Totals struct {
	Leases          int64 // calls that hold a channel and money, on all nodes
	Emergencies     int64 // emergency calls that were admitted, on all nodes
	EmergenciesLive int64 // those that have not ended
	WebhooksPending int64
	WebhooksRefused int64 // since the accounts exist, because too many were pending
}

// Totals counts. It reads without waiting for the writer.
func (s *Store) Totals(ctx context.Context) (t Totals, err error) {
	err = s.db.ReadLedger(ctx, table.EveryAccount, func(tx table.Querier) error {
		return tx.QueryRowContext(ctx, `SELECT (SELECT COUNT(*) FROM leases),
			(SELECT CAST(COALESCE(SUM(started), 0) AS BIGINT) FROM emergency_days),
			(SELECT CAST(COALESCE(SUM(started - ended), 0) AS BIGINT) FROM emergency_days),
			CAST(COALESCE(SUM(pending), 0) AS BIGINT), CAST(COALESCE(SUM(refused), 0) AS BIGINT) FROM webhook_queues`).
			Scan(&t.Leases, &t.Emergencies, &t.EmergenciesLive, &t.WebhooksPending, &t.WebhooksRefused)
	})
	if err != nil {
		return Totals{}, fmt.Errorf("count what is kept: %w", table.Unavailable(err))
	}
	return t, nil
}
