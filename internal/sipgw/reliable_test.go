package sipgw

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tollgate/tollgate/internal/call"
	"github.com/tollgate/tollgate/internal/record"
)

const reliably = "Supported: 100rel\r\nAllow: INVITE, ACK, CANCEL, BYE, PRACK, UPDATE\r\n"

// reliable sends a provisional response of the carrier's reliably.
func (p *party) reliable(invite *message, status int, tag string, rseq int, body string) {
	p.t.Helper()
	p.reply(invite, status, tag,
		fmt.Sprintf("Require: 100rel\r\nRSeq: %d\r\nAllow: INVITE, ACK, CANCEL, BYE, PRACK, UPDATE\r\n", rseq), body)
}

// rack is the RAck of a response to an INVITE.
func rack(m *message) string {
	return fmt.Sprintf("RAck: %s %d INVITE\r\n", m.Get("rseq"), m.CSeq)
}

// TestReliableResponses: a response that the carrier sends reliably is repeated to
// the caller until its PRACK, which goes to the carrier; the 200 waits for it.
func TestReliableResponses(t *testing.T) {
	w := newWorld(t, wish{})
	carrier := w.carriers[0]
	pbx := w.pbx.invite("+12125550123", reliably)
	invite := carrier.want("INVITE")
	if !invite.Lists("supported", "100rel") || !invite.Lists("allow", "PRACK") {
		t.Errorf("Supported %q, Allow %q", invite.Get("supported"), invite.Get("allow"))
	}
	carrier.reliable(invite, 183, "far", 7, answerSDP)
	first := w.pbx.want("183 INVITE")
	again := w.pbx.want("183 INVITE") // since no PRACK has come
	if !first.Lists("require", "100rel") || first.Get("rseq") == "" || first.Get("rseq") != again.Get("rseq") ||
		string(first.Body) != answerSDP {
		t.Errorf("Require %q, RSeq %q and then %q, body %q", first.Get("require"), first.Get("rseq"), again.Get("rseq"),
			first.Body)
	}
	carrier.reliable(invite, 183, "far", 7, answerSDP) // the carrier repeats it too
	carrier.reliable(invite, 180, "far", 9, "")        // 8 is missing: not in order
	pbx.join(first)
	wrong := *pbx
	w.pbx.request(&wrong, "PRACK", "RAck: 1 1 INVITE\r\n", "")
	w.pbx.await("481 PRACK")
	pbx.cseq = wrong.cseq
	w.pbx.request(pbx, "PRACK", rack(first), "")
	prack := carrier.want("PRACK")
	if want := fmt.Sprintf("7 %d INVITE", invite.CSeq); prack.Get("rack") != want || prack.ToTag != "far" ||
		prack.CSeq <= invite.CSeq {
		t.Errorf("RAck %q, want %q; CSeq %d to %s", prack.Get("rack"), want, prack.CSeq, prack.ToTag)
	}
	carrier.reply(prack, 200, "", "", "")
	w.pbx.await("200 PRACK")

	carrier.reliable(invite, 180, "far", 8, "")
	second := w.pbx.want("180 INVITE")
	carrier.reply(invite, 200, "far", "", answerSDP)
	carrier.want("ACK")
	w.pbx.want("180 INVITE") // the 200 waits
	w.pbx.request(pbx, "PRACK", rack(second), "")
	prack = carrier.want("PRACK")
	carrier.reply(prack, 200, "", "", "")
	w.pbx.await("200 PRACK")
	answer := w.pbx.want("200 INVITE")
	if answer.ToTag != first.ToTag {
		t.Errorf("200 with tag %s after 183 with %s", answer.ToTag, first.ToTag)
	}
	pbx.join(answer)
	// The ACK of a 2xx has the CSeq of its INVITE.
	ack := *pbx
	ack.cseq = int(answer.CSeq)
	w.pbx.request(&ack, "ACK", "", "")
	w.pbx.request(pbx, "BYE", "", "")
	bye := carrier.want("BYE")
	if bye.CSeq <= prack.CSeq {
		t.Errorf("BYE with CSeq %d after PRACK with %d", bye.CSeq, prack.CSeq)
	}
	carrier.reply(bye, 200, "", "", "")
	w.pbx.want("200 BYE")
	if r := w.record(); r.Outcome != record.OutcomeAnswered {
		t.Errorf("record %+v", r)
	}
	w.settled()
}

