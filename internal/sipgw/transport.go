package sipgw

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

// peer is the other end of a hop.
type peer struct {
	tcp        bool // a stream, with or without TLS
	tls        bool
	unverified bool // its certificate may be anything
	// stranger says that the source of a request is unknown.
	stranger bool
	addr     netip.AddrPort
	// name is what the certificate of a peer must name when a TLS connection to it is
	// opened; "" for its address.
	name string
	conn *stream // the connection a request came by; nil finds or makes one
}

// own is the server's own caller, which is reached in memory; nil for all others.
func (p *peer) own() *ownCaller {
	if p.conn == nil {
		return nil
	}
	return p.conn.own
}

func (p peer) transportName() string {
	switch {
	case p.tls:
		return "TLS"
	case p.tcp:
		return "TCP"
	}
	return "UDP"
}

// datagrams takes what goes out over UDP. It does not keep the data.
type datagrams interface {
	WriteToUDPAddrPort(data []byte, to netip.AddrPort) (int, error)
}

// streamKey tells connections apart: what was verified for one name is not used
// for another.
type streamKey struct {
	addr       netip.AddrPort
	tls        bool
	name       string
	unverified bool
}

func (p peer) key() streamKey { return streamKey{p.addr, p.tls, p.name, p.unverified} }

// transport owns the sockets. What arrives goes to handle, which does not keep it, from
// the goroutine that read it, so that the messages of one peer stay in order.
type transport struct {
	limits Limits
	filter *filter
	handle func(data []byte, from peer)
	count  *counters
	tracer *siptrace.Tracer // nil: none
	now    func() time.Time
	log    *slog.Logger
	reach  *reach.Guard

	udp       *net.UDPConn
	datagrams datagrams // the same, to write to
	listener  *net.TCPListener
	secure    *net.TCPListener // for TLS, or nil
	// certificates is nil without TLS, and secureAddr is where it listens, host:port.
	certificates *certificate.Files
	secureAddr   string
	address      netip.AddrPort  // of the UDP socket, for traces
	running      context.Context // ends with stop
	cancel       context.CancelFunc
	work         sync.WaitGroup // readers, writers and the acceptor

	warned *warnings

	mu      sync.Mutex // guards the two below
	streams map[streamKey]*stream
	budgets [streamClasses]streamBudget
}

// listen binds UDP and TCP to one address. With port 0 both get the same free port.
func (t *transport) listen(ctx context.Context, address string) error {
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
	return nil
}

func (t *transport) start() {
	t.work.Go(t.readPackets)
	t.work.Go(func() { t.accept(t.listener, false) })
	if t.secure != nil {
		t.work.Go(func() { t.accept(t.secure, true) })
	}
}

// stop closes every socket and waits for their goroutines.
func (t *transport) stop() {
	t.cancel()
	t.udp.Close()
	t.listener.Close()
	if t.secure != nil {
		t.secure.Close()
	}
	t.mu.Lock()
	for _, s := range t.streams {
		s.close()
	}
	t.mu.Unlock()
	t.work.Wait()
}

func (t *transport) addr() netip.AddrPort {
	return t.udp.LocalAddr().(*net.UDPAddr).AddrPort()
}

// readPackets reads datagrams of up to 64 kB until the socket is closed.
func (t *transport) readPackets() {
	buffer := make([]byte, sip.MaxMessageBytes+1)
	for {
		n, source, err := t.udp.ReadFromUDPAddrPort(buffer)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil || n == 0 {
			continue
		}
		t.count.received.Add(1)
		from := peer{addr: netip.AddrPortFrom(source.Addr().Unmap(), source.Port())}
		stranger, ok := t.filter.admits(from.addr.Addr(), buffer[:n])
		// What the server sends itself, as through a media port, is no peer's.
		if !ok || t.reach.Own(from.addr) {
			t.count.filtered.Add(1)
			continue
		}
		from.stranger = stranger
		t.handle(buffer[:n], from)
	}
}

// send sends one message. lost, which may be nil and must not block, is called, perhaps from another
// goroutine when a TCP connection could not carry it; a lost datagram is noticed
// only by the timers.
func (t *transport) send(to peer, data []byte, lost func()) {
	if own := to.own(); own != nil {
		own.take(data)
		return
	}
	t.count.sent.Add(1)
	t.traceMessage(true, to, data)
	if !to.tcp {
		if _, err := t.datagrams.WriteToUDPAddrPort(data, to.addr); err != nil {
			t.count.sendErrors.Add(1)
			if lost != nil {
				lost()
			}
		}
		return
	}
	s := to.conn
	if s == nil || !s.push(outgoing{data, lost}) {
		s = t.stream(to)
		if s == nil || !s.push(outgoing{data, lost}) {
			t.count.sendErrors.Add(1)
			if lost != nil {
				lost()
			}
		}
	}
}

// answer sends an answer that nothing is kept of. Over a stream it goes by the connection
// that the request came by, or nowhere: none is opened for it.
func (t *transport) answer(to peer, data []byte) {
	if !to.tcp || to.own() != nil {
		t.send(to, data, nil)
		return
	}
	t.count.sent.Add(1)
	t.traceMessage(true, to, data)
	if to.conn == nil || !to.conn.push(outgoing{data, nil}) {
		t.count.sendErrors.Add(1)
	}
}

// accept takes connections, within limits.
func (t *transport) accept(listener *net.TCPListener, secure bool) {
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
		if !ok || !t.adopt(conn, peer{tcp: true, tls: secure, addr: source, stranger: stranger}) {
			t.count.filtered.Add(1)
			conn.Close()
		}
	}
}

// acceptPause is the wait after a failed accept.
const acceptPause = 50 * time.Millisecond

// adopt starts serving an accepted connection, unless there are too many of its class.
func (t *transport) adopt(conn net.Conn, source peer) bool {
	class := classKnown
	if source.stranger {
		class = classStranger
	}
	source.stranger = false
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed() || !t.room(class, sourceKey(source.addr.Addr())) {
		return false
	}
	if source.tls {
		// The handshake is part of the first read.
		conn = tls.Server(conn, t.certificates.Server())
	}
	s := newStream(t, source, conn)
	s.trusted.Store(class == classKnown)
	t.add(s, class)
	t.work.Go(s.read)
	t.work.Go(s.write)
	return true
}

// stream finds the connection to an address or begins to make one.
func (t *transport) stream(to peer) *stream {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s := t.streams[to.key()]; s != nil {
		return s
	}
	if t.closed() || t.forbids(to.addr) || !t.room(classOutbound, sourceKey(to.addr.Addr())) {
		return nil
	}
	s := newStream(t, to, nil)
	s.trusted.Store(true)
	t.add(s, classOutbound)
	t.work.Go(s.dial)
	return s
}

// forbids says whether connections to an address are refused, regardless of who named it.
func (t *transport) forbids(at netip.AddrPort) bool {
	class, _ := t.reach.Judge(at.Addr())
	return class == reach.Never || t.reach.Own(at)
}

func (t *transport) closed() bool { return t.running.Err() != nil }

func (t *transport) add(s *stream, class streamClass) {
	t.streams[s.to.key()] = s
	t.enlist(s, class)
}

func (t *transport) remove(s *stream) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.streams[s.to.key()] == s {
		delete(t.streams, s.to.key())
	}
	t.unlist(s)
}
