package siptrace

import (
	"hash/maphash"
	"sync"

	"github.com/google/uuid"
)

// Tracer takes every message of a gateway, for a buffer, for a capture server, or
// for both. A nil Tracer takes nothing.
type Tracer struct {
	buffer *Buffer
	hep    *HEP

	seed  maphash.Seed
	mu    sync.Mutex           // guards calls
	calls map[uint64]uuid.UUID // of the legs that are up, by their Call-ID; only with hep
}

// NewTracer makes a tracer; either part may be nil.
func NewTracer(buffer *Buffer, hep *HEP) *Tracer {
	return &Tracer{buffer: buffer, hep: hep, seed: maphash.MakeSeed(), calls: make(map[uint64]uuid.UUID)}
}

// Message takes a message.
func (t *Tracer) Message(m *Message) {
	if t == nil {
		return
	}
	if t.buffer != nil {
		t.buffer.Add(m)
	}
	if t.hep != nil {
		t.hep.Send(m, t.correlation(header(m.Text, "call-id", "i")))
	}
}

// Begin means that a leg belongs to a call.
func (t *Tracer) Begin(call uuid.UUID, leg Leg) {
	if t == nil {
		return
	}
	if t.buffer != nil {
		t.buffer.Link(call, leg)
	}
	if t.hep != nil {
		t.mu.Lock()
		t.calls[maphash.String(t.seed, leg.CallID)] = call
		t.mu.Unlock()
	}
}

// End means that a leg has ended. Its last messages are found even when the first
// have been forgotten.
func (t *Tracer) End(call uuid.UUID, leg Leg) {
	if t == nil {
		return
	}
	if t.buffer != nil {
		t.buffer.Link(call, leg)
	}
	if t.hep != nil {
		t.mu.Lock()
		delete(t.calls, maphash.String(t.seed, leg.CallID))
		t.mu.Unlock()
	}
}

func (t *Tracer) correlation(callID string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if call, known := t.calls[maphash.String(t.seed, callID)]; known {
		return call.String()
	}
	return ""
}

// Call returns what is kept of a call's messages.
func (t *Tracer) Call(call uuid.UUID) []Message {
	if t == nil || t.buffer == nil {
		return nil
	}
	return t.buffer.Call(call)
}
