package sipgw

import (
	"strings"
	"testing"

	"github.com/tollgate/tollgate/internal/call"
	"github.com/tollgate/tollgate/internal/record"
)

func TestACallFromEndToEnd(t *testing.T) {
	w := newWorld(t, wish{})
	carrier := w.carriers[0]
	pbx := w.pbx.invite("+12125550123", "Supported: 100rel, timer\r\nP-Asserted-Identity: <sip:+12125550111@pbx.test>\r\n")
	if m := <-w.pbx.got; label(m) != "100 INVITE" || m.ToTag != "" {
		t.Errorf("first response %s with tag %q, want 100 without", label(m), m.ToTag)
	}
	invite := carrier.want("INVITE")
	if string(invite.Body) != offer {
		t.Errorf("the offer became %q", invite.Body)
	}
	if invite.CallID == pbx.callID || strings.Contains(invite.Contact(), w.pbx.address()) || len(invite.All("via")) != 1 {
		t.Errorf("the caller's side shows: Call-ID %s, Contact %s, Via %q", invite.CallID, invite.Contact(),
			invite.All("via"))
	}
	contains(t, invite, "from", "<sip:+12125550111@")
	contains(t, invite, "max-forwards", "69")
	contains(t, invite, "session-expires", "180")
	contains(t, invite, "p-asserted-identity", "")
	if !invite.Lists("supported", "100rel") || !invite.Lists("supported", "timer") {
		t.Errorf("Supported is %q", invite.Get("supported"))
	}
	if !strings.HasPrefix(invite.URI, "sip:+12125550123@"+carrier.address()) {
		t.Errorf("Request-URI %s", invite.URI)
	}
	carrier.reply(invite, 183, "far", "", answerSDP)
	early := w.pbx.want("183 INVITE")
	if string(early.Body) != answerSDP || early.ToTag == "" || early.ToTag == "far" {
		t.Errorf("183 with tag %q and body %q", early.ToTag, early.Body)
	}
	carrier.reply(invite, 200, "far", "", answerSDP)
	carrier.want("ACK")
	ok := w.pbx.want("200 INVITE")
	if ok.ToTag != early.ToTag || string(ok.Body) != answerSDP {
		t.Errorf("200 with tag %q after 183 with %q", ok.ToTag, early.ToTag)
	}
	pbx.join(ok)
	w.pbx.request(pbx, "ACK", "", "")
	if live := w.srv.Live(); len(live) != 1 || live[0].To != 12125550123 || live[0].AnsweredAt.IsZero() ||
		live[0].Gateway != worldGateway {
		t.Errorf("live calls %+v", live)
	}
	w.pbx.request(pbx, "BYE", "", "")
	w.pbx.want("200 BYE")
	carrier.reply(carrier.want("BYE"), 200, "", "", "")
	r := w.record()
	if r.Outcome != record.OutcomeAnswered || r.HangupCause != call.CauseNormal || r.HangupSource != record.SideCaller ||
		r.BilledSecs != 1 || r.GatewayID != worldGateway || r.RingingMicros == 0 || r.SIPCallID != pbx.callID {
		t.Errorf("record %+v", r)
	}
	w.settled()
	if live := w.srv.Live(); len(live) != 0 {
		t.Errorf("live calls after the end %+v", live)
	}
}

func TestTheCalleeHangsUp(t *testing.T) {
	w := newWorld(t, wish{})
	_, far := w.talk("")
	w.carriers[0].request(far, "BYE", "", "")
	w.carriers[0].want("200 BYE")
	bye := w.pbx.want("BYE")
	contains(t, bye, "reason", "cause=16")
	w.pbx.reply(bye, 200, "", "", "")
	if r := w.record(); r.HangupSource != record.SideCallee || r.Outcome != record.OutcomeAnswered {
		t.Errorf("record %+v", r)
	}
	w.settled()
}

func TestOverTCP(t *testing.T) {
	w := newWorld(t, wish{tcp: true})
	w.pbx.connect()
	carrier := w.carriers[0]
	pbx := w.pbx.invite("+12125550123", "")
	carrier.conn = <-carrier.opened
	invite := carrier.want("INVITE")
	contains(t, invite, "via", "SIP/2.0/TCP")
	contains(t, invite, "contact", "transport=tcp")
	carrier.reply(invite, 200, "far", "", answerSDP)
	carrier.want("ACK")
	pbx.join(w.pbx.want("200 INVITE"))
	w.pbx.request(pbx, "ACK", "", "")
	far := carrier.serverDialog(invite, "far")
	carrier.request(far, "BYE", "", "")
	carrier.want("200 BYE")
	w.pbx.reply(w.pbx.want("BYE"), 200, "", "", "")
	w.record()
	w.settled()
	if len(carrier.opened) != 0 {
		t.Error("a second connection was opened to the carrier")
	}
}
