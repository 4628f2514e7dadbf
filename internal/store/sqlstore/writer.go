package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/store"
)

// work is one thing for the writer: an admission command, a write of configuration, a
// look at the ledger in memory, or just that the journal be folded. Exactly one of
// command, write, look and fold is set.
type work struct {
	command admission.Command
	done    func(admission.Result, error) // of a command that was submitted

	write    func(*txn) error
	account  id.ID // whose rows the write may see, or everyAccount
	look     func(*admission.State)
	fold     bool
	answered chan error // where done is nil; has room for one

	patient bool // no one waits for the answer; see gatherer

	result admission.Result
	err    error
}

func (w *work) answer(err error) {
	if w.done == nil {
		w.answered <- err
		return
	}
	w.done(w.result, err)
}

// folds says whether the tables must be up to date for it, or with it: with the
// expiry of leases they are once a second.
func (w *work) folds() bool {
	_, expire := w.command.(admission.Expire)
	return w.fold || w.write != nil || expire
}

// writer owns the one connection that writes, the admission state, and the policy
// snapshot that is in force. All of its fields belong to its goroutine.
type writer struct {
	store  *Store
	conn   *sql.Conn
	insert map[string]*bulk

	state    *admission.State // nil when it must be built again from the database
	unfolded unfolded         // what is in the journal
	uncopied int              // commands since the last checkpoint that was asked for

	checkpoints chan<- struct{} // asks for one; may be nil

	entry    []byte           // for the encoding of one
	snapshot *policy.Snapshot // as committed
	stale    bool             // the snapshot may be behind the database
	accounts map[id.ID]id.ID  // of the profiles that have spends or callee counts
	places   map[uuid.UUID]int64
	// The places of leases rise. Those after foldedPlace are not in the table yet.
	lastPlace, foldedPlace int64

	lastWall time.Time     // of the last group, by both clocks
	lastTick time.Duration //
	step     time.Duration // by which the time of day was set forward, until that is durable
}

// txn is what a write of configuration works with: the open transaction, and the
// policy as the writes before it in the same transaction have made it.
type txn struct {
	querier
	snapshot *policy.Snapshot
	written  // by the write that is running
	store    *Store
	writer   *writer         // nil with PostgreSQL
	mailed   bool            // deliveries of webhooks were made
	changes  []policy.Change // of the policy, for other nodes
	account  id.ID           // to which row-level security holds the write
	guarded  bool            // there is row-level security
	after    []func(*admission.State)
	ending   []uuid.UUID // the calls that the writes so far have hung up
}

// afterwards runs f on the ledger in memory, where there is one, once the write that
// is running has succeeded.
func (t *txn) afterwards(f func(*admission.State)) { t.after = append(t.after, f) }

// exec runs a statement.
func (t *txn) exec(ctx context.Context, text string, args ...any) error {
	_, err := t.ExecContext(ctx, text, args...)
	return err
}

// apply puts changes of the policy in force for whatever comes after in this
// transaction, and for everybody once it has committed.
func (t *txn) apply(changes ...policy.Change) error {
	if err := t.applyHere(changes...); err != nil {
		return err
	}
	t.changes = append(t.changes, changes...)
	return nil
}

// acrossAccounts runs f with the rows of all accounts in sight: for rules that hold
// across them, since a SIP request shows no account.
func (t *txn) acrossAccounts(ctx context.Context, f func() error) error {
	return t.within(ctx, everyAccount, f)
}

// within runs f with the rows of another account in sight, for what belongs to
// the caller and not to the account that is written to.
func (t *txn) within(ctx context.Context, account id.ID, f func() error) error {
	if !t.guarded || account == t.account {
		return f()
	}
	if _, err := t.ExecContext(ctx, setAccount(account)); err != nil {
		return err
	}
	if err := f(); err != nil {
		return err // the write is undone, and the setting with it
	}
	_, err := t.ExecContext(ctx, setAccount(t.account))
	return err
}

// applyHere is apply for what the other nodes find out by themselves.
func (t *txn) applyHere(changes ...policy.Change) error {
	next, err := t.snapshot.With(changes...)
	if err != nil {
		return err
	}
	t.snapshot = next
	return nil
}

