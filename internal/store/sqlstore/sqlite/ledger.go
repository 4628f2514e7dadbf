// Package sqlite is the ledger in a SQLite file, and the file: its tables, copies of it,
// and reads of a file that a server has open.
//
// The ledger is in memory, in an admission.State, and its changes are in the
// transaction: in a row of the journal or in the tables, see journal.go. What reads the
// ledger has the writer bring the tables up to date first. When a commit fails it is
// unknown whether it has persisted, so the memory is given up and built again from the
// database.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/store/sqlstore/ledger"
	"github.com/tollgate/tollgate/internal/store/sqlstore/table"
)

// Ledger is the ledger in a SQLite file, and the file.
type Ledger struct {
	ledger.Settings
	queue  *ledger.Queue
	paces  admission.Paces // of this server
	write  *sql.DB         // one connection
	read   *sql.DB
	lock   io.Closer   // keeps other processes from the file
	behind atomic.Bool // the journal has what the tables have not
	ended  sync.WaitGroup
}

// Open opens the SQLite file, which is made if there is none, and starts its
// writer. It fails when another process has it open.
func Open(ctx context.Context, path string, settings ledger.Settings, queue *ledger.Queue) (*Ledger, error) {
	l := &Ledger{Settings: settings, queue: queue}
	var err error
	if l.lock, err = lockFile(path + ".lock"); err != nil {
		return nil, err
	}
	if l.write, l.read, err = openFile(ctx, path, settings.Resources); err != nil {
		return nil, errors.Join(err, l.lock.Close())
	}
	if err = l.Claim(ctx, l.write, ""); err != nil {
		return nil, errors.Join(err, l.close())
	}
	w := l.newWriter()
	w.stale = true
	if err := w.ready(); err != nil {
		w.disconnect()
		return nil, errors.Join(fmt.Errorf("open store: %w", err), l.close())
	}
	wanted := make(chan struct{}, 1)
	w.checkpoints = wanted
	l.ended.Go(func() { l.checkpoint(wanted) })
	l.ended.Go(func() {
		defer close(wanted)
		queue.Groups(settings.GroupSize, func() {}, func(group []*ledger.Work) int { w.commitGroup(group); return 0 })
		w.foldNow()
		w.disconnect()
	})
	return l, nil
}

func (l *Ledger) close() error {
	return errors.Join(l.read.Close(), l.write.Close(), l.lock.Close())
}

// Close waits until what was queued is committed. The queue was closed before.
func (l *Ledger) Close() error {
	l.ended.Wait()
	return l.close()
}

// Read runs f in a transaction that sees one state of the database.
func (l *Ledger) Read(ctx context.Context, _ id.ID, f func(table.Querier) error) error {
	tx, err := l.read.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return err
	}
	return errors.Join(f(tx), tx.Rollback())
}

// Beside runs f in the writer, since SQLite has only one at a time. f must be short.
func (l *Ledger) Beside(ctx context.Context, f func(table.Querier) error) error {
	return l.queue.Wait(ctx, &ledger.Work{Write: func(tx *ledger.Tx) error { return f(tx) }})
}

// ReadLedger is Read with everything in the tables that was answered before.
func (l *Ledger) ReadLedger(ctx context.Context, account id.ID, f func(table.Querier) error) error {
	l.upToDate(ctx)
	return l.Read(ctx, account, f)
}

// foldPatience is how long a read waits for the tables to be brought up to date. The
// writer takes some milliseconds; a disk that hangs must not hang the reads.
const foldPatience = time.Second

// upToDate brings the tables of the ledger up to date with everything that was
// answered before. When that fails, or takes too long, they are as they were a
// moment ago, which is a state of the ledger too.
func (l *Ledger) upToDate(ctx context.Context) {
	if !l.behind.Load() {
		return
	}
	waiting, cancel := context.WithTimeout(ctx, foldPatience)
	defer cancel()
	if err := l.queue.Wait(waiting, &ledger.Work{Fold: true}); err != nil && waiting.Err() == nil {
		l.Logger.Debug("the tables of the ledger are read as they are", "error", err)
	}
}

// Lease finds a live call in the memory of the writer, or nil: the table of leases has
// no index. A call that is not live when it looks has its record when the tables are
// read after that.
func (l *Ledger) Lease(ctx context.Context, account id.ID, call uuid.UUID) (found *admission.Lease, err error) {
	err = l.queue.Wait(ctx, &ledger.Work{Look: func(state *admission.State) {
		if l := state.Lease(call); l != nil && l.Account == account {
			own := *l
			own.Decision = slices.Clone(l.Decision)
			own.Posted = slices.Clone(l.Posted)
			own.Held = slices.Clone(l.Held)
			found = &own
		}
	}})
	if err != nil {
		return nil, err // the writer may be setting found
	}
	return found, nil
}

// Tick ends the calls whose leases have ended.
func (l *Ledger) Tick(ctx context.Context) error {
	_, err := l.queue.Do(ctx, admission.Expire{})
	return err
}

// inside is what the writer does for a write of configuration.
type inside struct{ *writer }

func (i inside) Within(_ context.Context, _ id.ID, f func() error) error { return f() }

func (i inside) Insert(ctx context.Context, head string, columns int, values []any) error {
	return i.exec(ctx, i.bulk(head, head, "", columns), values)
}

func (i inside) Afterwards(f func(*admission.State)) { i.after = append(i.after, f) }

func (i inside) Leases(_ context.Context, account id.ID, calls []uuid.UUID) (leases []*admission.Lease, err error) {
	for _, call := range calls {
		if l := i.state.Lease(call); l != nil && l.Account == account {
			leases = append(leases, l)
		}
	}
	return leases, nil
}

func (i inside) HangUp(_ context.Context, _ []*admission.Lease, marks []admission.HangUp) error {
	now, snapshot := i.ledger.Clock(), i.tx.Snapshot
	i.Afterwards(func(s *admission.State) {
		for _, mark := range marks {
			s.Apply(snapshot, mark, now)
		}
	})
	return nil
}

func (i inside) OwnerLost(context.Context, *admission.Lease) (bool, error) { return false, nil }

// tellHungUp reports the calls in a ledger that was read back from the database: the
// news of them may be lost with the transaction that failed.
func (w *writer) tellHungUp() {
	var calls []uuid.UUID
	for l := range w.state.Leases {
		if l.HungUpMicros != 0 {
			calls = append(calls, l.ID)
		}
	}
	if len(calls) > 0 {
		w.ledger.HungUp(calls)
	}
}
