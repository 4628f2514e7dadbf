package relay

import (
	"errors"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/media"
	"github.com/tollgate/tollgate/internal/media/mediatest"
	"github.com/tollgate/tollgate/internal/reach"
	"github.com/tollgate/tollgate/internal/record"
)

// exchange gives a session an offer of the caller's, which goes on as what is sent, and
// an answer of the callee's. Both come from this machine.
func exchange(s media.Session, offer, answer string,
	encryption media.Encryption) (sent string, offered, answered error) {
	ip := netip.MustParseAddr("127.0.0.1")
	d := media.Description{From: record.SideCaller, SDP: []byte(offer), Source: ip, Target: ip, Encryption: encryption}
	s.Offer(d, func(sdp []byte, err error) { sent, offered = string(sdp), err })
	d = media.Description{From: record.SideCallee, SDP: []byte(answer), Source: ip, Target: ip}
	s.Answer(d, func(_ []byte, err error) { answered = err })
	return sent, offered, answered
}

// describing is a description with the streams given.
func describing(streams string) string {
	return "v=0\r\ns=-\r\nc=IN IP4 127.0.0.9\r\nt=0 0\r\n" + streams + "\r\n"
}

// TestNoDescriptionNamesTheServer: neither an offer nor an answer aims the relay at a
// socket of the server, by whatever line.
func TestNoDescriptionNamesTheServer(t *testing.T) {
	c := loopback()
	c.Reach = reach.New(reach.Rules{Documentation: true})
	c.Reach.Know(reach.Host{Listeners: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:25060")}})
	r := newRelay(t, c)
	good := describing("m=audio 4000 RTP/AVP 0")
	for _, lines := range []string{
		"c=IN IP4 127.0.0.1\r\nm=audio 25060 RTP/AVP 0",
		"c=IN IP4 127.0.0.1\r\nm=audio 25059 RTP/AVP 0", // RTCP would go to the next port
		"c=IN IP4 127.0.0.9\r\nm=audio 25060 RTP/AVP 0\r\nc=IN IP4 127.0.0.1",
		"c=IN IP6 ::ffff:127.0.0.1\r\nm=audio 25060 RTP/AVP 0",
		"c=IN IP4 127.0.0.1\r\nm=image 25060 udptl t38",
		"c=IN IP4 127.0.0.1\r\nm=audio 25060 UDP/TLS/RTP/SAVP 0",
		"c=IN IP4 127.0.0.9\r\nm=audio 4000 RTP/AVP 0\r\na=rtcp:25060 IN IP4 127.0.0.1",
		"c=IN IP4 127.0.0.1\r\nm=audio 4000 RTP/AVP 0\r\na=rtcp:25060",
		"c=IN IP4 127.0.0.1\r\nm=audio 4000 RTP/AVP 0\r\nm=video 25060 RTP/AVP 31",
	} {
		sdp := "v=0\r\ns=-\r\nt=0 0\r\n" + lines + "\r\n"
		s := r.Open(media.Opening{Call: media.Call{ID: uuid.New()}})
		_, offered, _ := exchange(s, sdp, good, media.AsOffered)
		_, _, answered := exchange(s, good, sdp, media.AsOffered)
		s.Close()
		if !errors.Is(offered, media.ErrForbidden) || answered == nil {
			t.Errorf("%q: offered %v, answered %v", lines, offered, answered)
		}
	}
}

// TestTargetsInside: what a side may not name gets nothing, until the side's media
// come from where its signalling does.
func TestTargetsInside(t *testing.T) {
	r := newRelay(t, loopback())
	far := mediatest.NewPhone(t, "127.0.0.2")
	victim, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 77)})
	if err != nil {
		t.Fatal(err)
	}
	defer victim.Close()
	at := victim.LocalAddr().(*net.UDPAddr).AddrPort()
	loop := netip.MustParseAddr("127.0.0.1")
	// A caller out on the internet names a host of loopback.
	s := r.Open(media.Opening{Call: media.Call{ID: uuid.New()}}).(*session)
	t.Cleanup(s.Close)
	sdp := "v=0\r\ns=-\r\nc=IN IP4 127.0.0.77\r\nt=0 0\r\nm=audio " + strconv.Itoa(int(at.Port())) + " RTP/AVP 0 8 101\r\n"
	d := media.Description{From: record.SideCaller, SDP: []byte(sdp), Source: netip.MustParseAddr("198.51.100.7"),
		Target: loop}
	s.Offer(d, func(sdp []byte, err error) {
		if err != nil {
			t.Fatal(err)
		}
		far.Learn(sdp)
	})
	d = media.Description{From: record.SideCallee, SDP: far.Describe(), Source: netip.MustParseAddr("127.0.0.2"),
		Target: loop}
	s.Answer(d, func(_ []byte, err error) {
		if err != nil {
			t.Fatal(err)
		}
	})
	caller := s.streams[0].ends[0]
	if p := caller.peer.Load(); p.rtp.IsValid() || p.rtcp.IsValid() || p.allows(at) {
		t.Errorf("the relay would send to %s and %s", p.rtp, p.rtcp)
	}
	target := caller.peer.Load()
	if caller.send(make([]byte, 12), target, false, 0) || caller.send(make([]byte, 12), target, true, 0) {
		t.Error("a packet was sent")
	}
	// Media from the signalling's address are taken, and then answered.
	outside := netip.MustParseAddrPort("198.51.100.7:4000")
	if !target.mayTake(false, outside) {
		t.Error("a caller behind a translator is not heard")
	}
	_ = victim.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if n, _, err := victim.ReadFromUDPAddrPort(make([]byte, 100)); err == nil {
		t.Errorf("%d bytes have come", n)
	}
}

