// Package recordings keeps the list of recordings: where their files are, whose they
// are, and which have to go. The files themselves are elsewhere.
package recordings

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/column"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/store"
	"github.com/tollgate/tollgate/internal/store/sqlstore/database"
	"github.com/tollgate/tollgate/internal/store/sqlstore/listing"
	"github.com/tollgate/tollgate/internal/store/sqlstore/outbox"
	"github.com/tollgate/tollgate/internal/store/sqlstore/table"
	"github.com/tollgate/tollgate/internal/store/sqlstore/trail"
	"github.com/tollgate/tollgate/internal/webhook"
)

// Recordings implements store.Recordings and store.RecordingFiles.
type Recordings struct {
	db       *database.DB
	outbox   *outbox.Outbox
	accounts func(ctx context.Context, use func(*store.Account)) error
}

// New makes the recordings of a database. accounts goes through all accounts.
func New(db *database.DB, o *outbox.Outbox, accounts func(context.Context, func(*store.Account)) error) *Recordings {
	return &Recordings{db: db, outbox: o, accounts: accounts}
}

// recordingColumns are the columns of recordings in the order of scanRecording.
const recordingColumns = `account_id, id, profile_id, connection_id, call_id, sip_call_id, from_number, to_number, channels, format,
	started_at, ended_at, duration_ms, interrupted, bytes, sha256, place, volume, name, sealed, created_at, updated_at`

func scanRecording(scan func(...any) error) (record.Recording, error) {
	var r record.Recording
	var digest []byte
	err := scan(&r.AccountID, &r.ID, &r.ProfileID, &r.ConnectionID, &r.CallID, &r.SIPCallID, &r.From, &r.To, &r.Channels,
		&r.Format,
		&r.StartedMicros, &r.EndedMicros, &r.DurationMillis, &r.Interrupted, &r.Bytes, &digest, &r.Place, &r.Volume, &r.Name,
		&r.Sealed,
		&r.CreatedMicros, &r.UpdatedMicros)
	copy(r.SHA256[:], digest)
	return r, err
}

// recordingFields are the fields by which recordings can be filtered and sorted.
var recordingFields = map[string]listing.Field{
	"id":            {Column: "id", Kind: column.UUID},
	"call_id":       {Column: "call_id", Kind: column.UUID},
	"connection_id": {Column: "connection_id", Kind: column.ID},
	"profile_id":    {Column: "profile_id", Kind: column.ID},
	"sip_call_id":   {Column: "sip_call_id"},
	"from":          {Column: "from_number"},
	"to":            {Column: "to_number"},
	"started_at":    {Column: "started_at", Kind: column.Time},
	"ended_at":      {Column: "ended_at", Kind: column.Time},
	"created_at":    {Column: "created_at", Kind: column.Time},
	"removed_at":    {Column: "removed_at", Kind: column.Int},
}

// AddRecording implements store.RecordingFiles.
func (k *Recordings) AddRecording(ctx context.Context, r record.Recording, address string) error {
	err := k.db.Write(ctx, r.AccountID, func(tx *database.Tx) error {
		known, err := table.Exists(ctx, tx, "SELECT 1 FROM recordings WHERE id = $1", r.ID[:])
		if err != nil || known {
			return err
		}
		now := k.db.Now().UnixMicro()
		err = tx.Exec(ctx, `INSERT INTO recordings (`+recordingColumns+`, removed_at)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, 0)`,
			int64(r.AccountID), r.ID[:], int64(r.ProfileID), int64(r.ConnectionID), r.CallID[:], r.SIPCallID, r.From, r.To,
			r.Channels, r.Format,
			r.StartedMicros, r.EndedMicros, r.DurationMillis, r.Interrupted, r.Bytes, r.SHA256[:], r.Place, r.Volume, r.Name,
			r.Sealed, now, now)
		if err != nil {
			return err
		}
		return k.outbox.Tell(ctx, tx.Tx, r.AccountID, r.ConnectionID, webhook.CallRecordingSaved,
			func(key uuid.UUID) (webhook.Event, error) { return webhook.RecordingEvent(key, &r, address) })
	})
	if err != nil {
		return fmt.Errorf("add recording %s: %w", r.ID, err)
	}
	return nil
}

