package policy

import (
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/e164"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/spendlimit"
)

// Limit is a compiled limit of what calls may cost in a period.
type Limit struct {
	ID, Account id.ID
	Source      spendlimit.Limit // what it is compiled from
	Shape       string           // see spendlimit.Limit.Shape
	Enabled     bool
	Amount      money.Amount
	Blocks      bool // calls are refused when it is reached
	EndCalls    bool // and running calls end
	Scope       string
	Subject     spendlimit.Subject
	Period      Period
	Zone        *time.Location
}

// Spender is whose money a call spends, and where.
type Spender struct {
	Account, Profile, Connection id.ID
	Group                        uuid.UUID // uuid.Nil for none
	Caller, Callee               e164.Number
	Country                      e164.Country
}

// Counts reports whether the limit counts the money of a call.
func (l *Limit) Counts(s *Spender) bool {
	of := &l.Subject
	switch l.Scope {
	case spendlimit.ScopeAccount:
		return true
	case spendlimit.ScopeProfile:
		return s.Profile == of.Profile
	case spendlimit.ScopeConnection:
		return s.Connection == of.Connection
	case spendlimit.ScopeBillingGroup:
		return s.Group == of.Group
	case spendlimit.ScopeCaller:
		return s.Caller == of.Caller
	case spendlimit.ScopeCountry:
		return s.Country == of.Country
	case spendlimit.ScopePrefix:
		return s.Callee >= of.Prefix && s.Callee.First(of.PrefixDigits) == of.Prefix
	}
	return false
}

// Window is the time whose money counts at an instant. Money is booked to its last
// step, which begins at stepMicros: of a rolling period an hour, of others all of it.
func (l *Limit) Window(atMicros int64) (startMicros, stepMicros, endMicros int64) {
	startMicros, endMicros = l.Period.Window(atMicros, l.Zone)
	if l.Period == PeriodRollingDay {
		return startMicros, endMicros - time.Hour.Microseconds(), endMicros
	}
	return startMicros, startMicros, endMicros
}

// OpensMicros is when money that is spent at an instant counts no longer, at the latest.
func (l *Limit) OpensMicros(atMicros int64) int64 {
	_, _, end := l.Window(atMicros)
	if l.Period == PeriodRollingDay {
		return end + 24*time.Hour.Microseconds()
	}
	return end
}

// ParsePeriod returns the period that the API calls by a word.
func ParsePeriod(word string) (Period, bool) {
	for p := range periods {
		if periods[p].word == word {
			return Period(p), true
		}
	}
	return 0, false
}

// CompileLimit compiles a spend limit.
func CompileLimit(l *spendlimit.Limit) (*Limit, error) {
	compiled := &Limit{
		ID: l.ID, Account: l.AccountID, Source: *l, Shape: l.Shape(), Enabled: l.Enabled, Amount: l.Amount,
		Scope:  l.ScopeType,
		Blocks: l.Action != spendlimit.Alert, EndCalls: l.Action == spendlimit.EndCalls,
	}
	var err error
	if compiled.Subject, err = l.Subject(); err != nil {
		return nil, fmt.Errorf("compile spend limit %s: %w", l.ID, err)
	}
	if compiled.Zone, err = l.Zone(); err != nil {
		return nil, fmt.Errorf("compile spend limit %s: %w", l.ID, err)
	}
	period, known := ParsePeriod(l.Period)
	if !known {
		return nil, fmt.Errorf("compile spend limit %s: unknown period %q", l.ID, l.Period)
	}
	compiled.Period = period
	return compiled, nil
}

// PutLimit adds or replaces a spend limit.
func PutLimit(l *spendlimit.Limit) Change {
	return Change{Object{Kind: KindSpendLimit, Account: l.AccountID, ID: l.ID}, func(s *Snapshot) error {
		compiled, err := CompileLimit(l)
		if err != nil {
			return err
		}
		s.dropLimit(l.AccountID, l.ID)
		list := append(slices.Clone(s.SpendLimits(l.AccountID)), compiled)
		slices.SortFunc(list, func(x, y *Limit) int { return int(min(1, max(-1, x.ID-y.ID))) })
		s.limits = s.limits.put(hashID, l.AccountID, list)
		return nil
	}}
}

// DropLimit removes a spend limit of an account.
func DropLimit(account, limit id.ID) Change {
	c := change(KindSpendLimit, limit, func(s *Snapshot) { s.dropLimit(account, limit) })
	c.Object.Account = account
	return c
}

func (s *Snapshot) dropLimit(account, limit id.ID) {
	list := slices.DeleteFunc(slices.Clone(s.SpendLimits(account)), func(l *Limit) bool { return l.ID == limit })
	if len(list) == 0 {
		s.limits = s.limits.remove(hashID, account)
		return
	}
	s.limits = s.limits.put(hashID, account, list)
}

// SpendLimits are the spend limits of an account, in the order of their ids. The slice is
// shared: read only.
func (s *Snapshot) SpendLimits(account id.ID) []*Limit {
	return s.limits.get(hashID(account), account)
}

// SpendLimit returns a spend limit of an account, or nil.
func (s *Snapshot) SpendLimit(account, limit id.ID) *Limit {
	for _, l := range s.SpendLimits(account) {
		if l.ID == limit {
			return l
		}
	}
	return nil
}

// EverySpendLimit calls yield for the spend limits of all accounts, in no particular order.
func (s *Snapshot) EverySpendLimit(yield func(*Limit) bool) {
	s.limits.all(func(limits []*Limit) bool {
		for _, l := range limits {
			if !yield(l) {
				return false
			}
		}
		return true
	})
}
