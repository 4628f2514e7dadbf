package sipgw

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/call"
	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/media"
	"github.com/tollgate/tollgate/internal/media/relay"
	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/routing"
)

// ear is a Recorder that records every call, and its Tap.
type ear struct {
	mu      sync.Mutex
	calls   []media.Call
	formats map[record.Side][]media.Format
	packets map[record.Side]int
	begun   bool
	closed  chan struct{}
	heard   chan record.Side
}

func newEar() *ear {
	return &ear{
		formats: make(map[record.Side][]media.Format), packets: make(map[record.Side]int),
		closed: make(chan struct{}), heard: make(chan record.Side, 1000),
	}
}

func (e *ear) Record(c media.Call) media.Tap {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.calls = append(e.calls, c)
	return e
}

func (e *ear) Formats(side record.Side, formats []media.Format) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.formats[side] = formats
}

func (e *ear) Answered(time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.begun = len(e.formats) == 2 // it must know by then what both sides may send
}

func (e *ear) Packet(side record.Side, _ time.Time, packet []byte) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(packet) >= 12 {
		e.packets[side]++
	}
	e.heard <- side
}

func (e *ear) Close() { close(e.closed) }

// anchored is the wish for a gateway with the built-in relay on loopback.
func anchored(t *testing.T, change func(*Config, *relay.Config)) wish {
	return wish{config: func(c *Config) {
		settings := relay.Config{
			Addresses: []relay.Address{{Local: netip.MustParseAddr("127.0.0.1")}, {Local: netip.MustParseAddr("::1")}},
			Low:       21000, High: 21999,
		}
		c.AnchorAll = true
		if change != nil {
			change(c, &settings)
		}
		r, err := relay.New(settings)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = r.Stop(context.Background()) })
		c.Media = r
	}}
}

// mic is an RTP port of a party.
type mic struct {
	t    *testing.T
	conn *net.UDPConn
	addr netip.AddrPort
	seq  uint16
}

func newMic(t *testing.T, host string) *mic {
	t.Helper()
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.MustParseAddr(host), 0)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &mic{t: t, conn: conn, addr: conn.LocalAddr().(*net.UDPAddr).AddrPort()}
}

// sdp describes the microphone.
func (m *mic) sdp(extra ...string) string {
	family := "IP4"
	if m.addr.Addr().Is6() {
		family = "IP6"
	}
	return fmt.Sprintf("v=0\r\no=x 1 1 IN %s %s\r\ns=-\r\nc=IN %s %s\r\nt=0 0\r\nm=audio %d RTP/AVP 8 101\r\n"+
		"a=rtpmap:101 telephone-event/8000\r\n%s",
		family, m.addr.Addr(), family, m.addr.Addr(), m.addr.Port(), strings.Join(extra, ""))
}

// say sends an RTP packet of PCMA with a text in it.
func (m *mic) say(to netip.AddrPort, text string) {
	m.t.Helper()
	packet := append([]byte{0x80, 8, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4}, text...)
	m.seq++
	binary.BigEndian.PutUint16(packet[2:], m.seq)
	if _, err := m.conn.WriteToUDPAddrPort(packet, to); err != nil {
		m.t.Fatal(err)
	}
}

// hear waits for the next packet and returns its text and where it came from.
func (m *mic) hear() (string, netip.AddrPort) {
	m.t.Helper()
	_ = m.conn.SetReadDeadline(time.Now().Add(patience))
	buffer := make([]byte, 2048)
	n, from, err := m.conn.ReadFromUDPAddrPort(buffer)
	if err != nil || n < 12 {
		m.t.Fatalf("heard %d bytes, %v", n, err)
	}
	return string(buffer[12:n]), from
}

// audioOf is where a description wants its audio.
func audioOf(t testing.TB, body []byte) netip.AddrPort {
	t.Helper()
	var address netip.Addr
	port := 0
	for line := range strings.Lines(string(body)) {
		fields := strings.Fields(line)
		switch {
		case strings.HasPrefix(line, "c="):
			address = netip.MustParseAddr(fields[2])
		case strings.HasPrefix(line, "m=audio"):
			port, _ = strconv.Atoi(fields[1])
		}
	}
	if !address.IsValid() || port == 0 {
		t.Fatalf("no audio in %q", body)
	}
	return netip.AddrPortFrom(address, uint16(port))
}

