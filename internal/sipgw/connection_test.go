package sipgw

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/icholy/digest"

	"github.com/tollgate/tollgate/internal/call"
	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/profile"
)

// TestCallsPerSecond: calls above a connection's rate are refused with the reason
// and a record; emergency calls are not, and after a second there is room again.
func TestCallsPerSecond(t *testing.T) {
	two := int32(2)
	w := newWorld(t, wish{pbx: func(c *connection.IPConnection) { c.CallsPerSecond = &two }})
	for range 2 {
		w.pbx.invite("+12125550123", "")
		w.busyAt(w.carriers[0])
	}
	w.pbx.invite("+12125550123", "")
	refused := w.pbx.await("503 INVITE")
	if refused.Phrase != "CPS Limit Reached P05" || refused.Get("retry-after") == "" {
		t.Errorf("%d %s, Retry-After %q", refused.Status, refused.Phrase, refused.Get("retry-after"))
	}
	contains(t, refused, "x-tollgate-reason", "calls_per_second")
	if r := w.record(); r.Reason != "calls_per_second" || len(r.Decision) == 0 {
		t.Errorf("record %+v", r)
	}
	w.pbx.invite("911", "")
	w.busyAt(w.carriers[0])
	for began := time.Now(); time.Since(began) < 1100*time.Millisecond; {
		w.pause()
	}
	w.pbx.invite("+12125550123", "")
	w.busyAt(w.carriers[0])
	w.settled()
}

// TestMaximumLength: the least of the limits of the server, the profile and the
// connection ends the call on both sides.
func TestMaximumLength(t *testing.T) {
	one, many := int32(1), int32(3600)
	for name, want := range map[string]wish{
		"server": {config: func(c *Config) { c.MaxCall = time.Second }},
		"profile": {profile: func(p *profile.Profile) { p.MaxCallSecs = &one },
			pbx: func(c *connection.IPConnection) { c.MaxCallSecs = &many }},
		"connection": {profile: func(p *profile.Profile) { p.MaxCallSecs = &many },
			pbx: func(c *connection.IPConnection) { c.MaxCallSecs = &one }},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, want)
			w.talk("")
			bye := w.pbx.await("BYE")
			contains(t, bye, "reason", `text="TIME_LIMIT TG25"`)
			w.pbx.reply(bye, 200, "", "", "")
			bye = w.carriers[0].await("BYE")
			contains(t, bye, "reason", `text="TIME_LIMIT TG25"`)
			w.carriers[0].reply(bye, 200, "", "", "")
			if r := w.record(); r.HangupCause != call.CauseTimeLimit || r.BilledSecs > 2 || r.Reason != "max_call_secs" {
				t.Errorf("record %+v", r)
			}
			w.settled()
		})
	}
}

// TestALimitThatEndsACallIsTold: both sides and the record hear which limit of money it was.
func TestALimitThatEndsACallIsTold(t *testing.T) {
	few := money.MustParse("0.01") // one second
	for code, c := range map[string]struct {
		word string
		wish wish
	}{
		"TG3": {"daily_spend_limit", wish{profile: func(p *profile.Profile) {
			p.DailySpendLimit, p.DailySpendLimitEnabled, p.SpendLimitAction = &few, true, profile.EndCalls
		}}},
		"TG8": {"account_daily_spend_limit", wish{change: []policy.Change{policy.PutAccount(&policy.Account{
			ID: worldAccount, Active: true, ChannelLimit: policy.NoLimit, DefaultDeck: worldDeck,
			Spending: policy.SpendLimit{On: true, EndCalls: true, Limit: few}})}}},
		"TG11": {"call_cost_above_maximum", wish{profile: func(p *profile.Profile) { p.MaxCallCost = &few }}},
	} {
		t.Run(code, func(t *testing.T) {
			w := newWorld(t, c.wish)
			w.talk("")
			for _, side := range []*party{w.pbx, w.carriers[0]} {
				bye := side.await("BYE")
				contains(t, bye, "reason", `text="TIME_LIMIT `+code+`"`)
				side.reply(bye, 200, "", "", "")
			}
			if r := w.record(); r.HangupCause != call.CauseTimeLimit || r.Reason != c.word {
				t.Errorf("record %+v", r)
			}
			w.settled()
		})
	}
}

