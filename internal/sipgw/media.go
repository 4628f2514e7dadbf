package sipgw

import (
	"errors"
	"net/netip"
	"strings"

	"github.com/tollgate/tollgate/internal/call"
	"github.com/tollgate/tollgate/internal/media"
	"github.com/tollgate/tollgate/internal/record"
)

// anchor is the media of one call. Without a session, descriptions pass as they
// are. With one, each goes by way of the relay, which answers later; what is to be
// sent after it waits for it, so that messages keep their order.
type anchor struct {
	asked   bool // whether the call is to be anchored has been decided
	session media.Session
	closed  bool
	running bool     // the relay has a description
	waiting []func() // steps that come after it, in order
}

// maxWaitingSteps bounds what waits for the relay: more progress of a gateway than
// this is not worth telling.
const maxWaitingSteps = 64

// openMedia decides, once for a call that was let through, whether it is anchored:
// because it is recorded, or because the server or the connection wants it.
func (s *session) openMedia() {
	g := s.sh.g
	if s.media.asked || g.config.Media == nil {
		return
	}
	s.media.asked = true
	attempt := s.machine.Attempt()
	_, emergency := s.machine.Emergency()
	c := media.Call{
		ID: attempt.ID, Account: s.account, Profile: s.profile, Connection: s.connection,
		From: s.from, To: s.to, SIPCallID: s.caller.callID, Emergency: emergency,
	}
	var tap media.Tap
	if g.config.Recorder != nil {
		tap = g.config.Recorder.Record(c)
	}
	if tap == nil && !g.config.AnchorAll && !s.anchorWanted {
		return
	}
	s.media.session = g.config.Media.Open(media.Opening{Call: c, Tap: tap, Lost: func() {
		s.sh.post(func() { s.handle(call.HungUp{Cause: call.CauseMediaTimeout}) })
	}})
}

// closeMedia gives the relay's ports back.
func (s *session) closeMedia() {
	if s.media.session != nil && !s.media.closed {
		s.media.closed = true
		s.media.session.Close()
	}
}

// inOrder runs a step now, or after those that wait for the relay.
func (s *session) inOrder(step func()) {
	if s.media.running {
		s.media.waiting = append(s.media.waiting, step)
		return
	}
	step()
}

// kind tells an offer from an answer.
type kind uint8

const (
	isOffer kind = iota
	isAnswer
)

// describe takes a description on its way from a side to the other, and gives then
// what to send there: the same when the call is not anchored, when there is none,
// or when an emergency call must go on without the relay.
func (s *session) describe(what kind, from record.Side, source, target netip.Addr, m *message, then func(body []byte, err error)) {
	if s.media.session == nil || len(m.body) == 0 {
		s.inOrder(func() { then(m.body, nil) })
		return
	}
	s.inOrder(func() {
		if s.media.closed {
			then(nil, media.ErrClosed)
			return
		}
		s.media.running = true
		give := s.media.session.Offer
		if what == isAnswer {
			give = s.media.session.Answer
		}
		d := media.Description{From: from, SDP: m.body, Source: source, Target: target}
		done := func(body []byte, err error) {
			s.sh.post(func() { s.described(m, body, err, then) })
		}
		if !isSDP(m.get("content-type")) {
			done(nil, media.ErrDescription)
			return
		}
		give(d, done)
	})
}

// described takes what the relay made of a description and goes on with what waits.
func (s *session) described(m *message, body []byte, err error, then func([]byte, error)) {
	if _, emergency := s.machine.Emergency(); emergency && err != nil && !errors.Is(err, media.ErrClosed) {
		s.closeMedia()
		s.media.session = nil
		body, err = m.body, nil
	}
	if err != nil && !errors.Is(err, media.ErrClosed) {
		s.sh.g.count.mediaErrors.Add(1)
		s.sh.g.log.Info("a session description could not be anchored", "call", s.machine.ID(), "error", err)
	}
	then(body, err)
	s.media.running = false
	for len(s.media.waiting) > 0 && !s.media.running {
		next := s.media.waiting[0]
		s.media.waiting = s.media.waiting[1:]
		next()
	}
}

// isSDP says whether a body is a session description and nothing else.
func isSDP(contentType string) bool {
	kind, _, _ := strings.Cut(contentType, ";")
	return strings.EqualFold(trimSpace(kind), "application/sdp")
}

// offer prepares the caller's offer for the gateway and sends the INVITE.
func (a *attempt) offer() {
	s := a.s
	s.openMedia()
	s.describe(isOffer, record.SideCaller, s.caller.peer.addr.Addr(), a.leg.peer.addr.Addr(), s.invite, func(body []byte, err error) {
		switch {
		case a.cancelled || s.attempt != a || s.invite == nil:
		case err != nil:
			s.handle(noMedia(a, err))
		default:
			a.body = body
			a.invite()
		}
	})
}

// noMedia is what becomes of a call whose offer cannot be anchored.
func noMedia(a *attempt, err error) call.Event {
	if errors.Is(err, media.ErrDescription) {
		return call.NoMedia{Gateway: a.n, Status: 488, Phrase: "Not Acceptable Here", Cause: call.CauseIncompatible}
	}
	return call.NoMedia{Gateway: a.n, Status: 503, Phrase: "Service Unavailable", Cause: call.CauseNoResource}
}

// fromGateway is what the body of a gateway's response to the caller's INVITE is.
func (s *session) fromGateway() kind {
	if len(s.invite.body) == 0 {
		return isOffer
	}
	return isAnswer
}

// between gives a description of one leg's peer to the other's.
func (l *leg) between(what kind, m *message, then func(body []byte, err error)) {
	o := l.other()
	l.s.describe(what, l.side, l.peer.addr.Addr(), o.peer.addr.Addr(), m, then)
}
