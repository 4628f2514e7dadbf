package admission

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/profile"
	"github.com/tollgate/tollgate/internal/rating"
	"github.com/tollgate/tollgate/internal/record"
)

// plainCall is what the model knows of a call: a few facts, no cleverness.
type plainCall struct {
	id         uuid.UUID
	rate       rating.Rate
	answered   bool
	answeredAt time.Time
	granted    int64
	emergency  bool
	hungUp     bool
}

// disk is what the changes of a State add up to: what a store keeps.
type disk struct {
	leases  map[uuid.UUID]*Lease
	spends  map[SpendKey]Spend
	callees map[CalleeKey]int32
	holds   map[Scope]SpendHold
	records map[uuid.UUID]*record.Call
	urgent  map[EmergencyKey]EmergencyDay
	told    map[toldKey]int // the thresholds; not on a disk, but known to the customer
}

// toldKey names a threshold that was told of: 100 % of each limit, the others of
// each day alone.
type toldKey struct {
	scope   Scope
	day     record.Day
	percent int32
	limit   money.Amount
}

// machine runs random commands on a State and checks the invariants after each.
type machine struct {
	t        *rapid.T
	state    *State
	disk     disk
	deck     *rating.Deck
	policy   *policy.Snapshot
	limits   map[Scope]policy.SpendLimit
	channels int32
	urgent   *int32                 // emergency calls at once, nil for no limit
	highest  map[Scope]money.Amount // the largest limit in force so far today
	now      time.Time
	live     map[uuid.UUID]*plainCall
	calls    int
	last     Command

	toldLimits map[SpendKey]money.Amount // the limit whose reaching was told last
}

// modelScopes are the scopes of every call of the model.
var modelScopes = [...]Scope{ProfileScope(testProfile), GroupScope(testGroup), AccountScope(testAccount)}

func TestRandomOperations(t *testing.T) {
	decks := []*rating.Deck{
		deckOf(t, 60, 60, "0.01", map[string]string{"1": "0.60", "1876": "3.00", "1911": "75"}),
		deckOf(t, 1, 1, "0", map[string]string{"1": "0.017", "1876": "0.99", "1911": "0.25", "19110": "9"}),
		deckOf(t, 30, 6, "0.005", map[string]string{"1": "0.10", "1876": "0.333333"}),
	}
	rapid.Check(t, func(rt *rapid.T) {
		m := &machine{
			t: rt, state: NewState(), deck: rapid.SampledFrom(decks).Draw(rt, "deck"), now: noon,
			live: map[uuid.UUID]*plainCall{}, toldLimits: map[SpendKey]money.Amount{},
			limits: map[Scope]policy.SpendLimit{}, highest: map[Scope]money.Amount{},
			disk: disk{map[uuid.UUID]*Lease{}, map[SpendKey]Spend{}, map[CalleeKey]int32{}, map[Scope]SpendHold{}, map[uuid.UUID]*record.Call{}, map[EmergencyKey]EmergencyDay{}, map[toldKey]int{}},
		}
		for _, scope := range modelScopes {
			m.limits[scope] = policy.SpendLimit{On: true, EndCalls: rapid.Bool().Draw(rt, "end calls"), HoldAfter: rapid.Bool().Draw(rt, "hold after")}
		}
		m.changeLimits()
		rt.Repeat(map[string]func(*rapid.T){
			"reserve": func(*rapid.T) { m.reserve() },
			"answer":  func(*rapid.T) { m.answer() },
			"renew":   func(*rapid.T) { m.renew() },
			"end":     func(*rapid.T) { m.end() },
			"hang up": func(*rapid.T) { m.hangUp() },
			"expire":  func(*rapid.T) { m.ended(m.run(Expire{}).Expired) },
			"limits":  func(*rapid.T) { m.changeLimits() },
			"release": func(*rapid.T) { m.releaseHold() },
			"repeat":  func(*rapid.T) { m.repeat() },
			"restart": func(*rapid.T) { m.restart() },
			"wait":    func(*rapid.T) { m.wait() },
			"":        func(*rapid.T) { m.check() },
		})
	})
}

func (m *machine) run(c Command) Result {
	m.last = c
	part := m.part(c)
	r := m.state.Apply(m.policy, c, m.now)
	if want, got := outcome(r, m.state), outcome(part.Apply(m.policy, c, m.now), part); want != got {
		m.t.Fatalf("%T by a part of the ledger:\n%s\nby the whole:\n%s", c, got, want)
	}
	m.persist()
	return r
}

