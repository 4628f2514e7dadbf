package admission

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/profile"
	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/spendlimit"
)

// limitMachine runs random calls under spend limits of all periods, and adds up each
// window again from what the calls were charged and hold.
type limitMachine struct {
	t       *rapid.T
	state   *State
	disk    disk
	policy  *policy.Snapshot
	limits  []*spendlimit.Limit
	highest map[Scope]money.Amount
	now     time.Time
	live    map[uuid.UUID]*plainCall
	calls   int
}

// TestRandomSpendLimits holds I2 and I6 for spend limits, in the ledger and by the audit.
func TestRandomSpendLimits(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		p := profile.New()
		p.WhitelistedDestinations = []string{"US", "JM"}
		m := &limitMachine{
			t: rt, state: NewState(), highest: map[Scope]money.Amount{}, live: map[uuid.UUID]*plainCall{},
			now: noon.Add(time.Duration(rapid.IntRange(0, 96).Draw(rt, "quarters")) * 15 * time.Minute),
			disk: disk{leases: map[uuid.UUID]*Lease{}, spends: map[SpendKey]Spend{},
				records: map[uuid.UUID]*record.Call{}},
		}
		conn := attachedConnection()
		m.policy = snapshotOf(t, testAccountPolicy(), p, conn, deckOf(t, 30, 6, "0.01",
			map[string]string{"1": "0.60", "1876": "1.20"}))
		scopes := [][2]string{{"account", ""}, {"connection", "3"}, {"outbound_voice_profile", "2"}, {"country",
			"US"}, {"country", "JM"},
			{"prefix", "1212"}, {"caller", "+13125550100"}}
		for i := range 4 {
			scope := rapid.SampledFrom(scopes).Draw(rt, "scope")
			l := spendlimit.New()
			l.ID, l.AccountID = id.ID(100+i), testAccount
			l.ScopeType = scope[0]
			if scope[1] != "" {
				l.ScopeValue = &scope[1]
			}
			l.Period = rapid.SampledFrom([]string{"hour", "day", "month", "rolling_24h"}).Draw(rt, "period")
			l.TimeZone = rapid.SampledFrom([]string{"UTC", "America/New_York", "Asia/Kathmandu"}).Draw(rt, "zone")
			l.Action = rapid.SampledFrom([]string{"alert", "block_new_calls", "end_calls",
				"end_calls"}).Draw(rt, "action")
			m.limits = append(m.limits, &l)
		}
		m.change()
		rt.Repeat(map[string]func(*rapid.T){
			"reserve": func(*rapid.T) { m.reserve() },
			"answer":  func(*rapid.T) { m.answer() },
			"renew":   func(*rapid.T) { m.renew() },
			"end":     func(*rapid.T) { m.end() },
			"amounts": func(*rapid.T) { m.change() },
			"restart": func(*rapid.T) { m.restart() },
			"wait": func(*rapid.T) {
				m.now = m.now.Add(time.Duration(rapid.SampledFrom([]int{1, 7, 29, 45, 900, 3000}).Draw(rt,
					"seconds")) * time.Second)
			},
			"": func(*rapid.T) { m.check() },
		})
	})
}

func (m *limitMachine) change() {
	for _, l := range m.limits {
		l.Amount = money.Amount(rapid.Int64Range(0, 12).Draw(m.t, "amount")) * money.Dollar / 4
		scope := LimitScope(l.ID)
		m.highest[scope] = max(m.highest[scope], l.Amount)
		next, err := m.policy.With(policy.PutLimit(l))
		if err != nil {
			m.t.Fatal(err)
		}
		m.policy = next
	}
}

func (m *limitMachine) run(c Command) Result {
	r := m.state.Apply(m.policy, c, m.now)
	changes := m.state.TakeChanges()
	for _, l := range changes.Leases {
		stored := *l
		stored.Held = slices.Clone(l.Held)
		stored.Posted = slices.Clone(l.Posted)
		m.disk.leases[l.ID] = &stored
	}
	for _, call := range changes.Gone {
		delete(m.disk.leases, call)
	}
	for _, r := range changes.Records {
		m.disk.records[r.ID] = r
	}
	maps.Copy(m.disk.spends, changes.Spends)
	return r
}

func (m *limitMachine) reserve() {
	call := callTo(rapid.SampledFrom([]string{"+12125550123", "+18765551234", "+13105550123"}).Draw(m.t, "number"))
	call.From = rapid.SampledFrom([]string{"+13125550100", "+13125550199"}).Draw(m.t, "caller")
	m.calls++
	call.ID = uuid.UUID{15: byte(m.calls), 14: byte(m.calls >> 8)}
	if r := m.run(Reserve{Call: call, Owner: owner}); r.Decision.Allow {
		m.live[call.ID] = &plainCall{id: call.ID, granted: r.GrantedSecs}
		return
	} else if r.Decision.Reason != ReasonSpendLimit {
		m.t.Fatalf("refused for %v", r.Decision.Reason)
	}
}

