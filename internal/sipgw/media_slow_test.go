package sipgw

import (
	"sync"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/call"
	"github.com/tollgate/tollgate/internal/media"
	"github.com/tollgate/tollgate/internal/record"
)

// slow is a relay whose results are held back until the test lets them go, as those
// of a relay on another host are.
type slow struct {
	media.Relay
	mu   sync.Mutex // guards held
	held []func()
	came chan struct{}
}

type slowSession struct {
	media.Session
	relay *slow
}

func (s *slow) Open(o media.Opening) media.Session { return slowSession{s.Relay.Open(o), s} }

func (s slowSession) Offer(d media.Description, done func([]byte, error)) {
	s.Session.Offer(d, s.relay.hold(done))
}

func (s slowSession) Answer(d media.Description, done func([]byte, error)) {
	s.Session.Answer(d, s.relay.hold(done))
}

func (s *slow) hold(done func([]byte, error)) func([]byte, error) {
	return func(sdp []byte, err error) {
		s.mu.Lock()
		s.held = append(s.held, func() { done(sdp, err) })
		s.mu.Unlock()
		s.came <- struct{}{}
	}
}

// release lets the next result go, once it is there.
func (s *slow) release(t *testing.T) {
	t.Helper()
	select {
	case <-s.came:
	case <-time.After(patience):
		t.Fatal("the relay was not asked")
	}
	s.mu.Lock()
	next := s.held[0]
	s.held = s.held[1:]
	s.mu.Unlock()
	next()
}

func slowWorld(t *testing.T) (*world, *slow) {
	s := &slow{came: make(chan struct{}, 100)}
	want := anchored(t, nil)
	build := want.config
	want.config = func(c *Config) {
		build(c)
		s.Relay, c.Media = c.Media, s
	}
	return newWorld(t, want), s
}

func TestASlowRelayKeepsTheOrder(t *testing.T) {
	w, s := slowWorld(t)
	near, far := newMic(t, pbxAddress), newMic(t, carrierAddress)
	pbx := newDialog(w.pbx, "+12125550123")
	w.pbx.request(pbx, "INVITE", "", near.sdp())
	s.release(t)
	invite := w.carriers[0].await("INVITE")
	toFar := audioOf(t, invite.Body)
	w.carriers[0].reply(invite, 183, "far", "", far.sdp())
	w.carriers[0].reply(invite, 180, "far", "", "")
	w.carriers[0].reply(invite, 200, "far", "", far.sdp())
	w.carriers[0].await("ACK") // the 200 has been taken; nothing has gone to the caller
	w.pbx.await("100 INVITE")
	w.pbx.quiet()
	s.release(t)
	w.pbx.want("183 INVITE")
	w.pbx.want("180 INVITE")
	s.release(t)
	ok := w.pbx.want("200 INVITE")
	pbx.join(ok)
	w.pbx.request(pbx, "ACK", "", "")
	converse(t, near, far, audioOf(t, ok.Body), toFar)
	w.hangUp(pbx)
	w.record()
	w.settled()
}

func TestTheCallerGivesUpWhileTheRelayIsAsked(t *testing.T) {
	w, s := slowWorld(t)
	pbx := w.pbx.invite("+12125550123", "")
	w.pbx.await("100 INVITE")
	<-s.came
	w.pbx.request(pbx, "CANCEL", "", "")
	w.pbx.await("487 INVITE")
	w.pbx.request(pbx, "ACK", "", "")
	s.came <- struct{}{}
	s.release(t)
	if r := w.record(); r.Outcome != record.OutcomeCancelled {
		t.Errorf("record %+v", r)
	}
	w.carriers[0].quiet() // no INVITE went out
	w.settled()
}

func TestTheCalleeHangsUpWhileTheRelayIsAsked(t *testing.T) {
	w, s := slowWorld(t)
	pbx := w.pbx.invite("+12125550123", "")
	s.release(t)
	invite := w.carriers[0].await("INVITE")
	w.carriers[0].reply(invite, 200, "far", "", answerSDP)
	w.carriers[0].await("ACK")
	w.carriers[0].request(w.carriers[0].serverDialog(invite, "far"), "BYE", "", "")
	w.carriers[0].await("200 BYE")
	s.release(t)
	pbx.join(w.pbx.await("200 INVITE"))
	w.pbx.request(pbx, "ACK", "", "")
	w.pbx.reply(w.pbx.await("BYE"), 200, "", "", "")
	if r := w.record(); r.HangupSource != record.SideCallee || r.HangupCause != call.CauseNormal {
		t.Errorf("record: %s by %s", r.HangupCause, r.HangupSource)
	}
	w.settled()
}

func TestTheCalleeRefusesWhileTheRelayIsAsked(t *testing.T) {
	w, s := slowWorld(t)
	pbx := w.pbx.invite("+12125550123", "")
	s.release(t)
	invite := w.carriers[0].await("INVITE")
	w.carriers[0].reply(invite, 183, "far", "", answerSDP)
	w.carriers[0].reply(invite, 486, "far", "", "")
	w.pbx.await("486 INVITE")
	w.pbx.request(pbx, "ACK", "", "")
	s.release(t)
	w.record()
	w.pbx.quiet() // the 183 came too late
	w.settled()
}

func TestAReinviteWhileTheRelayIsAsked(t *testing.T) {
	w, s := slowWorld(t)
	pbx := w.pbx.invite("+12125550123", "")
	s.release(t)
	invite := w.carriers[0].await("INVITE")
	w.carriers[0].reply(invite, 200, "far", "", answerSDP)
	w.carriers[0].await("ACK")
	s.release(t)
	pbx.join(w.pbx.await("200 INVITE"))
	w.pbx.request(pbx, "ACK", "", "")
	far := w.carriers[0].serverDialog(invite, "far")
	w.pbx.request(pbx, "INVITE", "", offer)
	w.pbx.await("100 INVITE")
	<-s.came
	// Glare: the other side's own re-INVITE comes while this one is with the relay.
	w.carriers[0].request(far, "INVITE", "", answerSDP)
	w.carriers[0].await("491 INVITE")
	w.carriers[0].request(far, "ACK", "", "")
	s.came <- struct{}{}
	s.release(t)
	re := w.carriers[0].await("INVITE")
	w.carriers[0].reply(re, 200, "", "", answerSDP)
	w.carriers[0].await("ACK")
	s.release(t)
	w.pbx.await("200 INVITE")
	w.pbx.request(pbx, "ACK", "", "")
	w.hangUp(pbx)
	w.record()
	w.settled()
}
