package admission

import (
	"fmt"
	"slices"

	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/policy"
)

// RuleSpend holds that the first grant fits into the daily limits in force, and a whole call may
// cost that much. What it leaves room for is all that a call is ever granted.
const RuleSpend Rule = 10

// The reasons of RuleSpend.
const (
	ReasonDailySpendLimit   Reason = 19
	ReasonGroupSpendLimit   Reason = 24
	ReasonAccountSpendLimit Reason = 25
	ReasonSpendHeldBack     Reason = 26
	ReasonCallCost          Reason = 33
)

var spendRule = rule{
	name:    "daily_spend_limit",
	needs:   needRate,
	gather:  gatherSpend,
	judge:   judgeSpend,
	explain: explainSpend,
	code:    codeSpend,
	first:   firstSpend,
	next:    nextSpend,
	reasons: []answer{
		{ReasonDailySpendLimit, "daily_spend_limit", "TG3", 403, "Daily spend limit of the Outbound Profile reached",
			"Raise the profile's daily_spend_limit, or wait for 00:00 UTC."},
		{ReasonGroupSpendLimit, "billing_group_daily_spend_limit", "TG7", 403,
			"Daily spend limit of the Billing Group reached",
			"Raise the billing group's daily_spend_limit, or wait for 00:00 UTC."},
		{ReasonAccountSpendLimit, "account_daily_spend_limit", "TG8", 403, "Daily spend limit of the Account reached",
			"Raise the account's daily_spend_limit, or wait for 00:00 UTC."},
		{ReasonSpendHeldBack, "spend_held", "TG9", 403, "Spending is held until it is released",
			"Look at what was spent, then release the profile, the billing group or the account that is held."},
		{ReasonCallCost, "call_cost_above_maximum", "TG11", 403, "Maximum cost of a call exceeded",
			"Raise the profile's max_call_cost: already the first increment costs more."},
	},
}

// SpendFacts are the daily limits that count the money of the call, and what one call
// may cost.
type SpendFacts struct {
	// Spends are those of the profile, which is always there, and then of the other
	// scopes that have a limit.
	Spends      [maxScopes]ScopeFacts
	MaxCallCost money.Amount // policy.NoLimit for none
}

// ScopeFacts are the facts about the daily limit of one scope.
type ScopeFacts struct {
	Scope             Scope // empty for none
	Limited, EndCalls bool
	HeldBack          bool // by a SpendHold
	Posted, Held      money.Amount
	Limit             money.Amount
}

func gatherSpend(f *Facts, in *inquiry) {
	if f.MaxCallCost = policy.NoLimit; in.profile == nil {
		return
	}
	f.MaxCallCost = in.profile.MaxCallCost
	scopes, n := scopesOf(in.policy, PayerOf(f.Account, f.Profile, f.Connection, in.profile.BillingGroup))
	for i := range n {
		f.Spends[i] = scopes[i].facts(in.use, f.Day)
	}
}

func judgeSpend(f *Facts) Reason {
	for i := range f.Spends {
		switch spend := &f.Spends[i]; {
		case spend.Limited && spend.HeldBack:
			return ReasonSpendHeldBack
		case spend.refuses(f.FirstGrantCost):
			return scopeKinds[spend.Scope.Kind].reason
		}
	}
	return refuseIf(f.MaxCallCost != policy.NoLimit && f.FirstGrantCost > f.MaxCallCost, ReasonCallCost)
}

// explainSpend explains every scope that has a limit, and always the profile's spend.
func explainSpend(f *Facts) (seen, allowed string) {
	for i := range f.Spends {
		spend, name := &f.Spends[i], ""
		switch {
		case i > 0 && !spend.Limited:
			continue
		case i > 0:
			seen, allowed, name = seen+"; ", allowed+"; ", f.scopeName(spend.Scope)+" "
		}
		seen += fmt.Sprintf("%sposted %s, held %s", name, spend.Posted, spend.Held)
		seen += yesNo(spend.HeldBack, ", held until it is released", "")
		if i == 0 {
			seen += fmt.Sprintf(", first grant %s for %d s", f.FirstGrantCost, f.FirstGrantSecs)
		}
		allowed += name + yesNo(spend.Limited, "together at most "+spend.Limit.String(), "no limit")
	}
	if f.MaxCallCost != policy.NoLimit {
		allowed += "; this call at most " + f.MaxCallCost.String()
	}
	return seen, allowed
}

