package sipgw

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/call"
	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/profile"
	"github.com/tollgate/tollgate/internal/record"
)

// TestTheGrantEndsTheCall: a cent a second and three cents of budget.
func TestTheGrantEndsTheCall(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wish{profile: func(p *profile.Profile) {
		p.DailySpendLimitEnabled, p.DailySpendLimit = true, new(money.MustParse("0.03"))
		p.SpendLimitAction = profile.EndCalls
	}})
	w.talk("")
	near, far := w.pbx.want("BYE"), w.carriers[0].want("BYE")
	contains(t, near, "reason", "cause=102")
	w.pbx.reply(near, 200, "", "", "")
	w.carriers[0].reply(far, 200, "", "", "")
	r := w.record()
	if r.HangupCause != call.CauseTimeLimit || r.HangupSource != record.SideTollgate || r.BilledSecs != 3 ||
		r.OverrunSecs != 0 || r.DurationMicros < 2_400_000 || r.DurationMicros > 3_000_000 {
		t.Errorf("record %+v", r)
	}
	w.settled()
}

// TestARaisedLimitKeepsTheCall: the money comes between a refused renewal and the
// end of the grant.
func TestARaisedLimitKeepsTheCall(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wish{profile: func(p *profile.Profile) {
		p.DailySpendLimitEnabled, p.DailySpendLimit = true, new(money.MustParse("0.03"))
		p.SpendLimitAction = profile.EndCalls
	}})
	pbx, _ := w.talk("")
	p := profile.New()
	p.ID, p.AccountID, p.Version = worldProfile, worldAccount, 2
	w.publish(wish{})
	deadline := time.Now().Add(patience)
	for time.Now().Before(deadline) {
		if live := w.srv.Live(); len(live) == 1 && live[0].Granted > 3*time.Second {
			break
		}
		w.carriers[0].quiet() // a round trip, so that this does not spin
	}
	if live := w.srv.Live(); len(live) != 1 || live[0].Granted <= 3*time.Second {
		t.Fatalf("live %+v", live)
	}
	w.hangUp(pbx)
	w.record()
	w.settled()
}

func TestTheStoreHangsAndTheCallEndsAllTheSame(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wish{profile: func(p *profile.Profile) {
		p.DailySpendLimitEnabled, p.DailySpendLimit = true, new(money.MustParse("0.02"))
		p.SpendLimitAction = profile.EndCalls
	}})
	w.talk("")
	w.ledger.set(nil, true)
	w.pbx.reply(w.pbx.want("BYE"), 200, "", "", "")
	w.carriers[0].reply(w.carriers[0].want("BYE"), 200, "", "", "")
	w.ledger.set(nil, false)
	if r := w.record(); r.HangupCause != call.CauseTimeLimit || r.OverrunSecs != 0 {
		t.Errorf("record %+v", r)
	}
	w.settled()
}

func TestALostAnswerIsRepeated(t *testing.T) {
	w := newWorld(t, wish{})
	pbx := w.pbx.invite("+12125550123", "")
	invite := w.carriers[0].want("INVITE")
	w.carriers[0].reply(invite, 200, "far", "", answerSDP)
	w.carriers[0].want("ACK")
	w.carriers[0].reply(invite, 200, "far", "", answerSDP) // our ACK was lost
	w.carriers[0].want("ACK")
	for range 3 {
		w.pbx.want("200 INVITE")
	}
	pbx.join(w.pbx.want("200 INVITE"))
	w.pbx.request(pbx, "ACK", "", "")
	w.hangUp(pbx)
	w.record()
	w.settled()
}

func TestTheAckNeverComes(t *testing.T) {
	w := newWorld(t, wish{config: func(c *Config) { c.Timers.T1 = 20 * time.Millisecond }})
	w.pbx.invite("+12125550123", "")
	invite := w.carriers[0].want("INVITE")
	w.carriers[0].reply(invite, 200, "far", "", answerSDP)
	w.carriers[0].reply(w.carriers[0].await("BYE"), 200, "", "", "")
	w.pbx.reply(w.pbx.await("BYE"), 200, "", "", "")
	if r := w.record(); r.HangupCause != call.CauseNoAck {
		t.Errorf("record %+v", r)
	}
	w.settled()
}

