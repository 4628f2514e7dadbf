package sipgw

import (
	"strings"
	"testing"

	"github.com/tollgate/tollgate/internal/sip/transport"
)

// advertise has a server tell its peers other addresses than the one it listens on.
func advertise(t *testing.T, texts ...string) func(*Config) {
	return func(c *Config) {
		for _, text := range texts {
			a, err := transport.ParseAdvertised(text)
			if err != nil {
				t.Fatal(err)
			}
			c.Advertise = append(c.Advertise, a)
		}
	}
}

// TestAdvertisedAddress: each party is told the address by which it reaches the server, in
// every header that names the server, in requests and responses alike.
func TestAdvertisedAddress(t *testing.T) {
	w := newWorld(t, wish{config: advertise(t, "203.0.113.5:15060", "sip.inside.test@127.0.0.1/32")})
	carrier := w.carriers[0]
	d := w.pbx.invite("+12125550123", "")
	invite := carrier.want("INVITE")
	contains(t, invite, "via", "SIP/2.0/UDP 203.0.113.5:15060;")
	contains(t, invite, "contact", "@203.0.113.5:15060>")
	contains(t, invite, "from", "@203.0.113.5>")
	carrier.reply(invite, 200, "far", "", answerSDP)
	contains(t, carrier.want("ACK"), "via", "SIP/2.0/UDP 203.0.113.5:15060;")
	ok := w.pbx.want("200 INVITE")
	contains(t, ok, "contact", "@sip.inside.test:")
	if strings.Contains(ok.Get("contact"), "203.0.113.5") {
		t.Errorf("Contact %q", ok.Get("contact"))
	}
	d.join(ok)
	w.pbx.request(d, "ACK", "", "")
	carrier.request(carrier.serverDialog(invite, "far"), "BYE", "", "")
	carrier.want("200 BYE")
	bye := w.pbx.want("BYE")
	contains(t, bye, "via", "SIP/2.0/UDP sip.inside.test:")
	w.pbx.reply(bye, 200, "", "", "")
	w.record()
	w.settled()
}
