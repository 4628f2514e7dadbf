package sipgw

import (
	"context"
	"log/slog"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.uber.org/goleak"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/profile"
	"github.com/tollgate/tollgate/internal/rating"
	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/routing"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The ids of a world: one account with one profile and one deck; a PBX at
// 127.0.0.1 and, where wanted, a digest user.
const (
	worldAccount    id.ID = 1
	worldProfile    id.ID = 2
	worldPBX        id.ID = 3
	worldDeck       id.ID = 4
	worldUser       id.ID = 5
	worldGateway    id.ID = 100 // and up
	patience              = 10 * time.Second
	pbxAddress            = "127.0.0.1"
	carrierAddress        = "127.0.0.2"
	strangerAddress       = "127.0.0.66"
)

// world is a gateway on loopback with a ledger behind it and parties around it.
type world struct {
	t        testing.TB
	srv      *Server
	ledger   *ledger
	live     *policy.Live
	carriers []*party
	pbx      *party
	secured  *authority // of a world over TLS
}

// wish is what a test wants other than the usual world.
type wish struct {
	carriers int // default 1
	tcp      bool
	tls      *authority // over TLS, by certificates of this authority; wants tcp
	profile  func(*profile.Profile)
	pbx      func(*connection.IPConnection)
	gateway  func(*routing.Gateway)
	deck     rating.Rate // default a cent a minute, by the second
	user     bool        // a digest user exists
	change   []policy.Change
	config   func(*Config)
}

func newWorld(t *testing.T, want wish) *world {
	t.Helper()
	w := &world{t: t, live: policy.NewLive()}
	w.ledger = newLedger(w.live)
	config := Config{
		Addr: "127.0.0.1:0", Live: w.live, Ledger: w.ledger, Owner: uuid.New(), Shards: 2,
		Logger: slog.New(slog.NewTextHandler(testWriter{t}, nil)),
		Timers: Timers{
			T1: 100 * time.Millisecond, T2: 400 * time.Millisecond, T4: 200 * time.Millisecond,
			GatewayWait: 2 * time.Second, PolicyCheck: 10 * time.Millisecond, EndLimit: time.Second,
		},
	}
	if want.tls != nil {
		w.secured = want.tls
		config.TLS = want.tls.files("127.0.0.1")
	}
	if want.config != nil {
		want.config(&config)
	}
	w.srv = New(config)
	if err := w.srv.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.stop)
	w.pbx = w.party(pbxAddress, want.tcp)
	for range max(1, want.carriers) {
		w.carriers = append(w.carriers, w.party(carrierAddress, want.tcp))
	}
	w.publish(want)
	return w
}

// stop ends what is left of the calls at once and waits for the gateway.
func (w *world) stop() {
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	if err := w.srv.Stop(ended); err != nil {
		w.t.Error(err)
	}
	w.ledger.close()
	if n := w.srv.Stats().Panics; n != 0 {
		w.t.Errorf("%d panics", n)
	}
}

func (w *world) publish(want wish) {
	w.t.Helper()
	p := profile.New()
	p.ID, p.AccountID, p.Version, p.Name = worldProfile, worldAccount, 1, "test"
	if want.profile != nil {
		want.profile(&p)
	}
	pbx := connection.NewIPConnection()
	pbx.ID, pbx.AccountID, pbx.Version = worldPBX, worldAccount, 1
	pbx.Outbound.OutboundVoiceProfileID = worldProfile
	if want.pbx != nil {
		want.pbx(&pbx)
	}
	rate := want.deck
	if rate.Increment == 0 {
		rate = rating.Rate{PerMinute: money.MustParse("0.60"), FirstIncrement: 1, Increment: 1}
	}
	deck, err := rating.NewDeck([]rating.Row{{Prefix: "1", Rate: rate}}, time.Now())
	if err != nil {
		w.t.Fatal(err)
	}
	changes := []policy.Change{
		policy.PutAccount(&policy.Account{ID: worldAccount, Active: true, ChannelLimit: policy.NoLimit,
			DefaultDeck: worldDeck}),
		policy.PutDeck(&policy.Deck{ID: worldDeck, Account: worldAccount, Rates: deck}),
		policy.PutProfile(&p), policy.PutIPConn(&pbx),
		policy.PutIP(&connection.IP{Head: collection.Head[id.ID]{ID: 6}, ConnectionID: worldPBX,
			IPAddress: connection.SingleAddress(netip.MustParseAddr(pbxAddress))}),
	}
	if want.user {
		user := connection.NewCredentialConnection()
		user.ID, user.AccountID, user.UserName, user.Password = worldUser, worldAccount, "alice", "correct-horse"
		user.Outbound.OutboundVoiceProfileID = worldProfile
		changes = append(changes, policy.PutCredential(&user))
	}
	for i, carrier := range w.carriers {
		g := routing.NewGateway()
		g.ID, g.AccountID, g.Address, g.Priority = worldGateway+id.ID(i), worldAccount, carrier.address(), int32(i)
		if want.tcp {
			g.Transport = "tcp"
		}
		if want.tls != nil {
			g.Transport = "tls"
		}
		if want.gateway != nil {
			want.gateway(&g)
		}
		changes = append(changes, policy.PutGateway(&g))
	}
	snapshot, err := w.live.Snapshot().With(append(changes, want.change...)...)
	if err != nil {
		w.t.Fatal(err)
	}
	w.live.Publish(snapshot)
}

