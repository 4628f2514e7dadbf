package sipgw

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tollgate/tollgate/internal/routing"
)

// attempts waits for the record of a call and returns its attempts without their times.
func (w *world) attempts() (list []string) {
	w.t.Helper()
	for _, a := range w.record().Attempts {
		list = append(list, fmt.Sprintf("%d %d %s", uint64(a.Gateway-worldGateway), a.Status, a.Reason))
	}
	return list
}

// TestTryingIsNoSignOfLife: a carrier that says no more than 100 Trying is left for the
// next, and cancelled; what it answers then goes no further.
func TestTryingIsNoSignOfLife(t *testing.T) {
	w := newWorld(t, wish{carriers: 2, gateway: func(g *routing.Gateway) { g.NoRingingSecs = 1 }})
	first, second := w.carriers[0], w.carriers[1]
	w.pbx.invite("+12125550123", "")
	invite := first.await("INVITE")
	first.reply(invite, 100, "", "", "")
	onward := second.await("INVITE")
	cancel := first.await("CANCEL")
	first.reply(cancel, 200, "a", "", "")
	first.reply(invite, 183, "a", "", answerSDP)
	first.reply(invite, 487, "a", "", "")
	first.await("ACK")
	second.reply(onward, 486, "b", "", "")
	second.await("ACK")
	w.pbx.want("486 INVITE") // and no progress of the gateway that was left
	want := []string{"0 0 no_ringing", "1 486 Because"}
	if diff := cmp.Diff(want, w.attempts()); diff != "" {
		t.Errorf("attempts (-want +got):\n%s", diff)
	}
	w.settled()
}

// TestProgressIsASignOfLife: a gateway that has shown progress is waited for.
func TestProgressIsASignOfLife(t *testing.T) {
	w := newWorld(t, wish{carriers: 2, gateway: func(g *routing.Gateway) { g.NoRingingSecs = 1 }})
	first, second := w.carriers[0], w.carriers[1]
	w.pbx.invite("+12125550123", "")
	invite := first.await("INVITE")
	first.reply(invite, 100, "", "", "")
	first.reply(invite, 183, "a", "", "")
	first.reply(invite, 100, "", "", "")
	w.pbx.await("183 INVITE")
	for began := time.Now(); time.Since(began) < 1200*time.Millisecond; {
		w.pause()
	}
	first.reply(invite, 486, "a", "", "")
	first.await("ACK")
	w.pbx.await("486 INVITE")
	second.quiet()
	w.record()
	w.settled()
}

// TestFailoverByMeaning: which responses of the first carrier lead to the second.
func TestFailoverByMeaning(t *testing.T) {
	for _, test := range []struct {
		name    string
		ring    int // the provisional response before; 0 for none
		body    string
		status  int
		extra   string
		gateway func(*routing.Gateway)
		next    bool
	}{
		{name: "extension required", status: 421, extra: "Require: 100rel\r\n", next: true},
		{name: "interval without Min-SE", status: 422, next: true},
		{name: "interval beyond reason", status: 422, extra: "Min-SE: 999999\r\n", next: true},
		{name: "hops", status: 483, next: true},
		{name: "media", status: 488, next: true},
		{name: "moved", status: 302, extra: "Contact: <sip:+19005550100@203.0.113.9>\r\n", next: true},
		{name: "busy", status: 486},
		{name: "declined", status: 603},
		{name: "failure after ringing", ring: 180, status: 500},
		{name: "unavailable after ringing", ring: 180, status: 503, extra: "Retry-After: 30\r\n"},
		{name: "failure after early media", ring: 183, body: answerSDP, status: 500, next: true},
		{name: "failure after mere progress", ring: 183, status: 500, next: true},
		{name: "the gateway wants it", ring: 180, status: 500, next: true,
			gateway: func(g *routing.Gateway) { g.FailoverAfterRinging = true }},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, wish{carriers: 2, gateway: test.gateway})
			first, second := w.carriers[0], w.carriers[1]
			w.pbx.invite("+12125550123", "")
			invite := first.await("INVITE")
			if test.ring != 0 {
				first.reply(invite, test.ring, "a", "", test.body)
				w.pbx.await(fmt.Sprintf("%d INVITE", test.ring))
			}
			first.reply(invite, test.status, "a", test.extra, "")
			first.await("ACK")
			if test.next {
				w.busyAt(second)
			} else {
				w.pbx.await(fmt.Sprintf("%d INVITE", test.status))
				second.quiet()
				w.record()
			}
			w.settled()
		})
	}
}

