package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/column"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/store"
	"github.com/tollgate/tollgate/internal/store/sqlstore/database"
	"github.com/tollgate/tollgate/internal/store/sqlstore/table"
)

func keyNoun() *noun[store.Key, id.ID] {
	return &noun[store.Key, id.ID]{
		name: "API key", table: "api_keys", fresh: store.NewKey,
		columns: append(named("name", func(k *store.Key) *string { return &k.Name }),
			computed("hash", column.Bytes, func(k *store.Key) any { return k.Hash[:] }),
			// A key that is being rotated is found by either hash.
			column.Column[store.Key]{Name: "previous_hash", Kind: column.Bytes, Null: true, Value: func(k *store.Key) any {
				if k.PreviousHash == nil {
					return nil
				}
				return k.PreviousHash[:]
			}},
		),
		indexes: []table.Index{{On: "hash", Unique: true}, {On: "previous_hash", Unique: true}},
		check: func(ctx context.Context, tx *database.Tx, k *store.Key) error {
			// Of any account: a request names none but by its key.
			var taken bool
			err := tx.AcrossAccounts(ctx, func() (err error) {
				taken, err = table.Exists(ctx, tx, "SELECT 1 FROM api_keys WHERE (hash = $1 OR previous_hash = $1) AND id <> $2",
					k.Hash[:], int64(k.ID))
				return err
			})
			if err == nil && taken {
				err = &collection.ReferenceError{Err: collection.ErrDuplicate, Field: "/", Other: "another key"}
			}
			return err
		},
		drop: func(ctx context.Context, tx *database.Tx, k *store.Key) ([]policy.Change, error) {
			return nil, tx.Exec(ctx, "DELETE FROM key_uses WHERE account_id = $1 AND key_id = $2", int64(k.AccountID),
				int64(k.ID))
		},
	}
}

// Keys is one of Collections.
func (s *Store) Keys() collection.Of[store.Key, id.ID] {
	return &documents[store.Key, id.ID]{store: s, noun: keyNoun()}
}

func findKey(ctx context.Context, q table.Querier, hash [32]byte) (store.Key, error) {
	return keyNoun().scan(q.QueryRowContext(ctx,
		"SELECT "+docColumns+" FROM api_keys WHERE hash = $1 OR previous_hash = $1", hash[:]).Scan)
}

// PutKey stores a key; a key with the same hash and account is left as it is. Since a key
// is looked up by its hash alone, a hash that another account has is collection.ErrDuplicate.
func (s *Store) PutKey(ctx context.Context, k store.Key) (store.Key, error) {
	var kept store.Key
	err := s.db.Write(ctx, k.AccountID, func(tx *database.Tx) error {
		// A key of another account, which is not in sight, is found by create.
		existing, err := findKey(ctx, tx, k.Hash)
		switch {
		case err == nil && existing.AccountID == k.AccountID: // also when it was rotated since
			kept = existing
			return nil
		case err != nil && !errors.Is(err, sql.ErrNoRows):
			return err
		}
		kept, err = keyNoun().create(ctx, tx, s, k.AccountID, k)
		return err
	})
	if err != nil {
		return store.Key{}, fmt.Errorf("put API key: %w", err)
	}
	return kept, nil
}

// KeyByHash implements store.KeyFinder.
func (s *Store) KeyByHash(ctx context.Context, hash [32]byte) (store.Key, error) {
	var k store.Key
	err := s.db.Read(ctx, table.EveryAccount, func(tx table.Querier) (err error) {
		k, err = findKey(ctx, tx, hash)
		return err
	})
	if err != nil {
		return store.Key{}, table.ReadError("API key", "by hash", err)
	}
	return k, nil
}

// CountKeys is how many keys all accounts have.
func (s *Store) CountKeys(ctx context.Context) (int, error) {
	var n int
	err := s.db.Read(ctx, table.EveryAccount, func(tx table.Querier) error {
		return tx.QueryRowContext(ctx, "SELECT COUNT(*) FROM api_keys").Scan(&n)
	})
	if err != nil {
		return 0, fmt.Errorf("count API keys: %w", table.Unavailable(err))
	}
	return n, nil
}

// NoteKeyUse implements store.KeyFinder.
func (s *Store) NoteKeyUse(account, key id.ID, at time.Time) {
	ctx := context.Background() // no one waits
	w := s.db.Work(account, func(tx *database.Tx) error {
		return tx.Exec(ctx, `INSERT INTO key_uses (account_id, key_id, used_at)
			SELECT account_id, id, $3 FROM api_keys WHERE account_id = $1 AND id = $2
			ON CONFLICT (account_id, key_id) DO UPDATE SET used_at = excluded.used_at`, int64(account), int64(key), at.UnixMicro())
	})
	if err := s.db.Queue.Put(w); err != nil {
		s.log.Debug("use of an API key is not noted", "error", err)
	}
}

// KeyUses implements store.KeyFinder.
func (s *Store) KeyUses(ctx context.Context, account id.ID) (map[id.ID]time.Time, error) {
	uses := make(map[id.ID]time.Time)
	err := s.db.List(ctx, account, func(rows *sql.Rows) error {
		var key id.ID
		var at int64
		err := rows.Scan(&key, &at)
		uses[key] = time.UnixMicro(at).UTC()
		return err
	}, "SELECT key_id, used_at FROM key_uses WHERE account_id = $1", int64(account))
	if err != nil {
		return nil, fmt.Errorf("read uses of API keys: %w", table.Unavailable(err))
	}
	return uses, nil
}
