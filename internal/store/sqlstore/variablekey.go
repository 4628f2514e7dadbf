package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/store"
	"github.com/tollgate/tollgate/internal/store/sqlstore/database"
	"github.com/tollgate/tollgate/internal/store/sqlstore/table"
)

// VariableState is the state of the API key that the server's variable names.
type VariableState uint8

// The states.
const (
	VariableTaken   VariableState = iota // it is in force
	VariableRotated                      // it has another secret by now, which the API has given it
	VariableGone                         // it was deleted, or replaced by a later one, and does not come back
)

// VariableKey is what SetVariableKey did.
type VariableKey struct {
	State   VariableState
	Retired []store.Key // that the variable had set before
}

// SetVariableKey makes the API key that the server's variable names, and deletes those
// that it has named before. A key that was deleted since does not come back: it was
// deleted because someone else knew it, and the variable may still be set on another
// node, or be set back by mistake. A key that was there before the
// variable named it is never retired.
func (s *Store) SetVariableKey(ctx context.Context, k store.Key) (VariableKey, error) {
	var did VariableKey
	ctx = collection.WithOrigin(ctx, &collection.Origin{Reason: "TOLLGATE_API_KEY names another key"})
	err := s.db.Write(ctx, k.AccountID, func(tx *database.Tx) error {
		did = VariableKey{}
		present, err := findKey(ctx, tx, k.Hash)
		found := err == nil && present.AccountID == k.AccountID
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		named, err := table.Exists(ctx, tx, "SELECT 1 FROM variable_keys WHERE hash = $1", k.Hash[:])
		switch {
		case err != nil:
			return err
		case named && !found:
			did.State = VariableGone
			return nil
		case !named:
			if err := nameKey(ctx, tx, s, &present, found, k); err != nil {
				return err
			}
		}
		if present.Hash != k.Hash {
			did.State = VariableRotated
		}
		did.Retired, err = retireOthers(ctx, tx, &present)
		return err
	})
	if err != nil {
		return VariableKey{}, fmt.Errorf("set the API key of the variable: %w", err)
	}
	return did, nil
}

// nameKey notes that the variable names a key, and makes the key unless it was found.
func nameKey(ctx context.Context, tx *database.Tx, s *Store, present *store.Key, found bool, k store.Key) (err error) {
	made := id.ID(0)
	if !found {
		// A key of another account, which is not in sight, is found by create.
		if *present, err = keyNoun().create(ctx, tx, s, k.AccountID, k); err != nil {
			return err
		}
		made = present.ID
	}
	return tx.Exec(ctx, "INSERT INTO variable_keys (hash, key_id) VALUES ($1, $2)", k.Hash[:], int64(made))
}

// retireOthers deletes the keys that were made for the variable, but one.
func retireOthers(ctx context.Context, tx *database.Tx, present *store.Key) (retired []store.Key, err error) {
	var others []id.ID
	err = table.Query(ctx, tx, func(rows *sql.Rows) error {
		var key id.ID
		err := rows.Scan(&key)
		others = append(others, key)
		return err
	}, "SELECT key_id FROM variable_keys WHERE key_id <> 0 AND key_id <> $1 ORDER BY key_id", int64(present.ID))
	if err != nil {
		return nil, err
	}
	n := keyNoun()
	for _, other := range others {
		gone, err := n.get(ctx, tx, present.AccountID, other)
		if errors.Is(err, sql.ErrNoRows) {
			continue // deleted before
		}
		if err == nil {
			_, err = n.remove(ctx, tx, &gone)
		}
		if err == nil {
			err = tx.Exec(ctx, "DELETE FROM api_keys WHERE account_id = $1 AND id = $2", int64(present.AccountID), int64(other))
		}
		if err != nil {
			return nil, err
		}
		tx.Note(n.change("delete", &gone, nil), gone)
		retired = append(retired, gone)
	}
	return retired, nil
}
