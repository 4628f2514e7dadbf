// Package database is how the rooms of the store read and write the database.
//
// A write runs in a transaction of the ledger's writer, so commands see it, and what it
// tells them of, in one order with all else. What its caller said of its origin is kept
// in the same transaction: the audit event of each change that it notes, and the answer
// that it gives, which a repeated request gets again.
package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/secret"
	"github.com/tollgate/tollgate/internal/store/sqlstore/ledger"
	"github.com/tollgate/tollgate/internal/store/sqlstore/postgres"
	"github.com/tollgate/tollgate/internal/store/sqlstore/sqlite"
	"github.com/tollgate/tollgate/internal/store/sqlstore/table"
	"github.com/tollgate/tollgate/internal/webhook"
)

// Reader reads what one of the two ledgers, and the database around it, has, and writes
// what is of no concern to the ledger.
type Reader interface {
	// Read runs f in a transaction that sees one state of the database and, where there
	// is row-level security, the rows of the account alone; of all with EveryAccount.
	Read(ctx context.Context, account id.ID, f func(table.Querier) error) error
	// ReadLedger is Read for what commands change.
	ReadLedger(ctx context.Context, account id.ID, f func(table.Querier) error) error
	// Beside runs f in a transaction with the rows of all accounts in sight, for what
	// neither commands nor the configuration look at: where it can, beside the writer.
	Beside(ctx context.Context, f func(table.Querier) error) error
	// Lease finds a live call of an account, or nil. A call that has ended when it looks
	// has its record for reads that begin after that.
	Lease(ctx context.Context, account id.ID, call uuid.UUID) (*admission.Lease, error)
}

// Announcer writes the event of a change of the configuration in its transaction.
type Announcer interface {
	Announce(ctx context.Context, tx *ledger.Tx, c webhook.Change) error
}

// Kind is one of the two databases. Rooms whose statements differ have both in an array
// with a place for each kind.
type Kind uint8

// The kinds.
const (
	File   Kind = iota // SQLite: one process has it, and one goroutine writes
	Server             // PostgreSQL: other nodes write too
)

// DB is the database. All fields are set before the first write or read.
type DB struct {
	Reader
	Kind  Kind
	Queue *ledger.Queue // of the ledger's writer
	Vault *secret.Vault // authenticates the audit
	Clock func() time.Time
	Log   *slog.Logger
	// Changes has events of changes of the configuration written.
	Changes Announcer

	versions versions
}

// Now is the time as it is stored.
func (d *DB) Now() time.Time { return time.UnixMicro(d.Clock().UnixMicro()).UTC() }

// Write runs a write of an account's configuration in the writer, and waits until it is
// durable and in force. When ctx ends first it may still take effect. What belongs to no
// one account is written with EveryAccount.
func (d *DB) Write(ctx context.Context, account id.ID, f func(*Tx) error) error {
	err := d.Queue.Wait(ctx, d.Work(account, d.attributed(ctx, f)))
	if errors.Is(err, errDryRun) {
		return nil
	}
	if isFailure(err) && !errors.Is(err, collection.ErrUnavailable) {
		err = fmt.Errorf("%w: %w", collection.ErrUnavailable, err)
	}
	return err
}

// Work is a write to be queued as it is: nothing is added to it.
func (d *DB) Work(account id.ID, f func(*Tx) error) *ledger.Work {
	return &ledger.Work{
		Account: account, Write: func(tx *ledger.Tx) error { return f(&Tx{Tx: tx, db: d}) },
		Settled: func() { d.versions.change(account) },
	}
}

// List runs a query in a transaction of its own.
func (d *DB) List(ctx context.Context, account id.ID, scan func(*sql.Rows) error, text string, args ...any) error {
	return d.Read(ctx, account, func(tx table.Querier) error { return table.Query(ctx, tx, scan, text, args...) })
}

// IsDuplicate reports whether a statement broke a unique index or a primary key.
func IsDuplicate(err error) bool { return sqlite.IsDuplicate(err) || postgres.IsDuplicate(err) }

// IsReferred reports whether a statement broke a foreign key.
func IsReferred(err error) bool { return sqlite.IsReferred(err) || postgres.IsReferred(err) }

// isFailure reports whether an error comes from the database and not from a rule here.
func isFailure(err error) bool { return sqlite.IsFailure(err) || postgres.IsFailure(err) }
