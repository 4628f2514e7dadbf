package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tollgate/tollgate/internal/certificate"
	"github.com/tollgate/tollgate/internal/reach"
	"github.com/tollgate/tollgate/internal/sip"
	"github.com/tollgate/tollgate/internal/siptrace"
)

// Datagrams takes what goes out over UDP. It does not keep the data.
type Datagrams interface {
	WriteToUDPAddrPort(data []byte, to netip.AddrPort) (int, error)
}

// Config is what a transport needs.
type Config struct {
	Addr string // host:port for UDP and TCP
	// More are further addresses. Those of TLS want TLS.
	More []Listen
	// Advertise is what peers see instead of the addresses that are listened on.
	Advertise []Advertised
	TLS       TLS // if it is wanted
	Limits    Limits
	Filter    *Filter
	// Handle takes what arrives, from the goroutine that read it, so that the messages of
	// one peer stay in order. It does not keep the data.
	Handle func(data []byte, from Peer)
	Tracer *siptrace.Tracer // nil: none
	Clock  func() time.Time
	Log    *slog.Logger
	Reach  *reach.Guard
}

// Transport owns the sockets and connections.
type Transport struct {
	config Config
	limits Limits
	filter *Filter
	now    func() time.Time
	log    *slog.Logger
	Count  Counters

	listeners []*listener // not changed once the transport has started
	routes    routes
	// certificates is nil without TLS.
	certificates *certificate.Files
	running      context.Context // ends with stop
	cancel       context.CancelFunc
	work         sync.WaitGroup // readers, writers and the acceptor

	warned    struct{ strangers, connections Warning }
	strangers answerBudget

	mu      sync.Mutex // guards the two below
	streams map[streamKey]*Stream
	budgets [Classes]streamBudget
}

// New prepares a transport. Nothing listens yet. The zero values of its limits
// stand for the defaults.
func New(config Config) *Transport {
	config.Limits.SetDefaults()
	t := &Transport{config: config, limits: config.Limits, filter: config.Filter, now: config.Clock, log: config.Log,
		streams: make(map[streamKey]*Stream), budgets: newBudgets(&config.Limits)}
	t.running, t.cancel = context.WithCancel(context.Background())
	if config.TLS.Wanted() {
		files := config.TLS.files()
		files.Now, files.Log = config.TLS.Now, config.Log
		if files.Now == nil {
			files.Now = config.Clock
		}
		t.certificates = certificate.New(files)
	}
	return t
}

// Divert has datagrams go to another place than the socket, as those of a test do.
func (t *Transport) Divert(to Datagrams, at string) {
	t.add(&listener{name: "udp", datagrams: to}, netip.MustParseAddrPort(at))
}

// Listeners are the sockets, once the transport listens.
func (t *Transport) Listeners() []netip.AddrPort {
	var list []netip.AddrPort
	for _, l := range t.listeners {
		if !slices.Contains(list, l.address) {
			list = append(list, l.address)
		}
	}
	return list
}

// Listening are the sockets in words, as 192.0.2.1:5060 (UDP and TCP).
func (t *Transport) Listening() (list []string) {
	for _, at := range t.Listeners() {
		var names []string
		for _, l := range t.listeners {
			if l.address == at {
				names = append(names, strings.ToUpper(l.name))
			}
		}
		list = append(list, at.String()+" ("+strings.Join(names, " and ")+")")
	}
	return list
}

// SecureAddr is where TLS is listened for first; "" when it is not.
func (t *Transport) SecureAddr() string {
	for _, l := range t.listeners {
		if l.name == "tls" {
			return l.address.String()
		}
	}
	return ""
}

// Start reads datagrams and accepts connections until Stop.
func (t *Transport) Start() {
	for i, l := range t.listeners {
		if l.udp != nil {
			t.work.Go(func() { t.readPackets(l, uint8(i+1)) })
		} else {
			t.work.Go(func() { t.accept(l, uint8(i+1)) })
		}
	}
}

// Stop closes every socket and waits for their goroutines.
func (t *Transport) Stop() {
	t.cancel()
	t.closeListeners()
	t.mu.Lock()
	for class := range t.budgets {
		for e := t.budgets[class].idle.Front(); e != nil; e = e.Next() {
			e.Value.(*Stream).close()
		}
	}
	t.mu.Unlock()
	t.work.Wait()
}

// Addr is the first address that UDP and TCP are listened on.
func (t *Transport) Addr() netip.AddrPort { return t.listeners[0].address }

// readPackets reads datagrams of up to 64 kB until the socket is closed.
func (t *Transport) readPackets(l *listener, place uint8) {
	buffer := make([]byte, sip.MaxMessageBytes+1)
	for {
		n, source, err := l.udp.ReadFromUDPAddrPort(buffer)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil || n == 0 {
			continue
		}
		t.Count.Received.Add(1)
		from := Peer{Addr: netip.AddrPortFrom(source.Addr().Unmap(), source.Port()), Listener: place}
		data := sip.SkipEmptyLines(buffer[:n])
		stranger, ok := t.filter.Admits(from.Addr.Addr(), data)
		// What the server sends itself, as through a media port, is no peer's.
		if !ok || t.config.Reach.Own(from.Addr) || len(data) <= keepAliveBytes {
			t.Count.Filtered.Add(1)
			continue
		}
		from.Stranger = stranger
		if isSTUN(data) {
			t.answerSTUN(from, data)
			continue
		}
		t.config.Handle(data, from)
	}
}

// Send sends one message. lost, which may be nil and must not block, is called, perhaps from another
// goroutine when a TCP connection could not carry it; a lost datagram is noticed
// only by the timers.
func (t *Transport) Send(to Peer, data []byte, lost func()) { t.SendBy(to, data, lost) }

