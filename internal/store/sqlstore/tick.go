package sqlstore

import (
	"context"
	"time"

	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/store/sqlstore/database"
	"github.com/tollgate/tollgate/internal/store/sqlstore/table"
)

// answerPruneInterval is how often answers that are past their age are deleted.
const answerPruneInterval = 10 * time.Minute

// registrationPruneInterval is how often registrations are deleted that ended long ago.
const registrationPruneInterval = 10 * time.Minute

// recordExpiryInterval is how often call records are deleted that are past their time.
const recordExpiryInterval = time.Minute

// tick does what is due by the clock until the store is closed.
func (s *Store) tick() {
	ticks := s.config.Ticks
	if ticks == nil {
		ticker := time.NewTicker(tickInterval)
		defer ticker.Stop()
		ticks = ticker.C
	}
	ctx := context.Background() // Close waits for what has begun
	var pruned, swept record.Day
	var answersPruned, recordsExpired time.Time
	var registrationsPruned time.Time
	var moreRecords bool
	for {
		select {
		case <-s.stopTicks:
			return
		case <-ticks:
		}
		if err := s.engine.Tick(ctx); err != nil && !s.isClosed() {
			s.log.Warn("expire leases; trying again at the next tick", "error", err)
		}
		if err := s.RefreshDecks(ctx); err != nil && !s.isClosed() {
			s.log.Error("compile rate decks anew; the prices of before stay in force", "error", err)
		}
		if now := s.config.Clock(); now.Sub(answersPruned) >= answerPruneInterval {
			if err := s.db.PruneAnswers(ctx, now); err == nil {
				answersPruned = now
			} else if !s.isClosed() {
				s.log.Warn("delete old idempotency keys; trying again at the next tick", "error", err)
			}
		}
		if now := s.config.Clock(); moreRecords || now.Sub(recordsExpired) >= recordExpiryInterval {
			var err error
			if moreRecords, err = s.ExpireRecords(ctx, now); err == nil {
				recordsExpired = now
			} else if !s.isClosed() {
				s.log.Warn("delete call records that are past their time; trying again at the next tick", "error", err)
			}
		}
		if now := s.config.Clock(); now.Sub(registrationsPruned) >= registrationPruneInterval {
			if err := s.PruneRegistrations(ctx, now); err == nil {
				registrationsPruned = now
			} else if !s.isClosed() {
				s.log.Warn("delete registrations that ended long ago; trying again at the next tick", "error", err)
			}
		}
		if today := record.DayOf(s.config.Clock().UnixMicro()); today != pruned {
			if err := s.prune(ctx, today); err == nil {
				pruned = today
			} else if !s.isClosed() {
				s.log.Warn("delete old callee counts; trying again at the next tick", "error", err)
			}
		}
		if today := record.DayOf(s.config.Clock().UnixMicro()); s.unswept.Swap(false) || today != swept {
			if err := s.outbox.Sweep(ctx); err == nil {
				swept = today
			} else if !s.isClosed() {
				s.unswept.Store(true)
				s.log.Warn("delete old webhook deliveries; trying again at the next tick", "error", err)
			}
		}
	}
}

// prune deletes the counts of calling windows that have ended: there is one for
// each number that was called, and nothing looks at them again.
func (s *Store) prune(ctx context.Context, today record.Day) error {
	return s.db.Write(ctx, table.EveryAccount, func(tx *database.Tx) error {
		err := tx.Exec(ctx, "DELETE FROM callee_counts WHERE period < $1", int64(today-table.KeptCalleeDays))
		if err == nil { // holds that have ended by themselves
			err = tx.Exec(ctx, "DELETE FROM spend_holds WHERE until_day BETWEEN 1 AND $1", int64(today))
		}
		if err == nil {
			err = pruneLedgerReports(ctx, tx, s.config.Clock())
		}
		return err
	})
}

func (s *Store) isClosed() bool { return s.db.Queue.Closed() }
