package sipgw

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/routing"
)

// lines are the values of a header field, one for each line of it.
func lines(m *message, name string) (all []string) {
	for i := range m.Fields {
		if m.Fields[i].Name == name {
			all = append(all, m.Fields[i].Value)
		}
	}
	return all
}

// same holds that a message has just these lines of a header field.
func same(t *testing.T, m *message, name string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, lines(m, name)); diff != "" {
		t.Errorf("%s of %s (-want +got):\n%s", name, label(m), diff)
	}
}

// partingReasons are Reason fields as networks write them, and what goes on of each.
var partingReasons = map[string]struct{ came, goes []string }{
	"Q.850":         {[]string{`Q.850;cause=38;text="Network out of order"`}, nil},
	"with location": {[]string{`Q.850;cause=31;location=LN`}, nil},
	"blocked": {
		[]string{`SIP;cause=603;text="v=analytics1;url=https://redress.example;tel=+12125550199"`}, nil},
	"several lines": {[]string{`SIP;cause=200;text="Call completed elsewhere"`, `Q.850;cause=26`}, nil},
	"one line":      {[]string{`Q.850 ;cause=16 ;text="Terminated, by far end", SIP;cause=480`}, nil},
	"own protocol":  {[]string{`FreeSWITCH;cause=500;text="MEDIA_TIMEOUT"`, `X.int;add-info="05CC.1.1";reasoncode=0x0`}, nil},
	"quotes":        {[]string{`SIP;cause=200;text="say \"yes\\no\""`}, nil},
	"half readable": {[]string{`Q.850;cause=16;text="open`, `Q.850;cause=17`}, []string{`Q.850;cause=17`}},
	"no protocol":   {[]string{`;cause=16`}, []string{`Q.850;cause=16;text="NORMAL_CLEARING"`}},
	"too long": {[]string{`Q.850;text="` + strings.Repeat("x", 2048) + `"`},
		[]string{`Q.850;cause=16;text="NORMAL_CLEARING"`}},
	"none": {nil, []string{`Q.850;cause=16;text="NORMAL_CLEARING"`}},
}

// TestReasonOfBye: the side that is hung up on learns why the other one did.
func TestReasonOfBye(t *testing.T) {
	w := newWorld(t, wish{})
	for name, c := range partingReasons {
		goes := c.goes
		if goes == nil {
			goes = c.came
		}
		extra := ""
		for _, reason := range c.came {
			extra += "Reason: " + reason + "\r\n"
		}
		t.Run(name, func(t *testing.T) {
			_, far := w.talk("")
			w.carriers[0].request(far, "BYE", extra, "")
			bye := w.pbx.await("BYE")
			w.pbx.reply(bye, 200, "", "", "")
			w.carriers[0].await("200 BYE")
			same(t, bye, "reason", goes...)

			pbx, _ := w.talk("")
			w.pbx.request(pbx, "BYE", extra, "")
			bye = w.carriers[0].await("BYE")
			w.carriers[0].reply(bye, 200, "", "", "")
			w.pbx.await("200 BYE")
			same(t, bye, "reason", goes...)
			w.record()
			w.record()
		})
	}
}

// TestReasonOfCancel: what a forking proxy says of the branches that lost goes on, and not
// back to it.
func TestReasonOfCancel(t *testing.T) {
	w := newWorld(t, wish{})
	pbx := w.pbx.invite("+12125550123", "")
	invite := w.carriers[0].want("INVITE")
	w.carriers[0].reply(invite, 180, "far", "", "")
	w.pbx.want("180 INVITE")
	const elsewhere = `SIP;cause=200;text="Call completed elsewhere"`
	w.pbx.request(pbx, "CANCEL", "Reason: "+elsewhere+"\r\n", "")
	cancel := w.carriers[0].want("CANCEL")
	same(t, cancel, "reason", elsewhere)
	w.carriers[0].reply(cancel, 200, "far", "", "")
	w.carriers[0].reply(invite, 487, "far", "", "")
	w.carriers[0].want("ACK")
	same(t, w.pbx.await("487 INVITE"), "reason")
	w.pbx.request(pbx, "ACK", "", "")
	w.record()
	w.settled()
}

