package admission

import (
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/e164"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/rating"
	"github.com/tollgate/tollgate/internal/record"
)

// Lease is what an admitted call holds: one channel in its account, its profile
// and its connection, and money up to a moment in time.
type Lease struct {
	ID                           uuid.UUID
	Owner                        uuid.UUID // the process that runs the call
	Account, Profile, Connection id.ID
	BillingGroup                 *uuid.UUID
	Caller, Callee               e164.Number
	SIPCallID                    string

	// A live call keeps a lease, so what is small stands together.

	Country   e164.Country
	Emergency bool  // holds no channel and no money, see emergency.go
	MaxSecs   int32 // the call may never last longer; 0 for no limit

	Rate     rating.Rate
	Decision []byte // encoded, see Decision.Append

	ReservedMicros int64
	AnsweredMicros int64 // 0 while ringing
	ExpiresMicros  int64
	Gateway        id.ID
	Teardown       []byte // the owner's own note on how to end the call after a crash

	GrantedSecs int64 // for so much of the call there is money, from its answer on
	PostedSecs  int64 // of those, how many are posted
	Posted      []record.Slice
	Held        []Hold // in order, from PostedSecs to GrantedSecs

	HungUpMicros int64      // when the hang-up of the call was requested, 0 for never; see HangUp
	HungUpBy     *Requester // who that was; nil for never
}

// Hold is money held for one part of a call, booked to the day in which that
// part starts.
type Hold struct {
	FromSecs, ToSecs int64
	Day              record.Day
	Quarter          record.Quarter // 0 where money is counted by the day alone
	Cost             money.Amount
}

// AtMicros is to which instant the hold is booked.
func (h *Hold) AtMicros() int64 { return h.Day.At(h.Quarter) }

// Spend is what one scope has posted and holds on one day.
type Spend struct {
	Account      id.ID // whose the scope is
	Posted, Held money.Amount
	Overrun      money.Amount // what calls lasted beyond their grants would have cost
	// Told has a bit for each event of this day that was made, and ToldLimit is the
	// limit that was last reported as reached. See announceSpend.
	Told      uint8
	ToldLimit money.Amount
}

// CalleeKey names a count of calls to one number in one calling window.
type CalleeKey struct {
	Profile id.ID
	Callee  e164.Number
	Window  int32
}

// Errors of Apply.
var (
	ErrUnknownCall = errors.New("no call with this id holds a lease")
	ErrEnded       = errors.New("the call has ended")
	ErrCommand     = errors.New("not a command of the ledger")
)

// Changes is what must be made durable before the results of a group of commands
// are given out.
type Changes struct {
	Leases  []*Lease    // to be put; an entry may be read only until the next Apply
	Gone    []uuid.UUID // leases to be deleted
	Records []*record.Call
	Spends  map[SpendKey]Spend
	Callees map[CalleeKey]int32
	Holds   map[Scope]SpendHold // to be put
	// Emergencies are to be added to what there is.
	Emergencies map[EmergencyKey]EmergencyDay
	Events      []Event // in the order in which they happened
	Begun       []id.ID // connections whose calls were counted, see Paces
}

// State is the ledger: the set of live leases and the money of each profile and
// day. It is not safe for concurrent use; its one owner applies commands to it
// and makes the changes durable. When that fails the State must be thrown away
// and built again from what is durable.
type State struct {
	now     int64            // Unix microseconds; never goes back
	policy  *policy.Snapshot // in force for the command that is applied
	leases  map[uuid.UUID]*Lease
	live    map[id.ID]map[uuid.UUID]struct{} // by account, profile and connection: ids do not collide
	absent  map[id.ID]int32                  // live leases of a scope that RestorePart did not load
	spends  map[SpendKey]*Spend
	holds   map[Scope]SpendHold
	callees map[CalleeKey]int32
	paces   *Paces

	urgent       map[id.ID]int32               // live emergency calls of a connection
	absentUrgent map[id.ID]int32               // those that RestorePart did not load
	started      map[EmergencyKey]int64        // emergency calls of today
	emergencies  map[EmergencyKey]EmergencyDay // since the last TakeChanges

	ended map[uuid.UUID]*record.Call // records that Remember put here for repeated commands

	dirtyLeases  map[uuid.UUID]struct{}
	dirtySpends  map[SpendKey]struct{}
	dirtyCallees map[CalleeKey]struct{}
	dirtyHolds   map[Scope]struct{}
	gone         []uuid.UUID
	records      []*record.Call
	events       []Event
	begun        []id.ID // connections, see Paces
}

