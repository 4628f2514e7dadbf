package transport

import (
	"cmp"
	"context"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"time"
)

// OwnAddress is how a peer reaches the server, as that peer sees it.
type OwnAddress struct {
	Host     string // in URIs; an IPv6 address has its brackets
	HostPort string // in Via
	Contact  string // a whole line
}

// Own is our address towards a peer: that of the listener by which it is reached, as it is
// seen from where the peer is. Everything in a message that names this server is from here.
func (t *Transport) Own(to Peer) *OwnAddress {
	from := t.from(to)
	if from == nil {
		// A transport that nothing listens for: what is sent by it names another one of ours.
		from = t.listeners[0]
	}
	at, l := to.Addr.Addr().WithZone(""), &from.own
	for i := range l.views {
		if l.views[i].peers.Contains(at) {
			return &l.views[i].own
		}
	}
	if l.routes == nil {
		return &l.own
	}
	return l.towards(to.Addr.Addr(), t.now())
}

// listenerAddress is how peers reach one listener.
type listenerAddress struct {
	views     []view // what is advertised, the narrowest network first
	own       OwnAddress
	parameter string // of URIs
	port      uint16
	// routes is what peers see of a listener that is bound to every address; else nil.
	routes *routedAddresses
}

// view is what the peers of a network see.
type view struct {
	peers netip.Prefix
	// rank tells views of equal width apart: what is of one listener alone is before what is
	// of each, and an address before a name.
	rank int
	own  OwnAddress
}

// routedAddresses are the addresses from which peers are reached, as the system's routes
// have it. They are looked up again after routesFor.
type routedAddresses struct {
	mu    sync.Mutex // guards both below
	since time.Time
	seen  map[netip.Addr]*OwnAddress
}

const (
	routesFor  = time.Minute
	mostRoutes = 4096
)

// towards is the address from which a peer is reached.
func (l *listenerAddress) towards(peer netip.Addr, now time.Time) *OwnAddress {
	r := l.routes
	r.mu.Lock()
	defer r.mu.Unlock()
	if now.Sub(r.since) >= routesFor || len(r.seen) >= mostRoutes {
		r.since, r.seen = now, make(map[netip.Addr]*OwnAddress)
	}
	own := r.seen[peer]
	if own != nil {
		return own
	}
	own = &l.own
	if local, ok := localTowards(peer); ok {
		found := newOwnAddress(local.String(), l.port, l.parameter)
		own = &found
	}
	r.seen[peer] = own
	return own
}

// localTowards is the address of this machine from which a peer is reached. No packet is
// sent: connecting a UDP socket only looks up the route.
func localTowards(peer netip.Addr) (local netip.Addr, ok bool) {
	if !peer.IsValid() || peer.IsUnspecified() {
		return local, false
	}
	conn, err := new(net.Dialer).DialContext(context.Background(), "udp", netip.AddrPortFrom(peer, 9).String())
	if err != nil {
		return local, false
	}
	defer conn.Close()
	return conn.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap().WithZone(""), true
}

// newOwnAddress is the address at a host and port for peers that are reached with a
// parameter of URIs. A hop secured by TLS is told by the transport: a sips URI would
// promise that every hop behind it is secured too (RFC 5630 section 3.1.3), which Tollgate
// cannot.
func newOwnAddress(host string, port uint16, parameter string) OwnAddress {
	hostPort := net.JoinHostPort(host, strconv.Itoa(int(port)))
	if ip, err := netip.ParseAddr(host); err == nil && ip.Is6() {
		host = "[" + host + "]"
	}
	return OwnAddress{Host: host, HostPort: hostPort,
		Contact: "Contact: <sip:tollgate@" + hostPort + parameter + ">\r\n"}
}

// newListenerAddress is how a listener of a transport that is bound to an address is
// reached.
func newListenerAddress(bound netip.AddrPort, name string, advertised []Advertised) listenerAddress {
	at := bound.Addr().WithZone("")
	l := listenerAddress{port: bound.Port()}
	if name != "udp" {
		l.parameter = ";transport=" + name
	}
	if at.IsUnspecified() {
		l.routes = &routedAddresses{}
		at = defaultAddress()
	}
	l.own = newOwnAddress(at.String(), l.port, l.parameter)
	for i := range advertised {
		a := &advertised[i]
		if !a.isOf(name, bound) {
			continue
		}
		port := l.port
		if a.Port != 0 && (a.Listener != "" || a.At.IsValid() || name != "tls") {
			port = a.Port
		}
		own := newOwnAddress(a.Host, port, l.parameter)
		for _, peers := range a.peers() {
			l.views = append(l.views, view{peers: peers, rank: a.rank(), own: own})
		}
	}
	slices.SortStableFunc(l.views, func(a, b view) int {
		return cmp.Or(cmp.Compare(b.peers.Bits(), a.peers.Bits()), cmp.Compare(a.rank, b.rank))
	})
	return l
}

// defaultAddress is the one from which the default route leaves: towards the documentation
// prefixes of RFC 5737 and RFC 3849.
func defaultAddress() netip.Addr {
	for _, far := range []string{"192.0.2.1", "2001:db8::1"} {
		if local, ok := localTowards(netip.MustParseAddr(far)); ok {
			return local
		}
	}
	return netip.AddrFrom4([4]byte{127, 0, 0, 1})
}
