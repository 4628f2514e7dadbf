package recording

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// sent is a packet and when it arrives after the answer.
type sent struct {
	at     time.Duration
	packet []byte
}

// speak is a stream's audio, cut into packets that arrive on time from begin on.
func speak(s *stream, begin time.Duration, coded []byte) (all []sent) {
	for part := range slices.Chunk(coded, 160) {
		all = append(all, sent{begin + time.Duration(len(all))*packetTime, s.next(part)})
	}
	return all
}

// hear gives packets to a side as they arrive, takes the audio twice a second, and
// ends after a time.
func hear(s *side, packets []sent, length time.Duration) []int16 {
	slices.SortStableFunc(packets, func(a, b sent) int { return int(a.at - b.at) })
	var out []int16
	for now := drainInterval; ; now += drainInterval {
		end := min(now, length)
		for len(packets) > 0 && packets[0].at <= end {
			s.push(packets[0].at, packets[0].packet)
			packets = packets[1:]
		}
		if end == length {
			s.settle(s.at(length))
			return s.take(out, s.at(length))
		}
		s.settle(s.at(end - maxWait))
		if ready := min(s.end, s.at(end)); ready > s.written {
			out = s.take(out, ready)
		}
	}
}

func newSide() *side {
	s := &side{rate: narrowband}
	s.setFormats(formats)
	return s
}

// recorded is what a law makes of audio.
func recorded(coded []byte) []int16 {
	out, _ := companded{&ulawTable}.decode(nil, coded)
	return out
}

func sameAudio(t interface {
	Helper()
	Fatalf(string, ...any)
}, got, want []int16) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d samples, want %d", len(got), len(want))
	}
	for i := range got {
		if got[i] != want[i] {
			t.Fatalf("sample %d (%v after the answer) is %d, want %d", i, time.Duration(i)*time.Second/narrowband, got[i],
				want[i])
		}
	}
}

func TestAudioIsWhereItWasSpoken(t *testing.T) {
	coded := compand(&ulawTable, tone(400, narrowband, 8000))
	packets := speak(&stream{ssrc: 1, step: 160, timestamp: 1<<32 - 500, sequence: 1<<16 - 3}, 100*time.Millisecond, coded)
	want := slices.Concat(make([]int16, 800), recorded(coded), make([]int16, 800+1600))
	s := newSide()
	sameAudio(t, hear(s, packets, 1400*time.Millisecond), want)
	if s.counts != (Counts{Played: 50}) {
		t.Errorf("counts %+v", s.counts)
	}
}

// Packets that are out of order, doubled and late by less than the wait make the
// same audio as packets in order; lost ones leave silence of their length.
func TestTheNetworkDoesNotChangeTheAudio(t *testing.T) {
	coded := compand(&ulawTable, tone(400, narrowband, 16000))
	rapid.Check(t, func(t *rapid.T) {
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		loss, jitter := rapid.Float64Range(0, 0.3).Draw(t, "loss"), rapid.IntRange(0, 700).Draw(t, "jitter, ms")
		begin := time.Duration(rapid.IntRange(0, 300).Draw(t, "begin, ms")) * time.Millisecond
		first := stream{ssrc: 7, step: 160, sequence: uint16(rapid.Uint32().Draw(t, "sequence")),
			timestamp: rapid.Uint32().Draw(t, "timestamp")}
		packets := speak(&first, begin, coded)
		want := make([]int16, 8*4000)
		copy(want[begin/time.Millisecond*8:], recorded(coded))
		var received []sent
		for i, p := range packets {
			// The first one places the others, so it comes on time.
			if i > 0 && random.Float64() < loss {
				clear(want[int(begin/time.Millisecond)*8+160*i:][:160])
				continue
			}
			if i > 0 {
				p.at += time.Duration(random.IntN(jitter+1)) * time.Millisecond
			}
			received = append(received, p)
			if random.IntN(10) == 0 {
				received = append(received, sent{p.at + 30*time.Millisecond, p.packet})
			}
		}
		s := newSide()
		got := hear(s, received, 4*time.Second)
		// A window in which every packet is late is taken for a slow clock. That is
		// right, and not what is looked at here.
		if s.sources[0].anchor != s.at(begin) {
			t.Skip("the jitter was taken for a change of the clock")
		}
		sameAudio(t, got, want)
	})
}

