// Package relay is the built-in media relay: it passes RTP, RTCP and other UDP
// media of anchored calls between ports of its own, and lets a recorder listen.
// Nothing is transcoded.
//
// sdp.go reads and rewrites session descriptions, session.go is the negotiation of
// one call, port.go the path of a packet, loop_linux.go reading and writing of packets.
package relay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tollgate/tollgate/internal/media"
	"github.com/tollgate/tollgate/internal/reach"
)

// Config is what a Relay needs. Addresses is required.
type Config struct {
	// Addresses are those that the relay's ports are bound to: one, or one of each family.
	Addresses []Address
	// Low and High are the first and the last port that may be used; default 20000 to 29999.
	Low, High uint16
	// Silence is how long both sides of an answered call may send nothing; default
	// 60 s. A single side may be silent for five times as long: there are phones that
	// send nothing while their user is silent.
	Silence time.Duration
	// AnySource takes a side's media from whatever source is heard first, also where
	// neither its description nor its signalling names that address.
	AnySource bool
	// Loops is how many goroutines pass packets on; default one for each processor.
	Loops int
	// Measured is called with how the RTP of each side of a stream arrived, when the call is
	// over; it may be nil. It must not block.
	Measured func(Quality)
	// Reach says where media may go; by default to the internet, and from a peer in a
	// private network or on this machine to others there.
	Reach  *reach.Guard
	Clock  func() time.Time
	Logger *slog.Logger
}

// Address is an address of this host, and the one in session descriptions where that
// is another, as behind a translator that maps one to one.
type Address struct{ Local, Public netip.Addr }

// oneSided is how many times as long as both sides a single one may be silent.
const oneSided = 5

// Relay is the built-in media relay.
type Relay struct {
	config Config
	ports  *ports
	loops  []*loop
	count  counters
	work   sync.WaitGroup // the watch, and sessions that close
	passes sync.WaitGroup // the loops
	done   chan struct{}

	mu       sync.Mutex // guards all below
	sessions map[*session]struct{}
	next     int // the loop of the next session
	closed   bool
}

// counters count packets since the relay was made.
type counters struct {
	foreign, malformed, forged, excess atomic.Uint64
}

// Stats is a snapshot of what the relay has counted and has open.
type Stats struct {
	Sessions  int    // open now
	FreePorts int    // pairs
	Relayed   uint64 // packets
	Foreign   uint64 // packets that were dropped: from a source that is not the side's,
	Malformed uint64 // neither RTP nor RTCP,
	Forged    uint64 // not encrypted with the key of the side, or a repetition,
	Excess    uint64 // or more of them than a stream has
}

// Stats returns the counters. It is safe for concurrent use.
func (r *Relay) Stats() Stats {
	r.mu.Lock()
	sessions := len(r.sessions)
	r.mu.Unlock()
	r.ports.mu.Lock()
	free := len(r.ports.free)
	r.ports.mu.Unlock()
	c := &r.count
	relayed := uint64(0)
	for _, l := range r.loops {
		relayed += l.relayed.Load()
	}
	return Stats{
		Sessions: sessions, FreePorts: free, Relayed: relayed, Foreign: c.foreign.Load(),
		Malformed: c.malformed.Load(), Forged: c.forged.Load(), Excess: c.excess.Load(),
	}
}

// New prepares a relay. Ports are bound call by call.
func New(config Config) (*Relay, error) {
	if len(config.Addresses) == 0 {
		return nil, errors.New("media relay: no address to bind to")
	}
	if config.Low == 0 && config.High == 0 {
		config.Low, config.High = 20000, 29999
	}
	if config.Low < 1024 || int(config.High) < int(config.Low)+3 {
		return nil, fmt.Errorf("media relay: ports %d to %d: want at least four, from 1024 up", config.Low, config.High)
	}
	for i := range config.Addresses {
		a := &config.Addresses[i]
		if !a.Local.IsValid() || a.Local.IsMulticast() {
			return nil, errors.New("media relay: want an address of this host")
		}
		if !a.Public.IsValid() {
			a.Public = a.Local
		}
		if a.Public.IsUnspecified() {
			return nil, errors.New("media relay: peers cannot send to an unspecified address: give the one to bind to")
		}
	}
	if config.Silence == 0 {
		config.Silence = time.Minute
	}
	if config.Loops <= 0 {
		config.Loops = runtime.GOMAXPROCS(0)
	}
	if config.Reach == nil {
		config.Reach = reach.New(reach.Rules{Documentation: true})
	}
	if config.Clock == nil {
		config.Clock = time.Now
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	r := &Relay{
		config: config, ports: newPorts(config.Low, config.High), done: make(chan struct{}),
		sessions: make(map[*session]struct{}),
	}
	config.Reach.Also(r.own)
	for range config.Loops {
		l, err := newLoop(config.Clock)
		if err != nil {
			for _, opened := range r.loops {
				opened.stop()
			}
			r.passes.Wait()
			return nil, fmt.Errorf("media relay: %w", err)
		}
		r.loops = append(r.loops, l)
		r.passes.Go(l.run)
	}
	r.work.Go(r.watch)
	return r, nil
}

// Stop closes the sessions that are left and returns when every goroutine has
// ended. It may be called more than once.
func (r *Relay) Stop(context.Context) error {
	r.mu.Lock()
	first := !r.closed
	r.closed = true
	left := make([]*session, 0, len(r.sessions))
	for s := range r.sessions {
		left = append(left, s)
	}
	r.mu.Unlock()
	for _, s := range left {
		s.Close()
	}
	if first {
		close(r.done)
	}
	r.work.Wait()
	if first {
		for _, l := range r.loops {
			l.stop()
		}
	}
	r.passes.Wait()
	return nil
}

// Open implements media.Relay.
func (r *Relay) Open(o media.Opening) media.Session {
	s := &session{relay: r, opening: o}
	r.mu.Lock()
	defer r.mu.Unlock()
	s.loop = r.loops[r.next%len(r.loops)]
	r.next++
	if r.closed {
		s.closed = true
		if o.Tap != nil {
			o.Tap.Close()
		}
		return s
	}
	r.sessions[s] = struct{}{}
	return s
}

// forget takes a session off the list and owns the goroutine that ends it.
func (r *Relay) forget(s *session, end func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.sessions, s)
	r.work.Go(end)
}

// addressFor is the address whose family a peer can reach, or the first.
func (r *Relay) addressFor(peer netip.Addr) Address {
	for _, a := range r.config.Addresses {
		if peer.IsValid() && a.Local.Unmap().Is4() == peer.Unmap().Is4() {
			return a
		}
	}
	return r.config.Addresses[0]
}

// own reports whether an address is a port that the relay has open. A peer that names one
// would make the server talk to itself.
func (r *Relay) own(a netip.AddrPort) bool {
	if !r.ports.holds(a.Port()) {
		return false
	}
	for _, mine := range r.config.Addresses {
		if a.Addr() == mine.Local || a.Addr() == mine.Public {
			return true
		}
	}
	return false
}

// watch finds the calls that have fallen silent.
func (r *Relay) watch() {
	ticker := time.NewTicker(max(r.config.Silence/16, 10*time.Millisecond))
	defer ticker.Stop()
	for {
		select {
		case <-r.done:
			return
		case <-ticker.C:
		}
		now := r.config.Clock()
		r.mu.Lock()
		sessions := make([]*session, 0, len(r.sessions))
		for s := range r.sessions {
			sessions = append(sessions, s)
		}
		r.mu.Unlock()
		for _, s := range sessions {
			s.checkSilence(now, r.config.Silence)
		}
	}
}
