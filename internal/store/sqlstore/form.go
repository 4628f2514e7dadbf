package sqlstore

import (
	"context"
	"crypto/sha256"
	"database/sql"
	_ "embed"
	"errors"
	"fmt"

	"github.com/pressly/goose/v3"

	"github.com/tollgate/tollgate/internal/admission"
)

// errOtherForm says that the tables or the encodings of a database are not those of
// this program. No version was released yet, so they change without a way from the old
// ones to the new.
var errOtherForm = errors.New("the database was written by another version of Tollgate, none of which was released, " +
	"and this version cannot read it: start with an empty database")

// schema is the tables of one kind of database. Before the first release a change of
// them is made in its text.
type schema struct {
	dialect goose.Dialect
	text    string
	exists  string // finds out whether there is a table of some name
}

//go:embed migrations/sqlite/00001_first.sql
var sqliteTables string

//go:embed migrations/postgres/00001_first.sql
var postgresTables string

func sqliteSchema() *schema {
	return &schema{goose.DialectSQLite3, sqliteTables, "SELECT COUNT(*) > 0 FROM sqlite_master WHERE name = $1"}
}

func postgresSchema() *schema {
	return &schema{goose.DialectPostgres, postgresTables, "SELECT to_regclass($1) IS NOT NULL"}
}

// form names what a database of this program holds: its tables, and how values are
// encoded. It is stored in the transaction that makes the tables.
func (s *schema) form() string {
	return fmt.Sprintf("tables %x, decisions %d, leases %d, records %d, chunks %d, journal %d",
		sha256.Sum256([]byte(s.text)), admission.EncodingVersion, leaseForm, recordForm, chunkForm, journalForm)
}

// make makes the tables, unless they are there. A database of another form is refused,
// and stays as it is.
func (s *schema) make(ctx context.Context, pool *sql.DB, options ...goose.ProviderOption) error {
	if err := s.check(ctx, pool); err != nil {
		return fmt.Errorf("open database: %w", err)
	}
	first := goose.NewGoMigration(1, &goose.GoFunc{RunTx: func(ctx context.Context, tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, s.text); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, "INSERT INTO stored_form (one, form) VALUES (1, $1)", s.form())
		return err
	}}, nil)
	options = append(options, goose.WithDisableGlobalRegistry(true), goose.WithGoMigrations(first))
	provider, err := goose.NewProvider(s.dialect, pool, nil, options...)
	if err == nil {
		_, err = provider.Up(ctx)
	}
	if err != nil {
		return fmt.Errorf("make tables: %w", err)
	}
	return nil
}

// check refuses a database that has tables of another form.
func (s *schema) check(ctx context.Context, q querier) error {
	has := func(table string) (found bool, err error) {
		err = q.QueryRowContext(ctx, s.exists, table).Scan(&found)
		return found, err
	}
	var version int64
	begun, err := has(goose.DefaultTablename)
	if err == nil && begun {
		err = q.QueryRowContext(ctx, "SELECT COALESCE(MAX(version_id), 0) FROM "+goose.DefaultTablename).Scan(&version)
	}
	if err != nil || version == 0 { // none of its tables was made yet
		return err
	}
	var stored string
	known, err := has("stored_form")
	if err == nil && known {
		err = q.QueryRowContext(ctx, "SELECT form FROM stored_form").Scan(&stored)
	}
	if err == nil && stored != s.form() {
		err = errOtherForm
	}
	return err
}

// checked is f after check.
func (s *schema) checked(ctx context.Context, f func(querier) error) func(querier) error {
	return func(q querier) error {
		if err := s.check(ctx, q); err != nil {
			return err
		}
		return f(q)
	}
}
