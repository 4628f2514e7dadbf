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
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/call"
	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/media"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/reach"
	"github.com/tollgate/tollgate/internal/registration"
	"github.com/tollgate/tollgate/internal/routing"
	"github.com/tollgate/tollgate/internal/shaken"
	"github.com/tollgate/tollgate/internal/sip"
	"github.com/tollgate/tollgate/internal/sip/transaction"
	"github.com/tollgate/tollgate/internal/sip/transport"
	"github.com/tollgate/tollgate/internal/siptrace"
	"github.com/tollgate/tollgate/internal/store"
	"github.com/tollgate/tollgate/internal/webhook"
)

// Config is what a Server needs. Live, Ledger and Owner are required.
type Config struct {
	Addr string             // host:port for UDP and TCP; default 127.0.0.1:5060
	TLS  transport.TLS      // SIP over TLS, if it is wanted
	More []transport.Listen // further addresses
	// Advertise is what peers see instead of the addresses that are listened on.
	Advertise []transport.Advertised
	Realm     string // of digest authentication: always connection.Realm, for which passwords are hashed
	Live      *policy.Live
	Ledger    store.Ledger
	Owner     uuid.UUID // of the leases that the calls of this process hold
	// MaxCall is how long a call may last; 0 is no limit.
	MaxCall time.Duration
	// NameServers are host:port of the DNS servers for gateways' names; by default
	// those of the system.
	NameServers []string
	Clock       func() time.Time
	Logger      *slog.Logger
	// NewID makes the ids of attempts; default uuid.New.
	NewID func() uuid.UUID
	// Rang is called with how long after the caller's INVITE a call first rang or was
	// answered, and through which gateway. Shards call it concurrently and it must not
	// block; it may be nil.
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

	// Banned is called for every source that the server bans automatically; it must not block.
	Banned func(store.Ban)
	// Strayed is called for every right password from a source that its connection does not
	// allow; it must not block.
	Strayed func(webhook.Stray)
	// Journey is told of every call that has ended, by its shard; it must not block. nil
	// means that nothing is noted.
	Journey func(*Journey)
	Tracer  *siptrace.Tracer // of messages; nil: none
	Shaken  *shaken.Signer   // of calls to the gateways that want it; nil: signs none
	Shards  int              // default: one for each processor
	Timers  Timers
	Limits  Limits
}

