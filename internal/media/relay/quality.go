package relay

import (
	"encoding/binary"
	"sync"
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

// arrivals measures the RTP that arrives at a port: in the loop, and read at the end
// of the call from elsewhere.
type arrivals struct {
	mu       sync.Mutex // guards all below
	begun    bool
	source   uint32
	first    uint32 // sequence numbers, extended by how often they began again
	highest  uint32
	received uint64 // of this sequence
	packets  uint64 // of the sequences before it
	lost     uint64
	stamp    uint32  // the timestamp of the last packet
	transit  int64   // of the last packet, in units of the RTP clock
	jitter   float64 // likewise
	worst    float64 // the greatest jitter, in seconds
	compared uint64  // packets by which the jitter was measured
	rate     int
}

// take measures a packet whose clock runs at rate Hz.
func (a *arrivals) take(packet []byte, now time.Time, rate int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	sequence, source := binary.BigEndian.Uint16(packet[2:]), binary.BigEndian.Uint32(packet[8:])
	ahead := sequence - uint16(a.highest)
	switch {
	case !a.begun || a.source != source || ahead >= maxDropout && ahead < 1<<16-maxMisorder:
		a.settle()
		a.begun = true
		a.source = source
		a.rate = rate
		a.transit = 0
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
	stamp := binary.BigEndian.Uint32(packet[4:])
	if a.transit != 0 && stamp == a.stamp {
		return // packets of one event are sent one after another (RFC 4733)
	}
	// Of the arrival only differences count, so that any instant may be zero.
	arrival := now.UnixMicro() * int64(rate) / 1_000_000
	transit := int64(int32(uint32(arrival) - stamp))
	d := int64(int32(uint32(transit - a.transit)))
	// A jump of more than a second is the sender's clock that begins again.
	if a.transit != 0 && max(d, -d) < int64(rate) {
		a.jitter += (float64(max(d, -d)) - a.jitter) / jitterShare
		a.worst = max(a.worst, a.jitter/float64(rate))
		a.compared++
	}
	a.stamp, a.transit = stamp, transit
}

// settle adds up the sequence that has ended.
func (a *arrivals) settle() {
	a.packets, a.lost = a.counts()
	a.received, a.begun = 0, false
}

// counts are the packets that arrived and those that did not, in all sequences.
func (a *arrivals) counts() (packets, lost uint64) {
	packets, lost = a.packets, a.lost
	if !a.begun {
		return packets, lost
	}
	if expected := uint64(a.highest-a.first) + 1; expected > a.received {
		lost += expected - a.received
	}
	return packets + a.received, lost
}

// reception is what was measured so far.
func (a *arrivals) reception() record.Reception {
	a.mu.Lock()
	defer a.mu.Unlock()
	r := record.Reception{JitterPackets: a.compared, MaxJitter: time.Duration(a.worst * float64(time.Second))}
	r.Packets, r.Lost = a.counts()
	if a.rate > 0 {
		r.Jitter = time.Duration(a.jitter / float64(a.rate) * float64(time.Second))
	}
	return r
}

// quality is what was measured until the end.
func (a *arrivals) quality(side record.Side) Quality {
	r := a.reception()
	return Quality{Side: side, Packets: r.Packets, Lost: r.Lost, Jitter: r.Jitter}
}

// Quality implements media.Measurer: how the audio of both sides arrived so far.
func (s *session) Quality() *record.Quality {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.audio == nil || s.answeredAt.IsZero() {
		return nil
	}
	ends := s.audio.ends
	return &record.Quality{
		Caller: ends[place(record.SideCaller)].rtp.quality.reception(),
		Callee: ends[place(record.SideCallee)].rtp.quality.reception(),
	}
}
