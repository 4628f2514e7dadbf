package storetest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/spendlimit"
	"github.com/tollgate/tollgate/internal/store"
)

// testSpendLimits: the last cent of a spend limit is given once, one that is made late
// knows what was spent before, and it is all still so after a restart.
func testSpendLimits(t *testing.T, open Opener) {
	for _, c := range []struct{ scope, period string }{
		{spendlimit.ScopeAccount, "day"}, {spendlimit.ScopeProfile, "month"}, {spendlimit.ScopeConnection, "day"},
		{spendlimit.ScopeCaller, "rolling_24h"}, {spendlimit.ScopeCountry, "day"}, {spendlimit.ScopePrefix, "month"},
		{spendlimit.ScopeBillingGroup, "rolling_24h"},
	} {
		t.Run(c.scope, func(t *testing.T) { testSpendLimit(t, newSharedBed(t, open), open, c.scope, c.period) })
	}
	t.Run("Hour", func(t *testing.T) { testHourLimit(t, newSharedBed(t, open)) })
	t.Run("Many", func(t *testing.T) { testManyLimits(t, newSharedBed(t, open)) })
}

// limitFor is a spend limit that counts the calls of the bed.
func (b *sharedBed) limitFor(scope, period string, amount money.Amount) spendlimit.Limit {
	value := map[string]string{
		spendlimit.ScopeProfile: b.profile.ID.String(), spendlimit.ScopeConnection: b.phone.ID.String(),
		spendlimit.ScopeBillingGroup: b.group.ID.String(), spendlimit.ScopeCaller: "+12125550100",
		spendlimit.ScopeCountry: "US", spendlimit.ScopePrefix: "1212",
	}[scope]
	l := spendlimit.New()
	l.Name = scope
	l.ScopeType = scope
	l.Period = period
	l.Amount = amount
	l.Action = spendlimit.EndCalls
	if value != "" {
		l.ScopeValue = &value
	}
	return l
}

// under is what a spend limit has posted and holds now.
func (b *sharedBed) under(t *testing.T, l *spendlimit.Limit) admission.Spend {
	t.Helper()
	use := value(b.SpendUnder(ctx, value(policy.CompileLimit(l))(t)))(t)
	return admission.Spend{Posted: use.Posted, Held: use.Held, Overrun: use.Overrun}
}

func testSpendLimit(t *testing.T, b *sharedBed, open Opener, scope, period string) {
	limits := store.Of[spendlimit.Limit](b)
	same := func(at string, l *spendlimit.Limit, want admission.Spend) {
		t.Helper()
		if diff := cmp.Diff(want, b.under(t, l)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", at, diff)
		}
	}
	// Two calls before there is a limit: one ends, one goes on.
	ended, running := b.reserve(), b.reserve()
	for _, r := range []admission.Reserve{ended, running} {
		b.do(t, r)
		b.do(t, admission.Answer{ID: r.Call.ID, AtMicros: b.clock.Now().UnixMicro()})
	}
	b.clock.advance(30 * time.Second)
	b.do(t, admission.Settle{ID: ended.Call.ID, Ending: ending(b.bed, 30*time.Second)})
	l := value(limits.Create(ctx, b.account.ID, b.limitFor(scope, period, 7*money.Dollar-money.Cent)))(t)
	same("from the limit on", &l, admission.Spend{Posted: money.Dollar, Held: money.Dollar})

	want := map[admission.Reason]int{admission.ReasonNone: 4, admission.ReasonSpendLimit: callers - 4}
	if diff := cmp.Diff(want, countReasons(b.race(t))); diff != "" {
		t.Errorf("decisions (-want +got):\n%s", diff)
	}
	same("after the race", &l, admission.Spend{Posted: money.Dollar, Held: 5 * money.Dollar})
	if r := b.do(t, admission.Renew{ID: running.Call.ID, Elapsed: 59 * time.Second, GrantedSecs: 60}); r.Extended {
		t.Errorf("a renewal passed the limit: %+v", r)
	}
	urgent := b.reserve()
	urgent.Call.To = "911"
	if d := b.do(t, urgent); !d.Decision.Allow {
		t.Errorf("an emergency call: %v", d.Decision.Reason)
	}
	b.reopen(t, open, func(o *Options) { o.Owner = uuid.New() }) // the calls of the run before end
	limits = store.Of[spendlimit.Limit](b)
	profile := value(b.Spend(ctx, b.account.ID, admission.ProfileScope(b.profile.ID)))(t)
	same("after a restart", &l, admission.Spend{Posted: profile.Posted, Held: profile.Held, Overrun: profile.Overrun})

	// What it counts is added up again when it counts something else.
	l = value(limits.Update(ctx, b.account.ID, l.ID, func(l spendlimit.Limit) (spendlimit.Limit, error) {
		nowhere := "999"
		l.ScopeType, l.ScopeValue = spendlimit.ScopePrefix, &nowhere
		return l, nil
	}))(t)
	same("of another prefix", &l, admission.Spend{})
	l = value(limits.Update(ctx, b.account.ID, l.ID, func(l spendlimit.Limit) (spendlimit.Limit, error) {
		l.ScopeType = spendlimit.ScopeAccount
		l.ScopeValue = nil
		l.Amount = 0
		return l, nil
	}))(t)
	same("of the account", &l, admission.Spend{Posted: profile.Posted, Held: profile.Held, Overrun: profile.Overrun})
	if d := b.do(t, b.reserve()); d.Decision.Reason != admission.ReasonSpendLimit {
		t.Errorf("at an amount of nothing: %v", d.Decision.Reason)
	}
	value(limits.Delete(ctx, b.account.ID, l.ID))(t)
	same("when it is deleted", &l, admission.Spend{})
	if d := b.do(t, b.reserve()); !d.Decision.Allow {
		t.Errorf("when it is deleted: %v", d.Decision.Reason)
	}
}

