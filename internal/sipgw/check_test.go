package sipgw

import (
	"strings"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/routing"
)

// TestCheckGateway: what a carrier does with OPTIONS and a call is told in words, and the
// call leaves nothing behind.
func TestCheckGateway(t *testing.T) {
	const challenge = "WWW-Authenticate: Digest realm=\"carrier\", nonce=\"n1\", algorithm=MD5, qop=\"auth\"\r\n"
	final := func(status int, extra string) func(*party, *message) {
		return func(p *party, invite *message) {
			p.reply(invite, status, "far", extra, "")
			p.await("ACK")
		}
	}
	password := func(again int) func(*party, *message) {
		return func(p *party, invite *message) {
			final(401, challenge)(p, invite)
			second := p.await("INVITE")
			if !strings.Contains(second.Get("authorization"), `realm="carrier"`) {
				p.t.Errorf("no credentials: %v", second.Fields)
			}
			final(again, challenge)(p, second)
		}
	}
	for _, c := range []struct {
		name        string
		user        bool
		call        func(p *party, invite *message)
		works       bool
		status      int32
		credentials string
		says        string
	}{
		{"rings", false, func(p *party, invite *message) {
			p.reply(invite, 180, "far", "", "")
			p.reply(p.await("CANCEL"), 200, "far", "", "")
			final(487, "")(p, invite)
		}, true, 487, "not_asked", "It rang"},
		{"early media", false, func(p *party, invite *message) {
			p.reply(invite, 183, "far", "", answerSDP)
			p.reply(p.await("CANCEL"), 200, "far", "", "")
			final(487, "")(p, invite)
		}, true, 487, "not_asked", "It takes PCMA"},
		{"answers", false, func(p *party, invite *message) {
			p.reply(invite, 200, "far", "", answerSDP)
			p.await("ACK")
			p.reply(p.await("BYE"), 200, "", "", "")
		}, true, 200, "not_asked", "hung up at once"},
		{"busy", false, final(486, ""), true, 486, "not_asked", "busy"},
		{"forbidden", false, final(403, "Reason: Q.850;cause=21\r\n"), false, 403, "not_asked", "Reason: Q.850;cause=21"},
		{"unknown status", false, final(499, ""), false, 499, "not_asked", "refuses the call: 499"},
		{"no password", false, final(401, challenge), false, 401, "missing", `realm "carrier"`},
		{"wrong password", true, func(p *party, invite *message) {
			password(403)(p, invite)
		}, false, 403, "accepted", "refuses the call"},
		{"right password", true, password(486), true, 486, "accepted", "busy"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, wish{gateway: func(g *routing.Gateway) {
				if c.user {
					g.UserName, g.Password = new("trunk"), new("secret")
				}
			}})
			done := make(chan struct{})
			var got routing.Check
			var err error
			go func() {
				defer close(done)
				for deadline := time.Now().Add(patience); ; {
					got, err = w.srv.Check(t.Context(), worldGateway, 12125550123, 12125550100)
					if err == nil || time.Now().After(deadline) { // until the server knows the gateway
						return
					}
				}
			}()
			carrier := w.carriers[0]
			carrier.reply(carrier.await("OPTIONS"), 200, "t", "", "")
			c.call(carrier, carrier.await("INVITE"))
			<-done
			if err != nil {
				t.Fatal(err)
			}
			last := got.Steps[len(got.Steps)-1]
			if got.Works != c.works || got.Call.Status != c.status || got.Call.Credentials != c.credentials ||
				!strings.Contains(last.Says, c.says) || !c.works && last.Advice == nil {
				t.Errorf("%+v, call %+v", got, *got.Call)
			}
			w.settled()
		})
	}
}