// NewState returns an empty ledger.
func NewState() *State {
	return &State{
		leases:       make(map[uuid.UUID]*Lease),
		live:         make(map[id.ID]map[uuid.UUID]struct{}),
		absent:       make(map[id.ID]int32),
		spends:       make(map[SpendKey]*Spend),
		holds:        make(map[Scope]SpendHold),
		callees:      make(map[CalleeKey]int32),
		paces:        &Paces{},
		ended:        make(map[uuid.UUID]*record.Call),
		urgent:       make(map[id.ID]int32),
		absentUrgent: make(map[id.ID]int32),
		started:      make(map[EmergencyKey]int64),
		emergencies:  make(map[EmergencyKey]EmergencyDay),
		dirtyLeases:  make(map[uuid.UUID]struct{}),
		dirtySpends:  make(map[SpendKey]struct{}),
		dirtyCallees: make(map[CalleeKey]struct{}),
		dirtyHolds:   make(map[Scope]struct{}),
	}
}

// Restore puts back what was durable: first every Spend, then every lease. The
// held amounts are not taken from there; they are the sum of the leases' holds. A
// scope has a Spend for every day on which money is counted in it.
func (s *State) Restore(spends map[SpendKey]Spend, leases []*Lease, callees map[CalleeKey]int32, now time.Time) {
	s.now = now.UnixMicro()
	for key, spend := range spends {
		if key.Kind != ScopeLimit { // which calls it counts, only the policy knows
			spend.Held = 0
		}
		s.spends[key] = &spend
	}
	for _, l := range leases {
		s.insert(l)
		for _, h := range l.Held {
			for scope := range l.Payer().Scopes {
				if s.spends[scope.On(h.Day)] != nil || scope.Always() {
					s.spendOf(scope.On(h.Day), l.Account).Held += h.Cost
				}
			}
		}
	}
	for key, n := range callees {
		s.callees[key] = n
	}
	clear(s.dirtySpends)
	clear(s.dirtyLeases)
}

// Knows reports whether the call is live or was remembered.
func (s *State) Knows(call uuid.UUID) bool {
	return s.leases[call] != nil || s.ended[call] != nil
}

// Remember tells the State of a call that has ended, so that a repeated command
// is answered alike. Forget makes it forget all of them.
func (s *State) Remember(r *record.Call) { s.ended[r.ID] = r }

// Forget drops what Remember put in.
func (s *State) Forget() { clear(s.ended) }

// Lease returns a live lease, or nil. It may be read only until the next Apply.
func (s *State) Lease(call uuid.UUID) *Lease { return s.leases[call] }

// Leases calls yield for every live lease, in no order.
func (s *State) Leases(yield func(*Lease) bool) {
	for _, l := range s.leases {
		if !yield(l) {
			return
		}
	}
}

// LiveCalls implements Usage.
func (s *State) LiveCalls(account, profile, connection id.ID) (a, p, c int32) {
	return s.LiveIn(account), s.LiveIn(profile), s.LiveIn(connection)
}

// LiveIn counts the leases of one scope: an account, a profile or a connection.
func (s *State) LiveIn(scope id.ID) int32 { return s.absent[scope] + int32(len(s.live[scope])) }

// SpendIn implements Usage. It is for a scope of any account, since their ids are
// unique in the server.
func (s *State) SpendIn(scope Scope, day record.Day) ScopeSpend {
	var used ScopeSpend
	if spend := s.spends[scope.On(day)]; spend != nil {
		used.Posted, used.Held = spend.Posted, spend.Held
	}
	if hold, held := s.holds[scope]; held {
		used.HeldBack = hold.On(day)
	}
	return used
}

// Spend is what a profile has posted and holds on a day.
func (s *State) Spend(profile id.ID, day record.Day) (posted, held money.Amount) {
	used := s.SpendIn(ProfileScope(profile), day)
	return used.Posted, used.Held
}

// Calls implements Usage.
func (s *State) Calls(profile id.ID, callee e164.Number, window int32) int32 {
	return s.callees[CalleeKey{profile, callee, window}]
}

// Apply carries out one command at a time. A time before that of an earlier
// command counts as that earlier time, so that no accounting day is opened twice.
func (s *State) Apply(p *policy.Snapshot, command Command, now time.Time) Result {
	s.now = max(s.now, now.UnixMicro())
	s.policy = p
	switch c := command.(type) {
	case Reserve:
		return s.reserve(p, &c)
	case Answer:
		return s.answer(p, &c)
	case Renew:
		return s.renew(p, &c)
	case Settle:
		return s.end(c.ID, &c.Ending, true)
	case Release:
		return s.end(c.ID, &c.Ending, false)
	case Expire:
		return s.expire("owner_lost", s.now, func(l *Lease) bool { return l.ExpiresMicros <= s.now })
	case ExpireOwners:
		return s.expire("owner_lost", s.now, func(l *Lease) bool { return l.Owner != c.Keep && !IsSwitchID(l.Owner) })
	case ExpireSwitch:
		return s.expire("switch_restarted", min(c.BeforeMicros, s.now), func(l *Lease) bool { return l.Owner == c.Owner && l.ReservedMicros < c.BeforeMicros })
	case HangUp:
		return s.hangUp(&c)
	case Report:
		return s.report(p, &c)
	}
	return Result{Err: fmt.Errorf("apply %T: %w", command, ErrCommand)}
}

