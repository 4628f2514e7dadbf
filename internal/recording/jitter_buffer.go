package recording

import (
	"cmp"
	"log/slog"
	"slices"
	"time"

	"github.com/pion/rtp"

	"github.com/tollgate/tollgate/internal/media"
)

// Limits of one side's jitter buffer.
const (
	// maxWait is how long a packet may be missing before its time is silence. The
	// recording waits only where one is missing, so it can be generous.
	maxWait = 2 * time.Second
	// maxAhead is how far a packet's timestamp may be ahead of its arrival before
	// the timestamps are taken to have jumped.
	maxAhead = 500 * time.Millisecond
	// maxQueued bounds the packets that wait for a missing one: maxWait at 5 ms each.
	maxQueued = 400
	// maxSources is how many synchronisation sources of a side are followed at once.
	maxSources = 2
	// driftWindow is how many packets the clock of a source is judged by, and
	// maxDrift how far it may be off: the two sides stay in time within that.
	driftWindow = 50
	maxDrift    = 60 * time.Millisecond
)

// side is the audio of one side of a call, on the time line of the recording:
// position 0 is the answer, and a position is a sample at the recording's rate.
type side struct {
	rate    int64
	formats [128]media.Format // by payload type; a ClockRate of 0 is no format
	sources []*source         // the one heard last is first
	queue   []queued          // in the order of their positions
	// pending is decoded audio from position written on. end is where the audio
	// that was decoded last ends.
	pending      []int16
	written, end int64
	// ignored is the payload type that was not decodable and was heard last, for the log.
	ignored string
	counts  Counts
}

// Counts describes what happened to the packets of one side.
type Counts struct {
	Played      int64 // decoded into the recording
	Late        int64 // came after their time was written as silence
	Duplicate   int64 // came twice
	Undecodable int64 // of no known codec, or damaged
	Dropped     int64 // dropped because the recorder was behind
}

// LogValue implements slog.LogValuer.
func (c Counts) LogValue() slog.Value {
	return slog.GroupValue(slog.Int64("played", c.Played), slog.Int64("late", c.Late),
		slog.Int64("duplicate", c.Duplicate),
		slog.Int64("undecodable", c.Undecodable), slog.Int64("dropped", c.Dropped))
}

// source is one RTP stream (RFC 3550 section 3, "SSRC") and how its timestamps map
// to the time line.
type source struct {
	ssrc      uint32
	clock     int64 // Hz
	timestamp uint32
	elapsed   int64 // clock ticks from the anchor to timestamp
	anchor    int64 // position
	decoders  map[uint8]decoder

	highest uint16 // sequence number, and noted the 64 up to it that have come
	noted   uint64

	// The packets of the current window, and the least that one of them was behind
	// the time line: what remains without jitter.
	window    int
	leastLate int64
}

// queued is a packet that waits for those before it.
type queued struct {
	position int64
	source   *source
	kind     uint8
	payload  []byte
}

// setFormats replaces what the side may send from now on. Decoders of formats that
// have not changed continue.
func (s *side) setFormats(formats []media.Format) {
	var next [128]media.Format
	for _, f := range formats {
		if int(f.PayloadType) < len(next) && f.ClockRate > 0 {
			next[f.PayloadType] = f
		}
	}
	for _, source := range s.sources {
		for kind := range source.decoders {
			if next[kind] != s.formats[kind] {
				delete(source.decoders, kind)
			}
		}
	}
	s.formats = next
}

// push takes a packet that arrived at a time after the answer.
func (s *side) push(arrival time.Duration, packet []byte) {
	var p rtp.Packet
	if err := p.Unmarshal(packet); err != nil || p.Version != 2 || len(p.Payload) == 0 {
		s.counts.Undecodable++
		return
	}
	format := s.formats[p.PayloadType&0x7f]
	if codecRate(format) == 0 {
		// Telephone events and comfort noise make no sound: their time is silence.
		if format.ClockRate == 0 || !silent(format.Name) {
			s.counts.Undecodable++
			s.ignored = format.Name
		}
		return
	}
	arrived := s.at(arrival)
	from := s.sourceOf(&p, int64(format.ClockRate), arrived)
	q := queued{s.place(from, &p, arrived), from, p.PayloadType, p.Payload}
	switch {
	case from.seen(p.SequenceNumber):
		s.counts.Duplicate++
	case q.position < s.written && !s.follows(q.position):
		s.counts.Late++
	case q.position <= s.end || s.follows(q.position) || len(s.queue) >= maxQueued:
		s.play(q)
		s.playFollowing()
	default:
		s.enqueue(q)
	}
}

// at is a time after the answer as a position.
func (s *side) at(after time.Duration) int64 { return int64(after) * s.rate / int64(time.Second) }

// follows reports whether a position is where the last audio ended, but for rounding.
func (s *side) follows(position int64) bool { return position-s.end <= 2 && s.end-position <= 2 }

