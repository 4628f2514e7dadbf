// Package mediatest is the suite that every media.Relay passes, with real RTP.
package mediatest

import (
	"bytes"
	"errors"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/media"
	"github.com/tollgate/tollgate/internal/record"
)

// Want is what a test needs of a relay. It must have 127.0.0.1 and ::1.
type Want struct {
	Silence time.Duration // 0 for long
}

// Run runs the suite on relays that open makes.
func Run(t *testing.T, open func(t *testing.T, want Want) media.Relay) {
	for name, test := range map[string]func(*testing.T, media.Relay){
		"RTP and RTCP both ways":        both,
		"what is not understood passes": verbatim,
		"a change of address":           change,
		"hold and back":                 hold,
		"the answer of another fork":    fork,
		"a late offer":                  lateOffer,
		"an offer that is refused":      refusedOffer,
		"a stranger":                    stranger,
		"a stranger who is first":       first,
		"behind a translator":           translated,
		"rtcp-mux on one side":          mux,
		"IPv6 to IPv4":                  families,
		"SRTP to RTP":                   srtpToRTP,
		"RTP to SRTP":                   rtpToSRTP,
		"SRTP on both sides":            srtpBoth,
		"SRTP through a re-INVITE":      srtpAgain,
		"a stream that is refused":      refusedStream,
		"nonsense":                      nonsense,
		"after the end":                 closed,
	} {
		t.Run(name, func(t *testing.T) { test(t, open(t, Want{})) })
	}
	t.Run("silence", func(t *testing.T) { silence(t, open(t, Want{Silence: time.Second})) })
}

// line is one call through a relay.
type line struct {
	t       *testing.T
	session media.Session
	lost    chan struct{}
}

func dial(t *testing.T, r media.Relay) *line {
	t.Helper()
	l := &line{t: t, lost: make(chan struct{}, 2)}
	l.session = r.Open(media.Opening{Call: media.Call{ID: uuid.New()}, Lost: func() { l.lost <- struct{}{} }})
	t.Cleanup(l.session.Close)
	return l
}

type result struct {
	sdp []byte
	err error
}

func (l *line) wait(give func(media.Description, func([]byte, error)), d media.Description) ([]byte, error) {
	l.t.Helper()
	done := make(chan result, 2)
	give(d, func(sdp []byte, err error) { done <- result{sdp, err} })
	select {
	case r := <-done:
		return r.sdp, r.err
	case <-time.After(patience):
		l.t.Fatal("no result")
		return nil, nil
	}
}

// description is one of a side's phone, to the other's.
func description(from record.Side, sdp []byte, source, target *Phone) media.Description {
	return media.Description{From: from, SDP: sdp, Source: source.ip, Target: target.ip}
}

// offer passes an offer on and returns what came out.
func (l *line) offer(from record.Side, by, to *Phone, encryption media.Encryption, lines ...string) []byte {
	l.t.Helper()
	d := description(from, by.Describe(lines...), by, to)
	d.Encryption = encryption
	sdp, err := l.wait(l.session.Offer, d)
	if err != nil {
		l.t.Fatalf("offer: %v", err)
	}
	to.Learn(sdp)
	return sdp
}

func (l *line) answer(from record.Side, by, to *Phone, lines ...string) []byte {
	l.t.Helper()
	sdp, err := l.wait(l.session.Answer, description(from, by.Describe(lines...), by, to))
	if err != nil {
		l.t.Fatalf("answer: %v", err)
	}
	to.Learn(sdp)
	return sdp
}

// connect makes the call between two phones.
func (l *line) connect(caller, callee *Phone, encryption media.Encryption) {
	l.t.Helper()
	l.offer(record.SideCaller, caller, callee, encryption)
	l.answer(record.SideCallee, callee, caller)
	l.session.Answered(time.Now())
}

func phones(t *testing.T) (caller, callee *Phone) {
	return NewPhone(t, "127.0.0.1"), NewPhone(t, "127.0.0.2")
}

func both(t *testing.T, r media.Relay) {
	caller, callee := phones(t)
	l := dial(t, r)
	l.connect(caller, callee, media.AsOffered)
	if caller.ToRTP.Port()%2 != 0 || caller.ToRTP == callee.ToRTP ||
		caller.ToRTP.Addr() != netip.MustParseAddr("127.0.0.1") {
		t.Errorf("the phones send to %s and %s", caller.ToRTP, callee.ToRTP)
	}
	Converse(t, caller, callee)
	caller.Report(41)
	if got := callee.HearReport(); got != 41 {
		t.Errorf("report of %d packets", got)
	}
	callee.Report(42)
	if got := caller.HearReport(); got != 42 {
		t.Errorf("report of %d packets", got)
	}
}