// TestRefusalsCross: what a refusal says of its reason, of when to try again and of what
// would have been taken reaches the caller.
func TestRefusalsCross(t *testing.T) {
	cases := map[string]struct {
		status int
		said   string            // by the carrier
		want   map[string]string // what the caller gets, "" for none
	}{
		"blocked": {603, "Reason: SIP;cause=603;text=\"v=analytics1;url=https://redress.example\"\r\n" +
			"Call-Info: <https://redress.example/card>;purpose=jwscard\r\n",
			map[string]string{"reason": `SIP;cause=603;text="v=analytics1;url=https://redress.example"`,
				"call-info": "<https://redress.example/card>;purpose=jwscard"}},
		"rejected by a machine": {608, "Call-Info: <https://block.example/complaint.json>;purpose=jwscard\r\n",
			map[string]string{"call-info": "<https://block.example/complaint.json>;purpose=jwscard"}},
		"unwanted": {607, "Reason: Q.850;cause=21\r\n", map[string]string{"reason": "Q.850;cause=21"}},
		"busy": {486, "Retry-After: 120 (in a meeting);duration=60\r\nReason: Q.850;cause=17\r\n",
			map[string]string{"retry-after": "120 (in a meeting);duration=60", "reason": "Q.850;cause=17"}},
		"unavailable":                {503, "Retry-After: 1\r\nRetry-After: 2\r\n", map[string]string{"retry-after": "1"}},
		"unavailable without a time": {503, "Retry-After: soon\r\n", map[string]string{"retry-after": "5"}},
		"error":                      {500, "Retry-After: 5\r\n", map[string]string{"retry-after": "5"}},
		"media": {488, "Warning: 304 sbc.example \"Media type, not available\"\r\nAccept: application/sdp\r\n",
			map[string]string{"warning": `304 tollgate "Media type, not available"`, "accept": "application/sdp"}},
		"not for others": {404, "Call-Info: <https://evil.example>\r\nAccept: text/plain\r\nServer: sbc 1\r\n" +
			"P-Charging-Vector: icid-value=1\r\nX-Trunk: 7\r\nError-Info: <sip:x@evil.example>\r\n" +
			"P-Asserted-Identity: <sip:+12125550123@carrier.example>\r\nContact: <sip:x@evil.example>\r\n",
			map[string]string{"call-info": "", "accept": "", "server": "", "p-charging-vector": "", "x-trunk": "",
				"error-info": "", "p-asserted-identity": "", "contact": ""}},
		"malformed": {486, "Warning: 99 x \"y\"\r\nWarning: 399 x y\r\nRetry-After: -1\r\nReason: Q 850\r\n",
			map[string]string{"warning": "", "retry-after": "", "reason": ""}},
		"lines in lines": {486, "Reason: Q.850;cause=17\nX-Evil: 1\r\nWarning: 399 x \"a\\\rX-Evil: 2\"\r\n",
			map[string]string{"x-evil": ""}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, wish{})
			w.pbx.invite("+12125550123", "")
			invite := w.carriers[0].await("INVITE")
			w.carriers[0].reply(invite, c.status, "far", c.said, "")
			refusal := w.pbx.next()
			if refusal.Status != c.status || refusal.Phrase != "Because" {
				t.Errorf("%d %s", refusal.Status, refusal.Phrase)
			}
			for field, want := range c.want {
				if got := strings.Join(lines(refusal, field), " | "); got != want {
					t.Errorf("%s is %q, want %q", field, got, want)
				}
			}
			w.record()
		})
	}
}

