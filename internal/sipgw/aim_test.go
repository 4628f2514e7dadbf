package sipgw

import (
	"net/netip"
	"testing"

	"github.com/tollgate/tollgate/internal/reach"
	"github.com/tollgate/tollgate/internal/routing"
	"github.com/tollgate/tollgate/internal/sip/transport"
)

// TestAim says where requests go by what the peer gave as its address.
func TestAim(t *testing.T) {
	guard := reach.New(reach.Rules{Loopback: true})
	guard.Know(reach.Host{Addresses: []netip.Addr{netip.MustParseAddr("203.0.113.5")},
		Listeners: []netip.AddrPort{netip.MustParseAddrPort("0.0.0.0:5060")}})
	for _, c := range []struct{ source, contact, route, want string }{
		{"198.51.100.7:6000", "sip:pbx@198.51.100.7:5080", "", "198.51.100.7:5080"},
		{"198.51.100.7:6000", "sip:pbx@198.51.100.7", "", "198.51.100.7:5060"},
		{"198.51.100.7:6000", "sip:pbx@10.0.0.5:5080", "", "198.51.100.7:6000"},     // behind a translator
		{"198.51.100.7:6000", "sip:pbx@100.64.0.5:5080", "", "198.51.100.7:6000"},   // behind the carrier's
		{"198.51.100.7:6000", "sip:pbx@pbx.test:5080", "", "198.51.100.7:6000"},     // only the name servers know
		{"198.51.100.7:6000", "sip:pbx@0.0.0.0:5080", "", "198.51.100.7:6000"},      // nowhere
		{"198.51.100.7:6000", "sip:pbx@198.51.100.9:5080", "", "198.51.100.9:5080"}, // another machine
		{"10.0.0.4:6000", "sip:pbx@10.0.0.5:5080", "", "10.0.0.5:5080"},             // both at home
		{"198.51.100.7:6000", "sip:pbx@10.0.0.5", "sip:198.51.100.7:5090;lr", "198.51.100.7:5090"},
		{"198.51.100.7:6000", "sip:pbx@[2001:db8::5]:5080", "", "[2001:db8::5]:5080"},
		{"198.51.100.7:6000", "nonsense", "", "198.51.100.7:6000"},
		// What is closer to the server than the peer, or is the server.
		{"198.51.100.7:6000", "sip:pbx@127.0.0.1:5080", "", "198.51.100.7:6000"},
		{"198.51.100.7:6000", "sip:pbx@[::1]:5080", "", "198.51.100.7:6000"},
		{"198.51.100.7:6000", "sip:pbx@[::ffff:127.0.0.1]:5080", "", "198.51.100.7:6000"},
		{"198.51.100.7:6000", "sip:pbx@169.254.169.254:80;transport=tcp", "", "198.51.100.7:6000"},
		{"198.51.100.7:6000", "sip:pbx@224.0.1.75", "", "198.51.100.7:6000"},
		{"198.51.100.7:6000", "sip:pbx@255.255.255.255", "", "198.51.100.7:6000"},
		{"198.51.100.7:6000", "sip:pbx@[fe80::1%25eth0]", "", "198.51.100.7:6000"},
		{"198.51.100.7:6000", "sip:pbx@203.0.113.5:22;transport=tcp", "", "198.51.100.7:6000"},
		{"198.51.100.7:6000", "sip:pbx@203.0.113.5", "", "198.51.100.7:6000"},
		{"198.51.100.7:6000", "sip:pbx@198.51.100.7", "sip:127.0.0.1:5080;lr", "198.51.100.7:6000"},
		{"10.0.0.4:6000", "sip:pbx@127.0.0.1:5080", "", "10.0.0.4:6000"},
		{"10.0.0.4:6000", "sip:pbx@169.254.169.254", "", "10.0.0.4:6000"},
		{"127.0.0.4:6000", "sip:pbx@127.0.0.1:5060", "", "127.0.0.4:6000"},
		{"127.0.0.4:6000", "sip:pbx@127.0.0.1:22;transport=tcp", "", "127.0.0.4:6000"},
		{"127.0.0.4:6000", "sip:pbx@127.0.0.1:5080;transport=tcp", "", "127.0.0.1:5080"},
	} {
		l := &leg{target: c.contact}
		if c.route != "" {
			l.routes = []string{c.route}
		}
		l.aim(transport.Peer{Addr: netip.MustParseAddrPort(c.source)}, guard)
		if got := l.peer.Addr.String(); got != c.want {
			t.Errorf("%s from %s by %q: %s, want %s", c.contact, c.source, c.route, got, c.want)
		}
	}
}

func TestTarget(t *testing.T) {
	for address, want := range map[string]struct {
		host string
		port uint16
	}{
		"carrier.test": {"carrier.test", 0}, "carrier.test:5080": {"carrier.test", 5080},
		"192.0.2.1": {"192.0.2.1", 5060}, "192.0.2.1:5080": {"192.0.2.1", 5080},
		"2001:db8::1": {"2001:db8::1", 5060}, "[2001:db8::1]": {"2001:db8::1", 5060},
		"[2001:db8::1]:5080": {"2001:db8::1", 5080},
		"carrier.test:0":     {"carrier.test:0", 0}, "carrier.test:sip": {"carrier.test:sip", 0},
	} {
		if host, port := (&routing.Gateway{Address: address, Transport: "udp"}).Target(); host != want.host ||
			port != want.port {
			t.Errorf("%s: %s %d, want %s %d", address, host, port, want.host, want.port)
		}
	}
}
