package sipgw

import (
	"strings"
	"testing"

	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/e164"
	"github.com/tollgate/tollgate/internal/routing"
)

// carried places a call, returns the carrier's INVITE, and ends the attempt.
func carried(t *testing.T, w *world, callee, extra string) *message {
	t.Helper()
	pbx := w.pbx.invite(callee, extra)
	invite := w.carriers[0].want("INVITE")
	w.carriers[0].reply(invite, 486, "far", "", "")
	w.carriers[0].want("ACK")
	w.pbx.want("486 INVITE")
	w.pbx.request(pbx, "ACK", "", "")
	if r := w.record(); r.ConnectionID != worldPBX {
		t.Errorf("connection %v", r.ConnectionID)
	}
	return invite
}

// confirm lists numbers as a key with the scope admin would.
func confirm(c *connection.IPConnection, numbers ...string) {
	for _, text := range numbers {
		n, err := e164.Parse(text)
		if err != nil {
			panic(err)
		}
		c.CallerIDs.Numbers = append(c.CallerIDs.Numbers, n)
	}
	c.CallerIDs.Confirm(&connection.CallerIDs{}, true, true)
}

func TestAnAnonymousCallerOfAKnownNumber(t *testing.T) {
	w := newWorld(t, wish{pbx: func(c *connection.IPConnection) { confirm(c, "+12125550111") }})
	invite := carried(t, w, "+12125550123",
		"Privacy: id\r\nP-Asserted-Identity: <sip:+12125550111@pbx.test>\r\nRemote-Party-ID: <sip:1@secret.test>\r\n")
	contains(t, invite, "from", `<sip:anonymous@anonymous.invalid>`)
	contains(t, invite, "privacy", "id")
	contains(t, invite, "p-asserted-identity", "<sip:+12125550111@")
	for _, f := range invite.Fields {
		if strings.Contains(f.Value, "secret.test") || strings.Contains(f.Value, "pbx.test") {
			t.Errorf("%s shows the caller's side: %s", f.Name, f.Value)
		}
	}
}

func TestTechPrefixAndToken(t *testing.T) {
	w := newWorld(t, wish{pbx: func(c *connection.IPConnection) { c.Outbound.TechPrefix = "0123" }})
	if invite := carried(t, w, "0123+12125550123", ""); !strings.HasPrefix(invite.URI, "sip:+12125550123@") {
		t.Errorf("dialled %s", invite.URI)
	}
	w = newWorld(t, wish{pbx: func(c *connection.IPConnection) {
		c.Outbound.IPAuthenticationMethod, c.Outbound.IPAuthenticationToken = "token", new("secret")
	}})
	for _, header := range []string{"X-Telnyx-Token", "X-Tollgate-Token"} {
		invite := carried(t, w, "+12125550123", header+": secret\r\n")
		if strings.Contains(string(invite.Body)+invite.Get(strings.ToLower(header)), "secret") {
			t.Errorf("the carrier is shown %s", header)
		}
	}
}

func TestTheGatewaysForms(t *testing.T) {
	domain := "tollgate.example"
	w := newWorld(t, wish{gateway: func(g *routing.Gateway) {
		g.Prefix, g.NumberFormat, g.CallerFormat, g.FromDomain = "99#", routing.FormatE164, routing.FormatE164, &domain
	}})
	invite := carried(t, w, "+12125550123", "")
	if !strings.HasPrefix(invite.URI, "sip:99%2312125550123@") {
		t.Errorf("Request-URI %s: a # must be escaped (RFC 3261 section 25.1)", invite.URI)
	}
	contains(t, invite, "from", "<sip:12125550100@tollgate.example>")
}
