package sipgw

import (
	"net/netip"
	"strings"

	"github.com/tollgate/tollgate/internal/routing"
	"github.com/tollgate/tollgate/internal/sip"
	"github.com/tollgate/tollgate/internal/sip/transport"
)

// message is a message with what only its arrival tells.
type message struct {
	sip.Message
	peer   transport.Peer // where it came from
	size   int            // in bytes, as it came
	proved bool           // by a digest who sent it
}

// readMessage reads a message that validation need not see. It returns nil when
// something it needs cannot be read.
func readMessage(raw []byte, from transport.Peer) *message {
	return interpret(sip.ReadWire(raw), from, len(raw))
}

// interpret makes a message of what came from a peer. It returns nil when something
// that it needs cannot be read after all.
func interpret(w *sip.Wire, from transport.Peer, size int) *message {
	m := &message{peer: from, size: size}
	if !w.Into(&m.Message) {
		return nil
	}
	return m
}

// replyTo is where the response to a request goes: back on the connection it came
// by, or by UDP to the source address (RFC 3581); without rport to the port that
// the sender names, if it is not behind a translator (RFC 3261 section 18.2.2).
func (m *message) replyTo() transport.Peer {
	if m.peer.TCP {
		return m.replyByStream()
	}
	if m.Via.Rport {
		return m.peer
	}
	host, err := netip.ParseAddr(strings.Trim(m.Via.Host, "[]"))
	if err != nil || host.Unmap() != m.peer.Addr.Addr().WithZone("") || m.Via.Port == 0 ||
		host.Unmap().IsLoopback() && m.Via.Port < 1024 {
		return m.peer
	}
	return transport.Peer{Addr: netip.AddrPortFrom(m.peer.Addr.Addr(), m.Via.Port), Stranger: m.peer.Stranger}
}

// replyByStream is back on the connection that the request came by. When that has ended, a
// new one is made to the port of the Via at the address that the request came from (RFC
// 3261 section 18.2.2). None is made for a stranger.
func (m *message) replyByStream() transport.Peer {
	to := m.peer
	port := m.Via.Port
	if port == 0 {
		port = routing.DefaultPort(strings.ToLower(to.Transport()))
	}
	if !to.Stranger && to.Local() == nil && !(to.Addr.Addr().IsLoopback() && port < 1024) {
		to.Back = port
	}
	return to
}
