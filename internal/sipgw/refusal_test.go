package sipgw

import (
	"strings"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/profile"
	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/routing"
	"github.com/tollgate/tollgate/internal/sip"
)

// TestRefusalsOnTheWire brings about every reason that the rules have, and the
// edge's own where one call can.
func TestRefusalsOnTheWire(t *testing.T) {
	zero := int32(0)
	cases := map[admission.Reason]struct {
		want   wish
		callee string
		extra  string
	}{
		admission.ReasonTokenInvalid: {want: wish{pbx: func(c *connection.IPConnection) {
			c.Outbound.IPAuthenticationMethod, c.Outbound.IPAuthenticationToken = "token", new("secret")
		}}, extra: "X-Telnyx-Token: wrong\r\n"},
		admission.ReasonTechPrefixUnknown: {want: wish{pbx: func(c *connection.IPConnection) {
			c.Outbound.TechPrefix = "0123"
		}}},
		admission.ReasonConnectionDisabled: {want: wish{pbx: func(c *connection.IPConnection) { c.Active = false }}},
		admission.ReasonAccountDisabled: {want: wish{change: []policy.Change{policy.PutAccount(&policy.Account{
			ID: worldAccount, ChannelLimit: policy.NoLimit, DefaultDeck: worldDeck,
		})}}},
		admission.ReasonProfileMissing: {want: wish{pbx: func(c *connection.IPConnection) {
			c.Outbound.OutboundVoiceProfileID = 0
		}}},
		admission.ReasonProfileDisabled:   {want: wish{profile: func(p *profile.Profile) { p.Enabled = false }}},
		admission.ReasonCallerInvalid:     {extra: "P-Preferred-Identity: <sip:bob@pbx.test>\r\n"},
		admission.ReasonNumberInvalid:     {callee: "bob"},
		admission.ReasonNotWhitelisted:    {callee: "+18765550123"},
		admission.ReasonNumberTypeBlocked: {callee: "+19005550123"},
		admission.ReasonNoRate: {callee: "+442079460000", want: wish{profile: func(p *profile.Profile) {
			p.WhitelistedDestinations = []string{"GB"}
		}}},
		admission.ReasonRateAboveMaximum: {want: wish{profile: func(p *profile.Profile) {
			p.MaxDestinationRate = new(money.Rate(money.MustParse("0.5")))
		}}},
		admission.ReasonOutsideWindow: {want: wish{profile: func(p *profile.Profile) {
			now := time.Now().UTC()
			from := profile.TimeOfDay(now.Add(2 * time.Hour).Sub(now.Add(2 * time.Hour).Truncate(24 * time.Hour)))
			to := profile.TimeOfDay(now.Add(3 * time.Hour).Sub(now.Add(3 * time.Hour).Truncate(24 * time.Hour)))
			p.CallingWindow = &profile.CallingWindow{StartTime: &from, EndTime: &to}
		}}},
		admission.ReasonCalleeLimit: {want: wish{profile: func(p *profile.Profile) {
			p.CallingWindow = &profile.CallingWindow{CallsPerCLD: &zero}
		}}},
		admission.ReasonAccountChannels: {want: wish{change: []policy.Change{policy.PutAccount(&policy.Account{
			ID: worldAccount, Active: true, DefaultDeck: worldDeck,
		})}}},
		admission.ReasonProfileChannels: {want: wish{profile: func(p *profile.Profile) { p.ConcurrentCallLimit = &zero }}},
		admission.ReasonConnectionChannels: {want: wish{pbx: func(c *connection.IPConnection) {
			c.Outbound.ChannelLimit = &zero
		}}},
		admission.ReasonDailySpendLimit: {want: wish{profile: func(p *profile.Profile) {
			p.DailySpendLimitEnabled, p.DailySpendLimit = true, new(money.MustParse("0.001"))
		}}},
		admission.ReasonNoGateway: {want: wish{gateway: func(g *routing.Gateway) { g.Enabled = false }}},
	}
	for reason, c := range cases {
		t.Run(reason.String(), func(t *testing.T) {
			w := newWorld(t, c.want)
			callee := c.callee
			if callee == "" {
				callee = "+12125550123"
			}
			d := w.pbx.invite(callee, c.extra)
			m := w.pbx.next()
			if m.Status != reason.Status() || !strings.HasSuffix(m.Phrase, " "+reason.Code()) {
				t.Errorf("got %d %s, want %d ... %s", m.Status, m.Phrase, reason.Status(), reason.Code())
			}
			contains(t, m, "reason", `Q.850;cause=21;text="CALL_REJECTED"`)
			contains(t, m, "x-tollgate-reason", reason.String())
			w.pbx.request(d, "ACK", "", "")
			r := w.record()
			contains(t, m, "x-tollgate-decision", r.ID.String())
			if r.Outcome != record.OutcomeRefused || r.Reason != reason.String() || int(r.SIPStatus) != m.Status {
				t.Errorf("record %+v", r)
			}
			w.settled()
		})
	}
}