// scopeName names a scope, without the id where the facts have it elsewhere.
func (f *Facts) scopeName(s Scope) string {
	if own, ok := f.payer().In(s.Kind); ok && own == s {
		return scopeKinds[s.Kind].name
	}
	return s.String()
}

func codeSpend(c *coder, f *Facts) {
	ints(c, &f.MaxCallCost)
	for i := range f.Spends {
		spend := &f.Spends[i]
		c.scope(&spend.Scope, f)
		c.Bools(&spend.Limited, &spend.EndCalls, &spend.HeldBack)
		ints(c, &spend.Posted, &spend.Held, &spend.Limit)
	}
}

// scope writes or reads whose spend it is. The id is left out where the facts have it
// elsewhere.
func (c *coder) scope(scope *Scope, f *Facts) {
	ints(c, &scope.Kind)
	if scope.Kind == 0 || int(scope.Kind) >= len(scopeKinds) {
		if scope.Kind != 0 {
			c.Fail()
		}
		return
	}
	own, _ := f.payer().In(scope.Kind)
	other := scope.ID != own.ID
	if c.Bools(&other); other {
		c.Raw(scope.ID[:])
	} else {
		scope.ID = own.ID
	}
}

// spendOf are the facts about a kind of scope. They are zero where it had no limit.
func (f *SpendFacts) spendOf(kind ScopeKind) *ScopeFacts {
	for i := range f.Spends {
		if f.Spends[i].Scope.Kind == kind {
			return &f.Spends[i]
		}
	}
	return &ScopeFacts{}
}

// left is what new grants may cost.
func (f *ScopeFacts) left() money.Amount {
	switch {
	case !f.Limited:
		return money.Max
	case f.HeldBack:
		return 0
	}
	return max(0, f.Limit-f.Posted-f.Held)
}

// refuses reports whether a grant of this cost does not fit.
func (f *ScopeFacts) refuses(cost money.Amount) bool {
	return f.Limited && (f.HeldBack || money.Add(money.Add(f.Posted, f.Held), cost) > f.Limit)
}

func firstSpend(f *Facts, r room) room {
	r.budget = min(r.budget, callCostLeft(f.MaxCallCost, 0))
	for i := range f.Spends {
		spend := &f.Spends[i]
		if spend.Scope.Kind == 0 {
			break
		}
		live := f.liveIn(scopeKinds[spend.Scope.Kind].live(f.payer()))
		left := spend.left()
		r.budget = min(r.budget, left)
		r.wantedSecs = min(r.wantedSecs, wantedSecs(f.Rate, live+1, spend.Limited, left))
	}
	return r
}

// nextSpend finds the tightest of the call's scopes. One that does not end calls at
// its limit never runs out.
func nextSpend(s *State, p *policy.Snapshot, l *Lease, r room) room {
	payer := l.Payer()
	scopes, n := scopesOf(p, payer)
	for i := range n {
		if limit := &scopes[i].limit; !limit.On || !limit.EndCalls {
			continue
		}
		live := s.LiveIn(scopeKinds[scopes[i].Kind].live(payer))
		f := scopes[i].facts(s, r.day)
		left := f.left()
		if left < r.budget {
			r.budget, r.why = left, scopeKinds[scopes[i].Kind].reason
			if f.HeldBack {
				r.why = ReasonSpendHeldBack
			}
		}
		r.wantedSecs = min(r.wantedSecs, wantedSecs(l.Rate, live, true, left))
	}
	if left := l.costLeft(p); left < r.budget {
		r.budget = left
		r.ofCall = true
		r.why = ReasonCallCost
	}
	return r
}

// callCostLeft is what a call that is granted up to some cost may still be granted.
func callCostLeft(most, granted money.Amount) money.Amount {
	if most == policy.NoLimit {
		return money.Max
	}
	return max(0, most-granted)
}

// costLeft is what the profile allows a running call beyond its present grant.
func (l *Lease) costLeft(p *policy.Snapshot) money.Amount {
	profile := p.Profile(l.Profile)
	if profile == nil {
		return money.Max
	}
	return callCostLeft(profile.MaxCallCost, l.Rate.Cost(l.GrantedSecs))
}

// ofSpend reports whether it is a daily limit that refuses.
func (r Reason) ofSpend() bool {
	return r == ReasonSpendHeldBack || slices.ContainsFunc(scopeKinds[ScopeProfile:], func(k scopeKind) bool { return k.reason == r })
}
