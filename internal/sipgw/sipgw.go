package sipgw

import (
	"context"
	"crypto/hmac"
	cryptorand "crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/call"
	"github.com/tollgate/tollgate/internal/certificate"
	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/media"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/reach"
	"github.com/tollgate/tollgate/internal/routing"
	"github.com/tollgate/tollgate/internal/siptrace"
	"github.com/tollgate/tollgate/internal/store"
	"github.com/tollgate/tollgate/internal/webhook"
)

// Config is what a Gateway needs. Live, Ledger and Owner are required.
type Config struct {
	Addr   string // host:port for UDP and TCP; default 127.0.0.1:5060
	TLS    TLS    // SIP over TLS, if it is wanted
	Host   string // the host that Contact and Via name, where it is not that of Addr
	Realm  string // of digest authentication: always connection.Realm, for which passwords are hashed
	Live   *policy.Live
	Ledger store.Ledger
	Owner  uuid.UUID // of the leases that the calls of this process hold
	// MaxCall is how long a call may last; 0 is no limit.
	MaxCall time.Duration
	// NameServers are host:port of the DNS servers for gateways' names; by default
	// those of the system.
	NameServers []string
	Clock       func() time.Time
	Logger      *slog.Logger
	// NewID makes the ids of attempts; default uuid.New.
	NewID func() uuid.UUID
	// Rang is told how long after the caller's INVITE a call first rang or was
	// answered, and through which gateway. Shards call it concurrently and it must not
	// block; nil means nobody is told.
	Rang func(gateway id.ID, delay time.Duration)
	// Reach says where requests may go. By default nothing goes to private networks,
	// and to this machine only if Addr is loopback.
	Reach *reach.Guard
	// Media relays what is anchored; nil lets every session description pass as it is.
	Media media.Relay
	// Recorder says which calls are recorded; nil records none.
	Recorder media.Recorder
	// AnchorAll anchors every call, not only those of connections that want it and
	// those that are recorded.
	AnchorAll bool

	// Banned is told of every source that the gateway bans by itself; it must not block.
	Banned func(store.Ban)
	// Strayed is told of every right password from a source that its connection does not
	// allow; it must not block.
	Strayed func(webhook.Stray)
	// Journey is told of every call that is over, by its shard; it must not block. nil
	// means that nobody wants to know, and nothing is noted.
	Journey func(*Journey)
	Tracer  *siptrace.Tracer // of messages; nil: none
	Shards  int              // default: one for each processor
	Timers  Timers
	Limits  Limits
}

// Gateway is a running SIP gateway: a back-to-back user agent between connections
// and carriers.
type Gateway struct {
	config    Config
	log       *slog.Logger
	transport *transport
	filter    *filter
	resolver  *resolver
	trunks    *trunks
	paces     buckets[netip.Addr] // of sources, by sourceKey
	urgent    buckets[netip.Addr] // the same, of emergency calls
	crowds    sourceCalls
	strangers answerBudget
	// unidentified bounds the calls of known sources that do not say whose they are.
	unidentified buckets[netip.Addr]
	turnedAway   buckets[netip.Addr]
	warnings     *warnings
	tagSecret    [32]byte
	nonces       *nonces
	guesses      *guesses
	strikes      strikes
	shards       []*shard
	seed         maphash.Seed
	count        counters
	panicOnce    sync.Once
	// knowsItself says that the gateway itself tells Config.Reach of this machine.
	knowsItself bool
	mark        string         // in the branches of this process
	decoy       connection.HA1 // checked in place of that of a user that does not exist
	hostPort    string         // in Via and Contact over UDP and TCP
	// secureHostPort is the same over TLS.
	secureHostPort string
	contacts       contactLines
	host           string
	retryAfter     string

	maxCall  atomic.Int64 // nanoseconds; 0 for no limit
	started  atomic.Bool
	stopping atomic.Bool
	stopOnce sync.Once
	stopErr  error
	ended    chan struct{}  // has a token when a call was forgotten
	done     chan struct{}  // closed to end the shards
	stopped  chan struct{}  // closed when they have ended
	work     sync.WaitGroup // shards and teardown
}