// TestTheCarrierHangsUpBeforeTheAck: no BYE to the caller before its ACK.
func TestTheCarrierHangsUpBeforeTheAck(t *testing.T) {
	w := newWorld(t, wish{})
	pbx := w.pbx.invite("+12125550123", "")
	invite := w.carriers[0].want("INVITE")
	w.carriers[0].reply(invite, 200, "far", "", answerSDP)
	w.carriers[0].want("ACK")
	w.carriers[0].request(w.carriers[0].serverDialog(invite, "far"), "BYE", "", "")
	w.carriers[0].want("200 BYE")
	pbx.join(w.pbx.want("200 INVITE"))
	w.record()
	w.pbx.want("200 INVITE") // repeated, and still no BYE
	w.pbx.request(pbx, "ACK", "", "")
	w.pbx.reply(w.pbx.await("BYE"), 200, "", "", "")
	w.settled()
}

func TestARepeatedInviteIsAnsweredFromMemory(t *testing.T) {
	w := newWorld(t, wish{})
	d := newDialog(w.pbx, "+12125550123")
	text := w.pbx.text("INVITE", d.target, d, "", offer)
	w.pbx.send(text)
	invite := w.carriers[0].want("INVITE")
	w.carriers[0].reply(invite, 180, "far", "", "")
	first := w.pbx.want("180 INVITE")
	w.pbx.send(text)
	if again := w.pbx.want("180 INVITE"); again.ToTag != first.ToTag {
		t.Errorf("tag %s, then %s", first.ToTag, again.ToTag)
	}
	w.carriers[0].reply(invite, 486, "far", "", "")
	w.pbx.want("486 INVITE")
	w.pbx.want("486 INVITE") // repeated until the ACK
	w.pbx.request(d, "CANCEL", "", "")
	w.pbx.await("200 CANCEL") // too late for it, and harmless
	ack := strings.Replace(strings.Replace(text, "INVITE sip", "ACK sip", 1), "1 INVITE", "1 ACK", 1)
	w.pbx.send(ack)
	w.record()
	w.carriers[0].want("ACK")
	w.carriers[0].quiet()
	w.settled()
}

// TestBursts: 183 and 200 back to back keep their order, and ACK and BYE back to
// back leave a record, every time.
func TestBursts(t *testing.T) {
	w := newWorld(t, wish{})
	const times = 200
	for i := range times {
		pbx := w.pbx.invite("+12125550123", "")
		invite := w.carriers[0].await("INVITE")
		w.carriers[0].reply(invite, 183, "far", "", answerSDP)
		w.carriers[0].reply(invite, 200, "far", "", answerSDP)
		w.pbx.want("183 INVITE")
		pbx.join(w.pbx.want("200 INVITE"))
		w.pbx.request(pbx, "ACK", "", "")
		w.pbx.request(pbx, "BYE", "", "")
		w.pbx.want("200 BYE")
		w.carriers[0].reply(w.carriers[0].await("BYE"), 200, "", "", "")
		if r := w.record(); r.Outcome != record.OutcomeAnswered || r.SIPCallID != pbx.callID {
			t.Fatalf("call %d: record %+v", i, r)
		}
	}
	w.settled()
}

