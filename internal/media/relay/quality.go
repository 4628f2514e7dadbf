package relay

import (
	"encoding/binary"
	"time"

	"github.com/tollgate/tollgate/internal/record"
)

// Quality is how the RTP of one side of a stream arrived, from its sequence numbers
// and timestamps (RFC 3550 appendices A.3 and A.8).
type Quality struct {
	Side    record.Side
	Packets uint64 // that arrived
	Lost    uint64 // that did not
	Jitter  time.Duration
}

// A sequence number that is further away than these begins a new sequence: the
// sender has started again (RFC 3550 appendix A.1).
const (
	maxDropout  = 3000
	maxMisorder = 100
)

// jitterShare is the weight of the last packet: a sixteenth.
const jitterShare = 16

// arrivals measures the RTP that arrives at a port.
type arrivals struct {
	begun    bool
	source   uint32
	first    uint32 // sequence numbers, extended by how often they began again
	highest  uint32
	received uint64 // of this sequence
	packets  uint64 // of the sequences before it
	lost     uint64
	transit  int64   // of the last packet, in units of the RTP clock
	jitter   float64 // likewise
	rate     int
}

// take measures a packet whose clock runs at rate Hz.
func (a *arrivals) take(packet []byte, now time.Time, rate int) {
	sequence, source := binary.BigEndian.Uint16(packet[2:]), binary.BigEndian.Uint32(packet[8:])
	ahead := sequence - uint16(a.highest)
	switch {
	case !a.begun || a.source != source || ahead >= maxDropout && ahead < 1<<16-maxMisorder:
		a.settle()
		a.begun, a.source, a.rate, a.transit = true, source, rate, 0
		// Room below for packets that were overtaken by the first.
		a.first = 1<<16 + uint32(sequence)
		a.highest = a.first
	case ahead < maxDropout:
		a.highest += uint32(ahead)
	}
	a.received++
	if rate <= 0 {
		return
	}
	// Of the arrival only differences count, so that any instant may be zero.
	arrival := now.UnixMicro() * int64(rate) / 1_000_000
	transit := int64(int32(uint32(arrival) - binary.BigEndian.Uint32(packet[4:])))
	if a.transit != 0 {
		d := float64(int32(uint32(transit - a.transit)))
		a.jitter += (max(d, -d) - a.jitter) / jitterShare
	}
	a.transit = transit
}

// settle adds up the sequence that has ended.
func (a *arrivals) settle() {
	if !a.begun {
		return
	}
	if expected := uint64(a.highest-a.first) + 1; expected > a.received {
		a.lost += expected - a.received
	}
	a.packets += a.received
	a.received, a.begun = 0, false
}

// quality is what was measured until the end.
func (a *arrivals) quality(side record.Side) Quality {
	a.settle()
	q := Quality{Side: side, Packets: a.packets, Lost: a.lost}
	if a.rate > 0 {
		q.Jitter = time.Duration(a.jitter / float64(a.rate) * float64(time.Second))
	}
	return q
}