// Server is Tollgate on its SIP side: a back-to-back user agent between connections
// and carriers.
type Server struct {
	config    Config
	log       *slog.Logger
	transport *transport.Transport
	filter    *transport.Filter
	resolver  *transport.Resolver
	trunks    *trunks
	paces     transport.Buckets[netip.Addr] // of sources, by sourceKey
	urgent    transport.Buckets[netip.Addr] // the same, of emergency calls
	crowds    sourceCalls
	// unansweredLines bounds what is logged of calls that end in their challenge.
	unansweredLines transport.Buckets[netip.Addr]
	// unidentified bounds the calls of known sources that do not say whose they are.
	unidentified transport.Buckets[netip.Addr]
	turnedAway   transport.Buckets[netip.Addr]
	limitWarning transport.Warning
	tagSecret    [32]byte
	nonces       *sip.Nonces
	guesses      *guesses
	registrar    *registration.Registrar
	strikes      strikes
	shards       []*shard
	seed         maphash.Seed
	count        counters
	panicOnce    sync.Once
	// knowsItself means that the server itself tells Config.Reach of this machine.
	knowsItself bool
	mark        string         // in the branches of this process
	decoy       connection.HA1 // checked in place of that of a user that does not exist
	retryAfter  string

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

// New prepares a server. Nothing listens yet.
func New(config Config) *Server {
	alone := config.Reach == nil
	config.setDefaults()
	srv := &Server{
		knowsItself: alone,
		config:      config, log: config.Logger, nonces: sip.NewNonces(), guesses: newGuesses(),
		registrar: registration.NewRegistrar(),
		seed:      maphash.MakeSeed(), mark: "tg" + cryptorand.Text()[:8] + ".",
		decoy:      connection.HA1Of("", cryptorand.Text()),
		retryAfter: strconv.Itoa(int(config.Timers.RetryAfter / time.Second)),
		ended:      make(chan struct{}, 1), done: make(chan struct{}), stopped: make(chan struct{}),
	}
	srv.LimitCalls(config.MaxCall)
	known := func() transport.Sources { return config.Live.Snapshot() }
	srv.filter = transport.NewFilter(known, config.Clock, config.Limits.Limits)
	srv.filter.Ours = srv.isOurs
	srv.resolver = transport.NewResolver(transport.ResolverConfig{
		NameServers: config.NameServers, Clock: config.Clock, TLS: config.TLS.Wanted(), Reach: config.Reach,
		Refused: func(gateway *routing.Gateway, why string, all bool) {
			srv.trunks.of(gateway).forbid(why, all)
		},
	})
	srv.transport = transport.New(transport.Config{
		Addr: config.Addr, More: config.More, Advertise: config.Advertise,
		TLS: config.TLS, Limits: config.Limits.Limits, Filter: srv.filter,
		Handle: srv.dispatch, Tracer: config.Tracer, Clock: config.Clock, Log: config.Logger, Reach: config.Reach,
	})
	cryptorand.Read(srv.tagSecret[:])
	for _, b := range []*transport.Buckets[netip.Addr]{&srv.paces, &srv.urgent, &srv.unidentified, &srv.turnedAway,
		&srv.unansweredLines} {
		b.Most = config.Limits.UnknownSources
	}
	srv.crowds = sourceCalls{most: config.Limits.SourceCalls, calls: make(map[netip.Addr]int)}
	srv.trunks = &trunks{srv: srv, byID: make(map[id.ID]*trunk)}
	for i := range config.Shards {
		sh := &shard{
			srv: srv, index: i, now: config.Clock(),
			legs: make(map[legKey]*leg), early: make(map[legKey]*early), calls: make(map[*session]struct{}),
			inbox: inbox{wake: make(chan struct{}, 1)}, tagger: hmac.New(sha256.New, srv.tagSecret[:]),
		}
		sh.transactions = srv.newTransactions(sh)
		sh.doomed.sh = sh
		sh.challenged.sh = sh
		sh.gone = &session{sh: sh, connected: &unconnected, machine: new(call.Call)}
		srv.shards = append(srv.shards, sh)
	}
	return srv
}

// newTransactions are those of a shard.
func (srv *Server) newTransactions(sh *shard) *transaction.Layer {
	times := &srv.config.Timers
	return transaction.NewLayer(transaction.Config{
		Times:     transaction.Times{T1: times.T1, T2: times.T2, T4: times.T4, TimerC: times.TimerC},
		Transport: srv.transport, Timers: &sh.timers, Now: func() time.Time { return sh.now }, Post: sh.post,
		NewTag: srv.newTag,
	})
}

// Start listens on UDP and TCP and begins to take calls. It returns when both
// sockets are bound.
func (srv *Server) Start(ctx context.Context) error {
	if err := srv.transport.Listen(ctx); err != nil {
		return err
	}
	if srv.knowsItself {
		srv.config.Reach.Know(reach.Host{Listeners: srv.transport.Listeners()})
	}
	for _, sh := range srv.shards {
		srv.work.Go(func() { sh.run(srv.done) })
	}
	// Carriers are known before the first message can come.
	srv.trunks.follow(srv.config.Live.Snapshot())
	srv.work.Go(srv.followPolicy)
	srv.transport.Start()
	srv.started.Store(true)
	return nil
}

// Addr is the address that the server listens on, once started.
func (srv *Server) Addr() string { return srv.transport.Addr().String() }

// Listening are all sockets of the server in words, once started, as 192.0.2.1:5060 (UDP and TCP).
func (srv *Server) Listening() []string { return srv.transport.Listening() }

// Listeners are their addresses.
func (srv *Server) Listeners() []netip.AddrPort { return srv.transport.Listeners() }

// SecureAddr is the address on which the server listens for TLS, once started; ""
// without TLS.
func (srv *Server) SecureAddr() string { return srv.transport.SecureAddr() }

// Stop refuses new calls and waits for the running ones until ctx ends. Then it
// hangs up on those that are left and settles them, within Timers.EndLimit. It
// returns when every goroutine has ended, with an error when calls were left that
// the ledger has not settled. It may be called more than once, and does nothing to
// a server that was not started.
func (srv *Server) Stop(ctx context.Context) error {
	srv.stopOnce.Do(func() {
		if srv.started.Load() {
			srv.stopErr = srv.stop(ctx)
		}
	})
	return srv.stopErr
}

func (srv *Server) stop(ctx context.Context) error {
	srv.stopping.Store(true)
	srv.farewell()
	if !srv.idle(ctx) {
		srv.each(func(sh *shard) {
			for s := range sh.calls {
				s.handle(call.Stopping{})
			}
		})
		limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), srv.config.Timers.EndLimit)
		srv.idle(limited)
		cancel()
	}
	left := 0
	srv.each(func(sh *shard) {
		for s := range sh.calls {
			if !s.over {
				left++
			}
		}
	})
	close(srv.done)
	srv.work.Wait()
	srv.transport.Stop()
	srv.resolver.Stop()
	close(srv.stopped)
	if left > 0 {
		return fmt.Errorf("stop the SIP server: %w: %d", errUnsettled, left)
	}
	return nil
}

