package sipgw

import (
	"fmt"
	"strings"
	"testing"

	"github.com/icholy/digest"

	"github.com/tollgate/tollgate/internal/routing"
)

// credentialsFor answers a challenge with the algorithm given.
func credentialsFor(t *testing.T, m *message, algorithm, user, password, uri string, count int) string {
	t.Helper()
	for i := range m.Fields {
		if m.Fields[i].Name != "proxy-authenticate" || !strings.Contains(m.Fields[i].Value, "algorithm="+algorithm+",") {
			continue
		}
		challenge, err := digest.ParseChallenge(m.Fields[i].Value)
		if err != nil {
			t.Fatal(err)
		}
		c, err := digest.Digest(challenge, digest.Options{Method: "INVITE", URI: uri, Username: user, Password: password,
			Count: count})
		if err != nil {
			t.Fatal(err)
		}
		return "Proxy-Authorization: " + c.String() + "\r\n"
	}
	t.Fatalf("no challenge with %s in %v", algorithm, m.Fields)
	return ""
}

// challenged makes the gateway challenge a stranger.
func challenged(p *party, d *dialog) *message {
	p.t.Helper()
	p.request(d, "INVITE", "", offer)
	m := p.want("407 INVITE")
	p.request(d, "ACK", "", "")
	return m
}

func TestDigest(t *testing.T) {
	for _, algorithm := range []string{"MD5"} {
		t.Run(algorithm, func(t *testing.T) {
			w := newWorld(t, wish{user: true})
			phone := w.party(strangerAddress, false)
			d := newDialog(phone, "+12125550123")
			challenge := challenged(phone, d)
			phone.request(d, "INVITE", credentialsFor(t, challenge, algorithm, "alice", "correct-horse", d.target, 1), offer)
			invite := w.carriers[0].want("INVITE")
			if invite.Get("proxy-authorization") != "" {
				t.Error("the carrier is shown the caller's credentials")
			}
			w.carriers[0].reply(invite, 200, "far", "", answerSDP)
			w.carriers[0].want("ACK")
			d.join(phone.want("200 INVITE"))
			phone.request(d, "ACK", "", "")
			phone.request(d, "UPDATE", "", "") // the source is known by now
			phone.want("200 UPDATE")
			phone.request(d, "BYE", "", "")
			phone.want("200 BYE")
			w.carriers[0].reply(w.carriers[0].want("BYE"), 200, "", "", "")
			if r := w.record(); r.ConnectionID != worldUser {
				t.Errorf("connection %v", r.ConnectionID)
			}
			w.settled()
		})
	}
}

// TestWrongCredentials: a user that does not exist and a wrong password look alike,
// and neither leaves anything behind.
func TestWrongCredentials(t *testing.T) {
	w := newWorld(t, wish{user: true})
	phone := w.party(strangerAddress, false)
	var answers []string
	for _, user := range []string{"alice", "mallory"} {
		d := newDialog(phone, "+12125550123")
		challenge := challenged(phone, d)
		phone.request(d, "INVITE", credentialsFor(t, challenge, "MD5", user, "wrong-horse", d.target, 1), offer)
		m := phone.want("403 INVITE")
		phone.request(d, "ACK", "", "")
		answers = append(answers, fmt.Sprint(m.Status, m.Phrase, m.Get("x-tollgate-reason"), m.Get("x-tollgate-decision"),
			len(m.Fields)))
	}
	if answers[0] != answers[1] {
		t.Errorf("a known user gets %s, an unknown one %s", answers[0], answers[1])
	}
	if n := w.srv.Stats().AuthFailures; n != 2 {
		t.Errorf("%d failures counted", n)
	}
	w.settled()
}

func TestCredentialsWorkOnce(t *testing.T) {
	w := newWorld(t, wish{user: true})
	phone, thief := w.party(strangerAddress, false), w.party("127.0.0.67", false)
	d := newDialog(phone, "+12125550123")
	credentials := credentialsFor(t, challenged(phone, d), "MD5", "alice", "correct-horse", d.target, 1)
	phone.request(d, "INVITE", credentials, offer)
	invite := w.carriers[0].want("INVITE")
	w.carriers[0].reply(invite, 486, "far", "", "")
	phone.want("486 INVITE")
	w.record()

	stolen := newDialog(thief, "+12125550123")
	thief.request(stolen, "INVITE", credentials, offer)
	contains(t, thief.want("407 INVITE"), "proxy-authenticate", "stale=true")
	again := newDialog(phone, "+12125550123")
	phone.request(again, "INVITE", credentials, offer)
	contains(t, phone.want("407 INVITE"), "proxy-authenticate", "stale=true")
	phone.request(again, "ACK", "", "")
	other := newDialog(phone, "+19005550123") // what was signed is what may be dialled
	phone.request(other, "INVITE", strings.Replace(credentials, "nc=00000001", "nc=00000002", 1), offer)
	phone.want("403 INVITE")
	if n := w.srv.Stats().AuthReplays; n != 1 {
		t.Errorf("%d replays counted", n)
	}
}

func TestTheCarrierChallenges(t *testing.T) {
	user, password := "tollgate", "s3cret"
	w := newWorld(t, wish{gateway: func(g *routing.Gateway) { g.UserName, g.Password = &user, &password }})
	carrier := w.carriers[0]
	const challenge = `Digest realm="carrier", nonce="n1", algorithm=MD5, qop="auth"`
	checked := func(m *message, name string) {
		t.Helper()
		c, err := digest.ParseCredentials(m.Get(name))
		if err != nil {
			t.Fatalf("%s: %s %q: %v", label(m), name, m.Get(name), err)
		}
		parsed, _ := digest.ParseChallenge(challenge)
		want, _ := digest.Digest(parsed, digest.Options{
			Method: m.Method, URI: m.URI, Username: user, Password: password, Count: c.Nc, Cnonce: c.Cnonce,
		})
		if c.Response != want.Response || c.URI != m.URI {
			t.Errorf("%s: response %s for %s, want %s for %s", label(m), c.Response, c.URI, want.Response, m.URI)
		}
	}
	pbx := w.pbx.invite("+12125550123", "")
	first := carrier.want("INVITE")
	carrier.reply(first, 401, "far", "WWW-Authenticate: "+challenge+"\r\n", "")
	carrier.want("ACK")
	invite := carrier.want("INVITE")
	checked(invite, "authorization")
	if invite.CSeq != first.CSeq+1 || invite.CallID != first.CallID {
		t.Errorf("INVITE %s %d after %s %d", invite.CallID, invite.CSeq, first.CallID, first.CSeq)
	}
	carrier.reply(invite, 200, "far", "", answerSDP)
	carrier.want("ACK")
	pbx.join(w.pbx.want("200 INVITE"))
	w.pbx.request(pbx, "ACK", "", "")
	w.pbx.request(pbx, "INVITE", "", offer)
	re := carrier.want("INVITE")
	carrier.reply(re, 407, "", "Proxy-Authenticate: "+challenge+"\r\n", "")
	carrier.want("ACK")
	re = carrier.want("INVITE")
	checked(re, "proxy-authorization")
	carrier.reply(re, 200, "", "", answerSDP)
	carrier.want("ACK")
	w.pbx.want("200 INVITE")
	w.pbx.request(pbx, "ACK", "", "")
	w.pbx.request(pbx, "BYE", "", "")
	carrier.reply(carrier.want("BYE"), 407, "", "Proxy-Authenticate: "+challenge+"\r\n", "")
	bye := carrier.want("BYE")
	checked(bye, "proxy-authorization")
	carrier.reply(bye, 200, "", "", "")
	w.record()
	w.settled()
}