func TestReinviteBothWays(t *testing.T) {
	w := newWorld(t, wish{})
	pbx, far := w.talk("")
	parties := map[string]struct {
		from, to *party
		d        *dialog
	}{"caller": {w.pbx, w.carriers[0], pbx}, "carrier": {w.carriers[0], w.pbx, far}}
	for name, p := range parties {
		p.from.request(p.d, "INVITE", "", offer+"a=sendonly\r\n")
		re := p.to.want("INVITE")
		if re.ToTag == "" || !strings.HasSuffix(string(re.Body), "a=sendonly\r\n") {
			t.Errorf("%s: re-INVITE with tag %q and body %q", name, re.ToTag, re.Body)
		}
		p.to.reply(re, 200, "", "", answerSDP+"a=recvonly\r\n")
		p.to.want("ACK")
		ok := p.from.want("200 INVITE")
		if !strings.HasSuffix(string(ok.Body), "a=recvonly\r\n") {
			t.Errorf("%s: answer %q", name, ok.Body)
		}
		p.from.request(p.d, "ACK", "", "")
		// A refused one leaves the call as it was.
		p.from.request(p.d, "INVITE", "", offer)
		p.to.reply(p.to.want("INVITE"), 488, "", "", "")
		p.to.want("ACK")
		p.from.want("488 INVITE")
		p.from.request(p.d, "ACK", "", "")
		// An offer may be asked for: it comes in the 2xx, and the answer in the ACK.
		p.from.request(p.d, "INVITE", "", "")
		p.to.reply(p.to.want("INVITE"), 200, "", "", offer)
		ok = p.from.want("200 INVITE")
		if string(ok.Body) != offer {
			t.Errorf("%s: offer %q", name, ok.Body)
		}
		p.from.request(p.d, "ACK", "", answerSDP)
		if ack := p.to.want("ACK"); string(ack.Body) != answerSDP {
			t.Errorf("%s: answer in ACK %q", name, ack.Body)
		}
	}
	w.hangUp(pbx)
	w.record()
	w.settled()
}

func TestGlare(t *testing.T) {
	w := newWorld(t, wish{})
	pbx, far := w.talk("")
	w.pbx.request(pbx, "INVITE", "", offer)
	re := w.carriers[0].want("INVITE")
	w.carriers[0].request(far, "INVITE", "", offer)
	w.carriers[0].want("491 INVITE")
	w.carriers[0].request(far, "ACK", "", "")
	w.carriers[0].reply(re, 491, "", "", "")
	w.carriers[0].want("ACK")
	w.pbx.want("491 INVITE")
	w.pbx.request(pbx, "ACK", "", "")
	w.hangUp(pbx)
	w.record()
	w.settled()
}

func TestCancelOfAReinvite(t *testing.T) {
	w := newWorld(t, wish{})
	pbx, _ := w.talk("")
	w.pbx.request(pbx, "INVITE", "", offer)
	re := w.carriers[0].want("INVITE")
	w.carriers[0].reply(re, 180, "", "", "")
	w.carriers[0].quiet()
	w.pbx.request(pbx, "CANCEL", "", "")
	w.pbx.want("200 CANCEL")
	w.carriers[0].reply(w.carriers[0].want("CANCEL"), 200, "", "", "")
	w.carriers[0].reply(re, 487, "", "", "")
	w.carriers[0].want("ACK")
	w.pbx.want("487 INVITE")
	w.pbx.request(pbx, "ACK", "", "")
	w.hangUp(pbx)
	w.record()
	w.settled()
}

func TestUpdateAndInfo(t *testing.T) {
	w := newWorld(t, wish{})
	pbx, far := w.talk("Allow: INVITE, ACK, BYE, CANCEL, UPDATE\r\n")
	// The carrier's UPDATE passes as such, since the PBX takes it.
	w.carriers[0].request(far, "UPDATE", "", offer)
	w.pbx.reply(w.pbx.want("UPDATE"), 200, "", "", answerSDP)
	if m := w.carriers[0].want("200 UPDATE"); string(m.Body) != answerSDP {
		t.Errorf("answer %q", m.Body)
	}
	// The PBX's becomes an INVITE for a carrier that did not say it takes UPDATE.
	w.pbx.request(pbx, "UPDATE", "", offer)
	w.carriers[0].reply(w.carriers[0].want("INVITE"), 200, "", "", answerSDP)
	w.carriers[0].want("ACK")
	if m := w.pbx.want("200 UPDATE"); string(m.Body) != answerSDP {
		t.Errorf("answer %q", m.Body)
	}
	// Without an offer it is a refresh, which does not concern the other leg.
	w.pbx.request(pbx, "UPDATE", "", "")
	w.pbx.want("200 UPDATE")
	w.pbx.send(strings.Replace(w.pbx.text("INFO", pbx.target, pbx, "", "Signal=5\r\n"), "application/sdp",
		"application/dtmf-relay", 1))
	info := w.carriers[0].want("INFO")
	contains(t, info, "content-type", "application/dtmf-relay")
	if string(info.Body) != "Signal=5\r\n" {
		t.Errorf("INFO %q", info.Body)
	}
	w.carriers[0].reply(info, 200, "", "", "")
	w.pbx.want("200 INFO")
	w.pbx.request(pbx, "OPTIONS", "", "")
	w.pbx.want("200 OPTIONS")
	w.pbx.request(pbx, "REFER", "Refer-To: <sip:+19005550123@elsewhere.test>\r\n", "")
	w.pbx.want("405 REFER")
	w.hangUp(pbx)
	w.record()
	w.settled()
}

