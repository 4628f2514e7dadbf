package admission

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/profile"
	"github.com/tollgate/tollgate/internal/rating"
)

// The ids of the fixture: one account with one profile, connection and deck.
const (
	testAccount    id.ID = 1
	testProfile    id.ID = 2
	testConnection id.ID = 3
	testDeck       id.ID = 4
)

var testGroup = uuid.MustParse("00000000-0000-4000-8000-0000000000f0")

var (
	noon  = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	owner = uuid.MustParse("00000000-0000-4000-8000-00000000000a")
)

// deckOf makes a deck of "prefix price" pairs with the increments given.
func deckOf(t testing.TB, first, increment int32, fee string, prices map[string]string) *rating.Deck {
	t.Helper()
	return compiled(t, rowsOf(first, increment, fee, prices))
}

func rowsOf(first, increment int32, fee string, prices map[string]string) (rows []rating.Row) {
	for prefix, price := range prices {
		rows = append(rows, rating.Row{Prefix: prefix, Rate: rating.Rate{
			PerMinute: money.MustParse(price), ConnectFee: money.MustParse(fee),
			FirstIncrement: first, Increment: increment,
		}})
	}
	return rows
}

func compiled(t testing.TB, rows []rating.Row) *rating.Deck {
	t.Helper()
	deck, err := rating.NewDeck(rows, noon)
	if err != nil {
		t.Fatal(err)
	}
	return deck
}

func standardDeck(t testing.TB) *rating.Deck {
	rows := rowsOf(60, 60, "0", map[string]string{
		"1": "0.01", "1876": "0.25", "1900": "1.50", "44": "0.02", "447": "0.03", "8816": "9.00", "33": "0.015",
	})
	return compiled(t, append(rows, rowsOf(60, 60, "0.05", map[string]string{"61": "0.02"})...))
}

// snapshotOf compiles the fixture.
func snapshotOf(t testing.TB, a policy.Account, p profile.Profile, c connection.IPConnection, deck *rating.Deck) *policy.Snapshot {
	t.Helper()
	p.ID = testProfile
	p.AccountID = testAccount
	p.Version = 1
	c.ID = testConnection
	c.AccountID = testAccount
	c.Version = 1
	s, err := (&policy.Snapshot{}).With(
		policy.PutAccount(&a),
		policy.PutDeck(&policy.Deck{ID: testDeck, Account: testAccount, Rates: deck}),
		policy.PutProfile(&p),
		policy.PutIPConn(&c),
		policy.PutIP(&connection.IP{Head: collection.Head[id.ID]{ID: 5},
			ConnectionID: testConnection, IPAddress: connection.SingleAddress(netip.MustParseAddr("192.0.2.10"))}),
	)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func testAccountPolicy() policy.Account {
	return policy.Account{ID: testAccount, Active: true, ChannelLimit: policy.NoLimit, DefaultDeck: testDeck}
}

func attachedConnection() connection.IPConnection {
	c := connection.NewIPConnection()
	c.Outbound.OutboundVoiceProfileID = testProfile
	return c
}

// limited is a profile with a daily limit that ends calls.
func limited(limit string) profile.Profile {
	p := profile.New()
	p.DailySpendLimit = new(money.MustParse(limit))
	p.DailySpendLimitEnabled = true
	p.SpendLimitAction = profile.EndCalls
	return p
}

func callTo(number string) Call {
	return Call{ID: uuid.New(), Connection: testConnection, Identity: policy.IdentityKnown,
		From: "+13125550100", To: number, SIPCallID: "call@pbx"}
}
