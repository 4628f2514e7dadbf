// Package siptrace shows the SIP messages of one call: it keeps the
// latest SIP messages in a bounded memory, finds those of a call, and sends copies
// to a capture server (HEP). What proves identity or opens media is removed
// before a message leaves the package.
package siptrace

import (
	"bytes"
	"encoding/binary"
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
//
// Everything is in a few large pieces of bytes without pointers, so that the
// collector of garbage has nothing to look at, and keeping a message costs a copy:
// which call a message belongs to is found out only when it is queried.
type Buffer struct {
	most int // segments

	mu       sync.Mutex // guards all below
	segments [][]byte   // of records in the order of time, the oldest first
	readers  int        // that look at the segments without the lock
}

// NewBuffer makes a buffer of at most that many bytes of messages, taken as they
// come, and at least two segments.
func NewBuffer(most int) *Buffer { return &Buffer{most: max(2, most/segmentBytes)} }

// The kinds of records of a segment.
const (
	recordMessage = 1 // head, time, peers, text
	recordLink    = 2 // head, call, peer, tag, Call-ID
)

// recordHead is the kind, a detail, and the length of what follows.
const recordHead = 1 + 1 + 4

// addressBytes is an address and a port.
const addressBytes = 16 + 2

// The parts of a message's record.
const (
	sourceAt      = 8
	destinationAt = sourceAt + addressBytes
	textAt        = destinationAt + addressBytes
)

// transports are those that a record can name, by their index.
var transports = [...]string{"", "UDP", "TCP", "TLS", "WS", "WSS"}

// Add keeps a copy of a message.
func (b *Buffer) Add(m *Message) {
	size := textAt + len(m.Text)
	if recordHead+size > segmentBytes {
		return
	}
	detail := byte(max(0, slices.Index(transports[:], m.Transport))) << 1
	if m.Sent {
		detail |= 1
	}
	micros := uint64(m.At.UnixMicro())
	source, destination := m.Source.Addr().As16(), m.Destination.Addr().As16()
	b.mu.Lock()
	defer b.mu.Unlock()
	r := b.record(recordMessage, detail, size)
	binary.BigEndian.PutUint64(r, micros)
	copy(r[sourceAt:], source[:])
	binary.BigEndian.PutUint16(r[sourceAt+16:], m.Source.Port())
	copy(r[destinationAt:], destination[:])
	binary.BigEndian.PutUint16(r[destinationAt+16:], m.Destination.Port())
	copy(r[textAt:], m.Text)
}

// Link means that a leg belongs to a call. It may be repeated, so that it is not
// forgotten before the messages that still come.
func (b *Buffer) Link(call uuid.UUID, leg Leg) {
	size := len(call) + 16 + 2 + len(leg.Tag) + len(leg.CallID)
	if recordHead+size > segmentBytes || len(leg.Tag) > 0xffff {
		return
	}
	peer := leg.Peer.As16()
	b.mu.Lock()
	defer b.mu.Unlock()
	r := b.record(recordLink, 0, size)
	copy(r, call[:])
	copy(r[16:], peer[:])
	binary.BigEndian.PutUint16(r[32:], uint16(len(leg.Tag)))
	copy(r[34:], leg.Tag)
	copy(r[34+len(leg.Tag):], leg.CallID)
}

// record begins a record in the segment that has room for it, and returns the place of
// its body. The oldest segment is used again when there are enough, unless someone
// is reading it.
func (b *Buffer) record(kind, detail byte, size int) []byte {
	n := len(b.segments)
	if n == 0 || len(b.segments[n-1])+recordHead+size > segmentBytes {
		switch {
		case n < b.most:
			b.segments = append(b.segments, make([]byte, 0, segmentBytes))
		case b.readers > 0:
			b.segments = append(b.segments[:0:0], b.segments[1:]...)
			b.segments = append(b.segments, make([]byte, 0, segmentBytes))
		default:
			oldest := b.segments[0][:0]
			copy(b.segments, b.segments[1:])
			b.segments[n-1] = oldest
		}
	}
	last := &b.segments[len(b.segments)-1]
	from := len(*last)
	*last = (*last)[:from+recordHead+size]
	r := (*last)[from:]
	r[0], r[1] = kind, detail
	binary.BigEndian.PutUint32(r[2:], uint32(size))
	return r[recordHead:]
}

func readAddress(b []byte) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom16([16]byte(b)).Unmap(), binary.BigEndian.Uint16(b[16:]))
}

// each calls f for every record of the segments, from the oldest.
func each(segments [][]byte, f func(kind, detail byte, body []byte)) {
	for _, s := range segments {
		for len(s) > 0 {
			size := int(binary.BigEndian.Uint32(s[2:]))
			f(s[0], s[1], s[recordHead:recordHead+size])
			s = s[recordHead+size:]
		}
	}
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

// find looks through all that is kept, without holding up those who add to it.
func (b *Buffer) find(call uuid.UUID) (found []Message) {
	b.mu.Lock()
	segments := slices.Clone(b.segments)
	b.readers++
	b.mu.Unlock()
	defer func() {
		b.mu.Lock()
		b.readers--
		b.mu.Unlock()
	}()
	var legs []Leg
	each(segments, func(kind, _ byte, body []byte) {
		if kind != recordLink || !bytes.Equal(body[:16], call[:]) {
			return
		}
		tag := 34 + int(binary.BigEndian.Uint16(body[32:]))
		l := Leg{CallID: string(body[tag:]), Peer: netip.AddrFrom16([16]byte(body[16:32])).Unmap(), Tag: string(body[34:tag])}
		if l.Tag != "" && !slices.Contains(legs, l) {
			legs = append(legs, l)
		}
	})
	if len(legs) == 0 {
		return nil
	}
	each(segments, func(kind, detail byte, body []byte) {
		if kind != recordMessage || !slices.ContainsFunc(legs,
			func(l Leg) bool { return bytes.Contains(body[textAt:], []byte(l.CallID)) }) {
			return
		}
		m := Message{
			At: time.UnixMicro(int64(binary.BigEndian.Uint64(body))), Sent: detail&1 != 0, Transport: transports[detail>>1],
			Source: readAddress(body[sourceAt:]), Destination: readAddress(body[destinationAt:]), Text: body[textAt:],
		}
		if slices.ContainsFunc(legs, func(l Leg) bool { return l.has(&m) }) {
			m.Text = bytes.Clone(m.Text)
			found = append(found, m)
		}
	})
	return found
}

// has reports whether a message belongs to the leg.
func (l *Leg) has(m *Message) bool {
	return m.peer() == l.Peer && header(m.Text, "call-id", "i") == l.CallID &&
		(tagged(header(m.Text, "from", "f"), l.Tag) || tagged(header(m.Text, "to", "t"), l.Tag))
}

// tagged reports whether the value of a From or To has a tag.
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