// TestLateFinals: a carrier that failed repeats its response, and sends progress; the
// response is acknowledged again, and nothing reaches the caller.
func TestLateFinals(t *testing.T) {
	w := newWorld(t, wish{carriers: 2})
	first, second := w.carriers[0], w.carriers[1]
	w.pbx.invite("+12125550123", "")
	invite := first.await("INVITE")
	first.reply(invite, 503, "a", "", "")
	first.await("ACK")
	onward := second.await("INVITE")
	first.reply(invite, 183, "late", "", answerSDP)
	first.reply(invite, 503, "a", "", "")
	first.await("ACK")
	first.reply(invite, 422, "a", "Min-SE: 1800\r\n", "")
	second.reply(onward, 180, "b", "", "")
	w.pbx.want("180 INVITE")
	second.reply(onward, 200, "b", "", answerSDP)
	w.pbx.want("200 INVITE")
}

// TestIntervalsAreBounded: a carrier that asks for ever longer intervals gets two.
func TestIntervalsAreBounded(t *testing.T) {
	w := newWorld(t, wish{})
	w.pbx.invite("+12125550123", "")
	for i := range 3 {
		invite := w.carriers[0].await("INVITE")
		w.carriers[0].reply(invite, 422, "a", fmt.Sprintf("Min-SE: %d\r\n", 1000+i), "")
		w.carriers[0].await("ACK")
	}
	w.pbx.await("502 INVITE")
	w.carriers[0].quiet()
	w.record()
	w.settled()
}

// TestRetryAfter: a 503 with Retry-After rests the route to the number's prefix; the
// gateway rests when several prefixes say so.
func TestRetryAfter(t *testing.T) {
	w := newWorld(t, wish{carriers: 2})
	first, second := w.carriers[0], w.carriers[1]
	unavailable := func(number string) {
		t.Helper()
		w.pbx.invite(number, "")
		first.reply(first.await("INVITE"), 503, "far", "Retry-After: 30\r\n", "")
		first.await("ACK")
		w.busyAt(second)
	}
	unavailable("+12125550123")
	if h := w.healthy(0, routing.StateUp); strings.Join(h.RestingPrefixes, " ") != "+1212" {
		t.Errorf("resting %v", h.RestingPrefixes)
	}
	w.pbx.invite("+12125550199", "") // of the same prefix
	w.busyAt(second)
	unavailable("+13105550123")
	w.healthy(0, routing.StateUp)
	unavailable("+14155550123")
	if h := w.healthy(0, routing.StateResting); h.Until == nil || len(h.RestingPrefixes) != 0 {
		t.Errorf("health %+v", h)
	}
	w.pbx.invite("+17025550123", "")
	w.busyAt(second)
	first.quiet()
	w.settled()
}

// TestRestsEnd: a route is called again when its time is over.
func TestRestsEnd(t *testing.T) {
	w := newWorld(t, wish{carriers: 2})
	first, second := w.carriers[0], w.carriers[1]
	w.pbx.invite("+12125550123", "")
	first.reply(first.await("INVITE"), 503, "far", "Retry-After: 1\r\n", "")
	first.await("ACK")
	w.busyAt(second)
	for len(w.healthy(0, routing.StateUp).RestingPrefixes) > 0 {
		w.pause()
	}
	w.pbx.invite("+12125550123", "")
	w.busyAt(first)
	w.settled()
}

// TestARefreshThatGetsOnlyTrying: the peer that says no more is lost.
func TestARefreshThatGetsOnlyTrying(t *testing.T) {
	w := newWorld(t, wish{config: func(c *Config) {
		c.Timers.T1, c.Timers.SessionExpires, c.Timers.MinSE = 20*time.Millisecond, 2*time.Second, time.Second
	}})
	pbx := w.pbx.invite("+12125550123", "")
	invite := w.carriers[0].await("INVITE")
	w.carriers[0].reply(invite, 200, "far", "Supported: timer\r\nSession-Expires: 2;refresher=uac\r\n", answerSDP)
	w.carriers[0].await("ACK")
	pbx.join(w.pbx.await("200 INVITE"))
	w.pbx.request(pbx, "ACK", "", "")
	refresh := w.carriers[0].next()
	for refresh.Method != "INVITE" && refresh.Method != "UPDATE" {
		refresh = w.carriers[0].next()
	}
	w.carriers[0].reply(refresh, 100, "", "", "")
	w.carriers[0].await("BYE")
	if r := w.record(); r.HangupCause != "lost_peer" {
		t.Errorf("hangup cause %q", r.HangupCause)
	}
}
