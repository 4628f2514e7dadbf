package policy

import (
	"net/netip"
	"testing"

	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/routing"
)

// TestCarriers: an address is a carrier's as long as a gateway that is enabled names it.
func TestCarriers(t *testing.T) {
	gateway := func(key id.ID, transport string, enabled bool, networks ...string) *routing.Gateway {
		g := routing.NewGateway()
		g.ID = key
		g.AccountID = 1
		g.Transport = transport
		g.Enabled = enabled
		for _, text := range networks {
			n, err := connection.ParseNetwork(text)
			if err != nil {
				t.Fatal(err)
			}
			g.Addresses = append(g.Addresses, n)
		}
		return &g
	}
	s := NewLive().Snapshot()
	for i, step := range []struct {
		change  Change
		carrier map[string]bool
		streams bool
	}{
		{PutGateway(gateway(1, "udp", true, "192.0.2.0/24", "2001:db8::/48")),
			map[string]bool{"192.0.2.7": true, "::ffff:192.0.2.7": true, "192.0.3.7": false, "2001:db8::7": true}, false},
		{PutGateway(gateway(2, "tls", true, "192.0.2.0/24", "192.0.2.7")), map[string]bool{"192.0.2.7": true}, true},
		{PutGateway(gateway(1, "udp", true, "198.51.100.1")),
			map[string]bool{"192.0.2.9": true, "198.51.100.1": true, "2001:db8::7": false}, true},
		{PutGateway(gateway(2, "tls", false, "192.0.2.0/24")),
			map[string]bool{"192.0.2.7": false, "198.51.100.1": true}, false},
		{PutGateway(gateway(2, "auto", true)), map[string]bool{"192.0.2.7": false}, true},
		{DropGateway(gateway(2, "udp", true)), map[string]bool{"198.51.100.1": true}, false},
		{DropGateway(gateway(1, "udp", true)), map[string]bool{"198.51.100.1": false, "fe80::1%eth0": false}, false},
	} {
		before := s
		var err error
		if s, err = s.With(step.change); err != nil {
			t.Fatal(err)
		}
		for text, want := range step.carrier {
			if got := s.Carrier(netip.MustParseAddr(text)); got != want {
				t.Errorf("step %d: %s: %v, want %v", i, text, got, want)
			}
		}
		if s.HasStreams() != step.streams {
			t.Errorf("step %d: streams %v", i, s.HasStreams())
		}
		if i == 0 && before.Carrier(netip.MustParseAddr("192.0.2.7")) {
			t.Error("the snapshot before has changed")
		}
	}
	if len(s.carriers.four)+len(s.carriers.six) != 0 {
		t.Errorf("lengths %v and %v are left", s.carriers.four, s.carriers.six)
	}
}