// commitGroup runs a group in one transaction and answers it. No command is answered
// before the transaction is durable and its policy is in force.
func (w *writer) commitGroup(group []*work) {
	started := w.store.config.Clock()
	var records []*record.Call
	err := w.ready()
	if err == nil {
		records, err = w.tryGroup(group)
	}
	w.store.behind.Store(err == nil && w.unfolded.commands > 0)
	w.store.observe(group, started, records, err)
	if err != nil {
		w.store.log.Error("transaction failed", "error", err, "size", len(group))
		w.recover(group)
		err = fmt.Errorf("%w: %w", store.ErrUnavailable, err)
	}
	for _, one := range group {
		if one.write != nil {
			w.store.versions.change(one.account)
		}
	}
	for _, one := range group {
		if err != nil {
			one.result = admission.Result{}
			one.answer(err)
			continue
		}
		one.answer(one.err)
	}
	if w.unfolded.commands >= foldCommands {
		w.foldNow()
	}
	w.countUncopied(len(group))
}

// tryGroup returns the records that it wrote, or an error when nothing of the group
// may be taken for durable.
func (w *writer) tryGroup(group []*work) (records []*record.Call, err error) {
	ctx := context.Background() // a transaction is never given up halfway
	if _, err := w.conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return nil, fmt.Errorf("begin: %w", err)
	}
	if err := w.remember(ctx, group); err != nil {
		return nil, fmt.Errorf("look for repeated commands: %w", err)
	}
	if w.lookForStep(); w.step != 0 {
		w.state.Stepped(w.step)
	}
	tx := &txn{querier: w.conn, snapshot: w.snapshot, store: w.store, writer: w}
	commands, folds := 0, false
	for _, one := range group {
		folds = folds || one.folds()
		if one.command != nil {
			one.result = w.apply(tx.snapshot, one.command)
			commands++
			continue
		}
		if one.look != nil {
			one.look(w.state)
			continue
		}
		// What the commands before it have changed is in the tables for it to see.
		ended, err := w.flush(ctx, tx, commands, true)
		if err != nil {
			return nil, err
		}
		commands = 0
		records = append(records, ended...)
		if one.write == nil {
			continue
		}
		if err := w.configure(ctx, tx, one); err != nil {
			return nil, err
		}
	}
	ended, err := w.flush(ctx, tx, commands, folds)
	if err != nil {
		return nil, err
	}
	records = append(records, ended...)
	if w.unfolded.commands == 0 {
		w.state.Forget() // the tables know it
	}
	commit := func() error {
		_, err := w.conn.ExecContext(ctx, "COMMIT")
		return err
	}
	if around := w.store.config.AroundCommit; around != nil {
		inner := commit
		commit = func() error { return around(inner) }
	}
	if err := commit(); err != nil {
		return nil, fmt.Errorf("commit: %w", err)
	}
	w.step = 0
	configured := tx.snapshot != w.snapshot
	if configured {
		w.snapshot = tx.snapshot
		w.store.live.Publish(w.snapshot)
		w.store.unswept.Store(true)
	}
	if tx.mailed || configured { // an endpoint may have been enabled
		w.store.config.Published()
	}
	if len(tx.ending) > 0 {
		w.store.config.HungUp(tx.ending)
	}
	return records, nil
}

// flush writes what commands have changed, and the events of it: to the tables, or to
// the journal while it has room.
func (w *writer) flush(ctx context.Context, tx *txn, commands int, fold bool) ([]*record.Call, error) {
	changes := w.state.TakeChanges()
	gone := w.place(&changes)
	// One command can change a great deal, as when the leases of a dead process end.
	size := max(commands, len(changes.Leases)+len(changes.Records))
	write := w.journal
	if fold || size >= foldCommands {
		write = w.fold
	}
	if err := write(ctx, &changes, gone, commands); err != nil {
		return nil, err
	}
	return changes.Records, tx.announceCalls(ctx, &changes)
}

// apply carries out a command. What has ended is remembered until its record is in
// the tables.
func (w *writer) apply(snapshot *policy.Snapshot, command admission.Command) admission.Result {
	result := w.state.Apply(snapshot, command, w.store.config.Clock())
	if result.Record != nil {
		w.state.Remember(result.Record)
	}
	for _, r := range result.Expired {
		w.state.Remember(r)
	}
	if f := &result.Decision.Facts; f.Profile != 0 { // what is refused may be told of too
		w.accounts[f.Profile] = f.Account
	}
	return result
}

