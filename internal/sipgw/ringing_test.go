package sipgw

import (
	"context"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/call"
	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/routing"
	"github.com/tollgate/tollgate/internal/siptrace"
)

func TestCancelBeforeTheAnswer(t *testing.T) {
	w := newWorld(t, wish{})
	pbx := w.pbx.invite("+12125550123", "")
	invite := w.carriers[0].want("INVITE")
	w.carriers[0].reply(invite, 180, "far", "", "")
	w.pbx.want("180 INVITE")
	w.pbx.request(pbx, "CANCEL", "", "")
	w.pbx.want("200 CANCEL")
	w.pbx.want("487 INVITE")
	w.pbx.request(pbx, "ACK", "", "")
	cancel := w.carriers[0].want("CANCEL")
	if cancel.Via.Branch != invite.Via.Branch || cancel.CSeq != invite.CSeq || cancel.URI != invite.URI {
		t.Errorf("CANCEL of %s %d %s for INVITE %s %d %s", cancel.Via.Branch, cancel.CSeq, cancel.URI, invite.Via.Branch,
			invite.CSeq, invite.URI)
	}
	w.carriers[0].reply(cancel, 200, "far", "", "")
	w.carriers[0].reply(invite, 487, "far", "", "")
	if ack := w.carriers[0].want("ACK"); ack.Via.Branch != invite.Via.Branch || ack.ToTag != "far" {
		t.Errorf("ACK with branch %s and tag %s", ack.Via.Branch, ack.ToTag)
	}
	if r := w.record(); r.Outcome != record.OutcomeCancelled || r.HangupCause != call.CauseCancel || r.SIPStatus != 487 {
		t.Errorf("record %+v", r)
	}
	w.settled()
}

// TestCancelWaitsForTheFirstResponse: no CANCEL may go out before the gateway has
// said anything (RFC 3261 section 9.1).
func TestCancelWaitsForTheFirstResponse(t *testing.T) {
	w := newWorld(t, wish{})
	pbx := w.pbx.invite("+12125550123", "")
	invite := w.carriers[0].want("INVITE")
	w.pbx.request(pbx, "CANCEL", "", "")
	w.pbx.want("200 CANCEL")
	w.pbx.want("487 INVITE")
	w.pbx.request(pbx, "ACK", "", "")
	w.carriers[0].reply(invite, 100, "", "", "")
	w.carriers[0].reply(w.carriers[0].await("CANCEL"), 200, "far", "", "")
	w.carriers[0].reply(invite, 487, "far", "", "")
	w.carriers[0].await("ACK")
	w.record()
	w.settled()
}

// TestTheAnswerCrossesTheCancel: the caller has its 487, so the gateway's 200 is
// acknowledged and hung up on.
func TestTheAnswerCrossesTheCancel(t *testing.T) {
	w := newWorld(t, wish{})
	pbx := w.pbx.invite("+12125550123", "")
	invite := w.carriers[0].want("INVITE")
	w.carriers[0].reply(invite, 180, "far", "", "")
	w.pbx.want("180 INVITE")
	w.pbx.request(pbx, "CANCEL", "", "")
	w.pbx.want("200 CANCEL")
	w.pbx.want("487 INVITE")
	w.pbx.request(pbx, "ACK", "", "")
	w.carriers[0].reply(w.carriers[0].want("CANCEL"), 200, "far", "", "")
	w.carriers[0].reply(invite, 200, "far", "", answerSDP)
	if ack := w.carriers[0].want("ACK"); ack.CSeq != invite.CSeq || ack.Via.Branch == invite.Via.Branch {
		t.Errorf("ACK %d with branch %s", ack.CSeq, ack.Via.Branch)
	}
	bye := w.carriers[0].want("BYE")
	if bye.ToTag != "far" || bye.CSeq <= invite.CSeq {
		t.Errorf("BYE to tag %s with CSeq %d", bye.ToTag, bye.CSeq)
	}
	w.carriers[0].reply(bye, 200, "", "", "")
	w.pbx.quiet()
	if r := w.record(); r.Outcome != record.OutcomeCancelled || r.Cost != 0 {
		t.Errorf("record %+v", r)
	}
	w.settled()
}

