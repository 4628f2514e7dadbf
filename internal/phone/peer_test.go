package phone

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emiago/sipgo/sip"
	"github.com/google/go-cmp/cmp"
)

// peer plays the other end of a call by hand, for what the carrier never does. It
// shares the parser with the phone, and nothing else.
type peer struct {
	t        *testing.T
	conn     net.PacketConn
	messages chan received
	to       net.Addr
}

type received struct {
	message sip.Message
	from    net.Addr
}

func newPeer(t *testing.T, n *network) *peer {
	conn, err := n.listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &peer{t: t, conn: conn, messages: make(chan received, 1000)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buffer := make([]byte, maxDatagramBytes)
		for {
			n, from, err := conn.ReadFrom(buffer)
			if err != nil {
				return
			}
			if m, err := sip.ParseMessage(append([]byte(nil), buffer[:n]...)); err == nil {
				m.SetSource(from.String())
				p.messages <- received{m, from}
			}
		}
	}()
	t.Cleanup(func() {
		_ = conn.Close()
		<-done
	})
	return p
}

func (p *peer) local() string { return p.conn.LocalAddr().String() }

func (p *peer) send(text string) { _, _ = p.conn.WriteTo([]byte(text), p.to) }

// expect returns the next message whose first line starts like this.
func (p *peer) expect(start string) sip.Message {
	p.t.Helper()
	for {
		select {
		case m := <-p.messages:
			p.to = m.from
			if strings.HasPrefix(m.message.String(), start) {
				return m.message
			}
		case <-time.After(time.Minute):
			p.t.Fatalf("no %q came", start)
		}
	}
}

// answer answers a request, with a Contact unless lines say otherwise.
func (p *peer) answer(req sip.Message, status int, tag string, lines ...string) {
	res := sip.NewResponseFromRequest(req.(*sip.Request), status, "Answer", nil)
	res.To().Params.Add("tag", tag)
	if len(lines) == 0 {
		lines = []string{fmt.Sprintf("Contact: <sip:peer@%s>", p.local())}
	}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		res.AppendHeader(sip.NewHeader(name, value))
	}
	p.send(res.String())
}

// side is one side of a dialog, as the peer writes it.
type side struct {
	via, callID, from, to, target string
}

// in is a dialog of the peer's with the phone, for requests towards it.
func (p *peer) in(invite sip.Message, tag string) side {
	return side{
		via: p.local(), callID: invite.CallID().Value(), from: "<sip:peer@x.invalid>;tag=" + tag,
		to:     "<sip:phone@x.invalid>;tag=" + tagOf(invite.From().Params),
		target: target(invite, sip.Uri{}).Host,
	}
}

func (s side) request(method, branch string, cseq int, lines ...string) string {
	all := append([]string{
		fmt.Sprintf("%s sip:%s SIP/2.0", method, s.target), fmt.Sprintf("Via: SIP/2.0/UDP %s;branch=%s", s.via, branch),
		"From: " + s.from, "To: " + s.to, "Call-ID: " + s.callID, fmt.Sprintf("CSeq: %d %s", cseq, method),
		fmt.Sprintf("Contact: <sip:peer@%s>", s.via), "Content-Length: 0",
	}, lines...)
	return strings.Join(all, "\r\n") + "\r\n\r\n"
}

