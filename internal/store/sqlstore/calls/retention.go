package calls

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/store"
	"github.com/tollgate/tollgate/internal/store/sqlstore/database"
	"github.com/tollgate/tollgate/internal/store/sqlstore/listing"
	"github.com/tollgate/tollgate/internal/store/sqlstore/table"
	"github.com/tollgate/tollgate/internal/store/sqlstore/trail"
)

// Call records that are past the account's record_retention_days are deleted by the
// ticks, some at a time, so that calls do not wait for it. What was posted to profiles
// and scopes on those days stays.
const (
	retentionBatch   = 200 // records deleted in one transaction
	retentionBatches = 10  // transactions in one tick
)

// ExpireRecords deletes records that are past their time. more says that there may be
// others left.
func (c *Calls) ExpireRecords(ctx context.Context, now time.Time) (more bool, err error) {
	type due struct {
		account id.ID
		before  record.Day
	}
	var all []due
	err = c.accounts(ctx, func(a *store.Account) {
		if a.RecordRetentionDays != nil {
			// At least a day, so that those of today are never among them.
			all = append(all, due{a.ID, record.DayOf(now.UnixMicro()) - record.Day(max(1, *a.RecordRetentionDays))})
		}
	})
	if err != nil {
		return false, err
	}
	left := retentionBatches
	for _, d := range all {
		deleted := 0
		for last := false; !last; left-- {
			if left == 0 {
				more = true
				break
			}
			n, err := c.DeleteRecords(ctx, d.account, d.before)
			if err != nil {
				return false, err
			}
			deleted += n
			last = n < retentionBatch
		}
		if deleted > 0 {
			c.db.Log.Info("call records deleted that were past their time", "account", d.account.String(),
				"ended_before", d.before.String(), "records", deleted)
		}
	}
	return more, nil
}

// DeleteRecords deletes some records of calls that ended before a day. A call has no
// charge on a day after its end, so none of a later day is lost.
func (c *Calls) DeleteRecords(ctx context.Context, account id.ID, before record.Day) (int, error) {
	var ids [][]byte
	err := c.db.List(ctx, account, func(rows *sql.Rows) error {
		var one []byte
		err := rows.Scan(&one)
		ids = append(ids, one)
		return err
	}, "SELECT id FROM call_records WHERE account_id = $1 AND ended_at < $2 ORDER BY ended_at LIMIT $3",
		int64(account), before.StartMicros(), retentionBatch)
	if err != nil || len(ids) == 0 {
		return 0, err
	}
	err = c.db.Write(ctx, account, func(tx *database.Tx) error {
		if err := noteSweep(ctx, tx, account, before); err != nil {
			return err
		}
		where, args := listing.Among(account, ids)
		if err := tx.Exec(ctx, "DELETE FROM call_slices WHERE "+strings.Replace(where, " id IN", " call_id IN", 1),
			slices.Clone(args)...); err != nil {
			return err
		}
		return tx.Exec(ctx, "DELETE FROM call_records WHERE "+where, args...)
	})
	if err != nil {
		return 0, fmt.Errorf("delete call records: %w", err)
	}
	return len(ids), nil
}

// retentionInAudit is the audit's summary of deleted records.
type retentionInAudit struct {
	EndedBefore string `json:"ended_before"`
}

// noteSweep notes that records are deleted: for counts of them, for the audit of the
// ledger and, once for each day, in the audit of the account.
func noteSweep(ctx context.Context, tx *database.Tx, account id.ID, before record.Day) error {
	var known record.Day
	err := tx.QueryRowContext(ctx, "SELECT before_day FROM record_sweeps WHERE account_id = $1",
		int64(account)).Scan(&known)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	if known < before {
		tx.Note(trail.Change{Account: account, Kind: "detail_record", Resource: uuid.Nil.String(), Action: "delete",
			Before: retentionInAudit{before.String()}}, nil)
	}
	return tx.Exec(ctx, `INSERT INTO record_sweeps (account_id, sweeps, before_day) VALUES ($1, 1, $2)
		ON CONFLICT (account_id) DO UPDATE SET sweeps = record_sweeps.sweeps + 1, before_day = $3`,
		int64(account), int64(before), int64(max(known, before)))
}

// RecordsWholeSince implements store.Reports.
func (c *Calls) RecordsWholeSince(ctx context.Context, account id.ID) (record.Day, error) {
	var day record.Day
	err := c.db.Read(ctx, account, func(tx table.Querier) error {
		return tx.QueryRowContext(ctx, "SELECT before_day FROM record_sweeps WHERE account_id = $1",
			int64(account)).Scan(&day)
	})
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, fmt.Errorf("read from when records are whole: %w", table.Unavailable(err))
	}
	return day, nil
}