// verbatim holds that lines which the relay has no business with stay as they are.
func verbatim(t *testing.T, r media.Relay) {
	caller, callee := phones(t)
	l := dial(t, r)
	sdp := l.offer(record.SideCaller, caller, callee, media.AsOffered, "a=ptime:20", "a=x-vendor:1;two", "a=fmtp:101 0-15",
		"a=sendrecv")
	for _, want := range []string{"a=ptime:20\r\n", "a=x-vendor:1;two\r\n", "a=fmtp:101 0-15\r\n", " RTP/AVP 0 8 101\r\n",
		"a=rtpmap:8 PCMA/8000\r\n"} {
		if !bytes.Contains(sdp, []byte(want)) {
			t.Errorf("%q is gone from\n%s", want, sdp)
		}
	}
	l.answer(record.SideCallee, callee, caller)
	Converse(t, caller, callee)
}

func change(t *testing.T, r media.Relay) {
	caller, callee := phones(t)
	l := dial(t, r)
	l.connect(caller, callee, media.AsOffered)
	Converse(t, caller, callee)
	moved := NewPhone(t, "127.0.0.1")
	before := callee.ToRTP
	l.offer(record.SideCaller, moved, callee, media.AsOffered)
	l.answer(record.SideCallee, callee, moved)
	if callee.ToRTP != before {
		t.Errorf("the callee, which did not move, is to send to %s instead of %s", callee.ToRTP, before)
	}
	Converse(t, moved, callee)
	// And from the other side, whose phone takes up a new address.
	far := NewPhone(t, "127.0.0.3")
	l.offer(record.SideCallee, far, moved, media.AsOffered)
	l.answer(record.SideCaller, moved, far)
	Converse(t, moved, far)
}

func hold(t *testing.T, r media.Relay) {
	caller, callee := phones(t)
	l := dial(t, r)
	l.connect(caller, callee, media.AsOffered)
	if sdp := l.offer(record.SideCaller, caller, callee, media.AsOffered, "a=sendonly"); !bytes.Contains(sdp,
		[]byte("a=sendonly\r\n")) {
		t.Errorf("hold became\n%s", sdp)
	}
	if sdp := l.answer(record.SideCallee, callee, caller, "a=recvonly"); !bytes.Contains(sdp, []byte("a=recvonly\r\n")) {
		t.Errorf("its answer became\n%s", sdp)
	}
	caller.Say("music on hold")
	if got := callee.Hear(); got != "music on hold" {
		t.Errorf("heard %q", got)
	}
	l.offer(record.SideCaller, caller, callee, media.AsOffered, "a=sendrecv")
	l.answer(record.SideCallee, callee, caller, "a=sendrecv")
	Converse(t, caller, callee)
}

func fork(t *testing.T, r media.Relay) {
	caller, first := phones(t)
	second := NewPhone(t, "127.0.0.3")
	l := dial(t, r)
	l.offer(record.SideCaller, caller, first, media.AsOffered)
	second.ToRTP, second.ToRTCP = first.ToRTP, first.ToRTCP
	l.answer(record.SideCallee, first, caller) // early media of one branch
	Converse(t, caller, first)
	l.answer(record.SideCallee, second, caller) // the other one takes the call
	l.session.Answered(time.Now())
	Converse(t, caller, second)
}

// refusedOffer holds that an offer within the call which is refused moves nothing.
func refusedOffer(t *testing.T, r media.Relay) {
	caller, callee := phones(t)
	l := dial(t, r)
	l.connect(caller, callee, media.AsOffered)
	Converse(t, caller, callee)
	for side, by := range map[record.Side]*Phone{record.SideCaller: caller, record.SideCallee: callee} {
		elsewhere := NewPhone(t, by.ip.String())
		if _, err := l.wait(l.session.Offer, description(side, elsewhere.Describe(), elsewhere, elsewhere)); err != nil {
			t.Fatal(err)
		}
		_, _ = l.wait(func(_ media.Description, done func([]byte, error)) { l.session.Refused(func() { done(nil, nil) }) },
			media.Description{})
		Converse(t, caller, callee)
	}
	// And the next offer works.
	l.offer(record.SideCaller, caller, callee, media.AsOffered)
	l.answer(record.SideCallee, callee, caller)
	Converse(t, caller, callee)
}

// lateOffer is a call in which the callee makes the offer.
func lateOffer(t *testing.T, r media.Relay) {
	caller, callee := phones(t)
	l := dial(t, r)
	l.offer(record.SideCallee, callee, caller, media.AsOffered)
	l.answer(record.SideCaller, caller, callee)
	l.session.Answered(time.Now())
	Converse(t, caller, callee)
}