// New prepares a gateway. Nothing listens yet.
func New(config Config) *Gateway {
	alone := config.Reach == nil
	config.setDefaults()
	g := &Gateway{
		knowsItself: alone,
		config:      config, log: config.Logger, nonces: newNonces(), guesses: newGuesses(), warnings: new(warnings),
		seed: maphash.MakeSeed(), mark: "tg" + cryptorand.Text()[:8] + ".", decoy: connection.HA1Of("", cryptorand.Text()),
		retryAfter: strconv.Itoa(int(config.Timers.RetryAfter / time.Second)),
		ended:      make(chan struct{}, 1), done: make(chan struct{}), stopped: make(chan struct{}),
	}
	g.LimitCalls(config.MaxCall)
	g.filter = newFilter(config.Live, config.Clock, config.Limits)
	running, cancel := context.WithCancel(context.Background())
	g.resolver = &resolver{
		ctx: running, now: config.Clock, random: rand.Float64, dns: newNameServers(config.NameServers),
		tls: config.TLS.wanted(), names: make(map[string]resolved),
		guard: config.Reach,
		refused: func(gateway *routing.Gateway, why string, all bool) {
			g.trunks.of(gateway).forbid(why, all)
		},
	}
	g.transport = &transport{
		running: running, cancel: cancel,
		tracer: config.Tracer, now: config.Clock, limits: config.Limits, filter: g.filter, handle: g.dispatch, count: &g.count,
		streams: make(map[streamKey]*stream), budgets: newBudgets(&config.Limits), log: config.Logger, warned: g.warnings,
		reach: config.Reach,
	}
	if config.TLS.wanted() {
		files := config.TLS.files()
		files.Now, files.Log = config.Clock, config.Logger
		g.transport.certificates, g.transport.secureAddr = certificate.New(files), config.TLS.Addr
	}
	cryptorand.Read(g.tagSecret[:])
	for _, b := range []*buckets[netip.Addr]{&g.paces, &g.urgent, &g.unidentified, &g.turnedAway} {
		b.most = config.Limits.UnknownSources
	}
	g.crowds = sourceCalls{most: config.Limits.SourceCalls, calls: make(map[netip.Addr]int)}
	g.trunks = &trunks{g: g, byID: make(map[id.ID]*trunk)}
	for i := range config.Shards {
		sh := &shard{
			g: g, index: i, now: config.Clock(),
			servers: make(map[string]*serverTx), clients: make(map[clientKey]*clientTx),
			legs: make(map[legKey]*leg), early: make(map[legKey]*early), calls: make(map[*session]struct{}),
			inbox: inbox{wake: make(chan struct{}, 1)}, tagger: hmac.New(sha256.New, g.tagSecret[:]),
		}
		sh.doomed.sh = sh
		sh.gone = &session{sh: sh, connected: &unconnected}
		g.shards = append(g.shards, sh)
	}
	return g
}

// Start listens on UDP and TCP and begins to take calls. It returns when both
// sockets are bound.
func (g *Gateway) Start(ctx context.Context) error {
	if err := g.transport.listen(ctx, g.config.Addr); err != nil {
		return err
	}
	secure := ""
	if g.transport.secure != nil {
		secure = publicAddress(g.transport.secure.Addr().(*net.TCPAddr).AddrPort(), g.config.Host)
	}
	if g.knowsItself {
		g.config.Reach.Know(reach.Host{Listeners: g.listeners()})
	}
	g.setAddresses(publicAddress(g.transport.addr(), g.config.Host), secure)
	for _, sh := range g.shards {
		g.work.Go(func() { sh.run(g.done) })
	}
	// Carriers are known before the first message can come.
	g.trunks.follow(g.config.Live.Snapshot())
	g.work.Go(g.followPolicy)
	g.transport.start()
	g.started.Store(true)
	return nil
}

// listeners are the sockets of the gateway, once it listens.
func (g *Gateway) listeners() []netip.AddrPort {
	list := []netip.AddrPort{g.transport.addr()}
	if g.transport.secure != nil {
		list = append(list, g.transport.secure.Addr().(*net.TCPAddr).AddrPort())
	}
	return list
}

// Addr is the address that the gateway listens on, once started.
func (g *Gateway) Addr() string { return g.transport.addr().String() }

// SecureAddr is the address on which the gateway listens for TLS, once started; ""
// without TLS.
func (g *Gateway) SecureAddr() string {
	if g.transport.secure == nil {
		return ""
	}
	return g.transport.secure.Addr().String()
}

