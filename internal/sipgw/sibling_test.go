package sipgw

import (
	"strings"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/sip"
)

// TestACarriersSibling: a machine that the carrier never named rings and hangs up; with
// another tag it is not listened to.
func TestACarriersSibling(t *testing.T) {
	w := newWorld(t, wish{})
	carrier, sibling := w.carriers[0], w.party(strangerAddress, false)
	d := w.pbx.invite("+12125550123", "")
	invite := carrier.want("INVITE")
	sibling.reply(invite, 180, "far", "", "")
	w.pbx.want("180 INVITE")
	carrier.reply(invite, 200, "far", "", answerSDP)
	carrier.want("ACK")
	d.join(w.pbx.want("200 INVITE"))
	w.pbx.request(d, "ACK", "", "")

	far := sibling.serverDialog(invite, "far")
	forged := *far
	i := strings.Index(far.remote, "tag=") + len("tag=")
	forged.remote = far.remote[:i] + strings.Repeat("A", len(far.remote)-i)
	before := w.srv.Stats().Filtered
	sibling.request(&forged, "BYE", "", "")
	for deadline := time.Now().Add(patience); w.srv.Stats().Filtered == before; {
		if time.Now().After(deadline) {
			t.Fatal("a guessed tag passed the filter")
		}
		w.pause()
	}
	sibling.request(far, "BYE", "", "")
	sibling.want("200 BYE")
	w.pbx.reply(w.pbx.want("BYE"), 200, "", "", "")
	w.record()
	w.settled()
}

// TestATagOpensNothingElse: who has seen a tag of ours can begin no call by it, and gets no
// answer, wherever it is written.
func TestATagOpensNothingElse(t *testing.T) {
	w := newWorld(t, wish{})
	pbx, carrier := w.talk("")
	stranger := w.party(strangerAddress, false)
	_, tag, _ := strings.Cut(carrier.remote, ";tag=")
	to := "To: <sip:+12125550123@tollgate.test>"
	for name, edit := range map[string][2]string{
		"as a parameter of the URI": {to, "To: <sip:+12125550123;tag=" + tag + "@tollgate.test>"},
		"within a name":             {to, "To: \";tag=" + tag + "\" <sip:+12125550123@tollgate.test>"},
		"behind a bare line feed":   {to, "X-Note: a\nTo: <sip:a@b>;tag=" + tag + "\r\n" + to},
		"in a message of no use":    {to, to + ";tag=" + tag + "\r\nContent-Length: x"},
	} {
		text := stranger.text("INVITE", "sip:+12125550123@"+w.srv.Addr(), newDialog(stranger, "+12125550123"), "", offer)
		if !strings.Contains(text, edit[0]) {
			t.Fatalf("%s: nothing to edit", name)
		}
		before := w.srv.Stats().Invalid
		stranger.send(strings.Replace(text, edit[0], edit[1], 1))
		for deadline := time.Now().Add(patience); w.srv.Stats().Invalid == before; {
			if time.Now().After(deadline) {
				t.Fatalf("%s: the message was not dropped as what it is", name)
			}
			w.pause()
		}
	}
	w.hangUp(pbx)
	w.record()
	w.settled()
	if len(stranger.got) > 0 {
		t.Errorf("the stranger got %s", label(<-stranger.got))
	}
}

// FuzzIsOurs: nothing is ours that has neither a proof nor our branch.
func FuzzIsOurs(f *testing.F) {
	srv := &Server{mark: "tgABCDEFGH."}
	tag := srv.newTag()
	f.Add([]byte("BYE sip:a SIP/2.0\r\nTo: <sip:a@b>;tag=" + tag + "\r\n\r\n"))
	f.Add([]byte("SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP a;branch=" + srv.newBranch() + "\r\n\r\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if !srv.isOurs(data) {
			return
		}
		text := string(data)
		if i := strings.Index(text, ";tag="); !strings.Contains(text, sip.MagicCookie+srv.mark) &&
			(i < 0 || len(text) < i+16+tagProof) {
			t.Errorf("%q is taken for ours", text)
		}
	})
}
