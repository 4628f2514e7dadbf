package table

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/pressly/goose/v3"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/column"
)

// errOtherForm means that the tables or the encodings of a database are not those of
// this program. No version was released yet, so they change without a way from the old
// ones to the new.
var errOtherForm = errors.New("the database was written by another version of Tollgate, none of which was released, " +
	"and this version cannot read it: start with an empty database")

// Schema is the tables of one kind of database. Before the first release a change of
// them is made in its text, in Table, in record.Fields, or in the description of a resource.
type Schema struct {
	Dialect   goose.Dialect
	Text      string                   // makes the tables, but for the columns of the ledger's and the resources
	Ledger    []*Layout                // the tables of the ledger
	Types     func(column.Kind) string // of columns
	Options   string                   // after the columns of a table
	Exists    string                   // finds out whether there is a table of some name
	Resources []Resource
}

// Of is the schema with the tables of resources.
func (s Schema) Of(resources []Resource) *Schema {
	s.Resources = resources
	return &s
}

// text makes the tables.
func (s *Schema) text() string {
	var tables, names strings.Builder
	for i := range s.Resources {
		tables.WriteString(s.Resources[i].define(s))
		names.WriteString("'" + s.Resources[i].Name + "', ")
	}
	return strings.NewReplacer("-- The tables of resources.\n", tables.String(), "/* resources */ ", names.String()).
		Replace(define(s.Text, s.Ledger))
}

// form names what a database of this program holds: its tables, and how values are
// encoded. It is stored in the transaction that makes the tables.
func (s *Schema) form() string {
	return fmt.Sprintf("tables %x, decisions %d, leases %d, records %d, chunks %d, journal %d",
		sha256.Sum256([]byte(s.text())), admission.EncodingVersion, leaseForm, recordForm, ChunkForm, JournalForm)
}

// Make makes the tables, unless they exist. A database of another form is refused,
// and stays as it is.
func (s *Schema) Make(ctx context.Context, pool *sql.DB, options ...goose.ProviderOption) error {
	if err := s.Check(ctx, pool); err != nil {
		return fmt.Errorf("open database: %w", err)
	}
	first := goose.NewGoMigration(1, &goose.GoFunc{RunTx: func(ctx context.Context, tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, s.text()); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, "INSERT INTO stored_form (one, form) VALUES (1, $1)", s.form())
		return err
	}}, nil)
	options = append(options, goose.WithDisableGlobalRegistry(true), goose.WithGoMigrations(first))
	provider, err := goose.NewProvider(s.Dialect, pool, nil, options...)
	if err == nil {
		_, err = provider.Up(ctx)
	}
	if err != nil {
		return fmt.Errorf("make tables: %w", err)
	}
	return nil
}

// Check refuses a database that has tables of another form.
func (s *Schema) Check(ctx context.Context, q Querier) error {
	has := func(table string) (found bool, err error) {
		err = q.QueryRowContext(ctx, s.Exists, table).Scan(&found)
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

// Checked is f after Check.
func (s *Schema) Checked(ctx context.Context, f func(Querier) error) func(Querier) error {
	return func(q Querier) error {
		if err := s.Check(ctx, q); err != nil {
			return err
		}
		return f(q)
	}
}
