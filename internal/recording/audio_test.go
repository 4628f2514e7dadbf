package recording

import (
	"encoding/binary"
	"math"
	"os"
	"slices"
	"sort"
	"testing"
	"time"

	"github.com/pion/rtp"

	"github.com/tollgate/tollgate/internal/media"
)

// tone is a sine of so many samples.
func tone(hz float64, rate, samples int) []int16 {
	out := make([]int16, samples)
	for i := range out {
		out[i] = int16(8000 * math.Sin(2*math.Pi*hz*float64(i)/float64(rate)))
	}
	return out
}

// power is how strong a frequency is in audio, by Goertzel's algorithm; a sine's is
// its amplitude.
func power(audio []int16, rate int, hz float64) float64 {
	w := 2 * math.Pi * hz / float64(rate)
	var s1, s2 float64
	for _, v := range audio {
		s1, s2 = float64(v)+2*math.Cos(w)*s1-s2, s1
	}
	re, im := s1-s2*math.Cos(w), s2*math.Sin(w)
	return 2 * math.Hypot(re, im) / float64(len(audio))
}

// compand finds the nearest code of a law.
func compand(table *[256]int16, audio []int16) []byte {
	codes := make([]byte, 256) // in the order of what they mean
	for i := range codes {
		codes[i] = byte(i)
	}
	slices.SortStableFunc(codes, func(a, b byte) int { return int(table[a]) - int(table[b]) })
	out := make([]byte, len(audio))
	for i, v := range audio {
		above := sort.Search(len(codes), func(j int) bool { return table[codes[j]] >= v })
		below := max(0, above-1)
		above = min(above, len(codes)-1)
		out[i] = codes[below]
		if int(table[codes[above]])-int(v) < int(v)-int(table[codes[below]]) {
			out[i] = codes[above]
		}
	}
	return out
}

// stream makes RTP packets of 20 ms.
type stream struct {
	kind      uint8
	ssrc      uint32
	sequence  uint16
	timestamp uint32
	step      uint32 // of the timestamp, each packet
}

func (s *stream) next(payload []byte) []byte {
	p := rtp.Packet{Header: rtp.Header{Version: 2, PayloadType: s.kind, SSRC: s.ssrc, SequenceNumber: s.sequence,
		Timestamp: s.timestamp}, Payload: payload}
	text, err := p.Marshal()
	if err != nil {
		panic(err)
	}
	s.sequence++
	s.timestamp += s.step
	return text
}

var formats = []media.Format{
	{PayloadType: 0, Name: "PCMU", ClockRate: 8000, Channels: 1},
	{PayloadType: 8, Name: "pcma", ClockRate: 8000, Channels: 1},
	{PayloadType: 101, Name: "telephone-event", ClockRate: 8000, Channels: 1},
}

var wideFormats = append([]media.Format{
	{PayloadType: 9, Name: "G722", ClockRate: 8000, Channels: 1},
	{PayloadType: 96, Name: "opus", ClockRate: 48000, Channels: 2},
}, formats...)

func readFile(t *testing.T, name string) []byte {
	t.Helper()
	text, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// samples reads 16-bit little-endian audio.
func samples(raw []byte) []int16 {
	out := make([]int16, len(raw)/2)
	for i := range out {
		out[i] = int16(binary.LittleEndian.Uint16(raw[2*i:]))
	}
	return out
}

// channel is one channel of frames of two.
func channel(audio []int16, c int) []int16 {
	var out []int16
	for i := c; i < len(audio); i += 2 {
		out = append(out, audio[i])
	}
	return out
}

const packetTime = 20 * time.Millisecond
