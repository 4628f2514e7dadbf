package sqlstore_test

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/e164"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/numbering"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/profile"
	"github.com/tollgate/tollgate/internal/rating"
	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/routing"
	"github.com/tollgate/tollgate/internal/store"
	"github.com/tollgate/tollgate/internal/store/sqlstore"
)

// openNode opens a store as a node with the time of day as its clock.
func openNode(tb testing.TB, url, name string) *sqlstore.Store {
	tb.Helper()
	s, err := sqlstore.Open(context.Background(), sqlstore.Config{
		DatabaseURL: url, NodeName: name, Live: policy.NewLive(), Clock: time.Now, IDs: id.NewSource(1, time.Now),
		Owner: uuid.New(),
	})
	check(tb, err)
	tb.Cleanup(func() { check(tb, s.Close()) })
	return s
}

// limitChannels sets the concurrent_call_limit of the account's one profile.
func limitChannels(tb testing.TB, s *sqlstore.Store, account id.ID, limit *int32) {
	tb.Helper()
	changeProfile(tb, s, account, func(p *profile.Profile) { p.ConcurrentCallLimit = limit })
}

func changeProfile(tb testing.TB, s *sqlstore.Store, account id.ID, change func(*profile.Profile)) profile.Profile {
	tb.Helper()
	page, err := s.Profiles().List(context.Background(), account, collection.Query{Size: 2})
	check(tb, err)
	if page.Total != 1 {
		tb.Fatalf("%d profiles, want 1", page.Total)
	}
	p, err := s.Profiles().Update(context.Background(), account, page.Items[0].ID,
		func(p profile.Profile) (profile.Profile, error) {
			change(&p)
			return p, nil
		})
	check(tb, err)
	return p
}

// noon is when the tests with a clock of their own begin.
var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// testClock stands still until it is moved.
type testClock struct{ micros atomic.Int64 }

func newTestClock(at time.Time) *testClock {
	c := &testClock{}
	c.micros.Store(at.UnixMicro())
	return c
}

func (c *testClock) Now() time.Time          { return time.UnixMicro(c.micros.Load()).UTC() }
func (c *testClock) advance(d time.Duration) { c.micros.Add(d.Microseconds()) }

// testNode is a node that does nothing by itself: its ticks are the test's.
type testNode struct {
	*sqlstore.Store
	config sqlstore.Config
	ticks  chan time.Time
	phone  id.ID // of the tests that keep it here
}

func newTestNode(tb testing.TB, url, name string, clock func() time.Time, adjust ...func(*sqlstore.Config)) *testNode {
	tb.Helper()
	n := &testNode{ticks: make(chan time.Time)}
	n.config = sqlstore.Config{
		DatabaseURL: url, NodeName: name, Live: policy.NewLive(), Clock: clock, IDs: id.NewSource(1, clock),
		Owner: uuid.New(), Ticks: n.ticks, MaxClockOffset: -1,
	}
	for _, a := range adjust {
		a(&n.config)
	}
	var err error
	n.Store, err = sqlstore.Open(context.Background(), n.config)
	check(tb, err)
	tb.Cleanup(func() { check(tb, n.Close()) })
	return n
}

// tick lets the node do what is due. The second tick is taken when the work of the
// first is done.
func (n *testNode) tick() {
	n.ticks <- time.Time{}
	n.ticks <- time.Time{}
}

func (n *testNode) reserve(connectionID id.ID) admission.Reserve {
	return admission.Reserve{Owner: n.config.Owner, Call: admission.Call{
		ID: uuid.Must(uuid.NewV7()), Connection: connectionID, From: "+12125550100", To: "+12125550199",
	}}
}

// do runs a command that must not fail.
func do(tb testing.TB, s store.Ledger, c admission.Command) admission.Result {
	tb.Helper()
	r, err := s.Do(context.Background(), c)
	if err != nil || r.Err != nil {
		tb.Fatalf("%T: %v, %v", c, err, r.Err)
	}
	return r
}

func audited(tb testing.TB, s *sqlstore.Store) {
	tb.Helper()
	if audit, err := s.Audit(context.Background()); err != nil || !audit.Holds() {
		tb.Errorf("audit: %+v, %v", audit, err)
	}
}

