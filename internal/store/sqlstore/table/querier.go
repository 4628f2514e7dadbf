// Package table has the tables of the ledger, which both databases hold alike: each is
// described once, and what makes, writes and reads it is made from that; what is kept as
// one binary value; and the form of a database.
package table

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"strconv"
	"strings"

	"github.com/tollgate/tollgate/internal/id"
)

// EveryAccount stands for all accounts. Only what belongs to none may use it.
const EveryAccount id.ID = 0

// Querier is a pool, a connection or a transaction of database/sql. Placeholders
// are $1 and so on, which both databases know.
type Querier interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// Query runs a query and calls scan for each row.
func Query(ctx context.Context, q Querier, scan func(*sql.Rows) error, text string, args ...any) (err error) {
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

// Exists reports whether a query finds a row.
func Exists(ctx context.Context, q Querier, text string, args ...any) (bool, error) {
	var found bool
	err := q.QueryRowContext(ctx, "SELECT EXISTS ("+text+")", args...).Scan(&found)
	return found, err
}

// Places lists the placeholders of n arguments, the first of which has that number.
func Places(first, n int) string {
	var list strings.Builder
	for i := range n {
		if i > 0 {
			list.WriteString(", ")
		}
		list.WriteString("$" + strconv.Itoa(first+i))
	}
	return list.String()
}

// ErrDiscard makes database/sql throw a connection away.
var ErrDiscard = driver.ErrBadConn

// ErrStrayChange means that the ledger changed something of a profile or a call
// that the writer has never seen, which is a bug.
var ErrStrayChange = errors.New("change belongs to no account")
