package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/tollgate/tollgate/internal/store/sqlstore/table"
)

// A copy of a ledger knows nothing of what was spent after it was made. So each copy
// has a mark, the row of the table copied, and a store that opens a database with
// the mark holds the spending of every profile, billing group and account: until
// the day is over, or until it is released.

// Backup copies a database file, which a running server may have open, as it is at
// one moment. The copy is checked and durable when Backup returns; a file that is
// there already is never overwritten.
func Backup(ctx context.Context, resources []table.Resource, path, to string, now time.Time) (err error) {
	if _, err := os.Stat(path); err != nil {
		return fmt.Errorf("back up: no database: %w", err)
	}
	if _, err := os.Lstat(to); err == nil {
		return fmt.Errorf("back up: %s is there already, and is not overwritten", to)
	}
	partial, err := newPartial(to)
	if err != nil {
		return fmt.Errorf("back up: %w", err)
	}
	defer func() { err = errors.Join(err, os.Remove(partial)) }()
	// The moment of the copy is after now, which errs on the safe side.
	if err := copyDatabase(ctx, path, partial); err != nil {
		return fmt.Errorf("back up: %w", err)
	}
	if err := markFile(ctx, partial, resources, now.UnixMicro()); err != nil {
		return fmt.Errorf("back up: %w", err)
	}
	if err := publish(partial, to); err != nil {
		return fmt.Errorf("back up: %w", err)
	}
	return nil
}

// newPartial makes an empty file beside the one that it is to become. It holds the
// same secrets.
func newPartial(to string) (string, error) {
	file, err := os.CreateTemp(filepath.Dir(to), filepath.Base(to)+".partial-*") // mode 0600
	if err != nil {
		return "", err
	}
	return file.Name(), file.Close()
}

// publish gives a whole file its name, unless something has it.
func publish(partial, to string) error {
	file, err := os.OpenFile(partial, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	if err := errors.Join(file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := os.Link(partial, to); err != nil {
		return err // it never replaces a file
	}
	folder, err := os.Open(filepath.Dir(to))
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

// openAlone opens a database file for one short use.
func openAlone(path, mode string) (*sql.DB, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	source := url.URL{Scheme: "file", Path: absolute, RawQuery: url.Values{
		"mode": {mode}, "_pragma": {fmt.Sprintf("busy_timeout(%d)", busyTimeoutMs), "synchronous(FULL)"},
	}.Encode()}
	pool, err := sql.Open("sqlite", source.String())
	if err == nil {
		pool.SetMaxOpenConns(1)
	}
	return pool, err
}

// copyDatabase writes the whole database into an empty file. It is one read
// transaction, for which no writer waits.
func copyDatabase(ctx context.Context, path, to string) (err error) {
	pool, err := openAlone(path, "ro")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, pool.Close()) }()
	if _, err := pool.ExecContext(ctx, "VACUUM INTO ?", to); err != nil {
		return fmt.Errorf("copy the database: %w", err)
	}
	return nil
}

// errNotCopy means that a file is no database of Tollgate, or damaged.
var errNotCopy = errors.New("not a whole Tollgate database")

// markFile looks whether a copy is a whole database of Tollgate, and marks it. A mark
// that it has already is older and stays.
func markFile(ctx context.Context, path string, resources []table.Resource, atMicros int64) (err error) {
	pool, err := openAlone(path, "rw")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, pool.Close()) }()
	var verdict string
	if err := pool.QueryRowContext(ctx, "PRAGMA integrity_check(1)").Scan(&verdict); err != nil || verdict != "ok" {
		return fmt.Errorf("%w: %w", errNotCopy, errors.Join(err, errors.New(verdict)))
	}
	if err := schema.Of(resources).Check(ctx, pool); err != nil {
		return err
	}
	_, err = pool.ExecContext(ctx, "INSERT INTO copied (one, at) VALUES (1, ?) ON CONFLICT (one) DO NOTHING", atMicros)
	if err != nil {
		return fmt.Errorf("%w: mark the copy: %w", errNotCopy, err)
	}
	return nil
}

// Restore puts a copy in the place of a missing database file. The copy
// is checked first, and stays where it is.
func Restore(ctx context.Context, resources []table.Resource, from, path string) (err error) {
	lock, err := lockFile(path + ".lock")
	if err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	for _, present := range []string{path, path + "-wal", path + "-shm"} {
		if _, err := os.Lstat(present); err == nil {
			return fmt.Errorf("restore: %s is there, and is not overwritten: move it away, it may be wanted yet", present)
		}
	}
	partial, err := newPartial(path)
	if err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	defer func() { err = errors.Join(err, os.Remove(partial)) }()
	if err := copyFile(from, partial); err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	// A file that was copied by other means has no mark: when is not known.
	if err := markFile(ctx, partial, resources, 0); err != nil {
		return fmt.Errorf("restore %s: %w", from, err)
	}
	if err := publish(partial, path); err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	return nil
}

func copyFile(from, to string) (err error) {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	target, err := os.OpenFile(to, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = io.Copy(target, source)
	return errors.Join(err, target.Close())
}