// TestClusterRace has the callers of two nodes race for the last channels and for
// the last cents: invariants I1 and I2.
func TestClusterRace(t *testing.T) {
	const callers, channels = 200, 10
	const increment = money.Cent / 10 // 6 s, the shortest grant
	const limit = 10*money.Cent - 1
	for _, c := range []struct {
		name   string
		limit  func(*profile.Profile)
		reason admission.Reason
		used   func(allowed int, held money.Amount) bool // all there is, and no more
	}{
		{"channels", func(p *profile.Profile) { p.ConcurrentCallLimit = new(int32(channels)) },
			admission.ReasonProfileChannels,
			func(allowed int, _ money.Amount) bool { return allowed == channels }},
		{"cents", func(p *profile.Profile) { p.DailySpendLimit, p.DailySpendLimitEnabled = new(limit), true },
			admission.ReasonDailySpendLimit,
			func(_ int, held money.Amount) bool { return held <= limit && held+increment > limit }},
	} {
		t.Run(c.name, func(t *testing.T) {
			url, _ := newDatabase(t)
			clock := newTestClock(noon)
			nodes := []*testNode{newTestNode(t, url, "a", clock.Now), newTestNode(t, url, "b", clock.Now)}
			account, connectionID := configure(t, nodes[0].Store)
			p := changeProfile(t, nodes[0].Store, account, c.limit)
			reasons := make(chan admission.Reason, callers)
			var group sync.WaitGroup
			for i := range callers {
				n := nodes[i%2]
				group.Go(func() {
					r, err := n.Do(context.Background(), n.reserve(connectionID))
					if err != nil {
						t.Error(err)
					}
					reasons <- r.Decision.Reason
				})
			}
			group.Wait()
			close(reasons)
			counts := make(map[admission.Reason]int)
			for r := range reasons {
				counts[r]++
			}
			allowed := counts[admission.ReasonNone]
			want := map[admission.Reason]int{admission.ReasonNone: allowed, c.reason: callers - allowed}
			if diff := cmp.Diff(want, counts); diff != "" {
				t.Errorf("decisions (-want +got):\n%s", diff)
			}
			spend, err := nodes[1].Spend(context.Background(), account, admission.ProfileScope(p.ID))
			if err != nil || !c.used(allowed, spend.Held) {
				t.Errorf("%d calls hold %v, %v", allowed, spend.Held, err)
			}
			audited(t, nodes[1].Store)
		})
	}
}

// TestClusterConfiguration changes the configuration on one node and at once asks
// the other: invariant I9 with no delay.
func TestClusterConfiguration(t *testing.T) {
	url, database := newDatabase(t)
	clock := newTestClock(noon)
	a, b := newTestNode(t, url, "a", clock.Now), newTestNode(t, url, "b", clock.Now)
	account, phone := configure(t, a.Store)
	ctx := context.Background()
	expect := func(want admission.Reason) {
		t.Helper()
		r := do(t, b, b.reserve(phone))
		if r.Decision.Reason != want {
			t.Fatalf("%v, want %v", r.Decision.Reason, want)
		}
		if r.Decision.Allow {
			do(t, b, admission.Release{ID: r.Decision.ID})
		}
	}
	for range 20 {
		changeProfile(t, a.Store, account, func(p *profile.Profile) { p.Enabled = false })
		expect(admission.ReasonProfileDisabled)
		changeProfile(t, a.Store, account, func(p *profile.Profile) { p.Enabled = true })
		expect(admission.ReasonNone)
	}
	setAccount := func(change func(*store.Account)) {
		_, err := a.Accounts().Update(ctx, account, account, func(o store.Account) (store.Account, error) {
			change(&o)
			return o, nil
		})
		check(t, err)
	}
	setAccount(func(o *store.Account) { o.ConcurrentCallLimit = new(int32(0)) })
	expect(admission.ReasonAccountChannels)
	setAccount(func(o *store.Account) { o.ConcurrentCallLimit = nil })
	dear, err := a.ImportDeck(ctx, account, "dear",
		[]rating.Row{{Prefix: "44", Rate: rating.Rate{PerMinute: money.Cent, FirstIncrement: 1, Increment: 1}}})
	check(t, err)
	changeProfile(t, a.Store, account, func(p *profile.Profile) { p.RateDeckID = dear.ID })
	expect(admission.ReasonNoRate)
	p := changeProfile(t, a.Store, account, func(p *profile.Profile) { p.RateDeckID = 0 })
	_, err = a.DeleteDeck(ctx, account, dear.ID)
	check(t, err)
	pbx := connection.NewIPConnection()
	pbx.ConnectionName, pbx.Outbound.OutboundVoiceProfileID = "pbx", p.ID
	pbx, err = a.IPConnections().Create(ctx, account, pbx)
	check(t, err)
	ip, err := a.IPs().Create(ctx, account,
		connection.IP{IPAddress: connection.SingleAddress(netip.MustParseAddr("192.0.2.10")), ConnectionID: pbx.ID,
			Port: 5060})
	check(t, err)
	gateway := routing.NewGateway()
	gateway.Name, gateway.Address = "carrier", "sip.carrier.example"
	gateway, err = a.Gateways().Create(ctx, account, gateway)
	check(t, err)
	expect(admission.ReasonNone)
	snapshot := func() *policy.Snapshot { return b.config.Live.Snapshot() }
	if !snapshot().Known(ip.IPAddress.Prefix().Addr()) || snapshot().Deck(dear.ID) != nil ||
		len(snapshot().Gateways(account)) != 1 {
		t.Error("the other node has another policy")
	}
	_, err = a.IPConnections().Delete(ctx, account, pbx.ID)
	check(t, err)
	_, err = a.Gateways().Delete(ctx, account, gateway.ID)
	check(t, err)
	expect(admission.ReasonNone)
	if snapshot().Known(ip.IPAddress.Prefix().Addr()) || snapshot().Connection(pbx.ID) != nil ||
		len(snapshot().Gateways(account)) != 0 {
		t.Error("what was deleted is in the other node's policy")
	}

	override := numbering.New()
	override.Prefix = "12125550199"
	override, err = store.Of[numbering.Override](a).Create(ctx, account, override)
	check(t, err)
	expect(admission.ReasonNumberInvalid)
	_, err = store.Of[numbering.Override](a).Delete(ctx, account, override.ID)
	check(t, err)
	expect(admission.ReasonNone)

	const own e164.Number = 12125550123
	_, err = a.BeginVerification(ctx, account, own, "123456", uuid.New())
	check(t, err)
	number, err := a.Verify(ctx, account, own, "123456")
	check(t, err)
	expect(admission.ReasonNone)
	if !snapshot().Verified(account, own) {
		t.Error("the other node does not know what was verified")
	}
	_, err = a.VerifiedNumbers().Delete(ctx, account, number.ID)
	check(t, err)
	expect(admission.ReasonNone)
	if snapshot().Verified(account, own) {
		t.Error("the other node confirms a number that was deleted")
	}

	// When it is not known any more what has changed, everything is loaded.
	_, err = a.CredentialConnections().Update(ctx, account, phone,
		func(c connection.CredentialConnection) (connection.CredentialConnection, error) {
			c.Active = false
			return c, nil
		})
	check(t, err)
	check(t, postgresServer(t).Exec(database, "DELETE FROM config_changes"))
	expect(admission.ReasonConnectionDisabled)
}