func (m *limitMachine) pick() *plainCall {
	if len(m.live) == 0 {
		m.t.Skip("no live call")
	}
	ids := slices.SortedFunc(maps.Keys(m.live), func(a, b uuid.UUID) int { return slices.Compare(a[:], b[:]) })
	return m.live[rapid.SampledFrom(ids).Draw(m.t, "call")]
}

func (m *limitMachine) answer() {
	c := m.pick()
	r := m.run(Answer{ID: c.id, AtMicros: m.now.UnixMicro()})
	if !c.answered {
		c.answered, c.answeredAt = true, m.now
	}
	c.granted = r.GrantedSecs
}

func (m *limitMachine) renew() {
	c := m.pick()
	if !c.answered {
		m.t.Skip("not answered")
	}
	c.granted = m.run(Renew{ID: c.id, Elapsed: m.now.Sub(c.answeredAt), GrantedSecs: c.granted}).GrantedSecs
}

func (m *limitMachine) end() {
	c := m.pick()
	e := Ending{EndedMicros: m.now.UnixMicro()}
	if c.answered {
		e.Elapsed = m.now.Sub(c.answeredAt)
	}
	m.run(Settle{ID: c.id, Ending: e})
	delete(m.live, c.id)
}

func (m *limitMachine) restart() {
	var leases []*Lease
	for _, l := range m.disk.leases {
		stored := *l
		stored.Held = slices.Clone(l.Held)
		stored.Posted = slices.Clone(l.Posted)
		leases = append(leases, &stored)
	}
	m.state = NewState()
	m.state.Restore(m.disk.spends, leases, nil, m.now)
}

// check adds up by hand: every charge and hold, window by window, without the keys that
// the ledger books by.
func (m *limitMachine) check() {
	audit := NewAuditor()
	for _, source := range m.limits {
		limit := m.policy.SpendLimit(testAccount, source.ID)
		audit.SpendLimit(limit)
		start, _, end := limit.Window(m.now.UnixMicro())
		var posted, later money.Amount
		add := func(s *policy.Spender, atMicros int64, cost money.Amount) {
			switch {
			case !limit.Counts(s) || atMicros < start:
			case atMicros < end:
				posted += cost
			default:
				later += cost
			}
		}
		for _, l := range m.disk.leases {
			for i := range l.Posted {
				add(l.spender(), l.Posted[i].AtMicros(), l.Posted[i].Cost)
			}
			for i := range l.Held {
				add(l.spender(), l.Held[i].AtMicros(), l.Held[i].Cost)
			}
		}
		for _, r := range m.disk.records {
			s := policy.Spender{Account: r.AccountID, Profile: r.ProfileID, Connection: r.ConnectionID,
				Caller: r.Caller,
				Callee: r.Callee, Country: r.Country}
			for i := range r.Slices {
				add(&s, r.Slices[i].AtMicros(), r.Slices[i].Cost)
			}
		}
		if limit.Period == policy.PeriodRollingDay {
			posted += later // what begins in the next hours counts already
		}
		if got := m.state.SpendUnder(limit, m.now.UnixMicro()); got.Posted+got.Held != posted {
			m.t.Fatalf("%s at %v: the ledger counts %v and %v held, the calls %v", limit.Shape, m.now,
				got.Posted, got.Held, posted)
		}
		if most := m.highest[LimitScope(limit.ID)]; limit.EndCalls && posted > most {
			m.t.Fatalf("%s at %v: %v spent and held of %v", limit.Shape, m.now, posted, most)
		}
	}
	for _, l := range m.disk.leases {
		audit.Lease(l)
	}
	records := slices.SortedFunc(maps.Values(m.disk.records), func(a,
		b *record.Call) int {
		return slices.Compare(a.ID[:], b.ID[:])
	})
	for _, r := range records {
		audit.Record(r)
	}
	for key, spend := range m.disk.spends {
		audit.Day(key, spend)
	}
	found := audit.Finish(func(key SpendKey, _ int64) (money.Amount, bool) {
		for _, l := range m.limits {
			if key.Scope == LimitScope(l.ID) && l.Action == spendlimit.EndCalls {
				return m.highest[key.Scope], true
			}
		}
		return math.MaxInt64, false
	})
	if !found.Holds() {
		m.t.Fatalf("the audit finds %+v", slices.MinFunc(found.Breaches, func(a,
			b Breach) int {
			return cmp.Compare(a.Row, b.Row)
		}))
	}
}
