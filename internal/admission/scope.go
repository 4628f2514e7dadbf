package admission

import (
	"encoding/binary"
	"iter"
	"maps"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/record"
)

// Scope is whose money a limit counts.
//
// The money of a call is counted in its profile always, and in its other scopes while
// these have a limit: the store adds up what their day has cost so far when a limit is
// set, and forgets it when the limit is removed.
type Scope struct {
	Kind ScopeKind
	ID   ScopeID
}

// ScopeID says which one of its kind a scope is: a UUID, or an id in the last 8 bytes.
type ScopeID [16]byte

// ScopeKind describes what a scope is: its place in the table of kinds. The numbers are
// stored; append only.
type ScopeKind uint8

// The kinds of scopes.
const (
	ScopeProfile ScopeKind = iota + 1
	ScopeGroup
	ScopeAccount
	ScopeLimit // a spend limit, which counts for itself
)

// scopeKind is one kind of scope.
type scopeKind struct {
	name   string // for people
	word   string // of the API
	reason Reason // why a call is refused that does not fit into the limit of such a scope
	always bool   // money is counted in it without a limit too
	uuids  bool   // its ids are UUIDs
	// of is the scope of this kind in which the money of a call is counted, zero for none.
	of func(Payer) ScopeID
	// limit is the limit of one by the policy.
	limit func(*policy.Snapshot, ScopeID) policy.SpendLimit
	// live is an account, a profile or a connection whose live calls include all of the scope.
	live func(Payer) id.ID
}

// scopeKinds are all kinds, in the order in which their limits are judged.
var scopeKinds = [...]scopeKind{
	ScopeProfile: {
		name: "profile", word: "outbound_voice_profile", reason: ReasonDailySpendLimit, always: true,
		of:   func(c Payer) ScopeID { return scopeID(c.Profile) },
		live: func(c Payer) id.ID { return c.Profile },
		limit: func(p *policy.Snapshot, key ScopeID) (none policy.SpendLimit) {
			if profile := p.Profile(key.Number()); profile != nil {
				return profile.Spending
			}
			return none
		},
	},
	ScopeGroup: {
		name: "billing group", word: "billing_group", reason: ReasonGroupSpendLimit, uuids: true,
		of:   func(c Payer) ScopeID { return ScopeID(c.Group) },
		live: func(c Payer) id.ID { return c.Account }, // of a billing group it is not known better
		limit: func(p *policy.Snapshot, key ScopeID) (none policy.SpendLimit) {
			if group := p.Group(uuid.UUID(key)); group != nil {
				return group.Spending
			}
			return none
		},
	},
	ScopeAccount: {
		name: "account", word: "account", reason: ReasonAccountSpendLimit,
		of:   func(c Payer) ScopeID { return scopeID(c.Account) },
		live: func(c Payer) id.ID { return c.Account },
		limit: func(p *policy.Snapshot, key ScopeID) (none policy.SpendLimit) {
			if account := p.Account(key.Number()); account != nil {
				return account.Spending
			}
			return none
		},
	},
	// A call has any number of these: see spendlimit.go.
	ScopeLimit: {
		name: "spend limit", word: "spend_limit", reason: ReasonSpendLimit,
		of:    func(Payer) (none ScopeID) { return none },
		live:  func(c Payer) id.ID { return c.Account },
		limit: func(*policy.Snapshot, ScopeID) (none policy.SpendLimit) { return none },
	},
}

// maxScopes is how many of its scopes with a daily limit the money of one call is counted
// in at most.
const maxScopes = int(ScopeAccount)

// Payer is who pays for a call: what all its scopes are found by.
type Payer struct {
	Account, Profile, Connection id.ID
	Group                        uuid.UUID // uuid.Nil for none
}

// PayerOf is the payer of a call whose billing group may be nil.
func PayerOf(account, profile, connection id.ID, group *uuid.UUID) Payer {
	c := Payer{Account: account, Profile: profile, Connection: connection}
	if group != nil {
		c.Group = *group
	}
	return c
}

// Payer is who pays for the call.
func (l *Lease) Payer() Payer { return PayerOf(l.Account, l.Profile, l.Connection, l.BillingGroup) }

// payer is who pays for the call, but for its billing group.
func (f *Facts) payer() Payer {
	return Payer{Account: f.Account, Profile: f.Profile, Connection: f.Connection}
}

// In is the scope of a kind in which the money of a call is counted, if there is one.
func (c Payer) In(kind ScopeKind) (scope Scope, ok bool) {
	key := scopeKinds[kind].of(c)
	return Scope{kind, key}, key != ScopeID{}
}

