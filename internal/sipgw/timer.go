package sipgw

import "time"

// timed is what a timer belongs to.
type timed interface {
	// expire is called by the shard's goroutine when the timer is due.
	expire(kind timerKind)
}

// timerKind tells the timers of one owner apart.
type timerKind uint8

const (
	timerRetransmit timerKind = iota // A, E, G and the retransmission of 2xx
	timerGiveUp                      // B, F, H and the wait for the ACK of a 2xx
	timerRing                        // C
	timerForget                      // D, I, J, K, L, M: when a transaction's key is dropped
	timerMeter                       // of the call
	timerExpires                     // of the caller's INVITE
	timerRefresh                     // RFC 4028: send a refresh
	timerLost                        // RFC 4028: no refresh came
	timerPing                        // of a gateway: OPTIONS
	timerSilence                     // OPTIONS was not answered
	timerRegister                    // of a gateway: REGISTER
	timerHangUp                      // of a shard: the next calls to hang up
)

// timer is one timer, kept by value in its owner.
type timer struct {
	at    time.Duration // since the base of the heap
	owner timed
	pos   int32 // in the heap, from 1; 0 when not set
	kind  timerKind
}

// timers is a heap of the timers of one shard, soonest first. Setting and
// stopping cost O(log n) and leave nothing behind.
type timers struct {
	heap []*timer
	base time.Time // the first time that was set; a call has many timers, and the difference is short
}

// set makes t due at a time, whether it was set before or not.
func (h *timers) set(t *timer, owner timed, kind timerKind, at time.Time) {
	if h.base.IsZero() {
		h.base = at
	}
	t.at, t.owner, t.kind = at.Sub(h.base), owner, kind
	if t.pos == 0 {
		h.heap = append(h.heap, t)
		t.pos = int32(len(h.heap))
	}
	h.down(h.up(int(t.pos) - 1))
}

// stop makes t never due.
func (h *timers) stop(t *timer) {
	if t.pos == 0 {
		return
	}
	i, last := int(t.pos)-1, len(h.heap)-1
	h.swap(i, last)
	h.heap[last] = nil
	h.heap = h.heap[:last]
	t.pos = 0
	if i < last {
		h.down(h.up(i))
	}
}

// due takes off the soonest timer that is due at now, or returns nil.
func (h *timers) due(now time.Time) *timer {
	if len(h.heap) == 0 || h.heap[0].at > now.Sub(h.base) {
		return nil
	}
	t := h.heap[0]
	h.stop(t)
	return t
}

// next is when the soonest timer is due; ok is false when there is none.
func (h *timers) next() (at time.Time, ok bool) {
	if len(h.heap) == 0 {
		return time.Time{}, false
	}
	return h.base.Add(h.heap[0].at), true
}

func (h *timers) swap(i, j int) {
	h.heap[i], h.heap[j] = h.heap[j], h.heap[i]
	h.heap[i].pos, h.heap[j].pos = int32(i+1), int32(j+1)
}

func (h *timers) up(i int) int {
	for i > 0 {
		parent := (i - 1) / 2
		if h.heap[i].at >= h.heap[parent].at {
			break
		}
		h.swap(i, parent)
		i = parent
	}
	return i
}

func (h *timers) down(i int) {
	for {
		child := 2*i + 1
		if child >= len(h.heap) {
			return
		}
		if child+1 < len(h.heap) && h.heap[child+1].at < h.heap[child].at {
			child++
		}
		if h.heap[child].at >= h.heap[i].at {
			return
		}
		h.swap(i, child)
		i = child
	}
}
