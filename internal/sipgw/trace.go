package sipgw

import (
	"net/netip"

	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/siptrace"
)

// traced is what tells the messages of a leg to a peer from all others: its
// Call-ID, the peer, and the tag that is there from the first message on.
func (l *leg) traced(peer netip.Addr) siptrace.Leg {
	tag := l.localTag
	if l.side == record.SideCaller {
		tag = l.remoteTag
	}
	return siptrace.Leg{CallID: l.callID, Peer: peer, Tag: tag}
}

// traceBegin says whose leg it is.
func (l *leg) traceBegin(peer netip.Addr) {
	if tracer := l.s.sh.srv.config.Tracer; tracer != nil && l.s != l.s.sh.gone {
		tracer.Begin(l.s.machine.ID(), l.traced(peer))
	}
}

// traceEnd means that the legs of a call are over.
func (s *session) traceEnd() {
	tracer := s.sh.srv.config.Tracer
	if tracer == nil {
		return
	}
	tracer.End(s.machine.ID(), s.caller.traced(s.source))
	for _, l := range [...]*leg{s.caller, s.carrier} {
		if l != nil && l.peer.Addr.IsValid() {
			tracer.End(s.machine.ID(), l.traced(l.peer.Addr.Addr()))
		}
	}
}
