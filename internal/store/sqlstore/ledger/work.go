// Package ledger is what the ledgers of both databases have in common: the queue of
// what is to be written, its groups, and the transaction in which configuration is.
package ledger

import (
	"context"
	"fmt"
	"sync"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/id"
)

// Work is one thing for the writer of a ledger: an admission command or a write of
// configuration or, where the ledger is in memory, a look at it or just that its
// journal be folded. Exactly one of Command, Write, Look and Fold is set.
type Work struct {
	Command admission.Command
	Done    func(admission.Result, error) // of a command that no goroutine waits for

	Write   func(*Tx) error
	Account id.ID  // whose rows the write may see, or EveryAccount
	Settled func() // is called once it is durable or has failed, before the answer; may be nil

	Look func(*admission.State)
	Fold bool

	Patient bool // no one waits for the answer; see Gatherer

	Result admission.Result
	Err    error

	answered chan error // where Done is nil; has room for one
}

// Settle means that the transaction of a write has ended.
func (w *Work) Settle() {
	if w.Settled != nil {
		w.Settled()
	}
}

// Answer gives the answer.
func (w *Work) Answer(err error) {
	if w.Done == nil {
		w.answered <- err
		return
	}
	w.Done(w.Result, err)
}

// Queue is what waits for the writer of a ledger.
type Queue struct {
	mu      sync.RWMutex // guards closed, and waiting against being closed while sent to
	closed  bool
	waiting chan *Work
}

// NewQueue makes a queue that refuses what is more than length.
func NewQueue(length int) *Queue { return &Queue{waiting: make(chan *Work, length)} }

// Put queues work, or says why not. No goroutine has to wait for the answer.
func (q *Queue) Put(w *Work) error {
	if w.Done == nil {
		w.answered = make(chan error, 1)
	}
	q.mu.RLock()
	defer q.mu.RUnlock()
	if q.closed {
		return fmt.Errorf("%w: closed", collection.ErrUnavailable)
	}
	select {
	case q.waiting <- w:
		return nil
	default:
		return collection.ErrBusy
	}
}

// Wait queues work that has no Done, and waits for its answer. When ctx ends first the
// writer still has it.
func (q *Queue) Wait(ctx context.Context, w *Work) error {
	if err := q.Put(w); err != nil {
		return err
	}
	select {
	case err := <-w.answered:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Submit queues a command.
func (q *Queue) Submit(command admission.Command, done func(admission.Result, error)) {
	if err := q.Put(&Work{Command: command, Done: done, Patient: isPatient(command)}); err != nil {
		done(admission.Result{}, err)
	}
}

// Do queues a command and waits for its result.
func (q *Queue) Do(ctx context.Context, command admission.Command) (admission.Result, error) {
	w := &Work{Command: command}
	if err := q.Wait(ctx, w); err != nil {
		return admission.Result{}, err
	}
	return w.Result, nil
}

// Take takes what waits without waiting for more; nil when there is none.
func (q *Queue) Take() *Work {
	select {
	case w := <-q.waiting:
		return w
	default:
		return nil
	}
}

// Len is how much waits.
func (q *Queue) Len() int { return len(q.waiting) }

// Close lets nothing more in, and reports whether it was open. What waits is still taken.
func (q *Queue) Close() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return false
	}
	q.closed = true
	close(q.waiting)
	return true
}

// Closed reports whether the queue was closed.
func (q *Queue) Closed() bool {
	q.mu.RLock()
	defer q.mu.RUnlock()
	return q.closed
}
