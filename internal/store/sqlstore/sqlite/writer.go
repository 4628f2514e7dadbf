package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/store/sqlstore/ledger"
	"github.com/tollgate/tollgate/internal/store/sqlstore/table"
)

// writer owns the one connection that writes, the admission state, and the policy
// snapshot that is in force. All of its fields belong to its goroutine.
type writer struct {
	ledger *Ledger
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

	tx    *ledger.Tx               // of the group
	after []func(*admission.State) // of the write that is running

	lastWall time.Time     // of the last group, by both clocks
	lastTick time.Duration //
	step     time.Duration // by which the time of day was set forward, until that is durable
}

func (l *Ledger) newWriter() *writer { return &writer{ledger: l, snapshot: l.Live.Snapshot()} }

// folds reports whether the tables must be up to date for work, or with it: with the
// expiry of leases they are once a second.
func folds(w *ledger.Work) bool {
	_, expire := w.Command.(admission.Expire)
	return w.Fold || w.Write != nil || expire
}

// commitGroup runs a group in one transaction and answers it. No command is answered
// before the transaction is durable and its policy is in force.
func (w *writer) commitGroup(group []*ledger.Work) {
	started := w.ledger.Clock()
	var records []*record.Call
	err := w.ready()
	if err == nil {
		records, err = w.tryGroup(group)
	}
	w.ledger.behind.Store(err == nil && w.unfolded.commands > 0)
	w.ledger.Ended(group, w.ledger.queue.Len(), started, records, err)
	if err != nil {
		w.ledger.Logger.Error("transaction failed", "error", err, "size", len(group))
		w.recover(group)
		err = fmt.Errorf("%w: %w", collection.ErrUnavailable, err)
	}
	for _, one := range group {
		one.Settle()
	}
	for _, one := range group {
		if err != nil {
			one.Result = admission.Result{}
			one.Answer(err)
			continue
		}
		one.Answer(one.Err)
	}
	if w.unfolded.commands >= foldCommands {
		w.foldNow()
	}
	w.countUncopied(len(group))
}

// tryGroup returns the records that it wrote, or an error when nothing of the group
// may be taken for durable.
func (w *writer) tryGroup(group []*ledger.Work) (records []*record.Call, err error) {
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
	tx := &ledger.Tx{Querier: w.conn, Inside: inside{w}, Snapshot: w.snapshot}
	w.tx = tx
	commands, folded := 0, false
	for _, one := range group {
		folded = folded || folds(one)
		if one.Command != nil {
			one.Result = w.apply(tx.Snapshot, one.Command)
			commands++
			continue
		}
		if one.Look != nil {
			one.Look(w.state)
			continue
		}
		// What the commands before it have changed is in the tables for it to see.
		ended, err := w.flush(ctx, tx, commands, true)
		if err != nil {
			return nil, err
		}
		commands = 0
		records = append(records, ended...)
		if one.Write == nil {
			continue
		}
		if err := w.configure(ctx, tx, one); err != nil {
			return nil, err
		}
	}
	ended, err := w.flush(ctx, tx, commands, folded)
	if err != nil {
		return nil, err
	}
	records = append(records, ended...)
	if w.unfolded.commands == 0 {
		w.state.Forget() // the tables know it
	}
	if err := w.ledger.Commit(func() error {
		_, err := w.conn.ExecContext(ctx, "COMMIT")
		return err
	}); err != nil {
		return nil, fmt.Errorf("commit: %w", err)
	}
	w.step = 0
	configured := tx.Snapshot != w.snapshot
	if configured {
		w.snapshot = tx.Snapshot
		w.ledger.Live.Publish(w.snapshot)
	}
	w.ledger.Committed(tx, configured)
	return records, nil
}

// flush writes what commands have changed, and the events of it: to the tables, or to
// the journal while it has room.
func (w *writer) flush(ctx context.Context, tx *ledger.Tx, commands int, fold bool) ([]*record.Call, error) {
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
	return changes.Records, w.ledger.Announce(ctx, tx, &changes)
}