// TestClusterNotification changes the configuration on one node and waits until
// the other has heard of it, without any call.
func TestClusterNotification(t *testing.T) {
	url, _ := newDatabase(t)
	clock := newTestClock(noon)
	committed := make(chan struct{}, 1000)
	a := newTestNode(t, url, "a", clock.Now)
	account, _ := configure(t, a.Store)
	b := newTestNode(t, url, "b", clock.Now, func(c *sqlstore.Config) {
		c.AroundCommit = func(commit func() error) error {
			err := commit()
			committed <- struct{}{}
			return err
		}
	})
	p := changeProfile(t, a.Store, account, func(p *profile.Profile) { p.Enabled = false })
	for b.config.Live.Snapshot().Profile(p.ID).Enabled {
		<-committed
	}
}

// TestDeadNode lets one node fall silent, as when it is stopped, and wakes it
// again: invariants I3 and I3b, and fault F10.
func TestDeadNode(t *testing.T) {
	url, _ := newDatabase(t)
	clock := newTestClock(noon)
	a, b := newTestNode(t, url, "a", clock.Now), newTestNode(t, url, "b", clock.Now)
	account, connectionID := configure(t, a.Store)
	ctx := context.Background()
	lost, ringing := a.reserve(connectionID), a.reserve(connectionID)
	granted := do(t, a, lost).GrantedSecs
	do(t, a, ringing)
	do(t, a, admission.Answer{ID: lost.Call.ID, AtMicros: clock.Now().UnixMicro()})
	live := func(want int) {
		t.Helper()
		calls, err := b.LiveCalls(ctx, account)
		if err != nil || len(calls) != want {
			t.Fatalf("%d live calls, want %d: %v", len(calls), want, err)
		}
	}
	// The node is given up after some seconds, but its calls may still be alive.
	clock.advance(time.Duration(granted)*time.Second + admission.ExpiryGrace - time.Microsecond)
	b.tick()
	live(2)
	clock.advance(time.Microsecond)
	b.tick()
	live(1)
	r, err := b.Record(ctx, account, lost.Call.ID)
	if err != nil || r.Outcome != record.OutcomeLost || r.BilledSecs != granted {
		t.Fatalf("record of the lost call: %+v, %v", r, err)
	}

	// It wakes.
	for _, c := range []admission.Command{
		admission.Renew{ID: lost.Call.ID, Elapsed: time.Minute, GrantedSecs: granted}, admission.Answer{ID: lost.Call.ID},
	} {
		if r, err := a.Do(ctx, c); err != nil || !errors.Is(r.Err, admission.ErrEnded) {
			t.Errorf("%T of what it has lost: %v, %v", c, err, r.Err)
		}
	}
	if again := do(t, a, admission.Settle{ID: lost.Call.ID,
		Ending: admission.Ending{Elapsed: time.Hour}}); again.Record.Cost != r.Cost ||
		again.Record.Outcome != record.OutcomeLost {
		t.Errorf("settle of what it has lost: %+v", again.Record)
	}
	do(t, a, admission.Answer{ID: ringing.Call.ID, AtMicros: clock.Now().UnixMicro()}) // what it still has it may use
	do(t, a, admission.Settle{ID: ringing.Call.ID,
		Ending: admission.Ending{Elapsed: time.Second, EndedMicros: clock.Now().UnixMicro()}})
	live(0)
	audited(t, b.Store)
}