func (m *machine) persist() {
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
		if m.disk.records[r.ID] != nil {
			m.t.Fatalf("call %s has a second record", r.ID)
		}
		m.disk.records[r.ID] = r
	}
	maps.Copy(m.disk.spends, changes.Spends)
	maps.Copy(m.disk.callees, changes.Callees)
	maps.Copy(m.disk.holds, changes.Holds)
	for key, more := range changes.Emergencies {
		day := m.disk.urgent[key]
		day.Add(more)
		m.disk.urgent[key] = day
	}
	for _, e := range changes.Events {
		m.announced(e)
	}
}

// announced holds an event against what it says.
func (m *machine) announced(e Event) {
	switch e.Kind {
	case EventEmergency:
		return
	case EventEmergencyAlert:
		key := toldKey{Scope{}, e.Day, int32(e.Count), 0}
		started := m.disk.urgent[EmergencyKey{testAccount, testConnection, e.Day}].Started
		if m.disk.told[key]++; m.disk.told[key] > 1 || e.Count != started || e.Count%2 != 0 {
			m.t.Fatalf("reported %d emergency calls of %d, %d times", e.Count, started, m.disk.told[key])
		}
		return
	}
	key := toldKey{e.Scope, e.Day, e.Percent, 0}
	percent := int64(e.Percent)
	if e.Kind == EventSpendLimitReached {
		key.limit, percent = e.Limit, nearLimitPercent
		if told, ok := m.toldLimits[e.Scope.On(e.Day)]; ok && told == e.Limit {
			m.t.Fatalf("the limit %v of %s and day %d is told twice in a row", e.Limit, e.Scope, e.Day)
		}
		m.toldLimits[e.Scope.On(e.Day)] = e.Limit
		if _, held := m.disk.holds[e.Scope]; held != m.limits[e.Scope].HoldAfter {
			m.t.Fatalf("%s has reached its limit; held: %v", e.Scope, held)
		}
	} else if m.disk.told[key]++; m.disk.told[key] > 1 {
		m.t.Fatalf("%d %% of day %d is told twice", e.Percent, e.Day)
	}
	if int64(e.Posted+e.Held)*100 < int64(e.Limit)*percent || e.Limit != m.limits[e.Scope].Limit {
		m.t.Fatalf("told of %d %% with %v posted, %v held, limit %v", e.Percent, e.Posted, e.Held, e.Limit)
	}
}

// overdue looks for a threshold that was passed on a day and not told of.
func (m *machine) overdue(day record.Day) {
	for _, scope := range modelScopes {
		limit, used := m.limits[scope].Limit, m.state.SpendIn(scope, day)
		spent := used.Posted + used.Held
		for _, percent := range spendThresholds {
			if passed := limit > 0 && int64(spent)*100 >= int64(limit)*int64(percent); passed && m.disk.told[toldKey{scope, day, percent, 0}] == 0 {
				m.t.Fatalf("%d %% of %s is passed with %v of %v, and not told", percent, scope, spent, limit)
			}
		}
		if told, ok := m.toldLimits[scope.On(day)]; spent >= limit && (!ok || told != limit) {
			m.t.Fatalf("the limit of %s is reached with %v of %v, and not told", scope, spent, limit)
		}
	}
}

func (m *machine) changeLimits() {
	m.channels = rapid.Int32Range(0, 5).Draw(m.t, "channels")
	for i, scope := range modelScopes {
		limit := m.limits[scope]
		// What is shared is mostly larger than what is not.
		limit.Limit = money.Amount(rapid.Int64Range(0, 8+4*int64(i)).Draw(m.t, "limit")) * money.Dollar / 2
		m.limits[scope] = limit
		m.highest[scope] = max(m.highest[scope], limit.Limit)
	}
	p := profile.New()
	p.WhitelistedDestinations = []string{"US", "JM"}
	own := m.limits[modelScopes[0]]
	p.DailySpendLimit, p.DailySpendLimitEnabled = &own.Limit, true
	p.ConcurrentCallLimit = &m.channels
	p.BillingGroupID = &testGroup
	if own.EndCalls {
		p.SpendLimitAction = profile.EndCalls
	}
	if own.HoldAfter {
		p.AfterLimit = profile.HoldUntilReleased
	}
	if m.urgent = nil; rapid.Bool().Draw(m.t, "emergency calls limited") {
		m.urgent = new(rapid.Int32Range(1, 2).Draw(m.t, "emergency calls"))
	}
	next, err := policySnapshot(p, m.deck, m.limits, m.urgent)
	if err != nil {
		m.t.Fatal(err)
	}
	m.policy = next
}