// Recording implements store.Recordings.
func (k *Recordings) Recording(ctx context.Context, account id.ID, recording uuid.UUID) (record.Recording, error) {
	var r record.Recording
	err := k.db.Read(ctx, account, func(tx table.Querier) (err error) {
		r, err = readRecording(ctx, tx, account, recording)
		return err
	})
	if err != nil {
		return record.Recording{}, table.ReadError("recording", recording.String(), err)
	}
	return r, nil
}

func readRecording(ctx context.Context, q table.Querier, account id.ID, recording uuid.UUID) (record.Recording, error) {
	return scanRecording(q.QueryRowContext(ctx, "SELECT "+recordingColumns+` FROM recordings
		WHERE account_id = $1 AND id = $2 AND removed_at = 0`, int64(account), recording[:]).Scan)
}

// ListRecordings implements store.Recordings.
func (k *Recordings) ListRecordings(ctx context.Context, account id.ID,
	q collection.Query) (collection.Page[record.Recording], error) {
	l := listing.Table{Name: "recordings", Columns: recordingColumns, Fields: recordingFields}
	q.Filters = append(slices.Clip(q.Filters),
		collection.Filter{Field: "removed_at", Op: collection.Equal, Value: int64(0)})
	page := collection.Page[record.Recording]{Items: []record.Recording{}}
	err := k.db.Read(ctx, account, func(tx table.Querier) (err error) {
		page.Total, err = l.Read(ctx, tx, account, q, func(rows *sql.Rows) error {
			r, err := scanRecording(rows.Scan)
			page.Items = append(page.Items, r)
			return err
		})
		return err
	})
	if err != nil {
		return collection.Page[record.Recording]{}, fmt.Errorf("list recordings: %w", table.Unavailable(err))
	}
	return page, nil
}

// RecordingsOf implements store.Recordings.
func (k *Recordings) RecordingsOf(ctx context.Context, account id.ID,
	calls []uuid.UUID) (map[uuid.UUID][]uuid.UUID, error) {
	found := map[uuid.UUID][]uuid.UUID{}
	if len(calls) == 0 {
		return found, nil
	}
	places, args := table.OfCalls(account, calls)
	err := k.db.List(ctx, account, func(rows *sql.Rows) error {
		var call, recording uuid.UUID
		err := rows.Scan(&call, &recording)
		found[call] = append(found[call], recording)
		return err
	}, "SELECT call_id, id FROM recordings WHERE account_id = $1 AND call_id IN ("+places+") AND removed_at = 0 ORDER "+
		"BY started_at, id", args...)
	if err != nil {
		return nil, fmt.Errorf("find recordings of calls: %w", table.Unavailable(err))
	}
	return found, nil
}

// removeRecording hides a recording, and notes it for the audit.
func removeRecording(ctx context.Context, tx *database.Tx, r *record.Recording) error {
	err := tx.Exec(ctx, "UPDATE recordings SET removed_at = $1 WHERE account_id = $2 AND id = $3",
		tx.Now().UnixMicro(), int64(r.AccountID), r.ID[:])
	tx.Note(trail.Change{Account: r.AccountID, Kind: "recording", Resource: r.ID.String(), Action: "delete",
		Before: recordingInAudit{
			r.CallID, r.StartedMicros, r.DurationMillis, fmt.Sprintf("%x", r.SHA256),
		}}, *r)
	return err
}

// recordingInAudit is the audit's summary of a deleted recording: enough to
// recognise a copy, and nothing of who spoke.
type recordingInAudit struct {
	CallID         uuid.UUID `json:"call_id"`
	StartedMicros  int64     `json:"started_micros"`
	DurationMillis int64     `json:"duration_millis"`
	Digest         string    `json:"sha256"`
}

// DeleteRecording implements store.Recordings.
func (k *Recordings) DeleteRecording(ctx context.Context, account id.ID,
	recording uuid.UUID) (record.Recording, error) {
	var r record.Recording
	err := k.db.Write(ctx, account, func(tx *database.Tx) (err error) {
		if r, err = readRecording(ctx, tx, account, recording); errors.Is(err, sql.ErrNoRows) {
			return collection.ErrNotFound
		} else if err != nil {
			return err
		}
		if !collection.OriginOf(ctx).Allows(1) { // a recording never changes
			return &collection.VersionError{Current: r}
		}
		return removeRecording(ctx, tx, &r)
	})
	if err != nil {
		return record.Recording{}, fmt.Errorf("delete recording %s: %w", recording, err)
	}
	return r, nil
}

