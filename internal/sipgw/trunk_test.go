package sipgw

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/icholy/digest"

	"github.com/tollgate/tollgate/internal/routing"
)

// healthy waits until a gateway is in a state.
func (w *world) healthy(n int, want routing.State) routing.Health {
	w.t.Helper()
	deadline := time.Now().Add(patience)
	for {
		h, ok := w.srv.Health(worldGateway + 0)
		if n > 0 {
			h, ok = w.srv.Health(worldGateway + 1)
		}
		if ok && h.State == want {
			return h
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("gateway %d is %q, want %q", n, h.State, want)
		}
		w.pause()
	}
}

// pause lets a round trip pass.
func (w *world) pause() {
	w.pbx.send(w.pbx.text("OPTIONS", "sip:"+w.srv.Addr(), newDialog(w.pbx, "probe"), "", ""))
	w.pbx.await("200 OPTIONS")
}

// refusedBy takes the refusal of a call and checks its reason.
func (w *world) refusedBy(reason string) {
	w.t.Helper()
	m := w.pbx.await("503 INVITE")
	contains(w.t, m, "x-tollgate-reason", reason)
	if m.Get("retry-after") == "" {
		w.t.Error("503 without Retry-After")
	}
	w.record()
}

// busy answers a call with 486, which ends it.
func (w *world) busyAt(carrier *party) {
	w.t.Helper()
	carrier.reply(carrier.await("INVITE"), 486, "far", "", "")
	carrier.await("ACK")
	w.pbx.await("486 INVITE")
	w.record()
}

// TestCarriersAreKnownBeforeTheFirstCall: what a configured gateway sends is not
// dropped by the source filter, once its address has been looked up.
func TestCarriersAreKnownBeforeTheFirstCall(t *testing.T) {
	w := newWorld(t, wish{})
	carrier := w.carriers[0]
	for deadline := time.Now().Add(patience); len(carrier.got) == 0; {
		if time.Now().After(deadline) {
			t.Fatal("the carrier gets no answer")
		}
		carrier.send(carrier.text("OPTIONS", "sip:"+w.srv.Addr(), newDialog(carrier, "probe"), "", ""))
		w.pause()
	}
	carrier.want("200 OPTIONS")
}

// TestOptionsTakeAGatewayOut: a carrier that does not answer OPTIONS gets no calls,
// and gets them again when it does.
func TestOptionsTakeAGatewayOut(t *testing.T) {
	w := newWorld(t, wish{carriers: 2,
		config:  func(c *Config) { c.Timers.PingWait = 100 * time.Millisecond },
		gateway: func(g *routing.Gateway) { g.OptionsIntervalSecs = 1 - g.Priority },
	})
	first, second := w.carriers[0], w.carriers[1]
	options := first.await("OPTIONS")
	contains(t, options, "via", w.srv.Addr())
	first.reply(options, 405, "t", "", "") // any answer will do
	if h := w.healthy(0, routing.StateUp); h.OptionsAt == nil {
		for h.OptionsAt == nil {
			w.pause()
			h = w.healthy(0, routing.StateUp)
		}
	}
	w.healthy(0, routing.StateDown)
	w.pbx.invite("+12125550123", "")
	w.busyAt(second)
	for {
		m := first.await("OPTIONS")
		first.reply(m, 200, "t", "", "")
		if h, _ := w.srv.Health(worldGateway); h.State == routing.StateUp {
			break
		}
	}
	w.pbx.invite("+12125550123", "")
	w.busyAt(first)
	w.settled()
}