func dialPeer(t *testing.T, n *network, p *peer) *Call {
	t.Helper()
	c, err := Dial(t.Context(), Options{
		Server: p.local(), From: "100", To: "200", LocalAddr: "127.0.0.1:0", Listen: n.listen, NoAudio: true,
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
		send := func(method string, cseq int, lines ...string) {
			p.send(d.request(method, sip.GenerateBranch(), cseq, lines...))
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
		bye := d.request("BYE", sip.GenerateBranch(), 14, `Reason: Q.850;cause=16;text="NORMAL_CLEARING"`)
		p.send(bye)
		p.expect("SIP/2.0 200")
		o := c.Wait()
		p.send(bye)
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

// TestLateAnswerIsHungUp has an answer come after the phone has given up.
func TestLateAnswerIsHungUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(nil)
		p := newPeer(t, n)
		c := dialPeer(t, n, p)
		invite := p.expect("INVITE ")
		p.answer(invite, 180, "tag")
		c.HangUp()
		p.expect("CANCEL ")
		if o := c.Wait(); !o.NoResponse {
			t.Errorf("outcome %+v", o)
		}
		p.answer(invite, 200, "tag")
		p.expect("ACK ")
		p.answer(p.expect("BYE "), 200, "tag")
		if o := c.Outcome(); !o.Answered.IsZero() {
			t.Errorf("outcome %+v", o)
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
			fmt.Sprintf("Record-Route: <sip:%s;lr>", proxy.local()),
		}
		p.answer(invite, 200, "tag", lines...)
		ack := proxy.expect("ACK ")
		var routes []string
		for _, h := range ack.GetHeaders("Route") {
			routes = append(routes, h.Value())
		}
		want := []string{fmt.Sprintf("<sip:%s;lr>", proxy.local()), "<sip:192.0.2.2;lr>", "<sip:192.0.2.1;lr>"}
		if diff := cmp.Diff(want, routes); diff != "" {
			t.Errorf("Route (-want +got):\n%s", diff)
		}
		stranger := p.in(invite, "other")
		p.send(stranger.request("BYE", sip.GenerateBranch(), 8))
		p.expect("SIP/2.0 481")
		for _, junk := range []string{"", "\x00\xff", "SIP/2.0 200 OK\r\n\r\n", "BYE sip:x SIP/2.0\r\n\r\n", "INVITE\r\n"} {
			p.send(junk)
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
		p.to = net.UDPAddrFromAddrPort(netip.MustParseAddrPort(carrier.Addr()))
		d := side{
			via: p.local(), callID: "c", from: "<sip:a@x.invalid>;tag=t", to: "<sip:b@x.invalid>", target: "b@" + carrier.Addr(),
		}
		send := func(method, branch string, cseq int, lines ...string) {
			p.send(d.request(method, branch, cseq, lines...))
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
		d.to += ";tag=" + tagOf(p.expect("SIP/2.0 200").To().Params)
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
			Server: p.local(), From: "100", To: "200", User: "pbx", Password: "secret",
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
		p.answer(bye, 401, "tag",
			`WWW-Authenticate: Digest realm="r", nonce="n", algorithm=SHA-999, qop="auth"`,
			`WWW-Authenticate: Digest realm="r", nonce="n", algorithm=SHA-256, qop="auth"`)
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
		p.send(p.in(invite, "tag").request("BYE", sip.GenerateBranch(), 8))
		p.expect("SIP/2.0 200")
		if o := c.Wait(); o.HungUpBy != SideCaller {
			t.Errorf("outcome %+v", o)
		}
	})
}

// FuzzDatagram feeds datagrams to a carrier: whatever comes, it answers the next call.
func FuzzDatagram(f *testing.F) {
	f.Add([]byte("OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h:5060;branch=z9hG4bK1;rport\r\nFrom: <sip:a@b>;tag=1\r\n" +
		"To: <sip:a@b>\r\nCall-ID: c\r\nCSeq: 1 OPTIONS\r\nRecord-Route: <sip:p;lr>\r\nRequire: timer, 100rel\r\n" +
		"Supported: timer\r\nSession-Expires: 90;refresher=uac\r\nContent-Length: 0\r\n\r\n"))
	f.Fuzz(func(t *testing.T, datagram []byte) {
		synctest.Test(t, func(t *testing.T) {
			n := newNetwork(nil)
			carrier := NewCarrier(CarrierOptions{Default: Answer, NoAudio: true, Listen: n.listen})
			if err := carrier.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			defer carrier.Stop()
			p := newPeer(t, n)
			p.to = net.UDPAddrFromAddrPort(netip.MustParseAddrPort(carrier.Addr()))
			p.send(string(datagram))
			p.send(side{via: p.local(), callID: "fuzz", from: "<sip:a@x>;tag=1", to: "<sip:b@x>", target: "b@x"}.
				request("OPTIONS", "z9hG4bKfuzz", 1))
			for p.expect("SIP/2.0 200").CallID().Value() != "fuzz" {
				continue
			}
			if m, err := sip.ParseMessage(datagram); err == nil && complete(m) {
				if e := entryOf(m); strings.ContainsAny(e.Line+strings.Join(e.Headers, ""), "\r\n\x1b") {
					t.Errorf("control characters in the transcript: %+v", e)
				}
			}
		})
	})
}