// converse holds that both hear each other by way of the relay.
func converse(t *testing.T, a, b *mic, toA, toB netip.AddrPort) {
	t.Helper()
	a.say(toA, "from the caller")
	if text, from := b.hear(); text != "from the caller" || from != toB {
		t.Errorf("the callee heard %q from %s, want it from %s", text, from, toB)
	}
	b.say(toB, "from the callee")
	if text, from := a.hear(); text != "from the callee" || from != toA {
		t.Errorf("the caller heard %q from %s, want it from %s", text, from, toA)
	}
}

// talkThrough sets a call up between two microphones and returns where each sends.
func (w *world) talkThrough(near, far *mic) (pbx, carrier *dialog, toNear, toFar netip.AddrPort) {
	w.t.Helper()
	pbx = newDialog(w.pbx, "+12125550123")
	w.pbx.request(pbx, "INVITE", "", near.sdp())
	invite := w.carriers[0].await("INVITE")
	toFar = audioOf(w.t, invite.Body)
	w.carriers[0].reply(invite, 200, "far", "", far.sdp())
	w.carriers[0].await("ACK")
	ok := w.pbx.await("200 INVITE")
	toNear = audioOf(w.t, ok.Body)
	pbx.join(ok)
	w.pbx.request(pbx, "ACK", "", "")
	return pbx, w.carriers[0].serverDialog(invite, "far"), toNear, toFar
}

func TestAnAnchoredCallIsHeardOnBothSidesAndRecorded(t *testing.T) {
	e := newEar()
	w := newWorld(t, anchored(t, func(c *Config, _ *relay.Config) { c.AnchorAll, c.Recorder = false, e }))
	near, far := newMic(t, pbxAddress), newMic(t, carrierAddress)
	pbx, _, toNear, toFar := w.talkThrough(near, far)
	if toNear.Addr() != netip.MustParseAddr("127.0.0.1") || toNear == near.addr || toFar == near.addr {
		t.Errorf("the caller sends to %s, the callee to %s", toNear, toFar)
	}
	converse(t, near, far, toNear, toFar)
	w.hangUp(pbx)
	r := w.record()
	<-e.closed
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.calls) != 1 || e.calls[0].ID != r.ID || e.calls[0].Profile != worldProfile || e.calls[0].To != 12125550123 ||
		!e.begun {
		t.Errorf("asked for %+v, begun %v", e.calls, e.begun)
	}
	if e.packets[record.SideCaller] != 1 || e.packets[record.SideCallee] != 1 || len(e.formats[record.SideCallee]) != 2 {
		t.Errorf("packets %v, formats %v", e.packets, e.formats)
	}
	w.settled()
}

func TestNothingIsAnchoredUnlessAskedFor(t *testing.T) {
	w := newWorld(t, anchored(t, func(c *Config, _ *relay.Config) { c.AnchorAll = false }))
	near, far := newMic(t, pbxAddress), newMic(t, carrierAddress)
	pbx, _, toNear, toFar := w.talkThrough(near, far)
	if toNear != far.addr || toFar != near.addr {
		t.Errorf("the sides were told %s and %s", toNear, toFar)
	}
	w.hangUp(pbx)
	w.record()
}

func TestASilentCallIsEnded(t *testing.T) {
	w := newWorld(t, anchored(t, func(_ *Config, r *relay.Config) { r.Silence = 200 * time.Millisecond }))
	near, far := newMic(t, pbxAddress), newMic(t, carrierAddress)
	w.talkThrough(near, far)
	bye := w.pbx.await("BYE")
	contains(t, bye, "reason", "cause=102;text=\"MEDIA_TIMEOUT\"")
	w.pbx.reply(bye, 200, "", "", "")
	w.carriers[0].reply(w.carriers[0].await("BYE"), 200, "", "", "")
	if r := w.record(); r.HangupCause != call.CauseMediaTimeout || r.HangupSource != record.SideTollgate {
		t.Errorf("record: %s by %s", r.HangupCause, r.HangupSource)
	}
	w.settled()
}

