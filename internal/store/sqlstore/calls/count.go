package calls

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"sync"

	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/store/sqlstore/database"
	"github.com/tollgate/tollgate/internal/store/sqlstore/listing"
	"github.com/tollgate/tollgate/internal/store/sqlstore/table"
)

// Call records are counted by their millions, on every page of a list. They never
// change: they are added, and the old ones are deleted. So a count that was made
// once holds for the rows that were there then, and only what has come since is
// counted; what is deleted is in record_sweeps, which makes counts of before void.

// maxCounts bounds the memory: a count takes some 400 bytes, and 4 kB with its ids.
const maxCounts = 5_000

// counts remembers counts of call records.
type counts struct {
	mu   sync.Mutex // guards made
	made map[string]counted
}

// counted is how many rows a condition selected of those before a mark.
type counted struct {
	rows   int
	few    [][]byte // their ids, or nil for more than maxFew
	mark   int64
	sweeps int64 // of the account, when they were counted
}

// marker is how a database tells what has come after a moment.
type marker struct {
	// now selects a mark and the account's number of sweeps. Every row that is not
	// in sight yet will be after the mark; the account is argument 1.
	now string
	// table is the records as they are best read from a mark on, and after the
	// condition for being after it: a format of the number of the mark's argument.
	table, after string
	// reach is how far from the present a mark may be for the rows after it to be
	// fewer than an index has to be read for; 0 means any.
	reach int64
}

// markers are those of both databases.
var markers = [...]marker{
	// There is one writer, and rows get rising numbers.
	database.File: {
		now: `SELECT (SELECT COALESCE(MAX(rowid), 0) FROM call_records) + 1,
			(SELECT COALESCE(MAX(sweeps), 0) FROM record_sweeps WHERE account_id = $1)`,
		table: "call_records NOT INDEXED", after: "rowid >= $%d", reach: 50_000,
	},
	// The rows of a transaction that is still open may come in sight in any order, so the
	// mark is the oldest transaction that is open. Source: PostgreSQL 15, pg_snapshot_xmin.
	database.Server: {
		now: `SELECT CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS TEXT) AS BIGINT),
			(SELECT COALESCE(MAX(sweeps), 0) FROM record_sweeps WHERE account_id = $1)`,
		table: "call_records", after: "written >= CAST(CAST(CAST($%d AS BIGINT) AS TEXT) AS XID8)",
	},
}

// maxFew is how many ids are remembered of a condition that selects so few. One that
// is looked for in a million rows is then not looked for again on each page.
const maxFew = 100

// CountRecords counts the records that a condition selects, in the transaction of a read.
func (c *Calls) CountRecords(ctx context.Context, tx table.Querier, account id.ID, where string,
	args []any) (listing.Selected, error) {
	m := &markers[c.db.Kind]
	var mark, sweeps int64
	if err := tx.QueryRowContext(ctx, m.now, int64(account)).Scan(&mark, &sweeps); err != nil {
		return listing.Selected{}, err
	}
	key := fmt.Sprint(where, args)
	before, known := c.counts.get(key, mark, sweeps)
	if m.reach > 0 && mark-before.mark > m.reach {
		before, known = counted{}, false
	}
	table, place := "call_records", len(args)+1
	args = append(args[:len(args):len(args)], mark)
	if known {
		table = m.table
		where += " AND " + fmt.Sprintf(m.after, place+1)
		args = append(args, before.mark)
	}
	after := "CASE WHEN " + fmt.Sprintf(m.after, place) + " THEN 1 END"
	if !known || before.few != nil {
		found, kept, err := listFew(ctx, tx, before.few, "SELECT id, "+after+" FROM "+table+" WHERE "+where, args)
		if err != nil {
			return listing.Selected{}, err
		}
		if len(found) <= maxFew {
			c.counts.put(key, counted{rows: len(kept), few: kept, mark: mark, sweeps: sweeps})
			return listing.Selected{Total: len(found), Few: found}, nil
		}
	}
	// What is after the mark already is counted again next time.
	var all, again int
	err := tx.QueryRowContext(ctx, "SELECT COUNT(*), COUNT("+after+") FROM "+table+" WHERE "+where, args...).Scan(&all,
		&again)
	if err != nil {
		return listing.Selected{}, err
	}
	total := before.rows + all
	c.counts.put(key, counted{rows: total - again, mark: mark, sweeps: sweeps})
	return listing.Selected{Total: total}, nil
}

// listFew adds to ids those that a statement finds, up to one more than maxFew, and
// says which of them are to be remembered.
func listFew(ctx context.Context, tx table.Querier, ids [][]byte, text string,
	args []any) (found, kept [][]byte, err error) {
	found, kept = slices.Clip(append([][]byte{}, ids...)), slices.Clip(append([][]byte{}, ids...))
	err = table.Query(ctx, tx, func(rows *sql.Rows) error {
		var key []byte
		var after sql.NullInt64
		err := rows.Scan(&key, &after)
		found = append(found, key)
		if !after.Valid {
			kept = append(kept, key)
		}
		return err
	}, fmt.Sprintf("%s LIMIT %d", text, maxFew+1-len(ids)), args...)
	return found, kept, err
}

// get returns a count from which that of a moment can be made.
func (c *counts) get(key string, mark, sweeps int64) (counted, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	found, ok := c.made[key]
	// A read that began before another one ended must not take its count.
	if !ok || found.sweeps != sweeps || found.mark > mark {
		return counted{}, false
	}
	return found, true
}

// put remembers a count, unless there is a later one.
func (c *counts) put(key string, n counted) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if found, ok := c.made[key]; ok && (found.sweeps > n.sweeps || found.sweeps == n.sweeps && found.mark >= n.mark) {
		return
	}
	if c.made == nil || len(c.made) >= maxCounts {
		c.made = make(map[string]counted)
	}
	c.made[key] = n
}
