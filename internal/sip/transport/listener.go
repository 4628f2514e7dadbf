package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// Listen is one more address to listen on.
type Listen struct {
	Transport string // udp, tcp or tls; "" for UDP and TCP
	Addr      string // host:port
}

// ParseListen reads [udp=|tcp=|tls=]HOST:PORT.
func ParseListen(text string) (l Listen, err error) {
	l.Addr = text
	if before, behind, found := strings.Cut(text, "="); found {
		l.Transport, l.Addr = before, behind
		if before != "udp" && before != "tcp" && before != "tls" {
			return l, errListen
		}
	}
	if _, _, err := net.SplitHostPort(l.Addr); err != nil {
		return l, errListen
	}
	return l, nil
}

var errListen = errors.New("want host:port for UDP and TCP, or for one transport udp=, tcp= or tls= before it, as in " +
	"192.0.2.1:5060, [2001:db8::1]:5060 or tls=[2001:db8::1]:5061")

// mostListeners is how many sockets there may be.
const mostListeners = 64

// listener is one socket that takes what peers send.
type listener struct {
	name    string // of the transport: udp, tcp or tls
	address netip.AddrPort
	own     listenerAddress // as peers see it

	udp       *net.UDPConn
	datagrams Datagrams // the same, to write to
	tcp       *net.TCPListener
}

// close closes the socket.
func (l *listener) close() {
	if l.udp != nil {
		l.udp.Close()
	}
	if l.tcp != nil {
		l.tcp.Close()
	}
}

// speaks reports whether the listener is of the transport by which a peer is reached.
func (l *listener) speaks(to Peer) bool { return l.name == to.network() }

// takes reports whether a peer of a family can be reached from the listener's address.
func (l *listener) takes(peer netip.Addr) bool {
	at := l.address.Addr()
	return at.Is4() == peer.Is4() || at == netip.IPv6Unspecified()
}

// Listen binds all sockets. With port 0 UDP and TCP of one address get the same free port.
func (t *Transport) Listen(ctx context.Context) (err error) {
	defer func() {
		if err != nil {
			t.closeListeners()
		}
	}()
	if err := t.listenBoth(ctx, t.config.Addr); err != nil {
		return err
	}
	more := t.config.More
	if t.certificates != nil {
		if err := t.certificates.Load(); err != nil {
			return err
		}
		more = append([]Listen{{"tls", t.config.TLS.Addr}}, more...)
	}
	for _, l := range more {
		switch l.Transport {
		case "":
			err = t.listenBoth(ctx, l.Addr)
		case "udp":
			err = t.listenUDP(ctx, l.Addr)
		default:
			err = t.listenTCP(ctx, l.Transport, l.Addr)
		}
		if err != nil {
			return err
		}
		if len(t.listeners) > mostListeners {
			return fmt.Errorf("SIP is listened for on more than %d sockets; leave some out", mostListeners)
		}
	}
	return nil
}

// listenBoth binds UDP and TCP to one address.
func (t *Transport) listenBoth(ctx context.Context, address string) error {
	_, port, _ := net.SplitHostPort(address)
	for tries := 16; ; tries-- {
		if err := t.listenUDP(ctx, address); err != nil {
			return err
		}
		last := t.listeners[len(t.listeners)-1]
		err := t.listenTCP(ctx, "tcp", last.udp.LocalAddr().String())
		if err == nil {
			return nil
		}
		if port != "0" || tries == 0 {
			return err // the port was asked for; another one would not do
		}
		last.close()
		t.listeners = t.listeners[:len(t.listeners)-1]
	}
}

func (t *Transport) listenUDP(ctx context.Context, address string) error {
	packets, err := new(net.ListenConfig).ListenPacket(ctx, "udp", address)
	if err != nil {
		return fmt.Errorf("listen for SIP over UDP on %s: %w", address, err)
	}
	udp := packets.(*net.UDPConn)
	// Best effort: the system caps what it grants.
	_ = udp.SetReadBuffer(t.limits.SocketBuffer)
	_ = udp.SetWriteBuffer(t.limits.SocketBuffer)
	t.add(&listener{name: "udp", udp: udp, datagrams: udp}, udp.LocalAddr().(*net.UDPAddr).AddrPort())
	return nil
}

// listenTCP binds TCP, or TCP for TLS.
func (t *Transport) listenTCP(ctx context.Context, name, address string) error {
	bound, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("listen for SIP over %s on %s: %w", strings.ToUpper(name), address, err)
	}
	tcp := bound.(*net.TCPListener)
	t.add(&listener{name: name, tcp: tcp}, tcp.Addr().(*net.TCPAddr).AddrPort())
	return nil
}

func (t *Transport) add(l *listener, at netip.AddrPort) {
	l.address = netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
	l.own = newListenerAddress(l.address, l.name, t.config.Advertise)
	t.listeners = append(t.listeners, l)
}

func (t *Transport) closeListeners() {
	for _, l := range t.listeners {
		l.close()
	}
}

// from is the listener that a peer is spoken to from: the one that it has spoken to; else,
// of those of the transport, the one at the address from which the system reaches it, or
// of its family. A stream is made from any port, but its messages name a listener. It is
// nil where nothing listens for the transport.
func (t *Transport) from(to Peer) *listener {
	if n := int(to.Listener); n > 0 && n <= len(t.listeners) && t.listeners[n-1].speaks(to) &&
		t.listeners[n-1].takes(to.Addr.Addr()) {
		return t.listeners[n-1]
	}
	var first *listener
	for _, l := range t.listeners {
		switch {
		case !l.speaks(to):
		case first == nil:
			first = l
		default:
			// There are several: more than the transport tells them apart.
			return t.routes.of(to, t.now(), func() *listener { return t.nearest(to) })
		}
	}
	return first
}

// nearest is the listener of a peer's transport from which the peer is reached best.
func (t *Transport) nearest(to Peer) (best *listener) {
	peer := to.Addr.Addr()
	local, routed := localTowards(peer)
	points := -1
	for _, l := range t.listeners {
		if !l.speaks(to) {
			continue
		}
		p := 0
		switch at := l.address.Addr(); {
		case routed && at.WithZone("") == local:
			p = 3
		case at.IsUnspecified() && l.takes(peer):
			p = 2
		case l.takes(peer):
			p = 1
		}
		if p > points {
			best, points = l, p
		}
	}
	return best
}

// routes remembers from which listener each peer is reached.
type routes struct {
	mu    sync.Mutex // guards both below
	since time.Time
	seen  map[routeKey]*listener
}

type routeKey struct {
	peer     netip.Addr
	tcp, tls bool
}

// of is what is remembered of a peer, or what found finds.
func (r *routes) of(to Peer, now time.Time, found func() *listener) *listener {
	key := routeKey{to.Addr.Addr(), to.TCP, to.TLS}
	r.mu.Lock()
	defer r.mu.Unlock()
	if now.Sub(r.since) >= routesFor || len(r.seen) >= mostRoutes {
		r.since, r.seen = now, make(map[routeKey]*listener)
	}
	l := r.seen[key]
	if l == nil {
		l = found()
		r.seen[key] = l
	}
	return l
}