// sourceOf finds or begins the source of a packet.
func (s *side) sourceOf(p *rtp.Packet, clock, arrival int64) *source {
	for i, known := range s.sources {
		if known.ssrc == p.SSRC {
			copy(s.sources[1:i+1], s.sources[:i])
			s.sources[0] = known
			if known.clock != clock {
				known.clock = clock
				known.restart(p.Timestamp, arrival)
			}
			return known
		}
	}
	fresh := &source{ssrc: p.SSRC, clock: clock, decoders: make(map[uint8]decoder)}
	fresh.restart(p.Timestamp, arrival)
	s.sources = slices.Insert(s.sources, 0, fresh)
	s.sources = s.sources[:min(len(s.sources), maxSources)]
	return fresh
}

// restart maps a timestamp to a position anew.
func (f *source) restart(timestamp uint32, position int64) {
	f.timestamp = timestamp
	f.elapsed = 0
	f.anchor = position
	f.window, f.noted = 0, 0
}

// place gives a packet its position. Timestamps are believed as long as they agree
// with the time of arrival within what networks do.
func (s *side) place(from *source, p *rtp.Packet, arrival int64) int64 {
	elapsed := from.elapsed + int64(int32(p.Timestamp-from.timestamp))
	position := from.anchor + elapsed*s.rate/from.clock
	late := arrival - position
	if late > s.at(maxWait) || late < -s.at(maxAhead) {
		from.restart(p.Timestamp, arrival)
		return arrival
	}
	from.timestamp, from.elapsed = p.Timestamp, elapsed
	if from.window == 0 || late < from.leastLate {
		from.leastLate = late
	}
	if from.window++; from.window < driftWindow {
		return position
	}
	from.window = 0
	if off := s.at(maxDrift); from.leastLate > off || from.leastLate < -off {
		from.anchor += from.leastLate
		position += from.leastLate
	}
	return position
}

// seen notes a sequence number, and reports whether it was noted before.
func (f *source) seen(sequence uint16) bool {
	ahead := int(int16(sequence - f.highest))
	switch {
	case ahead > 0:
		f.highest, f.noted = sequence, f.noted<<ahead|1
	case ahead <= -64 || f.noted == 0: // the sender has begun anew
		f.highest, f.noted = sequence, 1
	default:
		bit := uint64(1) << -ahead
		if f.noted&bit != 0 {
			return true
		}
		f.noted |= bit
	}
	return false
}

// enqueue keeps a copy of a packet until those before it are there.
func (s *side) enqueue(q queued) {
	place, _ := slices.BinarySearchFunc(s.queue, q.position, func(o queued, position int64) int {
		return cmp.Compare(o.position, position)
	})
	q.payload = slices.Clone(q.payload)
	s.queue = slices.Insert(s.queue, place, q)
}

// play decodes a packet into pending.
func (s *side) play(q queued) {
	d, err := s.decoderOf(q)
	if err != nil {
		s.counts.Undecodable++
		return
	}
	position := q.position
	if s.follows(position) {
		position = s.end
	}
	// Decoded behind what there is, then moved to its place: decoders append.
	place := len(s.pending)
	s.pending, err = d.decode(s.pending, q.payload)
	if err != nil {
		s.counts.Undecodable++
		return
	}
	audio := s.pending[place:]
	if offset := position - s.written; offset != int64(place) {
		audio = slices.Clone(audio)
		s.pending = s.pending[:place]
		if offset < 0 { // its beginning has been written as silence
			audio, offset = audio[min(int64(len(audio)), -offset):], 0
		}
		if gap := offset + int64(len(audio)) - int64(place); gap > 0 {
			s.pending = append(s.pending, make([]int16, gap)...)
		}
		copy(s.pending[offset:], audio)
	}
	s.end = max(s.written, position+int64(len(audio)))
	s.counts.Played++
}

func (s *side) decoderOf(q queued) (decoder, error) {
	if d := q.source.decoders[q.kind]; d != nil {
		return d, nil
	}
	d, err := newDecoder(s.formats[q.kind], int(s.rate))
	if err == nil {
		q.source.decoders[q.kind] = d
	}
	return d, err
}

// playFollowing plays the packets that waited for the one just played.
func (s *side) playFollowing() {
	played := 0
	for ; played < len(s.queue) && (s.queue[played].position < s.end || s.follows(s.queue[played].position)); played++ {
		s.play(s.queue[played])
	}
	s.queue = slices.Delete(s.queue, 0, played)
}

// settle gives up waiting for packets before a position: those that came after
// them are played at their place.
func (s *side) settle(position int64) {
	played := 0
	for ; played < len(s.queue) && s.queue[played].position <= position; played++ {
		s.play(s.queue[played])
	}
	if played > 0 {
		s.queue = slices.Delete(s.queue, 0, played)
		s.playFollowing()
	}
	s.end = max(s.end, position)
}

// take moves the audio up to a position into dst, silence where there is none.
func (s *side) take(dst []int16, position int64) []int16 {
	n := int(position - s.written)
	have := min(n, len(s.pending))
	dst = append(dst, s.pending[:have]...)
	for range n - have {
		dst = append(dst, 0)
	}
	s.pending = s.pending[:copy(s.pending, s.pending[have:])]
	s.written = position
	s.end = max(s.end, position)
	return dst
}
