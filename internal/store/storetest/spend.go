package storetest

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/profile"
	"github.com/tollgate/tollgate/internal/store"
)

// sharedBed is a bed whose profile is in a billing group.
type sharedBed struct {
	*bed
	group store.BillingGroup
}

func newSharedBed(t *testing.T, open Opener) *sharedBed {
	b := &sharedBed{bed: newBed(t, open)}
	b.group = value(b.BillingGroups().Create(ctx, b.account.ID, store.BillingGroup{Name: "group"}))(t)
	must(t, b.changeProfile(func(p *profile.Profile) { p.BillingGroupID = &b.group.ID }))
	return b
}

func limitOf(limit money.Amount) profile.SpendLimit {
	l := profile.NewSpendLimit()
	l.DailySpendLimit = &limit
	l.DailySpendLimitEnabled = true
	l.SpendLimitAction = profile.EndCalls
	return l
}

func (b *sharedBed) limitGroup(t *testing.T, l profile.SpendLimit) {
	t.Helper()
	b.group = value(b.BillingGroups().Update(ctx, b.account.ID, b.group.ID,
		func(g store.BillingGroup) (store.BillingGroup, error) {
			g.SpendLimit = l
			return g, nil
		}))(t)
}

func (b *sharedBed) limitAccount(t *testing.T, l profile.SpendLimit) {
	t.Helper()
	b.account = value(b.Accounts().Update(ctx, b.account.ID, b.account.ID, func(a store.Account) (store.Account, error) {
		a.SpendLimit = l
		return a, nil
	}))(t)
}

func (b *sharedBed) groupScope() admission.Scope   { return admission.GroupScope(b.group.ID) }
func (b *sharedBed) accountScope() admission.Scope { return admission.AccountScope(b.account.ID) }

// spent compares what scopes have posted and hold.
func (b *sharedBed) spent(t *testing.T, at string, want admission.Spend, scopes ...admission.Scope) {
	t.Helper()
	for _, scope := range scopes {
		if diff := cmp.Diff(want, value(b.Spend(ctx, b.account.ID, scope))(t).Spend); diff != "" {
			t.Errorf("%s: %s (-want +got):\n%s", at, scope, diff)
		}
	}
}

// testSharedLimits holds the limits of billing groups and accounts: the last cent is
// given once, a limit that is set late knows what was spent before, and it is all
// still so after a restart.
func testSharedLimits(t *testing.T, open Opener) {
	for _, c := range []struct {
		name   string
		limit  func(*sharedBed, *testing.T, profile.SpendLimit)
		scope  func(*sharedBed) admission.Scope
		reason admission.Reason
	}{
		{"BillingGroup", (*sharedBed).limitGroup, (*sharedBed).groupScope, admission.ReasonGroupSpendLimit},
		{"Account", (*sharedBed).limitAccount, (*sharedBed).accountScope, admission.ReasonAccountSpendLimit},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newSharedBed(t, open)
			scope := c.scope(b)
			profileScope := admission.ProfileScope(b.profile.ID)
			// Two calls before there is a limit: one ends, one goes on.
			ended, running := b.reserve(), b.reserve()
			for _, r := range []admission.Reserve{ended, running} {
				b.do(t, r)
				b.do(t, admission.Answer{ID: r.Call.ID, AtMicros: b.clock.Now().UnixMicro()})
			}
			b.clock.advance(30 * time.Second)
			b.do(t, admission.Settle{ID: ended.Call.ID, Ending: ending(b.bed, 30*time.Second)})
			b.spent(t, "without a limit", admission.Spend{}, scope)
			c.limit(b, t, limitOf(7*money.Dollar-money.Cent))
			b.spent(t, "from the limit on", admission.Spend{Posted: money.Dollar, Held: money.Dollar}, scope, profileScope)

			decisions := b.race(t)
			want := map[admission.Reason]int{admission.ReasonNone: 4, c.reason: callers - 4}
			if diff := cmp.Diff(want, countReasons(decisions)); diff != "" {
				t.Errorf("decisions (-want +got):\n%s", diff)
			}
			all := admission.Spend{Posted: money.Dollar, Held: 5 * money.Dollar}
			b.spent(t, "after the race", all, profileScope)
			use := value(b.Spend(ctx, b.account.ID, scope))(t)
			if use.Posted != all.Posted || use.Held != all.Held {
				t.Errorf("after the race: %+v", use)
			}
			r := b.do(t, admission.Renew{ID: running.Call.ID, Elapsed: 59 * time.Second, GrantedSecs: 60})
			if r.Extended {
				t.Errorf("a renewal passed the limit: %+v", r)
			}
			b.reopen(t, open, func(o *Options) { o.Owner = uuid.New() }) // the calls of the run before end
			d := b.do(t, b.reserve())
			if !d.Decision.Allow {
				t.Errorf("after the calls have ended: %v", d.Decision.Reason)
			}
			after := value(b.Spend(ctx, b.account.ID, profileScope))(t)
			shared := value(b.Spend(ctx, b.account.ID, scope))(t)
			if shared.Posted != after.Posted || shared.Held != after.Held || shared.Overrun != after.Overrun {
				t.Errorf("after a restart the scope has %+v, its one profile %+v", shared, after)
			}
			c.limit(b, t, profile.NewSpendLimit())
			b.spent(t, "without a limit again", admission.Spend{}, scope)
			if d := b.do(t, b.reserve()); !d.Decision.Allow {
				t.Errorf("without a limit again: %v", d.Decision.Reason)
			}
			c.limit(b, t, limitOf(money.Dollar))
			if d := b.do(t, b.reserve()); d.Decision.Reason != c.reason {
				t.Errorf("with a limit again: %v", d.Decision.Reason)
			}
		})
	}
}

