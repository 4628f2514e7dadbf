package sqlstore_test

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/profile"
	"github.com/tollgate/tollgate/internal/rating"
	"github.com/tollgate/tollgate/internal/store"
	"github.com/tollgate/tollgate/internal/store/sqlstore"
)

func openStore(tb testing.TB, path string, groupSize int) (*sqlstore.Store, *policy.Live) {
	tb.Helper()
	live := policy.NewLive()
	s, err := sqlstore.Open(context.Background(), sqlstore.Config{
		Path: path, Live: live, Clock: time.Now, IDs: id.NewSource(1, time.Now),
		Owner: uuid.New(), GroupSize: groupSize,
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Error(err)
		}
	})
	return s, live
}

// configure makes an account with a deck, a profile and one credential connection.
func configure(tb testing.TB, s *sqlstore.Store) (account, connectionID id.ID) {
	tb.Helper()
	ctx := context.Background()
	a, _, err := s.EnsureFirst(ctx)
	check(tb, err)
	deck, err := s.ImportDeck(ctx, a.ID, "deck", []rating.Row{{
		Prefix: "1", Rate: rating.Rate{PerMinute: money.Cent, FirstIncrement: 6, Increment: 6},
	}})
	check(tb, err)
	_, err = s.ActivateDeck(ctx, a.ID, deck.ID)
	check(tb, err)
	p := profile.New()
	p.Name = "calls"
	p, err = s.Profiles().Create(ctx, a.ID, p)
	check(tb, err)
	c := connection.NewCredentialConnection()
	c.UserName, c.Password = "phone0001", "correct horse"
	c.Outbound.OutboundVoiceProfileID = p.ID
	c, err = s.CredentialConnections().Create(ctx, a.ID, c)
	check(tb, err)
	return a.ID, c.ID
}