// TestDisplayNames: the caller's name goes on with its number, as one quoted text.
func TestDisplayNames(t *testing.T) {
	w := newWorld(t, wish{})
	for from, want := range map[string]string{
		`"Alice Example" <`:                    `"Alice Example" <`,
		`Alice  Example <`:                     `"Alice  Example" <`,
		`Doe, John (Sales) <`:                  `"Doe, John (Sales)" <`,
		`"Doe, \"Jo\" \\ John" <`:              `"Doe, \"Jo\" \\ John" <`,
		`"Zo` + "ë 日本" + `" <`:                 `"Zo` + "ë 日本" + `" <`,
		`"" <`:                                 `<`,
		`"  " <`:                               `<`,
		`<`:                                    `<`,
		`"M` + "\xfc" + `ller" <`:              `"M?ller" <`,
		`"a` + "\u202e\u0085" + `b" <`:         `"a  b" <`,
		`"<sip:evil@evil.example>" <`:          `"<sip:evil@evil.example>" <`,
		`"` + strings.Repeat("é", 100) + `" <`: `"` + strings.Repeat("é", 64) + `" <`,
	} {
		d := newDialog(w.pbx, "+12125550123")
		d.local = from + d.local[1:]
		w.pbx.request(d, "INVITE", "", offer)
		invite := w.carriers[0].await("INVITE")
		if got := invite.From[:strings.Index(invite.From, "<sip:+12125550100@")+1]; got != want {
			t.Errorf("the name of %q is %q, want %q", from, got, want)
		}
		w.carriers[0].reply(invite, 486, "far", "", "")
		w.carriers[0].await("ACK")
		w.pbx.await("486 INVITE")
		w.record()
	}
}

// TestNamesOfPrivateCallers: a name is as private as its caller wants it.
func TestNamesOfPrivateCallers(t *testing.T) {
	for name, c := range map[string]struct {
		extra, privacy, want string
		override             string // of the number
	}{
		"not private":   {"Privacy: none\r\n", "as-asked", `"Alice" <sip:+12125550100@`, ""},
		"id":            {"Privacy: id\r\n", "as-asked", `"Anonymous" <sip:anonymous@`, ""},
		"the name only": {"Remote-Party-ID: <sip:+12125550100@a>;privacy=name\r\n", "as-asked", `<sip:+12125550100@`, ""},
		"asked in vain": {"Privacy: id\r\n", "never", `"Alice" <sip:+12125550100@`, ""},
		"always":        {"", "always", `"Anonymous" <sip:anonymous@`, ""},
		"of From alone": {"P-Asserted-Identity: \"Desk 7\" <sip:+12125550107@a>\r\n", "as-asked",
			`"Alice" <sip:+12125550107@`, ""},
		"of another number": {"", "as-asked", `<sip:+12125550199@`, "+12125550199"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, wish{pbx: func(p *connection.IPConnection) {
				p.CallerPrivacy = c.privacy
				if c.override != "" {
					p.Outbound.ANIOverride, p.Outbound.ANIOverrideType = c.override, "always"
				}
			}})
			d := newDialog(w.pbx, "+12125550123")
			d.local = "Alice " + d.local
			w.pbx.request(d, "INVITE", c.extra, offer)
			invite := w.carriers[0].await("INVITE")
			if !strings.HasPrefix(invite.From, c.want) {
				t.Errorf("From is %q, want %q", invite.From, c.want)
			}
			w.carriers[0].reply(invite, 486, "far", "", "")
			w.pbx.await("486 INVITE")
			w.record()
		})
	}
}

// passport is an Identity as a carrier signs it.
const passport = "eyJhbGciOiJFUzI1NiJ9.eyJpYXQiOjF9.c2ln-_;info=<https://cert.example/a,b.pem>;alg=ES256;ppt=\"shaken\""

