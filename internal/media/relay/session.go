package relay

import (
	"fmt"
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
	loop    *loop

	mu         sync.Mutex // guards all below
	streams    []*stream
	audio      *stream // that the last answer with one has accepted: it is recorded
	offer      *offer
	answeredAt time.Time
	described  bool // an answer was accepted
	begun      bool // the Tap knows of it, or its announcement is playing
	lost       bool
	closed     bool
}

// offer is the last offer, whether it was answered or not.
type offer struct {
	from record.Side
	by   netip.Addr
	sent netip.Addr
	*description
	// Of each stream: whether it went on as SRTP, and whether that is left to the one who
	// answers; with which keys of the relay's own; and the key of the side that made it, if
	// any, and the relay's for its answer.
	encrypted []bool
	optional  []bool
	offered   [][]keying
	theirs    []keying
	ours      []keying
}

// stream is the stream of one m= line: the relay's ports towards each side.
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
		if err := s.openStream(s.streams[i], lines, d); err != nil {
			return nil, err
		}
	}
	s.leaveOut(read)
	o := &offer{from: d.From, by: d.Source, sent: d.Sender, description: read}
	places := s.places(read, opposite(d.From))
	for i, lines := range read.streams {
		if err := s.offerKeys(o, i, lines, d); err != nil {
			return nil, err
		}
		if places[i] != nil {
			places[i].mux, places[i].keys = lines.mux, o.offered[i]
			places[i].proto = lines.protocol(o.encrypted[i] && !o.optional[i])
		}
	}
	s.offer = o
	return read.write(places, s.relay.config.Addresses[0].Public), nil
}

// leaveOut takes off an offer what the Tap cannot record.
func (s *session) leaveOut(d *description) {
	tap, selects := s.opening.Tap.(media.Selective)
	if !selects {
		return
	}
	for _, lines := range d.streams {
		if lines.kind == "audio" && lines.relayed() && lines.rtp() {
			lines.keep(tap.Takes)
		}
	}
}

// offerKeys chooses the keys of a stream: the relay's towards both sides. A stream of
// RTP/AVP with keys is SRTP if its answer has a key too, and plain RTP otherwise: so phones
// offer SRTP that is not required of the other side.
func (s *session) offerKeys(o *offer, i int, lines *streamLines, d media.Description) error {
	var theirs, ours keying
	var offered []keying
	encrypted, optional := false, false
	if lines.relayed() && lines.rtp() {
		from, to := s.streams[i].ends[place(d.From)], s.streams[i].ends[place(opposite(d.From))]
		if lines.encrypted() && len(lines.keys) == 0 {
			return wrong("SRTP without a key that is understood")
		}
		if len(lines.keys) > 0 {
			theirs = lines.keys[0]
			ours = from.ourKey(theirs.tag, theirs.suite, s.answeredAt.IsZero())
		}
		now := to.peer.Load()
		switch {
		case d.Encryption == media.Encrypted: // whatever went on before, as a fax
			encrypted = true
		case now != nil && now.isRTP && !s.answeredAt.IsZero():
			encrypted = now.open != nil
			optional = encrypted && now.optional
		case d.Encryption == media.AsOffered:
			encrypted = lines.encrypted()
		}
		for n := 0; encrypted && n < offeredSuites; n++ {
			offered = append(offered, to.ourKey(n+1, suites[n], s.answeredAt.IsZero()))
		}
	}
	o.theirs, o.ours = append(o.theirs, theirs), append(o.ours, ours)
	o.offered = append(o.offered, offered)
	o.encrypted = append(o.encrypted, encrypted)
	o.optional = append(o.optional, optional)
	return nil
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
	case len(read.streams) > len(s.offer.streams):
		return nil, wrong("the answer has %d streams, the offer %d", len(read.streams), len(s.offer.streams))
	}
	if err := s.refuseOwn(read); err != nil {
		return nil, err
	}
	read.refuseRest(s.offer.streams)
	audio := s.acceptedAudio(read)
	for i, lines := range read.streams {
		if err := s.connect(i, lines, d, i == audio); err != nil {
			return nil, err
		}
	}
	s.tellFormats(read, audio)
	s.described = true
	s.begin()
	places := s.places(read, s.offer.from)
	for i, p := range places {
		if p == nil {
			continue
		}
		asked := s.offer.streams[i]
		p.mux = asked.mux && (asked.rtp() || read.streams[i].mux)
		p.proto = asked.proto
		if s.offer.keyed(i) {
			p.keys = []keying{s.offer.ours[i]}
		}
	}
	return read.write(places, s.relay.config.Addresses[0].Public), nil
}