// TestDigestAlgorithms: a connection's challenges name its algorithms in its order,
// and an answer by another one is challenged again.
func TestDigestAlgorithms(t *testing.T) {
	offered := func(m *message) (list []string) {
		for _, f := range m.Fields {
			if f.Name == "proxy-authenticate" {
				c, err := digest.ParseChallenge(f.Value)
				if err != nil {
					t.Fatal(err)
				}
				list = append(list, c.Algorithm)
			}
		}
		return list
	}
	user := func(algorithms ...string) policy.Change {
		c := connection.NewCredentialConnection()
		c.ID, c.AccountID, c.UserName, c.Password = worldUser, worldAccount, "alice", "correct-horse"
		c.Outbound.OutboundVoiceProfileID = worldProfile
		c.DigestAlgorithms = algorithms
		return policy.PutCredential(&c)
	}
	w := newWorld(t, wish{change: []policy.Change{user("SHA-256")}})
	phone := w.party(strangerAddress, false)
	answer := func(d *dialog, m *message, algorithm string) {
		t.Helper()
		c, err := digest.ParseChallenge(m.Get("proxy-authenticate"))
		if err != nil {
			t.Fatal(err)
		}
		c.Algorithm = algorithm
		credentials, err := digest.Digest(c,
			digest.Options{Method: "INVITE", URI: d.target, Username: "alice", Password: "correct-horse", Count: 1})
		if err != nil {
			t.Fatal(err)
		}
		phone.request(d, "ACK", "", "")
		phone.request(d, "INVITE", "Proxy-Authorization: "+credentials.String()+"\r\n", offer)
	}
	d := phone.invite("+12125550123", "")
	first := phone.want("407 INVITE")
	if got := offered(first); !slices.Equal(got, []string{"MD5"}) {
		t.Errorf("anybody is offered %v", got)
	}
	answer(d, first, "MD5")
	second := phone.want("407 INVITE")
	if got := offered(second); !slices.Equal(got, []string{"SHA-256"}) {
		t.Errorf("after MD5 alice is offered %v", got)
	}
	answer(d, second, "SHA-256")
	w.carriers[0].reply(w.carriers[0].await("INVITE"), 486, "far", "", "")
	phone.await("486 INVITE")
	w.record()

	// A caller who says in From who it is gets its own order at once.
	snapshot, err := w.live.Snapshot().With(user("SHA-256", "MD5"))
	if err != nil {
		t.Fatal(err)
	}
	w.live.Publish(snapshot)
	other := w.party("127.0.0.67", false)
	named := newDialog(other, "+12125550123")
	named.local = "<sip:alice@tollgate.test>;tag=1"
	other.request(named, "INVITE", "", offer)
	if got := offered(other.want("407 INVITE")); !slices.Equal(got, []string{"SHA-256", "MD5"}) {
		t.Errorf("alice is offered %v", got)
	}
}

