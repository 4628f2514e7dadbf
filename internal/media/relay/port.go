package relay

import (
	"errors"
	"net"
	"net/netip"
	"sync/atomic"

	"github.com/tollgate/tollgate/internal/record"
)

// Sizes of packets. RTP begins with twelve bytes and RTCP with eight (RFC 3550).
const (
	maxPacketBytes  = 2048
	leastRTPBytes   = 12
	leastRTCPBytes  = 8
	rtpVersion      = 2
	firstRTCPType   = 192 // RFC 5761 section 4
	lastRTCPType    = 223
	versionShift    = 6
	payloadTypeByte = 1
)

// end is the relay's pair of ports towards one side of one stream.
type end struct {
	session   *session
	side      record.Side
	opposite  *end
	number    uint16 // of the RTP port
	public    netip.AddrPort
	rtp, rtcp *port

	peer       atomic.Pointer[peer]
	lastMicros atomic.Int64 // when the side was heard last, Unix microseconds
}

// peer is what a side's description says of a stream. It does not change.
type peer struct {
	rtp, rtcp  netip.AddrPort // the address is invalid where the description has a name
	signalling netip.Addr
	mux        bool
	isRTP      bool
	onHold     bool // by the unspecified address: nothing is sent there
	sends      bool // media are to be expected
	tapped     bool // the recorder hears this stream
}

// describe takes what the side's description says; nil lets nothing pass. What
// was learnt of the side's addresses is kept while the description names the same.
func (e *end) describe(p *peer) {
	old := e.peer.Load()
	e.peer.Store(p)
	if old != nil && p != nil && old.rtp == p.rtp && old.rtcp == p.rtcp && old.signalling == p.signalling {
		return
	}
	e.rtp.source.Store(nil)
	e.rtcp.source.Store(nil)
}

// close closes the ports and gives their numbers back.
func (e *end) close() {
	_ = e.rtp.conn.Close()
	_ = e.rtcp.conn.Close()
	e.session.relay.ports.give(e.number)
}

// port is one socket of the relay.
type port struct {
	conn *net.UDPConn
	end  *end
	rtcp bool
	// source is where the side's packets come from, once the first has come: no
	// others are taken, and what is for the side goes there.
	source atomic.Pointer[netip.AddrPort]
}

// run passes packets on until the socket is closed.
func (p *port) run() {
	buffer := make([]byte, maxPacketBytes)
	for {
		n, from, err := p.conn.ReadFromUDPAddrPort(buffer)
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			continue // an ICMP error of an earlier packet
		}
		p.receive(buffer[:n], netip.AddrPortFrom(from.Addr().Unmap(), from.Port()))
	}
}

// receive passes one packet on.
func (p *port) receive(packet []byte, from netip.AddrPort) {
	e := p.end
	described := e.peer.Load()
	if described == nil || len(packet) == 0 || len(packet) == maxPacketBytes || !p.takes(described, from) {
		return
	}
	now := e.session.relay.config.Clock()
	e.lastMicros.Store(now.UnixMicro())
	to := e.opposite
	target := to.peer.Load()
	if target == nil {
		return
	}
	if !described.isRTP {
		to.send(packet, target, p.rtcp)
		return
	}
	rtcp := p.rtcp || described.mux && isRTCP(packet)
	if !wellFormed(packet, rtcp) {
		return
	}
	if !rtcp && described.tapped {
		e.session.opening.Tap.Packet(e.side, now, packet)
	}
	to.send(packet, target, rtcp)
}

// takes says whether a packet from an address is the side's. The first that may
// be decides; no other source is taken after it, so that nobody else can put
// media into the call or draw it to himself.
func (p *port) takes(described *peer, from netip.AddrPort) bool {
	if source := p.source.Load(); source != nil {
		return *source == from
	}
	if !described.allows(from.Addr()) {
		return false
	}
	p.source.Store(&from)
	return true
}

// allows says whether media may come from an address: the one that the
// description names, or the one that the side's signalling comes from, which is
// where media of a phone behind a translator come from.
func (d *peer) allows(from netip.Addr) bool {
	return from == d.rtp.Addr() || from == d.rtcp.Addr() || from == d.signalling
}

// send sends a packet to the side: to where its own come from, or as long as none
// have come to where its description says.
func (e *end) send(packet []byte, target *peer, rtcp bool) {
	out, to := e.rtp, target.rtp
	if rtcp && !target.mux {
		out, to = e.rtcp, target.rtcp
	}
	if source := out.source.Load(); source != nil {
		to = *source
	}
	if target.onHold || !to.IsValid() || to.Addr().IsUnspecified() || to.Port() == 0 {
		return
	}
	// A packet that cannot be sent is lost, as others are on their way.
	_, _ = out.conn.WriteToUDPAddrPort(packet, to)
}

func isRTCP(packet []byte) bool {
	return len(packet) > payloadTypeByte && packet[payloadTypeByte] >= firstRTCPType && packet[payloadTypeByte] <= lastRTCPType
}

// wellFormed says whether a packet can be RTP or RTCP at all.
func wellFormed(packet []byte, rtcp bool) bool {
	least := leastRTPBytes
	if rtcp {
		least = leastRTCPBytes
	}
	return len(packet) >= least && packet[0]>>versionShift == rtpVersion
}
