package database

import (
	"context"
	"fmt"
	"time"

	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/store/sqlstore/ledger"
	"github.com/tollgate/tollgate/internal/store/sqlstore/table"
	"github.com/tollgate/tollgate/internal/store/sqlstore/trail"
	"github.com/tollgate/tollgate/internal/webhook"
)

// Tx is the transaction of a write, with what the write notes about itself.
type Tx struct {
	*ledger.Tx
	db     *DB
	noted  []trail.Change
	answer any
}

// Now is the time as it is stored.
func (t *Tx) Now() time.Time { return t.db.Now() }

// Note has a change in the audit. The write answers with the object, unless it notes
// another change later.
func (t *Tx) Note(c trail.Change, object any) {
	t.noted = append(t.noted, c)
	t.answer = object
}

// Answer is what the write answers with, and what a repeated request gets again.
func (t *Tx) Answer(object any) { t.answer = object }

// Announce tells customers of a change of the configuration.
func (t *Tx) Announce(ctx context.Context, c webhook.Change) error {
	return t.db.Changes.Announce(ctx, t.Tx, c)
}

// Refer fails when the account has no such object. text is its key for messages.
func Refer(ctx context.Context, tx *Tx, name string, account id.ID, key any, pointer, text string) error {
	found, err := table.Exists(ctx, tx, "SELECT 1 FROM "+name+" WHERE account_id = $1 AND id = $2", int64(account), key)
	if err == nil && !found {
		err = &collection.ReferenceError{Err: collection.ErrNoReference, Field: pointer, Other: text}
	}
	return err
}

// ReferID is Refer for an optional resource id.
func ReferID(ctx context.Context, tx *Tx, name string, account, key id.ID, pointer string) error {
	if key == 0 {
		return nil
	}
	return Refer(ctx, tx, name, account, int64(key), pointer, key.String())
}

// Unused fails when the query finds something that uses an object.
func Unused(ctx context.Context, tx *Tx, user, text string, args ...any) error {
	used, err := table.Exists(ctx, tx, text, args...)
	if err == nil && used {
		err = &collection.ReferenceError{Err: collection.ErrInUse, Field: "/", Other: user}
	}
	return err
}

// AccountExists fails when there is no such account.
func AccountExists(ctx context.Context, tx *Tx, account id.ID) error {
	found, err := table.Exists(ctx, tx, "SELECT 1 FROM accounts WHERE id = $1", int64(account))
	if err == nil && !found {
		err = fmt.Errorf("account %s: %w", account, collection.ErrNotFound)
	}
	return err
}