// DeleteRecordings implements store.Recordings.
func (k *Recordings) DeleteRecordings(ctx context.Context, account id.ID,
	recordings []uuid.UUID) (store.Deleted, error) {
	recordings = slices.Clone(recordings)
	slices.SortFunc(recordings, func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) })
	var deleted store.Deleted
	err := k.db.Write(ctx, account, func(tx *database.Tx) error {
		deleted = store.Deleted{}
		for _, recording := range slices.Compact(recordings) {
			r, err := readRecording(ctx, tx, account, recording)
			if errors.Is(err, sql.ErrNoRows) {
				continue
			}
			if err == nil {
				err = removeRecording(ctx, tx, &r)
			}
			if err != nil {
				return err
			}
			deleted.Count++
		}
		tx.Answer(deleted)
		return nil
	})
	if err != nil {
		return store.Deleted{}, fmt.Errorf("delete recordings: %w", err)
	}
	return deleted, nil
}

// ExpireRecordings implements store.RecordingFiles.
func (k *Recordings) ExpireRecordings(ctx context.Context, now time.Time, limit int) (int, error) {
	oldest := map[id.ID]int64{} // of the accounts that do not keep recordings for ever
	err := k.accounts(ctx, func(a *store.Account) {
		if a.RecordingRetentionDays != nil {
			oldest[a.ID] = now.Add(-time.Duration(*a.RecordingRetentionDays) * 24 * time.Hour).UnixMicro()
		}
	})
	if err != nil {
		return 0, fmt.Errorf("expire recordings: %w", table.Unavailable(err))
	}
	expired := 0
	for account, before := range oldest {
		var due []uuid.UUID
		err := k.db.List(ctx, account, func(rows *sql.Rows) error {
			var one uuid.UUID
			err := rows.Scan(&one)
			due = append(due, one)
			return err
		}, "SELECT id FROM recordings WHERE account_id = $1 AND removed_at = 0 AND started_at < $2 AND ended_at < $2 ORDER "+
			"BY started_at LIMIT $3",
			int64(account), before, limit-expired)
		if err != nil {
			return expired, fmt.Errorf("expire recordings: %w", table.Unavailable(err))
		}
		if len(due) == 0 {
			continue
		}
		deleted, err := k.DeleteRecordings(ctx, account, due)
		expired += deleted.Count
		if err != nil || expired >= limit {
			return expired, err
		}
	}
	return expired, nil
}

// RecordingsAt implements store.RecordingFiles.
func (k *Recordings) RecordingsAt(ctx context.Context, place, volume string, deleted bool,
	limit int) ([]record.Recording, error) {
	condition := "removed_at = 0"
	if deleted {
		condition = "removed_at > 0"
	}
	var all []record.Recording
	err := k.db.List(ctx, table.EveryAccount, func(rows *sql.Rows) error {
		r, err := scanRecording(rows.Scan)
		all = append(all, r)
		return err
	}, "SELECT "+recordingColumns+" FROM recordings WHERE place = $1 AND volume = $2 AND "+condition+" ORDER BY id "+
		"LIMIT $3", place, volume, limit)
	if err != nil {
		return nil, fmt.Errorf("list recordings: %w", table.Unavailable(err))
	}
	return all, nil
}

// MoveRecording implements store.RecordingFiles.
func (k *Recordings) MoveRecording(ctx context.Context, r record.Recording) error {
	err := k.db.Write(ctx, r.AccountID, func(tx *database.Tx) error {
		result, err := tx.ExecContext(ctx,
			"UPDATE recordings SET place = $1, volume = $2, name = $3, updated_at = $4 WHERE account_id = $5 AND id = $6",
			r.Place, r.Volume, r.Name, k.db.Now().UnixMicro(), int64(r.AccountID), r.ID[:])
		if err != nil {
			return err
		}
		if changed, err := result.RowsAffected(); err != nil || changed == 0 {
			return errors.Join(err, collection.ErrNotFound)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("move recording %s: %w", r.ID, err)
	}
	return nil
}

// ForgetRecording implements store.RecordingFiles.
func (k *Recordings) ForgetRecording(ctx context.Context, account id.ID, recording uuid.UUID) error {
	err := k.db.Write(ctx, account, func(tx *database.Tx) error {
		return tx.Exec(ctx, "DELETE FROM recordings WHERE account_id = $1 AND id = $2 AND removed_at > 0", int64(account),
			recording[:])
	})
	if err != nil {
		return fmt.Errorf("forget recording %s: %w", recording, err)
	}
	return nil
}
