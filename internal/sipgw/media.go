package sipgw

import (
	"cmp"
	"errors"

	"github.com/tollgate/tollgate/internal/call"
	"github.com/tollgate/tollgate/internal/media"
	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/routing"
	"github.com/tollgate/tollgate/internal/sip"
)

// anchor is the media of one call. Without a session, descriptions pass as they
// are. With one, each goes by way of the relay, which answers later; what is to be
// sent after it waits for it, so that messages keep their order.
type anchor struct {
	session media.Session
	spoilt  error    // why the last early answer was not passed on
	waiting []func() // steps that come after the running one, in order
	asked   bool     // the recorder was asked
	closed  bool
	running bool             // the relay has a description
	wanted  media.Encryption // of the gateway that is tried, or has the call
}

// maxWaitingSteps bounds what waits for the relay: more progress of a gateway than
// this is not worth telling.
const maxWaitingSteps = 64

// openMedia decides, before a gateway is tried, whether the call is anchored:
// because it is recorded, because the server or the connection wants it, or because
// one side speaks SRTP and the other does not.
func (s *session) openMedia(wanted media.Encryption) {
	srv := s.sh.srv
	s.media.wanted = wanted
	if s.media.session != nil || s.media.closed || srv.config.Media == nil {
		return
	}
	offered := media.ProtectionOf(s.invite.Body)
	need := srv.config.AnchorAll || s.connected.AnchorMedia || wanted == media.Encrypted && offered != media.Sealed ||
		wanted == media.Plain && offered > media.Clear
	if len(s.invite.Body) == 0 {
		need = need || s.connected.EncryptedMedia
	}
	attempt := s.machine.Attempt()
	_, emergency := s.machine.Emergency()
	c := media.Call{
		ID: attempt.ID, Account: s.connected.Account, Profile: s.connected.Profile, Connection: s.connection,
		From: s.from, To: s.to, SIPCallID: s.caller.callID, Emergency: emergency,
	}
	if own := s.own(); own != nil {
		s.media.asked, s.media.session = true, srv.config.Media.Open(media.Opening{Call: c, Tap: own.speech})
		return
	}
	var tap media.Tap
	if srv.config.Recorder != nil && !s.media.asked {
		tap = srv.config.Recorder.Record(c)
	}
	s.media.asked = true
	if tap == nil && !need {
		return
	}
	s.media.session = srv.config.Media.Open(media.Opening{Call: c, Tap: tap, Lost: func() {
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

// quality is how the call's audio arrived; nil where no relay of this process has
// carried it.
func (a *anchor) quality() *record.Quality {
	if measurer, measures := a.session.(media.Measurer); measures {
		return measurer.Quality()
	}
	return nil
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

// describe takes the description of m on its way as d says, and gives then
// what to send there: the same when the call is not anchored, when there is none,
// or when an emergency call must continue without the relay.
func (s *session) describe(what kind, d media.Description, m *message, then func(body []byte, err error)) {
	if len(m.Body) > 0 {
		switch {
		case d.From == record.SideCaller && s.caller != nil:
			s.caller.said = mediaSum(m.Body)
		case d.From == record.SideCallee && s.carrier != nil:
			s.carrier.said = mediaSum(m.Body)
		}
	}
	err := s.exposes(d.From, m.Body)
	if s.media.session == nil && err == nil {
		err = s.exposes(otherSide(d.From), m.Body)
	}
	if s.media.session == nil || len(m.Body) == 0 || err != nil {
		s.passed(m.Body, err, then)
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
		body, known := sip.DescriptionIn(m.ContentType(), m.Body)
		d.SDP, d.Sender = body.SDP, m.Peer.Addr.Addr()
		if what == isOffer {
			d.Encryption = s.encryption(d.From)
		}
		done := func(sdp []byte, err error) {
			whole := body.With(sdp)
			s.sh.post(func() { s.described(m, whole, cmp.Or(err, s.exposes(otherSide(d.From), whole)), then) })
		}
		if !known {
			done(nil, media.ErrDescription)
			return
		}
		give(d, done)
	})
}

// passed continues with a description that no relay gets: now, or after those that wait
// for one.
func (s *session) passed(body []byte, err error, then func([]byte, error)) {
	if err != nil {
		s.sh.srv.count.mediaErrors.Add(1)
		s.sh.srv.log.Info("a session description was refused", "call", s.machine.ID(), "error", err)
		body = nil
	}
	s.inOrder(func() { then(body, err) })
}

// sealed reports whether a side speaks encrypted media only, through the whole call. An
// emergency call continues without the relay.
func (s *session) sealed(side record.Side) bool {
	if side == record.SideCaller && (!s.connected.EncryptedMedia || s.own() != nil) ||
		side == record.SideCallee && s.media.wanted != media.Encrypted {
		return false
	}
	_, emergency := s.machine.Emergency()
	return !emergency
}

// exposes says of a description of a side's, or to it, that it would have media pass
// unencrypted where they must not. A fax is not encrypted either.
func (s *session) exposes(side record.Side, body []byte) error {
	if len(body) == 0 || !s.sealed(side) {
		return nil
	}
	if p := media.ProtectionOf(body); p == media.Clear || p == media.Mixed {
		return media.ErrClear
	}
	return nil
}

func otherSide(side record.Side) record.Side {
	if side == record.SideCaller {
		return record.SideCallee
	}
	return record.SideCaller
}

// described takes what the relay made of a description and continues with what waits.
func (s *session) described(m *message, body []byte, err error, then func([]byte, error)) {
	if err != nil {
		body = nil
	}
	if _, emergency := s.machine.Emergency(); emergency && err != nil && !errors.Is(err, media.ErrClosed) {
		s.closeMedia()
		s.media.session = nil
		body, err = m.Body, nil
	}
	if err != nil && !errors.Is(err, media.ErrClosed) {
		s.sh.srv.count.mediaErrors.Add(1)
		s.sh.srv.log.Info("a session description could not be anchored", "call", s.machine.ID(), "error", err)
	}
	then(body, err)
	s.resume()
}

// offerRefused restores the relay to its state before an offer that the other side refused.
func (s *session) offerRefused() {
	if s.media.session == nil {
		return
	}
	s.inOrder(func() {
		if s.media.session == nil || s.media.closed {
			return
		}
		s.media.running = true
		s.media.session.Refused(func() { s.sh.post(s.resume) })
	})
}

// resume continues with what waits for the relay.
func (s *session) resume() {
	s.media.running = false
	for len(s.media.waiting) > 0 && !s.media.running {
		next := s.media.waiting[0]
		s.media.waiting = s.media.waiting[1:]
		next()
	}
}

// offer prepares the caller's offer for the gateway and sends the INVITE.
func (a *attempt) offer() {
	s := a.s
	if s.sealed(record.SideCaller) && len(s.invite.Body) > 0 && media.ProtectionOf(s.invite.Body) != media.Sealed {
		s.handle(noMedia(a, media.ErrClear))
		return
	}
	s.openMedia(a.encryption())
	d := media.Description{
		From: record.SideCaller, Source: s.caller.peer.Addr.Addr(), Target: a.leg.peer.Addr.Addr(),
	}
	s.describe(isOffer, d, s.invite, func(body []byte, err error) {
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

// encryption is what the side that gets an offer of from is to be offered.
func (s *session) encryption(from record.Side) media.Encryption {
	switch {
	case from == record.SideCaller:
		return s.media.wanted
	case from == record.SideCallee && s.connected.EncryptedMedia && s.own() == nil:
		return media.Encrypted
	}
	return media.AsOffered
}

// encryption is what the gateway is offered.
func (a *attempt) encryption() media.Encryption {
	switch wanted := a.gateway.EncryptedMedia; {
	case wanted == nil:
		// Keys that go over UDP or TCP can be read on the way, and few carriers there take
		// SRTP: the relay takes it off.
		if a.s.sh.srv.config.Media != nil && !a.leg.peer.TLS && media.SealedByKeys(a.s.invite.Body) {
			return media.Plain
		}
		return media.AsOffered
	case *wanted == routing.MediaSRTP:
		return media.Encrypted
	}
	return media.Plain
}

// noMedia ends a call whose offer cannot be anchored.
func noMedia(a *attempt, err error) call.Event {
	if errors.Is(err, media.ErrDescription) {
		return call.NoMedia{Gateway: a.n, Status: 488, Phrase: phraseOfMedia(err), Cause: call.CauseIncompatible}
	}
	return call.NoMedia{Gateway: a.n, Status: 503, Phrase: "Service Unavailable", Cause: call.CauseNoResource}
}

// phraseOfMedia says with a 488 why a description is not taken.
func phraseOfMedia(err error) string {
	switch {
	case errors.Is(err, media.ErrForbidden):
		return "Media Address Not Allowed"
	case errors.Is(err, media.ErrClear):
		return "Encrypted Media Required"
	}
	return "Not Acceptable Here"
}

// fromGateway is what the body of a gateway's response to the caller's INVITE is.
func (s *session) fromGateway() kind {
	if len(s.invite.Body) == 0 {
		return isOffer
	}
	return isAnswer
}

// between gives a description of one leg's peer to the other's.
func (l *leg) between(what kind, m *message, then func(body []byte, err error)) {
	d := media.Description{From: l.side, Source: l.peer.Addr.Addr(), Target: l.other().peer.Addr.Addr()}
	l.s.describe(what, d, m, then)
}