// TestIdentityCrosses: what was signed goes on verbatim as long as it is true.
func TestIdentityCrosses(t *testing.T) {
	short := "..c2ln;info=<https://cert.example/a.pem>;alg=ES256;ppt=shaken"
	for name, c := range map[string]struct {
		callee  string
		extra   string
		pbx     func(*connection.IPConnection)
		gateway func(*routing.Gateway)
		want    []string
	}{
		"unchanged":     {want: []string{passport}},
		"several":       {extra: "Identity: " + short + "\r\n", want: []string{passport, short}},
		"without plus":  {callee: "12125550123", want: []string{passport}},
		"local number":  {callee: "2125550123"},
		"private":       {extra: "Privacy: id\r\n"},
		"another field": {extra: "P-Asserted-Identity: <sip:+12125550107@a>\r\n", want: []string{passport}},
		"caller replaced": {pbx: func(p *connection.IPConnection) {
			p.Outbound.ANIOverride, p.Outbound.ANIOverrideType = "+12125550199", "always"
		}},
		"callee prefixed": {gateway: func(g *routing.Gateway) { g.Prefix = "77" }},
		"too many": {extra: strings.Repeat("Identity: "+short+"\r\n", 5),
			want: []string{passport, short, short, short}},
		"unreadable":        {extra: "Identity: abc;info=<https://a>\r\nIdentity: \"sig\"\r\n", want: []string{passport}},
		"without its key":   {extra: "Identity: a.b.c;alg=ES256\r\n", want: []string{passport}},
		"with another line": {extra: "Identity: a.b.c;info=<https://a>\nX-Evil: 1\r\n", want: []string{passport}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, wish{pbx: func(p *connection.IPConnection) {
				p.Outbound.Localization = new("US")
				if c.pbx != nil {
					c.pbx(p)
				}
			}, gateway: c.gateway})
			callee := c.callee
			if callee == "" {
				callee = "+12125550123"
			}
			w.pbx.invite(callee, "Identity: "+passport+"\r\n"+c.extra)
			invite := w.carriers[0].await("INVITE")
			same(t, invite, "identity", c.want...)
			w.carriers[0].reply(invite, 486, "far", "", "")
			w.pbx.await("486 INVITE")
			w.record()
		})
	}
}

// TestEarlyEndsCross: 199 goes to who supports it.
func TestEarlyEndsCross(t *testing.T) {
	for name, supports := range map[string]bool{"supported": true, "not supported": false} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, wish{})
			extra := "Supported: timer\r\n"
			if supports {
				extra = "Supported: timer, 199\r\n"
			}
			w.pbx.invite("+12125550123", extra)
			invite := w.carriers[0].want("INVITE")
			if invite.Lists("supported", "199") != supports {
				t.Errorf("Supported: %q", lines(invite, "supported"))
			}
			w.carriers[0].reply(invite, 199, "one", "Reason: SIP;cause=486\r\n", "")
			w.carriers[0].reply(invite, 180, "two", "", "")
			if supports {
				same(t, w.pbx.want("199 INVITE"), "reason", "SIP;cause=486")
			}
			w.pbx.want("180 INVITE")
			w.carriers[0].reply(invite, 486, "two", "", "")
			w.pbx.want("486 INVITE")
			w.record()
		})
	}
}

// withPart is an offer with a location beside it.
const withPart = "preamble\r\n--b1\r\nContent-Type: application/pidf+xml\r\nContent-ID: <loc1@pbx.example>\r\n\r\n" +
	"<presence/>\r\n--b1\r\nContent-Type: application/sdp\r\n\r\n" + offer + "\r\n--b1--\r\n"

// multipart sends an INVITE with several parts.
func (p *party) multipart(callee, extra, body string) *dialog {
	p.t.Helper()
	d := newDialog(p, callee)
	text := p.text("INVITE", d.target, d, extra, body)
	p.send(strings.Replace(text, "Content-Type: application/sdp\r\n",
		"Content-Type: multipart/mixed;boundary=b1\r\n", 1))
	return d
}

// TestLocationsCross: where an emergency caller is goes on with all that names it.
func TestLocationsCross(t *testing.T) {
	w := newWorld(t, wish{pbx: func(p *connection.IPConnection) { p.Outbound.Localization = new("US") }})
	for _, callee := range []string{"911", "+12125550123"} {
		w.pbx.multipart(callee, "MIME-Version: 1.0\r\nGeolocation: <cid:loc1@pbx.example>, <https://lis.example/1>;x=y\r\n"+
			"Geolocation: no reference\r\nGeolocation-Routing: yes\r\nPriority: emergency\r\n"+
			"Call-Info: <cid:a@pbx.example>;purpose=EmergencyCallData.ProviderInfo\r\nUser-Agent: pbx\r\n", withPart)
		invite := w.carriers[0].await("INVITE")
		same(t, invite, "geolocation", "<cid:loc1@pbx.example>, <https://lis.example/1>;x=y")
		same(t, invite, "geolocation-routing", "yes")
		same(t, invite, "mime-version", "1.0")
		same(t, invite, "content-type", "multipart/mixed;boundary=b1")
		same(t, invite, "user-agent")
		if callee == "911" {
			same(t, invite, "priority", "emergency")
			same(t, invite, "call-info", "<cid:a@pbx.example>;purpose=EmergencyCallData.ProviderInfo")
		} else {
			same(t, invite, "priority")
			same(t, invite, "call-info")
		}
		if string(invite.Body) != withPart {
			t.Errorf("the body is %q", invite.Body)
		}
		w.carriers[0].reply(invite, 424, "far", "Geolocation-Error: 100;code=\"Cannot Process Location\"\r\n", "")
		same(t, w.pbx.await("424 INVITE"), "geolocation-error", `100;code="Cannot Process Location"`)
		w.record()
	}
}

