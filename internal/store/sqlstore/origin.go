package sqlstore

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

// written is what a write of configuration says of itself: what it changed, and
// the object that it returns.
type written struct {
	noted  []trail.Change
	object any
}

// note records a change, and the object that the write returns unless it notes
// another one later.
func (w *written) note(c trail.Change, object any) {
	w.noted = append(w.noted, c)
	w.object = object
}

// errDryRun ends a write that has done everything and is to leave nothing behind.
var errDryRun = errors.New("dry run")

// attributed adds to a write what belongs in its transaction by its origin: that it
// happens once for an idempotency key, that it is in the audit, and that a dry run
// is undone.
func (s *Store) attributed(ctx context.Context, f func(*txn) error) func(*txn) error {
	origin := collection.OriginOf(ctx)
	// What has begun in the writer is not given up because a client went away.
	ctx = context.WithoutCancel(ctx)
	return func(tx *txn) error {
		tx.written = written{}
		once := origin != nil && origin.Idempotency != nil && !origin.DryRun
		if once {
			if err := s.replay(ctx, tx, origin.Idempotency); err != nil {
				return err
			}
		}
		if err := f(tx); err != nil {
			return err
		}
		for i := range tx.noted {
			if err := trail.Append(ctx, tx, s.config.Vault, s.now(), origin, &tx.noted[i]); err != nil {
				return fmt.Errorf("write audit event: %w", err)
			}
		}
		if once {
			if err := s.keepAnswer(ctx, tx, origin.Idempotency); err != nil {
				return fmt.Errorf("keep answer: %w", err)
			}
		}
		if origin != nil && origin.DryRun {
			return errDryRun
		}
		return nil
	}
}

func (s *Store) answered(ctx context.Context, q table.Querier, i *collection.Idempotency) (collection.Answer, error) {
	var a collection.Answer
	var request []byte
	err := q.QueryRowContext(ctx,
		"SELECT request, status, etag, body FROM idempotency_keys WHERE account_id = $1 AND key = $2 AND created_at > $3",
		int64(i.Account), i.Key, s.oldestAnswer(s.config.Clock())).Scan(&request, &a.Status, &a.ETag, &a.Body)
	if err == nil && string(request) != string(i.Request[:]) {
		err = collection.ErrKeyReused
	}
	return a, err
}

// oldestAnswer is when an answer that is now forgotten was given.
func (s *Store) oldestAnswer(now time.Time) int64 { return now.Add(-store.IdempotencyAge).UnixMicro() }

// replay fails with a collection.ReplayError when the write has happened before.
func (s *Store) replay(ctx context.Context, tx *txn, i *collection.Idempotency) error {
	return tx.Within(ctx, i.Account, func() error {
		a, err := s.answered(ctx, tx, i)
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
func (s *Store) keepAnswer(ctx context.Context, tx *txn, i *collection.Idempotency) (err error) {
	// A panic in a caller's function must not end the writer.
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("render: panic: %v", cause)
		}
	}()
	if i.Render == nil || tx.object == nil {
		return errors.New("the write has no answer to keep")
	}
	a, err := i.Render(tx.object)
	if err != nil {
		return err
	}
	now := s.config.Clock()
	return tx.Within(ctx, i.Account, func() error {
		// One that is past its age may still be there.
		if err := tx.exec(ctx, "DELETE FROM idempotency_keys WHERE account_id = $1 AND key = $2", int64(i.Account),
			i.Key); err != nil {
			return err
		}
		return tx.exec(ctx, `INSERT INTO idempotency_keys (account_id, key, request, created_at, status, etag, body)
			VALUES ($1, $2, $3, $4, $5, $6, $7)`,
			int64(i.Account), i.Key, i.Request[:], now.UnixMicro(), a.Status, a.ETag, a.Body)
	})
}

// Answered implements store.Writes.
func (s *Store) Answered(ctx context.Context, i *collection.Idempotency) (collection.Answer, error) {
	var a collection.Answer
	err := s.engine.Read(ctx, i.Account, func(tx table.Querier) (err error) {
		a, err = s.answered(ctx, tx, i)
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

// answerPruneInterval is how often answers that are past their age are deleted.
const answerPruneInterval = 10 * time.Minute

func (s *Store) pruneAnswers(ctx context.Context, now time.Time) error {
	return s.write(ctx, func(tx *txn) error {
		return tx.exec(ctx, "DELETE FROM idempotency_keys WHERE created_at <= $1", s.oldestAnswer(now))
	})
}