func TestHoldAndReinvitesGoThroughTheRelay(t *testing.T) {
	w := newWorld(t, anchored(t, nil))
	near, far := newMic(t, pbxAddress), newMic(t, carrierAddress)
	pbx, carrier, toNear, toFar := w.talkThrough(near, far)
	converse(t, near, far, toNear, toFar)
	// The caller puts the callee on hold and takes it back, from another port.
	moved := newMic(t, pbxAddress)
	for _, direction := range []string{"sendonly", "sendrecv"} {
		w.pbx.request(pbx, "INVITE", "", moved.sdp("a="+direction+"\r\n"))
		re := w.carriers[0].await("INVITE")
		if audioOf(t, re.Body) != toFar || !strings.Contains(string(re.Body), "a="+direction+"\r\n") {
			t.Errorf("the re-INVITE became %s", re.Body)
		}
		w.carriers[0].reply(re, 200, "", "", far.sdp())
		w.carriers[0].await("ACK")
		ok := w.pbx.await("200 INVITE")
		if audioOf(t, ok.Body) != toNear {
			t.Errorf("its answer became %s", ok.Body)
		}
		w.pbx.request(pbx, "ACK", "", "")
	}
	converse(t, moved, far, toNear, toFar)
	// The callee offers anew in an UPDATE, which is refused and changes nothing.
	other := newMic(t, carrierAddress)
	w.carriers[0].request(carrier, "INVITE", "", other.sdp())
	re := w.pbx.await("INVITE")
	w.pbx.reply(re, 488, "", "", "")
	w.pbx.await("ACK")
	w.carriers[0].await("488 INVITE")
	w.carriers[0].request(carrier, "ACK", "", "")
	converse(t, moved, far, toNear, toFar)
	w.hangUp(pbx)
	w.record()
	w.settled()
}

func TestEarlyMediaOfForksIsAnchored(t *testing.T) {
	w := newWorld(t, anchored(t, nil))
	near, first, second := newMic(t, pbxAddress), newMic(t, carrierAddress), newMic(t, carrierAddress)
	pbx := newDialog(w.pbx, "+12125550123")
	w.pbx.request(pbx, "INVITE", "", near.sdp())
	invite := w.carriers[0].await("INVITE")
	toFar := audioOf(t, invite.Body)
	w.carriers[0].reply(invite, 183, "one", "", first.sdp())
	early := w.pbx.await("183 INVITE")
	toNear := audioOf(t, early.Body)
	converse(t, near, first, toNear, toFar)
	w.carriers[0].reply(invite, 180, "two", "", "")
	w.pbx.await("180 INVITE")
	w.carriers[0].reply(invite, 200, "two", "", second.sdp())
	w.carriers[0].await("ACK")
	ok := w.pbx.await("200 INVITE")
	if audioOf(t, ok.Body) != toNear || ok.ToTag == early.ToTag {
		t.Errorf("200 with tag %s after 183 with %s:\n%s", ok.ToTag, early.ToTag, ok.Body)
	}
	pbx.join(ok)
	w.pbx.request(pbx, "ACK", "", "")
	converse(t, near, second, toNear, toFar)
	w.hangUp(pbx)
	w.record()
	w.settled()
}

func TestALateOfferIsAnchored(t *testing.T) {
	w := newWorld(t, anchored(t, nil))
	near, far := newMic(t, pbxAddress), newMic(t, carrierAddress)
	pbx := newDialog(w.pbx, "+12125550123")
	w.pbx.request(pbx, "INVITE", "", "")
	invite := w.carriers[0].await("INVITE")
	w.carriers[0].reply(invite, 200, "far", "", far.sdp())
	ok := w.pbx.await("200 INVITE")
	toNear := audioOf(t, ok.Body)
	pbx.join(ok)
	w.pbx.request(pbx, "ACK", "", near.sdp())
	toFar := audioOf(t, w.carriers[0].await("ACK").Body)
	converse(t, near, far, toNear, toFar)
	w.hangUp(pbx)
	w.record()
	w.settled()
}

