// Package registrations keeps the contacts that telephones have registered, for all nodes.
package registrations

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"math/bits"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/registration"
	"github.com/tollgate/tollgate/internal/store"
	"github.com/tollgate/tollgate/internal/store/sqlstore/database"
	"github.com/tollgate/tollgate/internal/store/sqlstore/table"
)

// Registrations implements store.Registrations.
type Registrations struct {
	db    *database.DB
	owner uuid.UUID
}

// New makes the registrations of a database, as one process writes them.
func New(db *database.DB, owner uuid.UUID) *Registrations {
	return &Registrations{db: db, owner: owner}
}

// The columns of a contact, and all of a row.
const (
	keyColumns     = "account_id, connection_id, contact"
	bindingColumns = keyColumns + ", call_id, seq, at, registered_at, until, removed, source, transport, user_agent"
	rowValues      = 13 // but for changed, which is the same in all rows of a statement
)

// changed is how a row is numbered, by kind of database. Transactions of several nodes
// overlap, so it is the transaction's own number. A file has no other node.
var changed = [...]string{
	database.File:   "0",
	database.Server: "pg_current_xact_id()::TEXT::BIGINT",
}

// nextMark is the number from which rows are new to who looks now: with several nodes that
// of the first transaction that may not be in sight yet.
var nextMark = [...]string{
	database.File:   "SELECT 1",
	database.Server: "SELECT pg_snapshot_xmin(pg_current_snapshot())::TEXT::BIGINT",
}

// superseding replaces a row by a later one: registration.Binding's Supersedes as a condition.
var superseding = ` ON CONFLICT (` + keyColumns + `) DO UPDATE SET call_id = excluded.call_id, seq = excluded.seq,
	at = excluded.at, registered_at = excluded.registered_at, until = excluded.until, removed = excluded.removed,
	source = excluded.source, transport = excluded.transport, user_agent = excluded.user_agent, owner = excluded.owner,
	changed = excluded.changed
	WHERE CASE WHEN excluded.call_id = registrations.call_id AND excluded.seq <> registrations.seq
		AND ABS(excluded.at - registrations.at) < ` + strconv.FormatInt(registration.LongestDelay.Microseconds(), 10) + `
	THEN excluded.seq > registrations.seq ELSE excluded.at >= registrations.at END`