// releaseHold is what somebody does who has looked at what was spent.
func (m *machine) releaseHold() {
	scope := rapid.SampledFrom(modelScopes[:]).Draw(m.t, "scope")
	if _, held := m.disk.holds[scope]; !held {
		m.t.Skip("not held")
	}
	delete(m.disk.holds, scope)
	m.state.DropHold(scope)
	m.last = nil
}

func policySnapshot(p profile.Profile, deck *rating.Deck, limits map[Scope]policy.SpendLimit, urgent *int32) (*policy.Snapshot, error) {
	limit := p.DailySpendLimit
	copied := *limit
	p.DailySpendLimit = &copied
	p.ID = testProfile
	p.AccountID = testAccount
	p.Version = 1
	a, c := testAccountPolicy(), attachedConnection()
	c.ID, c.AccountID = testConnection, testAccount
	c.Outbound.Localization = new("US")
	c.EmergencyCallLimit, c.EmergencyAlertCalls = urgent, new(int32(2))
	a.Spending = limits[AccountScope(testAccount)]
	group := policy.Group{ID: testGroup, Account: testAccount, Spending: limits[GroupScope(testGroup)]}
	return (&policy.Snapshot{}).With(policy.PutGroup(&group), policy.PutAccount(&a), policy.PutProfile(&p), policy.PutIPConn(&c),
		policy.PutDeck(&policy.Deck{ID: testDeck, Account: testAccount, Rates: deck}))
}

func (m *machine) reserve() {
	number := rapid.SampledFrom([]string{"+12125550123", "+18765551234", "911", "+33142685300"}).Draw(m.t, "number")
	call := callTo(number)
	m.calls++
	call.ID = uuid.UUID{15: byte(m.calls), 14: byte(m.calls >> 8)} // repeatable with the seed
	before := map[Scope]ScopeSpend{}
	for _, scope := range modelScopes {
		before[scope] = m.state.SpendIn(scope, record.DayOf(m.now.UnixMicro()))
	}
	heldBack := maps.Clone(m.disk.holds)
	channelsTaken, urgent := 0, int32(0)
	for _, c := range m.live {
		if c.emergency {
			urgent++
		} else {
			channelsTaken++
		}
	}
	r := m.run(Reserve{Call: call, Owner: owner})
	if !r.Decision.Allow {
		if number == "911" && (m.urgent == nil || urgent < *m.urgent) {
			m.t.Fatalf("an emergency call beside %d is refused: %v", urgent, r.Decision.Reason)
		}
		if m.disk.records[call.ID] == nil {
			m.t.Fatalf("refused call %s left no record", call.ID)
		}
		return
	}
	c := &plainCall{id: call.ID, rate: r.Decision.Facts.Rate, granted: r.GrantedSecs, emergency: number == "911"}
	m.live[call.ID] = c
	if c.emergency {
		if m.urgent != nil && urgent >= *m.urgent {
			m.t.Fatalf("an emergency call beside %d, above the limit of %d", urgent, *m.urgent)
		}
		return
	}
	m.overdue(record.DayOf(m.now.UnixMicro()))
	if channelsTaken >= int(m.channels) {
		m.t.Fatalf("admitted with %d of %d channels taken", channelsTaken, m.channels)
	}
	for scope, used := range before {
		if used.Posted+used.Held+c.rate.Cost(c.granted) > m.limits[scope].Limit {
			m.t.Fatalf("%s: admitted with %+v, first grant %v, limit %v", scope, used, c.rate.Cost(c.granted), m.limits[scope].Limit)
		}
		if hold, held := heldBack[scope]; held {
			m.t.Fatalf("%s: admitted in spite of %+v", scope, hold)
		}
	}
}

func (m *machine) pick() *plainCall {
	if len(m.live) == 0 {
		m.t.Skip("no live call")
	}
	ids := slices.SortedFunc(maps.Keys(m.live), func(a, b uuid.UUID) int { return slices.Compare(a[:], b[:]) })
	return m.live[rapid.SampledFrom(ids).Draw(m.t, "call")]
}

func (m *machine) answer() {
	c := m.pick()
	if c.answered {
		m.t.Skip("answered")
	}
	r := m.run(Answer{ID: c.id, AtMicros: m.now.UnixMicro()})
	c.answered = true
	c.answeredAt = m.now
	c.granted = r.GrantedSecs
}

