package admission

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/profile"
	"github.com/tollgate/tollgate/internal/rating"
	"github.com/tollgate/tollgate/internal/routing"
)

// BenchmarkDecide decides calls of random connections to random numbers, with
// 10,000 profiles, 100,000 connections and a deck of 500,000 prefixes.
func BenchmarkDecide(b *testing.B) { benchmarkDecide(b) }

// BenchmarkDecideWithRoutes has 1,000 routes besides, of prefixes, countries and profiles.
func BenchmarkDecideWithRoutes(b *testing.B) {
	var changes []policy.Change
	for i := range 1000 {
		r := routing.NewRoute()
		r.ID, r.AccountID, r.Stop = id.ID(i+1), testAccount, i%2 == 0
		r.Gateways = []routing.RouteGateway{{Gateway: 7, Weight: 2}, {Gateway: 8, Weight: 1}}
		switch i % 4 {
		case 0:
			r.Match.Prefixes = []string{fmt.Sprintf("+1%d", 201+i%700)}
		case 1:
			r.Match.Prefixes = []string{fmt.Sprintf("+1%d%d", 201+i%700, i%10)}
		case 2:
			r.Match.Profiles = []id.ID{id.ID(10_000 + i)}
		case 3:
			r.Match.Countries, r.Match.Profiles = []string{"US"}, []id.ID{id.ID(10_000 + i)}
		}
		changes = append(changes, policy.PutRoute(&r))
	}
	benchmarkDecide(b, changes...)
}

func benchmarkDecide(b *testing.B, changes ...policy.Change) {
	const profiles, connections, prefixes = 10_000, 100_000, 500_000
	random := rand.New(rand.NewPCG(1, 2))
	s, err := largeSnapshot(b, profiles, connections, largeDeck(b, random, prefixes)).With(changes...)
	if err != nil {
		b.Fatal(err)
	}
	calls := make([]Call, 1<<14)
	for i := range calls {
		calls[i] = Call{
			ID: uuid.New(), Connection: id.ID(1_000_000 + random.IntN(connections)), Identity: policy.IdentityKnown,
			From: "+13125550100", To: fmt.Sprintf("+1%d%07d", 201+random.IntN(700), random.IntN(10_000_000)),
		}
	}
	state := NewState()
	b.ReportAllocs()
	i, allowed := 0, 0
	for b.Loop() {
		d := Decide(s, &calls[i&(len(calls)-1)], state, noon)
		if d.Allow {
			allowed++
		}
		i++
	}
	b.ReportMetric(float64(allowed)/float64(i), "allowed/op")
}

func largeDeck(b *testing.B, random *rand.Rand, n int) *rating.Deck {
	rows := make([]rating.Row, 0, n)
	seen := map[string]bool{}
	add := func(prefix string) {
		if !seen[prefix] {
			seen[prefix] = true
			rows = append(rows, rating.Row{Prefix: prefix, Rate: rating.Rate{
				PerMinute: money.Amount(1+random.IntN(500)) * 100 * money.Micro, FirstIncrement: 60, Increment: 60,
			}})
		}
	}
	add("1")
	for len(rows) < n {
		if random.IntN(10) < 4 {
			add(fmt.Sprintf("1%d%04d", 200+random.IntN(800), random.IntN(10_000)))
		} else {
			add(fmt.Sprintf("%d%d", 20+random.IntN(80), random.IntN(10_000_000)))
		}
	}
	deck, err := rating.NewDeck(rows, noon)
	if err != nil {
		b.Fatal(err)
	}
	return deck
}

func largeSnapshot(b *testing.B, profiles, connections int, deck *rating.Deck) *policy.Snapshot {
	account := testAccountPolicy()
	changes := []policy.Change{
		policy.PutAccount(&account), policy.PutDeck(&policy.Deck{ID: testDeck, Account: testAccount, Rates: deck}),
	}
	for i := range profiles {
		p := profile.New()
		p.ID, p.AccountID = id.ID(10_000+i), testAccount
		p.DailySpendLimit = new(100 * money.Dollar)
		p.DailySpendLimitEnabled = true
		p.ConcurrentCallLimit = new(int32(10))
		p.MaxDestinationRate = new(money.Rate(money.Dollar))
		changes = append(changes, policy.PutProfile(&p))
	}
	for i := range connections {
		c := connection.NewIPConnection()
		c.ID, c.AccountID = id.ID(1_000_000+i), testAccount
		c.Outbound.OutboundVoiceProfileID = id.ID(10_000 + i%profiles)
		changes = append(changes, policy.PutIPConn(&c))
	}
	s, err := (&policy.Snapshot{}).With(changes...)
	if err != nil {
		b.Fatal(err)
	}
	return s
}