// TestCallerIDHeaders: who the carrier is told to be calling, by what the connection
// says and the caller asks.
func TestCallerIDHeaders(t *testing.T) {
	for _, c := range []struct {
		headers, privacy string
		asks             bool
		from, pai, rpid  string // what must be in them; "" for no such header
		hidden           bool
	}{
		{"private-calls", "as-asked", false, "+12125550100", "", "", false},
		{"private-calls", "as-asked", true, "anonymous.invalid", "+12125550100", "", true},
		{"private-calls", "never", true, "+12125550100", "", "", false},
		{"private-calls", "always", false, "anonymous.invalid", "+12125550100", "", true},
		{"p-asserted-identity", "as-asked", false, "+12125550100", "+12125550100", "", false},
		{"remote-party-id", "as-asked", false, "+12125550100", "", "privacy=off", false},
		{"remote-party-id", "as-asked", true, "anonymous.invalid", "", "privacy=full", true},
		{"both", "as-asked", true, "anonymous.invalid", "+12125550100", "+12125550100", true},
		{"none", "as-asked", true, "anonymous.invalid", "", "", true},
	} {
		name := fmt.Sprint(c.headers, " ", c.privacy, " ", c.asks)
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, wish{pbx: func(p *connection.IPConnection) {
				p.CallerIDHeaders, p.CallerPrivacy = c.headers, c.privacy
				confirm(p, "+12125550100")
			}})
			extra := ""
			if c.asks {
				extra = "Privacy: id\r\n"
			}
			w.pbx.invite("+12125550123", extra)
			invite := w.carriers[0].want("INVITE")
			contains(t, invite, "from", c.from)
			for header, want := range map[string]string{"p-asserted-identity": c.pai, "remote-party-id": c.rpid} {
				if got := invite.Get(header); (want == "") != (got == "") || !strings.Contains(got, want) {
					t.Errorf("%s is %q, want %q in it", header, got, want)
				}
			}
			if got := invite.Get("privacy"); (got == "id") != c.hidden {
				t.Errorf("Privacy is %q", got)
			}
			w.carriers[0].reply(invite, 486, "far", "", "")
			w.pbx.await("486 INVITE")
			w.record()
		})
	}
}

// TestHeadersThatDoNotPass: what either side says of itself in headers stays there,
// except what the connection passes, and that within limits.
func TestHeadersThatDoNotPass(t *testing.T) {
	said := "P-Asserted-Identity: \"Mallory\" <sip:+12125550199@evil.test>\r\n" +
		"Remote-Party-ID: <sip:+12125550198@evil.test>\r\n" +
		"Identity: abc;info=<https://evil.test>\r\nX-Secret: tenant 7\r\nAlert-Info: <http://evil.test/ring>\r\n" +
		"P-Charging-Vector: icid-value=1\r\nCall-Info: <http://evil.test>\r\nUser-to-User: 00\r\nServer: pbx 1\r\n" +
		"User-Agent: pbx 1\r\n"
	var diversions strings.Builder
	for i := range 9 {
		fmt.Fprintf(&diversions, "Diversion: <sip:+1212555020%d@pbx.test>;reason=unconditional\r\n", i)
	}
	diversions.WriteString("Diversion: <sip:" + strings.Repeat("9", 300) + "@pbx.test>\r\n")
	for i := range 12 {
		fmt.Fprintf(&diversions, "History-Info: <sip:+1212555030%x@pbx.test>;index=1.%d\r\n", i, i)
	}
	for _, pass := range []bool{false, true} {
		w := newWorld(t, wish{pbx: func(c *connection.IPConnection) {
			if pass {
				c.Diversions = "pass"
			}
		}})
		pbx := w.pbx.invite("+12125550123", said+diversions.String())
		invite := w.carriers[0].want("INVITE")
		contains(t, invite, "from", "<sip:+12125550199@") // the caller id is read from it
		w.carriers[0].reply(invite, 180, "far", said, "")
		ringing := w.pbx.want("180 INVITE")
		w.carriers[0].reply(invite, 200, "far", said, answerSDP)
		w.carriers[0].want("ACK")
		answer := w.pbx.want("200 INVITE")
		for _, m := range []*message{invite, ringing, answer} {
			for _, header := range []string{"p-asserted-identity", "remote-party-id", "identity", "x-secret", "alert-info",
				"p-charging-vector", "call-info", "user-to-user", "server", "user-agent"} {
				if got := m.Get(header); got != "" {
					t.Errorf("%s has passed in %s: %q", header, label(m), got)
				}
			}
		}
		d, h := invite.All("diversion"), invite.All("history-info")
		if !pass && len(d)+len(h) != 0 {
			t.Errorf("%d Diversion and %d History-Info have passed", len(d), len(h))
		}
		if pass && (len(d) != 5 || len(h) != 10 || !strings.Contains(d[0], "+12125550200") ||
			!strings.Contains(h[9], "index=1.11")) {
			t.Errorf("Diversion %q, History-Info %q", d, h)
		}
		pbx.join(answer)
		w.pbx.request(pbx, "ACK", "", "")
		w.hangUp(pbx)
		w.record()
		w.settled()
	}
}