// stranger checks that once a side was heard, no other source can put media into the
// call or draw it to himself.
func stranger(t *testing.T, r media.Relay) {
	caller, callee := phones(t)
	l := dial(t, r)
	l.connect(caller, callee, media.AsOffered)
	Converse(t, caller, callee)
	for _, host := range []string{"127.0.0.1", "127.0.0.2", "127.0.0.66"} {
		attacker := NewPhone(t, host)
		for _, target := range []netip.AddrPort{caller.ToRTP, callee.ToRTP} {
			attacker.ToRTP = target
			attacker.Say("advertisement")
		}
		Converse(t, caller, callee) // fails here if the advertisement is heard first
		attacker.Quiet()
	}
}

// first holds that a stranger who sends before the phones do is neither heard nor
// sent anything, where a side has said from where its media come.
func first(t *testing.T, r media.Relay) {
	caller, callee := phones(t)
	l := dial(t, r)
	l.connect(caller, callee, media.AsOffered)
	attacker := NewPhone(t, "127.0.0.66")
	for _, target := range []netip.AddrPort{caller.ToRTP, callee.ToRTP} {
		attacker.ToRTP = target
		attacker.Say("advertisement")
	}
	Converse(t, caller, callee)
	attacker.Quiet()
}

// translated is a phone whose description names an address and a port that only its
// own network knows, on either side of the call; the other side is not affected.
func translated(t *testing.T, r media.Relay) {
	for _, side := range []record.Side{record.SideCaller, record.SideCallee} {
		caller, callee := phones(t)
		l := dial(t, r)
		inside := func(from record.Side, by, to *Phone) media.Description {
			sdp := by.Describe()
			if from == side {
				sdp = bytes.ReplaceAll(sdp, []byte("c=IN IP4 "+by.ip.String()), []byte("c=IN IP4 192.168.7.7"))
				sdp = bytes.Replace(sdp, []byte("m=audio "+strconv.Itoa(int(by.port()))), []byte("m=audio 4000"), 1)
			}
			return description(from, sdp, by, to)
		}
		sdp, err := l.wait(l.session.Offer, inside(record.SideCaller, caller, callee))
		if err != nil {
			t.Fatal(err)
		}
		callee.Learn(sdp)
		if sdp, err = l.wait(l.session.Answer, inside(record.SideCallee, callee, caller)); err != nil {
			t.Fatal(err)
		}
		caller.Learn(sdp)
		l.session.Answered(time.Now())
		hidden, other := caller, callee
		if side == record.SideCallee {
			hidden, other = callee, caller
		}
		attacker := NewPhone(t, "127.0.0.66")
		attacker.ToRTP = other.ToRTP // on the side that has said where it is
		attacker.Say("advertisement")
		hidden.Say("hello")
		if got := other.Hear(); got != "hello" {
			t.Errorf("heard %q", got)
		}
		Converse(t, hidden, other)
		attacker.Quiet()
	}
}

func mux(t *testing.T, r media.Relay) {
	caller, callee := phones(t)
	l := dial(t, r)
	l.offer(record.SideCaller, caller, callee, media.AsOffered, "a=rtcp-mux")
	callee.ToRTCP = netip.AddrPortFrom(callee.ToRTP.Addr(), callee.ToRTP.Port()+1) // it knows nothing of it
	l.answer(record.SideCallee, callee, caller)
	Converse(t, caller, callee)
	caller.Report(43)
	if got := callee.HearReport(); got != 43 {
		t.Errorf("report of %d packets", got)
	}
	callee.Report(44)
	if got := caller.HearReport(); got != 44 {
		t.Errorf("report of %d packets", got)
	}
}

func families(t *testing.T, r media.Relay) {
	caller, callee := NewPhone(t, "::1"), NewPhone(t, "127.0.0.2")
	l := dial(t, r)
	l.connect(caller, callee, media.AsOffered)
	if !caller.ToRTP.Addr().Is6() || !callee.ToRTP.Addr().Is4() {
		t.Errorf("the phones send to %s and %s", caller.ToRTP, callee.ToRTP)
	}
	Converse(t, caller, callee)
}

func secrets(t *testing.T, l *line, caller, callee *Phone) {
	t.Helper()
	Converse(t, caller, callee)
	caller.Report(45)
	if got := callee.HearReport(); got != 45 {
		t.Errorf("report of %d packets", got)
	}
	callee.Report(46)
	if got := caller.HearReport(); got != 46 {
		t.Errorf("report of %d packets", got)
	}
}

func srtpToRTP(t *testing.T, r media.Relay) {
	caller, callee := phones(t)
	l := dial(t, r)
	l.connect(caller.Encrypt("caller"), callee, media.Plain)
	secrets(t, l, caller, callee)
}

