package admission

import (
	"time"

	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/record"
)

// A spend limit is a scope of its own: it counts the money of the calls that it is
// about, by the steps of its period, from when it is made. So the money of a call is
// posted and held in any number of them, beside its profile, its billing group and
// its account, whose money is counted by the UTC day.

// LimitScope is the scope of a spend limit.
func LimitScope(limit id.ID) Scope { return Scope{ScopeLimit, scopeID(limit)} }

// LimitKey names what a spend limit counts at an instant.
func LimitKey(l *policy.Limit, atMicros int64) SpendKey {
	_, step, end := l.Window(atMicros)
	return SpendKey{Scope: LimitScope(l.ID), Day: record.DayOf(end - 1), StepMicros: step}
}

// aheadSteps is how many steps of a rolling period after that of an instant count at it:
// grants that begin then may have been given out already. The longest billing increment
// that decks are known to have is an hour.
const aheadSteps = 3

// LimitKeys calls yield for what counts for a spend limit at an instant.
func LimitKeys(l *policy.Limit, atMicros int64) func(yield func(SpendKey) bool) {
	start, step, end := l.Window(atMicros)
	return func(yield func(SpendKey) bool) {
		if start == step {
			yield(SpendKey{Scope: LimitScope(l.ID), Day: record.DayOf(end - 1), StepMicros: step})
			return
		}
		hour := time.Hour.Microseconds()
		for at := start; at < end+aheadSteps*hour; at += hour {
			if !yield(SpendKey{Scope: LimitScope(l.ID), Day: record.DayOf(at), StepMicros: at}) {
				return
			}
		}
	}
}

// SpendUnder implements Usage.
func (s *State) SpendUnder(l *policy.Limit, atMicros int64) (used ScopeSpend) {
	for key := range LimitKeys(l, atMicros) {
		if spend := s.spends[key]; spend != nil {
			used.Posted = money.Add(used.Posted, spend.Posted)
			used.Held = money.Add(used.Held, spend.Held)
		}
	}
	return used
}

// spender is whose money the call spends.
func (l *Lease) spender() *policy.Spender {
	s := &policy.Spender{
		Account: l.Account, Profile: l.Profile, Connection: l.Connection,
		Caller: l.Caller, Callee: l.Callee, Country: l.Country,
	}
	if l.BillingGroup != nil {
		s.Group = *l.BillingGroup
	}
	return s
}

// Spender is whose money the call spends.
func (l *Lease) Spender() policy.Spender { return *l.spender() }

// limitsOf calls yield for the spend limits that count the money of a call.
func (s *State) limitsOf(l *Lease) func(yield func(*policy.Limit) bool) {
	return func(yield func(*policy.Limit) bool) {
		limits := s.policy.SpendLimits(l.Account)
		if len(limits) == 0 {
			return
		}
		spender := l.spender()
		for _, limit := range limits {
			if limit.Counts(spender) && !yield(limit) {
				return
			}
		}
	}
}

// quarter is how finely the money of a call is booked: by the day, if nothing else counts it.
func (s *State) quarter(l *Lease, atMicros int64) record.Quarter {
	for range s.limitsOf(l) {
		return record.QuarterOf(atMicros)
	}
	return 0
}

// booksElsewhere reports whether money of a call that is booked at one instant would be
// counted otherwise at another one.
func (s *State) booksElsewhere(l *Lease, fromMicros, toMicros int64) bool {
	if record.DayOf(fromMicros) != record.DayOf(toMicros) {
		return true
	}
	for limit := range s.limitsOf(l) {
		if LimitKey(limit, fromMicros) != LimitKey(limit, toMicros) {
			return true
		}
	}
	return false
}

// announceLimits is announceSpend for spend limits. Each threshold is reported once a period.
func (s *State) announceLimits(p *policy.Snapshot, at *spendPlace, spender *policy.Spender, atMicros int64,
	wanting bool) {
	for _, limit := range p.SpendLimits(at.Account) {
		if limit.Enabled && limit.Counts(spender) {
			s.announceLimit(limit, at, atMicros, wanting && limit.Blocks)
		}
	}
}

func (s *State) announceLimit(limit *policy.Limit, at *spendPlace, atMicros int64, wanting bool) {
	var all Spend
	for key := range LimitKeys(limit, atMicros) {
		spend := s.spends[key]
		if spend == nil {
			continue
		}
		all.Posted = money.Add(all.Posted, spend.Posted)
		all.Held = money.Add(all.Held, spend.Held)
		all.Told |= spend.Told
		if spend.Told&toldReached != 0 {
			all.ToldLimit = spend.ToldLimit
		}
	}
	spent, told := money.Add(all.Posted, all.Held), all.Told
	tell := func(kind EventKind, percent int32) {
		s.events = append(s.events, Event{
			Kind: kind, AtMicros: s.now, Account: at.Account, Profile: at.Profile, Connection: at.Connection,
			Scope: LimitScope(limit.ID), Day: record.DayOf(atMicros), Percent: percent, Limit: limit.Amount,
			Posted: all.Posted, Held: all.Held, SpendLimit: limit, OpensMicros: limit.OpensMicros(atMicros),
		})
	}
	for i, percent := range spendThresholds {
		if bit := uint8(1) << i; told&bit == 0 && limit.Amount > 0 && reaches(spent, limit.Amount, percent) {
			told |= bit
			tell(EventSpendThreshold, percent)
		}
	}
	toldLimit := all.ToldLimit
	known := told&toldReached != 0 && toldLimit == limit.Amount
	if !known && (reaches(spent, limit.Amount, 100) || wanting && reaches(spent, limit.Amount, nearLimitPercent)) {
		told, toldLimit = told|toldReached, limit.Amount
		tell(EventSpendLimitReached, 100)
	}
	if told != all.Told || toldLimit != all.ToldLimit {
		spend := s.spendOf(LimitKey(limit, atMicros), at.Account)
		spend.Told, spend.ToldLimit = told, toldLimit
	}
}
