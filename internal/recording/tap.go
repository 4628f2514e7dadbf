package recording

import (
	"sync"
	"time"

	"github.com/tollgate/tollgate/internal/media"
	"github.com/tollgate/tollgate/internal/record"
)

// Limits of what a call may have waiting for the recorder: over two seconds of
// G.711 from both sides.
const (
	maxInboxBytes   = 128 << 10
	maxInboxPackets = 1024
)

// tap implements media.Tap. Its input goes into an inbox; the recorder
// takes it from there, in order, twice a second. So a packet costs its caller a copy.
type tap struct {
	recorder *Recorder
	meta     meta

	mu       sync.Mutex // guards the fields below
	inbox    inbox
	answered bool
	closed   bool
	dropped  [2]int64
	offered  [2][]media.Format // what each side may send now
	unheard  bool              // the announcement could not be played: nothing is recorded

	// What follows belongs to the one worker of the recorder that drains the tap.
	finished bool
	spare    inbox
	sides    [2]side
	start    time.Time
	file     *live // nil before the answer, and when it could not be made
	failed   bool
	audio    [2][]int16
	encoded  []byte
	position int64
}

// inbox holds the input of a tap, in order. Packets lie in one piece of memory.
type inbox struct {
	events []event
	bytes  []byte
}

type event struct {
	kind     eventKind
	side     uint8
	at       time.Time
	from, to int // of the packet in bytes
	formats  []media.Format
}

type eventKind uint8

const (
	eventFormats eventKind = iota
	eventAnswered
	eventPacket
	eventClosed
)

// index is a side's place in arrays, and in frames of two channels.
func index(s record.Side) uint8 {
	if s == record.SideCaller {
		return 0
	}
	return 1
}

// Formats implements media.Tap.
func (t *tap) Formats(s record.Side, formats []media.Format) {
	own := append([]media.Format(nil), formats...)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.offered[index(s)] = own
	t.tell(event{kind: eventFormats, side: index(s), formats: own})
}

// Takes implements media.Selective: what cannot be decoded is not offered.
func (t *tap) Takes(f media.Format) bool { return codecRate(f) > 0 }

// Answered implements media.Tap.
func (t *tap) Answered(at time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.answered && !t.unheard {
		t.answered = true
		t.tell(event{kind: eventAnswered, at: at})
	}
}

// Packet implements media.Tap. Audio before the answer is not recorded.
func (t *tap) Packet(s record.Side, at time.Time, packet []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.answered || t.closed {
		return
	}
	from := len(t.inbox.bytes)
	if from+len(packet) > maxInboxBytes || len(t.inbox.events) >= maxInboxPackets {
		t.dropped[index(s)]++
		return
	}
	t.inbox.bytes = append(t.inbox.bytes, packet...)
	t.tell(event{kind: eventPacket, side: index(s), at: at, from: from, to: len(t.inbox.bytes)})
}

// Close implements media.Tap.
func (t *tap) Close() {
	t.mu.Lock()
	again := t.closed
	if !again {
		t.tell(event{kind: eventClosed, at: t.recorder.config.Clock()})
		t.closed = true
	}
	t.mu.Unlock()
	if !again {
		t.recorder.over(t)
	}
}

// tell appends an event. A few of them fit beyond the limit of packets: a call has
// few re-INVITEs between two rounds of the recorder.
func (t *tap) tell(e event) {
	if !t.closed && len(t.inbox.events) < 2*maxInboxPackets {
		t.inbox.events = append(t.inbox.events, e)
	}
}

// drain works off the inbox and writes what is complete at an instant. It says
// whether the call has ended.
func (t *tap) drain(now time.Time) (ended bool) {
	t.mu.Lock()
	t.inbox, t.spare = t.spare, t.inbox
	for i := range t.dropped {
		t.sides[i].counts.Dropped = t.dropped[i]
	}
	t.mu.Unlock()
	for i := range t.spare.events {
		e := &t.spare.events[i]
		switch e.kind {
		case eventFormats:
			t.sides[e.side].setFormats(e.formats)
		case eventAnswered:
			t.begin(e.at)
		case eventPacket:
			t.sides[e.side].push(e.at.Sub(t.start), t.spare.bytes[e.from:e.to])
		case eventClosed:
			ended, now = true, e.at
		}
	}
	clear(t.spare.events) // so that the formats can be collected
	t.spare.events, t.spare.bytes = t.spare.events[:0], t.spare.bytes[:0]
	if !t.start.IsZero() {
		t.advance(now, ended)
	}
	return ended
}

// begin starts the recording at the answer.
func (t *tap) begin(at time.Time) {
	rate := narrowband
	for i := range t.sides {
		for _, f := range t.sides[i].formats {
			rate = max(rate, codecRate(f))
		}
	}
	for i := range t.sides {
		t.sides[i].rate = int64(rate)
	}
	t.start = at
	t.meta.Shape = shape{Rate: rate, Channels: t.meta.Channels}
	t.meta.StartedMicros = at.UnixMicro()
	t.meta.Sealed = t.recorder.config.Keys != nil
	file, err := createLive(t.recorder.folder, &t.meta, t.recorder.config.Keys)
	if err != nil {
		t.fail(err)
		return
	}
	t.file = file
}

// fail gives up the recording from here on; the call continues, and what was
// recorded is kept.
func (t *tap) fail(err error) {
	t.failed = true
	t.recorder.tally.abandoned.Add(1)
	t.recorder.log.Error("recording: recording of a call stopped", "call", t.meta.CallID, "recording", t.meta.ID,
		"error", err)
}

// advance writes the audio of both sides up to where both are complete, or to the
// end of the call.
func (t *tap) advance(now time.Time, ended bool) {
	first, second := &t.sides[0], &t.sides[1]
	limit := max(0, first.at(now.Sub(t.start)))
	if ended {
		first.settle(limit)
		second.settle(limit)
	} else {
		waited := first.at(now.Sub(t.start) - maxWait)
		first.settle(waited)
		second.settle(waited)
		limit = min(limit, first.end, second.end)
	}
	if limit <= t.position {
		return
	}
	for t.position < limit {
		next := min(limit, t.position+first.rate) // a second at a time, however long the silence was
		t.audio[0] = first.take(t.audio[0][:0], next)
		t.audio[1] = second.take(t.audio[1][:0], next)
		t.position = next
		t.write()
	}
}

func (t *tap) write() {
	if t.failed {
		return
	}
	join := mix
	if t.meta.Channels == 2 {
		join = interleave
	}
	t.encoded = join(t.encoded[:0], t.audio[0], t.audio[1])
	if err := t.file.write(t.encoded); err != nil {
		t.fail(err)
	}
}
