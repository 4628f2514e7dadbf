package transport

import "net/netip"

// Peer is the other end of a hop.
type Peer struct {
	TCP        bool // a stream, with or without TLS
	TLS        bool
	Unverified bool // its certificate may be anything
	// Stranger means that the source of a request is unknown.
	Stranger bool
	// Back is the port to which a response goes by a new connection when the one that its
	// request came by has ended; 0 for that of Addr.
	Back uint16
	// Listener is that which the peer has spoken to, and is spoken to from: its place from 1,
	// or 0 for none, which leaves it to the peer's address.
	Listener uint8
	Addr     netip.AddrPort
	// Name is what the certificate of a peer must name when a TLS connection to it is
	// opened; "" for its address.
	Name string
	Conn *Stream // the connection a request came by; nil finds or makes one
}

// Local is a peer that is reached in memory. It does not keep what it takes.
type Local interface{ Take(data []byte) }

// LocalPeer is a peer of this process, at an address that is only a name for it.
func LocalPeer(at netip.AddrPort, to Local) Peer {
	return Peer{TCP: true, Addr: at, Conn: &Stream{local: to}}
}

// Local is the peer that is reached in memory; nil for all others.
func (p *Peer) Local() Local {
	if p.Conn == nil {
		return nil
	}
	return p.Conn.local
}

// Transport is the name of the transport as a Via has it.
func (p Peer) Transport() string {
	switch {
	case p.TLS:
		return "TLS"
	case p.TCP:
		return "TCP"
	}
	return "UDP"
}

// network is the transport as listeners name it.
func (p *Peer) network() string {
	switch {
	case p.TLS:
		return "tls"
	case p.TCP:
		return "tcp"
	}
	return "udp"
}

// streamKey tells connections apart: what was verified for one name is not used
// for another.
type streamKey struct {
	addr       netip.AddrPort
	tls        bool
	name       string
	unverified bool
}

func (p Peer) key() streamKey { return streamKey{p.Addr, p.TLS, p.Name, p.Unverified} }

// URIParameter is the parameter of a URI that is reached by the peer's transport.
func (p Peer) URIParameter() string {
	switch {
	case p.TLS:
		return ";transport=tls"
	case p.TCP:
		return ";transport=tcp"
	}
	return ""
}
