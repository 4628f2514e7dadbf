package sipgw

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"

	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/sip"
)

// TestOddInvites: what is wrong in a header field that the call does not need does not
// stop the call (RFC 3261 section 8.2.2), and nothing of it reaches the carrier.
func TestOddInvites(t *testing.T) {
	w := newWorld(t, wish{})
	for name, edit := range map[string][2]string{
		"a line without a colon":       {"Contact:", "X-Odd nothing\r\nContact:"},
		"a line without a name":        {"Contact:", ": X-Odd\r\nContact:"},
		"a space in a name":            {"Contact:", "X Odd: 1\r\nContact:"},
		"a control character":          {"Contact:", "X-Odd: a\x01b\r\nContact:"},
		"a field of 9 kB":              {"Contact:", "X-Odd: " + strings.Repeat("x", 9000) + "\r\nContact:"},
		"150 fields":                   {"Contact:", strings.Repeat("X-Odd: 1\r\n", 150) + "Contact:"},
		"a Date in local time":         {"Contact:", "Date: Fri, 01 Jan 2027 12:00:00 CET\r\nContact:"},
		"two Expires":                  {"Contact:", "Expires: 180\r\nExpires: 60\r\nContact:"},
		"Max-Forwards above 255":       {"Max-Forwards: 70", "Max-Forwards: 300"},
		"Max-Forwards in words":        {"Max-Forwards: 70", "Max-Forwards: many"},
		"an empty Require":             {"Contact:", "Require:\r\nContact:"},
		"an empty Record-Route":        {"Contact:", "Record-Route: \r\nContact:"},
		"a Route that is none":         {"Contact:", "Route: here\r\nContact:"},
		"Latin-1":                      {"Contact:", "Subject: M\xfcller\r\nContact:"},
		"no Content-Type":              {"Content-Type: application/sdp\r\n", ""},
		"a Content-Type twice":         {"Content-Type:", "Content-Type: application/sdp\r\nContent-Type:"},
		"a Via that ends in semicolon": {"rport;", "rport;;"},
		"empty lines in front":         {"INVITE sip:", "\r\n\r\nINVITE sip:"},
		"a display name with a comma":  {"From: <", "From: Doe, John <"},
		"a display name with brackets": {"From: <", "From: ACME (Sales) <"},
		"a display name with a colon":  {"From: <", "From: Dr: Who <"},
	} {
		text := w.pbx.text("INVITE", "sip:+12125550123@"+w.srv.Addr(), newDialog(w.pbx, "+12125550123"), "", offer)
		if !strings.Contains(text, edit[0]) {
			t.Fatalf("%s: nothing to edit", name)
		}
		w.pbx.send(strings.Replace(text, edit[0], edit[1], 1))
		invite := w.carriers[0].want("INVITE")
		for _, f := range invite.Fields {
			if strings.HasPrefix(f.Name, "x") || f.Name == "date" || f.Name == "subject" {
				t.Errorf("%s: %s has passed", name, f.Name)
			}
		}
		w.carriers[0].reply(invite, 486, "far", "", "")
		w.carriers[0].want("ACK")
		w.pbx.want("486 INVITE")
		w.record()
	}
	w.settled()
}

// TestOddAnswers: a 2xx is never lost over a header field that is not read. The carrier
// would charge while the caller hears it ring.
func TestOddAnswers(t *testing.T) {
	for name, edit := range map[string][2]string{
		"a line without a colon":      {"CSeq:", "nonsense\r\nCSeq:"},
		"a control character":         {"CSeq:", "Server: a\x02b\r\nCSeq:"},
		"a field of 9 kB":             {"CSeq:", "X-Odd: " + strings.Repeat("y", 9000) + "\r\nCSeq:"},
		"a Content-Length too large":  {"Content-Length: ", "Content-Length: 1"},
		"no Content-Length":           {"Content-Length: ", "X-Length: "},
		"a Content-Length in words":   {"Content-Length: ", "Content-Length: about "},
		"a Content-Type twice":        {"Content-Type:", "Content-Type: application/sdp\r\nContent-Type:"},
		"no Content-Type":             {"Content-Type:", "X-Type:"},
		"a last semicolon in Via":     {"\r\nFrom:", ";\r\nFrom:"},
		"a last semicolon in To":      {";tag=far", ";tag=far;"},
		"an empty line in front":      {"SIP/2.0 200", "\r\nSIP/2.0 200"},
		"no phrase":                   {"200 Because", "200"},
		"a Contact that is none":      {"Contact: <sip:", "Contact: <at home"},
		"two Max-Forwards":            {"CSeq:", "Max-Forwards: 1\r\nMax-Forwards: x\r\nCSeq:"},
		"bare line feeds":             {"\r\n", "\n"},
		"a tab in front of the value": {"CSeq: ", "CSeq:\t"},
	} {
		w := newWorld(t, wish{})
		pbx := w.pbx.invite("+12125550123", "")
		invite := w.carriers[0].want("INVITE")
		head := sip.Line("Contact", "<sip:"+w.carriers[0].address()+">")
		raw := string(invite.Response(200, "Because", "far", head, []byte(answerSDP), "application/sdp"))
		times := 1
		if edit[0] == "\r\n" {
			times = -1
		}
		odd := strings.Replace(raw, edit[0], edit[1], times)
		if odd == raw {
			t.Fatalf("%s: nothing to edit", name)
		}
		if _, err := w.carriers[0].udp.WriteToUDPAddrPort([]byte(odd), invite.Peer.Addr); err != nil {
			t.Fatal(err)
		}
		answer := w.pbx.want("200 INVITE")
		if !bytes.HasPrefix(answer.Body, []byte("v=0")) || answer.Get("content-type") != sip.TypeSDP {
			t.Errorf("%s: the caller gets %q as %q", name, answer.Body, answer.Get("content-type"))
		}
		w.carriers[0].want("ACK")
		pbx.join(answer)
		w.pbx.request(pbx, "ACK", "", "")
		w.hangUp(pbx)
		w.record()
		w.settled()
	}
}

