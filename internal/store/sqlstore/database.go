package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strconv"

	"github.com/jackc/pgx/v5"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/tollgate/tollgate/internal/id"
)

// busyTimeoutMs is how long a statement waits for a lock. The writer is alone, so
// only a checkpoint or a person with the sqlite3 shell can hold one.
const busyTimeoutMs = 5000

// database is two pools on one file or server: one connection that writes, and
// some that only read.
type database struct {
	write *sql.DB
	read  *sql.DB
	// postgres is how more connections are made; nil for SQLite.
	postgres *pgx.ConnConfig
}

// reading runs f in a transaction that sees one state of the database. In
// PostgreSQL it sees the rows of the account alone, or of all with everyAccount.
func (d *database) reading(ctx context.Context, account id.ID, f func(querier) error) error {
	options := &sql.TxOptions{ReadOnly: true}
	if d.postgres != nil {
		options.Isolation = sql.LevelRepeatableRead
	}
	if d.postgres == nil {
		tx, err := d.read.BeginTx(ctx, options)
		if err != nil {
			return err
		}
		return errors.Join(f(tx), tx.Rollback())
	}
	tx, err := d.beginRead(ctx, options, account)
	if err != nil {
		return err
	}
	return errors.Join(f(plain{tx}), tx.Rollback())
}

// list is query within reading.
func (d *database) list(ctx context.Context, account id.ID, scan func(*sql.Rows) error, text string,
	args ...any) error {
	return d.reading(ctx, account, func(tx querier) error { return query(ctx, tx, scan, text, args...) })
}

// beginRead begins a transaction that is narrowed down to an account. After the
// server was lost every idle connection is dead, and is found out only by its use.
func (d *database) beginRead(ctx context.Context, options *sql.TxOptions, account id.ID) (tx *sql.Tx, err error) {
	for range d.read.Stats().MaxOpenConnections + 1 {
		if tx, err = d.read.BeginTx(ctx, options); err == nil {
			if _, err = tx.ExecContext(ctx, setAccount(account)); err == nil {
				return tx, nil
			}
			err = errors.Join(err, tx.Rollback())
		}
		if !isConnectionError(err) || ctx.Err() != nil {
			break
		}
	}
	return nil, err
}

// everyAccount stands for all accounts. Only what belongs to none may use it.
const everyAccount id.ID = 0

// setAccount is the statement that narrows a transaction of PostgreSQL down to one
// account.
func setAccount(account id.ID) string {
	name := everything
	if account != everyAccount {
		name = account.String()
	}
	return "SET LOCAL tollgate.account = '" + name + "'"
}

// openDatabase makes the file if there is none, and its tables if it has none.
func openDatabase(ctx context.Context, path string) (*database, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	// The file holds the passwords of connections and gateways. SQLite gives the
	// log beside it the same mode.
	file, err := os.OpenFile(absolute, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	if err := file.Close(); err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	db := &database{}
	if db.write, err = openPool(absolute, false); err != nil {
		return nil, err
	}
	if err := sqliteSchema().make(ctx, db.write); err != nil {
		return nil, errors.Join(err, db.write.Close())
	}
	if db.read, err = openPool(absolute, true); err != nil {
		return nil, errors.Join(err, db.write.Close())
	}
	return db, nil
}

func (d *database) close() error {
	return errors.Join(d.read.Close(), d.write.Close())
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

// querier is a pool, a connection or a transaction of database/sql. Placeholders
// are $1 and so on, which both databases know.
type querier interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// isDuplicate says whether a statement broke a unique index or a primary key.
func isDuplicate(err error) bool {
	var failed *sqlite.Error
	if !errors.As(err, &failed) {
		return sqlState(err) == stateUniqueViolation
	}
	return failed.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE || failed.Code() == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY
}

// isEngineError says whether an error comes from the database and not from a rule here.
func isEngineError(err error) bool {
	var failed *sqlite.Error
	return errors.As(err, &failed) || sqlState(err) != "" || isConnectionError(err)
}

// query runs a query and calls scan for each row.
func query(ctx context.Context, q querier, scan func(*sql.Rows) error, text string, args ...any) (err error) {
	rows, err := q.QueryContext(ctx, text, args...)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// exists says whether a query finds a row.
func exists(ctx context.Context, q querier, text string, args ...any) (bool, error) {
	var found bool
	err := q.QueryRowContext(ctx, "SELECT EXISTS ("+text+")", args...).Scan(&found)
	return found, err
}
