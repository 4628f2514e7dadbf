package relay

import (
	"net/netip"
	"sync"
	"time"

	"github.com/tollgate/tollgate/internal/media"
	"github.com/tollgate/tollgate/internal/record"
)

// session is one anchored call.
type session struct {
	relay   *Relay
	opening media.Opening
	readers sync.WaitGroup // of the ports

	mu         sync.Mutex // guards all below
	streams    []*stream
	offer      *offer
	answeredAt time.Time
	lost       bool
	closed     bool
}

// offer is the last offer, whether it was answered or not.
type offer struct {
	from record.Side
	by   netip.Addr
	*description
}

// stream is what one m= line stands for: the relay's ports towards each side.
type stream struct {
	ends [2]*end // caller, callee; nil where the stream is not relayed
}

// place is the index of a side's end.
func place(side record.Side) int {
	if side == record.SideCallee {
		return 1
	}
	return 0
}

func opposite(side record.Side) record.Side {
	if side == record.SideCaller {
		return record.SideCallee
	}
	return record.SideCaller
}

// Offer implements media.Session.
func (s *session) Offer(d media.Description, done func([]byte, error)) { done(s.takeOffer(d)) }

func (s *session) takeOffer(d media.Description) ([]byte, error) {
	read, err := readDescription(d.SDP)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, media.ErrClosed
	}
	if err := s.refuseOwn(read); err != nil {
		return nil, err
	}
	for i, lines := range read.streams {
		if i == len(s.streams) {
			s.streams = append(s.streams, &stream{})
		}
		if !lines.relayed() {
			continue
		}
		if err := s.openStream(s.streams[i], d); err != nil {
			return nil, err
		}
	}
	s.offer = &offer{d.From, d.Source, read}
	return s.write(read, opposite(d.From), func(_ int, lines *streamLines) bool { return lines.mux }), nil
}

// Answer implements media.Session.
func (s *session) Answer(d media.Description, done func([]byte, error)) { done(s.takeAnswer(d)) }

func (s *session) takeAnswer(d media.Description) ([]byte, error) {
	read, err := readDescription(d.SDP)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return nil, media.ErrClosed
	case s.offer == nil || s.offer.from == d.From:
		return nil, wrong("an answer without an offer")
	case len(read.streams) != len(s.offer.streams):
		return nil, wrong("the answer has %d streams, the offer %d", len(read.streams), len(s.offer.streams))
	}
	if err := s.refuseOwn(read); err != nil {
		return nil, err
	}
	for i, lines := range read.streams {
		s.connect(i, lines, d)
	}
	s.tellFormats(read)
	return s.write(read, s.offer.from, func(i int, _ *streamLines) bool { return s.offer.streams[i].mux }), nil
}

// connect makes a stream pass as the offer and its answer have agreed.
func (s *session) connect(i int, answer *streamLines, d media.Description) {
	asked, ends := s.offer.streams[i], s.streams[i].ends
	if ends[0] == nil {
		return
	}
	offerer, answerer := ends[place(s.offer.from)], ends[place(d.From)]
	tapped := s.opening.Tap != nil && i == s.audio()
	if !asked.relayed() || !answer.relayed() {
		offerer.describe(nil)
		answerer.describe(nil)
		return
	}
	offerer.describe(&peer{
		rtp: netip.AddrPortFrom(asked.address, asked.port), rtcp: asked.rtcp, signalling: s.offer.by,
		mux: asked.mux, isRTP: asked.rtp(), onHold: asked.onHold, sends: sends(asked, answer), tapped: tapped,
	})
	answerer.describe(&peer{
		rtp: netip.AddrPortFrom(answer.address, answer.port), rtcp: answer.rtcp, signalling: d.Source,
		mux: answer.mux && asked.mux, isRTP: answer.rtp(), onHold: answer.onHold, sends: sends(answer, asked), tapped: tapped,
	})
}

// sends says whether one side sends and the other takes it.
func sends(from, to *streamLines) bool {
	return (from.direction == "sendrecv" || from.direction == "sendonly") && !to.onHold &&
		(to.direction == "sendrecv" || to.direction == "recvonly")
}

// tellFormats tells the recorder what each side may send: what the other's
// description names.
func (s *session) tellFormats(answer *description) {
	i := s.audio()
	if s.opening.Tap == nil || i < 0 {
		return
	}
	s.opening.Tap.Formats(s.offer.from, answer.streams[i].formats())
	s.opening.Tap.Formats(opposite(s.offer.from), s.offer.streams[i].formats())
}

