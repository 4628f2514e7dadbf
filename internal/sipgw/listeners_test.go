package sipgw

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/sip/transaction"
	"github.com/tollgate/tollgate/internal/sip/transport"
)

// TestSeveralListeners: a caller gets everything from the address that it has called, which
// is also the one in what it is told; the carrier is spoken to from its own family. A
// connected socket takes datagrams of one address alone.
func TestSeveralListeners(t *testing.T) {
	caller := connection.IP{Head: collection.Head[id.ID]{ID: 60}, ConnectionID: worldPBX,
		IPAddress: connection.SingleAddress(netip.IPv6Loopback())}
	w := newWorld(t, wish{change: []policy.Change{policy.PutIP(&caller)}, config: func(c *Config) {
		c.More = []transport.Listen{{Transport: "udp", Addr: "127.0.0.99:0"}, {Addr: "[::1]:0"}}
	}})
	listeners := w.srv.Listeners()
	if len(listeners) != 3 || len(w.srv.Listening()) != 3 {
		t.Fatalf("listening on %v", w.srv.Listening())
	}
	for _, to := range listeners {
		source := &net.UDPAddr{IP: net.ParseIP(pbxAddress)}
		if to.Addr().Is6() {
			source.IP = net.IPv6loopback
		}
		conn, err := net.DialUDP("udp", source, net.UDPAddrFromAddrPort(to))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		pbx := &party{w: w, t: t, udp: conn, local: conn.LocalAddr().(*net.UDPAddr).AddrPort()}
		send := func(text string) {
			if _, err := conn.Write([]byte(text)); err != nil {
				t.Fatal(err)
			}
		}
		want := func(name string) *message {
			t.Helper()
			_ = conn.SetReadDeadline(time.Now().Add(patience))
			buffer := make([]byte, 65536)
			for {
				n, err := conn.Read(buffer)
				if err != nil {
					t.Fatalf("%s: no %s: %v", to, name, err)
				}
				if m := transaction.Read(buffer[:n], transport.Peer{}); m != nil && label(m) == name {
					return m
				}
			}
		}
		d := newDialog(pbx, "+12125550123")
		send(pbx.text("INVITE", d.target, d, "", offer))
		carrier := w.carriers[0]
		invite := carrier.await("INVITE")
		if host := invite.Via.Host; host != "127.0.0.1" && host != "127.0.0.99" {
			t.Errorf("the carrier sees %s", invite.Via.SentBy)
		}
		carrier.reply(invite, 200, "far", "", answerSDP)
		carrier.await("ACK")
		ok := want("200 INVITE")
		contains(t, ok, "contact", "@"+to.String())
		d.join(ok)
		send(pbx.text("ACK", d.target, d, "", ""))
		carrier.request(carrier.serverDialog(invite, "far"), "BYE", "", "")
		carrier.await("200 BYE")
		bye := want("BYE")
		contains(t, bye, "via", "SIP/2.0/UDP "+to.String())
		send(string(bye.Response(200, "OK", "", "", nil, "")))
		w.record()
	}
	w.settled()
}