// TestBreaker: a carrier that answers no calls is left out after a few, gets one
// call as a trial, and is back when that is answered.
func TestBreaker(t *testing.T) {
	w := newWorld(t, wish{
		config:  func(c *Config) { c.Timers.GatewayWait = 50 * time.Millisecond },
		gateway: func(g *routing.Gateway) { g.BreakerFailures, g.BreakerSecs = 2, 1 },
	})
	for range 2 {
		w.pbx.invite("+12125550123", "")
		w.pbx.await("504 INVITE")
		w.record()
	}
	if h := w.healthy(0, routing.StateTripped); h.Until == nil || h.Failures != 2 {
		t.Errorf("health %+v", h)
	}
	began := time.Now()
	w.pbx.invite("+12125550123", "")
	w.pbx.await("503 INVITE")
	w.record()
	if took := time.Since(began); took > 500*time.Millisecond {
		t.Errorf("refused after %v", took)
	}
	// An emergency call goes there anyway.
	w.pbx.invite("911", "")
	if m := w.pbx.await("504 INVITE"); m == nil {
		t.Fatal()
	}
	w.record()
	for {
		h, _ := w.srv.Health(worldGateway)
		if h.Until != nil && time.Now().After(*h.Until) {
			break
		}
		w.pause()
	}
	for len(w.carriers[0].got) > 0 {
		<-w.carriers[0].got
	}
	w.pbx.invite("+12125550123", "")
	w.busyAt(w.carriers[0])
	w.healthy(0, routing.StateUp)
	w.settled()
}

// TestGatewayLimits: calls that a gateway may not have go to the next one, and are
// refused when there is none.
func TestGatewayLimits(t *testing.T) {
	one := int32(1)
	t.Run("channels", func(t *testing.T) {
		w := newWorld(t, wish{carriers: 2, gateway: func(g *routing.Gateway) { g.ChannelLimit = &one }})
		pbx, _ := w.talk("")
		w.pbx.invite("+12125550124", "")
		w.carriers[1].reply(w.carriers[1].want("INVITE"), 180, "far", "", "")
		w.pbx.want("180 INVITE")
		w.pbx.invite("+12125550125", "")
		w.refusedBy("gateway_limit")
		w.hangUp(pbx)
		w.record()
		for {
			if h, _ := w.srv.Health(worldGateway); h.LiveCalls == 0 {
				break
			}
			w.pause()
		}
		w.pbx.invite("+12125550126", "")
		w.busyAt(w.carriers[0])
	})
	t.Run("calls a second", func(t *testing.T) {
		w := newWorld(t, wish{carriers: 1, gateway: func(g *routing.Gateway) { g.CallsPerSecond = &one }})
		w.pbx.invite("+12125550124", "")
		w.busyAt(w.carriers[0])
		w.pbx.invite("+12125550125", "")
		w.refusedBy("gateway_limit")
		began := time.Now()
		for time.Since(began) < 1100*time.Millisecond {
			w.pause()
		}
		w.pbx.invite("+12125550126", "")
		w.busyAt(w.carriers[0])
		w.settled()
	})
}