// TestOffersBeforeTheAnswer: a PRACK with an offer and UPDATEs of both sides pass,
// with their answers.
func TestOffersBeforeTheAnswer(t *testing.T) {
	w := newWorld(t, wish{})
	carrier := w.carriers[0]
	changed := func(name string) string { return strings.Replace(offer, "s=-", "s="+name, 1) }
	pbx := w.pbx.invite("+12125550123", reliably)
	invite := carrier.want("INVITE")
	carrier.reliable(invite, 183, "far", 1, answerSDP)
	early := w.pbx.want("183 INVITE")
	pbx.join(early)
	w.pbx.request(pbx, "PRACK", rack(early), changed("by PRACK"))
	prack := carrier.want("PRACK")
	if string(prack.Body) != changed("by PRACK") {
		t.Errorf("PRACK with %q", prack.Body)
	}
	carrier.reply(prack, 200, "", "", changed("answer"))
	if ok := w.pbx.await("200 PRACK"); string(ok.Body) != changed("answer") {
		t.Errorf("200 to PRACK with %q", ok.Body)
	}
	w.pbx.request(pbx, "UPDATE", "", changed("by the caller"))
	update := carrier.want("UPDATE")
	if string(update.Body) != changed("by the caller") || update.ToTag != "far" {
		t.Errorf("UPDATE to %s with %q", update.ToTag, update.Body)
	}
	far := carrier.serverDialog(invite, "far")
	carrier.request(far, "UPDATE", "", changed("crossing"))
	carrier.want("491 UPDATE")
	carrier.reply(update, 200, "", "", changed("yes"))
	if ok := w.pbx.want("200 UPDATE"); string(ok.Body) != changed("yes") {
		t.Errorf("200 to UPDATE with %q", ok.Body)
	}
	carrier.request(far, "UPDATE", "", changed("by the carrier"))
	update = w.pbx.want("UPDATE")
	if string(update.Body) != changed("by the carrier") || update.FromTag != early.ToTag {
		t.Errorf("UPDATE from %s with %q", update.FromTag, update.Body)
	}
	w.pbx.reply(update, 200, "", "", changed("no"))
	if ok := carrier.want("200 UPDATE"); string(ok.Body) != changed("no") {
		t.Errorf("200 to UPDATE with %q", ok.Body)
	}
	w.pbx.request(pbx, "CANCEL", "", "")
	w.pbx.await("481 CANCEL") // its branch is the UPDATE's: the test's, not the gateway's matter
	carrier.reply(invite, 486, "far", "", "")
	carrier.want("ACK")
	w.pbx.await("486 INVITE")
	w.record()
	w.settled()
	w.srv.each(func(sh *shard) {
		if len(sh.early) != 0 {
			t.Errorf("%d early dialogs are left", len(sh.early))
		}
	})
}

// TestTheCallerInsists: what the carrier does not send reliably is made reliable here.
func TestTheCallerInsists(t *testing.T) {
	w := newWorld(t, wish{})
	carrier := w.carriers[0]
	pbx := w.pbx.invite("+12125550123", strings.Replace(reliably, "Supported", "Require", 1))
	invite := carrier.want("INVITE")
	carrier.reply(invite, 180, "far", "", "")
	ringing := w.pbx.want("180 INVITE")
	if !ringing.Lists("require", "100rel") {
		t.Errorf("Require %q", ringing.Get("require"))
	}
	pbx.join(ringing)
	w.pbx.request(pbx, "PRACK", rack(ringing), "")
	w.pbx.await("200 PRACK")
	carrier.reply(invite, 486, "far", "", "")
	carrier.want("ACK") // and no PRACK before it
	w.pbx.await("486 INVITE")
	w.record()
	w.settled()
}

// TestNoPrackEver: a caller that acknowledges nothing is given up.
func TestNoPrackEver(t *testing.T) {
	w := newWorld(t, wish{config: func(c *Config) { c.Timers.T1, c.Timers.T2 = c.Timers.T1/10, c.Timers.T2/10 }})
	carrier := w.carriers[0]
	w.pbx.invite("+12125550123", reliably)
	invite := carrier.want("INVITE")
	carrier.reliable(invite, 180, "far", 1, "")
	carrier.reply(carrier.await("CANCEL"), 200, "far", "", "")
	carrier.reply(invite, 487, "far", "", "")
	w.pbx.await("487 INVITE")
	if r := w.record(); r.HangupCause != call.CauseCancel {
		t.Errorf("record %+v", r)
	}
	w.settled()
}

// TestAnotherBranchHangsUp: the BYE of an early dialog that was not chosen ends nothing.
func TestAnotherBranchHangsUp(t *testing.T) {
	w := newWorld(t, wish{})
	carrier := w.carriers[0]
	pbx := w.pbx.invite("+12125550123", reliably)
	invite := carrier.want("INVITE")
	for i, tag := range []string{"one", "two"} {
		carrier.reliable(invite, 180, tag, 1+i, "")
		ringing := w.pbx.await("180 INVITE")
		early := *pbx
		early.join(ringing)
		w.pbx.request(&early, "PRACK", rack(ringing), "")
		pbx.cseq = early.cseq
		prack := carrier.want("PRACK")
		if prack.ToTag != tag {
			t.Errorf("PRACK to %s, want %s", prack.ToTag, tag)
		}
		carrier.reply(prack, 200, "", "", "")
		w.pbx.await("200 PRACK")
	}
	carrier.reply(invite, 200, "two", "", answerSDP)
	carrier.want("ACK")
	answer := w.pbx.await("200 INVITE")
	ack := *pbx
	ack.join(answer)
	ack.cseq = int(answer.CSeq)
	w.pbx.request(&ack, "ACK", "", "")
	carrier.request(carrier.serverDialog(invite, "one"), "BYE", "", "")
	carrier.want("481 BYE")
	w.pbx.quiet()
	pbx.join(answer)
	w.hangUp(pbx)
	w.record()
	w.settled()
}