// apply carries out a command. What has ended is remembered until its record is in
// the tables.
func (w *writer) apply(snapshot *policy.Snapshot, command admission.Command) admission.Result {
	result := w.state.Apply(snapshot, command, w.ledger.Clock())
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
func (w *writer) configure(ctx context.Context, tx *ledger.Tx, one *ledger.Work) error {
	if _, err := w.conn.ExecContext(ctx, "SAVEPOINT configuration"); err != nil {
		return fmt.Errorf("set savepoint: %w", err)
	}
	before, ending := tx.Snapshot, len(tx.Ending)
	w.after = nil
	one.Err = one.Write(tx)
	end := "RELEASE configuration"
	if one.Err != nil {
		tx.Snapshot, tx.Ending = before, tx.Ending[:ending]
		end = "ROLLBACK TO configuration; RELEASE configuration"
	}
	// When SQLite itself gave the transaction up, as on a full disk, there is no
	// savepoint any more and this fails too.
	if _, err := w.conn.ExecContext(ctx, end); err != nil {
		return fmt.Errorf("end savepoint: %w", errors.Join(err, one.Err))
	}
	if one.Err == nil {
		for _, f := range w.after {
			f(w.state)
		}
	}
	return nil
}

// remember tells the state about the ended calls that commands of the group name.
// Reserve is looked up too: its ids come from outside, and one that was used
// before must have its first answer again, not a second call.
func (w *writer) remember(ctx context.Context, group []*ledger.Work) error {
	var unknown []uuid.UUID
	for _, one := range group {
		call, ok := admission.CallOf(one.Command)
		if ok && !w.state.Knows(call) {
			unknown = append(unknown, call)
		}
	}
	ended, err := w.findEnded(ctx, unknown)
	if err != nil {
		return err
	}
	for _, call := range ended {
		r, err := table.Records.Scan(w.conn.QueryRowContext(ctx, table.Records.Select("WHERE id = $1"), call[:]).Scan)
		if err == nil {
			err = table.AddSlices(ctx, w.conn, []*record.Call{r})
		}
		if err != nil {
			return err
		}
		w.state.Remember(r)
	}
	return nil
}

// recover ends what is left of a failed transaction. Its commit may have
// persisted anyway, so what is in memory is given up.
func (w *writer) recover(group []*ledger.Work) {
	w.state = nil
	for _, one := range group {
		if one.Write != nil {
			w.stale = true
		}
	}
	if err := w.ready(); err != nil {
		w.ledger.Logger.Error("ledger cannot be read back; refusing all commands", "error", err)
	}
}

// stepLeast is what counts as a step of the time of day and not as its being kept right.
const stepLeast = time.Second

// lookForStep compares the time of day with the clock that is never set.
func (w *writer) lookForStep() {
	monotonic := w.ledger.Monotonic
	if monotonic == nil {
		return
	}
	wall, tick := w.ledger.Clock(), monotonic()
	if !w.lastWall.IsZero() {
		// Round strips the monotonic reading that the time of day may have of its own.
		if by := wall.Round(0).Sub(w.lastWall.Round(0)) - (tick - w.lastTick); by >= stepLeast {
			w.step += by
			w.ledger.Logger.Warn("the time of day was set forward; leases are kept for as much longer", "by", by)
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
		snapshot, err := w.ledger.Load(ctx, w.conn, w.snapshot)
		if err != nil {
			return fmt.Errorf("load policy: %w", err)
		}
		w.snapshot, w.stale = snapshot, false
		w.ledger.Live.Publish(snapshot)
	}
	if err := w.replay(ctx); err != nil {
		return fmt.Errorf("fold the journal: %w", err)
	}
	w.unfolded = unfolded{}
	if err := w.load(ctx, w.conn, w.ledger.Clock()); err != nil {
		return fmt.Errorf("load ledger: %w", err)
	}
	w.tellHungUp()
	return nil
}

// connect gives up the connection, and with it whatever transaction is open on
// it, and takes a new one.
func (w *writer) connect(ctx context.Context) error {
	w.disconnect()
	conn, err := w.ledger.write.Conn(ctx)
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
	err := w.conn.Raw(func(any) error { return table.ErrDiscard })
	if err != nil && !errors.Is(err, table.ErrDiscard) && !errors.Is(err, sql.ErrConnDone) {
		w.ledger.Logger.Warn("close connection", "error", err)
	}
	if err := w.conn.Close(); err != nil && !errors.Is(err, sql.ErrConnDone) {
		w.ledger.Logger.Warn("close connection", "error", err)
	}
	w.conn = nil
}
