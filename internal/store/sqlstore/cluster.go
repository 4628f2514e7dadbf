package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/store"
)

// The locks of a group of commands, in the order in which every transaction takes
// them, so that none waits in a circle; before all of them turnLock, where nodes take
// turns:
//
//  1. configLock: shared by groups of commands, exclusive for writes of
//     configuration. While a group runs the configuration stands still, and its
//     number says whether this node's policy is that configuration. It is an
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
type clusterWriter struct {
	store *Store
	conn  *sql.Conn // nil when there is none

	snapshot *policy.Snapshot
	seq      int64 // of the configuration that the snapshot is, or unloaded

	owner     uuid.UUID // the present incarnation of this node
	heartbeat int64     // when it was last written, Unix microseconds

	crowd      crowding
	begun      bool  // the transaction was begun by taking a turn
	extensible bool  // the run is the last of its group
	left       *work // was taken from the queue for a run that it does not belong to

	answers []*work // that wait to be given, of transactions that are durable

	scopes map[id.ID]struct{} // that are known to have a row in ledger_scopes
	counts map[id.ID]liveCount
	known  map[uuid.UUID]knownLease // of live calls
}

// unloaded is the number of no configuration.
const unloaded = -1

// openCluster connects to PostgreSQL, becomes a node and starts the writer.
func (s *Store) openCluster(ctx context.Context) error {
	if s.config.NodeName == "" {
		name, err := os.Hostname()
		if err != nil {
			return fmt.Errorf("open store: name of the node: %w", err)
		}
		s.config.NodeName = name
	}
	if s.config.MaxClockOffset == 0 {
		s.config.MaxClockOffset = DefaultMaxClockOffset
	}
	var err error
	if s.db, err = openServer(ctx, &s.config); err != nil {
		return err
	}
	if s.stale, err = claim(ctx, s.db.write, s.config.Vault, "LOCK TABLE secret_keys IN EXCLUSIVE MODE"); err != nil {
		return errors.Join(err, s.db.close())
	}
	session, err := openSession(ctx, s)
	if err != nil {
		return errors.Join(err, s.db.close())
	}
	w := &clusterWriter{
		store: s, snapshot: s.live.Snapshot(), seq: unloaded, owner: s.config.Owner,
		scopes: make(map[id.ID]struct{}), counts: make(map[id.ID]liveCount),
		known: make(map[uuid.UUID]knownLease),
	}
	if err := w.start(ctx); err != nil {
		w.disconnect()
		return errors.Join(fmt.Errorf("open store: %w", err), session.Close(), s.db.close())
	}
	s.lock = session
	s.ended.Go(func() {
		w.run()
		w.disconnect()
	})
	return nil
}

