// Package timer keeps the timers of one goroutine: a heap that the goroutine asks what is
// due, so that a timer costs no goroutine and no channel of its own.
package timer

import "time"

// Owner is what a timer belongs to.
type Owner interface {
	// Expire is called when the timer is due, by the goroutine whose timer it is.
	Expire(kind Kind)
}

// Kind tells the timers of one owner apart.
type Kind uint8

// Timer is one timer, kept by value in its owner.
type Timer struct {
	at    time.Duration // since the base of the heap
	owner Owner
	pos   int32 // in the heap, from 1; 0 when not set
	kind  Kind
}

// Heap is the timers of one goroutine, soonest first. Setting and
// stopping cost O(log n) and leave nothing behind.
type Heap struct {
	heap []*Timer
	base time.Time // the first time that was set; a call has many timers, and the difference is short
}

// IsSet reports whether t is going to be due.
func (t *Timer) IsSet() bool { return t.pos != 0 }

// Expire tells the owner that t is due.
func (t *Timer) Expire() { t.owner.Expire(t.kind) }

// Len counts the timers that are set.
func (h *Heap) Len() int { return len(h.heap) }

// Set makes t due at a time, whether it was set before or not.
func (h *Heap) Set(t *Timer, owner Owner, kind Kind, at time.Time) {
	if h.base.IsZero() {
		h.base = at
	}
	t.at = at.Sub(h.base)
	t.owner = owner
	t.kind = kind
	if t.pos == 0 {
		h.heap = append(h.heap, t)
		t.pos = int32(len(h.heap))
	}
	h.down(h.up(int(t.pos) - 1))
}

// Stop makes t never due.
func (h *Heap) Stop(t *Timer) {
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

// Due takes off the soonest timer that is due at now, or returns nil.
func (h *Heap) Due(now time.Time) *Timer {
	if len(h.heap) == 0 || h.heap[0].at > now.Sub(h.base) {
		return nil
	}
	t := h.heap[0]
	h.Stop(t)
	return t
}

// Next is when the soonest timer is due; ok is false when there is none.
func (h *Heap) Next() (at time.Time, ok bool) {
	if len(h.heap) == 0 {
		return time.Time{}, false
	}
	return h.base.Add(h.heap[0].at), true
}

func (h *Heap) swap(i, j int) {
	h.heap[i], h.heap[j] = h.heap[j], h.heap[i]
	h.heap[i].pos, h.heap[j].pos = int32(i+1), int32(j+1)
}

func (h *Heap) up(i int) int {
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

func (h *Heap) down(i int) {
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