func (m *machine) renew() {
	c := m.pick()
	elapsed := time.Duration(0)
	if c.answered {
		elapsed = m.now.Sub(c.answeredAt)
	}
	r := m.run(Renew{ID: c.id, Elapsed: elapsed, GrantedSecs: c.granted})
	if r.HungUp != c.hungUp || c.hungUp && (r.Extended || r.GrantedSecs != c.granted) {
		m.t.Fatalf("renewed to %+v, hung up: %v, granted %d s", r, c.hungUp, c.granted)
	}
	if r.GrantedSecs < c.granted {
		m.t.Fatalf("a renewal took back %d s", c.granted-r.GrantedSecs)
	}
	c.granted = r.GrantedSecs
	if !r.Extended {
		m.last = nil // it had no effect, so sending it again is a new try
	} else if held := m.state.Lease(c.id).Held; len(held) > 0 {
		m.overdue(held[len(held)-1].Day)
	}
}

// hangUp marks a call: its money and its channels stay as they are until it has ended.
func (m *machine) hangUp() {
	c := m.pick()
	mark := HangUp{ID: c.id, Account: testAccount, By: "the model", Force: rapid.Bool().Draw(m.t, "force")}
	before := m.state.SpendIn(modelScopes[0], record.DayOf(m.now.UnixMicro()))
	r := m.run(mark)
	switch refused := c.emergency && !mark.Force; {
	case refused && !errors.Is(r.Err, ErrEmergencyCall), !refused && (r.Err != nil || !r.HungUp):
		m.t.Fatalf("hung up with force %v: %+v", mark.Force, r)
	case !refused:
		c.hungUp = true
	}
	if after := m.state.SpendIn(modelScopes[0], record.DayOf(m.now.UnixMicro())); after != before {
		m.t.Fatalf("a hang-up moved money: %+v, before %+v", after, before)
	}
}

func (m *machine) end() {
	c := m.pick()
	e := Ending{EndedMicros: m.now.UnixMicro(), HungUp: c.hungUp}
	var r Result
	if c.answered {
		e.Elapsed = m.now.Sub(c.answeredAt)
		r = m.run(Settle{ID: c.id, Ending: e})
	} else {
		r = m.run(Release{ID: c.id, Ending: e})
	}
	if r.Err != nil {
		m.t.Fatal(r.Err)
	}
	m.ended([]*record.Call{r.Record})
}

// ended compares records with what the plain model says they should be.
func (m *machine) ended(records []*record.Call) {
	for _, r := range records {
		c := m.live[r.ID]
		delete(m.live, r.ID)
		want := int64(0)
		if c.answered {
			elapsed := max(1, time.Duration(r.DurationMicros)*time.Microsecond)
			want = min(c.rate.BillableSecs(elapsed), c.granted)
		}
		if r.BilledSecs < want && !c.emergency {
			m.t.Fatalf("billed %d s of a call that used %d s", r.BilledSecs, want)
		}
		if details := r.HungUpBy != ""; details != c.hungUp || c.hungUp && r.HangupSource != record.SideTollgate {
			m.t.Fatalf("ended by %v, %q, hung up: %v", r.HangupSource, r.HungUpBy, c.hungUp)
		}
		if r.BilledSecs > c.granted {
			m.t.Fatalf("billed %d s, granted %d s", r.BilledSecs, c.granted)
		}
		if cost := c.rate.Cost(r.BilledSecs); r.Cost != cost {
			m.t.Fatalf("cost %v for %d s, want %v", r.Cost, r.BilledSecs, cost)
		}
	}
}

// repeat sends the last command again: nothing may change.
func (m *machine) repeat() {
	switch c := m.last.(type) {
	case nil, Expire, ExpireOwners:
		m.t.Skip("nothing to repeat")
	case Settle:
		m.state.Remember(m.disk.records[c.ID])
	case Release:
		m.state.Remember(m.disk.records[c.ID])
	case Reserve:
		if r := m.disk.records[c.Call.ID]; r != nil {
			m.state.Remember(r)
		}
	}
	before := m.fingerprint(m.state)
	m.run(m.last)
	if after := m.fingerprint(m.state); after != before {
		m.t.Fatalf("a repeated %T changed the ledger:\n%s\n%s", m.last, before, after)
	}
	m.state.Forget()
}

// restart builds the State again from what was durable.
func (m *machine) restart() {
	leases := make([]*Lease, 0, len(m.disk.leases))
	for _, l := range m.disk.leases {
		stored := *l
		stored.Held = slices.Clone(l.Held)
		stored.Posted = slices.Clone(l.Posted)
		leases = append(leases, &stored)
	}
	next := NewState()
	next.Restore(m.disk.spends, leases, m.disk.callees, m.now)
	next.PutHolds(m.disk.holds)
	next.PutEmergencies(m.startedToday())
	if before, after := m.fingerprint(m.state), m.fingerprint(next); before != after {
		m.t.Fatalf("a restart changed the ledger:\n%s\n%s", before, after)
	}
	m.state, m.last = next, nil
}