func TestALateOffer(t *testing.T) {
	w := newWorld(t, wish{})
	pbx := newDialog(w.pbx, "+12125550123")
	w.pbx.request(pbx, "INVITE", "", "")
	invite := w.carriers[0].want("INVITE")
	if len(invite.Body) != 0 {
		t.Errorf("offer %q out of nothing", invite.Body)
	}
	w.carriers[0].reply(invite, 200, "far", "", offer)
	ok := w.pbx.want("200 INVITE")
	if string(ok.Body) != offer {
		t.Errorf("offer %q", ok.Body)
	}
	pbx.join(ok)
	w.pbx.request(pbx, "ACK", "", answerSDP)
	if ack := w.carriers[0].want("ACK"); string(ack.Body) != answerSDP {
		t.Errorf("answer %q", ack.Body)
	}
	w.hangUp(pbx)
	w.record()
	w.settled()
}

// TestRouteSets: requests within a dialog take the way of the first one.
func TestRouteSets(t *testing.T) {
	w := newWorld(t, wish{})
	edge := w.party("127.0.0.4", false)
	inner := "<sip:10.9.8.7:5070;lr>"
	pbx := newDialog(w.pbx, "+12125550123")
	w.pbx.request(pbx, "INVITE", fmt.Sprintf("Record-Route: <sip:%s;lr>, %s\r\n", edge.address(), inner), offer)
	invite := w.carriers[0].want("INVITE")
	if invite.Get("record-route") != "" {
		t.Errorf("the caller's proxies are shown: %s", invite.Get("record-route"))
	}
	w.carriers[0].reply(invite, 200, "far",
		fmt.Sprintf("Record-Route: <sip:deep.test;lr>, <sip:%s;lr>\r\n", edge.address()), answerSDP)
	ok := w.pbx.want("200 INVITE")
	if got := ok.All("record-route"); len(got) != 2 || got[1] != inner {
		t.Errorf("Record-Route of the 200: %q", got)
	}
	ack := edge.want("ACK")
	if got := ack.All("route"); len(got) != 2 || got[1] != "<sip:deep.test;lr>" ||
		ack.URI != "sip:"+w.carriers[0].address() {
		t.Errorf("ACK to %s by %q", ack.URI, got)
	}
	pbx.join(ok)
	pbx.routes = nil // the edge has taken its own and the inner one off
	w.pbx.request(pbx, "ACK", "", "")
	w.carriers[0].request(w.carriers[0].serverDialog(invite, "far"), "BYE", "", "")
	w.carriers[0].want("200 BYE")
	bye := edge.want("BYE")
	if got := bye.All("route"); len(got) != 2 || got[1] != inner || bye.URI != "sip:"+w.pbx.address() {
		t.Errorf("BYE to %s by %q", bye.URI, got)
	}
	edge.reply(bye, 200, "", "", "")
	w.record()
	w.settled()
}

func TestRequestsOutOfOrder(t *testing.T) {
	w := newWorld(t, wish{})
	pbx, _ := w.talk("")
	pbx.cseq = 40
	w.pbx.request(pbx, "OPTIONS", "", "")
	w.pbx.want("200 OPTIONS")
	pbx.cseq = 30
	w.pbx.request(pbx, "OPTIONS", "", "")
	w.pbx.want("500 OPTIONS")
	pbx.cseq = 50
	stranger := *pbx
	stranger.local = strings.Replace(pbx.local, ";tag=", ";tag=x", 1)
	w.pbx.request(&stranger, "BYE", "", "")
	w.pbx.want("481 BYE")
	w.hangUp(pbx)
	w.record()
	w.settled()
}