// TestRegistration: a gateway that wants us to register gets calls while the
// registration is in force, and it is taken back at the end.
func TestRegistration(t *testing.T) {
	user, password, domain := "trunk1", "s3cret-pass", "carrier.example"
	w := newWorld(t, wish{gateway: func(g *routing.Gateway) {
		g.UserName, g.Password, g.FromDomain, g.Register = &user, &password, &domain, true
	}})
	carrier := w.carriers[0]
	first := carrier.want("REGISTER")
	if first.URI != "sip:carrier.example" || first.Get("expires") != "300" {
		t.Errorf("REGISTER %s, Expires %q", first.URI, first.Get("expires"))
	}
	contains(t, first, "to", "<sip:trunk1@carrier.example>")
	contains(t, first, "contact", w.srv.Addr())
	w.pbx.invite("+12125550123", "")
	w.refusedBy("gateways_down")
	challenge := `Digest realm="carrier", nonce="abc", algorithm=SHA-256, qop="auth"`
	carrier.reply(first, 401, "r", "WWW-Authenticate: "+challenge+"\r\n", "")
	second := carrier.want("REGISTER")
	credentials, err := digest.ParseCredentials(second.Get("authorization"))
	if err != nil {
		t.Fatal(err)
	}
	parsed, _ := digest.ParseChallenge(challenge)
	want, err := digest.Digest(parsed, digest.Options{
		Method: "REGISTER", URI: "sip:carrier.example", Username: user, Password: password, Cnonce: credentials.Cnonce,
		Count: 1,
	})
	if err != nil || want.Response != credentials.Response {
		t.Errorf("response %q, want %q", credentials.Response, want.Response)
	}
	if second.CallID != first.CallID || second.CSeq != first.CSeq+1 {
		t.Errorf("Call-ID %s then %s, CSeq %d then %d", first.CallID, second.CallID, first.CSeq, second.CSeq)
	}
	contact, _, _ := strings.Cut(second.Get("contact"), "\r")
	carrier.replyContact(second, 200, contact+";expires=120")
	if h := w.healthy(0, routing.StateUp); h.RegisteredUntil == nil || time.Until(*h.RegisteredUntil) > 121*time.Second {
		t.Errorf("health %+v", h)
	}
	w.pbx.invite("+12125550123", "")
	w.busyAt(carrier)

	ended := make(chan error, 1)
	go func() { ended <- w.srv.Stop(context.Background()) }()
	last := carrier.want("REGISTER")
	if last.Get("expires") != "0" {
		t.Errorf("Expires %q at the end", last.Get("expires"))
	}
	carrier.reply(last, 200, "r", "", "")
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// TestRegistrationRefused: a registration that is refused is tried again, later and later.
func TestRegistrationRefused(t *testing.T) {
	user, password := "trunk1", "wrong"
	w := newWorld(t, wish{gateway: func(g *routing.Gateway) {
		g.UserName, g.Password, g.Register = &user, &password,
			true
	}})
	carrier := w.carriers[0]
	carrier.reply(carrier.want("REGISTER"), 423, "r", "Min-Expires: 600\r\n", "")
	again := carrier.want("REGISTER")
	if again.Get("expires") != "600" {
		t.Errorf("Expires %q after 423 with 600", again.Get("expires"))
	}
	carrier.reply(again, 403, "r", "", "")
	for {
		h := w.healthy(0, routing.StateUnregistered)
		if h.RegisterStatus == 403 {
			break
		}
	}
	w.srv.each(func(sh *shard) {
		tr := w.srv.trunks.byID[worldGateway]
		if sh == tr.probe.sh && (!tr.probe.register.IsSet() || tr.probe.failures != 2) {
			t.Errorf("not to be tried again: %+v", tr.probe.failures)
		}
	})
}

// TestFailoverByStatus: a status that the gateway names goes on to the next one.
func TestFailoverByStatus(t *testing.T) {
	w := newWorld(t, wish{carriers: 2, gateway: func(g *routing.Gateway) { g.FailoverStatuses = []int32{404} }})
	w.pbx.invite("+12125550123", "")
	w.carriers[0].reply(w.carriers[0].want("INVITE"), 404, "far", "", "")
	w.busyAt(w.carriers[1])
	w.settled()
}

// TestNumberRewriting: the number and the caller as the carrier wants them.
func TestNumberRewriting(t *testing.T) {
	w := newWorld(t, wish{gateway: func(g *routing.Gateway) {
		g.NumberFormat, g.StripDigits, g.Prefix = routing.FormatE164, 1, "9#00"
		g.CallerStripDigits, g.CallerPrefix = 1, "0"
	}})
	w.pbx.invite("+12125550123", "")
	invite := w.carriers[0].want("INVITE")
	if !strings.HasPrefix(invite.URI, "sip:9%23002125550123@") {
		t.Errorf("Request-URI %s", invite.URI)
	}
	contains(t, invite, "from", "<sip:02125550100@")
	w.carriers[0].reply(invite, 486, "far", "", "")
	w.pbx.await("486 INVITE")
}