// TestATranslatedCallerMovesItsPort: what was learnt is forgotten when the
// description changes, also where its address is one that is not used.
func TestATranslatedCallerMovesItsPort(t *testing.T) {
	r := newRelay(t, loopback())
	signalling := netip.MustParseAddr("198.51.100.7")
	e := &end{}
	first := r.peer(&streamLines{address: netip.MustParseAddr("10.0.0.5"), port: 4000, proto: "RTP/AVP"}, signalling,
		netip.Addr{})
	e.describe(first)
	first.source.Store(new(netip.MustParseAddrPort("198.51.100.7:6000")))
	second := r.peer(&streamLines{address: netip.MustParseAddr("10.0.0.5"), port: 4002, proto: "RTP/AVP"}, signalling,
		netip.Addr{})
	e.describe(second)
	if second.source.Load() != nil || !second.mayTake(false, netip.MustParseAddrPort("198.51.100.7:6002")) {
		t.Error("the new port is not heard")
	}
}

// TestTheSenderIsAsClose: a PBX at home that names a public Contact may have its media
// at home.
func TestTheSenderIsAsClose(t *testing.T) {
	r := newRelay(t, loopback())
	at := netip.MustParseAddrPort("10.0.0.5:4000")
	lines := &streamLines{address: at.Addr(), port: at.Port(), proto: "RTP/AVP"}
	contact, sender := netip.MustParseAddr("198.51.100.7"), netip.MustParseAddr("10.0.0.4")
	if p := r.peer(lines, contact, sender); p.rtp != at {
		t.Errorf("media go to %s", p.rtp)
	}
	if p := r.peer(lines, contact, contact); p.rtp.IsValid() {
		t.Errorf("media of one from outside go to %s", p.rtp)
	}
}

// TestWhatIsCarried holds which packets of a stream that is not RTP pass.
func TestWhatIsCarried(t *testing.T) {
	request := "INVITE sip:+12125550123@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1\r\n\r\n"
	fax := &peer{isFax: true}
	other := &peer{}
	for text, want := range map[string]struct{ fax, other bool }{
		request:                            {false, false},
		"SIP/2.0 200 OK\r\n":               {false, false},
		"\r\n\r\n" + request:               {false, false},
		"\x00\x01" + request:               {false, false},
		strings.ToLower(request):           {false, false},
		"IN\x56VITE sip:a@b sIp/2.0\r\n":   {false, false},
		"\x00\x01\x06\xc0\x01\x80\x00\x00": {true, true}, // UDPTL; its first byte is that of STUN
		"\x49\x4e\x06\xc0\x01\x80\x00\x00": {true, false},
		"\x16\xfe\xff\x00":                 {true, true},  // DTLS
		"\x80\x00":                         {true, true},  // RTP
		"\x40\x00":                         {true, false}, // a TURN channel
		"a/b/c":                            {true, false},
		"IP/2.":                            {true, false},
		"/2.0":                             {true, true}, // '/' is 47, which could be DTLS
	} {
		if got := fax.passes([]byte(text)); got != want.fax {
			t.Errorf("%q as a fax: %v", text, got)
		}
		if got := other.passes([]byte(text)); got != want.other {
			t.Errorf("%q as DTLS: %v", text, got)
		}
	}
}

// TestFaxAndAudioAreNotMixed: UDPTL passes only where both sides have agreed on it.
func TestFaxAndAudioAreNotMixed(t *testing.T) {
	r := newRelay(t, loopback())
	for _, c := range [][2]string{
		{"m=image 4000 udptl t38", "m=audio 4000 RTP/AVP 0"},
		{"m=audio 4000 RTP/AVP 0", "m=image 4000 udptl t38"},
		{"m=audio 4000 UDP/TLS/RTP/SAVP 0", "m=image 4000 udptl t38"},
		{"m=audio 4000 udptl 0", "m=image 4000 udptl t38"},
	} {
		s := r.Open(media.Opening{Call: media.Call{ID: uuid.New()}})
		_, _, answered := exchange(s, describing(c[0]), describing(c[1]), media.AsOffered)
		s.Close()
		if !errors.Is(answered, media.ErrDescription) {
			t.Errorf("%s answered by %s: %v", c[0], c[1], answered)
		}
	}
}

// TestAFaxGoesBackToSRTP: the audio after a fax is encrypted where the audio before was.
func TestAFaxGoesBackToSRTP(t *testing.T) {
	r := newRelay(t, loopback())
	const key = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz"
	s := r.Open(media.Opening{Call: media.Call{ID: uuid.New()}})
	defer s.Close()
	agree := func(offer, answer string) string {
		sent, offered, answered := exchange(s, describing(offer), describing(answer), media.Encrypted)
		if offered != nil || answered != nil {
			t.Fatal(offered, answered)
		}
		return sent
	}
	agree("m=audio 4000 RTP/AVP 0", "m=audio 4000 RTP/SAVP 0\r\n"+key)
	s.Answered(time.Now())
	agree("m=image 4000 udptl t38", "m=image 4000 udptl t38")
	if sent := agree("m=audio 4000 RTP/AVP 0", "m=audio 4000 RTP/SAVP 0\r\n"+key); !strings.Contains(sent, "RTP/SAVP") {
		t.Errorf("after the fax the offer is %s", sent)
	}
}
