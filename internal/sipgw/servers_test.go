package sipgw

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/sip/transport/zonetest"

	"github.com/tollgate/tollgate/internal/routing"
)

// TestServersOfOneGateway: a call goes on to the next server of a name when one is
// silent or overloaded, and the gateway counts as reached.
func TestServersOfOneGateway(t *testing.T) {
	for name, refuse := range map[string]bool{"silent": false, "overloaded": true} {
		t.Run(name, func(t *testing.T) {
			z := zonetest.New(t, "")
			w := newWorld(t, wish{carriers: 2,
				config: func(c *Config) { c.NameServers, c.Timers.GatewayWait = []string{z.Address}, 300*time.Millisecond },
				gateway: func(g *routing.Gateway) {
					g.Address, g.Enabled, g.BreakerFailures = "carrier.test", g.Priority == 0, 1
				},
			})
			first, second := w.carriers[0], w.carriers[1]
			z.Put(t, fmt.Sprintf("_sip._udp.carrier 60 IN SRV 1 0 %d a\n_sip._udp.carrier 60 IN SRV 2 0 %d a\na 60 IN A %s\n",
				first.local.Port(), second.local.Port(), carrierAddress))
			w.pbx.invite("+12125550123", "")
			invite := first.want("INVITE")
			if !strings.HasPrefix(invite.URI, "sip:+12125550123@carrier.test") {
				t.Errorf("Request-URI %s", invite.URI)
			}
			if refuse {
				first.reply(invite, 503, "far", "Retry-After: 5\r\n", "")
			}
			w.busyAt(second)
			w.healthy(0, routing.StateUp)
			w.settled()
		})
	}
}
