// Package postgres is the ledger of a node that shares a PostgreSQL database with
// others, and its connections.
//
// Nothing in memory is relied on: the policy is caught up on before each group is
// decided, and what is remembered of leases is compared with them. A group locks the
// profiles that it touches, loads what its commands need, applies them to it and writes
// the changes. See docs/decisions/0006-postgresql-groups.md.
package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/store/sqlstore/ledger"
	"github.com/tollgate/tollgate/internal/store/sqlstore/table"
)

// Ledger is the ledger of a node that shares a PostgreSQL database with others,
// and the connections to it.
type Ledger struct {
	ledger.Settings
	node      Node
	queue     *ledger.Queue
	paces     admission.Paces // of this server
	connector *pgx.ConnConfig // how more connections are made
	write     *sql.DB
	read      *sql.DB
	presence  *presence
	forgotten record.Day // when old nodes were last forgotten
	ended     sync.WaitGroup
}

// Node is which node this is, of which database.
type Node struct {
	DatabaseURL    string        // or the key=value words of libpq
	Name           string        // tells it from the other nodes
	MaxClockOffset time.Duration // that of sqlstore.Config
}

// Open connects to PostgreSQL, becomes a node and starts the writer. It
// fails when another process has the name of the node.
func Open(ctx context.Context, node Node, settings ledger.Settings, queue *ledger.Queue) (*Ledger, error) {
	l := &Ledger{Settings: settings, node: node, queue: queue}
	var err error
	if err = l.openPools(ctx); err != nil {
		return nil, err
	}
	if err = l.Claim(ctx, l.write, "LOCK TABLE secret_keys IN EXCLUSIVE MODE"); err != nil {
		return nil, errors.Join(err, l.closePools())
	}
	if l.presence, err = openPresence(ctx, l); err != nil {
		return nil, errors.Join(err, l.closePools())
	}
	w := l.newWriter()
	if err := w.start(ctx); err != nil {
		w.disconnect()
		return nil, errors.Join(fmt.Errorf("open store: %w", err), l.presence.Close(), l.closePools())
	}
	l.ended.Go(func() {
		w.run()
		w.disconnect()
	})
	return l, nil
}

func (l *Ledger) closePools() error { return errors.Join(l.read.Close(), l.write.Close()) }

// Close waits until what was queued is committed, and gives the name of the node back.
// The queue was closed before.
func (l *Ledger) Close() error {
	l.ended.Wait()
	return errors.Join(l.presence.Close(), l.closePools())
}

// Read runs f in a transaction that sees one state of the database, and the rows of the
// account alone, or of all with EveryAccount.
func (l *Ledger) Read(ctx context.Context, account id.ID, f func(table.Querier) error) error {
	return reading(ctx, l.read, account, f)
}

func reading(ctx context.Context, pool *sql.DB, account id.ID, f func(table.Querier) error) error {
	tx, err := beginRead(ctx, pool, account)
	if err != nil {
		return err
	}
	return errors.Join(f(plain{tx}), tx.Rollback())
}

