package admission

import (
	"math"
	"time"

	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/rating"
	"github.com/tollgate/tollgate/internal/record"
)

// The lengths of grants. A long grant is renewed seldom; a short one leaves less
// of the day's budget idle in holds, which matters only when little is left.
const (
	// GrantSecs is the usual length of a grant.
	GrantSecs = 30
	// ShortGrantSecs is the length once the limit is near.
	ShortGrantSecs = 6
	// nearLimitSecs describes what near means: less is left than all live calls of the
	// profile would cost, at this call's rate, in this many seconds.
	nearLimitSecs = 60
)

// Times of calls and their leases.
const (
	// SetupTTL is how long a call may ring before its lease expires: Timer C of
	// RFC 3261 section 16.6 is at least 3 minutes, plus what failing over takes.
	SetupTTL = 5 * time.Minute
	// ExpiryGrace is how long after the end of its grant a lease is still held.
	// A BYE is retransmitted for 32 s (64*T1, RFC 3261 section 17.1.2.2), so the
	// call cannot be known to be over before.
	ExpiryGrace = 32 * time.Second
	// EmergencyPatience is how long an emergency call waits for the ledger before it
	// goes out without it: a database that is cut off says nothing for many seconds.
	EmergencyPatience = time.Second
	// renewAheadSecs bounds how early a grant may be extended, so that no owner
	// hoards the budget.
	renewAheadSecs = 45
)

// wantedSecs is how long the next grant should be.
func wantedSecs(rate rating.Rate, live int32, limited bool, budget money.Amount) int64 {
	if !limited {
		return GrantSecs
	}
	perCall := rate.SliceCost(0, nearLimitSecs) - rate.ConnectFee
	if perCall > 0 && budget/perCall < money.Amount(max(1, live)) {
		return ShortGrantSecs
	}
	return GrantSecs
}

// room is what a call may be granted next. Every rule that ends calls makes it smaller.
type room struct {
	day        record.Day // to which it is booked
	atMicros   int64      // when it begins
	wantedSecs int64      // how long the grant should be
	mostSecs   int64      // how long it may be
	budget     money.Amount
	ofCall     bool   // the budget is what the call itself may still cost
	why        Reason // the reason of the limit that the budget is of
}

// limitOf is what keeps an answered call from a longer grant, or ReasonNone.
func (s *State) limitOf(p *policy.Snapshot, l *Lease) Reason {
	if l.Emergency || l.AnsweredMicros == 0 {
		return ReasonNone
	}
	r := s.roomFor(p, l)
	switch {
	case r.mostSecs <= 0:
		return ReasonCallLength
	case l.Rate.GrantWithin(l.GrantedSecs, min(r.wantedSecs, r.mostSecs), r.budget) == l.GrantedSecs:
		return r.why
	}
	return ReasonNone
}

// limiting are the rules that limit grants, the first and the next ones.
var limiting = func() (list []*rule) {
	for i := range rules {
		if rules[i].first != nil {
			list = append(list, &rules[i])
		}
	}
	return list
}()

// firstRoom is the room for the first grant of a call.
func (f *Facts) firstRoom() room {
	r := room{day: f.Day, atMicros: f.AtMicros, wantedSecs: GrantSecs, mostSecs: math.MaxInt64, budget: money.Max}
	for _, rule := range limiting {
		r = rule.first(f, r)
	}
	return r
}

// SpendLeft is what grants may still cost by the tightest limit, or money.Max when
// nothing is limited.
func (f *Facts) SpendLeft() money.Amount {
	facts := *f
	return facts.firstRoom().budget
}

// firstGrant is the first grant of a call and its cost, which includes the
// connect fee. When not even one increment fits into the budget it is that one
// increment, which the spend rule then refuses.
func firstGrant(f *Facts) (secs int64, cost money.Amount) {
	r := f.firstRoom()
	secs = f.Rate.GrantWithin(0, min(r.wantedSecs, r.mostSecs), r.budget)
	if secs == 0 {
		secs = f.Rate.RoundUp(1)
	}
	return secs, f.Rate.Cost(secs)
}

// roomFor is the room for the next grant of an answered call.
func (s *State) roomFor(p *policy.Snapshot, l *Lease) room {
	at := l.AnsweredMicros + l.GrantedSecs*time.Second.Microseconds()
	r := room{
		day: record.DayOf(at), atMicros: at,
		wantedSecs: GrantSecs, mostSecs: math.MaxInt64, budget: money.Max,
	}
	for _, rule := range limiting {
		r = rule.next(s, p, l, r)
	}
	return r
}