func TestTheStoreIsAway(t *testing.T) {
	// The attempt that may be durable is released a second after the store is back.
	w := newWorld(t, wish{config: func(c *Config) { c.Timers.EndLimit = patience }})
	w.ledger.set(collection.ErrUnavailable, false)
	w.pbx.invite("+12125550123", "")
	m := w.pbx.await("503 INVITE")
	contains(t, m, "x-tollgate-reason", admission.ReasonStoreUnavailable.String())
	if m.Get("retry-after") == "" {
		t.Error("no Retry-After")
	}
	w.ledger.set(collection.ErrBusy, false)
	w.pbx.invite("+12125550123", "")
	w.pbx.await("503 INVITE")
	// An emergency call goes anyway, and leaves its record when the store is back.
	d := w.pbx.invite("911", "")
	invite := w.carriers[0].want("INVITE")
	if !strings.HasPrefix(invite.URI, "sip:911@") {
		t.Errorf("emergency call to %s", invite.URI)
	}
	contains(t, invite, "from", "<sip:+12125550100@")
	w.carriers[0].reply(invite, 200, "far", "", answerSDP)
	w.carriers[0].want("ACK")
	d.join(w.pbx.await("200 INVITE"))
	w.pbx.request(d, "ACK", "", "")
	w.ledger.set(nil, false)
	w.hangUp(d)
	if r := w.record(); !r.Emergency || r.Outcome != record.OutcomeAnswered || r.Cost != 0 {
		t.Errorf("record %+v", r)
	}
	w.settled()
}

// TestEmergencyDoesNotWait has a store that says nothing at all, as when its host is
// cut off: an emergency call goes out without it.
func TestEmergencyDoesNotWait(t *testing.T) {
	w := newWorld(t, wish{})
	w.ledger.set(nil, true)
	d := w.pbx.invite("911", "")
	invite := w.carriers[0].want("INVITE")
	contains(t, invite, "from", "<sip:+12125550100@")
	w.carriers[0].reply(invite, 200, "far", "", answerSDP)
	w.carriers[0].want("ACK")
	d.join(w.pbx.await("200 INVITE"))
	w.pbx.request(d, "ACK", "", "")
	w.ledger.set(nil, false)
	w.hangUp(d)
	if r := w.record(); !r.Emergency || r.Outcome != record.OutcomeAnswered {
		t.Errorf("record %+v", r)
	}
	w.settled()
}

func TestEveryOtherMethod(t *testing.T) {
	w := newWorld(t, wish{})
	for method, want := range map[string]string{
		"OPTIONS": "200", "REGISTER": "405", "REFER": "405", "SUBSCRIBE": "405", "MESSAGE": "405",
		"PUBLISH": "405", "NOTIFY": "405", "FROBNICATE": "501", "BYE": "481", "INFO": "481", "UPDATE": "481",
	} {
		w.pbx.request(newDialog(w.pbx, "+12125550123"), method, "", "")
		m := w.pbx.want(want + " " + method)
		if want != "481" {
			contains(t, m, "allow", "INVITE, ACK")
		}
		if m.ToTag == "" {
			t.Errorf("%s: no tag in To", label(m))
		}
	}
	d := newDialog(w.pbx, "+12125550123")
	d.cseq, d.branch = 1, sip.MagicCookie+"unknown"
	w.pbx.request(d, "CANCEL", "", "")
	w.pbx.want("481 CANCEL")
	d.remote += ";tag=unknown"
	for _, method := range []string{"INVITE", "BYE", "UPDATE", "INFO", "OPTIONS"} {
		w.pbx.request(d, method, "", "")
		w.pbx.want("481 " + method)
	}
	w.pbx.request(d, "ACK", "", "")
	w.pbx.quiet()
}

func TestInvitesThatGoNoFurther(t *testing.T) {
	w := newWorld(t, wish{})
	send := func(change func(string) string, extra string) *message {
		w.pbx.send(change(w.pbx.text("INVITE", "sip:+12125550123@gate.test", newDialog(w.pbx, "+12125550123"), extra, offer)))
		return w.pbx.next()
	}
	same := func(s string) string { return s }
	if m := send(func(s string) string { return strings.Replace(s, "Max-Forwards: 70", "Max-Forwards: 0", 1) },
		""); m.Status != 483 {
		t.Errorf("Max-Forwards 0: %d", m.Status)
	}
	if m := send(same, "Via: SIP/2.0/UDP 192.0.2.7;branch="+w.srv.newBranch()+"\r\n"); m.Status != 482 {
		t.Errorf("own branch: %d", m.Status)
	}
	m := send(same, "Require: precondition\r\n")
	contains(t, m, "unsupported", "precondition")
	if m.Status != 420 {
		t.Errorf("Require precondition: %d", m.Status)
	}
	m = send(same, "Supported: timer\r\nSession-Expires: 30\r\n")
	contains(t, m, "min-se", "90")
	if m.Status != 422 {
		t.Errorf("short session: %d", m.Status)
	}
	// The same request by another way: same Call-ID, tag and CSeq, another branch.
	d := w.pbx.invite("+12125550123", "")
	w.carriers[0].want("INVITE")
	d.cseq--
	w.pbx.request(d, "INVITE", "", offer)
	w.pbx.want("482 INVITE")
}
