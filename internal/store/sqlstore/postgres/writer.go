package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/store/sqlstore/ledger"
	"github.com/tollgate/tollgate/internal/store/sqlstore/table"
)

// The locks of a group of commands, in the order in which every transaction takes
// them, so that none waits in a circle; before all of them turnLock, where nodes take
// turns:
//
//  1. configLock: shared by groups of commands, exclusive for writes of
//     configuration. While a group runs the configuration stands still, and its
//     number reports whether this node's policy is that configuration. It is an
//     advisory lock, since those are given in turn: groups cannot starve a write.
//  2. the node's own row in nodes, which no other node waits for.
//  3. the rows of ledger_scopes, by id: every profile of the group, and accounts and
//     connections that have a limit. A transaction that adds or takes a lease of a profile, or
//     moves its money, holds the profile's row.
const configLock int64 = 0x746f6c6c67617465

// clusterAttempts is how often a group is tried of whose transaction nothing is
// durable: on a new connection, or after another node's transaction.
const clusterAttempts = 4

// clusterWriter is the writer of a node that shares a PostgreSQL database. All of
// its fields belong to its goroutine. None is a truth of its own: the policy is
// compared before it is used, the counts only show what no limit is set on, and what
// is known of leases is compared with them.
type writer struct {
	ledger *Ledger
	conn   *sql.Conn // nil when there is none

	snapshot *policy.Snapshot
	seq      int64 // of the configuration that the snapshot is, or unloaded

	owner     uuid.UUID // the present incarnation of this node
	heartbeat int64     // when it was last written, Unix microseconds

	crowd      crowding
	begun      bool         // the transaction was begun by taking a turn
	extensible bool         // the run is the last of its group
	left       *ledger.Work // was taken from the queue for a run that it does not belong to

	answers []*ledger.Work // that wait to be given, of transactions that are durable

	scopes map[id.ID]struct{} // that are known to have a row in ledger_scopes
	counts map[id.ID]liveCount
	known  map[uuid.UUID]knownLease // of live calls
}

// unloaded is the number of no configuration.
const unloaded = -1

func (l *Ledger) newWriter() *writer {
	return &writer{
		ledger: l, snapshot: l.Live.Snapshot(), seq: unloaded, owner: l.Owner,
		scopes: make(map[id.ID]struct{}), counts: make(map[id.ID]liveCount), known: make(map[uuid.UUID]knownLease),
	}
}

// start registers the node and loads the policy.
func (w *writer) start(ctx context.Context) error {
	if err := w.connect(ctx); err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	now := w.ledger.Clock().UnixMicro()
	_, err := plain{w.conn}.ExecContext(ctx, `INSERT INTO nodes (owner, name, heartbeat_at, expired) VALUES ($1, $2, $3, FALSE)
		ON CONFLICT (owner) DO UPDATE SET name = excluded.name, heartbeat_at = excluded.heartbeat_at, expired = FALSE`,
		w.owner[:], w.ledger.node.Name, now)
	if err != nil {
		return fmt.Errorf("register node: %w", err)
	}
	w.heartbeat = now
	return w.transaction(ctx, true, func(int64) error { return nil })
}

// run takes groups from the queue until it is closed and empty.
//
// A group is answered when the next one has been sent to the server, if there is one
// at once: the server then works on that, while the processes that share the machine
// with it work on the answers.
func (w *writer) run() {
	w.ledger.queue.Groups(w.ledger.GroupSize, w.giveAnswers, func(group []*ledger.Work) int {
		w.commitGroup(group)
		return w.company()
	})
	w.giveAnswers()
}

// company is how many commands there will be when everybody who waits for an answer
// that is to be given has asked again. A node that waits for a turn has them anyway.
func (w *writer) company() int {
	if w.crowd.turns > 0 {
		return 0
	}
	n := w.ledger.queue.Len()
	for _, one := range w.answers {
		if !one.Patient {
			n++
		}
	}
	return n
}

// giveAnswers gives the answers that wait. It comes before anything that may take long.
func (w *writer) giveAnswers() {
	for i, one := range w.answers {
		w.answers[i] = nil
		one.Answer(one.Err)
	}
	w.answers = w.answers[:0]
}

// commitGroup runs a group. Commands and writes of configuration are in transactions
// of their own, in the order of the queue.
func (w *writer) commitGroup(group []*ledger.Work) {
	for len(group) > 0 {
		n := 1
		for n < len(group) && sameTransaction(group[0], group[n]) {
			n++
		}
		if group[0].Write != nil {
			w.commitConfiguration(group[:n])
		} else {
			w.extensible = n == len(group)
			w.commitLedger(group[:n:n])
		}
		group = group[n:]
		if w.left != nil {
			group, w.left = []*ledger.Work{w.left}, nil
		}
	}
}