// connect makes a stream pass as the offer and its answer have agreed. recorded says
// whether it is the one that the Tap hears.
func (s *session) connect(i int, answer *streamLines, d media.Description, recorded bool) error {
	asked, ends := s.offer.streams[i], s.streams[i].ends
	if ends[0] == nil {
		return nil
	}
	offerer, answerer := ends[place(s.offer.from)], ends[place(d.From)]
	tapped, rate := s.opening.Tap != nil && recorded, 0
	if formats := answer.formats(); len(formats) > 0 {
		rate = formats[0].ClockRate
	}
	if !asked.relayed() || !answer.relayed() {
		offerer.describe(nil)
		answerer.describe(nil)
		return nil
	}
	secured := answer.encrypted() || s.offer.optional[i] && len(answer.keys) > 0
	if asked.rtp() != answer.rtp() || asked.fax() != answer.fax() ||
		asked.rtp() && secured != s.offer.encrypted[i] && !(s.offer.optional[i] && !secured) {
		return wrong("%s answers to what was offered as %s", answer.proto, asked.protocol(s.offer.encrypted[i]))
	}
	toOfferer, toAnswerer := s.relay.peer(asked, s.offer.by, s.offer.sent), s.relay.peer(answer, d.Source, d.Sender)
	toOfferer.mux, toAnswerer.mux = asked.mux, answer.mux && asked.mux
	toOfferer.sends = sends(asked, answer)
	toAnswerer.sends = sends(answer, asked)
	for _, p := range []*peer{toOfferer, toAnswerer} {
		p.tapped, p.clockRate = tapped, rate
	}
	toOfferer.optional = !asked.encrypted()
	toAnswerer.optional = s.offer.optional[i]
	if s.offer.keyed(i) {
		if err := toOfferer.encrypt(offerer, s.offer.theirs[i], s.offer.ours[i]); err != nil {
			return err
		}
	}
	if secured {
		theirs, ours, ok := chosen(answer.keys, s.offer.offered[i])
		if !ok {
			return wrong("the answer chooses no key that was offered")
		}
		if err := toAnswerer.encrypt(answerer, theirs, ours); err != nil {
			return err
		}
	}
	offerer.describe(toOfferer)
	answerer.describe(toAnswerer)
	return nil
}

// keyed reports whether a stream is SRTP towards the side that has offered it.
func (o *offer) keyed(i int) bool { return o.theirs[i].key != "" }

// chosen finds the key of the relay's own that an answer has chosen by its tag.
func chosen(answered, offered []keying) (theirs, ours keying, ok bool) {
	for _, theirs := range answered {
		for _, ours := range offered {
			if theirs.tag == ours.tag && theirs.suite == ours.suite {
				return theirs, ours, true
			}
		}
	}
	return keying{}, keying{}, false
}

// sends reports whether one side sends and the other takes it.
func sends(from, to *streamLines) bool {
	return (from.direction == "sendrecv" || from.direction == "sendonly") && !to.onHold &&
		(to.direction == "sendrecv" || to.direction == "recvonly")
}

// tellFormats tells the recorder what each side may send: what the other's
// description names.
func (s *session) tellFormats(answer *description, i int) {
	if s.opening.Tap == nil || i < 0 {
		return
	}
	s.opening.Tap.Formats(s.offer.from, answer.streams[i].formats())
	s.opening.Tap.Formats(opposite(s.offer.from), s.offer.streams[i].formats())
}

// acceptedAudio is the index of the stream that is recorded, -1 for none: the first of
// audio that was offered and not refused. A telephone that offers SRTP beside RTP has two.
func (s *session) acceptedAudio(answer *description) int {
	for i, lines := range s.offer.streams {
		if lines.kind == "audio" && lines.relayed() && lines.rtp() && answer.streams[i].relayed() {
			s.audio = s.streams[i]
			return i
		}
	}
	return -1
}