func check(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// admit runs n admissions from as many callers at once as are given.
func admit(tb testing.TB, s *sqlstore.Store, connectionID id.ID, callers, n int) time.Duration {
	owner := uuid.New()
	var left atomic.Int64
	left.Store(int64(n))
	var group sync.WaitGroup
	started := time.Now()
	for range callers {
		group.Go(func() {
			for left.Add(-1) >= 0 {
				r, err := s.Do(context.Background(), admission.Reserve{Owner: owner, Call: admission.Call{
					ID: uuid.Must(uuid.NewV7()), Connection: connectionID, From: "+12125550100", To: "+12125550199",
				}})
				if err != nil || !r.Decision.Allow {
					tb.Errorf("reserve: %v, %v", err, r.Decision.Reason)
					return
				}
			}
		})
	}
	group.Wait()
	return time.Since(started)
}

// BenchmarkAdmissions compares 256 callers whose admissions are committed in
// groups with the same callers and one commit for each admission.
func BenchmarkAdmissions(b *testing.B) {
	const callers = 256
	rate := func(groupSize, n int, spending bool) float64 {
		s, _ := openStore(b, filepath.Join(b.TempDir(), "tollgate.db"), groupSize)
		account, c := configure(b, s)
		if spending {
			limitAccount(b, s, account)
		}
		admit(b, s, c, callers, callers) // the callers and the statements are there
		return float64(n) / admit(b, s, c, callers, n).Seconds()
	}
	for b.Loop() {
		single := rate(1, 4_000, false)
		grouped := rate(sqlstore.DefaultGroupSize, 40_000, false)
		b.ReportMetric(rate(sqlstore.DefaultGroupSize, 40_000, true), "account/s")
		b.ReportMetric(single, "single/s")
		b.ReportMetric(grouped, "grouped/s")
		b.ReportMetric(grouped/single, "ratio")
	}
}

// BenchmarkAdmissionsPostgreSQL does the same with PostgreSQL, by one node and by
// two, and by one whose profile has a limit, so that its calls are counted anew in
// each group.
func BenchmarkAdmissionsPostgreSQL(b *testing.B) {
	const callers = 256
	rate := func(nodes, n int, limit *int32, spending bool) float64 {
		url, _ := newDatabase(b)
		var stores []*sqlstore.Store
		for i := range nodes {
			stores = append(stores, openNode(b, url, fmt.Sprint("node", i)))
		}
		account, c := configure(b, stores[0])
		limitChannels(b, stores[0], account, limit)
		if spending {
			limitAccount(b, stores[0], account)
		}
		var group sync.WaitGroup
		for _, s := range stores {
			admit(b, s, c, callers/nodes, callers)
		}
		started := time.Now()
		for _, s := range stores {
			group.Go(func() { admit(b, s, c, callers/nodes, n/nodes) })
		}
		group.Wait()
		rate := float64(n) / time.Since(started).Seconds()
		for _, s := range stores {
			check(b, s.Close())
		}
		return rate
	}
	for b.Loop() {
		b.ReportMetric(rate(1, 40_000, nil, false), "grouped/s")
		b.ReportMetric(rate(2, 40_000, nil, false), "nodes2/s")
		b.ReportMetric(rate(1, 20_000, new(int32(100_000)), false), "limited/s")
		b.ReportMetric(rate(1, 40_000, nil, true), "account/s")
		b.ReportMetric(rate(2, 40_000, nil, true), "accounts2/s")
	}
}

// limitAccount gives the account a daily limit that ends calls and is never reached:
// the money of every call is counted in one more row.
func limitAccount(tb testing.TB, s *sqlstore.Store, account id.ID) {
	tb.Helper()
	_, err := s.Accounts().Update(context.Background(), account, account, func(a store.Account) (store.Account, error) {
		a.DailySpendLimit = new(1_000_000 * money.Dollar)
		a.DailySpendLimitEnabled = true
		a.SpendLimitAction = profile.EndCalls
		return a, nil
	})
	check(tb, err)
}

// BenchmarkCalls runs whole calls, three commands each, of 256 callers at once.
func BenchmarkCalls(b *testing.B) {
	s, _ := openStore(b, filepath.Join(b.TempDir(), "tollgate.db"), 0)
	benchmarkCalls(b, s)
}

// BenchmarkCallsPostgreSQL does the same with PostgreSQL.
func BenchmarkCallsPostgreSQL(b *testing.B) {
	url, _ := newDatabase(b)
	benchmarkCalls(b, openNode(b, url, "node"))
}

func benchmarkCalls(b *testing.B, s *sqlstore.Store) {
	const callers = 256
	_, c := configure(b, s)
	owner := uuid.New()
	b.SetParallelism(callers / runtime.GOMAXPROCS(0))
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			call := uuid.Must(uuid.NewV7())
			for _, command := range []admission.Command{
				admission.Reserve{Owner: owner, Call: admission.Call{ID: call, Connection: c, From: "+12125550100",
					To: "+12125550199"}},
				admission.Answer{ID: call, AtMicros: time.Now().UnixMicro()},
				admission.Settle{ID: call, Ending: admission.Ending{Elapsed: 10 * time.Second,
					EndedMicros: time.Now().UnixMicro()}},
			} {
				if r, err := s.Do(context.Background(), command); err != nil || r.Err != nil {
					b.Errorf("%T: %v, %v", command, err, r.Err)
					return
				}
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
}

// deckRows makes a deck of distinct prefixes such as a large carrier sends.
func deckRows(n int) []rating.Row {
	rows := make([]rating.Row, n)
	for i := range rows {
		rows[i] = rating.Row{
			Prefix:      fmt.Sprint(1_000_000 + i*17),
			Rate:        rating.Rate{PerMinute: money.Amount(1+i%997) * 100 * money.Micro, FirstIncrement: 30, Increment: 6},
			Description: fmt.Sprintf("Destination %d", i%3000),
			Line:        i + 2,
		}
	}
	return rows
}

// BenchmarkImportDeck500k imports a deck of 500,000 rows until it is durable and in force.
func BenchmarkImportDeck500k(b *testing.B) {
	s, live := openStore(b, filepath.Join(b.TempDir(), "tollgate.db"), 0)
	a, _, err := s.EnsureFirst(context.Background())
	check(b, err)
	rows := deckRows(500_000)
	for b.Loop() {
		deck, err := s.ImportDeck(context.Background(), a.ID, "large", rows)
		check(b, err)
		if live.Snapshot().Deck(deck.ID).Rates.Len() != len(rows) {
			b.Fatal("deck is not in force")
		}
	}
}