func sameTransaction(a, b *ledger.Work) bool {
	return kindOf(a) == kindOf(b) && kindOf(a) != workTakeover
}

// workKind is what kind of transaction a piece of work needs.
type workKind uint8

const (
	workCommand workKind = iota
	workWrite
	workTakeover // ends the calls of this node's earlier runs
)

func kindOf(w *ledger.Work) workKind {
	if w.Write != nil {
		return workWrite
	}
	if _, ok := w.Command.(admission.ExpireOwners); ok {
		return workTakeover
	}
	return workCommand
}

// undoneError means that nothing of a transaction is durable.
type undoneError struct{ error }

func (e undoneError) Unwrap() error { return e.error }

// undone wraps the error of what came before the commit.
func undone(err error) error {
	if err == nil {
		return nil
	}
	return undoneError{err}
}

// worthRepeating reports whether a transaction of which nothing is durable may
// succeed when it is tried again at once.
func worthRepeating(err error) bool {
	switch sqlState(err) {
	case stateUniqueViolation, stateSerializationFailure, stateDeadlock:
		// Another node was faster. What it wrote is seen the next time.
		return true
	}
	return isConnectionError(err) || errors.Is(err, errOverlooked)
}

// commitLedger runs commands in one transaction, again when nothing of it is
// durable. It then answers them.
func (w *writer) commitLedger(run []*ledger.Work) {
	limit := ledgerGroupLimit
	if kindOf(run[0]) == workTakeover {
		limit = takeoverLimit
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	started := w.ledger.Clock()
	var records []*record.Call
	var err error
	for range clusterAttempts {
		w.begun = false
		if run, err = w.takeTurn(ctx, run); err != nil {
			err = undone(err)
		} else if records, err = w.tryLedger(ctx, run, errors.Is(err, errOverlooked)); err == nil {
			break
		}
		w.disconnect()
		if !errors.As(err, new(undoneError)) || !worthRepeating(err) || ctx.Err() != nil {
			break
		}
	}
	if class := sqlState(err); len(run) > 1 && len(class) == 5 && (class[:2] == "22" || class[:2] == "23") {
		// One of them cannot be stored; it must not take the others with it.
		w.ledger.Logger.Error("commands cannot be stored; trying them apart", "error", err, "size", len(run))
		w.extensible = false // what would join the first half comes after the second
		w.commitLedger(run[:len(run)/2])
		w.commitLedger(run[len(run)/2:])
		return
	}
	w.ledger.Ended(run, w.ledger.queue.Len(), started, records, err)
	w.answer(run, err)
}

// answer has the results of a transaction that has ended given out.
func (w *writer) answer(run []*ledger.Work, err error) {
	if err == nil {
		w.answers = append(w.answers, run...)
		return
	}
	w.ledger.Logger.Error("transaction failed", "error", err, "size", len(run))
	err = fmt.Errorf("%w: %w", collection.ErrUnavailable, err)
	for _, one := range run {
		one.Result = admission.Result{}
		one.Answer(err)
	}
}

// commitConfiguration runs writes of configuration in one transaction.
func (w *writer) commitConfiguration(run []*ledger.Work) {
	w.giveAnswers()
	ctx, cancel := context.WithTimeout(context.Background(), configurationLimit)
	defer cancel()
	started := w.ledger.Clock()
	err := w.tryConfiguration(ctx, run)
	w.ledger.Ended(run, w.ledger.queue.Len(), started, nil, err)
	if err != nil {
		w.disconnect()
	}
	for _, one := range run {
		one.Settle()
	}
	w.answer(run, err)
}

func (w *writer) tryConfiguration(ctx context.Context, run []*ledger.Work) error {
	var tx *ledger.Tx
	var seq int64
	err := w.transaction(ctx, false, func(now int64) error {
		tx = w.newTx()
		for _, one := range run {
			if err := w.configure(ctx, tx, one); err != nil {
				return err
			}
		}
		seq = now + int64(len(tx.Changes))
		return w.logChanges(ctx, tx.Changes, now)
	})
	if err != nil {
		return err
	}
	configured := tx.Snapshot != w.snapshot
	if configured {
		w.snapshot, w.seq = tx.Snapshot, seq
		w.ledger.Live.Publish(w.snapshot)
	}
	w.ledger.Committed(tx, configured)
	return nil
}

// configure runs one write in a savepoint of its own, with only its account's rows
// in sight.
func (w *writer) configure(ctx context.Context, tx *ledger.Tx, one *ledger.Work) error {
	inside := tx.Inside.(*inside)
	if _, err := w.conn.ExecContext(ctx, "SAVEPOINT configuration; "+setAccount(one.Account)); err != nil {
		return fmt.Errorf("set savepoint: %w", err)
	}
	before, changes, ending := tx.Snapshot, len(tx.Changes), len(tx.Ending)
	inside.account = one.Account
	one.Err = one.Write(tx)
	end := "RELEASE configuration"
	if one.Err != nil {
		tx.Snapshot = before
		tx.Changes = tx.Changes[:changes]
		tx.Ending = tx.Ending[:ending]
		end = "ROLLBACK TO configuration; RELEASE configuration"
	}
	end += "; " + setAccount(table.EveryAccount)
	inside.account = table.EveryAccount
	if _, err := w.conn.ExecContext(ctx, end); err != nil {
		return fmt.Errorf("end savepoint: %w", errors.Join(err, one.Err))
	}
	return nil
}

// transaction runs f in a transaction that holds the lock of the configuration,
// alone or with others, and with a policy that is what the configuration is; f gets
// its number.
func (w *writer) transaction(ctx context.Context, shared bool, f func(seq int64) error) error {
	text := "SELECT pg_advisory_xact_lock($1)"
	if shared {
		text = "SELECT pg_advisory_xact_lock_shared($1)"
	}
	if err := w.begin(ctx); err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	if _, err := w.conn.ExecContext(ctx, text, configLock); err != nil {
		return fmt.Errorf("lock configuration: %w", err)
	}
	var seq int64
	if err := w.conn.QueryRowContext(ctx, "SELECT seq FROM config_state").Scan(&seq); err != nil {
		return fmt.Errorf("read configuration: %w", err)
	}
	if err := w.catchUp(ctx, seq); err != nil {
		return err
	}
	if err := f(seq); err != nil {
		return err
	}
	commit := func() error {
		_, err := w.conn.ExecContext(ctx, "COMMIT")
		return err
	}
	if err := w.ledger.Commit(commit); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// begin begins a transaction that is planned for itself. It makes sure of a
// connection; one that has died since its last use is replaced.
func (w *writer) begin(ctx context.Context) error {
	const text = "BEGIN; " + ownPlans
	if w.conn != nil {
		_, err := w.conn.ExecContext(ctx, text)
		if err == nil || !isConnectionError(err) {
			return err
		}
		w.disconnect()
	}
	if err := w.connect(ctx); err != nil {
		return err
	}
	_, err := w.conn.ExecContext(ctx, text)
	return err
}

func (w *writer) connect(ctx context.Context) error {
	w.giveAnswers()
	conn, err := w.ledger.write.Conn(ctx)
	w.conn = conn
	return err
}

// disconnect closes the connection for good, and with it whatever transaction is
// open on it.
func (w *writer) disconnect() {
	if w.conn == nil {
		return
	}
	if err := w.conn.Raw(func(any) error { return table.ErrDiscard }); err != nil && !errors.Is(err, table.ErrDiscard) &&
		!errors.Is(err, sql.ErrConnDone) {
		w.ledger.Logger.Warn("close connection", "error", err)
	}
	if err := w.conn.Close(); err != nil && !errors.Is(err, sql.ErrConnDone) && !errors.Is(err, table.ErrDiscard) {
		w.ledger.Logger.Warn("close connection", "error", err)
	}
	w.conn = nil
}

// native runs f with the connection as pgx has it, for batches.
func (w *writer) native(f func(*pgx.Conn) error) error {
	return w.conn.Raw(func(c any) error { return f(c.(*stdlib.Conn).Conn()) })
}

// sendFirst sends the first batch of a transaction, gives the answers of the one
// before, and then waits for the results.
func (w *writer) sendFirst(ctx context.Context, b *pgx.Batch) error {
	return w.native(func(c *pgx.Conn) error {
		results := c.SendBatch(ctx, b)
		w.giveAnswers()
		return results.Close()
	})
}

// addScopes makes the rows that serve as locks. It does so beside the
// transaction, which must not wait for another one's new rows: their order would
// not be that of the ids.
func (w *writer) addScopes(ctx context.Context, scopes []int64) error {
	var missing []int64
	for _, scope := range scopes {
		if _, known := w.scopes[id.ID(scope)]; !known {
			missing = append(missing, scope)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	w.giveAnswers()
	_, err := w.ledger.write.ExecContext(ctx,
		"INSERT INTO ledger_scopes (id) SELECT unnest($1::BIGINT[]) ON CONFLICT (id) DO NOTHING", missing)
	if err != nil {
		return fmt.Errorf("add rows to lock: %w", err)
	}
	for _, scope := range missing {
		w.scopes[id.ID(scope)] = struct{}{}
	}
	return nil
}

// deadAfter is how long a node may be silent before the others give it up. Nothing
// of its calls ends before their leases do.
const deadAfter = 10 * time.Second

// heartbeatEvery is how often a node says that it is alive. Each tick runs a group,
// so that it does even when it has no calls.
const heartbeatEvery = 900 * time.Millisecond
