package relay

import (
	"bytes"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/tollgate/tollgate/internal/reach"
	"github.com/tollgate/tollgate/internal/record"
)

// Sizes of packets. RTP begins with twelve bytes and RTCP with eight (RFC 3550).
const (
	maxPacketBytes  = 2048 - sealBytes
	sealBytes       = 64 // that encryption may add
	leastRTPBytes   = 12
	leastRTCPBytes  = 8
	rtpVersion      = 2
	firstRTCPType   = 192 // RFC 5761 section 4
	lastRTCPType    = 223
	versionShift    = 6
	payloadTypeByte = 1
	dscpShift       = 2 // of the DSCP within the traffic class (RFC 2474)
)

// end is the relay's pair of ports towards one side of one stream.
type end struct {
	session   *session
	side      record.Side
	opposite  *end
	number    uint16 // of the RTP port
	public    netip.AddrPort
	rtp, rtcp *port

	keys       map[suite]keying // of the relay's own, towards the side; guarded by the session
	peer       atomic.Pointer[peer]
	lastMicros atomic.Int64 // when the side was heard last, Unix microseconds
	announced  atomic.Bool  // the side hears an announcement, and not the other side
}

// peer is what a side's description says of a stream, which does not change, and
// where its packets have been found to come from.
type peer struct {
	named, namedRTCP netip.AddrPort // as the description says
	// rtp and rtcp are the same where the side may name them. Otherwise they are
	// invalid: nothing is sent there, and what the side sends from its signalling's
	// address shows where to.
	rtp, rtcp  netip.AddrPort
	signalling netip.Addr
	guard      *reach.Guard
	mux        bool
	isRTP      bool
	isFax      bool // UDPTL
	onHold     bool // by the unspecified address: nothing is sent there
	sends      bool // media are to be expected
	tapped     bool // the recorder hears this stream
	anySource  bool // whatever source is heard first is the side's
	optional   bool // SRTP is agreed on in the way of RTP/AVP with keys
	clockRate  int  // of its timestamps, Hz; 0 when it is not known
	open, seal *cipher

	// Where RTP and RTCP come from, once the first packet has come: none are accepted
	// from elsewhere, and packets for the side are sent there.
	source, rtcpSource atomic.Pointer[netip.AddrPort]
}

// peer is a stream in the description, by a side whose signalling comes from
// the address given, in a message that was sent from another, if that is valid.
func (r *Relay) peer(lines *streamLines, signalling, sender netip.Addr) *peer {
	guard := r.config.Reach
	p := &peer{
		named: netip.AddrPortFrom(lines.address, lines.port), namedRTCP: lines.rtcp, signalling: signalling, guard: guard,
		isRTP: lines.rtp(), isFax: lines.fax(), onHold: lines.onHold, anySource: r.config.AnySource,
	}
	follows := func(at netip.AddrPort) bool {
		return guard.Follows(at, signalling) || sender.IsValid() && guard.Follows(at, sender)
	}
	if follows(p.named) {
		p.rtp = p.named
	}
	if follows(p.namedRTCP) {
		p.rtcp = p.namedRTCP
	}
	return p
}

// learnt is where packets of one of the ports come from.
func (p *peer) learnt(rtcp bool) *atomic.Pointer[netip.AddrPort] {
	if rtcp {
		return &p.rtcpSource
	}
	return &p.source
}

// encrypt makes the media of a peer SRTP: theirs is the key that it sends with,
// ours the one it is sent to with.
func (p *peer) encrypt(e *end, theirs, ours keying) (err error) {
	old := e.peer.Load()
	if old == nil {
		old = &peer{}
	}
	if p.open, err = old.open.reuse(theirs); err != nil {
		return err
	}
	p.seal, err = old.seal.reuse(ours)
	return err
}

// ourKey is the relay's key of a suite towards the side. It stays the same through
// a call, and is a new one for each gateway that is tried.
func (e *end) ourKey(tag int, s suite, fresh bool) keying {
	k, known := e.keys[s]
	if fresh || !known {
		k = newKeying(tag, s)
		if e.keys == nil {
			e.keys = make(map[suite]keying)
		}
		e.keys[s] = k
	}
	k.tag = tag
	return k
}

// describe takes what the side's description says; nil lets nothing pass. What
// was learnt of the side's addresses is kept while the description names the same.
func (e *end) describe(p *peer) {
	old := e.peer.Load()
	if old != nil && p != nil && old.named == p.named && old.namedRTCP == p.namedRTCP && old.signalling == p.signalling {
		p.source.Store(old.source.Load())
		p.rtcpSource.Store(old.rtcpSource.Load())
	}
	e.peer.Store(p)
}

// port is one socket of the relay. What follows its end is the loop's own.
type port struct {
	socket socket
	end    *end
	rtcp   bool

	second  int64 // of the packets that are counted
	arrived int   // in that second
	quality arrivals
}

// maxPacketsPerSecond is how many packets of one port are passed on in a second:
// twenty times those of audio, and enough for video.
const maxPacketsPerSecond = 2000

