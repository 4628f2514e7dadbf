package sqlstore

import (
	"context"
	"fmt"
	"time"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/record"
)

// Group is one transaction of the writer as it ended, for metrics.
type Group struct {
	Size    int           // commands and writes of configuration in it
	Waiting int           // what was queued behind it when it ended
	Took    time.Duration // from before its begin to after its commit
	Failed  bool          // nothing below is set then

	// Reserved counts the calls that were let through, and Extended and Exhausted the
	// renewals that made a grant longer and those that could not. A command that was
	// repeated counts again.
	Reserved, Extended, Exhausted int
	// Records are those of the calls that ended in it, each exactly once.
	Records []*record.Call
}

// observe tells of a transaction that ended. records is nil when it failed.
func (s *Store) observe(group []*work, started time.Time, records []*record.Call, err error) {
	if s.config.Observe == nil {
		return
	}
	g := Group{Size: len(group), Waiting: len(s.queue), Took: s.config.Clock().Sub(started), Failed: err != nil}
	if err == nil {
		g.Records = records
		for _, one := range group {
			g.count(one)
		}
	}
	s.config.Observe(g)
}

func (g *Group) count(w *work) {
	if w.result.Err != nil {
		return
	}
	switch w.command.(type) {
	case admission.Reserve:
		if w.result.Decision.Allow {
			g.Reserved++
		}
	case admission.Report:
		if w.result.Decision.Allow {
			g.Reserved++
		}
		if w.result.Extended {
			g.Extended++
		}
	case admission.Renew:
		if w.result.Extended {
			g.Extended++
		} else {
			g.Exhausted++
		}
	}
}

// Totals are what the database holds of all accounts, for metrics.
type Totals struct {
	Leases          int64 // calls that hold a channel and money, on all nodes
	Emergencies     int64 // emergency calls that were let through, on all nodes
	EmergenciesLive int64 // those that have not ended
	WebhooksPending int64
	WebhooksRefused int64 // since the accounts exist, because too many were pending
}

// Totals counts. It reads without waiting for the writer.
func (s *Store) Totals(ctx context.Context) (t Totals, err error) {
	err = s.readingLedger(ctx, everyAccount, func(tx querier) error {
		return tx.QueryRowContext(ctx, `SELECT (SELECT COUNT(*) FROM leases),
			(SELECT CAST(COALESCE(SUM(started), 0) AS BIGINT) FROM emergency_days),
			(SELECT CAST(COALESCE(SUM(started - ended), 0) AS BIGINT) FROM emergency_days),
			CAST(COALESCE(SUM(pending), 0) AS BIGINT), CAST(COALESCE(SUM(refused), 0) AS BIGINT) FROM webhook_queues`).
			Scan(&t.Leases, &t.Emergencies, &t.EmergenciesLive, &t.WebhooksPending, &t.WebhooksRefused)
	})
	if err != nil {
		return Totals{}, fmt.Errorf("count what is kept: %w", unavailable(err))
	}
	return t, nil
}
