package sipgw

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tollgate/tollgate/internal/connection"
)

// What a caller with a stolen password says of itself, in every header in which a
// carrier might believe it.
const impostor = "+12028290922"

func claims(number string) map[string]string {
	return map[string]string{
		"P-Asserted-Identity":  fmt.Sprintf("P-Asserted-Identity: \"Revenue\" <sip:%s@irs.test>\r\n", number),
		"several values":       fmt.Sprintf("P-Asserted-Identity: <sip:%s@irs.test>, <tel:%s>\r\n", number, number),
		"P-Preferred-Identity": fmt.Sprintf("P-Preferred-Identity: <tel:%s>\r\n", number),
		"Remote-Party-ID": fmt.Sprintf("Remote-Party-ID: \"Revenue\" <sip:%s@irs.test>;party=calling;screen=yes\r\n",
			number),
		"Privacy": fmt.Sprintf("Privacy: id\r\nP-Asserted-Identity: <sip:%s@irs.test>\r\n", number),
	}
}

// TestNoNumberIsAssertedWithoutProof: whatever the caller sends, and whatever headers
// the connection wants, a number that is not confirmed is shown and not asserted.
func TestNoNumberIsAssertedWithoutProof(t *testing.T) {
	for claim, header := range claims(impostor) {
		for _, headers := range []string{"private-calls", "p-asserted-identity", "remote-party-id", "both", "none"} {
			for _, listed := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, %s, listed=%v", claim, headers, listed), func(t *testing.T) {
					w := newWorld(t, wish{pbx: func(c *connection.IPConnection) {
						c.CallerIDHeaders, c.Diversions = headers, "pass"
						confirm(c, "+12125550100")
						if listed { // by the account itself, which proves nothing
							c.CallerIDs.Prefixes = []string{"+1202"}
						}
					}})
					diverted := fmt.Sprintf("Diversion: \"Revenue\" <sip:%s@irs.test>;reason=no-answer;screen=yes\r\n", impostor)
					invite := carried(t, w, "+12125550123",
						header+diverted+"Identity: eyJ.x;info=<https://irs.test>\r\nP-Charge-Info: <tel:"+impostor+">\r\n")
					if got := invite.Get("p-asserted-identity") + invite.Get("p-preferred-identity") + invite.Get("identity") +
						invite.Get("p-charge-info"); got != "" {
						t.Errorf("asserted %q", got)
					}
					if party := invite.Get("remote-party-id"); strings.Contains(party, "screen=yes") ||
						party != "" && !strings.Contains(party, "screen=no") {
						t.Errorf("Remote-Party-ID %q", party)
					}
					diversion := invite.Get("diversion")
					if strings.Contains(diversion, "Revenue") || strings.Contains(diversion, "screen=yes") ||
						!strings.Contains(diversion, "screen=no") ||
						!strings.Contains(diversion, ";reason=no-answer") {
						t.Errorf("Diversion %q", diversion)
					}
					for _, f := range invite.Fields {
						if strings.Contains(f.Value, "Revenue") {
							t.Errorf("a display name has passed in %s: %s", f.Name, f.Value)
						}
					}
				})
			}
		}
	}
}