// TestEncodedContact: with encode_contact_header_enabled a PBX behind a translator,
// whose Contact leads nowhere, gets what is sent to it within the call, also when the
// translator has given it another port meanwhile; and nothing of our Contact looks
// like an address.
func TestEncodedContact(t *testing.T) {
	for _, tcp := range []bool{false, true} {
		t.Run(fmt.Sprintf("tcp=%v", tcp), func(t *testing.T) {
			w := newWorld(t, wish{pbx: func(c *connection.IPConnection) { c.EncodeContactHeaderEnabled = true }})
			transport := ""
			if tcp {
				w.pbx = w.party(pbxAddress, true)
				w.pbx.connect()
				transport = ";transport=tcp"
			}
			// hidden writes a request whose Contact is the PBX's private address.
			hidden := func(text string, of *party) string {
				return strings.Replace(text, "Contact: <sip:"+of.address(), "Contact: <sip:192.168.1.20:5066", 1)
			}
			pbx := newDialog(w.pbx, "+12125550123")
			w.pbx.send(hidden(w.pbx.text("INVITE", pbx.target, pbx, "", offer), w.pbx))
			invite := w.carriers[0].await("INVITE")
			if got := invite.Contact(); strings.Contains(got, "encoded") {
				t.Errorf("the carrier gets Contact %q", got)
			}
			w.carriers[0].reply(invite, 180, "far", "", "")
			ringing := w.pbx.await("180 INVITE")
			w.carriers[0].reply(invite, 200, "far", "", answerSDP)
			w.carriers[0].await("ACK")
			answer := w.pbx.await("200 INVITE")
			for _, m := range []*message{ringing, answer} {
				if m.Contact() != "sip:tollgate@encoded.invalid" || m.Get("record-route") != "<sip:"+w.srv.Addr()+transport+";lr>" {
					t.Errorf("%s: Contact %q, Record-Route %q", label(m), m.Contact(), m.Get("record-route"))
				}
			}
			pbx.join(answer)
			w.pbx.send(hidden(w.pbx.text("ACK", pbx.target, pbx, "", ""), w.pbx))
			carrier := w.carriers[0].serverDialog(invite, "far")

			// The carrier's request reaches the PBX, and has the PBX's own Contact in its first line.
			w.carriers[0].request(carrier, "INFO", "", "")
			info := w.pbx.await("INFO")
			if !strings.HasPrefix(info.URI, "sip:192.168.1.20:5066") {
				t.Errorf("Request-URI %q", info.URI)
			}
			w.pbx.reply(info, 200, "", "", "")
			w.carriers[0].await("200 INFO")

			moved := w.party(pbxAddress, tcp)
			if tcp {
				moved.connect()
			}
			moved.send(hidden(moved.text("OPTIONS", pbx.target, pbx, "", ""), moved))
			moved.await("200 OPTIONS")
			w.carriers[0].request(carrier, "BYE", "", "")
			bye := moved.await("BYE")
			moved.reply(bye, 200, "", "", "")
			w.carriers[0].await("200 BYE")
			w.record()
			w.settled()
		})
	}
}

// TestEncodedContactBehindProxy: what goes by proxies goes on going by them.
func TestEncodedContactBehindProxy(t *testing.T) {
	w := newWorld(t, wish{pbx: func(c *connection.IPConnection) { c.EncodeContactHeaderEnabled = true }})
	proxy := w.party("127.0.0.3", false)
	own := "<sip:" + proxy.address() + ";lr>"
	pbx, carrier := w.talk("Record-Route: " + own + "\r\n")
	if len(pbx.routes) != 2 || "<"+pbx.routes[0]+">" != own || !strings.Contains(pbx.routes[1], w.srv.Addr()) {
		t.Errorf("the PBX's route set is %q", pbx.routes)
	}
	w.carriers[0].request(carrier, "BYE", "", "")
	bye := proxy.await("BYE")
	if bye.Get("route") != own {
		t.Errorf("Route %q", bye.Get("route"))
	}
	proxy.reply(bye, 200, "", "", "")
	w.carriers[0].await("200 BYE")
	w.record()
	w.settled()
}