// configure runs a write of configuration in a savepoint of its own, so that one
// that fails leaves nothing behind and harms no other of the group.
func (w *writer) configure(ctx context.Context, tx *txn, one *work) error {
	if _, err := w.conn.ExecContext(ctx, "SAVEPOINT configuration"); err != nil {
		return fmt.Errorf("set savepoint: %w", err)
	}
	before := tx.snapshot
	tx.after = nil
	one.err = one.write(tx)
	end := "RELEASE configuration"
	if one.err != nil {
		tx.snapshot = before
		end = "ROLLBACK TO configuration; RELEASE configuration"
	}
	// When SQLite itself gave the transaction up, as on a full disk, there is no
	// savepoint any more and this fails too.
	if _, err := w.conn.ExecContext(ctx, end); err != nil {
		return fmt.Errorf("end savepoint: %w", errors.Join(err, one.err))
	}
	if one.err == nil {
		tx.ending = append(tx.ending, tx.hungUp...)
		for _, f := range tx.after {
			f(w.state)
		}
	}
	return nil
}

// remember tells the state about the ended calls that commands of the group name.
// Reserve is looked up too: its ids come from outside, and one that was used
// before must have its first answer again, not a second call.
func (w *writer) remember(ctx context.Context, group []*work) error {
	var unknown []uuid.UUID
	for _, one := range group {
		call, ok := admission.CallOf(one.command)
		if ok && !w.state.Knows(call) {
			unknown = append(unknown, call)
		}
	}
	ended, err := w.findEnded(ctx, unknown)
	if err != nil {
		return err
	}
	for _, call := range ended {
		r, err := scanRecord(w.conn.QueryRowContext(ctx,
			"SELECT "+recordColumns+" FROM call_records WHERE id = $1", call[:]).Scan)
		if err == nil {
			err = addSlices(ctx, w.conn, []*record.Call{r})
		}
		if err != nil {
			return err
		}
		w.state.Remember(r)
	}
	return nil
}

// recover ends what is left of a failed transaction. Its commit may have
// persisted all the same, so what is in memory is given up.
func (w *writer) recover(group []*work) {
	w.state = nil
	for _, one := range group {
		if one.write != nil {
			w.stale = true
		}
	}
	if err := w.ready(); err != nil {
		w.store.log.Error("ledger cannot be read back; refusing all commands", "error", err)
	}
}

// stepLeast is what counts as a step of the time of day and not as its being kept right.
const stepLeast = time.Second

// lookForStep compares the time of day with the clock that is never set.
func (w *writer) lookForStep() {
	monotonic := w.store.config.Monotonic
	if monotonic == nil {
		return
	}
	wall, tick := w.store.config.Clock(), monotonic()
	if !w.lastWall.IsZero() {
		// Round strips the monotonic reading that the time of day may have of its own.
		if by := wall.Round(0).Sub(w.lastWall.Round(0)) - (tick - w.lastTick); by >= stepLeast {
			w.step += by
			w.store.log.Warn("the time of day was set forward; leases are kept for as much longer", "by", by)
		}
	}
	w.lastWall, w.lastTick = wall, tick
}

// ready makes sure of a connection and of a state that is what the database has.
func (w *writer) ready() error {
	if w.state != nil {
		return nil
	}
	ctx := context.Background()
	if err := w.connect(ctx); err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	if w.stale {
		snapshot, err := loadPolicy(ctx, w.conn, w.snapshot, w.store.config.Vault, w.store.config.Clock())
		if err != nil {
			return fmt.Errorf("load policy: %w", err)
		}
		w.snapshot, w.stale = snapshot, false
		w.store.live.Publish(snapshot)
	}
	if err := w.replay(ctx); err != nil {
		return fmt.Errorf("fold the journal: %w", err)
	}
	w.unfolded = unfolded{}
	if err := w.load(ctx, w.conn, w.store.config.Clock()); err != nil {
		return fmt.Errorf("load ledger: %w", err)
	}
	w.tellHungUp()
	return nil
}

// connect gives up the connection, and with it whatever transaction is open on
// it, and takes a new one.
func (w *writer) connect(ctx context.Context) error {
	w.disconnect()
	conn, err := w.store.db.write.Conn(ctx)
	if err != nil {
		return err
	}
	w.conn, w.insert = conn, make(map[string]*bulk)
	return nil
}

// disconnect closes the connection for good instead of giving it back to the pool.
func (w *writer) disconnect() {
	if w.conn == nil {
		return
	}
	for _, b := range w.insert {
		b.close()
	}
	err := w.conn.Raw(func(any) error { return errDiscard })
	if err != nil && !errors.Is(err, errDiscard) && !errors.Is(err, sql.ErrConnDone) {
		w.store.log.Warn("close connection", "error", err)
	}
	if err := w.conn.Close(); err != nil && !errors.Is(err, sql.ErrConnDone) {
		w.store.log.Warn("close connection", "error", err)
	}
	w.conn = nil
}
