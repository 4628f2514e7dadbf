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

// optionally is a description by which SRTP is offered, or taken, without being required.
func optionally(sdp []byte) []byte {
	return []byte(strings.Replace(string(sdp), "RTP/SAVP", "RTP/AVP", 1))
}

// required is the same as one that requires it, as a phone of the tests reads it.
func required(sdp []byte) []byte {
	return []byte(strings.Replace(string(sdp), "RTP/AVP", "RTP/SAVP", 1))
}

// give has a session take a description and returns what it makes of it.
func give(t *testing.T, how func(media.Description, func([]byte, error)), from record.Side, sdp []byte) (out []byte) {
	t.Helper()
	ip := netip.MustParseAddr("127.0.0.1")
	how(media.Description{From: from, SDP: sdp, Source: ip, Target: ip}, func(made []byte, err error) {
		if err != nil {
			t.Fatal(err)
		}
		out = made
	})
	return out
}

// TestSRTPThatIsNotRequired: RTP/AVP with keys is SRTP towards the one who offers it, in the
// words of the offer, while the other side is plain. Later offers from the other side leave
// it the choice.
func TestSRTPThatIsNotRequired(t *testing.T) {
	r := newRelay(t, loopback())
	caller, callee := pair(t)
	caller.Encrypt("caller")
	s := r.Open(media.Opening{Call: media.Call{ID: uuid.New()}}).(*session)
	defer s.Close()
	out := give(t, s.Offer, record.SideCaller, optionally(caller.Describe()))
	if strings.Contains(string(out), "a=crypto") || !strings.Contains(string(out), "RTP/AVP ") {
		t.Errorf("the carrier is offered %q", out)
	}
	callee.Learn(out)
	out = give(t, s.Answer, record.SideCallee, callee.Describe())
	if strings.Count(string(out), "a=crypto:1 ") != 1 || !strings.Contains(string(out), "RTP/AVP ") {
		t.Errorf("the caller is answered %q", out)
	}
	caller.Learn(required(out))
	s.Answered(time.Now())
	mediatest.Converse(t, caller, callee)

	out = give(t, s.Offer, record.SideCallee, callee.Describe())
	if !strings.Contains(string(out), "a=crypto") || !strings.Contains(string(out), "RTP/AVP ") {
		t.Errorf("the caller is offered %q", out)
	}
	caller.Learn(required(out))
	out = give(t, s.Answer, record.SideCaller, optionally(caller.Describe()))
	if strings.Contains(string(out), "a=crypto") {
		t.Errorf("the carrier is answered %q", out)
	}
	callee.Learn(out)
	mediatest.Converse(t, caller, callee)

	// An answer without a key, as of a phone that was transferred to another, goes on plain.
	plain, _ := pair(t)
	plain.Learn(give(t, s.Offer, record.SideCallee, callee.Describe()))
	callee.Learn(give(t, s.Answer, record.SideCaller, plain.Describe()))
	mediatest.Converse(t, plain, callee)
}

// TestAFamilyThatTheRelayDoesNotHave: what cannot be sent to is refused, when it is offered
// and in a later offer, and what was agreed on goes on.
func TestAFamilyThatTheRelayDoesNotHave(t *testing.T) {
	four, six := netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("::1")
	const text = "v=0\r\no=- 1 2 IN IP6 ::1\r\ns=-\r\nc=IN IP6 ::1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"
	offer := func(s media.Session, sdp string, source netip.Addr) (out string, err error) {
		s.Offer(media.Description{From: record.SideCaller, SDP: []byte(sdp), Source: source, Target: four},
			func(made []byte, e error) { out, err = string(made), e })
		return out, err
	}
	r := newRelay(t, loopback())
	r.config.Addresses = r.config.Addresses[:1]
	if !r.config.Addresses[0].Local.Is4() {
		t.Fatal("the first address of the relay is not of IPv4")
	}
	for _, source := range []netip.Addr{four, six} {
		s := r.Open(media.Opening{Call: media.Call{ID: uuid.New()}})
		defer s.Close()
		if out, err := offer(s, text, source); !errors.Is(err, media.ErrDescription) {
			t.Errorf("by way of %s: %q, %v", source, out, err)
		}
		held := strings.ReplaceAll(strings.ReplaceAll(text, "::1", "0.0.0.0"), "IP6", "IP4")
		if _, err := offer(s, held, source); err != nil {
			t.Errorf("on hold, by way of %s: %v", source, err)
		}
	}
	s := r.Open(media.Opening{Call: media.Call{ID: uuid.New()}})
	defer s.Close()
	reachable := strings.ReplaceAll(strings.ReplaceAll(text, "::1", "127.0.0.1"), "IP6", "IP4")
	if _, err := offer(s, reachable, four); err != nil {
		t.Fatal(err)
	}
	if _, err := offer(s, text, four); !errors.Is(err, media.ErrDescription) {
		t.Errorf("a side that moves to a family without a way: %v", err)
	}
}

// selects is a Tap that takes G.711 and G.722.
type selects struct{ teller }

func (selects) Takes(f media.Format) bool {
	return strings.HasPrefix(f.Name, "PCM") || strings.EqualFold(f.Name, "G722")
}
func (selects) Formats(record.Side, []media.Format) {}
func (selects) Answered(time.Time)                  {}

// TestWhatCannotBeRecordedIsNotOffered: formats that the Tap does not take go, with all that
// is said of them; tones stay; and an offer of nothing else stays as it is.
func TestWhatCannotBeRecordedIsNotOffered(t *testing.T) {
	const head = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
	for name, c := range map[string]struct{ lines, want string }{
		"some": {"m=audio 4000 RTP/AVP 18 8 97 9 101 13\r\na=rtpmap:18 G729/8000\r\na=fmtp:18 annexb=no\r\n" +
			"a=rtpmap:97 AMR-WB/16000\r\na=fmtp:97 octet-align=1\r\na=rtcp-fb:97 nack\r\na=rtcp-fb:* nack\r\n" +
			"a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\n",
			"8 9 101 13\r\na=rtcp-fb:* nack\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\n"},
		"none": {"m=audio 4000 RTP/AVP 18 101\r\na=rtpmap:101 telephone-event/8000\r\n",
			"18 101\r\na=rtpmap:101 telephone-event/8000\r\n"},
		"all":       {"m=audio 4000 RTP/AVP 0 8\r\na=sendrecv\r\n", "0 8\r\na=sendrecv\r\n"},
		"a mystery": {"m=audio 4000 RTP/AVP 0 99\r\na=fmtp:99 x\r\n", "0\r\n"},
		"video":     {"m=video 4000 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n", "96\r\na=rtpmap:96 H264/90000\r\n"},
	} {
		r := newRelay(t, loopback())
		s := r.Open(media.Opening{Call: media.Call{ID: uuid.New()}, Tap: selects{}})
		out := string(give(t, s.Offer, record.SideCaller, []byte(head+c.lines)))
		if _, rest, _ := strings.Cut(out, " RTP/AVP "); rest != c.want {
			t.Errorf("%s: offered %q, want %q", name, rest, c.want)
		}
		s.Close()
	}
}
