package sipgw

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/media"
	"github.com/tollgate/tollgate/internal/media/relay"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/routing"
)

// saying is a call of the server's own that says a text, in payloads of a word each.
func saying(text string) Origination {
	return Origination{
		ID: uuid.New(), Connection: worldPBX, From: 12125550199, To: 12125550123, SIPCallID: "own-" + uuid.NewString(),
		Length: time.Minute, Rings: time.Minute,
		Says: func(encoding string) (payloads [][]byte) {
			for word := range strings.FieldsSeq(encoding + " " + text) {
				payloads = append(payloads, []byte(word))
			}
			return payloads
		},
	}
}

// own is a world whose gateway can say something.
func own(t *testing.T, change func(*wish)) *world {
	t.Helper()
	want := anchored(t, func(c *Config, _ *relay.Config) { c.AnchorAll = false })
	if change != nil {
		change(&want)
	}
	return newWorld(t, want)
}

// originate begins a call and returns the carrier's INVITE.
func (w *world) originate(o Origination) *message {
	w.t.Helper()
	if err := w.srv.Originate(o); err != nil {
		w.t.Fatal(err)
	}
	return w.carriers[0].await("INVITE")
}

func TestTheServerSaysSomethingAndHangsUp(t *testing.T) {
	e := newEar()
	w := own(t, func(want *wish) {
		before := want.config
		want.config = func(c *Config) { before(c); c.Recorder = e }
		want.pbx = func(c *connection.IPConnection) { c.EncryptedMedia = new("SRTP"); c.EncodeContactHeaderEnabled = true }
	})
	o := saying("one two three" + strings.Repeat(" more", 60))
	invite := w.originate(o)
	if !strings.Contains(invite.From, "12125550199") || !strings.Contains(invite.URI, "12125550123") ||
		invite.Has("p-asserted-identity") {
		t.Errorf("INVITE %s from %s", invite.URI, invite.From)
	}
	far := newMic(t, carrierAddress)
	w.carriers[0].reply(invite, 180, "far", "", "")
	w.carriers[0].reply(invite, 200, "far", "", far.sdp())
	w.carriers[0].await("ACK")
	if got, _ := far.hear(); got != "PCMA" {
		t.Errorf("heard %q", got)
	}
	w.srv.each(func(*shard) {}) // the caller's ACK, which is posted, has been taken
	w.carriers[0].request(w.carriers[0].serverDialog(invite, "far"), "INVITE", "", far.sdp())
	again := w.carriers[0].await("200 INVITE")
	if audioOf(t, again.Body) != audioOf(t, invite.Body) {
		t.Errorf("the media move to %s", again.Body)
	}
	for _, want := range []string{"one", "two", "three"} {
		if got, _ := far.hear(); got != want {
			t.Errorf("heard %q, want %q", got, want)
		}
	}
	bye := w.carriers[0].await("BYE")
	w.carriers[0].reply(bye, 200, "far", "", "")
	r := w.record()
	if r.ID != o.ID || r.Outcome != record.OutcomeAnswered || r.SIPCallID != o.SIPCallID ||
		r.HangupSource != record.SideCaller || r.Cost == 0 {
		t.Errorf("record %+v", r)
	}
	if len(e.calls) > 0 {
		t.Error("the call was to be recorded")
	}
	w.settled()
}

func TestAnOwnCallIsDecidedAsEveryOther(t *testing.T) {
	w := own(t, nil)
	o := saying("hello")
	o.To = 4930901820 // not whitelisted
	if err := w.srv.Originate(o); err != nil {
		t.Fatal(err)
	}
	if r := w.record(); r.ID != o.ID || r.Outcome != record.OutcomeRefused || r.Reason == "" {
		t.Errorf("record %+v", r)
	}
	o = saying("hello")
	w.carriers[0].reply(w.originate(o), 486, "far", "", "")
	w.carriers[0].await("ACK")
	if r := w.record(); r.Outcome != record.OutcomeFailed || r.HangupCause != "user_busy" {
		t.Errorf("busy: %+v", r)
	}
	w.settled()
}