// SaveRegistrations implements store.Registrations. In the order of their keys, nodes that
// write the same contacts do not wait for each other in a circle.
func (r *Registrations) SaveRegistrations(ctx context.Context, list []registration.Binding) error {
	if len(list) == 0 {
		return nil
	}
	if len(list) > store.MaxRegistrationsSaved {
		return fmt.Errorf("save registrations: %d at once, at most %d are written", len(list), store.MaxRegistrationsSaved)
	}
	list = slices.SortedFunc(slices.Values(list), compareKeys)
	err := r.db.Beside(ctx, func(q table.Querier) error {
		for rest := list; len(rest) > 0; {
			// In powers of two there are few statements, which the connection keeps prepared.
			n := 1 << (bits.Len(uint(len(rest))) - 1)
			if err := r.save(ctx, q, rest[:n]); err != nil {
				return err
			}
			rest = rest[n:]
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("save registrations: %w", table.Unavailable(err))
	}
	return nil
}

// save writes contacts by one statement.
func (r *Registrations) save(ctx context.Context, q table.Querier, list []registration.Binding) error {
	values := make([]any, 0, rowValues*len(list))
	var text strings.Builder
	text.WriteString("INSERT INTO registrations (" + bindingColumns + ", owner, changed) VALUES ")
	for i := range list {
		if i > 0 {
			text.WriteString(", ")
		}
		text.WriteString("(" + r.places(1+len(values)) + ", " + changed[r.db.Kind] + ")")
		values = r.appendRow(values, &list[i])
	}
	text.WriteString(superseding)
	_, err := q.ExecContext(ctx, text.String(), values...)
	return err
}

// unnumbered are the placeholders of a row for SQLite, which looks for the name of each
// numbered one among all others.
var unnumbered = strings.Repeat("?, ", rowValues-1) + "?"

// places are the placeholders of a row whose first value has a number.
func (r *Registrations) places(first int) string {
	if r.db.Kind == database.File {
		return unnumbered
	}
	return table.Places(first, rowValues)
}

func compareKeys(a, b registration.Binding) int {
	return cmp.Or(cmp.Compare(a.Account, b.Account), cmp.Compare(a.Connection, b.Connection),
		cmp.Compare(a.Contact, b.Contact))
}

func (r *Registrations) appendRow(values []any, b *registration.Binding) []any {
	return append(values, int64(b.Account), int64(b.Connection), b.Contact, b.CallID, int64(b.Seq), b.At.UnixMicro(),
		b.RegisteredAt.UnixMicro(), b.Until.UnixMicro(), b.Removed, b.Source.String(), b.Transport, b.UserAgent, r.owner[:])
}

// RegistrationsSince implements store.Registrations.
func (r *Registrations) RegistrationsSince(ctx context.Context, mark int64) (list []registration.Binding, next int64,
	err error) {
	condition, arguments := "", []any{}
	if mark != 0 {
		condition, arguments = " WHERE changed >= $1 AND owner <> $2", []any{mark, r.owner[:]}
	}
	err = r.db.Read(ctx, table.EveryAccount, func(q table.Querier) error {
		if err := q.QueryRowContext(ctx, nextMark[r.db.Kind]).Scan(&next); err != nil {
			return err
		}
		return table.Query(ctx, q, func(rows *sql.Rows) error {
			b, err := scanBinding(rows.Scan)
			list = append(list, b)
			return err
		}, "SELECT "+bindingColumns+" FROM registrations"+condition, arguments...)
	})
	if err != nil {
		return nil, 0, fmt.Errorf("read registrations: %w", table.Unavailable(err))
	}
	return list, next, nil
}

func scanBinding(scan func(...any) error) (b registration.Binding, err error) {
	var account, connection, at, registered, until int64
	var source string
	if err := scan(&account, &connection, &b.Contact, &b.CallID, &b.Seq, &at, &registered, &until, &b.Removed, &source,
		&b.Transport, &b.UserAgent); err != nil {
		return b, err
	}
	if b.Source, err = netip.ParseAddrPort(source); err != nil {
		return b, fmt.Errorf("source of a registration: %w: %w", table.ErrCorrupt, err)
	}
	b.Account, b.Connection = id.ID(account), id.ID(connection)
	b.At, b.RegisteredAt, b.Until = fromMicros(at), fromMicros(registered), fromMicros(until)
	return b, nil
}

func fromMicros(at int64) time.Time { return time.UnixMicro(at).UTC() }

// PruneRegistrations deletes what has ended so long ago that it is not remembered. It
// looks for that without holding up others, and then deletes some at a time.
func (r *Registrations) PruneRegistrations(ctx context.Context, now time.Time) error {
	var gone []registration.Binding
	err := r.db.List(ctx, table.EveryAccount, func(rows *sql.Rows) error {
		b, err := scanBinding(rows.Scan)
		gone = append(gone, b)
		return err
	}, "SELECT "+bindingColumns+` FROM registrations WHERE until <= $1 AND (until <= $2 OR EXISTS (
		SELECT 1 FROM registrations AS o WHERE o.account_id = registrations.account_id
		AND o.connection_id = registrations.connection_id AND o.registered_at > registrations.registered_at))`,
		now.Add(-registration.EndedKept).UnixMicro(), now.Add(-registration.LatestKept).UnixMicro())
	for some := range slices.Chunk(gone, store.MaxRegistrationsSaved) {
		if err == nil {
			err = r.db.Beside(ctx, func(q table.Querier) error { return deleteUnchanged(ctx, q, some) })
		}
	}
	if err != nil {
		return fmt.Errorf("delete registrations: %w", table.Unavailable(err))
	}
	return nil
}

// deleteUnchanged deletes contacts that have not come back since they were read.
func deleteUnchanged(ctx context.Context, q table.Querier, list []registration.Binding) error {
	for i := range list {
		b := &list[i]
		_, err := q.ExecContext(ctx, `DELETE FROM registrations
			WHERE account_id = $1 AND connection_id = $2 AND contact = $3 AND at = $4`,
			int64(b.Account), int64(b.Connection), b.Contact, b.At.UnixMicro())
		if err != nil {
			return err
		}
	}
	return nil
}
