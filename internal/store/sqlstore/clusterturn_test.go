package sqlstore_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/store/sqlstore"
)

// TestTurns has the callers of two nodes want one profile until both nodes take
// turns, with writes of configuration among the calls, and looks that every call has
// its one record. A turn that never comes is not waited for.
func TestTurns(t *testing.T) {
	url, _ := newDatabase(t)
	clock := newTestClock(noon)
	nodes := []*testNode{newTestNode(t, url, "a", clock.Now), newTestNode(t, url, "b", clock.Now)}
	account, phone := configure(t, nodes[0].Store)
	for _, n := range nodes {
		n.tick() // it sees that there is another
	}
	ctx := context.Background()
	done := make(chan struct{})
	var calls atomic.Int64
	var callers sync.WaitGroup
	for _, n := range nodes {
		for range 16 {
			callers.Go(func() {
				for {
					select {
					case <-done:
						return
					default:
					}
					r := n.reserve(phone)
					for _, c := range []admission.Command{r,
						admission.Release{ID: r.Call.ID, Ending: admission.Ending{EndedMicros: clock.Now().UnixMicro()}}} {
						if result, err := n.Do(ctx, c); err != nil || result.Err != nil {
							t.Errorf("%T: %v, %v", c, err, result.Err)
							return
						}
					}
					calls.Add(1)
				}
			})
		}
	}
	began := time.Now()
	for _, n := range nodes {
		for sqlstore.Turns(t, n.Store) == 0 && time.Since(began) < time.Minute {
		}
		if sqlstore.Turns(t, n.Store) == 0 {
			t.Errorf("node %s takes no turns", n.config.NodeName)
		}
	}
	blocking, err := pgx.Connect(ctx, url)
	check(t, err)
	defer blocking.Close(ctx)
	_, err = blocking.Exec(ctx, "SELECT pg_advisory_lock($1)", sqlstore.TurnLock)
	check(t, err)
	before := calls.Load()
	for calls.Load() < before+100 && !t.Failed() {
		check(t, nodes[0].Ping(ctx))
	}
	close(done)
	callers.Wait()
	page, err := nodes[1].ListRecords(ctx, account, collection.Query{Size: 1})
	if err != nil || int64(page.Total) != calls.Load() {
		t.Errorf("%d records of %d calls: %v", page.Total, calls.Load(), err)
	}
	audited(t, nodes[0].Store)
}