// TestFencedNode has a node that was given up ask for a call: its first group is
// refused, and then it is a new owner.
func TestFencedNode(t *testing.T) {
	url, database := newDatabase(t)
	clock := newTestClock(noon)
	a, b := newTestNode(t, url, "a", clock.Now), newTestNode(t, url, "b", clock.Now)
	account, connectionID := configure(t, a.Store)
	ctx := context.Background()
	held := a.reserve(connectionID)
	do(t, a, held)
	clock.advance(10*time.Second + time.Microsecond)
	b.tick()
	stale := a.reserve(connectionID)
	if _, err := a.Do(ctx, stale); !errors.Is(err, collection.ErrUnavailable) {
		t.Errorf("a node that was given up admits: %v", err)
	}
	next := a.reserve(connectionID)
	if r := do(t, a, next); !r.Decision.Allow {
		t.Errorf("after it has begun anew: %v", r.Decision.Reason)
	}
	calls, err := b.LiveCalls(ctx, account)
	check(t, err)
	owners := make(map[uuid.UUID]uuid.UUID)
	for _, c := range calls {
		owners[c.Lease.ID] = c.Lease.Owner
	}
	if len(calls) != 2 || owners[held.Call.ID] != a.config.Owner || owners[next.Call.ID] == a.config.Owner {
		t.Errorf("owners of the calls: %v", owners)
	}
	check(t, postgresServer(t).Exec(database, `DO $$ BEGIN
		ASSERT (SELECT COUNT(*) FROM nodes WHERE name = 'a' AND expired) = 1;
		ASSERT (SELECT COUNT(*) FROM nodes WHERE name = 'a' AND NOT expired) = 1;
		ASSERT (SELECT COUNT(*) FROM nodes WHERE name = 'b' AND NOT expired) = 1;
	END $$`))

	// The next run of this node ends the calls of all of its incarnations, and only those.
	other := b.reserve(connectionID)
	do(t, b, other)
	check(t, a.Close())
	newTestNode(t, url, "a", clock.Now)
	calls, err = b.LiveCalls(ctx, account)
	if err != nil || len(calls) != 1 || calls[0].Lease.ID != other.Call.ID {
		t.Errorf("live calls after a restart of the other node: %+v, %v", calls, err)
	}
	audited(t, b.Store)
}

// TestNodeStopsInTransaction stops a node while its transaction holds the locks
// of a profile. The server ends it, and the other node goes on.
func TestNodeStopsInTransaction(t *testing.T) {
	url, _ := newDatabase(t)
	clock := newTestClock(noon)
	stopped, wake := make(chan struct{}), make(chan struct{})
	var stop atomic.Bool
	a := newTestNode(t, url, "a", clock.Now, func(c *sqlstore.Config) {
		c.AroundCommit = func(commit func() error) error {
			if stop.CompareAndSwap(true, false) {
				close(stopped)
				<-wake
			}
			return commit()
		}
	})
	b := newTestNode(t, url, "b", clock.Now)
	account, connectionID := configure(t, a.Store)
	limitChannels(t, a.Store, account, new(int32(1)))
	stop.Store(true)
	waking := sync.OnceFunc(func() { close(wake) })
	defer waking()
	frozen := a.reserve(connectionID)
	answered := make(chan error, 1)
	a.Submit(frozen, func(_ admission.Result, err error) { answered <- err })
	<-stopped
	began := time.Now()
	var r admission.Result
	for err := collection.ErrUnavailable; errors.Is(err, collection.ErrUnavailable); {
		r, err = b.Do(context.Background(), b.reserve(connectionID))
		if time.Since(began) > 30*time.Second {
			t.Fatalf("the other node is held up: %v", err)
		}
	}
	if !r.Decision.Allow {
		t.Errorf("the last channel: %v", r.Decision.Reason)
	}
	waking()
	if err := <-answered; !errors.Is(err, collection.ErrUnavailable) {
		t.Errorf("the stopped node's command: %v", err)
	}
	if again := do(t, a, frozen); again.Decision.Reason != admission.ReasonProfileChannels {
		t.Errorf("the stopped node's command again: %v", again.Decision.Reason)
	}
	audited(t, b.Store)
}