func TestANewSourceAndAJumpOfTheClockKeepTheirPlace(t *testing.T) {
	coded := compand(&ulawTable, tone(400, narrowband, 1600))
	audio := recorded(coded)
	one := &stream{ssrc: 1, step: 160, timestamp: 5000}
	packets := speak(one, 0, coded)
	packets = append(packets, speak(&stream{ssrc: 2, step: 160, timestamp: 77}, time.Second, coded)...)
	one.timestamp += 1 << 30 // the first one again, with another clock
	packets = append(packets, speak(one, 2*time.Second, coded)...)
	one.timestamp -= 1 << 29
	packets = append(packets, speak(one, 3*time.Second, coded)...)
	rest := make([]int16, 8000-1600)
	sameAudio(t, hear(newSide(), packets, 4*time.Second),
		slices.Concat(audio, rest, audio, rest, audio, rest, audio, rest))
}

// A sender whose clock stands still while it is silent, as with music on hold that
// ends, is heard when it speaks again.
func TestAClockThatStoodStill(t *testing.T) {
	coded := compand(&ulawTable, tone(400, narrowband, 16000))
	s := &stream{ssrc: 1, step: 160}
	packets := speak(s, 0, coded[:8000])
	packets = append(packets, speak(s, 11*time.Second, coded[8000:])...)
	got := hear(newSide(), packets, 13*time.Second)
	sameAudio(t, got[88000:96000], recorded(coded[8000:]))
	sameAudio(t, got[8000:88000], make([]int16, 80000))
}

// A clock that is 1,000 ppm off, ten times what real ones are, is 0.6 s off after
// ten minutes. The recording stays within maxDrift and a window of real time.
func TestDriftIsCorrected(t *testing.T) {
	for _, drift := range []time.Duration{time.Millisecond, -time.Millisecond} { // in a second
		coded := compand(&ulawTable, tone(400, narrowband, 160))
		s, played := newSide(), &stream{ssrc: 1, step: 160}
		for i := range 30_000 {
			at := time.Duration(i) * packetTime
			at += time.Duration(at.Seconds() * float64(drift))
			s.push(at, played.next(coded))
			if i%25 == 0 {
				s.settle(s.at(at - maxWait))
				if ready := min(s.end, s.at(at)); ready > s.written {
					s.take(nil, ready)
				}
			}
			from := s.sources[0]
			off := time.Duration(s.at(at)-from.anchor-from.elapsed) * time.Second / narrowband
			if off.Abs() > maxDrift+2*time.Millisecond {
				t.Fatalf("%v a second: %v off after %v", drift, off, at)
			}
		}
		if s.counts.Played < 29_900 {
			t.Errorf("%v a second: %+v", drift, s.counts)
		}
	}
}

func TestDigitsAndNoiseMakeNoSound(t *testing.T) {
	s := newSide()
	for i := range 50 {
		at := time.Duration(i) * packetTime
		s.push(at, (&stream{kind: 101, ssrc: 1, sequence: uint16(i), timestamp: 0}).next([]byte{5, 10, 0, 160}))
		s.push(at, (&stream{kind: 77, ssrc: 1, sequence: uint16(i), timestamp: 0}).next([]byte{5, 10, 0, 160}))
		s.push(at, []byte{0x80, 0, 1})
	}
	s.settle(8000)
	sameAudio(t, s.take(nil, 8000), make([]int16, 8000))
	if s.counts != (Counts{Undecodable: 100}) {
		t.Errorf("counts %+v", s.counts)
	}
}

func TestStatefulCodecsAreDecodedInOrder(t *testing.T) {
	coded, want := readFile(t, "sweep.g722"), samples(readFile(t, "sweep.g722.pcm"))
	s := &side{rate: wideband}
	s.setFormats(wideFormats)
	packets := speak(&stream{kind: 9, ssrc: 1, step: 160}, 0, coded)
	for i := 1; i+1 < len(packets); i += 2 {
		packets[i].at, packets[i+1].at = packets[i+1].at, packets[i].at
	}
	packets = append(packets, packets[20], packets[21])
	sameAudio(t, hear(s, packets, time.Second), want)
}

// Whatever comes, a side neither panics nor keeps more than its limits.
func FuzzSide(f *testing.F) {
	f.Add([]byte{0, 0, 0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, script []byte) {
		s := &side{rate: wideband}
		s.setFormats(wideFormats)
		var now time.Duration
		for len(script) > 2 {
			now += time.Duration(script[0]) * 3 * time.Millisecond
			n := min(len(script)-2, int(script[1])%64)
			s.push(now, script[2:2+n])
			script = script[2+n:]
			s.settle(s.at(now - maxWait))
			if ready := min(s.end, s.at(now)); ready > s.written {
				if got := len(s.take(nil, ready)); int64(got) > s.at(time.Minute) {
					t.Fatalf("%d samples at once", got)
				}
			}
			if len(s.queue) > maxQueued || int64(len(s.pending)) > s.at(maxWait+maxAhead+time.Second) {
				t.Fatalf("%d packets and %d samples are kept", len(s.queue), len(s.pending))
			}
		}
	})
}
