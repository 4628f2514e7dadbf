package admission

import (
	"maps"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/record"
)

// Scope is whose money a daily limit counts. Exactly one of the fields is set.
//
// The money of a call is counted in its profile always, and in its billing group
// and its account while these have a limit: the store adds up what their day has
// cost so far when a limit is set, and forgets it when the limit is taken away.
type Scope struct {
	Profile id.ID
	Group   uuid.UUID
	Account id.ID
}

// SpendKey names a Spend: a scope and a day.
type SpendKey struct {
	Profile id.ID
	Group   uuid.UUID
	Account id.ID
	Day     record.Day
}

// Scope is whose Spend it is.
func (k SpendKey) Scope() Scope { return Scope{k.Profile, k.Group, k.Account} }

// On is the key of a scope and day.
func (s Scope) On(day record.Day) SpendKey { return SpendKey{s.Profile, s.Group, s.Account, day} }

// String is for people, as in "billing group 0190...".
func (s Scope) String() string {
	switch {
	case s.Profile != 0:
		return "profile " + s.Profile.String()
	case s.Group != uuid.Nil:
		return "billing group " + s.Group.String()
	}
	return "account " + s.Account.String()
}

// scopeKind says what a scope is. The numbers are stored; append only.
type scopeKind uint8

const (
	scopeNone scopeKind = iota
	scopeProfile
	scopeGroup
	scopeAccount
)

func (s *Scope) kind() scopeKind {
	switch {
	case s.Profile != 0:
		return scopeProfile
	case s.Group != uuid.Nil:
		return scopeGroup
	case s.Account != 0:
		return scopeAccount
	}
	return scopeNone
}

// reason is why a call is refused that does not fit into the limit of such a scope.
func (k scopeKind) reason() Reason {
	switch k {
	case scopeGroup:
		return ReasonGroupSpendLimit
	case scopeAccount:
		return ReasonAccountSpendLimit
	}
	return ReasonDailySpendLimit
}

// HoldCause is why calls of a scope are held back.
type HoldCause uint8

// The causes. Their order is stored; append only.
const (
	// HoldLimit: the daily limit was reached, and after_limit is hold_until_released.
	HoldLimit HoldCause = iota + 1
	// HoldRestored: the ledger was restored from a copy, and what was spent on the day
	// after the copy was made is unknown.
	HoldRestored
)

// String is the word of the API.
func (c HoldCause) String() string {
	if c == HoldRestored {
		return "restored"
	}
	return "limit_reached"
}

// SpendHold keeps a scope with a daily limit from admitting calls, whatever is left
// of the limit, until somebody releases it.
type SpendHold struct {
	Cause       HoldCause
	SinceMicros int64
	UntilDay    record.Day // the day on which it ends by itself; 0 for never
}

// On says whether calls are held back on a day.
func (h SpendHold) On(day record.Day) bool { return h.UntilDay == 0 || day < h.UntilDay }

// ScopeSpend is what is in use of a scope on a day.
type ScopeSpend struct {
	Posted, Held money.Amount
	HeldBack     bool // by a SpendHold
}

// limitedScope is a scope in which a call's money is counted, and its limit.
type limitedScope struct {
	Scope
	limit policy.SpendLimit
}

// maxScopes is in how many scopes the money of one call is counted at most.
const maxScopes = 3

// scopesOf are the scopes in which the money of a call is counted.
func scopesOf(
	p *policy.Snapshot, account, profile id.ID, group *uuid.UUID,
) (scopes [maxScopes]limitedScope, n int) {
	scopes[0].Scope = Scope{Profile: profile}
	if known := p.Profile(profile); known != nil {
		scopes[0].limit = known.Spending()
	}
	n = 1
	if group != nil {
		if g := p.Group(*group); g != nil && g.Spending.On {
			scopes[n] = limitedScope{Scope{Group: *group}, g.Spending}
			n++
		}
	}
	if a := p.Account(account); a != nil && a.Spending.On {
		scopes[n] = limitedScope{Scope{Account: account}, a.Spending}
		n++
	}
	return scopes, n
}

// facts are what is known of a scope's limit on a day.
func (l *limitedScope) facts(use Usage, day record.Day) ScopeFacts {
	used := use.SpendIn(l.Scope, day)
	return ScopeFacts{
		Scope:   l.Scope,
		Limited: l.limit.On, EndCalls: l.limit.EndCalls, HeldBack: used.HeldBack,
		Posted: used.Posted, Held: used.Held, Limit: l.limit.Limit,
	}
}

// PutHolds puts back holds that are durable.
func (s *State) PutHolds(holds map[Scope]SpendHold) { maps.Copy(s.holds, holds) }

// DropHold forgets a hold that was released.
func (s *State) DropHold(scope Scope) {
	delete(s.holds, scope)
	delete(s.dirtyHolds, scope)
}

// Count puts in what a billing group or an account has spent, from when on its
// money is counted. Uncount forgets it again.
func (s *State) Count(spends map[SpendKey]Spend) {
	for key, spend := range spends {
		s.spends[key] = &spend
	}
}

// Uncount forgets what a billing group or an account has spent.
func (s *State) Uncount(scope Scope) {
	for key := range s.spends {
		if key.Scope() == scope {
			delete(s.spends, key)
			delete(s.dirtySpends, key)
		}
	}
}
