// Package siptrace shows what was said on the wire for one call: it keeps the
// latest SIP messages in a bounded memory, finds those of a call, and sends copies
// to a capture server (HEP). What proves identity or opens media is taken out
// before a message leaves the package.
package siptrace

import (
	"bytes"
	"hash/maphash"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
)

// DefaultBytes is the memory for messages of a server: some 60,000 messages, the
// whole signalling of the last 4,000 calls.
const DefaultBytes = 32 << 20

// segmentBytes is the unit in which old messages are forgotten.
const segmentBytes = 1 << 20

// Message is one SIP message as it was on the wire.
type Message struct {
	At                  time.Time
	Sent                bool // by Tollgate; false: received
	Transport           string
	Source, Destination netip.AddrPort
	Text                []byte
}

// peer is the side that is not Tollgate.
func (m *Message) peer() netip.Addr {
	if m.Sent {
		return m.Destination.Addr()
	}
	return m.Source.Addr()
}

// Leg is one dialog of a call, by what tells its messages from all others. A
// Call-ID alone does not: callers choose theirs, and may choose another's.
type Leg struct {
	CallID string     // of the SIP messages
	Peer   netip.Addr // the other end
	Tag    string     // of one side, which every message of the leg has
}

// Buffer keeps the latest messages. It is safe for concurrent use.
type Buffer struct {
	seed maphash.Seed
	most int // segments

	mu       sync.Mutex // guards segments
	segments []*segment // the oldest first
}

// segment is a run of messages and of links, in the order of time.
type segment struct {
	text     []byte
	messages []entry
	links    []link
}

// entry is a message whose text is in the segment.
type entry struct {
	hash       uint64 // of the Call-ID
	message    Message
	start, end int32
}

// link says that a leg belongs to a call.
type link struct {
	call uuid.UUID
	leg  Leg
}

// NewBuffer makes a buffer of at most so many bytes of messages, taken as they
// come, and at least two segments.
func NewBuffer(most int) *Buffer {
	return &Buffer{seed: maphash.MakeSeed(), most: max(2, most/segmentBytes)}
}

// Add keeps a copy of a message.
func (b *Buffer) Add(callID string, m *Message) {
	if len(m.Text) > segmentBytes {
		return
	}
	hash := maphash.String(b.seed, callID)
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.room(len(m.Text))
	e := entry{hash: hash, message: *m, start: int32(len(s.text))}
	s.text = append(s.text, m.Text...)
	e.end, e.message.Text = int32(len(s.text)), nil
	s.messages = append(s.messages, e)
}

// Link says that a leg belongs to a call. It may be said again, so that it is not
// forgotten before the messages that still come.
func (b *Buffer) Link(call uuid.UUID, leg Leg) {
	leg.CallID, leg.Tag = strings.Clone(leg.CallID), strings.Clone(leg.Tag)
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.room(0)
	s.links = append(s.links, link{call, leg})
}

// maxEntries bounds a segment of tiny messages or of links.
const maxEntries = segmentBytes / 128

// room returns the segment that the next message of a size goes to. The oldest one
// is used again when there are enough.
func (b *Buffer) room(size int) *segment {
	if n := len(b.segments); n > 0 {
		last := b.segments[n-1]
		if len(last.text)+size <= segmentBytes && len(last.messages) < maxEntries && len(last.links) < maxEntries {
			return last
		}
	}
	if len(b.segments) < b.most {
		b.segments = append(b.segments, &segment{text: make([]byte, 0, segmentBytes)})
	} else {
		oldest := b.segments[0]
		copy(b.segments, b.segments[1:])
		clear(oldest.links) // which have texts
		oldest.text, oldest.messages, oldest.links = oldest.text[:0], oldest.messages[:0], oldest.links[:0]
		b.segments[len(b.segments)-1] = oldest
	}
	return b.segments[len(b.segments)-1]
}

// Call returns what is kept of a call's messages, in the order of time, without
// secrets.
func (b *Buffer) Call(call uuid.UUID) []Message {
	messages := b.find(call)
	for i := range messages {
		messages[i].Text = Redact(messages[i].Text)
	}
	return messages
}

func (b *Buffer) find(call uuid.UUID) (found []Message) {
	b.mu.Lock()
	defer b.mu.Unlock()
	legs := make(map[uint64][]Leg)
	for _, s := range b.segments {
		for _, l := range s.links {
			hash := maphash.String(b.seed, l.leg.CallID)
			if l.call == call && !slices.Contains(legs[hash], l.leg) {
				legs[hash] = append(legs[hash], l.leg)
			}
		}
	}
	if len(legs) == 0 {
		return nil
	}
	for _, s := range b.segments {
		for i := range s.messages {
			e := &s.messages[i]
			candidates := legs[e.hash]
			if len(candidates) == 0 {
				continue
			}
			m := e.message
			m.Text = s.text[e.start:e.end]
			if slices.ContainsFunc(candidates, func(l Leg) bool { return l.has(&m) }) {
				m.Text = bytes.Clone(m.Text)
				found = append(found, m)
			}
		}
	}
	return found
}

// has says whether a message belongs to the leg.
func (l *Leg) has(m *Message) bool {
	return m.peer() == l.Peer && header(m.Text, "call-id", "i") == l.CallID && l.Tag != "" &&
		(tagged(header(m.Text, "from", "f"), l.Tag) || tagged(header(m.Text, "to", "t"), l.Tag))
}

// tagged says whether the value of a From or To has a tag.
func tagged(value, tag string) bool {
	for {
		_, after, found := strings.Cut(value, ";tag=")
		if !found {
			return false
		}
		if rest, ok := strings.CutPrefix(after, tag); ok && (rest == "" || strings.ContainsRune("; \t,", rune(rest[0]))) {
			return true
		}
		value = after
	}
}

// header is the value of a header field by its long or compact name, in lower
// case; "" when there is none. Folded lines are not joined.
func header(text []byte, long, short string) string {
	head, _, _ := bytes.Cut(text, []byte("\r\n\r\n"))
	for line := range bytes.SplitSeq(head, []byte("\r\n")) {
		name, value, found := bytes.Cut(line, []byte(":"))
		if !found {
			continue
		}
		name = bytes.TrimRight(name, " \t")
		if bytes.EqualFold(name, []byte(long)) || bytes.EqualFold(name, []byte(short)) {
			return string(bytes.TrimSpace(value))
		}
	}
	return ""
}
