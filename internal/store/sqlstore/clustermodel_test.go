package sqlstore_test

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/profile"
	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/store"
)

// clusterModel runs random commands on two nodes and on one ledger in memory.
type clusterModel struct {
	t      *testing.T
	random *rand.Rand
	clock  *testClock
	nodes  []*testNode
	whole  *admission.State
	calls  []modelCall
	last   admission.Command
	ended  map[uuid.UUID]*record.Call
}

type modelCall struct {
	id       uuid.UUID
	answered time.Time
	granted  int64
}

// run has one of the nodes and the model carry out a command, and compares.
func (m *clusterModel) run(c admission.Command) admission.Result {
	m.t.Helper()
	n := m.nodes[m.random.IntN(len(m.nodes))]
	for _, r := range m.ended {
		m.whole.Remember(r)
	}
	want := m.whole.Apply(n.config.Live.Snapshot(), c, m.clock.Now())
	m.whole.TakeChanges()
	got, err := n.Do(context.Background(), c)
	if errors.Is(err, collection.ErrUnavailable) {
		got, err = n.Do(context.Background(), c) // it was given up, and has begun anew
	}
	if err != nil {
		m.t.Fatalf("%T: %v", c, err)
	}
	for _, r := range []*admission.Result{&got, &want} {
		slices.SortFunc(r.Expired, func(a, b *record.Call) int { return cmp.Compare(a.ID.String(), b.ID.String()) })
		r.Teardowns = nil // in no order
	}
	if got.Decision != want.Decision {
		m.t.Fatalf("%+v decided\n%+v, want\n%+v", c, got.Decision, want.Decision)
	}
	if diff := gocmp.Diff(want, got, cmpopts.EquateEmpty(), cmpopts.EquateErrors(),
		cmpopts.IgnoreFields(admission.Result{}, "Decision")); diff != "" {
		m.t.Fatalf("%+v (-want +got):\n%s", c, diff)
	}
	for _, r := range append(got.Expired, got.Record) {
		if r != nil {
			m.ended[r.ID] = r
			m.calls = slices.DeleteFunc(m.calls, func(c modelCall) bool { return c.id == r.ID })
		}
	}
	m.last = c
	return got
}

func (m *clusterModel) step() {
	now := m.clock.Now()
	if len(m.calls) == 0 || m.random.IntN(3) == 0 {
		r := m.nodes[0].reserve(m.nodes[0].phone)
		r.Call.To = []string{"+12125550199", "+12125550198", "911"}[m.random.IntN(20)/9]
		if got := m.run(r); got.Record == nil {
			m.calls = append(m.calls, modelCall{id: r.Call.ID, granted: got.GrantedSecs})
		}
		return
	}
	c := &m.calls[m.random.IntN(len(m.calls))]
	elapsed := now.Sub(c.answered)
	ending := admission.Ending{EndedMicros: now.UnixMicro(), Elapsed: elapsed, Cause: "normal_clearing"}
	switch choice := m.random.IntN(10); {
	case choice < 3:
		m.clock.advance([]time.Duration{time.Second, 7 * time.Second, 25 * time.Second, 2 * time.Minute,
			3 * time.Hour}[m.random.IntN(33)/8])
	case choice < 4:
		m.run(admission.Expire{})
	case choice < 5:
		m.run(m.last)
	case c.answered.IsZero() && choice < 9:
		c.answered = now
		c.granted = m.run(admission.Answer{ID: c.id, AtMicros: now.UnixMicro(), Teardown: []byte("note")}).GrantedSecs
	case c.answered.IsZero():
		m.run(admission.Release{ID: c.id, Ending: ending})
	case choice < 9:
		c.granted = m.run(admission.Renew{ID: c.id, Elapsed: elapsed, GrantedSecs: c.granted}).GrantedSecs
	default:
		m.run(admission.Settle{ID: c.id, Ending: ending})
	}
}

// TestClusterModel holds that two nodes on one database are the ledger that
// package admission describes, over days and with every limit set.
func TestClusterModel(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	url, _ := newDatabase(t)
	clock := newTestClock(noon)
	m := &clusterModel{
		t: t, random: rand.New(rand.NewPCG(seed, 0)), clock: clock, whole: admission.NewState(),
		ended: make(map[uuid.UUID]*record.Call),
		nodes: []*testNode{newTestNode(t, url, "a", clock.Now)},
	}
	a := m.nodes[0]
	account, phone := configure(t, a.Store)
	a.phone = phone
	ctx := context.Background()
	_, err := a.Accounts().Update(ctx, account, account, func(o store.Account) (store.Account, error) {
		o.ConcurrentCallLimit = new(int32(8))
		return o, nil
	})
	check(t, err)
	_, err = a.CredentialConnections().Update(ctx, account, phone,
		func(c connection.CredentialConnection) (connection.CredentialConnection, error) {
			c.Outbound.ChannelLimit = new(int32(7))
			return c, nil
		})
	check(t, err)
	changeProfile(t, a.Store, account, func(p *profile.Profile) {
		p.ConcurrentCallLimit = new(int32(6))
		p.DailySpendLimit = new(6 * money.Cent)
		p.DailySpendLimitEnabled = true
		p.SpendLimitAction = profile.EndCalls
		p.CallingWindow = &profile.CallingWindow{CallsPerCLD: new(int32(60))}
	})
	// The other node opens now: told of changes of the configuration while the test runs, it
	// would look for them by a command that the model does not know of.
	m.nodes = append(m.nodes, newTestNode(t, url, "b", clock.Now))
	for _, n := range m.nodes {
		do(t, n, admission.Expire{}) // both have the policy
	}
	for range 1500 {
		m.step()
	}
	audited(t, m.nodes[1].Store)
	reasons := make(map[string]int)
	for _, r := range m.ended {
		reasons[r.Outcome.String()+" "+r.Reason]++
	}
	t.Log(reasons)
}