// audio is the index of the stream that is recorded: the first of audio.
func (s *session) audio() int {
	for i, lines := range s.offer.streams {
		if lines.kind == "audio" && lines.relayed() && lines.rtp() {
			return i
		}
	}
	return -1
}

// refuseOwn refuses a description that names a port of the relay's own.
func (s *session) refuseOwn(d *description) error {
	for _, lines := range d.streams {
		if s.relay.own(netip.AddrPortFrom(lines.address, lines.port)) || s.relay.own(lines.rtcp) {
			return wrong("it names a port of the relay's own")
		}
	}
	return nil
}

// openStream takes ports towards both sides, where there are none yet.
func (s *session) openStream(st *stream, d media.Description) error {
	if st.ends[0] != nil {
		return nil
	}
	from, err := s.openEnd(d.From, s.relay.addressFor(d.Source))
	if err != nil {
		return err
	}
	to, err := s.openEnd(opposite(d.From), s.relay.addressFor(d.Target))
	if err != nil {
		from.close()
		return err
	}
	from.opposite, to.opposite = to, from
	st.ends[place(from.side)], st.ends[place(to.side)] = from, to
	for _, p := range []*port{from.rtp, from.rtcp, to.rtp, to.rtcp} {
		s.readers.Go(p.run)
	}
	return nil
}

func (s *session) openEnd(side record.Side, a Address) (*end, error) {
	rtp, rtcp, number, err := s.relay.ports.openPair(a.Local)
	if err != nil {
		return nil, err
	}
	e := &end{session: s, side: side, number: number, public: netip.AddrPortFrom(a.Public, number)}
	e.rtp, e.rtcp = &port{conn: rtp, end: e}, &port{conn: rtcp, end: e, rtcp: true}
	return e, nil
}

// write writes a description for a side, with the relay's ports towards it.
func (s *session) write(d *description, side record.Side, mux func(int, *streamLines) bool) []byte {
	places := make([]*placement, len(d.streams))
	fallback := s.relay.config.Addresses[0].Public
	for i, lines := range d.streams {
		e := s.streams[i].ends[place(side)]
		if e == nil || !lines.relayed() {
			continue
		}
		places[i] = &placement{address: e.public, mux: mux(i, lines)}
	}
	return d.write(places, fallback)
}

// Answered implements media.Session.
func (s *session) Answered(at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || !s.answeredAt.IsZero() {
		return
	}
	s.answeredAt = at
	if s.opening.Tap != nil {
		s.opening.Tap.Answered(at)
	}
}

// Close implements media.Session. The sockets are closed at once; the Tap is
// closed when no reader is left that could give it a packet.
func (s *session) Close() {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return
	}
	s.closed = true
	streams := s.streams
	s.mu.Unlock()
	s.relay.forget(s, func() {
		for _, st := range streams {
			for _, e := range st.ends {
				if e != nil {
					e.close()
				}
			}
		}
		s.readers.Wait()
		if s.opening.Tap != nil {
			s.opening.Tap.Close()
		}
	})
}

// checkSilence reports a call that was answered and in which nothing is heard any more.
func (s *session) checkSilence(now time.Time, limit time.Duration) {
	s.mu.Lock()
	lost := s.silent(now, limit)
	if lost {
		s.lost = true
	}
	s.mu.Unlock()
	if lost && s.opening.Lost != nil {
		s.opening.Lost()
	}
}

func (s *session) silent(now time.Time, limit time.Duration) bool {
	if s.closed || s.lost || s.answeredAt.IsZero() {
		return false
	}
	senders, quiet, dead := 0, 0, 0
	for side := range 2 {
		last, sending := s.answeredAt, false
		for _, st := range s.streams {
			e := st.ends[side]
			if e == nil {
				continue
			}
			if p := e.peer.Load(); p != nil && p.sends {
				sending = true
			}
			if at := time.UnixMicro(e.lastMicros.Load()); at.After(last) {
				last = at
			}
		}
		if !sending {
			continue
		}
		senders++
		if since := now.Sub(last); since > limit {
			quiet++
			if since > oneSided*limit {
				dead++
			}
		}
	}
	return senders > 0 && (quiet == senders || dead > 0)
}
