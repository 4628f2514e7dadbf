package sipgw

import (
	"strings"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/routing"
)

// bulky is a passport that makes an INVITE too large for a datagram.
const bulky = "Identity: " + passport + "\r\nIdentity: eyJhbGciOiJFUzI1NiJ9.eyJpYXQiOjF9.AAAAAAAA" +
	"BBBBBBBB;info=<https://cert.example/"

func large1300(more string) string { return bulky + strings.Repeat("a", 1300) + more + ">\r\n" }

// TestALargeInviteGoesByTCP where the transport is ours to choose (RFC 3261 section 18.1.1).
func TestALargeInviteGoesByTCP(t *testing.T) {
	for name, c := range map[string]struct {
		transport string
		extra     string
		tcp       bool
	}{
		"large":                  {routing.TransportAuto, large1300(""), true},
		"small":                  {routing.TransportAuto, "", false},
		"large, UDP is ordered":  {"udp", large1300(""), false},
		"large, TCP is the rule": {"tcp", large1300(""), true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, wish{tcp: true, gateway: func(g *routing.Gateway) { g.Transport = c.transport }})
			w.pbx.connect()
			w.pbx.invite("+12125550123", c.extra)
			carrier := w.carriers[0]
			invite := carrier.await("INVITE")
			way := "UDP"
			if c.tcp {
				way = "TCP"
				carrier.conn = <-carrier.opened
			}
			if invite.Peer.TCP != c.tcp || !strings.HasPrefix(invite.Get("via"), "SIP/2.0/"+way) ||
				strings.Contains(invite.URI, "transport=tcp") != c.tcp {
				t.Errorf("came by TCP: %v, to %s, Via %s", invite.Peer.TCP, invite.URI, invite.Get("via"))
			}
			carrier.reply(invite, 486, "far", "", "")
			ack := carrier.await("ACK")
			if ack.Peer.TCP != c.tcp {
				t.Errorf("the ACK came by TCP: %v", ack.Peer.TCP)
			}
			w.pbx.await("486 INVITE")
			w.record()
			w.settled()
		})
	}
}

// TestALargeInviteGoesByUDPAfterAll where TCP is refused or brings nothing. It is the same
// attempt, signed once, and the gateway is not asked by TCP again for a while.
func TestALargeInviteGoesByUDPAfterAll(t *testing.T) {
	for name, silent := range map[string]bool{"refused": false, "silent": true} {
		t.Run(name, func(t *testing.T) {
			w, signer := signing(t, wish{tcp: silent, config: func(c *Config) { c.Timers.GatewayWait = 600 * time.Millisecond },
				gateway: func(g *routing.Gateway) { g.Transport, g.BreakerFailures = routing.TransportAuto, 1 }})
			if silent {
				w.pbx.connect()
			}
			carrier := w.carriers[0]
			body := "Geolocation: <https://lis.example/" + strings.Repeat("a", 1300) + ">\r\n"
			w.pbx.invite("+12125550123", body)
			invite := carrier.await("INVITE")
			if silent {
				if !invite.Peer.TCP {
					t.Fatal("a large INVITE came by UDP first")
				}
				first := invite
				invite = carrier.await("INVITE")
				if invite.CallID == first.CallID || invite.Get("identity") != first.Get("identity") {
					t.Errorf("a repetition, or another signature: %s", invite.CallID)
				}
			}
			if invite.Peer.TCP {
				t.Fatal("came by TCP")
			}
			carrier.reply(invite, 486, "far", "", "")
			w.pbx.await("486 INVITE")
			w.record()
			w.healthy(0, routing.StateUp)
			if n := signer.Stats().Signed["B"]; n != 1 {
				t.Errorf("%d signatures", n)
			}
			w.pbx.invite("+12125550124", body)
			next := carrier.await("INVITE")
			if next.Peer.TCP {
				t.Error("the next call tries TCP again")
			}
			carrier.reply(next, 486, "far", "", "")
			w.pbx.await("486 INVITE")
			w.record()
		})
	}
}
