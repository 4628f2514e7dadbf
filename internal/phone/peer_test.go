package phone

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emiago/sipgo/sip"
	"github.com/google/go-cmp/cmp"
)

// peer plays the other end of a call by hand, for what the carrier never does.
type peer struct {
	t    *testing.T
	sock *socket
	to   netip.AddrPort
}

func newPeer(t *testing.T, n *network) *peer {
	sock, err := openSocket(n.listen, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sock.close() })
	return &peer{t: t, sock: sock}
}

// expect returns the next message whose first line starts like this.
func (p *peer) expect(start string) sip.Message {
	p.t.Helper()
	for {
		select {
		case m := <-p.sock.messages:
			p.to = m.from
			if strings.HasPrefix(m.message.String(), start) {
				return m.message
			}
		case <-time.After(time.Minute):
			p.t.Fatalf("no %q came", start)
		}
	}
}

func (p *peer) answer(req sip.Message, status int, tag string) {
	lines := []string{fmt.Sprintf("Contact: <sip:peer@%s>", p.sock.local)}
	p.sock.send(respond(req.(*sip.Request), status, "Answer", tag, lines, ""), p.to)
}

// in is a dialog of the peer's with the phone, for requests towards it.
func (p *peer) in(invite sip.Message, tag string) *dialog {
	d := &dialog{
		callID: invite.CallID().Value(), local: "sip:peer@x.invalid", remote: "sip:phone@x.invalid",
		localTag: tag, contact: "sip:peer@" + p.sock.local.String(), via: p.sock.local, peer: p.to, cseq: 7,
	}
	d.learn(invite, tagOf(invite.From().Params), false)
	return d
}

func dialPeer(t *testing.T, n *network, p *peer) *Call {
	t.Helper()
	c, err := Dial(t.Context(), Options{
		Server: p.sock.local.String(), From: "100", To: "200", LocalAddr: "127.0.0.1:0", Listen: n.listen, NoAudio: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestRefreshesAndInCallRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(nil)
		p := newPeer(t, n)
		c := dialPeer(t, n, p)
		invite := p.expect("INVITE ")
		p.answer(invite, 200, "tag")
		p.expect("ACK ")
		d := p.in(invite, "tag")
		send := func(method string, cseq uint32, lines ...string) {
			p.sock.send(d.request(method, cseq, newBranch(), lines, ""), p.to)
		}
		send("UPDATE", 8, "Supported: timer", "Session-Expires: 90;refresher=uac")
		if got := headerValue(p.expect("SIP/2.0 200"), "Session-Expires"); got != "90;refresher=uac" {
			t.Errorf("Session-Expires %q, want the refresher to stay", got)
		}
		send("UPDATE", 9, "Supported: timer", "Session-Expires: 90;refresher=uas")
		if got := headerValue(p.expect("SIP/2.0 200"), "Session-Expires"); got != "" {
			t.Errorf("Session-Expires %q, want none where the phone should refresh", got)
		}
		send("INVITE", 10)
		if body := string(p.expect("SIP/2.0 200").Body()); !strings.Contains(body, "m=audio ") {
			t.Errorf("answer to a re-INVITE has the body %q", body)
		}
		p.expect("SIP/2.0 200") // again, since no ACK came
		send("ACK", 10)
		send("OPTIONS", 11)
		p.expect("SIP/2.0 200")
		send("REFER", 12)
		p.expect("SIP/2.0 501")
		send("UPDATE", 13, "Require: made-up")
		p.expect("SIP/2.0 420")
		bye := d.request("BYE", 14, newBranch(), []string{`Reason: Q.850;cause=16;text="NORMAL_CLEARING"`}, "")
		p.sock.send(bye, p.to)
		p.expect("SIP/2.0 200")
		o := c.Wait()
		p.sock.send(bye, p.to)
		p.expect("SIP/2.0 200") // a repeated BYE
		if o.HungUpBy != SideCallee || o.Refreshes != 3 || o.Reason != `Q.850;cause=16;text="NORMAL_CLEARING"` {
			t.Errorf("outcome %+v", o)
		}
	})
}

func TestForkedAnswerIsHungUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(loseFirst(1, "BYE "))
		p := newPeer(t, n)
		c := dialPeer(t, n, p)
		invite := p.expect("INVITE ")
		p.answer(invite, 200, "first")
		p.expect("ACK ")
		p.answer(invite, 200, "second")
		if tag := tagOf(p.expect("ACK ").To().Params); tag != "second" {
			t.Errorf("ACK for %q, want second", tag)
		}
		bye := p.expect("BYE ")
		if tag := tagOf(bye.To().Params); tag != "second" {
			t.Errorf("BYE for %q, want second", tag)
		}
		p.answer(bye, 200, "second")
		if o := c.Outcome(); !o.Ended.IsZero() {
			t.Errorf("the first answer's call has ended: %+v", o)
		}
	})
}

func TestRecordRouteAndStrangers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(nil)
		p, proxy := newPeer(t, n), newPeer(t, n)
		c := dialPeer(t, n, p)
		invite := p.expect("INVITE ").(*sip.Request)
		lines := []string{
			"Contact: <sip:peer@192.0.2.9:5060>", "Record-Route: <sip:192.0.2.1;lr>, <sip:192.0.2.2;lr>",
			fmt.Sprintf("Record-Route: <sip:%s;lr>", proxy.sock.local),
		}
		p.sock.send(respond(invite, 200, "OK", "tag", lines, ""), p.to)
		ack := proxy.expect("ACK ")
		var routes []string
		for _, h := range ack.GetHeaders("Route") {
			routes = append(routes, h.Value())
		}
		want := []string{fmt.Sprintf("<sip:%s;lr>", proxy.sock.local), "<sip:192.0.2.2;lr>", "<sip:192.0.2.1;lr>"}
		if diff := cmp.Diff(want, routes); diff != "" {
			t.Errorf("Route (-want +got):\n%s", diff)
		}
		stranger := p.in(invite, "other")
		p.sock.send(stranger.request("BYE", 8, newBranch(), nil, ""), p.to)
		p.expect("SIP/2.0 481")
		for _, junk := range []string{"", "\x00\xff", "SIP/2.0 200 OK\r\n\r\n", "BYE sip:x SIP/2.0\r\n\r\n", "INVITE\r\n"} {
			p.sock.send([]byte(junk), p.to)
		}
		if o := c.Outcome(); o.Answered.IsZero() || !o.Ended.IsZero() {
			t.Errorf("outcome %+v, want a call that is up", o)
		}
	})
}

func TestCarrierRefusesWhatItCannotDo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(nil)
		carrier := NewCarrier(CarrierOptions{Default: Behaviour{Status: 200, RingFor: time.Second}, Listen: n.listen,
			NoAudio: true})
		if err := carrier.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		defer carrier.Stop()
		p := newPeer(t, n)
		p.to = netip.MustParseAddrPort(carrier.Addr())
		d := &dialog{
			callID: "c", local: "sip:a@x.invalid", remote: "sip:b@x.invalid", localTag: "t",
			target: "sip:b@" + carrier.Addr(), contact: "sip:a@" + p.sock.local.String(), via: p.sock.local,
		}
		send := func(method, branch string, cseq uint32, lines ...string) {
			p.sock.send(d.request(method, cseq, branch, lines, ""), p.to)
		}
		send("OPTIONS", "z9hG4bK1", 1)
		p.expect("SIP/2.0 200")
		send("BYE", "z9hG4bK2", 2)
		p.expect("SIP/2.0 481")
		send("CANCEL", "z9hG4bK3", 3)
		p.expect("SIP/2.0 481")
		send("INVITE", "z9hG4bK4", 4, "Require: 100rel")
		if got := headerValue(p.expect("SIP/2.0 420"), "Unsupported"); got != "100rel" {
			t.Errorf("Unsupported: %q, want 100rel", got)
		}
		send("INVITE", "z9hG4bK5", 5)
		send("INVITE", "z9hG4bK6", 5)
		p.expect("SIP/2.0 482")
		d.remoteTag = tagOf(p.expect("SIP/2.0 200").To().Params)
		send("INFO", "z9hG4bK7", 6)
		p.expect("SIP/2.0 501")
		send("UPDATE", "z9hG4bK8", 7, "Supported: timer", "Session-Expires: 120")
		if got := headerValue(p.expect("SIP/2.0 200"), "Session-Expires"); !strings.HasPrefix(got, "120;refresher=uac") {
			t.Errorf("Session-Expires: %q", got)
		}
		if got := len(carrier.Calls()); got != 1 {
			t.Errorf("carrier took %d calls, want 1", got)
		}
	})
}

