package sipgw

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/sip/transport/zonetest"

	"github.com/tollgate/tollgate/internal/routing"
)

// TestAGatewayThatTurnsInward: a name that leads to this server is not used, health
// says why, and a call goes on to the next gateway.
func TestAGatewayThatTurnsInward(t *testing.T) {
	z := zonetest.New(t, "carrier 60 IN A 127.0.0.1\n")
	w := newWorld(t, wish{carriers: 2, config: func(c *Config) { c.NameServers = []string{z.Address} }})
	addr := netip.MustParseAddrPort(w.srv.Addr())
	w.publish(wish{carriers: 2, gateway: func(g *routing.Gateway) {
		if g.ID == worldGateway {
			g.Address = strings.Replace(addr.String(), "127.0.0.1", "carrier.test", 1)
		}
	}})
	h := w.healthy(0, routing.StateForbidden)
	if h.Detail == nil || *h.Detail != addr.String()+" is a socket of this server, where calls never go." {
		t.Errorf("health: %+v", h)
	}
	w.pbx.invite("+12125550123", "")
	w.busyAt(w.carriers[1])
	w.publish(wish{carriers: 2})
	if h := w.healthy(0, routing.StateUp); h.Detail != nil {
		t.Errorf("health: %s", *h.Detail)
	}
	w.settled()
}

// TestTheServerIsNoPeerOfItsOwn: what comes from a socket of the server's, as through
// its media relay, is dropped.
func TestTheServerIsNoPeerOfItsOwn(t *testing.T) {
	w := newWorld(t, wish{})
	w.healthy(0, routing.StateUp)
	before := w.srv.Stats().Filtered
	w.srv.config.Reach.Also(func(at netip.AddrPort) bool { return at == w.pbx.local })
	w.pbx.invite("+12125550123", "")
	for deadline := time.Now().Add(patience); w.srv.Stats().Filtered == before; {
		if time.Now().After(deadline) {
			t.Fatal("not dropped")
		}
		w.carriers[0].quiet()
	}
	w.carriers[0].quiet()
}