// receive passes one packet on. There is room behind it for what encryption adds.
func (p *port) receive(packet []byte, from netip.AddrPort, dscp uint8, now time.Time) {
	e := p.end
	count := &e.session.relay.count
	if second := now.Unix(); second != p.second {
		p.second, p.arrived = second, 0
	}
	if p.arrived++; p.arrived > maxPacketsPerSecond {
		count.excess.Add(1)
		return
	}
	described := e.peer.Load()
	if described == nil || len(packet) == 0 || !described.mayTake(p.rtcp, from) {
		count.foreign.Add(1)
		return
	}
	rtcp := p.rtcp
	if described.isRTP {
		rtcp = rtcp || described.mux && isRTCP(packet)
		if !wellFormed(packet, rtcp) {
			count.malformed.Add(1)
			return
		}
		var genuine bool
		if packet, genuine = described.open.open(packet, rtcp); !genuine {
			count.forged.Add(1)
			return
		}
	} else if !described.passes(packet) {
		count.malformed.Add(1)
		return
	}
	if learnt := described.learnt(p.rtcp); learnt.Load() == nil || *learnt.Load() != from {
		learnt.Store(&from)
	}
	e.lastMicros.Store(now.UnixMicro())
	target := e.opposite.peer.Load()
	if target == nil {
		return
	}
	if described.isRTP && !rtcp {
		p.quality.take(packet, now, described.clockRate)
	}
	if described.tapped && !rtcp {
		e.session.opening.Tap.Packet(e.side, now, packet)
	}
	if e.opposite.announced.Load() && !rtcp {
		return
	}
	if target.isRTP {
		var sealed bool
		if packet, sealed = target.seal.seal(packet, rtcp); !sealed {
			return
		}
	}
	if e.opposite.send(packet, target, rtcp, dscp) {
		e.session.loop.relayed.Add(1)
	}
}

// mayTake reports whether a packet from an address can be the side's. The first that
// may be decides; no other source is accepted after it, so that no one else can put
// media into the call or draw it to himself. Only the very address and port of the
// description go before one that was first.
func (p *peer) mayTake(rtcp bool, from netip.AddrPort) bool {
	learnt := p.learnt(rtcp)
	source := learnt.Load()
	if source == nil {
		return p.allows(from)
	}
	return *source == from || from == p.described(rtcp) && !p.guard.Own(from)
}

func (p *peer) described(rtcp bool) netip.AddrPort {
	if rtcp {
		return p.rtcp
	}
	return p.rtp
}

// allows reports whether media may come from an address: the one that the
// description names, or the one that the side's signalling comes from, which is
// where media of a phone behind a translator come from. What comes from the server
// itself is no side's.
func (p *peer) allows(from netip.AddrPort) bool {
	ip := from.Addr()
	named := ip == p.rtp.Addr() || ip == p.rtcp.Addr() || ip == p.signalling
	return (named || p.anySource && p.guard.Follows(from, p.signalling)) && !p.guard.Own(from)
}

// send sends a packet to the side: to where its own come from, or as long as none
// have come to where its description says.
func (e *end) send(packet []byte, target *peer, rtcp bool, dscp uint8) bool {
	out, to := e.rtp, target.rtp
	if rtcp && !target.mux {
		out, to = e.rtcp, target.rtcp
	}
	if source := target.learnt(out.rtcp).Load(); source != nil {
		to = *source
	}
	if target.onHold || !to.IsValid() || to.Addr().IsUnspecified() || to.Port() == 0 {
		return false
	}
	return out.socket.send(packet, to, dscp)
}

func isRTCP(packet []byte) bool {
	return len(packet) > payloadTypeByte && packet[payloadTypeByte] >= firstRTCPType &&
		packet[payloadTypeByte] <= lastRTCPType
}

// passes reports whether a packet of a stream that is not RTP may be one. Nothing else
// is carried: a peer that trusts this server's address would take a request in it for
// one of the server's own.
func (p *peer) passes(packet []byte) bool {
	// STUN, DTLS, and RTP or RTCP (RFC 7983 section 7).
	first := packet[0]
	known := first <= 3 || first >= 20 && first <= 63 || first>>versionShift == rtpVersion
	return (known || p.isFax) && !isSIP(packet)
}

// isSIP reports whether a packet could be read as a SIP message: each has the protocol's
// name in its first line (RFC 3261 section 7). A fax has it once in 2^50 packets.
func isSIP(packet []byte) bool {
	const version = "SIP/2."
	for rest := packet; ; {
		at := bytes.IndexByte(rest, '/')
		if at < 0 {
			return false
		}
		if at >= 3 && len(rest) >= at+3 && bytes.EqualFold(rest[at-3:at+3], []byte(version)) {
			return true
		}
		rest = rest[at+1:]
	}
}

// wellFormed reports whether a packet can be RTP or RTCP at all.
func wellFormed(packet []byte, rtcp bool) bool {
	least := leastRTPBytes
	if rtcp {
		least = leastRTCPBytes
	}
	return len(packet) >= least && packet[0]>>versionShift == rtpVersion
}
