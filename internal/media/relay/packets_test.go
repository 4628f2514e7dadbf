package relay

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/media"
	"github.com/tollgate/tollgate/internal/media/mediatest"
	"github.com/tollgate/tollgate/internal/record"
)

// call is a call through a relay between two phones.
func (r *Relay) call(t *testing.T, caller, callee *mediatest.Phone, lines ...string) (*session, error) {
	t.Helper()
	s := r.Open(media.Opening{Call: media.Call{ID: uuid.New()}}).(*session)
	t.Cleanup(s.Close)
	var err error
	ip := netip.MustParseAddr("127.0.0.1")
	s.Offer(media.Description{From: record.SideCaller, SDP: caller.Describe(lines...), Source: ip, Target: ip},
		func(sdp []byte, e error) {
			if err = e; err == nil {
				callee.Learn(sdp)
			}
		})
	if err != nil {
		return s, err
	}
	s.Answer(media.Description{From: record.SideCallee, SDP: callee.Describe(), Source: ip, Target: ip},
		func(sdp []byte, e error) {
			if err = e; err == nil {
				caller.Learn(sdp)
			}
		})
	s.Answered(time.Now())
	return s, err
}

func pair(t *testing.T) (caller, callee *mediatest.Phone) {
	return mediatest.NewPhone(t, "127.0.0.1"), mediatest.NewPhone(t, "127.0.0.2")
}

func TestPortsRunOutAndComeBack(t *testing.T) {
	c := loopback()
	c.Low, c.High = 23500, 23503
	r := newRelay(t, c)
	caller, callee := pair(t)
	for range 5 {
		s, err := r.call(t, caller, callee)
		if err != nil {
			t.Fatal(err)
		}
		mediatest.Converse(t, caller, callee)
		if _, err := r.call(t, caller, callee); !errors.Is(err, media.ErrExhausted) {
			t.Fatalf("a call too many: %v", err)
		}
		s.Close()
		r.settle(t)
	}
}

// settle waits until every session has ended, refused ones too, and its ports are back.
func (r *Relay) settle(t *testing.T) {
	t.Helper()
	r.mu.Lock()
	left := make([]*session, 0, len(r.sessions))
	for s := range r.sessions {
		left = append(left, s)
	}
	r.mu.Unlock()
	for _, s := range left {
		s.Close()
	}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for begun := time.Now(); r.Stats().FreePorts != (int(r.config.High)-int(r.config.Low)+1)/2; <-tick.C {
		if time.Since(begun) > 10*time.Second {
			t.Fatalf("%+v after the end of every call", r.Stats())
		}
	}
}

func TestTheRelayDoesNotTalkToItself(t *testing.T) {
	r := newRelay(t, loopback())
	caller, callee := pair(t)
	if _, err := r.call(t, caller, callee); err != nil {
		t.Fatal(err)
	}
	port := strings.TrimPrefix(caller.ToRTP.String(), "127.0.0.1:")
	mine := "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio " + port + " RTP/AVP 0\r\n"
	s := r.Open(media.Opening{})
	defer s.Close()
	s.Offer(media.Description{From: record.SideCaller, SDP: []byte(mine)}, func(_ []byte, err error) {
		if !errors.Is(err, media.ErrDescription) {
			t.Errorf("an offer that names a port of the relay's: %v", err)
		}
	})
}

// TestAFloodIsCutOff: a side that sends more than a stream has is cut off for the
// rest of the second, and another call does not notice.
func TestAFloodIsCutOff(t *testing.T) {
	now := time.Unix(1_800_000_000, 0) // stands still
	c := loopback()
	c.Clock = func() time.Time { return now }
	r := newRelay(t, c)
	caller, callee := pair(t)
	if _, err := r.call(t, caller, callee); err != nil {
		t.Fatal(err)
	}
	for i := range maxPacketsPerSecond {
		caller.Say("flood")
		if i%100 == 99 {
			for range 100 {
				callee.Hear()
			}
		}
	}
	caller.Say("too much")
	callee.Quiet()
	if excess := r.Stats().Excess; excess != 1 {
		t.Errorf("%d packets too many, want 1", excess)
	}
	one, other := pair(t)
	if _, err := r.call(t, one, other); err != nil {
		t.Fatal(err)
	}
	mediatest.Converse(t, one, other)
}