var errUnsettled = errors.New("calls not settled by the ledger")

// idle waits until no call is left, and reports whether that came before the end of ctx.
func (srv *Server) idle(ctx context.Context) bool {
	for {
		if srv.each(func(*shard) {}) == 0 {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-srv.ended:
		}
	}
}

// each runs f on every shard's goroutine, one shard after the other, and returns
// how many calls they have. Once the server has stopped it does nothing.
func (srv *Server) each(f func(*shard)) (calls int) {
	if !srv.started.Load() {
		return 0
	}
	counts := make(chan int, 1)
	for _, sh := range srv.shards {
		sh.post(func() {
			defer func() { counts <- len(sh.calls) }()
			f(sh)
		})
		select {
		case n := <-counts:
			calls += n
		case <-srv.stopped:
			return calls
		}
	}
	return calls
}

// finished notes that a call was forgotten.
func (srv *Server) finished() {
	select {
	case srv.ended <- struct{}{}:
	default:
	}
}

// isBusy reports whether an error of the ledger means that nothing was done.
func isBusy(err error) bool { return errors.Is(err, collection.ErrBusy) }

// dispatch hands a copy of a message to the shard of its Call-ID. A shard with much to do is
// spared new calls first: they are told to try again later, at no further cost. Emergency
// calls of connections that are known at their source are not among them.
func (srv *Server) dispatch(data []byte, from transport.Peer) {
	if !srv.inRate(data, from) {
		srv.count.paced.Add(1)
		srv.limited(from.Addr.Addr(), "sip_source_rate")
		if sip.IsNewCall(data) && !srv.isEmergency(data, from) {
			srv.turnAway(data, from, admission.ReasonCallRate)
		}
		return
	}
	sh := srv.shards[maphash.Bytes(srv.seed, sip.CallIDOf(data))%uint64(len(srv.shards))]
	limit := srv.config.Limits.Queue
	if !sip.IsNewCall(data) {
		if !sh.offer(data, from, limit) {
			srv.count.shed.Add(1)
		}
		return
	}
	if sh.offer(data, from, limit/2) || srv.isEmergency(data, from) && sh.offer(data, from, limit) {
		return
	}
	srv.count.shed.Add(1)
	srv.turnAway(data, from, admission.ReasonOverloaded)
}

// turnedAwayPerSecond bounds the refusals of calls that nothing has read: their source
// may be forged too.
const turnedAwayPerSecond = 2000

// turnAway refuses a new call before anything reads it.
func (srv *Server) turnAway(data []byte, from transport.Peer, why admission.Reason) {
	if !srv.turnedAway.Take(transport.SourceKey(from.Addr.Addr()), srv.config.Clock(), turnedAwayPerSecond,
		turnedAwayPerSecond, 0) {
		srv.transport.Count.Unanswered.Add(1)
		return
	}
	d := admission.Decision{Reason: why}
	v := sip.Verdict{Kind: sip.VerdictAnswer, Status: why.Status(), Phrase: d.Phrase(), Headers: []string{
		"Retry-After: " + srv.retryAfter, "X-Tollgate-Reason: " + why.String(), lineRejected[:len(lineRejected)-2],
	}}
	srv.transport.Answer(from, sip.RefusalBytes(data, v, srv.tagForBytes(data)), len(data))
}

// Reload reads the files of TLS again. When they cannot be used, what was in force
// stays so, and the error says why. Calls are not touched.
func (srv *Server) Reload() error { return srv.transport.Reload() }

// LimitCalls describes how long calls that begin from now on may last; 0 is no limit.
func (srv *Server) LimitCalls(most time.Duration) { srv.maxCall.Store(int64(most)) }

// MaxCall is what LimitCalls said last.
func (srv *Server) MaxCall() time.Duration { return time.Duration(srv.maxCall.Load()) }
