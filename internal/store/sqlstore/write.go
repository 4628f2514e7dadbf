package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/store/sqlstore/ledger"
	"github.com/tollgate/tollgate/internal/store/sqlstore/table"
)

// txn is what a write of configuration works with: the transaction, and what the write
// says of itself.
type txn struct {
	*ledger.Tx
	written
	store *Store
}

// exec runs a statement.
func (t *txn) exec(ctx context.Context, text string, args ...any) error {
	_, err := t.ExecContext(ctx, text, args...)
	return err
}

// acrossAccounts runs f with the rows of all accounts in sight: for rules that hold
// across them, since a SIP request shows no account.
func (t *txn) acrossAccounts(ctx context.Context, f func() error) error {
	return t.Within(ctx, table.EveryAccount, f)
}

// write runs a write that belongs to no one account; see writeIn.
func (s *Store) write(ctx context.Context, f func(*txn) error) error {
	return s.writeIn(ctx, table.EveryAccount, f)
}

// writeIn runs a write of an account's configuration in the writer and waits until
// it is durable and in force. When ctx ends first it may still take effect.
func (s *Store) writeIn(ctx context.Context, account id.ID, f func(*txn) error) error {
	err := s.queue.Wait(ctx, s.work(account, s.attributed(ctx, f)))
	if errors.Is(err, errDryRun) {
		return nil
	}
	if isFailure(err) && !errors.Is(err, collection.ErrUnavailable) {
		err = fmt.Errorf("%w: %w", collection.ErrUnavailable, err)
	}
	return err
}

// work is a write of an account's configuration, to be queued.
func (s *Store) work(account id.ID, f func(*txn) error) *ledger.Work {
	return &ledger.Work{
		Account: account, Write: func(tx *ledger.Tx) error { return f(&txn{Tx: tx, store: s}) },
		Settled: func() { s.versions.change(account) },
	}
}

// list is query in a transaction of its own.
func (s *Store) list(ctx context.Context, account id.ID, scan func(*sql.Rows) error, text string, args ...any) error {
	return s.engine.Read(ctx, account, func(tx table.Querier) error { return table.Query(ctx, tx, scan, text, args...) })
}