// Stepped moves the expiry of every lease by as much as the time of day was set
// forward. No call has come nearer to the end of its grant by that.
func (s *State) Stepped(by time.Duration) {
	for _, l := range s.leases {
		l.ExpiresMicros += by.Microseconds()
		s.dirtyLeases[l.ID] = struct{}{}
	}
}

// TakeChanges returns what has changed since the last time, for one transaction.
func (s *State) TakeChanges() Changes {
	changes := Changes{
		Gone: s.gone, Records: s.records, Events: s.events, Begun: s.begun,
		Spends:  make(map[SpendKey]Spend, len(s.dirtySpends)),
		Callees: make(map[CalleeKey]int32, len(s.dirtyCallees)),
	}
	if len(s.dirtyHolds) > 0 {
		changes.Holds = make(map[Scope]SpendHold, len(s.dirtyHolds))
		for scope := range s.dirtyHolds {
			changes.Holds[scope] = s.holds[scope]
		}
		clear(s.dirtyHolds)
	}
	if len(s.emergencies) > 0 {
		changes.Emergencies = maps.Clone(s.emergencies)
		clear(s.emergencies)
	}
	for call := range s.dirtyLeases {
		if l := s.leases[call]; l != nil {
			changes.Leases = append(changes.Leases, l)
		}
	}
	for key := range s.dirtySpends {
		changes.Spends[key] = *s.spends[key]
	}
	for key := range s.dirtyCallees {
		changes.Callees[key] = s.callees[key]
	}
	s.gone, s.records, s.events, s.begun = nil, nil, nil, nil
	clear(s.dirtyLeases)
	clear(s.dirtySpends)
	clear(s.dirtyCallees)
	return changes
}

func (s *State) reserve(p *policy.Snapshot, c *Reserve) Result {
	if r, repeated := s.repeatedReserve(p, c); repeated {
		return r
	}
	d := Decide(p, &c.Call, s, time.UnixMicro(s.now))
	s.countPace(&d.Facts)
	if !d.Allow {
		r := refusalRecord(&d, &c.Call)
		if profile := p.Profile(d.Facts.Profile); profile != nil {
			r.BillingGroup = profile.BillingGroup
		}
		s.records = append(s.records, r)
		if d.Reason == ReasonSpendLimit {
			f := &d.Facts
			s.announceLimits(p, &spendPlace{f.payer(), f.AtMicros}, f.spender(r.BillingGroup), f.AtMicros, true)
		}
		if d.Verdicts[RuleSpend] == Refuse && d.Reason.ofSpend() {
			s.announceSpend(p, spendPlace{PayerOf(d.Facts.Account, d.Facts.Profile, d.Facts.Connection, r.BillingGroup),
				d.Facts.AtMicros}, true)
		}
		return Result{Decision: d, Record: r}
	}
	l := &Lease{
		ID: c.Call.ID, Owner: c.Owner, SIPCallID: c.Call.SIPCallID,
		Account: d.Facts.Account, Profile: d.Facts.Profile, Connection: d.Facts.Connection,
		Caller: d.Facts.Caller, Callee: d.Facts.Callee, Country: d.Facts.Class.Country,
		Emergency: d.Facts.Emergency, Rate: d.Facts.Rate, Decision: d.Append(nil),
		ReservedMicros: s.now, ExpiresMicros: s.now + SetupTTL.Microseconds(),
		GrantedSecs: d.Facts.FirstGrantSecs, MaxSecs: int32(d.Facts.MaxSecs()),
	}
	if profile := p.Profile(l.Profile); profile != nil {
		l.BillingGroup = profile.BillingGroup
	}
	s.announceCall(p, EventInitiated, l, s.now)
	if l.Emergency {
		s.startEmergency(p, l)
	} else {
		h := Hold{ToSecs: l.GrantedSecs, Day: d.Facts.Day, Quarter: s.quarter(l, s.now), Cost: d.Facts.FirstGrantCost}
		l.Held = []Hold{h}
		s.move(l, h.AtMicros(), 0, h.Cost)
		s.announce(p, l, h.AtMicros(), false)
		s.countCallee(&d.Facts)
	}
	s.insert(l)
	return l.grant(Result{Decision: d, DueMicros: l.DueMicros()})
}