// TestFailoverKeepsTheCallAnchored: the second gateway's media pass, those of the
// first one do not.
func TestFailoverKeepsTheCallAnchored(t *testing.T) {
	want := anchored(t, nil)
	want.carriers = 2
	w := newWorld(t, want)
	near, first, second := newMic(t, pbxAddress), newMic(t, carrierAddress), newMic(t, carrierAddress)
	pbx := newDialog(w.pbx, "+12125550123")
	w.pbx.request(pbx, "INVITE", "", near.sdp())
	invite := w.carriers[0].await("INVITE")
	w.carriers[0].reply(invite, 183, "far", "", first.sdp())
	w.pbx.await("183 INVITE")
	w.carriers[0].reply(invite, 503, "far", "", "")
	invite = w.carriers[1].await("INVITE")
	w.carriers[1].reply(invite, 200, "far", "", second.sdp())
	w.carriers[1].await("ACK")
	ok := w.pbx.await("200 INVITE")
	pbx.join(ok)
	w.pbx.request(pbx, "ACK", "", "")
	converse(t, near, second, audioOf(t, ok.Body), audioOf(t, invite.Body))
	w.pbx.request(pbx, "BYE", "", "")
	w.carriers[1].reply(w.carriers[1].await("BYE"), 200, "", "", "")
	w.record()
	w.settled()
}

// TestWhatCannotBeAnchored: a call that must be anchored and cannot be is refused;
// an emergency call goes out as it came.
func TestWhatCannotBeAnchored(t *testing.T) {
	strange := strings.Replace(offer, "c=IN IP4 127.0.0.1", "c=IN IP4 224.0.0.1", 1)
	for name, c := range map[string]struct {
		body   string
		ports  uint16 // how many the relay has
		status string
		cause  string
	}{
		"nonsense":        {"v=0\r\nnothing\r\n", 1000, "488 INVITE", call.CauseIncompatible},
		"multicast":       {strange, 1000, "488 INVITE", call.CauseIncompatible},
		"no ports":        {offer, 4, "503 INVITE", call.CauseNoResource},
		"plain RTP":       {offer, 1000, "488 INVITE", call.CauseIncompatible},
		"no key for SRTP": {strings.Replace(offer, "RTP/AVP", "RTP/SAVP", 1), 1000, "488 INVITE", call.CauseIncompatible},
		"nothing to relay": {"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n", 1000, "488 INVITE",
			call.CauseIncompatible},
	} {
		t.Run(name, func(t *testing.T) {
			want := anchored(t, func(_ *Config, r *relay.Config) { r.Low, r.High = 21000, 21000+c.ports-1 })
			if name == "plain RTP" {
				want.pbx = func(c *connection.IPConnection) { c.EncryptedMedia = new("SRTP") }
			}
			w := newWorld(t, want)
			if c.ports == 4 {
				w.pbx.invite("+12125550123", "") // has them all
				w.carriers[0].await("INVITE")
			}
			pbx := newDialog(w.pbx, "+12125550123")
			w.pbx.request(pbx, "INVITE", "", c.body)
			refusal := w.pbx.await(c.status)
			if c.status == "503 INVITE" {
				contains(t, refusal, "retry-after", "5")
			}
			w.pbx.request(pbx, "ACK", "", "")
			if r := w.record(); r.HangupCause != c.cause || r.HangupSource != record.SideTollgate {
				t.Errorf("record: %s by %s", r.HangupCause, r.HangupSource)
			}
			help := newDialog(w.pbx, "911")
			w.pbx.request(help, "INVITE", "", c.body)
			invite := w.carriers[0].await("INVITE")
			if name != "plain RTP" && string(invite.Body) != c.body {
				t.Errorf("the emergency call went out with %q", invite.Body)
			}
			w.carriers[0].reply(invite, 200, "far", "", answerSDP)
			w.carriers[0].await("ACK")
			ok := w.pbx.await("200 INVITE")
			if name != "plain RTP" && string(ok.Body) != answerSDP {
				t.Errorf("its answer came as %q", ok.Body)
			}
			help.join(ok)
			w.pbx.request(help, "ACK", "", "")
			w.hangUp(help)
		})
	}
}