// Counted are the scopes in which the money of a call is counted, and their limits.
func (c Payer) Counted(p *policy.Snapshot) iter.Seq2[Scope, policy.SpendLimit] {
	scopes, n := scopesOf(p, c)
	return func(yield func(Scope, policy.SpendLimit) bool) {
		for i := range n {
			if !yield(scopes[i].Scope, scopes[i].limit) {
				return
			}
		}
	}
}

// LiveIn is an account, a profile or a connection whose live calls include all those of
// the call's scope of a kind.
func (c Payer) LiveIn(kind ScopeKind) id.ID { return scopeKinds[kind].live(c) }

// Scopes are the scopes in which the money of a call may be counted.
func (c Payer) Scopes(yield func(Scope) bool) {
	for kind := ScopeProfile; int(kind) < len(scopeKinds); kind++ {
		if scope, ok := c.In(kind); ok && !yield(scope) {
			return
		}
	}
}

// ProfileScope is the scope of a profile.
func ProfileScope(profile id.ID) Scope { return Scope{ScopeProfile, scopeID(profile)} }

// GroupScope is the scope of a billing group.
func GroupScope(group uuid.UUID) Scope { return Scope{ScopeGroup, ScopeID(group)} }

// AccountScope is the scope of an account.
func AccountScope(account id.ID) Scope { return Scope{ScopeAccount, scopeID(account)} }

func scopeID(number id.ID) (key ScopeID) {
	binary.BigEndian.PutUint64(key[8:], uint64(number))
	return key
}

// Number is the id, where it is no UUID.
func (k ScopeID) Number() id.ID { return id.ID(binary.BigEndian.Uint64(k[8:])) }

// Words are the scope's kind and its id as the API says them.
func (s Scope) Words() (kind, key string) {
	switch {
	case s.Kind == 0:
		return "", ""
	case scopeKinds[s.Kind].uuids:
		return scopeKinds[s.Kind].word, uuid.UUID(s.ID).String()
	}
	return scopeKinds[s.Kind].word, s.ID.Number().String()
}

// String is for people, as in "billing group 0190...".
func (s Scope) String() string {
	_, key := s.Words()
	return scopeKinds[s.Kind].name + " " + key
}

// Limit is the limit of the scope, by the policy.
func (s Scope) Limit(p *policy.Snapshot) policy.SpendLimit { return scopeKinds[s.Kind].limit(p, s.ID) }

// Always reports whether money is counted in the scope without a limit too.
func (s Scope) Always() bool { return scopeKinds[s.Kind].always }

// ParseScope is the scope of a kind and an id as the API says them, if there is such a kind.
func ParseScope(word, key string) (scope Scope, ok bool, err error) {
	for kind := ScopeProfile; int(kind) < len(scopeKinds); kind++ {
		switch k := &scopeKinds[kind]; {
		case k.word != word:
			continue
		case k.uuids:
			group, err := uuid.Parse(key)
			return Scope{kind, ScopeID(group)}, err == nil, err
		}
		number, err := id.Parse(key)
		return Scope{kind, scopeID(number)}, err == nil, err
	}
	return Scope{}, false, nil
}

// SpendKey names a Spend: a scope and a day or, of a spend limit, when a step of its
// period begins and the day in which that ends.
type SpendKey struct {
	Scope
	Day        record.Day
	StepMicros int64 // 0 for the UTC day
}

// On is the key of a scope and day.
func (s Scope) On(day record.Day) SpendKey { return SpendKey{Scope: s, Day: day} }

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
// of the limit, until it is released.
type SpendHold struct {
	Account     id.ID // whose the scope is
	Cause       HoldCause
	SinceMicros int64
	UntilDay    record.Day // the day on which it ends by itself; 0 for never
}

// On reports whether calls are held back on a day.
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

// scopesOf are the scopes in which the money of a call is counted.
func scopesOf(p *policy.Snapshot, payer Payer) (scopes [maxScopes]limitedScope, n int) {
	for kind := ScopeProfile; int(kind) < len(scopeKinds); kind++ {
		k := &scopeKinds[kind]
		key := k.of(payer)
		if key == (ScopeID{}) {
			continue
		}
		if limit := k.limit(p, key); limit.On || k.always {
			scopes[n] = limitedScope{Scope{kind, key}, limit}
			n++
		}
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

// Count puts in what a scope has spent, from when on its money is counted. Uncount
// forgets it again.
func (s *State) Count(spends map[SpendKey]Spend) {
	for key, spend := range spends {
		s.spends[key] = &spend
	}
}

// Uncount forgets what a scope has spent.
func (s *State) Uncount(scope Scope) {
	for key := range s.spends {
		if key.Scope == scope {
			delete(s.spends, key)
			delete(s.dirtySpends, key)
		}
	}
}