func TestByeToAnEarlyDialog(t *testing.T) {
	w := newWorld(t, wish{})
	pbx := w.pbx.invite("+12125550123", "")
	invite := w.carriers[0].want("INVITE")
	w.carriers[0].reply(invite, 180, "far", "", "")
	pbx.join(w.pbx.want("180 INVITE"))
	w.pbx.request(pbx, "BYE", "", "")
	w.pbx.want("200 BYE")
	w.pbx.want("487 INVITE")
	w.carriers[0].reply(w.carriers[0].want("CANCEL"), 200, "far", "", "")
	w.carriers[0].reply(invite, 487, "far", "", "")
	w.carriers[0].want("ACK")
	w.record()
	w.settled()
}

func TestAForkedAnswer(t *testing.T) {
	w := newWorld(t, wish{})
	pbx := w.pbx.invite("+12125550123", "")
	invite := w.carriers[0].want("INVITE")
	w.carriers[0].reply(invite, 180, "one", "", "")
	first := w.pbx.want("180 INVITE").ToTag
	w.carriers[0].reply(invite, 183, "two", "", answerSDP)
	second := w.pbx.want("183 INVITE").ToTag
	if first == second || first == "" || second == "" {
		t.Errorf("two early dialogs with tags %q and %q", first, second)
	}
	w.carriers[0].reply(invite, 200, "two", "", answerSDP)
	if ack := w.carriers[0].want("ACK"); ack.ToTag != "two" {
		t.Errorf("ACK to %s", ack.ToTag)
	}
	ok := w.pbx.want("200 INVITE")
	if ok.ToTag != second {
		t.Errorf("200 with tag %s, want that of the 183, %s", ok.ToTag, second)
	}
	pbx.join(ok)
	w.pbx.request(pbx, "ACK", "", "")
	for range 2 { // the other phone answers too, and repeats it
		w.carriers[0].reply(invite, 200, "one", "", answerSDP)
		if ack := w.carriers[0].await("ACK"); ack.ToTag != "one" {
			t.Errorf("ACK to %s", ack.ToTag)
		}
	}
	bye := w.carriers[0].await("BYE")
	if bye.ToTag != "one" {
		t.Errorf("BYE to %s", bye.ToTag)
	}
	w.carriers[0].reply(bye, 200, "", "", "")
	w.hangUp(pbx)
	w.record()
	w.settled()
	if n := w.srv.Stats().Forks; n != 1 {
		t.Errorf("%d forks ended, want 1", n)
	}
}

// TestAnswersAfterTheEnd: a carrier repeats its 2xx, and another fork answers, when the
// call is over already. Both are acknowledged, and the fork is ended.
func TestAnswersAfterTheEnd(t *testing.T) {
	w := newWorld(t, wish{config: func(c *Config) { c.Tracer = siptrace.NewTracer(siptrace.NewBuffer(0), nil) }})
	pbx := w.pbx.invite("+12125550123", "")
	invite := w.carriers[0].want("INVITE")
	w.carriers[0].reply(invite, 200, "one", "", answerSDP)
	w.carriers[0].await("ACK")
	pbx.join(w.pbx.await("200 INVITE"))
	w.pbx.request(pbx, "ACK", "", "")
	w.hangUp(pbx)
	w.record()
	ended, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if !w.srv.idle(ended) {
		t.Fatal("the call is not over")
	}
	for _, tag := range []string{"one", "two", "two"} {
		w.carriers[0].reply(invite, 200, tag, "", answerSDP)
		if ack := w.carriers[0].await("ACK"); ack.ToTag != tag {
			t.Errorf("ACK to %s, want %s", ack.ToTag, tag)
		}
	}
	bye := w.carriers[0].await("BYE")
	if bye.ToTag != "two" {
		t.Errorf("BYE to %s", bye.ToTag)
	}
	w.carriers[0].reply(bye, 200, "", "", "")
	w.settled()
	if n := w.srv.Stats().Forks; n != 1 {
		t.Errorf("%d forks ended, want 1", n)
	}
}