// TestAForgedPacketTakesNothing: with SRTP a packet without the key neither passes
// nor decides where the side is.
func TestAForgedPacketTakesNothing(t *testing.T) {
	r := newRelay(t, loopback())
	caller, callee := pair(t)
	caller.Encrypt("caller")
	s := r.Open(media.Opening{}).(*session)
	defer s.Close()
	ip := netip.MustParseAddr("127.0.0.1")
	s.Offer(media.Description{From: record.SideCaller, SDP: caller.Describe(), Source: ip, Target: ip,
		Encryption: media.Plain}, func(sdp []byte, err error) { callee.Learn(sdp) })
	s.Answer(media.Description{From: record.SideCallee, SDP: callee.Describe(), Source: ip, Target: ip},
		func(sdp []byte, err error) { caller.Learn(sdp) })
	attacker := mediatest.NewPhone(t, "127.0.0.1")
	attacker.ToRTP = caller.ToRTP
	attacker.Say("in the clear")
	callee.Quiet()
	attacker.Encrypt("guess").Say("with another key")
	callee.Quiet()
	mediatest.Converse(t, caller, callee)
	if forged := r.Stats().Forged; forged != 2 {
		t.Errorf("%d forged packets, want 2", forged)
	}
}

func TestOneKeyHasFewSources(t *testing.T) {
	c, err := newCipher(newKeying(1, suites[0]))
	if err != nil {
		t.Fatal(err)
	}
	sealed := 0
	for i := range 10 * maxSources {
		packet := make([]byte, 172, 172+sealBytes)
		packet[0], packet[10], packet[11] = 0x80, byte(i>>8), byte(i)
		if _, ok := c.seal(packet, false); ok {
			sealed++
		}
	}
	if sealed != maxSources {
		t.Errorf("sealed packets of %d sources, want %d", sealed, maxSources)
	}
}

func TestSilenceOfOneSideAndOnHold(t *testing.T) {
	for _, c := range []struct {
		name      string
		direction string
		speaks    bool          // the caller
		want      time.Duration // when the call is lost; 0 for never
	}{
		{"both silent", "a=sendrecv", false, 61 * time.Second},
		{"one silent", "a=sendrecv", true, 301 * time.Second},
		{"on hold", "a=inactive", false, 0},
		{"music on hold", "a=sendonly", true, 0},
		{"silent music on hold", "a=sendonly", false, 61 * time.Second},
	} {
		r := newRelay(t, loopback())
		caller, callee := pair(t)
		s, err := r.call(t, caller, callee, c.direction)
		if err != nil {
			t.Fatal(err)
		}
		var lost time.Duration
		for at := time.Second; at < 10*time.Minute; at += time.Second {
			now := s.answeredAt.Add(at)
			if c.speaks {
				s.streams[0].ends[0].lastMicros.Store(now.UnixMicro())
			}
			s.mu.Lock()
			silent := s.silent(now, time.Minute)
			s.mu.Unlock()
			if silent {
				lost = at
				break
			}
		}
		if lost != c.want {
			t.Errorf("%s: lost after %v, want %v", c.name, lost, c.want)
		}
	}
}

// TestMediaFromElsewhere: a packet from an address that nothing names is heard only
// where the operator says so.
func TestMediaFromElsewhere(t *testing.T) {
	for _, anySource := range []bool{false, true} {
		c := loopback()
		c.AnySource = anySource
		r := newRelay(t, c)
		caller, callee := pair(t)
		if _, err := r.call(t, caller, callee); err != nil {
			t.Fatal(err)
		}
		elsewhere := mediatest.NewPhone(t, "127.0.0.9")
		elsewhere.ToRTP, elsewhere.ToRTCP = caller.ToRTP, caller.ToRTCP
		if !anySource {
			elsewhere.Say("hello")
			callee.Quiet()
			mediatest.Converse(t, caller, callee)
			continue
		}
		mediatest.Converse(t, elsewhere, callee)
	}
}

// TestMediaFromAnotherPort: a translator gives a phone another port than its
// description names.
func TestMediaFromAnotherPort(t *testing.T) {
	r := newRelay(t, loopback())
	caller, callee := pair(t)
	if _, err := r.call(t, caller, callee); err != nil {
		t.Fatal(err)
	}
	outside := mediatest.NewPhone(t, "127.0.0.1")
	outside.ToRTP, outside.ToRTCP = caller.ToRTP, caller.ToRTCP
	outside.Say("hello")
	if got := callee.Hear(); got != "hello" {
		t.Errorf("heard %q", got)
	}
	mediatest.Converse(t, outside, callee)
}

// teller is a Tap that writes down what it is told.
type teller struct {
	told chan string
}

func (t teller) Formats(side record.Side, _ []media.Format) { t.told <- "formats of " + side.String() }
func (t teller) Answered(time.Time)                         { t.told <- "answered" }
func (t teller) Packet(record.Side, time.Time, []byte)      {}
func (t teller) Close()                                     {}

// crier has an announcement too.
type crier struct{ teller }

func (c crier) Announcement(to record.Side) media.Announcement {
	c.told <- "announcement to " + to.String()
	return media.Announcement{}
}

