package transaction

import (
	"time"

	"github.com/tollgate/tollgate/internal/sip/transport"
	"github.com/tollgate/tollgate/internal/timer"
)

// Times are those of the protocol (RFC 3261 section 17.1.1.1).
type Times struct {
	T1 time.Duration // the estimate of a round trip
	T2 time.Duration // the longest interval between repetitions
	T4 time.Duration // the longest that a message stays in the network
	// TimerC is how long an INVITE may go without a provisional response other than 100.
	TimerC time.Duration
}

// Config is what a layer needs. All of it is required.
type Config struct {
	Times     Times
	Transport *transport.Transport
	Timers    *timer.Heap
	// Now is the time of what the owner handles.
	Now func() time.Time
	// Post has the owner of the layer call a function later. It may be called from any
	// goroutine.
	Post func(func())
	// NewTag makes the tag of the responses that create no dialog.
	NewTag func() string
}

// Layer is the transactions of one owner, who calls it from one goroutine at a time.
type Layer struct {
	config  Config
	servers map[string]*Server
	clients map[clientKey]*Client
	key     []byte // in which the keys of servers are written
}

// NewLayer makes a layer without transactions.
func NewLayer(config Config) *Layer {
	return &Layer{config: config, servers: make(map[string]*Server), clients: make(map[clientKey]*Client)}
}

// Servers counts the server transactions.
func (l *Layer) Servers() int { return len(l.servers) }

// Receive takes a response to its client transaction. One that belongs to none is dropped.
func (l *Layer) Receive(m *Message) {
	if tx := l.clients[clientKey{m.Via.Branch, m.Method}]; tx != nil {
		tx.receive(m)
	}
}

// after sets a timer of a transaction.
func (l *Layer) after(t *timer.Timer, owner timer.Owner, kind timer.Kind, wait time.Duration) {
	l.config.Timers.Set(t, owner, kind, l.config.Now().Add(wait))
}

func (l *Layer) stop(t *timer.Timer) { l.config.Timers.Stop(t) }

// The timers of a transaction.
const (
	timerRetransmit timer.Kind = iota // A, E, G and the retransmission of 2xx
	timerGiveUp                       // B, F, H and the wait for the ACK of a 2xx
	timerRing                         // C
	timerForget                       // D, I, J, K, L, M: when a transaction's key is dropped
)
