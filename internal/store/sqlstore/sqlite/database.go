package sqlite

import (
	"context"
	"database/sql"
	_ "embed"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strconv"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/tollgate/tollgate/internal/column"
	"github.com/tollgate/tollgate/internal/store/sqlstore/table"
)

//go:embed migrations/00001_first.sql
var tables string

// schema is the tables of a file.
var schema = table.Schema{
	Dialect: goose.DialectSQLite3, Text: tables, Ledger: table.FileLayouts, Types: column.Kind.SQLite, Options: " STRICT",
	Exists: "SELECT COUNT(*) > 0 FROM sqlite_master WHERE name = $1",
}

// busyTimeoutMs is how long a statement waits for a lock. The writer is alone, so
// only a checkpoint or a person with the sqlite3 shell can hold one.
const busyTimeoutMs = 5000

// openFile makes the file if there is none, and its tables if it has none.
func openFile(ctx context.Context, path string, resources []table.Resource) (write, read *sql.DB, err error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, nil, fmt.Errorf("open database: %w", err)
	}
	// The file holds the passwords of connections and gateways. SQLite gives the
	// log beside it the same mode.
	file, err := os.OpenFile(absolute, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, nil, fmt.Errorf("open database: %w", err)
	}
	if err := file.Close(); err != nil {
		return nil, nil, fmt.Errorf("open database: %w", err)
	}
	if write, err = openPool(absolute, false); err != nil {
		return nil, nil, err
	}
	if err := schema.Of(resources).Make(ctx, write); err != nil {
		return nil, nil, errors.Join(err, write.Close())
	}
	if read, err = openPool(absolute, true); err != nil {
		return nil, nil, errors.Join(err, write.Close())
	}
	return write, read, nil
}

// openPool opens the file with one connection for writing, or some for reading.
func openPool(path string, readOnly bool) (*sql.DB, error) {
	pragmas := []string{
		"busy_timeout(" + strconv.Itoa(busyTimeoutMs) + ")",
		"journal_mode(WAL)",
		"synchronous(FULL)",
		"foreign_keys(ON)",
		"wal_autocheckpoint(" + strconv.Itoa(checkpointPages) + ")",
		"temp_store(MEMORY)",
	}
	connections := 1
	if readOnly {
		pragmas = append(pragmas, "query_only(ON)")
		connections = max(4, runtime.NumCPU())
	} else {
		pragmas = append(pragmas, "cache_size(-65536)") // 64 MiB
	}
	source := url.URL{Scheme: "file", Path: path, RawQuery: url.Values{"_pragma": pragmas}.Encode()}
	pool, err := sql.Open("sqlite", source.String())
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	pool.SetMaxOpenConns(connections)
	pool.SetMaxIdleConns(connections)
	return pool, nil
}

// IsDuplicate reports whether a statement broke a unique index or a primary key.
func IsDuplicate(err error) bool {
	code := codeOf(err)
	return code == sqlite3.SQLITE_CONSTRAINT_UNIQUE || code == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY
}

// IsReferred reports whether a statement broke a foreign key.
func IsReferred(err error) bool { return codeOf(err) == sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY }

// IsFailure reports whether an error comes from SQLite.
func IsFailure(err error) bool { return errors.As(err, new(*sqlite.Error)) }

func codeOf(err error) int {
	var failed *sqlite.Error
	if errors.As(err, &failed) {
		return failed.Code()
	}
	return 0
}

// ReadFile runs f in one read transaction on a database file that a server may
// have open.
func ReadFile(ctx context.Context, path string, resources []table.Resource,
	f func(table.Querier) error) (err error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	if _, err := os.Stat(absolute); err != nil {
		return fmt.Errorf("no database: %w", err)
	}
	source := url.URL{Scheme: "file", Path: absolute, RawQuery: url.Values{
		"mode": {"ro"}, "_pragma": {fmt.Sprintf("busy_timeout(%d)", busyTimeoutMs), "query_only(ON)"},
	}.Encode()}
	pool, err := sql.Open("sqlite", source.String())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, pool.Close()) }()
	tx, err := pool.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return err
	}
	return errors.Join(schema.Of(resources).Checked(ctx, f)(tx), tx.Rollback())
}
