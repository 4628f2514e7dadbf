package sqlstore_test

import (
	"context"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/profile"
	"github.com/tollgate/tollgate/internal/store"
	"github.com/tollgate/tollgate/internal/store/sqlstore"
)

// TestLimitsChangeUnderLoad sets, raises, lowers and takes away the limits of a
// profile, its billing group and the account while calls run, on two nodes where
// there can be two. Whatever is counted when it is over is the sum of the calls:
// fault F21, invariants I2 and I6.
func TestLimitsChangeUnderLoad(t *testing.T) {
	t.Run("SQLite", func(t *testing.T) {
		s, _ := openStore(t, filepath.Join(t.TempDir(), "tollgate.db"), 0)
		testLimitsChange(t, s, s)
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		url, _ := newDatabase(t)
		testLimitsChange(t, openNode(t, url, "a"), openNode(t, url, "b"))
	})
}

func testLimitsChange(t *testing.T, a, b *sqlstore.Store) {
	const rounds, stepsARound = 12, 50
	account, connectionID := configure(t, a)
	ctx := context.Background()
	group, err := a.BillingGroups().Create(ctx, account, store.BillingGroup{Name: "group"})
	check(t, err)
	changeProfile(t, a, account, func(p *profile.Profile) { p.BillingGroupID = &group.ID })
	random := rand.New(rand.NewPCG(1, 2))
	draw := func() profile.SpendLimit {
		l := profile.NewSpendLimit()
		if random.IntN(3) > 0 {
			l.DailySpendLimit = new(money.Amount(random.Int64N(100)) * money.Dollar)
			l.DailySpendLimitEnabled = true
		}
		if random.IntN(2) > 0 {
			l.SpendLimitAction = profile.EndCalls
		}
		return l
	}
	change := func(s *sqlstore.Store, l profile.SpendLimit) {
		switch random.IntN(3) {
		case 0:
			changeProfile(t, s, account, func(p *profile.Profile) {
				p.DailySpendLimit = l.DailySpendLimit
				p.DailySpendLimitEnabled = l.DailySpendLimitEnabled
				p.SpendLimitAction =
					l.SpendLimitAction
			})
		case 1:
			_, err := s.BillingGroups().Update(ctx, account, group.ID, func(g store.BillingGroup) (store.BillingGroup, error) {
				g.SpendLimit = l
				return g, nil
			})
			check(t, err)
		case 2:
			_, err := s.Accounts().Update(ctx, account, account, func(a store.Account) (store.Account, error) {
				a.SpendLimit = l
				return a, nil
			})
			check(t, err)
		}
	}
	running := startLoad(t, connectionID, a, b)
	for i := range rounds {
		running.await(t, stepsARound)
		s := a
		if i%2 > 0 {
			s = b
		}
		change(s, draw())
		audited(t, s)
	}
	running.stop.Store(true)
	running.group.Wait()

	// Everything is limited now, with all that was spent before counted.
	wide := profile.NewSpendLimit()
	wide.DailySpendLimit = new(1_000_000 * money.Dollar)
	wide.DailySpendLimitEnabled = true
	_, err = a.BillingGroups().Update(ctx, account, group.ID, func(g store.BillingGroup) (store.BillingGroup, error) {
		g.SpendLimit = wide
		return g, nil
	})
	check(t, err)
	_, err = b.Accounts().Update(ctx, account, account, func(a store.Account) (store.Account, error) {
		a.SpendLimit = wide
		return a, nil
	})
	check(t, err)
	p := changeProfile(t, a, account, func(p *profile.Profile) { p.DailySpendLimitEnabled = false })
	for range 20 {
		running.call(t, b, connectionID)
	}
	audited(t, a)
	own, err := a.Spend(ctx, account, admission.ProfileScope(p.ID))
	check(t, err)
	for _, scope := range []admission.Scope{admission.GroupScope(group.ID), admission.AccountScope(account)} {
		use, err := a.Spend(ctx, account, scope)
		check(t, err)
		if use.Posted != own.Posted || use.Held != own.Held || use.Overrun != own.Overrun || use.Posted == 0 {
			t.Errorf("%s: %+v, its one profile %+v", scope, use.Spend, own.Spend)
		}
	}
}