func (s *State) countCallee(f *Facts) {
	if f.CalleeCallsMax == policy.NoLimit {
		return
	}
	key := CalleeKey{f.Profile, f.Callee, f.WindowInstance}
	s.callees[key]++
	s.dirtyCallees[key] = struct{}{}
}

// answer starts the meter. The first grant was held on the day of the
// reservation; when the answer falls on a later day it is held there instead, if
// it fits. If it does not, the grant becomes 0 and the owner must end the call.
func (s *State) answer(p *policy.Snapshot, c *Answer) Result {
	l := s.leases[c.ID]
	if l == nil {
		return s.missing(c.ID)
	}
	if l.AnsweredMicros != 0 {
		return l.grant(Result{})
	}
	l.AnsweredMicros = min(max(c.AtMicros, l.ReservedMicros), s.now)
	l.Gateway, l.Teardown = c.Gateway, c.Teardown
	s.announceCall(p, EventAnswered, l, l.AnsweredMicros)
	promisedSecs := l.AllowedSecs()
	if len(l.Held) > 0 && s.booksElsewhere(l, l.Held[0].AtMicros(), l.AnsweredMicros) {
		h := l.Held[0]
		s.move(l, h.AtMicros(), 0, -h.Cost)
		l.Held, l.GrantedSecs = nil, 0
		s.hold(p, l, h.ToSecs)
	}
	s.touch(l, 0)
	// Until the owner gets a shorter grant, the call may live by the longer one.
	l.ExpiresMicros += max(0, promisedSecs-l.AllowedSecs()) * time.Second.Microseconds()
	return l.grant(Result{})
}

func (s *State) renew(p *policy.Snapshot, c *Renew) Result {
	l := s.leases[c.ID]
	if l == nil {
		return s.missing(c.ID)
	}
	if l.HungUpMicros != 0 {
		return l.grant(Result{})
	}
	elapsedSecs := int64(max(0, c.Elapsed) / time.Second)
	repeated := c.GrantedSecs < l.AllowedSecs()
	early := l.GrantedSecs-elapsedSecs > max(renewAheadSecs, int64(l.Rate.Increment))
	if l.AnsweredMicros == 0 || l.Emergency || repeated || early {
		s.touch(l, c.Elapsed)
		return l.grant(Result{Extended: repeated})
	}
	s.postPassed(l, elapsedSecs)
	before := l.GrantedSecs
	s.hold(p, l, GrantSecs)
	s.touch(l, c.Elapsed)
	if l.GrantedSecs > before {
		return l.grant(Result{Extended: true})
	}
	return l.grant(Result{Limit: s.limitOf(p, l)})
}

// touch moves the expiry of the lease and marks it for the next transaction. elapsed
// is how long ago the call was answered by its owner's monotonic clock, at most:
// the time of day of the answer, which is by the owner's clock too, may be wrong.
func (s *State) touch(l *Lease, elapsed time.Duration) {
	if l.AnsweredMicros == 0 || l.Emergency {
		l.ExpiresMicros = s.now + SetupTTL.Microseconds()
	} else {
		answered := max(l.AnsweredMicros, s.now-max(0, elapsed).Microseconds())
		l.ExpiresMicros = answered + l.AllowedSecs()*time.Second.Microseconds() + ExpiryGrace.Microseconds()
	}
	s.dirtyLeases[l.ID] = struct{}{}
}

func (s *State) insert(l *Lease) {
	s.leases[l.ID] = l
	s.dirtyLeases[l.ID] = struct{}{}
	if l.Emergency {
		s.urgent[l.Connection]++
		return
	}
	for _, scope := range [...]id.ID{l.Account, l.Profile, l.Connection} {
		set := s.live[scope]
		if set == nil {
			set = make(map[uuid.UUID]struct{})
			s.live[scope] = set
		}
		set[l.ID] = struct{}{}
	}
}

func (s *State) remove(l *Lease) {
	delete(s.leases, l.ID)
	delete(s.dirtyLeases, l.ID)
	s.gone = append(s.gone, l.ID)
	if l.Emergency {
		if s.urgent[l.Connection]--; s.urgent[l.Connection] == 0 {
			delete(s.urgent, l.Connection)
		}
		return
	}
	for _, scope := range [...]id.ID{l.Account, l.Profile, l.Connection} {
		if set := s.live[scope]; set != nil {
			delete(set, l.ID)
			if len(set) == 0 {
				delete(s.live, scope)
			}
		}
	}
}