// beginRead begins a transaction that is narrowed down to an account. After the
// server was lost every idle connection is dead, and is found out only by its use.
func beginRead(ctx context.Context, pool *sql.DB, account id.ID) (tx *sql.Tx, err error) {
	options := &sql.TxOptions{ReadOnly: true, Isolation: sql.LevelRepeatableRead}
	for range pool.Stats().MaxOpenConnections + 1 {
		if tx, err = pool.BeginTx(ctx, options); err == nil {
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

// setAccount is the statement that narrows a transaction down to one account.
func setAccount(account id.ID) string {
	name := everything
	if account != table.EveryAccount {
		name = account.String()
	}
	return "SET LOCAL tollgate.account = '" + name + "'"
}

// Beside runs f in a transaction of its own, which no command waits for.
func (l *Ledger) Beside(ctx context.Context, f func(table.Querier) error) error {
	tx, err := l.write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := f(plain{tx}); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

// ReadLedger is Read: the tables are the ledger.
func (l *Ledger) ReadLedger(ctx context.Context, account id.ID, f func(table.Querier) error) error {
	return l.Read(ctx, account, f)
}

// Lease finds a live call, or nil.
func (l *Ledger) Lease(ctx context.Context, account id.ID, call uuid.UUID) (found *admission.Lease, err error) {
	err = l.Read(ctx, account, func(tx table.Querier) (err error) {
		found, err = table.ScanLease(tx.QueryRowContext(ctx,
			"SELECT "+table.LeaseColumns+" FROM leases WHERE account_id = $1 AND id = $2", int64(account), call[:]).Scan)
		return err
	})
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return found, err
}

// Tick ends the calls whose leases have ended, in batches, so that other commands come
// in between, reports the calls of this node that were hung up, and forgets nodes.
func (l *Ledger) Tick(ctx context.Context) error {
	return errors.Join(l.expire(ctx), l.tellHungUp(ctx), l.forgetNodes(ctx))
}

func (l *Ledger) expire(ctx context.Context) error {
	for {
		result, err := l.queue.Do(ctx, admission.Expire{})
		if err != nil || len(result.Expired) < expireAtOnce {
			return err
		}
	}
}

// forgetNodes deletes, once a day, the rows of nodes that were given up a day ago and
// have no leases any more.
func (l *Ledger) forgetNodes(ctx context.Context) error {
	today := record.DayOf(l.Clock().UnixMicro())
	if today == l.forgotten {
		return nil
	}
	err := l.queue.Wait(ctx, &ledger.Work{Write: func(tx *ledger.Tx) error {
		_, err := tx.ExecContext(ctx, `DELETE FROM nodes WHERE expired AND heartbeat_at < $1
			AND NOT EXISTS (SELECT 1 FROM leases WHERE leases.owner = nodes.owner)`,
			l.Clock().Add(-24*time.Hour).UnixMicro())
		return err
	}})
	if err != nil {
		return fmt.Errorf("forget nodes: %w", err)
	}
	l.forgotten = today
	return nil
}

// hangUpChannel is the channel of notifications about hang-ups.
const hangUpChannel = "tollgate_hangups"

// tellHungUp reports the calls of this node that were hung up and have not ended: when
// it is notified, and once a second, since a notification can be lost.
func (l *Ledger) tellHungUp(ctx context.Context) error {
	var calls []uuid.UUID
	err := l.Read(ctx, table.EveryAccount, func(tx table.Querier) error {
		return table.Query(ctx, tx, func(rows *sql.Rows) error {
			var call uuid.UUID
			err := rows.Scan(&call)
			calls = append(calls, call)
			return err
		}, "SELECT id FROM leases WHERE hung_up AND owner IN (SELECT owner FROM nodes WHERE name = $1)",
			plainText(l.node.Name))
	})
	if err != nil {
		return fmt.Errorf("look for calls that were hung up: %w", err)
	}
	if len(calls) > 0 {
		l.HungUp(calls)
	}
	return nil
}

// serverInside is what the writer does for a write of configuration.
type inside struct {
	table.Querier
	ledger  *Ledger
	tx      *ledger.Tx
	account id.ID // to which row-level security holds the write
}

// newTx is the transaction that is open, with the rows of all accounts in sight.
func (w *writer) newTx() *ledger.Tx {
	tx := &ledger.Tx{Querier: plain{w.conn}, Snapshot: w.snapshot}
	tx.Inside = &inside{Querier: tx.Querier, ledger: w.ledger, tx: tx, account: table.EveryAccount}
	return tx
}

func (i *inside) Within(ctx context.Context, account id.ID, f func() error) error {
	mine := i.account
	if account == mine {
		return f()
	}
	if err := i.see(ctx, account); err != nil {
		return err
	}
	if err := f(); err != nil {
		i.account = mine
		return err // the write is undone, and the setting with it
	}
	return i.see(ctx, mine)
}

// see has only the rows of an account in sight from here on.
func (i *inside) see(ctx context.Context, account id.ID) error {
	_, err := i.ExecContext(ctx, setAccount(account))
	i.account = account
	return err
}

// insertAtOnce is how many rows one statement writes.
const insertAtOnce = 64

func (i *inside) Insert(ctx context.Context, head string, columns int, values []any) error {
	for rows := range slices.Chunk(values, insertAtOnce*columns) {
		var text strings.Builder
		text.WriteString(head)
		for i := range rows {
			switch {
			case i == 0:
				text.WriteString("(")
			case i%columns == 0:
				text.WriteString("), (")
			default:
				text.WriteString(", ")
			}
			fmt.Fprintf(&text, "$%d", i+1)
		}
		text.WriteString(")")
		if _, err := i.ExecContext(ctx, text.String(), rows...); err != nil {
			return err
		}
	}
	return nil
}

func (i *inside) Afterwards(func(*admission.State)) {}

func (i *inside) Leases(ctx context.Context, account id.ID,
	calls []uuid.UUID) (leases []*admission.Lease, err error) {
	if len(calls) == 0 {
		return nil, nil
	}
	ids := make([][]byte, len(calls))
	for n := range calls {
		ids[n] = calls[n][:]
	}
	err = table.Query(ctx, i, func(rows *sql.Rows) error {
		l, err := table.ScanLease(rows.Scan)
		leases = append(leases, l)
		return err
	}, "SELECT "+table.LeaseColumns+" FROM leases WHERE account_id = $1 AND id = ANY($2)", int64(account), ids)
	return leases, err
}

// HangUp marks the leases. The write has the ledger to itself, as every write has.
func (i *inside) HangUp(ctx context.Context, calls []*admission.Lease, marks []admission.HangUp) error {
	now := i.ledger.Clock()
	state := admission.NewState()
	state.RestorePart(admission.Part{Leases: calls}, now)
	for _, mark := range marks {
		state.Apply(i.tx.Snapshot, mark, now)
	}
	changes := state.TakeChanges()
	if err := i.ledger.Announce(ctx, i.tx, &changes); err != nil {
		return err
	}
	ids, bodies := make([][]byte, len(changes.Leases)), make([][]byte, len(changes.Leases))
	for n, l := range changes.Leases {
		ids[n], bodies[n] = l.ID[:], table.AppendLease(make([]byte, 0, 512), l)
	}
	_, err := i.ExecContext(ctx, `UPDATE leases SET hung_up = TRUE, body = marked.body
		FROM unnest($1::BYTEA[], $2::BYTEA[]) AS marked (id, body) WHERE leases.id = marked.id`, ids, bodies)
	if err != nil {
		return err
	}
	_, err = i.ExecContext(ctx, "SELECT pg_notify($1, '')", hangUpChannel)
	return err
}

func (i *inside) OwnerLost(ctx context.Context, l *admission.Lease) (lost bool, err error) {
	if admission.IsSwitchID(l.Owner) || l.Owner == i.ledger.Owner {
		return false, nil
	}
	oldest := i.ledger.Clock().Add(-deadAfter).UnixMicro()
	err = i.QueryRowContext(ctx, "SELECT expired OR heartbeat_at < $2 FROM nodes WHERE owner = $1", l.Owner[:],
		oldest).Scan(&lost)
	if errors.Is(err, sql.ErrNoRows) {
		return true, nil
	}
	return lost, err
}
