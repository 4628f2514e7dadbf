package relay

import (
	"crypto/rand"
	"encoding/binary"
	"time"

	"github.com/tollgate/tollgate/internal/media"
	"github.com/tollgate/tollgate/internal/record"
)

// announceInterval is the time of one payload of an announcement.
const announceInterval = 20 * time.Millisecond

// speaker plays an announcement to one side.
type speaker struct {
	end    *end
	what   media.Announcement
	header [leastRTPBytes]byte
}

// announce plays what the Tap has to say to both sides, and has the recording begin
// after it. It ends early with the call.
func (s *session) announce(a media.Announcer) {
	speakers := s.speakers(a)
	begun := time.Now() // of the pace alone
	ticker := time.NewTicker(announceInterval)
	defer ticker.Stop()
	said := 0
	for {
		var left bool
		said, left = sayUpTo(speakers, said, int(time.Since(begun)/announceInterval)+1)
		s.mu.Lock()
		closed := s.closed
		if !left && !closed {
			for _, one := range speakers {
				one.end.announced.Store(false)
			}
			a.Answered(s.relay.config.Clock())
		}
		s.mu.Unlock()
		if closed || !left {
			return
		}
		<-ticker.C
	}
}

// sayUpTo sends the payloads that come after those that were said, up to the due-th, and
// reports whether more follow. A tick that comes early has none to send, and ends nothing.
func sayUpTo(speakers []*speaker, said, due int) (now int, left bool) {
	for ; said < due; said++ {
		for _, one := range speakers {
			one.say(said)
		}
	}
	for _, one := range speakers {
		left = left || said < len(one.what.Payloads)
	}
	return said, left
}

// speakers are the sides that have something to hear. They hear nothing else from
// here on.
func (s *session) speakers(a media.Announcer) (all []*speaker) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, side := range []record.Side{record.SideCaller, record.SideCallee} {
		what := a.Announcement(side)
		if s.closed || s.audio == nil || len(what.Payloads) == 0 {
			continue
		}
		one := &speaker{end: s.audio.ends[place(side)], what: what}
		_, _ = rand.Read(one.header[2:]) // sequence, timestamp and SSRC (RFC 3550 section 5.1); never fails
		one.header[0] = rtpVersion << versionShift
		one.header[1] = what.PayloadType
		one.end.announced.Store(true)
		all = append(all, one)
	}
	return all
}

// say sends the n-th payload, if there is one.
func (sp *speaker) say(n int) {
	if n >= len(sp.what.Payloads) {
		return
	}
	packet := make([]byte, 0, leastRTPBytes+len(sp.what.Payloads[n])+sealBytes)
	packet = append(append(packet, sp.header[:]...), sp.what.Payloads[n]...)
	if n == 0 {
		packet[1] |= 0x80 // the marker: a talkspurt begins (RFC 3551 section 4.1)
	}
	binary.BigEndian.PutUint16(packet[2:], binary.BigEndian.Uint16(packet[2:])+uint16(n))
	binary.BigEndian.PutUint32(packet[4:], binary.BigEndian.Uint32(packet[4:])+uint32(n)*sp.what.Step)
	e := sp.end
	e.session.loop.through(e.rtp, func() {
		target := e.peer.Load()
		if target == nil || !target.isRTP {
			return
		}
		if sealed, ok := target.seal.seal(packet, false); ok {
			e.send(sealed, target, false, 0)
		}
	})
}
