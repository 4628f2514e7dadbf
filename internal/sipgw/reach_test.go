package sipgw

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tollgate/tollgate/internal/reach"
	"github.com/tollgate/tollgate/internal/routing"
)

// TestResolveLeavesOutWhatIsInside: whatever a name leads to, nothing is sent inside.
func TestResolveLeavesOutWhatIsInside(t *testing.T) {
	z := newZone(t, `
mixed 60 IN A 10.0.0.9
mixed 60 IN A 192.0.2.9
mixed 60 IN A 169.254.169.254
mixed 60 IN AAAA ::1
mixed 60 IN AAAA 2001:db8::9
inside 60 IN A 127.0.0.1
alias 60 IN CNAME inside.test.
alias 60 IN A 10.0.0.1
mapped 60 IN AAAA ::ffff:169.254.169.254
_sip._udp.service 60 IN SRV 1 0 22 inside
_sip._udp.service 60 IN SRV 2 0 5070 mixed
_sip._udp.itself 60 IN SRV 1 0 5060 here
here 60 IN A 203.0.113.5
pointer 60 IN NAPTR 10 10 "s" "SIP+D2T" "" _sip._tcp.metadata
_sip._tcp.metadata 60 IN SRV 1 0 80 meta
meta 60 IN A 169.254.169.254
many 60 IN A 224.0.1.75
many 60 IN A 255.255.255.255
many 60 IN A 0.0.0.0
many 60 IN A 240.0.0.1
many 60 IN A 100.100.100.200
`)
	guard := reach.New(reach.Rules{Documentation: true, HighPorts: true})
	guard.Know(reach.Host{Addresses: []netip.Addr{netip.MustParseAddr("203.0.113.5")},
		Listeners: []netip.AddrPort{netip.MustParseAddrPort("0.0.0.0:5060")}})
	for _, c := range []struct {
		address, transport string
		want               []string
		all                bool // left out
	}{
		{"mixed.test", "udp", []string{"udp 192.0.2.9:5060", "udp [2001:db8::9]:5060"}, false},
		{"mixed.test:5080", "tcp", []string{"tcp 192.0.2.9:5080", "tcp [2001:db8::9]:5080"}, false},
		{"inside.test", "udp", nil, true},
		{"alias.test", "udp", nil, true},
		{"mapped.test:80", "tcp", nil, true},
		{"service.test", "udp", []string{"udp 192.0.2.9:5070", "udp [2001:db8::9]:5070"}, false},
		{"itself.test", "udp", nil, true},
		{"pointer.test", "auto", nil, true},
		{"many.test", "udp", nil, true},
		{"127.0.0.1:22", "tcp", nil, true},
		{"[::ffff:10.0.0.1]:5060", "udp", nil, true},
	} {
		r := resolverOf(t, z, time.Now)
		told := ""
		r.guard, r.refused = guard, func(_ *routing.Gateway, why string, all bool) {
			if told = why; all != c.all {
				t.Errorf("%s: nothing is left %v", c.address, all)
			}
		}
		if diff := cmp.Diff(c.want, r.find(c.address, c.transport)); diff != "" || told == "" {
			t.Errorf("%s by %s, told %q (-want +got):\n%s", c.address, c.transport, told, diff)
		}
		if c.address == "mixed.test" { // the answer that is kept is judged again
			if diff := cmp.Diff(c.want, r.find(c.address, c.transport)); diff != "" {
				t.Errorf("%s again (-want +got):\n%s", c.address, diff)
			}
		}
	}
}

// TestAGatewayThatTurnsInward: a name that leads to this server is not used, health
// says why, and a call goes on to the next gateway.
func TestAGatewayThatTurnsInward(t *testing.T) {
	z := newZone(t, "carrier 60 IN A 127.0.0.1\n")
	w := newWorld(t, wish{carriers: 2, config: func(c *Config) { c.NameServers = []string{z.address} }})
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
