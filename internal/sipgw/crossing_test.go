package sipgw

import (
	"testing"

	"github.com/tollgate/tollgate/internal/call"
	"github.com/tollgate/tollgate/internal/record"
)

// TestByeCrossesReinvite: a side that hangs up while a re-INVITE is on its way ends
// the call once, and the re-INVITE gets its final answer (RFC 3261 section 15.1.2).
func TestByeCrossesReinvite(t *testing.T) {
	for name, carrierHangsUp := range map[string]bool{"the carrier hangs up": true, "the caller hangs up": false} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, wish{})
			carrier := w.carriers[0]
			pbx, far := w.talk("")
			w.pbx.request(pbx, "INVITE", "", offer)
			again := carrier.want("INVITE")
			by := record.SideCaller
			if carrierHangsUp {
				by = record.SideCallee
				carrier.request(far, "BYE", "", "")
				carrier.await("200 BYE")
				w.pbx.reply(w.pbx.await("BYE"), 200, "", "", "")
			} else {
				w.pbx.request(pbx, "BYE", "", "")
				w.pbx.await("200 BYE")
				carrier.reply(carrier.await("BYE"), 200, "", "", "")
			}
			if r := w.record(); r.HangupSource != by || r.HangupCause != call.CauseNormal {
				t.Errorf("record %+v", r)
			}
			carrier.reply(again, 487, "far", "", "")
			carrier.await("ACK")
			w.pbx.await("487 INVITE")
			w.settled()
		})
	}
}

// TestByesCross: both sides hang up at once, and both get their answers.
func TestByesCross(t *testing.T) {
	w := newWorld(t, wish{})
	carrier := w.carriers[0]
	pbx, far := w.talk("")
	carrier.request(far, "BYE", "", "")
	w.pbx.request(pbx, "BYE", "", "")
	carrier.await("200 BYE")
	w.pbx.await("200 BYE")
	for _, p := range []*party{carrier, w.pbx} {
		// Who hung up later may have got a BYE already; it answers 481 to it.
		select {
		case m := <-p.got:
			if m.Request {
				p.reply(m, 481, "", "", "")
			}
		default:
		}
	}
	w.record()
	w.settled()
}

// TestEarlyMediaOfTwoGateways: early media of a gateway that then fails is followed
// by that of the next one, in a dialog of its own.
func TestEarlyMediaOfTwoGateways(t *testing.T) {
	w := newWorld(t, wish{carriers: 2})
	first, second := w.carriers[0], w.carriers[1]
	pbx := w.pbx.invite("+12125550123", "")
	invite := first.want("INVITE")
	first.reply(invite, 183, "one", "", answerSDP)
	early := w.pbx.want("183 INVITE")
	first.reply(invite, 503, "one", "", "")
	first.want("ACK")
	invite = second.want("INVITE")
	second.reply(invite, 183, "two", "", offer)
	later := w.pbx.want("183 INVITE")
	if early.ToTag == later.ToTag || string(early.Body) != answerSDP || string(later.Body) != offer {
		t.Errorf("183 with tag %s and %q, then with %s and %q", early.ToTag, early.Body, later.ToTag, later.Body)
	}
	second.reply(invite, 200, "two", "", offer)
	second.want("ACK")
	answer := w.pbx.want("200 INVITE")
	if answer.ToTag != later.ToTag {
		t.Errorf("200 with tag %s, want %s", answer.ToTag, later.ToTag)
	}
	pbx.join(answer)
	w.pbx.request(pbx, "ACK", "", "")
	w.pbx.request(pbx, "BYE", "", "")
	second.reply(second.want("BYE"), 200, "", "", "")
	w.pbx.want("200 BYE")
	w.record()
	w.settled()
}
