// Package storetest is what every implementation of package store must do, as tests
// that run on any of them.
package storetest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/profile"
	"github.com/tollgate/tollgate/internal/rating"
	"github.com/tollgate/tollgate/internal/routing"
	"github.com/tollgate/tollgate/internal/store"
	"github.com/tollgate/tollgate/internal/verification"
	"github.com/tollgate/tollgate/internal/webhook"
)

// Options is what a test wants of the store that it opens.
type Options struct {
	Dir          string // where its files are; the same again is the same store
	Live         *policy.Live
	Clock        func() time.Time
	IDs          *id.Source
	Owner        uuid.UUID
	GroupSize    int // 0 means the default
	QueueLength  int // 0 means the default
	Ticks        <-chan time.Time
	AroundCommit func(commit func() error) error
	HungUp       func(calls []uuid.UUID) // may be nil
}

// Store is what is tested: everything of a store.
type Store interface {
	store.Resources
	store.Ledger
	store.Calls
	store.HangUps
	store.Spending
	store.Decks
	store.Tenants
	store.KeyFinder
	store.Writes
	store.Connections
	store.Reports
	store.Recordings
	store.RecordingFiles
	store.Verifications
	store.Bans
	store.Registrations

	Accounts() collection.Of[store.Account, id.ID]
	Profiles() collection.Of[profile.Profile, id.ID]
	IPConnections() collection.Of[connection.IPConnection, id.ID]
	CredentialConnections() collection.Of[connection.CredentialConnection, id.ID]
	FQDNConnections() collection.Of[connection.FQDNConnection, id.ID]
	IPs() collection.Of[connection.IP, id.ID]
	FQDNs() collection.Of[connection.FQDN, id.ID]
	Gateways() collection.Of[routing.Gateway, id.ID]
	BillingGroups() collection.Of[store.BillingGroup, uuid.UUID]
	LedgerReports() collection.Of[store.LedgerReport, uuid.UUID]
	WebhookEndpoints() collection.Of[webhook.Endpoint, id.ID]
	VerifiedNumbers() collection.Of[verification.Number, id.ID]
	Keys() collection.Of[store.Key, id.ID]
	Webhooks() Webhooks

	EnsureFirst(ctx context.Context) (account store.Account, created bool, err error)
	PutKey(ctx context.Context, k store.Key) (store.Key, error)
	PruneRegistrations(ctx context.Context, now time.Time) error
	CountKeys(ctx context.Context) (int, error)
	Close() error
}

// Webhooks is what is kept of webhooks.
type Webhooks interface {
	webhook.Outbox
	store.WebhookLog
}

// Opener opens a store. The test closes it.
type Opener func(t testing.TB, o Options) Store

// Run runs all tests.
func Run(t *testing.T, open Opener) {
	for _, part := range []struct {
		name string
		test func(*testing.T, Opener)
	}{
		{"Collections", testCollections},
		{"Tenancy", testTenancy},
		{"References", testReferences},
		{"Addresses", testAddresses},
		{"Ownership", testOwnership},
		{"NameOwnership", testNameOwnership},
		{"RacingClaims", testRacingClaims},
		{"FQDNs", testFQDNs},
		{"Tags", testTags},
		{"Reports", testReports},
		{"ReportsBySource", testReportsBySource},
		{"Accounts", testAccounts},
		{"Decks", testDecks},
		{"FuturePrices", testFuturePrices},
		{"Model", testModel},
		{"Ledger", testLedger},
		{"Records", testRecords},
		{"RecordPages", testRecordPages},
		{"Emergencies", testEmergencies},
		{"RecordRetention", testRecordRetention},
		{"Recordings", testRecordings},
		{"Retention", testRetention},
		{"LedgerReports", testLedgerReports},
		{"SavedEvent", testSavedEvent},
		{"SharedLimits", testSharedLimits},
		{"SpendHolds", testSpendHolds},
		{"SpendLimits", testSpendLimits},
		{"Faults", testFaults},
		{"Queue", testQueue},
		{"Reopen", testReopen},
		{"Bans", testBans},
		{"Registrations", testRegistrations},
		{"RegistrationsOfTheDeleted", testRegistrationsOfTheDeleted},
		{"Numbering", testNumbering},
		{"NumberLists", testNumberLists},
		{"Routes", testRoutes},
		{"Verification", testVerification},
		{"Switches", testSwitches},
		{"UsedIDs", testUsedIDs},
		{"RulesOfTheServer", testRulesOfTheServer},
		{"SwitchOrders", testSwitchOrders},
		{"HangUps", testHangUps},
		{"ManyHangUps", testManyHangUps},
		{"HangUpFaults", testHangUpFaults},
		{"CallWebhooks", testCallWebhooks},
		{"AttemptedWebhooks", testAttemptedWebhooks},
	} {
		t.Run(part.name, func(t *testing.T) { part.test(t, open) })
	}
}

// clock is a time of day that stands still until it is moved.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// noon is when the tests begin.
var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

// bed is a store with two accounts. The first has a deck, a profile, and a
// credential and an IP connection with one address, all ready for calls.
type bed struct {
	Store
	options Options
	clock   *clock
	faults  *faults
	ticks   chan time.Time

	account, other store.Account
	deck           store.RateDeck
	profile        profile.Profile
	phone          connection.CredentialConnection
	pbx            connection.IPConnection
	ip             connection.IP
}

var ctx = context.Background()