func TestChallengedBye(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(nil)
		p := newPeer(t, n)
		c, err := Dial(t.Context(), Options{
			Server: p.sock.local.String(), From: "100", To: "200", User: "pbx", Password: "secret",
			LocalAddr: "127.0.0.1:0", Listen: n.listen, NoAudio: true,
		})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		p.answer(p.expect("INVITE "), 200, "tag")
		p.expect("ACK ")
		c.HangUp()
		bye := p.expect("BYE ").(*sip.Request)
		p.sock.send(respond(bye, 401, "Unauthorized", "tag", []string{
			`WWW-Authenticate: Digest realm="r", nonce="n", algorithm=SHA-999, qop="auth"`,
			`WWW-Authenticate: Digest realm="r", nonce="n", algorithm=SHA-256, qop="auth"`,
		}, ""), p.to)
		again := p.expect("BYE ")
		if got := headerValue(again, "Authorization"); !strings.Contains(got, "SHA-256") {
			t.Errorf("Authorization: %q, want one of the challenge that can be answered", got)
		}
		p.answer(again, 200, "tag")
		if o := c.Wait(); o.HungUpBy != SideCaller {
			t.Errorf("outcome %+v", o)
		}
	})
}

// TestByesCross has both sides hang up at once.
func TestByesCross(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(nil)
		p := newPeer(t, n)
		c := dialPeer(t, n, p)
		invite := p.expect("INVITE ")
		p.answer(invite, 200, "tag")
		p.expect("ACK ")
		c.HangUp()
		p.expect("BYE ")
		p.sock.send(p.in(invite, "tag").request("BYE", 8, newBranch(), nil, ""), p.to)
		p.expect("SIP/2.0 200")
		if o := c.Wait(); o.HungUpBy != SideCaller {
			t.Errorf("outcome %+v", o)
		}
	})
}

func TestSplitList(t *testing.T) {
	for in, want := range map[string][]string{
		"": nil, "a": {"a"}, "a, b": {"a", "b"}, `"x,y" <sip:a,b@c>, <sip:d>`: {`"x,y" <sip:a,b@c>`, "<sip:d>"},
	} {
		var got []string
		for value := range splitList(in) {
			got = append(got, value)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", in, diff)
		}
	}
}

// FuzzDatagram feeds datagrams to the parser: every answer to what counts as a
// request, with whatever lines and body, is a message of the same transaction.
func FuzzDatagram(f *testing.F) {
	f.Add([]byte("OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h:5060;branch=z9hG4bK1;rport\r\nFrom: <sip:a@b>;tag=1\r\n" +
		"To: <sip:a@b>\r\nCall-ID: c\r\nCSeq: 1 OPTIONS\r\nRecord-Route: <sip:p;lr>\r\nRequire: timer, 100rel\r\n" +
		"Supported: timer\r\nSession-Expires: 90;refresher=uac\r\nContent-Length: 0\r\n\r\n"))
	from := netip.MustParseAddrPort("192.0.2.1:5060")
	f.Fuzz(func(t *testing.T, datagram []byte) {
		m := parse(sip.NewParser(), datagram, from)
		if m == nil {
			return
		}
		if e := entryOf(m); strings.ContainsAny(e.Line+strings.Join(e.Headers, ""), "\r\n\x1b") {
			t.Errorf("control characters in the transcript: %+v", e)
		}
		req, ok := m.(*sip.Request)
		if !ok {
			return
		}
		for _, status := range []int{180, 200, 486} {
			raw := respond(req, status, "Answer", "tag", append(sessionLines(req), "Unsupported: x"), "v=0\r\n")
			answer, err := sip.ParseMessage(raw)
			if err != nil || !complete(answer) {
				t.Fatalf("answer does not parse: %v\n%s", err, raw)
			}
			if branchOf(answer) != branchOf(req) || answer.CSeq().SeqNo != req.CSeq().SeqNo ||
				string(answer.Body()) != "v=0\r\n" {
				t.Errorf("answer is of another transaction:\n%s", raw)
			}
		}
	})
}