// start registers the node and loads the policy.
func (w *clusterWriter) start(ctx context.Context) error {
	if err := w.connect(ctx); err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	now := w.store.config.Clock().UnixMicro()
	_, err := plain{w.conn}.ExecContext(ctx, `INSERT INTO nodes (owner, name, heartbeat_at, expired) VALUES ($1, $2, $3, FALSE)
		ON CONFLICT (owner) DO UPDATE SET name = excluded.name, heartbeat_at = excluded.heartbeat_at, expired = FALSE`,
		w.owner[:], w.store.config.NodeName, now)
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
func (w *clusterWriter) run() {
	g := newGatherer(w.store.queue, w.store.config.GroupSize, w.giveAnswers)
	defer g.timer.Stop()
	for g.next() {
		w.commitGroup(g.group)
		g.expected = w.company()
	}
	w.giveAnswers()
}

// company is how many commands there will be when everybody who waits for an answer
// that is to be given has asked again. A node that waits for a turn has them anyway.
func (w *clusterWriter) company() int {
	if w.crowd.turns > 0 {
		return 0
	}
	n := len(w.store.queue)
	for _, one := range w.answers {
		if !one.patient {
			n++
		}
	}
	return n
}

// giveAnswers gives the answers that wait. It comes before anything that may take long.
func (w *clusterWriter) giveAnswers() {
	for i, one := range w.answers {
		w.answers[i] = nil
		one.answer(one.err)
	}
	w.answers = w.answers[:0]
}

// commitGroup runs a group. Commands and writes of configuration are in transactions
// of their own, in the order of the queue.
func (w *clusterWriter) commitGroup(group []*work) {
	for len(group) > 0 {
		n := 1
		for n < len(group) && sameTransaction(group[0], group[n]) {
			n++
		}
		if group[0].write != nil {
			w.commitConfiguration(group[:n])
		} else {
			w.extensible = n == len(group)
			w.commitLedger(group[:n:n])
		}
		group = group[n:]
		if w.left != nil {
			group, w.left = []*work{w.left}, nil
		}
	}
}

func sameTransaction(a, b *work) bool { return kindOf(a) == kindOf(b) && kindOf(a) != workTakeover }

// workKind is what kind of transaction a piece of work needs.
type workKind uint8

const (
	workCommand workKind = iota
	workWrite
	workTakeover // ends the calls of this node's earlier runs
)

func kindOf(w *work) workKind {
	if w.write != nil {
		return workWrite
	}
	if _, ok := w.command.(admission.ExpireOwners); ok {
		return workTakeover
	}
	return workCommand
}

// undoneError says that nothing of a transaction is durable.
type undoneError struct{ error }

func (e undoneError) Unwrap() error { return e.error }

// undone wraps the error of what came before the commit.
func undone(err error) error {
	if err == nil {
		return nil
	}
	return undoneError{err}
}

// worthRepeating says whether a transaction of which nothing is durable may
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
func (w *clusterWriter) commitLedger(run []*work) {
	limit := ledgerGroupLimit
	if kindOf(run[0]) == workTakeover {
		limit = takeoverLimit
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	started := w.store.config.Clock()
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
		w.store.log.Error("commands cannot be stored; trying them apart", "error", err, "size", len(run))
		w.extensible = false // what would join the first half comes after the second
		w.commitLedger(run[:len(run)/2])
		w.commitLedger(run[len(run)/2:])
		return
	}
	w.store.observe(run, started, records, err)
	w.answer(run, err)
}

// answer has the results of a transaction that has ended given out.
func (w *clusterWriter) answer(run []*work, err error) {
	if err == nil {
		w.answers = append(w.answers, run...)
		return
	}
	w.store.log.Error("transaction failed", "error", err, "size", len(run))
	err = fmt.Errorf("%w: %w", store.ErrUnavailable, err)
	for _, one := range run {
		one.result = admission.Result{}
		one.answer(err)
	}
}

// commitConfiguration runs writes of configuration in one transaction.
func (w *clusterWriter) commitConfiguration(run []*work) {
	w.giveAnswers()
	ctx, cancel := context.WithTimeout(context.Background(), configurationLimit)
	defer cancel()
	started := w.store.config.Clock()
	err := w.tryConfiguration(ctx, run)
	w.store.observe(run, started, nil, err)
	if err != nil {
		w.disconnect()
	}
	w.answer(run, err)
}

func (w *clusterWriter) tryConfiguration(ctx context.Context, run []*work) error {
	var tx *txn
	var seq int64
	err := w.transaction(ctx, false, func(now int64) error {
		tx = &txn{querier: plain{w.conn}, snapshot: w.snapshot, store: w.store, guarded: true}
		for _, one := range run {
			if err := w.configure(ctx, tx, one); err != nil {
				return err
			}
		}
		seq = now + int64(len(tx.changes))
		return w.logChanges(ctx, tx.changes, now)
	})
	if err != nil {
		return err
	}
	configured := tx.snapshot != w.snapshot
	if configured {
		w.snapshot, w.seq = tx.snapshot, seq
		w.store.live.Publish(w.snapshot)
		w.store.unswept.Store(true)
	}
	if tx.mailed || configured { // an endpoint may have been enabled
		w.store.config.Published()
	}
	if len(tx.ending) > 0 {
		w.store.config.HungUp(tx.ending)
	}
	return nil
}

// configure runs one write in a savepoint of its own, with only its account's rows
// in sight.
func (w *clusterWriter) configure(ctx context.Context, tx *txn, one *work) error {
	if _, err := w.conn.ExecContext(ctx, "SAVEPOINT configuration; "+setAccount(one.account)); err != nil {
		return fmt.Errorf("set savepoint: %w", err)
	}
	before, changes := tx.snapshot, len(tx.changes)
	tx.account = one.account
	one.err = one.write(tx)
	end := "RELEASE configuration"
	if one.err != nil {
		tx.snapshot, tx.changes = before, tx.changes[:changes]
		end = "ROLLBACK TO configuration; RELEASE configuration"
	} else {
		tx.ending = append(tx.ending, tx.hungUp...)
	}
	end += "; " + setAccount(everyAccount)
	if _, err := w.conn.ExecContext(ctx, end); err != nil {
		return fmt.Errorf("end savepoint: %w", errors.Join(err, one.err))
	}
	return nil
}

// transaction runs f in a transaction that holds the lock of the configuration,
// alone or with others, and with a policy that is what the configuration is; f gets
// its number.
func (w *clusterWriter) transaction(ctx context.Context, shared bool, f func(seq int64) error) error {
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
	if err := w.around(commit); err != nil {
		return fmt.Errorf("commit: %w", err)
	}
	return nil
}

// begin begins a transaction that is planned for itself. It makes sure of a
// connection; one that has died since its last use is replaced.
func (w *clusterWriter) begin(ctx context.Context) error {
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

func (w *clusterWriter) around(commit func() error) error {
	if around := w.store.config.AroundCommit; around != nil {
		return around(commit)
	}
	return commit()
}

func (w *clusterWriter) connect(ctx context.Context) error {
	w.giveAnswers()
	conn, err := w.store.db.write.Conn(ctx)
	w.conn = conn
	return err
}

// disconnect closes the connection for good, and with it whatever transaction is
// open on it.
func (w *clusterWriter) disconnect() {
	if w.conn == nil {
		return
	}
	if err := w.conn.Raw(func(any) error { return errDiscard }); err != nil && !errors.Is(err, errDiscard) &&
		!errors.Is(err, sql.ErrConnDone) {
		w.store.log.Warn("close connection", "error", err)
	}
	if err := w.conn.Close(); err != nil && !errors.Is(err, sql.ErrConnDone) && !errors.Is(err, errDiscard) {
		w.store.log.Warn("close connection", "error", err)
	}
	w.conn = nil
}

// native runs f with the connection as pgx has it, for batches.
func (w *clusterWriter) native(f func(*pgx.Conn) error) error {
	return w.conn.Raw(func(c any) error { return f(c.(*stdlib.Conn).Conn()) })
}

// sendFirst sends the first batch of a transaction, gives the answers of the one
// before, and then waits for the results.
func (w *clusterWriter) sendFirst(ctx context.Context, b *pgx.Batch) error {
	return w.native(func(c *pgx.Conn) error {
		results := c.SendBatch(ctx, b)
		w.giveAnswers()
		return results.Close()
	})
}

// addScopes makes the rows that are there to be locked. It does so beside the
// transaction, which must not wait for another one's new rows: their order would
// not be that of the ids.
func (w *clusterWriter) addScopes(ctx context.Context, scopes []int64) error {
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
	_, err := w.store.db.write.ExecContext(ctx,
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

// heartbeatEvery is how often a node says that it is there. Each tick runs a group,
// so that it does even when it has no calls.
const heartbeatEvery = 900 * time.Millisecond