// TestListedHeadersCross: what is listed goes on, both ways, and nothing else.
func TestListedHeadersCross(t *testing.T) {
	const said = "X-Campaign: 42, \"5\" units,6\r\nUser-to-User: 56a390f3;encoding=hex\r\nX-Secret: tenant 7\r\n" +
		"X-Telnyx-Token: secret\r\nX-Tollgate-Secret: mine\r\nP-Charge-Info: <sip:+13125550111@pbx.example>\r\n" +
		"X-Campaign: 43\r\nSubject: test\r\n"
	names := []string{"X-Campaign", "user-to-user"}
	for name, c := range map[string]struct{ connection, gateway []string }{
		"of the connection":  {names, nil},
		"of the gateway":     {nil, names},
		"of both":            {names, []string{"USER-TO-USER", "X-Campaign", "X-Campaign"}},
		"of one and another": {names[:1], names[1:]},
		"of none":            {nil, nil},
		"that may not pass":  {nil, []string{"X-Telnyx-Token", "X-Tollgate-Secret", "Via", "Content-Length"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, wish{
				pbx:     func(p *connection.IPConnection) { p.PassHeaders = c.connection },
				gateway: func(g *routing.Gateway) { g.PassHeaders = c.gateway },
			})
			listed := len(c.connection) > 0 || len(c.gateway) == 2 && c.gateway[0] == "X-Campaign"
			crosses := func(m *message) {
				t.Helper()
				if listed {
					same(t, m, "x-campaign", "42, \"5\" units,6", "43")
					same(t, m, "user-to-user", "56a390f3;encoding=hex")
				} else {
					same(t, m, "x-campaign")
					same(t, m, "user-to-user")
				}
				for _, never := range []string{"x-secret", "x-telnyx-token", "x-tollgate-secret", "p-charge-info", "subject"} {
					same(t, m, never)
				}
			}
			carrier := w.carriers[0]
			pbx := w.pbx.invite("+12125550123", said)
			invite := carrier.await("INVITE")
			crosses(invite)
			carrier.reply(invite, 180, "far", said, "")
			crosses(w.pbx.await("180 INVITE"))
			carrier.reply(invite, 200, "far", said, answerSDP)
			carrier.await("ACK")
			answer := w.pbx.await("200 INVITE")
			crosses(answer)
			pbx.join(answer)
			w.pbx.request(pbx, "ACK", "", "")
			w.pbx.request(pbx, "INFO", said, "")
			info := carrier.await("INFO")
			crosses(info)
			carrier.reply(info, 200, "", "", "")
			w.pbx.await("200 INFO")
			w.pbx.request(pbx, "BYE", said, "")
			bye := carrier.await("BYE")
			crosses(bye)
			carrier.reply(bye, 200, "", "", "")
			w.pbx.await("200 BYE")
			w.record()
			w.settled()
		})
	}
}

// TestListedDiversions: a list that names Diversion passes it by the rules of diversions.
func TestListedDiversions(t *testing.T) {
	w := newWorld(t, wish{gateway: func(g *routing.Gateway) { g.PassHeaders = []string{"diversion"} }})
	w.pbx.invite("+12125550123", "Diversion: \"Boss\" <sip:+12125550200@pbx.test>;reason=busy\r\n")
	invite := w.carriers[0].await("INVITE")
	same(t, invite, "diversion", "<sip:+12125550200@pbx.test>;reason=busy;screen=no")
	w.carriers[0].reply(invite, 486, "far", "", "")
	w.pbx.await("486 INVITE")
	w.record()
}
