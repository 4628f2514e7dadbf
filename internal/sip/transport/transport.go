package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
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

	udp       *net.UDPConn
	datagrams Datagrams // the same, to write to
	listener  *net.TCPListener
	secure    *net.TCPListener // for TLS, or nil
	own       ownAddresses
	// certificates is nil without TLS.
	certificates *certificate.Files
	address      netip.AddrPort  // of the UDP socket, for traces
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
	t.datagrams = to
	t.setAddresses(netip.MustParseAddrPort(at), netip.AddrPort{})
}

// Listen binds UDP and TCP to one address. With port 0 both get the same free port.
func (t *Transport) Listen(ctx context.Context) error {
	address := t.config.Addr
	var config net.ListenConfig
	var err error
	for range 16 {
		var packets net.PacketConn
		packets, err = config.ListenPacket(ctx, "udp", address)
		if err != nil {
			return fmt.Errorf("listen for SIP over UDP on %s: %w", address, err)
		}
		t.udp = packets.(*net.UDPConn)
		t.datagrams = t.udp
		var listener net.Listener
		listener, err = config.Listen(ctx, "tcp", t.udp.LocalAddr().String())
		if err == nil {
			t.listener = listener.(*net.TCPListener)
			break
		}
		t.udp.Close()
		if _, port, _ := net.SplitHostPort(address); port != "0" {
			break // the port was asked for; another one would not do
		}
	}
	if err != nil {
		return fmt.Errorf("listen for SIP over TCP on %s: %w", address, err)
	}
	t.address = t.udp.LocalAddr().(*net.UDPAddr).AddrPort()
	t.address = netip.AddrPortFrom(t.address.Addr().Unmap(), t.address.Port())
	// Best effort: the system caps what it grants.
	_ = t.udp.SetReadBuffer(t.limits.SocketBuffer)
	_ = t.udp.SetWriteBuffer(t.limits.SocketBuffer)
	if err := t.listenTLS(ctx); err != nil {
		t.udp.Close()
		t.listener.Close()
		return err
	}
	var secure netip.AddrPort
	if t.secure != nil {
		secure = addressOf(t.secure)
	}
	t.setAddresses(t.Addr(), secure)
	return nil
}

// Listeners are the sockets, once the transport listens.
func (t *Transport) Listeners() []netip.AddrPort {
	list := []netip.AddrPort{t.Addr()}
	if t.secure != nil {
		list = append(list, addressOf(t.secure))
	}
	return list
}

func addressOf(listener *net.TCPListener) netip.AddrPort {
	return listener.Addr().(*net.TCPAddr).AddrPort()
}

// SecureAddr is where TLS is listened for; "" when it is not.
func (t *Transport) SecureAddr() string {
	if t.secure == nil {
		return ""
	}
	return t.secure.Addr().String()
}

// Start reads datagrams and accepts connections until Stop.
func (t *Transport) Start() {
	t.work.Go(t.readPackets)
	t.work.Go(func() { t.accept(t.listener, false) })
	if t.secure != nil {
		t.work.Go(func() { t.accept(t.secure, true) })
	}
}

// Stop closes every socket and waits for their goroutines.
func (t *Transport) Stop() {
	t.cancel()
	if t.udp != nil {
		t.udp.Close()
		t.listener.Close()
	}
	if t.secure != nil {
		t.secure.Close()
	}
	t.mu.Lock()
	for class := range t.budgets {
		for e := t.budgets[class].idle.Front(); e != nil; e = e.Next() {
			e.Value.(*Stream).close()
		}
	}
	t.mu.Unlock()
	t.work.Wait()
}

// Addr is the address that UDP and TCP are listened on.
func (t *Transport) Addr() netip.AddrPort {
	return t.udp.LocalAddr().(*net.UDPAddr).AddrPort()
}

// readPackets reads datagrams of up to 64 kB until the socket is closed.
func (t *Transport) readPackets() {
	buffer := make([]byte, sip.MaxMessageBytes+1)
	for {
		n, source, err := t.udp.ReadFromUDPAddrPort(buffer)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil || n == 0 {
			continue
		}
		t.Count.Received.Add(1)
		from := Peer{Addr: netip.AddrPortFrom(source.Addr().Unmap(), source.Port())}
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
		if _, err := t.datagrams.WriteToUDPAddrPort(data, to.Addr); err != nil {
			t.Count.SendErrors.Add(1)
			if lost != nil {
				lost()
			}
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
func (t *Transport) accept(listener *net.TCPListener, secure bool) {
	for {
		conn, err := listener.AcceptTCP()
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
		if !ok || !t.adopt(conn, Peer{TCP: true, TLS: secure, Addr: source, Stranger: stranger}) {
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
	t.add(s, class)
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
	t.add(s, ClassOutbound)
	t.work.Go(s.dial)
	return s
}

// Forbids says whether connections to an address are refused, regardless of who named it.
func (t *Transport) Forbids(at netip.AddrPort) bool {
	class, _ := t.config.Reach.Judge(at.Addr())
	return class == reach.Never || t.config.Reach.Own(at)
}

func (t *Transport) closed() bool { return t.running.Err() != nil }

func (t *Transport) add(s *Stream, class Class) {
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