func TestFailover(t *testing.T) {
	w := newWorld(t, wish{carriers: 3, config: func(c *Config) { c.Timers.GatewayWait = 300 * time.Millisecond }})
	pbx := w.pbx.invite("+12125550123", "")
	first := w.carriers[0].want("INVITE")
	w.carriers[0].reply(first, 503, "far", "", "")
	w.carriers[0].want("ACK")
	second := w.carriers[1].want("INVITE") // and says nothing
	third := w.carriers[2].want("INVITE")
	if third.CallID == first.CallID || third.CallID == second.CallID {
		t.Error("two gateways got one Call-ID")
	}
	w.carriers[2].reply(third, 180, "far", "", "")
	w.pbx.want("180 INVITE")
	w.carriers[1].reply(second, 100, "", "", "") // it wakes up: no one is waiting any more
	w.carriers[1].reply(w.carriers[1].await("CANCEL"), 200, "late", "", "")
	w.carriers[1].reply(second, 487, "late", "", "")
	w.carriers[2].reply(third, 200, "far", "", answerSDP)
	w.carriers[2].want("ACK")
	pbx.join(w.pbx.want("200 INVITE"))
	w.pbx.request(pbx, "ACK", "", "")
	w.pbx.request(pbx, "BYE", "", "")
	w.carriers[2].reply(w.carriers[2].want("BYE"), 200, "", "", "")
	if r := w.record(); r.GatewayID != worldGateway+2 {
		t.Errorf("gateway %v", r.GatewayID)
	}
	w.settled()
}

func TestFailoverFromAClosedPort(t *testing.T) {
	closed := "127.0.0.3:9"
	first := true
	w := newWorld(t, wish{carriers: 2, tcp: true, gateway: func(g *routing.Gateway) {
		if first {
			g.Address, first = closed, false
		}
	}})
	w.pbx.connect()
	pbx := w.pbx.invite("+12125550123", "")
	w.carriers[1].conn = <-w.carriers[1].opened
	invite := w.carriers[1].want("INVITE")
	w.carriers[1].reply(invite, 486, "far", "", "")
	w.carriers[1].want("ACK")
	w.pbx.want("486 INVITE")
	w.pbx.request(pbx, "ACK", "", "")
	w.record()
	w.settled()
}

func TestTheCalleesRefusalPasses(t *testing.T) {
	w := newWorld(t, wish{carriers: 2})
	for _, status := range []int{486, 404, 603, 480, 484, 600} {
		pbx := w.pbx.invite("+12125550123", "")
		invite := w.carriers[0].want("INVITE")
		w.carriers[0].reply(invite, status, "far", "X-Secret: of the carrier\r\n", "")
		w.carriers[0].want("ACK")
		m := w.pbx.next()
		for m.CallID != pbx.callID { // a refusal before it, repeated on a busy machine
			m = w.pbx.next()
		}
		if m.Status != status || m.Get("x-secret") != "" || m.ToTag == "far" {
			t.Errorf("%d became %d %v", status, m.Status, m.Fields)
		}
		w.pbx.request(pbx, "ACK", "", "")
		if r := w.record(); int(r.SIPStatus) != status || r.Outcome != record.OutcomeFailed {
			t.Errorf("record %+v", r)
		}
	}
	w.carriers[1].quiet()
	w.settled()
}

func TestItRingsForTooLong(t *testing.T) {
	w := newWorld(t, wish{config: func(c *Config) { c.Timers.TimerC = 300 * time.Millisecond }})
	pbx := w.pbx.invite("+12125550123", "")
	invite := w.carriers[0].want("INVITE")
	w.carriers[0].reply(invite, 180, "far", "", "")
	w.pbx.want("180 INVITE")
	w.pbx.want("480 INVITE")
	w.pbx.request(pbx, "ACK", "", "")
	w.carriers[0].reply(w.carriers[0].want("CANCEL"), 200, "far", "", "")
	w.carriers[0].reply(invite, 487, "far", "", "")
	w.carriers[0].want("ACK")
	w.record()
	w.settled()
}

// TestManyProvisionalResponses: each passes once, in order, however many.
func TestManyProvisionalResponses(t *testing.T) {
	w := newWorld(t, wish{})
	pbx := w.pbx.invite("+12125550123", "")
	invite := w.carriers[0].want("INVITE")
	statuses := []int{180, 183, 181, 180, 182, 183, 180, 180, 183, 181, 180, 183, 180, 182}
	for _, status := range statuses {
		w.carriers[0].reply(invite, status, "far", "", "")
	}
	w.carriers[0].reply(invite, 200, "far", "", answerSDP)
	for i, status := range statuses {
		if m := w.pbx.next(); m.Status != status {
			t.Fatalf("response %d is %d, want %d", i, m.Status, status)
		}
	}
	pbx.join(w.pbx.want("200 INVITE"))
	w.pbx.request(pbx, "ACK", "", "")
	w.carriers[0].want("ACK")
	w.hangUp(pbx)
	w.record()
	w.settled()
}
