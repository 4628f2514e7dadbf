package admission

import (
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/record"
)

// The money of a call: what it holds for what it may still use, and what it has used.

// hold extends the grant of an answered call by at most atMostSecs, by as much as
// the limits of the day in which the new part starts leave room for.
func (s *State) hold(p *policy.Snapshot, l *Lease, atMostSecs int64) {
	room := s.roomFor(p, l)
	wishSecs := min(atMostSecs, room.wantedSecs, room.mostSecs)
	if wishSecs <= 0 {
		return
	}
	at := room.atMicros
	to := l.Rate.GrantWithin(l.GrantedSecs, wishSecs, room.budget)
	if to == l.GrantedSecs {
		s.announce(p, l, at, !room.ofCall)
		return
	}
	cost := l.Rate.SliceCost(l.GrantedSecs, to)
	h := Hold{FromSecs: l.GrantedSecs, ToSecs: to, Day: record.DayOf(at), Quarter: s.quarter(l, at), Cost: cost}
	s.move(l, h.AtMicros(), 0, cost)
	l.Held = append(l.Held, h)
	l.GrantedSecs = to
	s.announce(p, l, h.AtMicros(), false)
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
		s.move(l, h.AtMicros(), 0, -h.Cost)
		return
	}
	cost := l.Rate.SliceCost(h.FromSecs, to)
	s.move(l, h.AtMicros(), cost, -h.Cost)
	l.PostedSecs = to
	if last := len(l.Posted) - 1; last >= 0 && l.Posted[last].Day == h.Day && l.Posted[last].Quarter == h.Quarter {
		l.Posted[last].Secs += to - h.FromSecs
		l.Posted[last].Cost += cost
		return
	}
	l.Posted = append(l.Posted, record.Slice{Day: h.Day, Quarter: h.Quarter, Secs: to - h.FromSecs, Cost: cost})
}

// move adds to what is posted and held in every scope in which the money of a call
// is counted.
func (s *State) move(l *Lease, atMicros int64, posted, held money.Amount) {
	s.eachSpend(l, atMicros, func(spend *Spend) {
		spend.Posted += posted
		spend.Held += held
	})
}

// eachSpend calls change for what every scope in which the money of a call is counted
// has spent.
func (s *State) eachSpend(l *Lease, atMicros int64, change func(*Spend)) {
	day := record.DayOf(atMicros)
	scopes, n := scopesOf(s.policy, l.Payer())
	for i := range n {
		change(s.spendOf(scopes[i].On(day), l.Account))
	}
	for limit := range s.limitsOf(l) {
		change(s.spendOf(LimitKey(limit, atMicros), l.Account))
	}
}

func (s *State) spendOf(key SpendKey, account id.ID) *Spend {
	spend := s.spends[key]
	if spend == nil {
		spend = &Spend{Account: account}
		s.spends[key] = spend
	}
	s.dirtySpends[key] = struct{}{}
	return spend
}