// Stop refuses new calls and waits for the running ones until ctx ends. Then it
// hangs up on those that are left and settles them, within Timers.EndLimit. It
// returns when every goroutine has ended, with an error when calls were left that
// the ledger has not settled. It may be called more than once, and does nothing to
// a gateway that was not started.
func (g *Gateway) Stop(ctx context.Context) error {
	g.stopOnce.Do(func() {
		if g.started.Load() {
			g.stopErr = g.stop(ctx)
		}
	})
	return g.stopErr
}

func (g *Gateway) stop(ctx context.Context) error {
	g.stopping.Store(true)
	g.farewell()
	if !g.idle(ctx) {
		g.each(func(sh *shard) {
			for s := range sh.calls {
				s.handle(call.Stopping{})
			}
		})
		limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), g.config.Timers.EndLimit)
		g.idle(limited)
		cancel()
	}
	left := 0
	g.each(func(sh *shard) {
		for s := range sh.calls {
			if !s.over {
				left++
			}
		}
	})
	close(g.done)
	g.work.Wait()
	g.transport.stop()
	g.resolver.work.Wait()
	close(g.stopped)
	if left > 0 {
		return fmt.Errorf("stop the SIP gateway: %w: %d", errUnsettled, left)
	}
	return nil
}

var errUnsettled = errors.New("calls were left that the ledger has not settled")

// idle waits until no call is left, and says whether that came before the end of ctx.
func (g *Gateway) idle(ctx context.Context) bool {
	for {
		if g.each(func(*shard) {}) == 0 {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-g.ended:
		}
	}
}

// each runs f on every shard's goroutine, one shard after the other, and returns
// how many calls they have. Once the gateway has stopped it does nothing.
func (g *Gateway) each(f func(*shard)) (calls int) {
	if !g.started.Load() {
		return 0
	}
	counts := make(chan int, 1)
	for _, sh := range g.shards {
		sh.post(func() {
			defer func() { counts <- len(sh.calls) }()
			f(sh)
		})
		select {
		case n := <-counts:
			calls += n
		case <-g.stopped:
			return calls
		}
	}
	return calls
}

// finished notes that a call was forgotten.
func (g *Gateway) finished() {
	select {
	case g.ended <- struct{}{}:
	default:
	}
}

// isBusy says of an error of the ledger that surely nothing was done.
func isBusy(err error) bool { return errors.Is(err, store.ErrBusy) }

// dispatch hands a copy of a message to the shard of its Call-ID. A shard with much to do is
// spared new calls first: they are told to try again later, at no further cost. Emergency
// calls of connections that are known at their source are not among them.
func (g *Gateway) dispatch(data []byte, from peer) {
	if !g.inRate(data, from) {
		g.count.paced.Add(1)
		g.limited(from.addr.Addr(), "sip_source_rate")
		if isNewCall(data) && !g.isEmergency(data, from) {
			g.turnAway(data, from, admission.ReasonCallRate)
		}
		return
	}
	sh := g.shards[maphash.Bytes(g.seed, callIDOf(data))%uint64(len(g.shards))]
	limit := g.config.Limits.Queue
	if !isNewCall(data) {
		if !sh.offer(data, from, limit) {
			g.count.shed.Add(1)
		}
		return
	}
	if sh.offer(data, from, limit/2) || g.isEmergency(data, from) && sh.offer(data, from, limit) {
		return
	}
	g.count.shed.Add(1)
	g.turnAway(data, from, admission.ReasonOverloaded)
}

// turnedAwayPerSecond bounds the refusals of calls that nothing has read: their source
// may be forged too.
const turnedAwayPerSecond = 2000

// turnAway refuses a new call before anything reads it.
func (g *Gateway) turnAway(data []byte, from peer, why admission.Reason) {
	if !g.turnedAway.take(sourceKey(from.addr.Addr()), g.config.Clock(), turnedAwayPerSecond, turnedAwayPerSecond, 0) {
		g.count.unanswered.Add(1)
		return
	}
	d := admission.Decision{Reason: why}
	v := verdict{kind: verdictAnswer, status: why.Status(), reason: d.Phrase(), headers: []string{
		"Retry-After: " + g.retryAfter, "X-Tollgate-Reason: " + why.String(), lineRejected[:len(lineRejected)-2],
	}}
	g.answer(from, refusalBytes(data, v, g.tagForBytes(data)), len(data))
}
