package sqlstore_test

import (
	"context"
	"path/filepath"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/profile"
	"github.com/tollgate/tollgate/internal/store/sqlstore"
)

// TestCountsWhileCallsEnd counts again and again while two nodes write records: in
// every state of the database the remembered count is that of its rows.
func TestCountsWhileCallsEnd(t *testing.T) {
	url, _ := newDatabase(t)
	clock := newTestClock(noon)
	first := newTestNode(t, url, "a", clock.Now)
	second := newTestNode(t, url, "b", clock.Now, func(c *sqlstore.Config) { c.IDs = id.NewSource(2, clock.Now) })
	countWhileWriting(t, first.Store, first.Store, second.Store)
}

func TestCountsWhileCallsEndSQLite(t *testing.T) {
	clock := newTestClock(noon)
	s, err := sqlstore.Open(context.Background(), sqlstore.Config{
		Path: filepath.Join(t.TempDir(), "tollgate.db"), Live: policy.NewLive(), Clock: clock.Now,
		IDs: id.NewSource(1, clock.Now), Owner: uuid.New(),
	})
	check(t, err)
	t.Cleanup(func() { check(t, s.Close()) })
	countWhileWriting(t, s, s)
}

func countWhileWriting(t *testing.T, reader *sqlstore.Store, writers ...*sqlstore.Store) {
	t.Helper()
	ctx := context.Background()
	account, _, err := reader.EnsureFirst(ctx)
	check(t, err)
	p := profile.New()
	p.Name = "counted"
	p, err = reader.Profiles().Create(ctx, account.ID, p)
	check(t, err)
	c := connection.NewIPConnection()
	c.Outbound.OutboundVoiceProfileID = p.ID
	c, err = reader.IPConnections().Create(ctx, account.ID, c)
	check(t, err)
	const each, callers = 40, 4
	var writing sync.WaitGroup
	for _, w := range writers {
		for range callers {
			writing.Go(func() {
				for range each {
					// There is no rate deck: the call is refused, which is a record.
					if _, err := w.Do(ctx, (&testNode{Store: w}).reserve(c.ID)); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	done := make(chan struct{})
	go func() { writing.Wait(); close(done) }()
	for last := false; !last; {
		select {
		case <-done:
			last = true
		default:
		}
		if listed, rows := sqlstore.CountBoth(t, reader, account.ID, p.ID); listed != rows {
			t.Fatalf("counted %d of %d rows", listed, rows)
		} else if want := len(writers) * callers * each; last && rows != want {
			t.Errorf("%d records, want %d", rows, want)
		}
	}
}