// record waits for the next record of a call and checks its books.
func (w *world) record() *record.Call {
	w.t.Helper()
	select {
	case r := <-w.ledger.records:
		return r
	case <-time.After(patience):
		w.t.Fatal("no record of the call")
		return nil
	}
}

// settled checks that nothing is held and that no further record was written.
func (w *world) settled() {
	w.t.Helper()
	posted, held, leases := w.ledger.spend()
	if held != 0 || leases != 0 {
		w.t.Errorf("held %v by %d leases when no call is up", held, leases)
	}
	if sum := w.ledger.charged(); sum != posted {
		w.t.Errorf("posted %v, the records sum to %v", posted, sum)
	}
	select {
	case r := <-w.ledger.records:
		w.t.Errorf("one record too many: %+v", r)
	default:
	}
}

// ledger is the admission state machine behind one goroutine, without a database.
type ledger struct {
	live    *policy.Live
	records chan *record.Call
	work    sync.WaitGroup

	mu      sync.Mutex // guards all below
	ready   *sync.Cond
	queue   []func()
	state   *admission.State
	total   money.Amount
	away    error // what every command fails with
	held    bool  // nothing is answered
	renews  int
	closing bool
}

func newLedger(live *policy.Live) *ledger {
	l := &ledger{live: live, records: make(chan *record.Call, 10_000), state: admission.NewState()}
	l.ready = sync.NewCond(&l.mu)
	l.work.Go(l.run)
	return l
}

func (l *ledger) run() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		for len(l.queue) == 0 || l.held {
			if l.closing {
				return
			}
			l.ready.Wait()
		}
		next := l.queue[0]
		l.queue = l.queue[1:]
		next()
	}
}

func (l *ledger) close() {
	l.mu.Lock()
	l.closing, l.held = true, false
	l.ready.Broadcast()
	l.mu.Unlock()
	l.work.Wait()
}

// Submit implements store.Ledger.
func (l *ledger) Submit(command admission.Command, done func(admission.Result, error)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.queue = append(l.queue, func() {
		if l.away != nil {
			done(admission.Result{}, l.away)
			return
		}
		if _, ok := command.(admission.Renew); ok {
			l.renews++
		}
		result := l.state.Apply(l.live.Snapshot(), command, time.Now())
		for _, r := range l.state.TakeChanges().Records {
			l.total = money.Add(l.total, r.Cost)
			l.state.Remember(r)
			l.records <- r
		}
		done(result, nil)
	})
	l.ready.Signal()
}

// Do implements store.Ledger.
func (l *ledger) Do(ctx context.Context, command admission.Command) (admission.Result, error) {
	type answer struct {
		result admission.Result
		err    error
	}
	answers := make(chan answer, 1)
	l.Submit(command, func(r admission.Result, err error) { answers <- answer{r, err} })
	select {
	case a := <-answers:
		return a.result, a.err
	case <-ctx.Done():
		return admission.Result{}, collection.ErrUnavailable
	}
}

// set makes the ledger fail with an error, or nil, and hold its answers back.
func (l *ledger) set(away error, held bool) {
	l.mu.Lock()
	l.away, l.held = away, held
	l.ready.Broadcast()
	l.mu.Unlock()
}

func (l *ledger) spend() (posted, held money.Amount, leases int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	posted, held = l.state.Spend(worldProfile, record.DayOf(time.Now().UnixMicro()))
	l.state.Leases(func(*admission.Lease) bool { leases++; return true })
	return posted, held, leases
}

func (l *ledger) charged() money.Amount {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.total
}

// testWriter sends the log to the test's own.
type testWriter struct{ t testing.TB }

func (w testWriter) Write(p []byte) (int, error) {
	if os.Getenv("TOLLGATE_TEST_LOG") != "" {
		w.t.Log(strings.TrimSpace(string(p)))
	}
	return len(p), nil
}
