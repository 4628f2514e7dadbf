package admission

import (
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/profile"
)

func TestConnectFeeAndCallCostRefuse(t *testing.T) {
	deck := deckOf(t, 60, 60, "0.20", map[string]string{"1": "0.10"}) // the first minute is 0.30
	for _, c := range []struct {
		name, fee, cost string
		reason          Reason
		word, code      string
	}{
		{"neither", "", "", ReasonNone, "allowed", ""},
		{"fee equal", "0.20", "", ReasonNone, "allowed", ""},
		{"fee above", "0.199999999", "", ReasonConnectFee, "connect_fee_above_maximum", "TG10"},
		{"free of a fee only", "0", "", ReasonConnectFee, "connect_fee_above_maximum", "TG10"},
		{"cost of the first increment", "", "0.30", ReasonNone, "allowed", ""},
		{"less than the first increment", "", "0.299999999", ReasonCallCost, "call_cost_above_maximum", "TG11"},
		{"nothing", "", "0", ReasonCallCost, "call_cost_above_maximum", "TG11"},
		{"both: the fee is first", "0.1", "0.1", ReasonConnectFee, "connect_fee_above_maximum", "TG10"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := profile.New()
			if c.fee != "" {
				p.MaxConnectFee = new(money.MustParse(c.fee))
			}
			if c.cost != "" {
				p.MaxCallCost = new(money.MustParse(c.cost))
			}
			s := snapshotOf(t, testAccountPolicy(), p, attachedConnection(), deck)
			d := Decide(s, new(callTo("+12125550123")), NothingUsed{}, noon)
			if d.Reason != c.reason || d.Reason.String() != c.word || d.Reason.Code() != c.code {
				t.Errorf("got %s %s, want %s %s", d.Reason, d.Reason.Code(), c.word, c.code)
			}
			again, err := DecodeDecision(d.Append(nil))
			if err != nil || again.Facts != d.Facts || again.Verdicts != d.Verdicts {
				t.Errorf("stored and read again: %v, %+v", err, again.Verdicts)
			}
			if d := Decide(s, new(callTo("911")), NothingUsed{}, noon); !d.Allow {
				t.Errorf("an emergency call is refused: %s", d.Reason)
			}
		})
	}
}

// A running call is granted what it may cost, and never more; the spend of the day
// has nothing to do with it.
func TestGrantsEndAtTheCallCost(t *testing.T) {
	for _, limitOfDay := range []bool{false, true} {
		p := limited("1.00")
		p.DailySpendLimitEnabled = limitOfDay
		p.AfterLimit = profile.HoldUntilReleased
		p.MaxCallCost = new(money.MustParse("0.99"))
		// 0.60 a minute is a cent a second; with the fee 79 s cost 0.99.
		b := newBench(t, p, deckOf(t, 1, 1, "0.20", map[string]string{"1": "0.60"}))
		call := b.admit("+12125550123")
		for elapsed := time.Duration(0); elapsed <= 90*time.Second; elapsed += time.Second {
			if l := b.state.Lease(call); l != nil {
				b.apply(Renew{ID: call, Elapsed: elapsed, GrantedSecs: l.GrantedSecs})
			}
		}
		if granted := b.state.Lease(call).GrantedSecs; granted != 79 {
			t.Errorf("granted %d s, want 79", granted)
		}
		for _, event := range b.state.TakeChanges().Events {
			if event.Kind == EventSpendLimitReached {
				t.Errorf("the limit of the day is told as reached: %+v", event)
			}
		}
		b.now = b.now.Add(85 * time.Second)
		if r := b.settle(call, 85*time.Second); r.Cost != money.MustParse("0.99") {
			t.Errorf("cost %s, want 0.99", r.Cost)
		}
	}
}

// Lowering the maximum gives a running call no more.
func TestLoweredCallCostHoldsForRunningCalls(t *testing.T) {
	p := profile.New()
	deck := deckOf(t, 1, 1, "0", map[string]string{"1": "0.60"})
	b := newBench(t, p, deck)
	call := b.admit("+12125550123")
	p.MaxCallCost = new(money.MustParse("0.10"))
	b.policy = snapshotOf(t, testAccountPolicy(), p, attachedConnection(), deck)
	before := b.state.Lease(call).GrantedSecs
	b.apply(Renew{ID: call, Elapsed: 25 * time.Second, GrantedSecs: before})
	if after := b.state.Lease(call).GrantedSecs; after != before {
		t.Errorf("granted %d s, had %d", after, before)
	}
	d := Decide(b.policy, new(callTo("+12125550123")), NothingUsed{}, noon)
	if d.Facts.FirstGrantSecs != 10 || d.Facts.SpendLeft() != money.MustParse("0.10") || policy.NoLimit == d.Facts.MaxCallCost {
		t.Errorf("a new call gets %d s", d.Facts.FirstGrantSecs)
	}
}