// testSpendHolds holds spending until it is released, over midnight and restarts.
func testSpendHolds(t *testing.T, open Opener) {
	for _, c := range []struct {
		name  string
		limit func(*sharedBed, *testing.T, profile.SpendLimit)
		scope func(*sharedBed) admission.Scope
	}{
		{"Profile", func(b *sharedBed, t *testing.T, l profile.SpendLimit) {
			must(t, b.changeProfile(func(p *profile.Profile) {
				p.DailySpendLimit, p.DailySpendLimitEnabled, p.SpendLimitAction, p.AfterLimit = l.DailySpendLimit, true,
					l.SpendLimitAction, l.AfterLimit
			}))
		}, func(b *sharedBed) admission.Scope { return admission.ProfileScope(b.profile.ID) }},
		{"BillingGroup", (*sharedBed).limitGroup, (*sharedBed).groupScope},
		{"Account", (*sharedBed).limitAccount, (*sharedBed).accountScope},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newSharedBed(t, open)
			limit := limitOf(2 * money.Dollar)
			limit.AfterLimit = profile.HoldUntilReleased
			c.limit(b, t, limit)
			for range 2 {
				r := b.reserve()
				b.do(t, r)
				b.do(t, admission.Answer{ID: r.Call.ID, AtMicros: b.clock.Now().UnixMicro()})
				b.do(t, admission.Settle{ID: r.Call.ID, Ending: ending(b.bed, 60*time.Second)})
			}
			refused := func(at string) {
				t.Helper()
				if d := b.do(t, b.reserve()); d.Decision.Reason != admission.ReasonSpendHeldBack {
					t.Errorf("%s: %v", at, d.Decision.Reason)
				}
			}
			refused("at the limit")
			b.clock.advance(24 * time.Hour)
			refused("on the next day")
			b.reopen(t, open)
			refused("after a restart")
			use := value(b.Spend(ctx, b.account.ID, c.scope(b)))(t)
			if use.Hold == nil || use.Hold.Cause != admission.HoldLimit || use.Hold.SinceMicros == 0 {
				t.Errorf("hold %+v", use.Hold)
			}
			listed := value(b.ListHolds(ctx, b.account.ID, collection.Query{Number: 1, Size: 5}))(t)
			if listed.Total != 1 || len(listed.Items) != 1 || listed.Items[0].Scope != c.scope(b) ||
				listed.Items[0].Hold != *use.Hold {
				t.Errorf("holds listed: %+v", listed)
			}
			if beyond := value(b.ListHolds(ctx, b.account.ID,
				collection.Query{Number: 1 << 40, Size: 5}))(t); len(beyond.Items) != 0 ||
				beyond.Total != 1 {
				t.Errorf("a page beyond the end: %+v", beyond)
			}
			if foreign := value(b.ListHolds(ctx, b.other.ID, collection.Query{Number: 1, Size: 5}))(t); foreign.Total != 0 {
				t.Errorf("holds of another account: %+v", foreign)
			}
			must(t, errOf(b.ReleaseAll(ctx, b.other.ID)))
			must(t, b.Release(ctx, b.other.ID, c.scope(b))) // another account's releases nothing
			refused("after another account's release")
			dry := collection.WithOrigin(ctx, &collection.Origin{DryRun: true})
			must(t, b.Release(dry, b.account.ID, c.scope(b)))
			refused("after a dry run of the release")
			if c.name == "BillingGroup" {
				if n := value(b.ReleaseAll(ctx, b.account.ID))(t); n != 1 {
					t.Errorf("%d scopes were released, want 1", n)
				}
			} else if c.name == "Account" {
				if n := value(b.ReleaseAll(ctx, b.account.ID))(t); n != 0 {
					t.Errorf("%d scopes were released, and the account's hold is not among them", n)
				}
				refused("after all others were released")
			}
			must(t, b.Release(ctx, b.account.ID, c.scope(b)))
			if d := b.do(t, b.reserve()); !d.Decision.Allow {
				t.Errorf("after the release: %v", d.Decision.Reason)
			}
			must(t, b.Release(ctx, b.account.ID, c.scope(b))) // once more does nothing
		})
	}
}