func rtpToSRTP(t *testing.T, r media.Relay) {
	caller, callee := phones(t)
	callee.Encrypt("callee")
	l := dial(t, r)
	l.connect(caller, callee, media.Encrypted)
	secrets(t, l, caller, callee)
}

func srtpBoth(t *testing.T, r media.Relay) {
	caller, callee := phones(t)
	l := dial(t, r)
	l.connect(caller.Encrypt("caller"), callee.Encrypt("callee"), media.AsOffered)
	secrets(t, l, caller, callee)
}

// srtpAgain holds that a re-INVITE from either side leaves each with the
// encryption it has, and the counters of SRTP going on.
func srtpAgain(t *testing.T, r media.Relay) {
	caller, callee := phones(t)
	l := dial(t, r)
	l.connect(caller.Encrypt("caller"), callee, media.Plain)
	Converse(t, caller, callee)
	l.offer(record.SideCallee, callee, caller, media.AsOffered)
	l.answer(record.SideCaller, caller, callee)
	Converse(t, caller, callee)
	l.offer(record.SideCaller, caller, callee, media.AsOffered)
	l.answer(record.SideCallee, callee, caller)
	secrets(t, l, caller, callee)
}

// refusedStream offers a second stream, which the callee refuses.
func refusedStream(t *testing.T, r media.Relay) {
	caller, callee := phones(t)
	l := dial(t, r)
	sdp, err := l.wait(l.session.Offer,
		description(record.SideCaller, caller.Describe("m=video 9998 RTP/AVP 97", "a=rtpmap:97 H264/90000"), caller, callee))
	if err != nil || strings.Count(string(sdp), "m=") != 2 || bytes.Contains(sdp, []byte("9998")) {
		t.Fatalf("%v\n%s", err, sdp)
	}
	audio, _, _ := bytes.Cut(sdp, []byte("m=video"))
	callee.Learn(audio)
	sdp, err = l.wait(l.session.Answer,
		description(record.SideCallee, callee.Describe("m=video 0 RTP/AVP 97"), callee, caller))
	if err != nil || !bytes.Contains(sdp, []byte("m=video 0 ")) {
		t.Fatalf("%v\n%s", err, sdp)
	}
	audio, _, _ = bytes.Cut(sdp, []byte("m=video"))
	caller.Learn(audio)
	Converse(t, caller, callee)
}

func nonsense(t *testing.T, r media.Relay) {
	caller, callee := phones(t)
	for _, text := range []string{
		"", "hello", "v=0\r\n",
		"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 nowhere?\r\nt=0 0\r\nm=audio x RTP/AVP 0\r\n",
		strings.Repeat("a=x\r\n", 10_000), "\x00\x01\x02",
	} {
		l := dial(t, r)
		_, err := l.wait(l.session.Offer, description(record.SideCaller, []byte(text), caller, callee))
		if !errors.Is(err, media.ErrDescription) {
			t.Errorf("offer %.40q: %v", text, err)
		}
	}
	l := dial(t, r)
	l.offer(record.SideCaller, caller, callee, media.AsOffered)
	if _, err := l.wait(l.session.Answer,
		description(record.SideCallee, []byte("nothing"), callee, caller)); !errors.Is(err, media.ErrDescription) {
		t.Errorf("answer: %v", err)
	}
	l.answer(record.SideCallee, callee, caller)
	Converse(t, caller, callee)
}

func closed(t *testing.T, r media.Relay) {
	caller, callee := phones(t)
	l := dial(t, r)
	l.connect(caller, callee, media.AsOffered)
	Converse(t, caller, callee)
	l.session.Close()
	l.session.Close()
	if _, err := l.wait(l.session.Offer,
		description(record.SideCaller, caller.Describe(), caller, callee)); !errors.Is(err, media.ErrClosed) {
		t.Errorf("an offer after the end: %v", err)
	}
	// The next call may be given the same ports or others; it must work.
	again := dial(t, r)
	again.connect(caller, callee, media.AsOffered)
	Converse(t, caller, callee)
}

// silence checks that a call is reported lost once when both sides are silent, and not while one speaks.
func silence(t *testing.T, r media.Relay) {
	caller, callee := phones(t)
	l := dial(t, r)
	l.connect(caller, callee, media.AsOffered)
	begun := time.Now()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for range 15 {
		caller.Say("still here")
		callee.Say("I too")
		select {
		case <-tick.C:
		case <-l.lost:
			t.Fatalf("lost after %v while both speak", time.Since(begun))
		}
	}
	select {
	case <-l.lost:
	case <-time.After(patience):
		t.Fatal("a silent call goes on")
	}
	select {
	case <-l.lost:
		t.Error("lost twice")
	case <-time.After(absence):
	}
}
