package sipgw

import (
	"strings"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/call"
)

// shortSessions makes session intervals of seconds, so that a test can see them.
func shortSessions(c *Config) {
	c.Timers.SessionExpires, c.Timers.CallerSessionExpires, c.Timers.MinSE = 2*time.Second, 4*time.Second, time.Second
}

func TestTheCarrierIsAskedAndAnswers(t *testing.T) {
	for name, c := range map[string]struct{ answer, method string }{
		"by UPDATE":    {"Session-Expires: 2;refresher=uac\r\nAllow: INVITE, ACK, BYE, UPDATE\r\n", "UPDATE"},
		"by re-INVITE": {"Session-Expires: 2;refresher=uac\r\n", "INVITE"},
		"by OPTIONS":   {"", "OPTIONS"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, wish{config: shortSessions})
			pbx := w.pbx.invite("+12125550123", "")
			invite := w.carriers[0].want("INVITE")
			w.carriers[0].reply(invite, 200, "far", c.answer, answerSDP)
			w.carriers[0].want("ACK")
			pbx.join(w.pbx.want("200 INVITE"))
			w.pbx.request(pbx, "ACK", "", "")
			for range 2 {
				m := w.carriers[0].want(c.method)
				body, extra := "", ""
				if c.method != "OPTIONS" {
					contains(t, m, "session-expires", "2;refresher=uac")
					extra = "Session-Expires: 2;refresher=uac\r\n"
				}
				if c.method == "INVITE" {
					body = answerSDP
					if string(m.Body) != offer {
						t.Errorf("refresh with %q, want the session as it is", m.Body)
					}
				}
				w.carriers[0].reply(m, 200, "", extra, body)
				if c.method == "INVITE" {
					w.carriers[0].want("ACK")
				}
			}
			w.hangUp(pbx)
			w.record()
			w.settled()
		})
	}
}

func TestALostCarrier(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wish{config: shortSessions})
	pbx := w.pbx.invite("+12125550123", "")
	invite := w.carriers[0].want("INVITE")
	w.carriers[0].reply(invite, 200, "far", "Session-Expires: 2;refresher=uas\r\nRequire: timer\r\n", answerSDP)
	w.carriers[0].want("ACK")
	pbx.join(w.pbx.want("200 INVITE"))
	w.pbx.request(pbx, "ACK", "", "")
	w.pbx.reply(w.pbx.await("BYE"), 200, "", "", "") // no refresh came
	w.carriers[0].reply(w.carriers[0].want("BYE"), 481, "", "", "")
	if r := w.record(); r.HangupCause != call.CauseLostPeer || r.DurationMicros > 2_000_000 {
		t.Errorf("record %+v", r)
	}
	w.settled()
}

// TestTheDialogIsGone: a 481 to a refresh ends the call.
func TestTheDialogIsGone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wish{config: shortSessions})
	pbx := w.pbx.invite("+12125550123", "")
	invite := w.carriers[0].want("INVITE")
	w.carriers[0].reply(invite, 200, "far", "", answerSDP)
	w.carriers[0].want("ACK")
	pbx.join(w.pbx.want("200 INVITE"))
	w.pbx.request(pbx, "ACK", "", "")
	w.carriers[0].reply(w.carriers[0].want("OPTIONS"), 481, "", "", "")
	w.pbx.reply(w.pbx.want("BYE"), 200, "", "", "")
	w.carriers[0].reply(w.carriers[0].want("BYE"), 481, "", "", "")
	if r := w.record(); r.HangupCause != call.CauseLostPeer {
		t.Errorf("record %+v", r)
	}
	w.settled()
}

func TestTheCallerRefreshes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wish{config: shortSessions})
	pbx := w.pbx.invite("+12125550123", "Supported: timer\r\nSession-Expires: 3\r\n")
	invite := w.carriers[0].want("INVITE")
	w.carriers[0].reply(invite, 200, "far", "Session-Expires: 60;refresher=uac\r\n", answerSDP)
	w.carriers[0].want("ACK")
	ok := w.pbx.want("200 INVITE")
	contains(t, ok, "session-expires", "3;refresher=uac")
	contains(t, ok, "require", "timer")
	pbx.join(ok)
	w.pbx.request(pbx, "ACK", "", "")
	w.pbx.request(pbx, "UPDATE", "Supported: timer\r\nSession-Expires: 3;refresher=uac\r\n", "")
	contains(t, w.pbx.want("200 UPDATE"), "session-expires", "3;refresher=uac")
	w.pbx.reply(w.pbx.want("BYE"), 200, "", "", "") // it stopped refreshing
	w.carriers[0].reply(w.carriers[0].want("BYE"), 200, "", "", "")
	w.record()
	w.settled()
}

// TestTheCarrierWantsLongerIntervals: 422 is answered with what it asks for.
func TestTheCarrierWantsLongerIntervals(t *testing.T) {
	t.Parallel()
	w := newWorld(t, wish{})
	pbx := w.pbx.invite("+12125550123", "")
	first := w.carriers[0].want("INVITE")
	w.carriers[0].reply(first, 422, "far", "Min-SE: 600\r\n", "")
	w.carriers[0].want("ACK")
	again := w.carriers[0].want("INVITE")
	contains(t, again, "session-expires", "600")
	if again.CallID != first.CallID || again.CSeq != first.CSeq+1 || again.FromTag != first.FromTag {
		t.Errorf("INVITE %s %d after %s %d", again.CallID, again.CSeq, first.CallID, first.CSeq)
	}
	w.carriers[0].reply(again, 486, "far", "", "")
	w.carriers[0].want("ACK")
	w.pbx.want("486 INVITE")
	w.pbx.request(pbx, "ACK", "", "")
	w.record()
	w.settled()
}

// TestARefreshMovesTheMedia: when the answer to a refresh of ours names another port, the
// other side is told, as it is when the peer changes the session by itself.
func TestARefreshMovesTheMedia(t *testing.T) {
	t.Parallel()
	moved := strings.NewReplacer("o=car 1 1", "o=car 1 2", "m=audio 5000", "m=audio 5002").Replace(answerSDP)
	again := strings.Replace(moved, "o=car 1 2", "o=car 1 3", 1)
	w := newWorld(t, wish{config: shortSessions})
	pbx := w.pbx.invite("+12125550123", "")
	invite := w.carriers[0].want("INVITE")
	w.carriers[0].reply(invite, 200, "far", "Session-Expires: 2;refresher=uac\r\n", answerSDP)
	w.carriers[0].want("ACK")
	pbx.join(w.pbx.want("200 INVITE"))
	w.pbx.request(pbx, "ACK", "", "")
	refresh := func(answer string) {
		m := w.carriers[0].want("INVITE")
		w.carriers[0].reply(m, 200, "", "Session-Expires: 2;refresher=uac\r\n", answer)
		w.carriers[0].want("ACK")
	}
	refresh(answerSDP)
	refresh(moved)
	told := w.pbx.await("INVITE")
	if string(told.Body) != moved {
		t.Errorf("the caller is told %q", told.Body)
	}
	w.pbx.reply(told, 200, "", "", offer)
	w.pbx.await("ACK")
	refresh(again) // only the origin's version is another one
	refresh(again)
	w.hangUp(pbx)
	w.record()
	w.settled()
	for len(w.pbx.got) > 0 {
		if m := <-w.pbx.got; m.Method == "INVITE" && m.Request {
			t.Errorf("the caller is told again: %q", m.Body)
		}
	}
}
