// Package siptrace shows what was said on the wire for one call: it keeps the
// latest SIP messages in a bounded memory, finds those of a call, and sends copies
// to a capture server (HEP). What proves identity or opens media is taken out
// before a message leaves the package.
package siptrace

import (
	"bytes"
	"encoding/binary"
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
//
// Everything is in a few large pieces of bytes without pointers, so that the
// collector of garbage has nothing to look at, and keeping a message costs a copy.
type Buffer struct {
	seed maphash.Seed
	most int // segments

	mu       sync.Mutex // guards segments
	segments [][]byte   // of records in the order of time, the oldest first
}

// NewBuffer makes a buffer of at most so many bytes of messages, taken as they
// come, and at least two segments.
func NewBuffer(most int) *Buffer {
	return &Buffer{seed: maphash.MakeSeed(), most: max(2, most/segmentBytes)}
}

// The kinds of records of a segment.
const (
	recordMessage = 1 // head, peers, text
	recordLink    = 2 // head, call, peer, tag, Call-ID
)

// recordHead is the kind, a detail, the length of what follows, and the hash of
// the Call-ID.
const recordHead = 1 + 1 + 4 + 8

// addressBytes is an address and a port.
const addressBytes = 16 + 2

// transports are those that a record can name, by their index.
var transports = []string{"", "UDP", "TCP", "TLS", "WS", "WSS"}

// Add keeps a copy of a message.
func (b *Buffer) Add(callID []byte, m *Message) {
	size := 8 + 2*addressBytes + len(m.Text)
	if recordHead+size > segmentBytes {
		return
	}
	detail := byte(max(0, slices.Index(transports, m.Transport))) << 1
	if m.Sent {
		detail |= 1
	}
	hash := maphash.Bytes(b.seed, callID)
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.record(recordMessage, detail, size, hash)
	*s = binary.BigEndian.AppendUint64(*s, uint64(m.At.UnixMicro()))
	*s = appendAddress(*s, m.Source)
	*s = appendAddress(*s, m.Destination)
	*s = append(*s, m.Text...)
}

// Link says that a leg belongs to a call. It may be said again, so that it is not
// forgotten before the messages that still come.
func (b *Buffer) Link(call uuid.UUID, leg Leg) {
	size := len(call) + 16 + 2 + len(leg.Tag) + len(leg.CallID)
	if recordHead+size > segmentBytes || len(leg.Tag) > 0xffff {
		return
	}
	hash := maphash.String(b.seed, leg.CallID)
	peer := leg.Peer.As16()
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.record(recordLink, 0, size, hash)
	*s = append(*s, call[:]...)
	*s = append(*s, peer[:]...)
	*s = binary.BigEndian.AppendUint16(*s, uint16(len(leg.Tag)))
	*s = append(*s, leg.Tag...)
	*s = append(*s, leg.CallID...)
}

// record begins a record of a size in the segment that has room for it. The oldest
// segment is used again when there are enough.
func (b *Buffer) record(kind, detail byte, size int, hash uint64) *[]byte {
	n := len(b.segments)
	if n == 0 || len(b.segments[n-1])+recordHead+size > segmentBytes {
		if n < b.most {
			b.segments = append(b.segments, make([]byte, 0, segmentBytes))
		} else {
			oldest := b.segments[0][:0]
			copy(b.segments, b.segments[1:])
			b.segments[n-1] = oldest
		}
	}
	s := &b.segments[len(b.segments)-1]
	*s = append(*s, kind, detail)
	*s = binary.BigEndian.AppendUint32(*s, uint32(size))
	*s = binary.BigEndian.AppendUint64(*s, hash)
	return s
}

func appendAddress(b []byte, a netip.AddrPort) []byte {
	address := a.Addr().As16()
	return binary.BigEndian.AppendUint16(append(b, address[:]...), a.Port())
}

func readAddress(b []byte) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom16([16]byte(b)).Unmap(), binary.BigEndian.Uint16(b[16:]))
}

// each calls f for every record, from the oldest.
func (b *Buffer) each(f func(kind, detail byte, hash uint64, body []byte)) {
	for _, s := range b.segments {
		for len(s) > 0 {
			size := int(binary.BigEndian.Uint32(s[2:]))
			f(s[0], s[1], binary.BigEndian.Uint64(s[6:]), s[recordHead:recordHead+size])
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

func (b *Buffer) find(call uuid.UUID) (found []Message) {
	b.mu.Lock()
	defer b.mu.Unlock()
	legs := make(map[uint64][]Leg)
	b.each(func(kind, _ byte, hash uint64, body []byte) {
		if kind != recordLink || !bytes.Equal(body[:16], call[:]) {
			return
		}
		tag := 34 + int(binary.BigEndian.Uint16(body[32:]))
		l := Leg{CallID: string(body[tag:]), Peer: netip.AddrFrom16([16]byte(body[16:32])).Unmap(), Tag: string(body[34:tag])}
		if !slices.Contains(legs[hash], l) {
			legs[hash] = append(legs[hash], l)
		}
	})
	if len(legs) == 0 {
		return nil
	}
	b.each(func(kind, detail byte, hash uint64, body []byte) {
		candidates := legs[hash]
		if kind != recordMessage || len(candidates) == 0 {
			return
		}
		m := Message{
			At: time.UnixMicro(int64(binary.BigEndian.Uint64(body))), Sent: detail&1 != 0, Transport: transports[detail>>1],
			Source: readAddress(body[8:]), Destination: readAddress(body[8+addressBytes:]), Text: body[8+2*addressBytes:],
		}
		if slices.ContainsFunc(candidates, func(l Leg) bool { return l.has(&m) }) {
			m.Text = bytes.Clone(m.Text)
			found = append(found, m)
		}
	})
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