// testHourLimit: the next hour begins with the whole amount, and the last 24 hours do not.
func testHourLimit(t *testing.T, b *sharedBed) {
	limits := store.Of[spendlimit.Limit](b)
	hour := value(limits.Create(ctx, b.account.ID, b.limitFor(spendlimit.ScopeAccount, "hour", money.Dollar)))(t)
	value(limits.Create(ctx, b.account.ID, b.limitFor(spendlimit.ScopeAccount, "rolling_24h", 2*money.Dollar)))(t)
	for i, want := range []admission.Reason{
		admission.ReasonNone, admission.ReasonSpendLimit, admission.ReasonNone, admission.ReasonSpendLimit,
		admission.ReasonSpendLimit,
	} {
		r := b.reserve()
		if d := b.do(t, r).Decision; d.Reason != want {
			t.Errorf("call %d: %v, want %v", i, d.Reason, want)
		} else if d.Allow {
			b.do(t, admission.Answer{ID: r.Call.ID, AtMicros: b.clock.Now().UnixMicro()})
			b.do(t, admission.Settle{ID: r.Call.ID, Ending: ending(b.bed, 30*time.Second)})
		}
		if i%2 == 1 {
			b.clock.advance(time.Hour)
		}
	}
	if got := b.under(t, &hour); got != (admission.Spend{}) {
		t.Errorf("in a new hour: %+v", got)
	}
	b.clock.advance(24 * time.Hour)
	if d := b.do(t, b.reserve()).Decision; !d.Allow {
		t.Errorf("a day later: %v", d.Reason)
	}
}

// testManyLimits: a scope has at most ten, and what they are about is of the account.
func testManyLimits(t *testing.T, b *sharedBed) {
	limits := store.Of[spendlimit.Limit](b)
	for i := range spendlimit.MaxInScope {
		l := b.limitFor(spendlimit.ScopeCountry, "day", money.Dollar)
		l.Name = fmt.Sprint("limit ", i)
		value(limits.Create(ctx, b.account.ID, l))(t)
	}
	refused(t, "one more", errOf(limits.Create(ctx, b.account.ID, b.limitFor(spendlimit.ScopeCountry, "day",
		money.Dollar))),
		store.ErrTooMany, "/scope_value")
	value(limits.Create(ctx, b.account.ID, b.limitFor(spendlimit.ScopePrefix, "day", money.Dollar)))(t)
	for _, scope := range []string{spendlimit.ScopeProfile, spendlimit.ScopeConnection, spendlimit.ScopeBillingGroup} {
		refused(t, scope+" of another account", errOf(limits.Create(ctx, b.other.ID, b.limitFor(scope, "day",
			money.Dollar))),
			collection.ErrNoReference, "/scope_value")
	}
	if _, err := limits.Get(ctx, b.other.ID, value(limits.Create(ctx, b.account.ID,
		b.limitFor(spendlimit.ScopeAccount, "day", money.Dollar)))(t).ID); !errors.Is(err, collection.ErrNotFound) {
		t.Errorf("of another account: %v", err)
	}
}
