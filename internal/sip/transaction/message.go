package transaction

import (
	"net/netip"
	"strings"

	"github.com/tollgate/tollgate/internal/routing"
	"github.com/tollgate/tollgate/internal/sip"
	"github.com/tollgate/tollgate/internal/sip/transport"
)

// Message is a message with what only its arrival tells.
type Message struct {
	sip.Message
	Peer   transport.Peer // where it came from
	Size   int            // in bytes, as it came
	Proved bool           // by a digest who sent it
}

// Read reads a message that validation need not see. It returns nil when
// something it needs cannot be read.
func Read(raw []byte, from transport.Peer) *Message {
	return Interpret(sip.ReadWire(raw), from, len(raw))
}

// Interpret makes a message of what came from a peer. It returns nil when something
// that it needs cannot be read after all.
func Interpret(w *sip.Wire, from transport.Peer, size int) *Message {
	m := &Message{Peer: from, Size: size}
	if !w.Into(&m.Message) {
		return nil
	}
	return m
}

// ReplyTo is where the response to a request goes: back on the connection it came
// by, or by UDP to the source address (RFC 3581); without rport to the port that
// the sender names, if it is not behind a translator (RFC 3261 section 18.2.2).
func (m *Message) ReplyTo() transport.Peer {
	if m.Peer.TCP {
		return m.replyByStream()
	}
	if m.Via.Rport {
		return m.Peer
	}
	host, err := netip.ParseAddr(strings.Trim(m.Via.Host, "[]"))
	if err != nil || host.Unmap() != m.Peer.Addr.Addr().WithZone("") || m.Via.Port == 0 ||
		host.Unmap().IsLoopback() && m.Via.Port < 1024 {
		return m.Peer
	}
	to := m.Peer
	to.Addr = netip.AddrPortFrom(m.Peer.Addr.Addr(), m.Via.Port)
	return to
}

// replyByStream is back on the connection that the request came by. When that has ended, a
// new one is made to the port of the Via at the address that the request came from (RFC
// 3261 section 18.2.2). None is made for a stranger.
func (m *Message) replyByStream() transport.Peer {
	to := m.Peer
	port := m.Via.Port
	if port == 0 {
		port = routing.DefaultPort(strings.ToLower(to.Transport()))
	}
	if !to.Stranger && to.Local() == nil && !(to.Addr.Addr().IsLoopback() && port < 1024) {
		to.Back = port
	}
	return to
}
