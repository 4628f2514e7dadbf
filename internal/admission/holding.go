package admission

import (
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/record"
)

// The money of a call: what it holds for what it may still use, and what it has used.

// hold extends the grant of an answered call by at most atMostSecs, by as much as
// the limits of the day in which the new part starts leave room for.
func (s *State) hold(p *policy.Snapshot, l *Lease, atMostSecs int64) {
	wishSecs := l.wishSecs(atMostSecs)
	if wishSecs <= 0 {
		return
	}
	room := s.roomFor(p, l)
	day := room.day
	to := l.Rate.GrantWithin(l.GrantedSecs, min(wishSecs, room.wantedSecs), room.budget)
	if to == l.GrantedSecs {
		s.announceSpend(p, l.place(day), !room.ofCall)
		return
	}
	cost := l.Rate.SliceCost(l.GrantedSecs, to)
	s.move(l, day, 0, cost)
	l.Held = append(l.Held, Hold{FromSecs: l.GrantedSecs, ToSecs: to, Day: day, Cost: cost})
	l.GrantedSecs = to
	s.announceSpend(p, l.place(day), false)
}

// room is what an answered call may be granted next.
type room struct {
	day        record.Day // to which it is booked
	budget     money.Amount
	wantedSecs int64 // how long the next grant should be
	ofCall     bool  // the budget is what the call itself may still cost
}

// roomFor finds the tightest of the call's scopes. One that does not end calls at
// its limit never runs out.
func (s *State) roomFor(p *policy.Snapshot, l *Lease) room {
	r := room{
		day:    record.DayOf(l.AnsweredMicros + l.GrantedSecs*time.Second.Microseconds()),
		budget: money.Max, wantedSecs: GrantSecs,
	}
	scopes, n := scopesOf(p, l.Account, l.Profile, l.BillingGroup)
	for i := range n {
		if limit := &scopes[i].limit; !limit.On || !limit.EndCalls {
			continue
		}
		live := s.LiveIn(l.Account) // of a billing group it is not known better
		if scopes[i].Profile != 0 {
			live = s.LiveIn(l.Profile)
		}
		f := scopes[i].facts(s, r.day)
		budget := f.left()
		r.budget = min(r.budget, budget)
		r.wantedSecs = min(r.wantedSecs, wantedSecs(l.Rate, live, true, budget))
	}
	if left := l.costLeft(p); left < r.budget {
		r.budget, r.ofCall = left, true
	}
	return r
}

// postPassed posts the holds that the call has passed: they can no longer be freed.
func (s *State) postPassed(l *Lease, elapsedSecs int64) {
	for len(l.Held) > 0 && l.Held[0].ToSecs <= elapsedSecs {
		s.post(l, l.Held[0].ToSecs)
	}
}

// post turns the first hold into a charge up to billedSecs and frees the rest of it.
func (s *State) post(l *Lease, billedSecs int64) {
	h := l.Held[0]
	l.Held = l.Held[1:]
	to := min(h.ToSecs, billedSecs)
	if to <= h.FromSecs {
		s.move(l, h.Day, 0, -h.Cost)
		return
	}
	cost := l.Rate.SliceCost(h.FromSecs, to)
	s.move(l, h.Day, cost, -h.Cost)
	l.PostedSecs = to
	if last := len(l.Posted) - 1; last >= 0 && l.Posted[last].Day == h.Day {
		l.Posted[last].Secs += to - h.FromSecs
		l.Posted[last].Cost += cost
		return
	}
	l.Posted = append(l.Posted, record.Slice{Day: h.Day, Secs: to - h.FromSecs, Cost: cost})
}

// move adds to what is posted and held in every scope in which the money of a call
// is counted.
func (s *State) move(l *Lease, day record.Day, posted, held money.Amount) {
	scopes, n := scopesOf(s.policy, l.Account, l.Profile, l.BillingGroup)
	for i := range n {
		spend := s.spendOf(scopes[i].On(day))
		spend.Posted += posted
		spend.Held += held
		if group := scopes[i].Group; group != uuid.Nil {
			s.groups[group] = l.Account
		}
	}
}

func (s *State) spendOf(key SpendKey) *Spend {
	spend := s.spends[key]
	if spend == nil {
		spend = &Spend{}
		s.spends[key] = spend
	}
	s.dirtySpends[key] = struct{}{}
	return spend
}