// TestAnswerOfAnotherIsDropped: tolerance ends where it is not clear whose a message is.
func TestAnswerOfAnotherIsDropped(t *testing.T) {
	w := newWorld(t, wish{})
	w.pbx.invite("+12125550123", "")
	invite := w.carriers[0].want("INVITE")
	raw := string(invite.Response(200, "Because", "far", "", []byte(answerSDP), "application/sdp"))
	for _, edit := range [][2]string{
		{"Via: ", "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKother\r\nVia: "},
		{"CSeq: 1", "CSeq: \x021"}, {"SIP/2.0 200", "SIP/2.0 099"},
		{"Call-ID:", "X-Call-ID:"}, {"\r\nCSeq", "\nCSeq"},
	} {
		odd := strings.Replace(raw, edit[0], edit[1], 1)
		if odd == raw {
			t.Fatalf("%q: nothing to edit in %q", edit[0], raw)
		}
		if _, err := w.carriers[0].udp.WriteToUDPAddrPort([]byte(odd), netip.MustParseAddrPort(w.srv.Addr())); err != nil {
			t.Fatal(err)
		}
	}
	w.carriers[0].reply(invite, 486, "far", "", "")
	w.pbx.want("486 INVITE")
	w.record()
	w.settled()
}

// TestNumberByItsContext: a local number is that of its phone-context, and never one of
// the connection's own country (RFC 3966 section 5.1.5).
func TestNumberByItsContext(t *testing.T) {
	w := newWorld(t, wish{pbx: func(c *connection.IPConnection) { c.Outbound.Localization = new("US") }})
	for uri, want := range map[string]string{
		"sip:5550123;phone-context=+1212@gw.test;user=phone": "+12125550123",
		"sip:2125550123;phone-context=pbx.test@gw.test":      "+12125550123",
		"tel:+1-212-555-0123":                                "+12125550123",
		"tel:2125550123;phone-context=+1":                    "+12125550123",
		"sip:911;phone-context=+1@gw.test":                   "911",
	} {
		w.pbx.send(w.pbx.text("INVITE", uri, newDialog(w.pbx, "x"), "", offer))
		invite := w.carriers[0].want("INVITE")
		if !strings.HasPrefix(invite.URI, "sip:"+want+"@") {
			t.Errorf("%s: the carrier is asked for %s", uri, invite.URI)
		}
		w.carriers[0].reply(invite, 486, "far", "", "")
		w.carriers[0].want("ACK")
		w.pbx.want("486 INVITE")
		w.record()
	}
	w.pbx.send(w.pbx.text("INVITE", "sip:2079460000;phone-context=+44@gw.test", newDialog(w.pbx, "x"), "", offer))
	if m := w.pbx.next(); m.Status < 400 {
		t.Errorf("a number abroad, that the profile does not allow: %s", label(m))
	}
	w.carriers[0].quiet()
	w.record()
	w.settled()
}

// TestWaysToAskForPrivacy: each hides the number from the callee.
func TestWaysToAskForPrivacy(t *testing.T) {
	w := newWorld(t, wish{})
	for _, lines := range []string{
		"Privacy: id\r\n", "Privacy: none\r\nPrivacy: user\r\n", "Privacy: full\r\n",
		"Remote-Party-ID: <sip:+12125550100@x>;party=calling;privacy=full\r\n",
		"Remote-Party-ID: \"A, B\" <sip:+12125550100@x>;privacy=uri-network\r\n",
	} {
		w.pbx.invite("+12125550123", lines)
		invite := w.carriers[0].want("INVITE")
		if !strings.Contains(invite.From, "anonymous") || invite.Get("privacy") != "id" {
			t.Errorf("%q: From %s, Privacy %q", lines, invite.From, invite.Get("privacy"))
		}
		w.carriers[0].reply(invite, 486, "far", "", "")
		w.carriers[0].want("ACK")
		w.pbx.want("486 INVITE")
		w.record()
	}
	w.settled()
}
