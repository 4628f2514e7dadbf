package admission

import (
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/policy"
)

// RuleSpendLimits holds that the first grant fits into every spend limit that counts the
// call. See spendlimit.go.
const RuleSpendLimits Rule = 18

// ReasonSpendLimit is the reason of RuleSpendLimits.
const ReasonSpendLimit Reason = 42

var spendLimitsRule = rule{
	name:    "spend_limits",
	needs:   needRate,
	gather:  gatherSpendLimits,
	judge:   judgeSpendLimits,
	explain: explainSpendLimits,
	fix:     fixSpendLimits,
	code:    codeSpendLimits,
	first:   firstSpendLimits,
	next:    nextSpendLimits,
	reasons: []answer{
		{ReasonSpendLimit, "spend_limit", "TG26", 403, "Spend limit reached",
			"Raise the amount of the spend limit, or wait until its period ends."},
	},
}

// SpendLimitFacts are how many spend limits count the call, and the one of those that
// refuse calls which has the least left.
type SpendLimitFacts struct {
	Counting int32
	Tightest LimitFacts
}

// LimitFacts are the facts about one spend limit.
type LimitFacts struct {
	Limit        id.ID  // 0 for none
	Shape        string // its scope, its period and its time zone
	Posted, Held money.Amount
	Amount       money.Amount
	OpensMicros  int64 // when what is spent now counts no longer, at the latest
}

// left is what new grants may cost.
func (l *LimitFacts) left() money.Amount { return max(0, l.Amount-money.Add(l.Posted, l.Held)) }

// spender is whose money the call spends.
func (f *Facts) spender(group *uuid.UUID) *policy.Spender {
	s := &policy.Spender{
		Account: f.Account, Profile: f.Profile, Connection: f.Connection,
		Caller: f.Caller, Callee: f.Callee, Country: f.Class.Country,
	}
	if group != nil {
		s.Group = *group
	}
	return s
}

func gatherSpendLimits(f *Facts, in *inquiry) {
	limits := in.policy.SpendLimits(f.Account)
	if len(limits) == 0 || in.profile == nil || f.Emergency {
		return
	}
	spender := f.spender(in.profile.BillingGroup)
	for _, l := range limits {
		if !l.Counts(spender) {
			continue
		}
		f.SpendLimits.Counting++
		if !l.Enabled || !l.Blocks {
			continue
		}
		used := in.use.SpendUnder(l, f.AtMicros)
		facts := LimitFacts{Limit: l.ID, Shape: l.Shape, Posted: used.Posted, Held: used.Held, Amount: l.Amount}
		if tightest := &f.SpendLimits.Tightest; tightest.Limit == 0 || facts.left() < tightest.left() {
			facts.OpensMicros = l.OpensMicros(f.AtMicros)
			*tightest = facts
		}
	}
}

func judgeSpendLimits(f *Facts) Reason {
	l := &f.SpendLimits.Tightest
	return refuseIf(l.Limit != 0 && money.Add(money.Add(l.Posted, l.Held), f.FirstGrantCost) > l.Amount,
		ReasonSpendLimit)
}

func explainSpendLimits(f *Facts) (seen, allowed string) {
	l := &f.SpendLimits.Tightest
	switch {
	case f.SpendLimits.Counting == 0:
		return "no spend limit counts the call", "no limit"
	case l.Limit == 0:
		return fmt.Sprintf("%d spend limits count the call, and none of them refuses calls",
			f.SpendLimits.Counting), "no limit"
	}
	return fmt.Sprintf("the tightest of %d spend limits is %s (%s): posted %s, held %s, first grant %s",
			f.SpendLimits.Counting, l.Limit, l.Shape, l.Posted, l.Held, f.FirstGrantCost),
		"together at most " + l.Amount.String()
}

// fixSpendLimits names the limit, and when it opens again.
func fixSpendLimits(f *Facts) string {
	l := &f.SpendLimits.Tightest
	return fmt.Sprintf("Spend limit %s (%s) has %s of %s spent or held. Raise its amount, or wait until %s at the latest.",
		l.Limit, l.Shape, money.Add(l.Posted, l.Held), l.Amount,
		time.UnixMicro(l.OpensMicros).UTC().Format(time.RFC3339))
}

func codeSpendLimits(c *coder, f *Facts) {
	l := &f.SpendLimits.Tightest
	ints(c, &f.SpendLimits.Counting)
	if f.SpendLimits.Counting == 0 {
		return
	}
	ints(c, &l.Limit)
	if l.Limit == 0 {
		return
	}
	c.Text(&l.Shape)
	ints(c, &l.Posted, &l.Held, &l.Amount)
	ints(c, &l.OpensMicros)
}

func firstSpendLimits(f *Facts, r room) room {
	if l := &f.SpendLimits.Tightest; l.Limit != 0 {
		r.budget = min(r.budget, l.left())
		r.wantedSecs = min(r.wantedSecs, wantedSecs(f.Rate, f.liveIn(f.Account)+1, true, l.left()))
	}
	return r
}

// nextSpendLimits finds the tightest of the limits that end calls.
func nextSpendLimits(s *State, p *policy.Snapshot, l *Lease, r room) room {
	for _, limit := range p.SpendLimits(l.Account) {
		if !limit.Enabled || !limit.EndCalls || !limit.Counts(l.spender()) {
			continue
		}
		used := s.SpendUnder(limit, r.atMicros)
		left := max(0, limit.Amount-money.Add(used.Posted, used.Held))
		r.wantedSecs = min(r.wantedSecs, wantedSecs(l.Rate, s.LiveIn(l.Account), true, left))
		if left < r.budget {
			r.budget, r.ofCall = left, false
		}
	}
	return r
}