func (m *machine) wait() {
	d := time.Duration(rapid.SampledFrom([]int{1, 5, 20, 45, 400, 40_000}).Draw(m.t, "seconds")) * time.Second
	if record.DayOf(m.now.Add(d).UnixMicro()) != record.DayOf(m.now.UnixMicro()) {
		for scope, limit := range m.limits {
			m.highest[scope] = limit.Limit
		}
	}
	m.now = m.now.Add(d)
}

// fingerprint is the ledger as text, for comparing two of them. Days on which
// nothing was booked are left out: a State may or may not remember them.
func (m *machine) fingerprint(s *State) string {
	var lines []string
	for l := range s.Leases {
		lines = append(lines, fmt.Sprintf("lease %s %d %d %v %v", l.ID, l.AnsweredMicros, l.GrantedSecs, l.Held, l.Posted))
	}
	for day := record.DayOf(m.now.UnixMicro()) - 1; day <= record.DayOf(m.now.UnixMicro())+1; day++ {
		for _, scope := range modelScopes {
			used, told := s.SpendIn(scope, day), Spend{}
			if spend := s.spends[scope.On(day)]; spend != nil {
				told = *spend
			}
			lines = append(lines, fmt.Sprintf("day %d of %s %+v told %b %v", day, scope, used, told.Told, told.ToldLimit))
		}
	}
	a, p, c := s.LiveCalls(testAccount, testProfile, testConnection)
	lines = append(lines, fmt.Sprint("live ", a, p, c, s.LiveEmergencies(testConnection)))
	slices.Sort(lines)
	return fmt.Sprint(lines)
}

// check holds the invariants that are true at every moment.
func (m *machine) check() {
	posted, held := map[record.Day]money.Amount{}, map[record.Day]money.Amount{}
	urgent := map[EmergencyKey]EmergencyDay{}
	count := func(day record.Day, more EmergencyDay) {
		key := EmergencyKey{testAccount, testConnection, day}
		sum := urgent[key]
		sum.Add(more)
		urgent[key] = sum
	}
	for _, r := range m.disk.records {
		if r.Emergency && r.Outcome != record.OutcomeRefused {
			count(record.DayOf(r.StartedMicros), EmergencyDay{Started: 1, Ended: 1})
		}
		for _, slice := range r.Slices {
			if r.Emergency {
				count(slice.Day, EmergencyDay{BilledSecs: slice.Secs, Posted: slice.Cost})
				continue
			}
			posted[slice.Day] += slice.Cost
		}
	}
	leases := 0
	for l := range m.state.Leases {
		leases++
		if l.Emergency {
			count(record.DayOf(l.ReservedMicros), EmergencyDay{Started: 1})
		}
		for _, slice := range l.Posted {
			posted[slice.Day] += slice.Cost
		}
		for _, h := range l.Held {
			held[h.Day] += h.Cost
		}
	}
	if leases != len(m.live) {
		m.t.Fatalf("%d leases for %d live calls", leases, len(m.live))
	}
	if !maps.Equal(urgent, m.disk.urgent) {
		m.t.Fatalf("emergency calls are counted as %+v, they are %+v", m.disk.urgent, urgent)
	}
	for key, spend := range m.disk.spends {
		if spend.Posted != posted[key.Day] {
			m.t.Fatalf("%s, day %d: posted %v, the records' slices sum to %v", key.Scope, key.Day, spend.Posted, posted[key.Day])
		}
		if spend.Held != held[key.Day] {
			m.t.Fatalf("%s, day %d: held %v, the leases hold %v", key.Scope, key.Day, spend.Held, held[key.Day])
		}
	}
	day := record.DayOf(m.now.UnixMicro())
	for scope, limit := range m.limits {
		if limit.EndCalls && posted[day]+held[day] > m.highest[scope] {
			m.t.Fatalf("%s: posted %v + held %v passes the largest limit of the day, %v", scope, posted[day], held[day], m.highest[scope])
		}
	}
}

// startedToday is what a store knows of the emergency calls of today.
func (m *machine) startedToday() map[EmergencyKey]int64 {
	started := map[EmergencyKey]int64{}
	for key, day := range m.disk.urgent {
		if key.Day == record.DayOf(m.now.UnixMicro()) {
			started[key] = day.Started
		}
	}
	return started
}
