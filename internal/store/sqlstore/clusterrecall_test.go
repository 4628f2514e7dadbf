package sqlstore_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/profile"
	"github.com/tollgate/tollgate/internal/store/sqlstore"
)

// TestRecall has a node look up its own calls under their locks only, and another
// node before that too. What a node remembers of a call that another one has ended
// changes no answer.
func TestRecall(t *testing.T) {
	url, _ := newDatabase(t)
	clock := newTestClock(noon)
	a, b := newTestNode(t, url, "a", clock.Now), newTestNode(t, url, "b", clock.Now)
	_, phone := configure(t, a.Store)
	do(t, b, admission.Expire{}) // b has the policy
	lookups := func(n *testNode, want int) {
		t.Helper()
		if got := sqlstore.Lookups(t, n.Store); got != want {
			t.Errorf("%d lookups, want %d", got, want)
		}
	}
	r := a.reserve(phone)
	do(t, a, r)
	do(t, a, r)
	do(t, a, admission.Answer{ID: r.Call.ID, AtMicros: clock.Now().UnixMicro()})
	do(t, a, admission.Renew{ID: r.Call.ID, Elapsed: time.Second, GrantedSecs: 6})
	lookups(a, 4)
	settle := admission.Settle{ID: r.Call.ID,
		Ending: admission.Ending{EndedMicros: clock.Now().UnixMicro(), Elapsed: 2 * time.Second}}
	first := do(t, b, settle)
	lookups(b, 2)
	again := do(t, a, settle)
	if diff := gocmp.Diff(first.Record, again.Record); diff != "" || again.Record == nil {
		t.Errorf("repeated on the other node (-first +again):\n%s", diff)
	}
	lookups(a, 5)
	do(t, a, settle)
	lookups(a, 7) // it has forgotten the call
	audited(t, a.Store)
}

// TestAnswersDoNotWait has a group wait for a lock while the group before it, which
// is durable, has not been answered yet: it must be.
func TestAnswersDoNotWait(t *testing.T) {
	url, _ := newDatabase(t)
	var armed atomic.Bool
	committing, queued := make(chan struct{}), make(chan struct{})
	n := newTestNode(t, url, "a", newTestClock(noon).Now, func(c *sqlstore.Config) {
		c.GroupSize = 1
		c.AroundCommit = func(commit func() error) error {
			if armed.CompareAndSwap(true, false) {
				close(committing)
				<-queued
			}
			return commit()
		}
	})
	account, phone := configure(t, n.Store)
	ctx := context.Background()
	p := profile.New()
	p.Name = "locked"
	p, err := n.Profiles().Create(ctx, account, p)
	check(t, err)
	c := connection.NewCredentialConnection()
	c.UserName = "phone0002"
	c.Password = "correct horse"
	c.Outbound.OutboundVoiceProfileID = p.ID
	c, err = n.CredentialConnections().Create(ctx, account, c)
	check(t, err)
	do(t, n, n.reserve(c.ID)) // its profile has a row that can be locked
	other, err := pgx.Connect(ctx, url)
	check(t, err)
	defer other.Close(ctx)
	lock, err := other.Begin(ctx)
	check(t, err)
	_, err = lock.Exec(ctx, "SELECT 1 FROM ledger_scopes WHERE id = $1 FOR UPDATE", int64(p.ID))
	check(t, err)

	first, second := make(chan error, 1), make(chan error, 1)
	armed.Store(true)
	n.Submit(n.reserve(phone), func(_ admission.Result, err error) { first <- err })
	<-committing
	n.Submit(n.reserve(c.ID), func(_ admission.Result, err error) { second <- err })
	close(queued)
	select {
	case err = <-first:
	case err = <-second:
		t.Error("the first answer came after that which waits for a lock")
	}
	check(t, err)
	check(t, lock.Rollback(ctx))
	if err := <-second; err != nil {
		t.Errorf("the command that waited for a lock: %v", err)
	}
	audited(t, n.Store)
}