// TestAnAnswerThatCannotBeAnchored ends the call on both sides.
func TestAnAnswerThatCannotBeAnchored(t *testing.T) {
	w := newWorld(t, anchored(t, nil))
	pbx := w.pbx.invite("+12125550123", "")
	invite := w.carriers[0].await("INVITE")
	w.carriers[0].reply(invite, 183, "far", "", "nonsense")
	if early := w.pbx.await("183 INVITE"); len(early.Body) != 0 {
		t.Errorf("183 with %q", early.Body)
	}
	w.carriers[0].reply(invite, 200, "far", "", "nonsense")
	w.carriers[0].await("ACK")
	w.pbx.await("488 INVITE")
	w.pbx.request(pbx, "ACK", "", "")
	w.carriers[0].reply(w.carriers[0].await("BYE"), 200, "", "", "")
	if r := w.record(); r.HangupCause != call.CauseIncompatible {
		t.Errorf("record: %s", r.HangupCause)
	}
	w.settled()
}

// TestSidesThatDoNotSpeakTheSame: the caller speaks RTP and the gateway wants SRTP,
// so the call is anchored although no setting asks for it.
func TestSidesThatDoNotSpeakTheSame(t *testing.T) {
	want := anchored(t, func(c *Config, _ *relay.Config) { c.AnchorAll = false })
	want.gateway = func(g *routing.Gateway) { g.EncryptedMedia = new(routing.MediaSRTP) }
	w := newWorld(t, want)
	w.pbx.invite("+12125550123", "")
	invite := w.carriers[0].await("INVITE")
	if body := string(invite.Body); !strings.Contains(body, " RTP/SAVP 8\r\n") || strings.Count(body, "a=crypto:") != 2 {
		t.Errorf("the offer became %s", body)
	}
	key := "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz\r\n"
	w.carriers[0].reply(invite, 183, "far", "", strings.Replace(answerSDP, "RTP/AVP", "RTP/SAVP", 1)+key)
	if body := string(w.pbx.await("183 INVITE").Body); !strings.Contains(body, " RTP/AVP 8\r\n") ||
		strings.Contains(body, "crypto") {
		t.Errorf("the answer became %s", body)
	}
}

func TestAConnectionWantsItsMediaAnchored(t *testing.T) {
	want := anchored(t, func(c *Config, _ *relay.Config) { c.AnchorAll = false })
	want.pbx = func(c *connection.IPConnection) { c.AnchorMedia = true }
	w := newWorld(t, want)
	near, far := newMic(t, pbxAddress), newMic(t, carrierAddress)
	pbx, _, toNear, toFar := w.talkThrough(near, far)
	converse(t, near, far, toNear, toFar)
	w.hangUp(pbx)
	w.record()
}

// TestAnOfferBesideISUPIsAnchored: what stands beside the description passes.
func TestAnOfferBesideISUPIsAnchored(t *testing.T) {
	w := newWorld(t, anchored(t, nil))
	d := newDialog(w.pbx, "+12125550123")
	body := "--b\r\nContent-Type: application/sdp\r\n\r\n" + offer +
		"\r\n--b\r\nContent-Type: application/isup\r\n\r\n\x01\x02\r\n--b--\r\n"
	text := w.pbx.text("INVITE", d.target, d, "", body)
	w.pbx.send(strings.Replace(text, "Content-Type: application/sdp\r\nContent-Length",
		"Content-Type: multipart/mixed;boundary=b\r\nContent-Length", 1))
	invite := w.carriers[0].await("INVITE")
	got := string(invite.Body)
	if !strings.Contains(got, "m=audio 21") || !strings.HasSuffix(got, "application/isup\r\n\r\n\x01\x02\r\n--b--\r\n") ||
		invite.Get("content-type") != "multipart/mixed;boundary=b" {
		t.Errorf("%s: %q", invite.Get("content-type"), got)
	}
}
