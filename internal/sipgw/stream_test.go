package sipgw

import (
	"net"
	"testing"

	"github.com/tollgate/tollgate/internal/routing"
)

// reset ends a connection of a party with a RST.
func (p *party) reset() {
	p.t.Helper()
	conn := p.conn
	if secured, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn = secured.NetConn()
	}
	if err := conn.(*net.TCPConn).SetLinger(0); err != nil {
		p.t.Fatal(err)
	}
	conn.Close()
}

// overStream is an INVITE that has come to a carrier by a new connection.
func (w *world) overStream(carrier *party) *message {
	w.t.Helper()
	carrier.conn = <-carrier.opened
	return carrier.want("INVITE")
}

// busyOverStream is a call that a carrier refuses, after which the connection to it is kept.
func (w *world) busyOverStream(carrier *party) {
	w.t.Helper()
	w.pbx.invite("+12125550123", "")
	carrier.reply(w.overStream(carrier), 486, "busy", "", "")
	carrier.want("ACK")
	w.pbx.want("486 INVITE")
	w.record()
}

// TestAConnectionThatIsRefused: a carrier that ends the connection which was made for a
// call is left at once for the next one, whatever timers there are.
func TestAConnectionThatIsRefused(t *testing.T) {
	w := newWorld(t, wish{carriers: 2, tcp: true})
	w.pbx.connect()
	w.pbx.invite("+12125550123", "")
	first, second := w.carriers[0], w.carriers[1]
	w.overStream(first)
	first.reset()
	second.reply(w.overStream(second), 486, "busy", "", "")
	w.pbx.want("486 INVITE")
	w.record()
	w.settled()
}

// TestAConnectionThatDiedSinceTheLastCall: the INVITE that finds it out goes again by a new
// connection, as the same transaction; and it does when the connection only swallows it.
func TestAConnectionThatDiedSinceTheLastCall(t *testing.T) {
	for name, reset := range map[string]bool{"reset": true, "silent": false} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, wish{tcp: true})
			w.pbx.connect()
			carrier := w.carriers[0]
			w.busyOverStream(carrier)
			w.pbx.invite("+12125550123", "")
			lost := carrier.want("INVITE")
			if reset {
				carrier.reset()
			}
			again := w.overStream(carrier)
			if again.Via.Branch != lost.Via.Branch || again.CallID != lost.CallID {
				t.Errorf("branch %s after %s", again.Via.Branch, lost.Via.Branch)
			}
			carrier.reply(again, 486, "busy", "", "")
			carrier.want("ACK")
			w.pbx.want("486 INVITE")
			w.record()
			// The next call takes the new connection.
			w.pbx.invite("+12125550123", "")
			carrier.reply(carrier.want("INVITE"), 486, "busy", "", "")
			w.pbx.want("486 INVITE")
			w.record()
			w.settled()
			if len(carrier.opened) != 0 {
				t.Error("one connection too many")
			}
		})
	}
}

// TestAConnectionThatDiesWhileItRings: over TCP and TLS the callee is not left ringing, and
// the call does not wait for an answer that cannot come.
func TestAConnectionThatDiesWhileItRings(t *testing.T) {
	for name, secured := range map[string]*authority{"tcp": nil, "tls": newAuthority(t)} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, wish{tcp: true, tls: secured})
			w.pbx.connect()
			carrier := w.carriers[0]
			w.pbx.invite("+12125550123", "")
			invite := w.overStream(carrier)
			carrier.reply(invite, 180, "far", "", "")
			w.pbx.want("180 INVITE")
			carrier.reset()
			carrier.conn = <-carrier.opened
			cancel := carrier.await("CANCEL")
			if cancel.Via.Branch != invite.Via.Branch {
				t.Errorf("CANCEL of %s, not of %s", cancel.Via.Branch, invite.Via.Branch)
			}
			carrier.reply(cancel, 200, "", "", "")
			carrier.reply(invite, 487, "far", "", "")
			if m := w.pbx.await("504 INVITE"); m == nil {
				t.Error("no answer")
			}
			w.record()
			w.settled()
		})
	}
}

// TestAnAnswerWhoseConnectionIsGone: the caller's connection has ended before the callee
// answers; the 200 goes by a new one to the port of the Via, and the call is up.
func TestAnAnswerWhoseConnectionIsGone(t *testing.T) {
	w := newWorld(t, wish{tcp: true})
	w.pbx.connect()
	carrier := w.carriers[0]
	d := w.pbx.invite("+12125550123", "")
	invite := w.overStream(carrier)
	carrier.reply(invite, 180, "far", "", "")
	w.pbx.want("180 INVITE")
	w.pbx.reset()
	carrier.reply(invite, 200, "far", "", answerSDP)
	carrier.want("ACK")
	w.pbx.conn = <-w.pbx.opened
	ok := w.pbx.want("200 INVITE")
	d.join(ok)
	w.pbx.request(d, "ACK", "", "")
	carrier.request(carrier.serverDialog(invite, "far"), "BYE", "", "")
	carrier.want("200 BYE")
	w.pbx.reply(w.pbx.await("BYE"), 200, "", "", "")
	w.record()
	w.settled()
}

// TestAByeFindsADeadConnection: it goes again by a new one to the PBX's Contact, also when
// the connection has ended only after the BYE was written to it.
func TestAByeFindsADeadConnection(t *testing.T) {
	for name, before := range map[string]bool{"before": true, "after": false} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, wish{tcp: true})
			w.pbx.connect()
			carrier := w.carriers[0]
			d := w.pbx.invite("+12125550123", "")
			invite := w.overStream(carrier)
			carrier.reply(invite, 200, "far", "", answerSDP)
			carrier.want("ACK")
			d.join(w.pbx.want("200 INVITE"))
			w.pbx.request(d, "ACK", "", "")
			// Its answer tells that the ACK has arrived.
			w.pbx.request(d, "OPTIONS", "", "")
			w.pbx.want("200 OPTIONS")
			if before {
				w.pbx.reset()
			}
			carrier.request(carrier.serverDialog(invite, "far"), "BYE", "", "")
			carrier.want("200 BYE")
			if !before {
				w.pbx.want("BYE")
				w.pbx.reset()
			}
			w.pbx.conn = <-w.pbx.opened
			w.pbx.reply(w.pbx.await("BYE"), 200, "", "", "")
			w.record()
			w.settled()
		})
	}
}

// TestOptionsByADeadConnection: a gateway whose connection died is asked by a new one, and
// stays up.
func TestOptionsByADeadConnection(t *testing.T) {
	w := newWorld(t, wish{tcp: true, gateway: func(g *routing.Gateway) { g.OptionsIntervalSecs = 1 }})
	carrier := w.carriers[0]
	carrier.conn = <-carrier.opened
	carrier.reply(carrier.want("OPTIONS"), 200, "", "", "")
	carrier.want("OPTIONS")
	carrier.conn = <-carrier.opened
	carrier.reply(carrier.want("OPTIONS"), 200, "", "", "")
	w.healthy(0, routing.StateUp)
}
