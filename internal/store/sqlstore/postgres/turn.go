package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tollgate/tollgate/internal/store/sqlstore/ledger"
)

// Nodes that want the same profiles wait for each other's transactions, one after
// the other. A group that is made up before such a wait leaves out what comes during
// it, and so two nodes would do in four small transactions what one does in two. So
// nodes whose groups have waited a few times in a row take turns for a while, and make
// up a group when it is its turn. It costs a round trip. Nothing relies on turns.

// turnLock is the advisory lock of the node whose turn it is. It is taken before all
// other locks.
const turnLock = configLock + 1

// A turn ends before its transaction does, when the locks of its rows are held: the
// next node makes up its group while this one writes. It is of the connection, and
// ends with that at the latest.
const (
	lockTurn = "SELECT pg_advisory_lock($1)"
	endTurn  = "SELECT pg_advisory_unlock($1)"
)

const (
	crowdedWait   = 500 * time.Microsecond // for a lock; that it is had at once takes some 50
	crowdedAfter  = 3                      // groups in a row that waited so long
	crowdedGroups = 50                     // for which turns are taken then
)

// crowding reports whether nodes wait for each other.
type crowding struct {
	others bool // that run
	waited int  // groups in a row
	turns  int  // that are to be taken yet
}

// note judges a group that was made up before it waited for its locks.
func (c *crowding) note(waited time.Duration) {
	if !c.others || waited < crowdedWait {
		c.waited = 0
		return
	}
	if c.waited++; c.waited >= crowdedAfter {
		c.waited, c.turns = 0, crowdedGroups
	}
}

// takeTurn begins the transaction of a run when its turn has come, if turns are taken,
// and adds to the run what waits then. A node that has waited for a turn as long as for
// any lock continues without.
func (w *writer) takeTurn(ctx context.Context, run []*ledger.Work) ([]*ledger.Work, error) {
	if w.conn == nil {
		if err := w.connect(ctx); err != nil {
			return run, fmt.Errorf("connect: %w", err)
		}
	}
	if w.crowd.turns == 0 {
		return run, nil
	}
	w.crowd.turns--
	b := &pgx.Batch{}
	b.Queue("BEGIN")
	b.Queue(lockTurn, turnLock)
	if err := w.sendFirst(ctx, b); err != nil {
		if sqlState(err) != stateLockNotAvailable {
			return run, fmt.Errorf("take turn: %w", err)
		}
		w.crowd.turns = 0
		return run, w.rollback(ctx)
	}
	w.begun = true
	return w.join(run), nil
}

// join adds to the last run of a group what waits and can be in its transaction.
func (w *writer) join(run []*ledger.Work) []*ledger.Work {
	for w.extensible && w.left == nil && len(run) < w.ledger.GroupSize {
		next := w.ledger.queue.Take()
		switch {
		case next == nil:
			return run
		case sameTransaction(run[0], next):
			run = append(run, next)
		default:
			w.left = next
		}
	}
	return run
}

// rollback ends the transaction that is open, and keeps the connection.
func (w *writer) rollback(ctx context.Context) error {
	b := &pgx.Batch{}
	b.Queue("ROLLBACK")
	w.queueEndTurn(b)
	w.begun = false
	err := w.native(func(c *pgx.Conn) error { return c.SendBatch(ctx, b).Close() })
	if err != nil {
		return fmt.Errorf("roll back: %w", err)
	}
	return nil
}

func (w *writer) queueEndTurn(b *pgx.Batch) {
	if w.begun {
		b.Queue(endTurn, turnLock)
	}
}
