package relay

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/record"
)

func TestLossAndJitter(t *testing.T) {
	const packetTime = 20 * time.Millisecond
	for _, c := range []struct {
		name     string
		sequence func(i int) int           // of the ith packet; below zero it is lost
		delay    func(i int) time.Duration // of its arrival
		lost     uint64
		jitter   time.Duration // give or take a tenth
	}{
		{"all there", func(i int) int { return i }, nil, 0, 0},
		{"over the end of the numbers", func(i int) int { return 65000 + i }, nil, 0, 0},
		{"every tenth is lost", func(i int) int {
			if i%10 == 5 {
				return -1
			}
			return i
		}, nil, 100, 0},
		{"pairs change places", func(i int) int { return i ^ 1 }, nil, 0, 40 * time.Millisecond},
		{"it starts again", func(i int) int { return i + i/500*20000 }, nil, 0, 0},
		{"late by turns", func(i int) int { return i },
			func(i int) time.Duration { return time.Duration(i%2) * 10 * time.Millisecond }, 0, 10 * time.Millisecond},
	} {
		a, start := arrivals{}, time.Unix(1_800_000_000, 0)
		for i := range 1000 {
			n := c.sequence(i)
			if n < 0 {
				continue
			}
			packet := make([]byte, 172)
			binary.BigEndian.PutUint16(packet[2:], uint16(n))
			binary.BigEndian.PutUint32(packet[4:], uint32(n)*160)
			if c.name == "it starts again" {
				binary.BigEndian.PutUint32(packet[4:], uint32(i)*160)
			}
			at := start.Add(time.Duration(i) * packetTime)
			if c.delay != nil {
				at = at.Add(c.delay(i))
			}
			a.take(packet, at, 8000)
		}
		q := a.quality(record.SideCaller)
		if q.Packets+q.Lost != 1000 || q.Lost != c.lost {
			t.Errorf("%s: %d packets, %d lost; want %d lost", c.name, q.Packets, q.Lost, c.lost)
		}
		if difference := q.Jitter - c.jitter; max(difference, -difference) > c.jitter/4+time.Millisecond {
			t.Errorf("%s: jitter %v, want %v", c.name, q.Jitter, c.jitter)
		}
	}
}
