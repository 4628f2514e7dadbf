package record

import (
	"strconv"
	"time"
)

// Quality is how the audio of an anchored call arrived from its two sides.
type Quality struct {
	Caller, Callee Reception
}

// Reception is how the RTP of one side arrived (RFC 3550 appendices A.3 and A.8).
type Reception struct {
	Packets       uint64 // that arrived
	Lost          uint64 // that did not
	JitterPackets uint64 // by which the jitter was measured
	Jitter        time.Duration
	MaxJitter     time.Duration
}

// The E-model of ITU-T G.107 with the defaults of its parameters, for G.711 with
// concealment of lost packets (G.113 appendix I). Delay counts from 177.3 ms on more
// than before; the network's own delay is not known and not counted.
const (
	ratingMost       = 93.2 // R without delay and loss
	delayPerMs       = 0.024
	lateDelayMs      = 177.3
	lateDelayPerMs   = 0.11
	impairmentMost   = 95
	lossRobustness   = 25.1 // Bpl
	packetMs         = 20
	jitterBufferSize = 2 // times the jitter
)

// MOS is the mean opinion score that the E-model estimates, from 1 to 4.41. There is
// none when no packet has arrived.
func (r *Reception) MOS() (score float64, ok bool) {
	if r.Packets == 0 {
		return 0, false
	}
	delayMs := packetMs + jitterBufferSize*float64(r.Jitter)/float64(time.Millisecond)
	lossPercent := 100 * float64(r.Lost) / float64(r.Packets+r.Lost)
	rating := ratingMost - delayPerMs*delayMs - lateDelayPerMs*max(0, delayMs-lateDelayMs) -
		impairmentMost*lossPercent/(lossPercent+lossRobustness)
	if rating <= 0 {
		return 1, true
	}
	return max(1, 1+0.035*rating+rating*(rating-60)*(100-rating)*7e-6), true
}

// MOSText is MOS as clients get it, with two decimals; "" when there is none.
func (r *Reception) MOSText() string {
	score, ok := r.MOS()
	if !ok {
		return ""
	}
	return strconv.FormatFloat(score, 'f', 2, 64)
}
