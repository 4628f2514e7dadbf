package admission

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/profile"
)

// ending is a limit at which calls end.
func ending(limit string) policy.SpendLimit {
	return policy.SpendLimit{On: true, Limit: money.MustParse(limit), EndCalls: true}
}

// newSharedBench is a bench whose call costs a cent a second, and counts in a
// profile, a billing group and an account.
func newSharedBench(t *testing.T, own, group, account policy.SpendLimit) *bench {
	t.Helper()
	p := profile.New()
	p.BillingGroupID = &testGroup
	if own.On {
		p.DailySpendLimit, p.DailySpendLimitEnabled = &own.Limit, true
	}
	if own.EndCalls {
		p.SpendLimitAction = profile.EndCalls
	}
	if own.HoldAfter {
		p.AfterLimit = profile.HoldUntilReleased
	}
	b := newBench(t, p, deckOf(t, 1, 1, "0", map[string]string{"1": "0.60"}))
	a := testAccountPolicy()
	a.Spending = account
	changes := []policy.Change{policy.PutAccount(&a)}
	if group.On {
		changes = append(changes, policy.PutGroup(&policy.Group{ID: testGroup, Account: testAccount, Spending: group}))
	}
	var err error
	if b.policy, err = b.policy.With(changes...); err != nil {
		t.Fatal(err)
	}
	return b
}

// renewAll renews a call every second for so long, and returns how long it may go on.
func (b *bench) renewAll(call uuid.UUID, seconds int) (granted int64) {
	granted = b.state.Lease(call).GrantedSecs
	for elapsed := range seconds + 1 {
		b.now = time.UnixMicro(b.state.Lease(call).AnsweredMicros).Add(time.Duration(elapsed) * time.Second)
		granted = b.apply(Renew{ID: call, Elapsed: time.Duration(elapsed) * time.Second, GrantedSecs: granted}).GrantedSecs
	}
	return granted
}

func TestTheTightestScopeDecides(t *testing.T) {
	var none policy.SpendLimit
	wide := ending("10.00")
	block := policy.SpendLimit{On: true, Limit: money.MustParse("0.20")}
	for _, c := range []struct {
		name                string
		own, group, account policy.SpendLimit
		seconds             int64 // that the call may last
		reason              Reason
	}{
		{"none", none, none, none, 90, ReasonNone},
		{"profile", ending("0.20"), wide, wide, 20, ReasonDailySpendLimit},
		{"group", wide, ending("0.25"), wide, 25, ReasonGroupSpendLimit},
		{"account", wide, wide, ending("0.30"), 30, ReasonAccountSpendLimit},
		{"account alone", none, none, ending("0.30"), 30, ReasonAccountSpendLimit},
		{"group ends calls, account only blocks", none, ending("0.50"), block, 50, ReasonGroupSpendLimit},
		{"all three", ending("0.40"), ending("0.41"), ending("0.42"), 40, ReasonDailySpendLimit},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newSharedBench(t, c.own, c.group, c.account)
			call := b.admit("+12125550123")
			granted := b.renewAll(call, 60)
			if granted < c.seconds || c.seconds < 90 && granted != c.seconds {
				t.Errorf("granted %d s, want %d", granted, c.seconds)
			}
			if r := b.apply(Reserve{Call: callTo("+12125550123"), Owner: owner}); r.Decision.Reason != c.reason {
				t.Errorf("the next call: %v, want %v", r.Decision.Reason, c.reason)
			}
			r := b.settle(call, time.Duration(c.seconds+2)*time.Second)
			own := b.state.SpendIn(ProfileScope(testProfile), today)
			for scope, limit := range map[Scope]policy.SpendLimit{GroupScope(testGroup): c.group, AccountScope(testAccount): c.account} {
				if used := b.state.SpendIn(scope, today); limit.On && used != own {
					t.Errorf("%s has %+v, its profile %+v", scope, used, own)
				} else if !limit.On && used != (ScopeSpend{}) {
					t.Errorf("%s is counted without a limit: %+v", scope, used)
				}
				if spend := b.state.spends[scope.On(today)]; limit.On && spend.Overrun != r.OverrunCost {
					t.Errorf("%s has an overrun of %v, want %v", scope, spend.Overrun, r.OverrunCost)
				}
			}
		})
	}
}

// A scope that is held until it is released stays so over midnight, also for the
// calls that were up, and is not held again on the day of its release.
func TestAHoldGoesOverMidnight(t *testing.T) {
	limit := ending("0.60")
	limit.HoldAfter = true
	b := newSharedBench(t, policy.SpendLimit{}, policy.SpendLimit{}, limit)
	b.now = time.Date(2026, 11, 24, 23, 59, 40, 0, time.UTC)
	first, running := b.admit("+12125550123"), b.admit("+12125550123")
	b.settle(first, 30*time.Second)
	for b.apply(Reserve{Call: callTo("+12125550123"), Owner: owner}).Decision.Allow {
		// The rest of the day's money is taken.
	}
	account := AccountScope(testAccount)
	if _, held := b.state.holds[account]; !held {
		t.Fatalf("not held with %+v", b.state.SpendIn(account, today))
	}
	before := b.state.Lease(running).GrantedSecs
	b.now = b.now.Add(time.Minute)
	if r := b.apply(Renew{ID: running, Elapsed: 25 * time.Second, GrantedSecs: before}); r.Extended {
		t.Errorf("a call was extended on the next day: %+v", r)
	}
	refused := b.apply(Reserve{Call: callTo("+12125550123"), Owner: owner})
	if refused.Decision.Reason != ReasonSpendHeldBack || refused.Decision.Facts.spendOf(ScopeAccount).Posted != 0 {
		t.Errorf("the next day: %v, %+v", refused.Decision.Reason, refused.Decision.Facts.spendOf(ScopeAccount))
	}
	b.state.DropHold(account)
	if r := b.apply(Reserve{Call: callTo("+12125550123"), Owner: owner}); !r.Decision.Allow {
		t.Errorf("released: %v", r.Decision.Reason)
	}
	if _, held := b.state.holds[account]; held {
		t.Error("held again without a reason")
	}
}

// Decisions are stored with all that they saw.
func TestStoredDecisionsOfSharedLimits(t *testing.T) {
	wide := ending("10.00")
	wide.HoldAfter = true
	for _, b := range []*bench{newSharedBench(t, wide, wide, wide), newSharedBench(t, wide, policy.SpendLimit{}, policy.SpendLimit{})} {
		b.admit("+12125550123")
		d := b.apply(Reserve{Call: callTo("+12125550123"), Owner: owner}).Decision
		encoded := d.Append(nil)
		again, err := DecodeDecision(encoded)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(fmt.Sprintf("%+v", d), fmt.Sprintf("%+v", again)); diff != "" {
			t.Errorf("read back (-want +got):\n%s", diff)
		}
	}
}
