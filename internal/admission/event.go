package admission

import (
	"math/bits"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/record"
)

// EventKind is the kind of an Event.
type EventKind uint8

// The kinds of events. How a call ended is in its record and has none. Those of
// each call are made only where there is a listener.
const (
	EventEmergency         EventKind = iota + 1 // an emergency call was admitted
	EventSpendThreshold                         // the spend of a scope has passed a part of its daily limit
	EventSpendLimitReached                      // a daily limit stands in the way of calls
	EventEmergencyAlert                         // a connection has started unusually many emergency calls
	EventInitiated                              // a call was admitted
	EventAnswered                               // a call was answered
	EventHangUp                                 // the hang-up of a call of another switch was requested
)

// Event is something that customers want to be told at once. It is in the Changes
// with what caused it, so that it is durable if and only if its cause is.
type Event struct {
	Kind                         EventKind
	AtMicros                     int64
	Account, Profile, Connection id.ID

	// Of the events of one call, and of the call that led to EventEmergencyAlert.
	Call          uuid.UUID
	SIPCallID     string
	Decision      []byte // encoded, see Decision.Append
	StartedMicros int64  // of EventInitiated and EventAnswered
	Answered      int64  // of EventHangUp: when the call was answered in Unix microseconds, 0 for not yet

	// Of EventEmergencyAlert: the calls of Day, and how many of them are unusual.
	Count, Threshold int64

	// Of the events of spend. Profile and Connection are those of the call that led to it.
	Scope        Scope
	Day          record.Day
	Percent      int32 // 50, 80, 95 or 100
	Limit        money.Amount
	Posted, Held money.Amount
	// ForecastMicros is when the limit is reached at the pace of the day so far; 0
	// when that is not before the day's end, and in EventSpendLimitReached.
	ForecastMicros int64
	HoldAfter      bool // calls are refused from then on until the scope is released

	// Of the events of a spend limit, and when what is spent now counts no longer.
	SpendLimit  *policy.Limit
	OpensMicros int64
}

// announceCall makes the event of a call that was admitted or answered. Where no
// webhook is configured it costs two lookups.
func (s *State) announceCall(p *policy.Snapshot, kind EventKind, l *Lease, atMicros int64) {
	if !p.Listens(l.Account, l.Connection) {
		return
	}
	s.events = append(s.events, Event{
		Kind: kind, AtMicros: atMicros, Account: l.Account, Profile: l.Profile, Connection: l.Connection,
		Call: l.ID, SIPCallID: l.SIPCallID, Decision: l.Decision, StartedMicros: l.ReservedMicros,
	})
}

// spendThresholds are the parts of a daily limit, in percent, that are reported.
// Their order is stored, in Spend.Told; append only.
var spendThresholds = [...]int32{50, 80, 95}

const (
	// toldReached is the bit of Spend.Told for the limit itself.
	toldReached = 1 << 7
	// nearLimitPercent says when a limit counts as reached because a call found too
	// little of it left. What is left below the price of one more increment stays
	// unused for good, so that the sum of charges seldom meets the limit exactly.
	nearLimitPercent = 95
)

// announceSpend makes the events that are due after the spend of a call's scopes
// and day has grown, or after a call was refused or not extended for want of
// budget. Each threshold is reported once a day; the limit itself once a day and limit,
// so that one which was raised and reached again is reported again. A scope that is to
// be held until it is released is held from then on.
func (s *State) announceSpend(p *policy.Snapshot, at spendPlace, wanting bool) {
	scopes, n := scopesOf(p, at.Payer)
	for i := range n {
		if scopes[i].limit.On {
			s.announceScope(&scopes[i], at, wanting)
		}
	}
}

func (s *State) announceScope(scope *limitedScope, at spendPlace, wanting bool) {
	day := record.DayOf(at.atMicros)
	key := scope.On(day)
	spend := Spend{Account: at.Account}
	if known := s.spends[key]; known != nil {
		spend = *known
	}
	before, limit, spent := spend, scope.limit.Limit, money.Add(spend.Posted, spend.Held)
	tell := func(kind EventKind, percent int32) *Event {
		s.events = append(s.events, Event{
			Kind: kind, AtMicros: s.now, Account: at.Account, Profile: at.Profile, Connection: at.Connection, Scope: scope.Scope,
			Day: day, Percent: percent, Limit: limit, Posted: spend.Posted, Held: spend.Held,
		})
		return &s.events[len(s.events)-1]
	}
	for i, percent := range spendThresholds {
		if bit := uint8(1) << i; spend.Told&bit == 0 && limit > 0 && reaches(spent, limit, percent) {
			spend.Told |= bit
			tell(EventSpendThreshold, percent).ForecastMicros, _ = Forecast(spent, limit, day, s.now)
		}
	}
	told := spend.Told&toldReached != 0 && spend.ToldLimit == limit
	if !told && (reaches(spent, limit, 100) || wanting && reaches(spent, limit, nearLimitPercent)) {
		spend.Told |= toldReached
		spend.ToldLimit = limit
		tell(EventSpendLimitReached, 100).HoldAfter = scope.limit.HoldAfter
		if scope.limit.HoldAfter {
			s.holds[scope.Scope] = SpendHold{Account: at.Account, Cause: HoldLimit, SinceMicros: s.now}
			s.dirtyHolds[scope.Scope] = struct{}{}
		}
	}
	if spend != before {
		*s.spendOf(key, at.Account) = spend
	}
}

// spendPlace is where an amount of a call is booked.
type spendPlace struct {
	Payer
	atMicros int64
}

// announce reports all limits that count the money of a call.
func (s *State) announce(p *policy.Snapshot, l *Lease, atMicros int64, wanting bool) {
	at := spendPlace{l.Payer(), atMicros}
	s.announceSpend(p, at, wanting)
	if len(p.SpendLimits(l.Account)) > 0 {
		s.announceLimits(p, &at, l.spender(), atMicros, wanting)
	}
}

// reaches reports whether an amount is at least so many percent of a limit, in 128 bits.
func reaches(spent, limit money.Amount, percent int32) bool {
	spentHigh, spentLow := bits.Mul64(uint64(max(0, spent)), 100)
	limitHigh, limitLow := bits.Mul64(uint64(max(0, limit)), uint64(percent))
	return spentHigh > limitHigh || spentHigh == limitHigh && spentLow >= limitLow
}

// Forecast says when the spend of a profile reaches its limit, as a Unix time in
// microseconds, if it continues at the pace of the accounting day so far. It says
// nothing before anything was spent, and when the day ends first: the next day
// begins with the whole limit.
func Forecast(spent, limit money.Amount, day record.Day, nowMicros int64) (atMicros int64, ok bool) {
	elapsed := nowMicros - day.StartMicros()
	left := (day + 1).StartMicros() - nowMicros
	switch {
	case elapsed <= 0 || left <= 0 || spent <= 0:
		return 0, false
	case spent >= limit:
		return nowMicros, true
	}
	// still = (limit - spent) * elapsed / spent, in 128 bits, rounded up.
	high, low := bits.Mul64(uint64(limit-spent), uint64(elapsed))
	if high >= uint64(spent) {
		return 0, false // not within 64 bits of microseconds
	}
	still, rest := bits.Div64(high, low, uint64(spent))
	if rest > 0 {
		still++
	}
	if still >= uint64(left) {
		return 0, false
	}
	return nowMicros + int64(still), true
}
