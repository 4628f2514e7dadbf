package transport

import (
	"context"
	"net"
	"net/netip"
	"strconv"
)

// OwnAddress is how a peer reaches the server, as that peer sees it.
type OwnAddress struct {
	Host     string // in URIs; an IPv6 address has its brackets
	HostPort string // in Via
	Contact  string // a whole line
}

// ownAddresses are those of the listeners.
type ownAddresses struct{ udp, tcp, tls OwnAddress }

// Own is our address towards a peer: that of the listener by which it is reached.
// Everything in a message that names this server is from here.
func (t *Transport) Own(to Peer) *OwnAddress {
	switch {
	case to.TLS:
		return &t.own.tls
	case to.TCP:
		return &t.own.tcp
	}
	return &t.own.udp
}

// newOwnAddress is the address at host:port for peers that are reached with a parameter
// of URIs. A hop secured by TLS is told by the transport: a sips URI would promise that
// every hop behind it is secured too (RFC 5630 section 3.1.3), which Tollgate cannot.
func newOwnAddress(hostPort, parameter string) OwnAddress {
	host, _, _ := net.SplitHostPort(hostPort)
	if ip, err := netip.ParseAddr(host); err == nil && ip.Is6() {
		host = "[" + host + "]"
	}
	return OwnAddress{Host: host, HostPort: hostPort,
		Contact: "Contact: <sip:tollgate@" + hostPort + parameter + ">\r\n"}
}

// setAddresses notes where peers reach us. secure is "" without TLS.
func (t *Transport) setAddresses(plain, secure string) {
	t.own = ownAddresses{
		udp: newOwnAddress(plain, Peer{}.URIParameter()),
		tcp: newOwnAddress(plain, Peer{TCP: true}.URIParameter()),
		tls: newOwnAddress(secure, Peer{TCP: true, TLS: true}.URIParameter()),
	}
}

// publicAddress is the address that Contact and Via name. An unspecified one
// stands for the address from which the default route leaves.
func publicAddress(bound netip.AddrPort, host string) string {
	port := strconv.Itoa(int(bound.Port()))
	if host != "" {
		return net.JoinHostPort(host, port)
	}
	address := bound.Addr()
	if address.IsUnspecified() {
		// No packet is sent: connecting a UDP socket only looks up the route to the
		// documentation prefix of RFC 5737.
		if conn, err := new(net.Dialer).DialContext(context.Background(), "udp", "192.0.2.1:9"); err == nil {
			address = conn.LocalAddr().(*net.UDPAddr).AddrPort().Addr()
			conn.Close()
		} else {
			address = netip.AddrFrom4([4]byte{127, 0, 0, 1})
		}
	}
	return net.JoinHostPort(address.Unmap().String(), port)
}
