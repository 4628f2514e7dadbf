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