// SendBy is Send, and says by which connection the message goes, if it goes by one, and
// whether that was there already. To a peer whose connection has ended a new one is made.
func (t *Transport) SendBy(to Peer, data []byte, lost func()) (by *Stream, reused bool) {
	if local := to.Local(); local != nil {
		local.Take(data)
		return nil, false
	}
	t.Count.Sent.Add(1)
	t.Trace(true, to, data)
	if !to.TCP {
		if !t.sendPacket(to, data) && lost != nil {
			lost()
		}
		return nil, false
	}
	if s := to.Conn; s != nil && s.push(outgoing{data, lost}) {
		return s, true
	}
	if to.Back != 0 {
		to.Addr = netip.AddrPortFrom(to.Addr.Addr(), to.Back)
	}
	s := t.stream(to)
	reused = s != nil && s.established()
	if s != nil && s.push(outgoing{data, lost}) {
		return s, reused
	}
	t.Count.SendErrors.Add(1)
	if lost != nil {
		lost()
	}
	return nil, false
}

// sendPacket sends a datagram and reports whether the system took it.
func (t *Transport) sendPacket(to Peer, data []byte) bool {
	l := t.from(to)
	if l == nil {
		t.Count.SendErrors.Add(1)
		return false
	}
	if _, err := l.datagrams.WriteToUDPAddrPort(data, to.Addr); err != nil {
		t.Count.SendErrors.Add(1)
		return false
	}
	return true
}

// Retire has no request use a connection any more that seems dead: the next one makes a
// new one. Answers that are late still come by it for a while.
func (t *Transport) Retire(s *Stream) {
	t.mu.Lock()
	if t.streams[s.to.key()] == s {
		delete(t.streams, s.to.key())
	}
	t.mu.Unlock()
	s.retired.Store(true)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.done && s.conn != nil {
		_ = s.conn.SetReadDeadline(time.Now().Add(retiredTimeout))
	}
}

// MostAmplified is how many times the size of its request an answer to a stranger may be.
const MostAmplified = 3

// Answer sends an answer that nothing is kept of to a request of that size, if its source
// is known or the strangers' budget has room for it. Over a stream it goes by the
// connection that the request came by, or nowhere: none is opened for it.
func (t *Transport) Answer(to Peer, data []byte, request int) {
	if to.Stranger && (len(data) > MostAmplified*request || !t.strangers.take(len(data), t.now(), &t.limits)) {
		t.Count.Unanswered.Add(1)
		t.warned.strangers.Warn(t.log, t.now(),
			"strangers send more than they are answered; what is above is only counted",
			"answers_per_second", t.limits.StrangerAnswers)
		return
	}
	if !to.TCP || to.Local() != nil {
		t.Send(to, data, nil)
		return
	}
	t.Count.Sent.Add(1)
	t.Trace(true, to, data)
	if to.Conn == nil || !to.Conn.push(outgoing{data, nil}) {
		t.Count.SendErrors.Add(1)
	}
}

// accept takes connections, within limits.
func (t *Transport) accept(l *listener, place uint8) {
	for {
		conn, err := l.tcp.AcceptTCP()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			// Out of descriptors, for instance: let some be freed.
			select {
			case <-t.running.Done():
				return
			case <-time.After(acceptPause):
			}
			continue
		}
		source := conn.RemoteAddr().(*net.TCPAddr).AddrPort()
		source = netip.AddrPortFrom(source.Addr().Unmap(), source.Port())
		stranger, ok := t.filter.admitsConnection(source.Addr())
		if !ok || !t.adopt(conn,
			Peer{TCP: true, TLS: l.name == "tls", Addr: source, Stranger: stranger, Listener: place}) {
			t.Count.Filtered.Add(1)
			conn.Close()
		}
	}
}

// acceptPause is the wait after a failed accept.
const acceptPause = 50 * time.Millisecond

// adopt starts serving an accepted connection, unless there are too many of its class.
func (t *Transport) adopt(conn net.Conn, source Peer) bool {
	class := ClassKnown
	if source.Stranger {
		class = ClassStranger
	}
	source.Stranger = false
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed() || !t.room(class, SourceKey(source.Addr.Addr())) {
		return false
	}
	if source.TLS {
		// The handshake is part of the first read.
		conn = tls.Server(conn, t.certificates.Server())
	}
	s := newStream(t, source, conn)
	s.trusted.Store(class == ClassKnown)
	t.keep(s, class)
	t.work.Go(s.read)
	t.work.Go(s.write)
	return true
}

// stream finds the connection to an address or begins to make one.
func (t *Transport) stream(to Peer) *Stream {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s := t.streams[to.key()]; s != nil && !s.Ended() {
		return s
	}
	if t.closed() || t.Forbids(to.Addr) || !t.room(ClassOutbound, SourceKey(to.Addr.Addr())) {
		return nil
	}
	s := newStream(t, to, nil)
	s.trusted.Store(true)
	t.keep(s, ClassOutbound)
	t.work.Go(s.dial)
	return s
}

// Forbids reports whether connections to an address are refused, regardless of who named it.
func (t *Transport) Forbids(at netip.AddrPort) bool {
	class, _ := t.config.Reach.Judge(at.Addr())
	return class == reach.Never || t.config.Reach.Own(at)
}

func (t *Transport) closed() bool { return t.running.Err() != nil }

func (t *Transport) keep(s *Stream, class Class) {
	t.streams[s.to.key()] = s
	t.enlist(s, class)
}

func (t *Transport) remove(s *Stream) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.streams[s.to.key()] == s {
		delete(t.streams, s.to.key())
	}
	t.unlist(s)
}