func TestAnOwnCallIsGivenUpWhenItRingsForTooLong(t *testing.T) {
	w := own(t, nil)
	o := saying("hello")
	o.Rings = 200 * time.Millisecond
	invite := w.originate(o)
	w.carriers[0].reply(invite, 180, "far", "", "")
	w.carriers[0].reply(w.carriers[0].await("CANCEL"), 200, "far", "", "")
	w.carriers[0].reply(invite, 487, "far", "", "")
	w.carriers[0].await("ACK")
	if r := w.record(); r.Outcome != record.OutcomeCancelled {
		t.Errorf("record %+v", r)
	}
	w.settled()
}

// The callee hangs up, or takes no audio that can be said: the call ends in any case.
func TestAnOwnCallEndsWithTheCallee(t *testing.T) {
	w := own(t, nil)
	o := saying(strings.Repeat("word ", 500))
	invite := w.originate(o)
	far := newMic(t, carrierAddress)
	w.carriers[0].reply(invite, 200, "far", "", far.sdp())
	w.carriers[0].await("ACK")
	w.carriers[0].request(w.carriers[0].serverDialog(invite, "far"), "BYE", "", "")
	w.carriers[0].await("200 BYE")
	if r := w.record(); r.HangupSource != record.SideCallee {
		t.Errorf("record %+v", r)
	}
	invite = w.originate(saying("hello"))
	w.carriers[0].reply(invite, 200, "far2", "", strings.ReplaceAll(far.sdp(), "RTP/AVP 8", "RTP/AVP 18"))
	w.carriers[0].await("ACK")
	w.carriers[0].reply(w.carriers[0].await("BYE"), 200, "far2", "", "")
	w.record()
	w.settled()
}

// A number is never called with itself as the caller id, and an anonymous call shows none.
func TestANumberIsNotShownItself(t *testing.T) {
	for name, change := range map[string]func(*connection.IPConnection){
		"asked for":  func(c *connection.IPConnection) { c.CallerIDHeaders = "both" },
		"overridden": func(c *connection.IPConnection) { c.Outbound.ANIOverride, c.CallerIDHeaders = "+12125550123", "both" },
	} {
		t.Run(name, func(t *testing.T) {
			w := own(t, func(want *wish) { want.pbx = change })
			o := saying("hello")
			o.From = o.To
			invite := w.originate(o)
			if strings.Contains(invite.From, "12125550123") || invite.Has("p-asserted-identity") ||
				invite.Has("remote-party-id") {
				t.Errorf("From %s", invite.From)
			}
			w.carriers[0].reply(invite, 603, "far", "", "")
			w.carriers[0].await("ACK")
			w.record()
		})
	}
}

func TestAnOwnCallOverAnEncryptedTrunk(t *testing.T) {
	w := own(t, func(want *wish) {
		want.gateway = func(g *routing.Gateway) { g.EncryptedMedia = new(routing.MediaSRTP) }
	})
	invite := w.originate(saying("hello"))
	if media.ProtectionOf(invite.Body) != media.Sealed {
		t.Errorf("offered %s", invite.Body)
	}
	w.carriers[0].reply(invite, 486, "far", "", "")
	w.carriers[0].await("ACK")
	w.record()
}

// No call of the server's own is an emergency call, whatever the account has made one.
func TestAnOwnCallIsNoEmergencyCall(t *testing.T) {
	w := own(t, func(want *wish) {
		want.change = []policy.Change{policy.PutAccount(&policy.Account{ID: worldAccount, Active: true,
			ChannelLimit: policy.NoLimit,
			DefaultDeck:  worldDeck, EmergencyNumbers: []string{"911"}})}
	})
	o := saying("hello")
	o.To = 911
	if err := w.srv.Originate(o); err != nil {
		t.Fatal(err)
	}
	w.srv.each(func(sh *shard) {
		if len(sh.calls) > 0 {
			t.Error("an emergency call was placed")
		}
	})
}

func TestWithoutARelayNothingIsSaid(t *testing.T) {
	w := newWorld(t, wish{})
	if err := w.srv.Originate(saying("hello")); !errors.Is(err, ErrNoMedia) {
		t.Errorf("it begins: %v", err)
	}
}