// TestCallerIDsOfTheConnection: what is shown by each on_mismatch, in whatever form the
// caller writes its number.
func TestCallerIDsOfTheConnection(t *testing.T) {
	for _, c := range []struct {
		mismatch, presented string
		from, asserted      string // "" for none; from "" for a refusal
		phrase              string
	}{
		{"pass", "+12125550100", "+12125550100", "+12125550100", ""},
		{"pass", impostor, impostor, "", ""},
		{"refuse", "+12125550100", "+12125550100", "+12125550100", ""},
		{"refuse", "2125550100", "+12125550100", "+12125550100", ""},
		{"refuse", "1-212-555-0100", "+12125550100", "+12125550100", ""},
		{"refuse", "011+12125550100", "", "", "Invalid Caller Origination Number D35"},
		{"refuse", "01112125550100", "+12125550100", "+12125550100", ""},
		{"refuse", "+121255501000", "", "", "Invalid Caller Origination Number D35"},
		{"refuse", "+1212555010", "", "", "Invalid Caller Origination Number D35"},
		{"refuse", "+13125550177", "+13125550177", "+13125550177", ""},
		{"refuse", impostor, "", "", "Unverified origination number D51"},
		{"refuse", "alice", "", "", "Invalid Caller Origination Number D35"},
		{"replace", "+12125550100", "+12125550100", "+12125550100", ""},
		{"replace", impostor, "+12125550100", "+12125550100", ""},
		{"replace", "alice", "+12125550100", "+12125550100", ""},
	} {
		t.Run(c.mismatch+" "+c.presented, func(t *testing.T) {
			w := newWorld(t, wish{pbx: func(p *connection.IPConnection) {
				p.CallerIDHeaders, p.Diversions = "both", "pass"
				p.Outbound.Localization = new("US")
				p.CallerIDs.OnMismatch, p.CallerIDs.Prefixes = c.mismatch, []string{"+1312555"}
				confirm(p, "+12125550100")
			}})
			header := "P-Asserted-Identity: <sip:" + strings.ReplaceAll(c.presented, "+", "%2B") + "@pbx.test>\r\n" +
				"Diversion: <sip:+12025550200@pbx.test>;screen=yes, <sip:2125550100@pbx.test>\r\n" +
				"History-Info: <sip:+12025550200@pbx.test>;index=1\r\n"
			if c.from == "" {
				w.pbx.invite("+12125550123", header)
				if refusal := w.pbx.want("403 INVITE"); refusal.Phrase != c.phrase {
					t.Errorf("refused by %q, want %q", refusal.Phrase, c.phrase)
				}
				return
			}
			invite := carried(t, w, "+12125550123", header)
			contains(t, invite, "from", "<sip:"+c.from+"@")
			screened := "screen=no"
			if c.asserted != "" {
				screened = "screen=yes"
			}
			contains(t, invite, "remote-party-id", c.from)
			contains(t, invite, "remote-party-id", screened)
			if got := invite.Get("p-asserted-identity"); (got == "") != (c.asserted == "") ||
				!strings.Contains(got, c.asserted) {
				t.Errorf("P-Asserted-Identity %q, want %q", got, c.asserted)
			}
			diversions, history := strings.Join(invite.All("diversion"), ", "), invite.Get("history-info")
			if passes := c.mismatch == "pass"; strings.Contains(diversions, "+12025550200") != passes ||
				(history != "") != passes {
				t.Errorf("Diversion %q, History-Info %q", diversions, history)
			}
			if !strings.Contains(diversions, "<sip:2125550100@pbx.test>;screen=yes") {
				t.Errorf("the connection's own number is left out of Diversion %q", diversions)
			}
		})
	}
}

// TestEmergencyCallsShowAConfirmedNumber: sixty caller ids of a stolen password become one.
func TestEmergencyCallsShowAConfirmedNumber(t *testing.T) {
	for _, c := range []struct {
		name             string
		set              func(*connection.IPConnection)
		presented        string
		privacy          string
		from             string
		asserted, screen string
	}{
		{"the presented number, confirmed", func(p *connection.IPConnection) { confirm(p, "+12125550100", "+12125550101") },
			"+12125550101", "", "+12125550101", "+12125550101", "yes"},
		{"the first confirmed number", func(p *connection.IPConnection) { confirm(p, "+12125550100", "+12125550101") },
			impostor, "", "+12125550100", "+12125550100", "yes"},
		{"no number at all", func(p *connection.IPConnection) { confirm(p, "+12125550100") },
			"anonymous", "", "+12125550100", "+12125550100", "yes"},
		{"ani_override, confirmed", func(p *connection.IPConnection) {
			confirm(p, "+12125550100", "+12125550101")
			p.Outbound.ANIOverride, p.Outbound.ANIOverrideType = "+12125550101", "emergency"
		}, impostor, "", "+12125550101", "+12125550101", "yes"},
		{"ani_override, not confirmed", func(p *connection.IPConnection) {
			confirm(p, "+12125550100")
			p.Outbound.ANIOverride = impostor
		}, "+12125550100", "", "+12125550100", "+12125550100", "yes"},
		{"refuse refuses no emergency call", func(p *connection.IPConnection) {
			confirm(p, "+12125550100")
			p.CallerIDs.OnMismatch = "refuse"
		}, impostor, "", "+12125550100", "+12125550100", "yes"},
		{"nothing is confirmed", func(*connection.IPConnection) {}, impostor, "", impostor, "", "no"},
		{"privacy hides no emergency caller", func(p *connection.IPConnection) { confirm(p, "+12125550100") },
			"+12125550100", "Privacy: id\r\n", "+12125550100", "+12125550100", "yes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, wish{pbx: func(p *connection.IPConnection) {
				p.CallerIDHeaders = "both"
				c.set(p)
			}})
			invite := carried(t, w, "911", c.privacy+"P-Asserted-Identity: <sip:"+c.presented+"@pbx.test>\r\n")
			if !strings.HasPrefix(invite.URI, "sip:911@") {
				t.Errorf("dialled %s", invite.URI)
			}
			contains(t, invite, "from", c.from)
			if got := invite.Get("p-asserted-identity"); (got == "") != (c.asserted == "") ||
				!strings.Contains(got, c.asserted) {
				t.Errorf("P-Asserted-Identity %q, want %q", got, c.asserted)
			}
			contains(t, invite, "remote-party-id", "screen="+c.screen)
			if got := invite.Get("privacy"); got != "" {
				t.Errorf("Privacy %q", got)
			}
		})
	}
}