// newBed opens a store; adjust may change its options.
func newBed(t testing.TB, open Opener, adjust ...func(*Options)) *bed {
	t.Helper()
	b := &bed{clock: &clock{now: noon}, faults: &faults{}, ticks: make(chan time.Time)}
	b.options = Options{
		Dir: t.TempDir(), Live: policy.NewLive(), Clock: b.clock.Now, IDs: id.NewSource(1, b.clock.Now),
		Owner: uuid.New(), Ticks: b.ticks, AroundCommit: b.faults.around,
	}
	for _, a := range adjust {
		a(&b.options)
	}
	b.Store = open(t, b.options)
	t.Cleanup(func() { must(t, b.Store.Close()) })

	var created bool
	var err error
	if b.account, created, err = b.EnsureFirst(ctx); err != nil || !created {
		t.Fatalf("EnsureFirst: created %v, %v", created, err)
	}
	b.other = value(b.Accounts().Create(ctx, 0, store.Account{Name: "other", Active: true}))(t)
	b.deck = value(b.ImportDeck(ctx, b.account.ID, "standard", standardRows()))(t)
	b.deck = value(b.ActivateDeck(ctx, b.account.ID, b.deck.ID))(t)
	b.profile = value(b.Profiles().Create(ctx, b.account.ID, newProfile("standard")))(t)
	b.phone = value(b.CredentialConnections().Create(ctx, b.account.ID, newPhone("phone0001", b.profile.ID)))(t)
	b.pbx = value(b.IPConnections().Create(ctx, b.account.ID, newPBX("pbx", b.profile.ID)))(t)
	b.ip = value(b.IPs().Create(ctx, b.account.ID, newIP("192.0.2.10", b.pbx.ID)))(t)
	return b
}

// reopen closes the store and opens it again with a new policy, as a new process
// would. adjust may change the options.
func (b *bed) reopen(t testing.TB, open Opener, adjust ...func(*Options)) {
	t.Helper()
	must(t, b.Store.Close())
	b.options.Live = policy.NewLive()
	for _, a := range adjust {
		a(&b.options)
	}
	b.Store = open(t, b.options)
}

// The standard deck bills whole minutes: a dollar a minute to North America.
func standardRows() []rating.Row {
	minute := func(prefix string, price money.Amount) rating.Row {
		return rating.Row{Prefix: prefix, Rate: rating.Rate{PerMinute: price, FirstIncrement: 60, Increment: 60}}
	}
	return []rating.Row{minute("44", 2*money.Dollar), minute("1", money.Dollar), minute("447", 3*money.Dollar)}
}

func newProfile(name string) profile.Profile {
	p := profile.New()
	p.Name = name
	return p
}

func newPhone(user string, profile id.ID) connection.CredentialConnection {
	c := connection.NewCredentialConnection()
	c.ConnectionName = user
	c.UserName = user
	c.Password = "correct horse"
	c.Outbound.OutboundVoiceProfileID = profile
	return c
}

func newPBX(name string, profile id.ID) connection.IPConnection {
	c := connection.NewIPConnection()
	c.ConnectionName = name
	c.Outbound.OutboundVoiceProfileID = profile
	return c
}

func newIP(address string, connectionID id.ID) connection.IP {
	network, err := connection.ParseNetwork(address)
	if err != nil {
		panic(err)
	}
	return connection.IP{IPAddress: network, ConnectionID: connectionID, Port: 5060}
}

// reserve is a call of the phone to a number in New York.
func (b *bed) reserve() admission.Reserve {
	return admission.Reserve{Owner: b.options.Owner, Call: admission.Call{
		ID: uuid.Must(uuid.NewV7()), Connection: b.phone.ID, Identity: policy.IdentityKnown,
		From: "+12125550100", To: "+12125550199", SIPCallID: "call@192.0.2.10",
	}}
}

// do runs a command that must not fail.
func (b *bed) do(t testing.TB, c admission.Command) admission.Result {
	t.Helper()
	r, err := b.Do(ctx, c)
	if err != nil || r.Err != nil {
		t.Fatalf("%T: %v, %v", c, err, r.Err)
	}
	return r
}

// faults is what goes wrong with commits.
type faults struct {
	mu      sync.Mutex
	next    []fault
	gate    chan struct{} // a commit waits for it to be closed
	reached chan struct{} // closed when a commit waits
}

type fault uint8

const (
	commitFails          fault = iota + 1 // nothing has become durable
	commitFailsPersisted                  // the answer is lost on the way
)

var errInjected = errors.New("injected fault")

func (f *faults) inject(next ...fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.next = next
}

// hold makes the next commit wait. reached is closed when it does; release lets it go on.
func (f *faults) hold() (reached <-chan struct{}, release func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.gate, f.reached = make(chan struct{}), make(chan struct{})
	return f.reached, sync.OnceFunc(func() { close(f.gate) })
}

func (f *faults) around(commit func() error) error {
	f.mu.Lock()
	gate, reached := f.gate, f.reached
	f.reached = nil
	next := fault(0)
	if len(f.next) > 0 {
		next, f.next = f.next[0], f.next[1:]
	}
	f.mu.Unlock()
	if reached != nil {
		close(reached)
	}
	if gate != nil {
		<-gate
	}
	switch next {
	case commitFails:
		return errInjected
	case commitFailsPersisted:
		if err := commit(); err != nil {
			return err
		}
		return errInjected
	}
	return commit()
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// value unwraps a value and an error which must be nil: value(f())(t).
func value[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}
