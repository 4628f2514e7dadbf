package sipgw

import (
	"strings"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/routing"
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

// TestSiblingsOverStreams: a machine that the carrier never named connects by itself and
// hangs up. With a tag that was guessed, and with a call of its own, its connection is
// closed without a word.
func TestSiblingsOverStreams(t *testing.T) {
	for name, secured := range map[string]*authority{"TCP": nil, "TLS": newAuthority(t)} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, wish{tcp: true, tls: secured})
			carrier := w.carriers[0]
			w.pbx.connect()
			d := w.pbx.invite("+12125550123", "")
			invite := w.overStream(carrier)
			carrier.reply(invite, 200, "far", "", answerSDP)
			carrier.want("ACK")
			d.join(w.pbx.want("200 INVITE"))
			w.pbx.request(d, "ACK", "", "")

			far := carrier.serverDialog(invite, "far")
			forged := *far
			i := strings.Index(far.remote, "tag=") + len("tag=")
			forged.remote = far.remote[:i] + strings.Repeat("A", len(far.remote)-i)
			for _, attempt := range []struct {
				d      *dialog
				method string
			}{{&forged, "BYE"}, {newDialog(carrier, "+12125550123"), "INVITE"}} {
				stranger := w.party(strangerAddress, true)
				stranger.connect()
				stranger.request(attempt.d, attempt.method, "", "")
				stranger.closed()
			}
			sibling := w.party(strangerAddress, true)
			sibling.connect()
			sibling.request(far, "OPTIONS", "", "")
			sibling.want("200 OPTIONS")
			sibling.request(far, "BYE", "", "")
			sibling.want("200 BYE")
			w.pbx.reply(w.pbx.want("BYE"), 200, "", "", "")
			w.record()
			w.settled()
		})
	}
}

// closed waits until the gateway has closed the party's connection, without a message.
func (p *party) closed() {
	p.t.Helper()
	select {
	case <-p.ended:
	case m := <-p.got:
		p.t.Fatalf("the stranger got %s", label(m))
	case <-time.After(patience):
		p.t.Fatal("the connection of a stranger stays open")
	}
}

// TestAddressesOfAGateway: from there the carrier may ask whether the server is there, as
// from where calls go, and hang up; it still cannot call.
func TestAddressesOfAGateway(t *testing.T) {
	network, err := connection.ParseNetwork(strangerAddress + "/32")
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, wish{gateway: func(g *routing.Gateway) { g.Addresses = []connection.Network{network} }})
	sibling := w.party(strangerAddress, false)
	sibling.quiet()
	_, far := w.talk("")
	sibling.request(newDialog(sibling, "+12125550124"), "INVITE", "", offer)
	sibling.want("403 INVITE")
	sibling.request(far, "INFO", "", "")
	w.pbx.reply(w.pbx.await("INFO"), 200, "", "", "")
	sibling.want("200 INFO")
	sibling.request(far, "BYE", "", "")
	sibling.want("200 BYE")
	w.pbx.reply(w.pbx.await("BYE"), 200, "", "", "")
	w.record()
	w.settled()

	w.publish(wish{})
	before := w.srv.Stats().Filtered
	sibling.request(newDialog(sibling, "probe"), "OPTIONS", "", "")
	for deadline := time.Now().Add(patience); w.srv.Stats().Filtered == before; w.pause() {
		if time.Now().After(deadline) {
			t.Fatal("an address that the gateway no longer names is still listened to")
		}
	}
}

// TestACallersSiblingCancels: another machine of the caller's may cancel, if it names all
// that the caller has made up for the call.
func TestACallersSiblingCancels(t *testing.T) {
	w := newWorld(t, wish{})
	sibling := w.party(strangerAddress, false)
	d := newDialog(w.pbx, "+12125550123")
	text := w.pbx.text("INVITE", d.target, d, "", offer)
	w.pbx.send(text)
	invite := w.carriers[0].want("INVITE")
	w.carriers[0].reply(invite, 180, "far", "", "")
	w.pbx.want("180 INVITE")

	cancel := w.pbx.text("CANCEL", d.target, d, "", "")
	tag := sip.TagOf(d.local)
	for _, edit := range [][2]string{{d.callID, "other"}, {";tag=" + tag, ";tag=other"}, {"CSeq: 1 ", "CSeq: 2 "},
		{d.branch, sip.MagicCookie + "other"}} {
		forged := strings.Replace(cancel, edit[0], edit[1], 1)
		if forged == cancel {
			t.Fatalf("%q is not in %q", edit[0], cancel)
		}
		sibling.send(forged)
	}
	sibling.send(strings.Replace(cancel, "Call-ID", "X: \x00\r\nCall-ID", 1))
	sibling.send(cancel)
	// The answer goes to where the CANCEL came from, and is the first that does.
	sibling.want("200 CANCEL")
	w.carriers[0].reply(w.carriers[0].want("CANCEL"), 200, "", "", "")
	w.carriers[0].reply(invite, 487, "far", "", "")
	w.carriers[0].want("ACK")
	w.pbx.want("487 INVITE")
	w.record()
	w.settled()
}
