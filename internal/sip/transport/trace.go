package transport

import (
	"net/netip"

	"github.com/tollgate/tollgate/internal/siptrace"
)

// Trace gives a message to the tracer, if there is one.
func (t *Transport) Trace(sent bool, other Peer, data []byte) {
	if t.config.Tracer == nil {
		return
	}
	var here netip.AddrPort
	if l := t.from(other); l != nil {
		here = l.address
	}
	m := siptrace.Message{At: t.now(), Sent: sent, Transport: other.Transport(), Source: other.Addr, Destination: here,
		Text: data}
	if sent {
		m.Source, m.Destination = here, other.Addr
	}
	t.config.Tracer.Message(&m)
}