// TestFormatsComeFirst: a recording, and an announcement before it, begins when both
// the call is answered and it is known what the sides may send, whichever is last: an
// answer may come with the ACK.
func TestFormatsComeFirst(t *testing.T) {
	for _, late := range []bool{false, true} {
		for _, announces := range []bool{false, true} {
			r := newRelay(t, loopback())
			told := make(chan string, 10)
			var tap media.Tap = teller{told}
			want := []string{"formats of caller", "formats of callee", "answered"}
			if announces {
				tap, want = crier{teller{told}}, []string{"formats of caller", "formats of callee", "announcement to caller",
					"announcement to callee", "answered"}
			}
			s := r.Open(media.Opening{Call: media.Call{ID: uuid.New()}, Tap: tap})
			t.Cleanup(s.Close)
			caller, callee := pair(t)
			ip := netip.MustParseAddr("127.0.0.1")
			exchange := func(give func(media.Description, func([]byte, error)), from record.Side, by, to *mediatest.Phone) {
				give(media.Description{From: from, SDP: by.Describe(), Source: ip, Target: ip}, func(sdp []byte, err error) {
					if err != nil {
						t.Fatal(err)
					}
					to.Learn(sdp)
				})
			}
			exchange(s.Offer, record.SideCaller, caller, callee)
			if late {
				s.Answered(time.Now())
			}
			exchange(s.Answer, record.SideCallee, callee, caller)
			if !late {
				s.Answered(time.Now())
			}
			for _, what := range want {
				select {
				case got := <-told:
					if got != what {
						t.Errorf("late: %v, announcement: %v: told %q, want %q", late, announces, got, what)
					}
				case <-time.After(10 * time.Second):
					t.Fatalf("late: %v, announcement: %v: %q was never told", late, announces, what)
				}
			}
		}
	}
}

// heardFormats is a Tap that keeps the payload types each side may send.
type heardFormats struct {
	teller
	of map[record.Side][]media.Format
}

func (h heardFormats) Formats(side record.Side, formats []media.Format) { h.of[side] = formats }
func (h heardFormats) Answered(time.Time)                               {}

// TestTheAcceptedStreamIsRecorded: of several streams of audio that are offered, as by a
// telephone that has SRTP and RTP, the one that the answer takes is recorded; and an
// answer with fewer streams refuses the rest.
func TestTheAcceptedStreamIsRecorded(t *testing.T) {
	head := "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
	two := head + "m=audio 4000 RTP/AVP 0\r\nm=audio 4002 RTP/AVP 8\r\nm=video 4004 RTP/AVP 96\r\n"
	ip := netip.MustParseAddr("127.0.0.1")
	for _, c := range []struct {
		name, answer string
		recorded     int // payload type, -1 for none
		streams      []string
	}{
		{"the first", head + "m=audio 5000 RTP/AVP 0\r\nm=audio 0 RTP/AVP 8\r\nm=video 0 RTP/AVP 96\r\n", 0,
			[]string{"audio", "audio 0 ", "video 0 "}},
		{"the second", head + "m=audio 0 RTP/AVP 0\r\nm=audio 5002 RTP/AVP 8\r\nm=video 0 RTP/AVP 96\r\n", 8,
			[]string{"audio 0 ", "audio", "video 0 "}},
		{"fewer streams", head + "m=audio 5000 RTP/AVP 0\r\n", 0, []string{"audio", "audio 0 ", "video 0 "}},
		{"none", head + "m=audio 0 RTP/AVP 0\r\n", -1, []string{"audio 0 ", "audio 0 ", "video 0 "}},
	} {
		r := newRelay(t, loopback())
		tap := heardFormats{of: make(map[record.Side][]media.Format)}
		s := r.Open(media.Opening{Call: media.Call{ID: uuid.New()}, Tap: tap}).(*session)
		s.Offer(media.Description{From: record.SideCaller, SDP: []byte(two), Source: ip, Target: ip},
			func(_ []byte, err error) {
				if err != nil {
					t.Fatal(err)
				}
			})
		var answer []byte
		s.Answer(media.Description{From: record.SideCallee, SDP: []byte(c.answer), Source: ip, Target: ip},
			func(sdp []byte, err error) {
				if err != nil {
					t.Fatalf("%s: %v", c.name, err)
				}
				answer = sdp
			})
		read, err := readDescription(answer)
		if err != nil || len(read.streams) != len(c.streams) {
			t.Fatalf("%s: the answer is %q: %v", c.name, answer, err)
		}
		for i, want := range c.streams {
			if line := read.streams[i].lines[0]; !strings.HasPrefix(line, "m="+want) {
				t.Errorf("%s: stream %d is %q", c.name, i, line)
			}
		}
		formats := tap.of[record.SideCaller]
		if c.recorded < 0 != (len(formats) == 0) || c.recorded >= 0 && int(formats[0].PayloadType) != c.recorded {
			t.Errorf("%s: the recorder is told of %+v", c.name, formats)
		}
		s.Close()
	}
}
