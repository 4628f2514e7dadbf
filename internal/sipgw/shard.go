package sipgw

import (
	"hash"
	"hash/maphash"
	"runtime/debug"
	"sync"
	"time"

	"github.com/tollgate/tollgate/internal/sip"
	"github.com/tollgate/tollgate/internal/sip/transaction"
	"github.com/tollgate/tollgate/internal/sip/transport"
	"github.com/tollgate/tollgate/internal/timer"
)

// shard owns the calls whose Call-IDs hash to it: one goroutine, no locks, every
// message in the order in which it came. The carrier's leg of a call has a Call-ID
// of the server's own choice that hashes to the same shard.
type shard struct {
	srv    *Server
	index  int
	now    time.Time // of the batch being handled
	timers timer.Heap

	transactions *transaction.Layer
	legs         map[legKey]*leg
	early        map[legKey]*early // of gateways, by our Call-ID and their tag
	calls        map[*session]struct{}
	doomed       doomed // calls that the API was asked to end
	// once are the latest transactions of calls that do not say whose they are, at most
	// mostUnidentified; the one at oldest goes first.
	once   []*transaction.Server
	oldest int
	// challenged are the calls that are to come back with credentials.
	challenged challengedCalls

	inbox     inbox
	packets   []packet // of the turn; the slices are used again
	functions []func()
	gone      *session  // stands for calls that have ended
	key       []byte    // in which names of transactions are written
	wire      sip.Wire  // the message being received
	tagger    hash.Hash // makes tags of answers that nothing is kept of
}

// message is what arrived, as the transactions have it.
type message = transaction.Message

// The timers of dialogs, calls and gateways.
const (
	timerRetransmit timer.Kind = iota // of a reliable provisional response
	timerGiveUp                       // what has waited long enough
	timerMeter                        // of the call
	timerExpires                      // of the caller's INVITE
	timerRefresh                      // RFC 4028: send a refresh
	timerLost                         // RFC 4028: no refresh came
	timerPing                         // of a gateway: OPTIONS
	timerSilence                      // OPTIONS was not answered
	timerRegister                     // of a gateway: REGISTER
	timerHangUp                       // of a shard: the next calls to hang up
)

// legKey finds a dialog. The caller's leg is found by the caller's tag too, since
// its Call-ID is not ours; a carrier's leg has a Call-ID of ours and no tag here.
type legKey struct{ callID, remoteTag string }

// packet is a message as it came, in a buffer that is used again once it is handled.
type packet struct {
	buffer *buffer
	from   transport.Peer
}

type buffer struct{ data []byte }

// buffers are those not in use.
var buffers = sync.Pool{New: func() any { return &buffer{make([]byte, 0, 2048)} }}

// maxIdleBuffer bounds a buffer that is kept for the next message.
const maxIdleBuffer = 16 << 10

func newPacket(data []byte, from transport.Peer) packet {
	b := buffers.Get().(*buffer)
	b.data = append(b.data[:0], data...)
	return packet{b, from}
}

// done gives the buffer of a packet back.
func (p *packet) done() {
	if cap(p.buffer.data) <= maxIdleBuffer {
		buffers.Put(p.buffer)
	}
	*p = packet{}
}

// inbox is the bounded queue of a shard. Packets are refused when it is full.
// Functions are results of the ledger, the resolver and the transport, each
// answering something the shard itself asked for, so that their number is bounded
// by the shard's own calls; they are always taken.
type inbox struct {
	wake chan struct{}

	mu        sync.Mutex // guards the two below
	packets   []packet
	functions []func()
}

// post queues a function for the shard's goroutine. It never blocks.
func (sh *shard) post(f func()) {
	sh.inbox.mu.Lock()
	sh.inbox.functions = append(sh.inbox.functions, f)
	sh.inbox.mu.Unlock()
	sh.poke()
}

// offer queues a copy of a message unless there are limit already, and reports whether it did.
func (sh *shard) offer(data []byte, from transport.Peer, limit int) bool {
	sh.inbox.mu.Lock()
	full := len(sh.inbox.packets) >= limit
	if !full {
		sh.inbox.packets = append(sh.inbox.packets, newPacket(data, from))
	}
	sh.inbox.mu.Unlock()
	if !full {
		sh.poke()
	}
	return !full
}

func (sh *shard) poke() {
	select {
	case sh.inbox.wake <- struct{}{}:
	default:
	}
}

// take empties the inbox into the buffers given, which are reused.
func (sh *shard) take(packets []packet, functions []func()) ([]packet, []func()) {
	sh.inbox.mu.Lock()
	defer sh.inbox.mu.Unlock()
	packets, sh.inbox.packets = sh.inbox.packets, packets[:0]
	functions, sh.inbox.functions = sh.inbox.functions, functions[:0]
	return packets, functions
}

// run is the shard's goroutine. It ends when the server closes done, after it has
// handled what was in the inbox then.
func (sh *shard) run(done <-chan struct{}) {
	alarm := time.NewTimer(time.Hour)
	defer alarm.Stop()
	for {
		if sh.turn() {
			continue
		}
		wait := time.Hour
		if at, ok := sh.timers.Next(); ok {
			wait = max(0, at.Sub(sh.srv.config.Clock()))
		}
		alarm.Reset(wait)
		select {
		case <-done:
			return
		case <-sh.inbox.wake:
		case <-alarm.C:
		}
	}
}

// turn handles what is in the inbox and what is due, and reports whether there was
// anything in the inbox.
func (sh *shard) turn() bool {
	sh.packets, sh.functions = sh.take(sh.packets, sh.functions)
	sh.now = sh.srv.config.Clock()
	for i, f := range sh.functions {
		sh.guard(f, nil)
		sh.functions[i] = nil
	}
	for i := range sh.packets {
		p := sh.packets[i]
		sh.guard(func() { sh.receive(p.buffer.data, p.from) }, &p)
		sh.packets[i].done()
	}
	for t := sh.timers.Due(sh.now); t != nil; t = sh.timers.Due(sh.now) {
		sh.guard(func() { t.Expire() }, nil)
	}
	return len(sh.packets)+len(sh.functions) > 0
}

// guard runs one step. A message that makes the parser or the engine panic costs
// that message and no more; the first of its kind from a source is logged.
func (sh *shard) guard(step func(), p *packet) {
	defer func() {
		trouble := recover()
		if trouble == nil {
			return
		}
		sh.srv.count.panics.Add(1)
		attributes := []any{"panic", trouble}
		if p != nil {
			attributes = append(attributes, "source", p.from.Addr.String(), "bytes", len(p.buffer.data))
		}
		sh.srv.panicOnce.Do(func() {
			sh.srv.log.Error("a SIP message or timer made the server panic; further ones are only counted",
				append(attributes, "stack", string(debug.Stack()))...)
		})
	}()
	step()
}

// hashSeed makes the hash of Call-IDs unpredictable for callers, so that no one
// can aim at one shard.
func (srv *Server) shardOf(callID string) *shard {
	return srv.shards[maphash.String(srv.seed, callID)%uint64(len(srv.shards))]
}