// refuseOwn refuses a description that names a socket of the server's own.
func (s *session) refuseOwn(d *description) error {
	guard := s.relay.config.Reach
	for _, lines := range d.streams {
		if at := netip.AddrPortFrom(lines.address, lines.port); lines.relayed() && (guard.Own(at) || guard.Own(lines.rtcp)) {
			return fmt.Errorf("%w: %s", media.ErrForbidden, at)
		}
	}
	return nil
}

// openStream takes ports towards both sides of a stream that is offered, where there are
// none yet. The side that offers an address can be sent to by its family alone.
func (s *session) openStream(st *stream, lines *streamLines, d media.Description) error {
	family := d.Source
	named := lines.address.IsValid() && !lines.onHold
	if named {
		family = lines.address
	}
	if here := st.ends[place(d.From)]; here != nil {
		if named && here.public.Addr().Is4() != family.Is4() {
			return wrong("%s is of another family than the relay's address for this side, %s", family, here.public.Addr())
		}
		return nil
	}
	at := s.relay.addressFor(family)
	if named && at.Local.Unmap().Is4() != family.Is4() {
		return wrong("%s is of a family of which the relay has no address", family)
	}
	from, err := s.openEnd(d.From, at)
	if err != nil {
		return err
	}
	to, err := s.openEnd(opposite(d.From), s.relay.addressFor(d.Target))
	if err != nil {
		from.rtp.socket.close()
		from.rtcp.socket.close()
		s.relay.ports.give(from.number)
		return err
	}
	from.opposite, to.opposite = to, from
	st.ends[place(from.side)], st.ends[place(to.side)] = from, to
	s.loop.add(from.rtp, from.rtcp, to.rtp, to.rtcp)
	return nil
}

func (s *session) openEnd(side record.Side, a Address) (*end, error) {
	rtp, rtcp, number, err := s.relay.ports.openPair(a.Local)
	if err != nil {
		return nil, err
	}
	e := &end{session: s, side: side, number: number, public: netip.AddrPortFrom(a.Public, number)}
	e.rtp = &port{socket: rtp, end: e}
	e.rtcp = &port{socket: rtcp, end: e, rtcp: true}
	return e, nil
}

// places are the relay's ports towards a side, for a description that goes there.
func (s *session) places(d *description, side record.Side) []*placement {
	places := make([]*placement, len(d.streams))
	for i, lines := range d.streams {
		if e := s.streams[i].ends[place(side)]; e != nil && lines.relayed() {
			places[i] = &placement{address: e.public, proto: lines.proto}
		}
	}
	return places
}

// Refused implements media.Session: an offer alone has changed nothing.
func (s *session) Refused(done func()) { done() }

// Answered implements media.Session.
func (s *session) Answered(at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || !s.answeredAt.IsZero() {
		return
	}
	s.answeredAt = at
	s.begin()
}

// begin has the recording begin, or the announcement before it, once the call is
// answered and the Tap knows what both sides may send.
func (s *session) begin() {
	if s.begun || s.answeredAt.IsZero() || !s.described {
		return
	}
	s.begun = true
	if a, speaks := s.opening.Tap.(media.Announcer); speaks {
		s.relay.work.Go(func() { s.announce(a) })
		return
	}
	if s.opening.Tap != nil {
		s.opening.Tap.Answered(s.answeredAt)
	}
}

// Close implements media.Session. The Tap is closed when no packet is under way
// that it could be given.
func (s *session) Close() {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return
	}
	s.closed = true
	var ports []*port
	var numbers []uint16
	for _, st := range s.streams {
		for _, e := range st.ends {
			if e != nil {
				ports, numbers = append(ports, e.rtp, e.rtcp), append(numbers, e.number)
			}
		}
	}
	s.mu.Unlock()
	s.relay.forget(s, func() {
		gone := make(chan struct{})
		s.loop.remove(ports, func() { close(gone) })
		<-gone
		for _, number := range numbers {
			s.relay.ports.give(number)
		}
		for _, p := range ports {
			if q := p.quality.quality(p.end.side); q.Packets > 0 && s.relay.config.Measured != nil {
				s.relay.config.Measured(q)
			}
		}
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
