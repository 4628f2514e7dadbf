package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/store"
	"github.com/tollgate/tollgate/internal/store/sqlstore/table"
	"github.com/tollgate/tollgate/internal/store/sqlstore/trail"
)

// errDryRun ends a write that has done everything and is to leave nothing behind.
var errDryRun = errors.New("dry run")

// attributed adds to a write what belongs in its transaction by its origin: that it
// happens once for an idempotency key, that it is in the audit, and that a dry run
// is undone.
func (d *DB) attributed(ctx context.Context, f func(*Tx) error) func(*Tx) error {
	origin := collection.OriginOf(ctx)
	// What has begun in the writer is not given up because a client went away.
	ctx = context.WithoutCancel(ctx)
	return func(tx *Tx) error {
		tx.noted, tx.answer = nil, nil
		once := origin != nil && origin.Idempotency != nil && !origin.DryRun
		if once {
			if err := d.replay(ctx, tx, origin.Idempotency); err != nil {
				return err
			}
		}
		if err := f(tx); err != nil {
			return err
		}
		for i := range tx.noted {
			if err := trail.Append(ctx, tx, d.Vault, d.Now(), origin, &tx.noted[i]); err != nil {
				return fmt.Errorf("write audit event: %w", err)
			}
		}
		if once {
			if err := d.keepAnswer(ctx, tx, origin.Idempotency); err != nil {
				return fmt.Errorf("keep answer: %w", err)
			}
		}
		if origin != nil && origin.DryRun {
			return errDryRun
		}
		return nil
	}
}

func (d *DB) answered(ctx context.Context, q table.Querier, i *collection.Idempotency) (collection.Answer, error) {
	var a collection.Answer
	var request []byte
	err := q.QueryRowContext(ctx,
		"SELECT request, status, etag, body FROM idempotency_keys WHERE account_id = $1 AND key = $2 AND created_at > $3",
		int64(i.Account), i.Key, d.oldestAnswer(d.Clock())).Scan(&request, &a.Status, &a.ETag, &a.Body)
	if err == nil && string(request) != string(i.Request[:]) {
		err = collection.ErrKeyReused
	}
	return a, err
}

// oldestAnswer is when an answer that is now forgotten was given.
func (d *DB) oldestAnswer(now time.Time) int64 { return now.Add(-store.IdempotencyAge).UnixMicro() }

// replay fails with a collection.ReplayError when the write has happened before.
func (d *DB) replay(ctx context.Context, tx *Tx, i *collection.Idempotency) error {
	return tx.Within(ctx, i.Account, func() error {
		a, err := d.answered(ctx, tx, i)
		switch {
		case err == nil:
			return &collection.ReplayError{Answer: a}
		case errors.Is(err, sql.ErrNoRows):
			return nil
		}
		return err
	})
}

// keepAnswer keeps the answer to the write that is being committed.
func (d *DB) keepAnswer(ctx context.Context, tx *Tx, i *collection.Idempotency) (err error) {
	// A panic in a caller's function must not end the writer.
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("render: panic: %v", cause)
		}
	}()
	if i.Render == nil || tx.answer == nil {
		return errors.New("the write has no answer to keep")
	}
	a, err := i.Render(tx.answer)
	if err != nil {
		return err
	}
	now := d.Clock()
	return tx.Within(ctx, i.Account, func() error {
		// One that is past its age may still be there.
		if err := tx.Exec(ctx, "DELETE FROM idempotency_keys WHERE account_id = $1 AND key = $2", int64(i.Account),
			i.Key); err != nil {
			return err
		}
		return tx.Exec(ctx, `INSERT INTO idempotency_keys (account_id, key, request, created_at, status, etag, body)
			VALUES ($1, $2, $3, $4, $5, $6, $7)`,
			int64(i.Account), i.Key, i.Request[:], now.UnixMicro(), a.Status, a.ETag, a.Body)
	})
}

// Answered implements store.Writes.
func (d *DB) Answered(ctx context.Context, i *collection.Idempotency) (collection.Answer, error) {
	var a collection.Answer
	err := d.Read(ctx, i.Account, func(tx table.Querier) (err error) {
		a, err = d.answered(ctx, tx, i)
		return err
	})
	switch {
	case err == nil:
		return a, nil
	case errors.Is(err, collection.ErrKeyReused):
		return collection.Answer{}, err
	}
	return collection.Answer{}, table.ReadError("answer to idempotency key", "", err)
}

// PruneAnswers deletes the answers that are past their age.
func (d *DB) PruneAnswers(ctx context.Context, now time.Time) error {
	return d.Write(ctx, table.EveryAccount, func(tx *Tx) error {
		return tx.Exec(ctx, "DELETE FROM idempotency_keys WHERE created_at <= $1", d.oldestAnswer(now))
	})
}
