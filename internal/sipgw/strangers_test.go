package sipgw

import (
	"bytes"
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/icholy/digest"

	"github.com/tollgate/tollgate/internal/call"
	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/sip"
	"github.com/tollgate/tollgate/internal/sip/transaction"
	"github.com/tollgate/tollgate/internal/sip/transport"
)

// outside is what a driven gateway sends to one address.
type outside struct {
	d    *driven
	at   netip.AddrPort
	got  [][]byte
	size int
}

// outsiders keeps what goes to addresses other than those of the world's own parties.
func (d *driven) outsider(address string) *outside {
	o := &outside{d: d, at: netip.MustParseAddrPort(address)}
	before := d.watch
	d.watch = func(to netip.AddrPort, data []byte) {
		if before != nil {
			before(to, data)
		}
		if to == o.at {
			o.got = append(o.got, bytes.Clone(data))
			o.size += len(data)
		}
	}
	return o
}

// send sends a request from the outsider and returns what was answered at once.
func (o *outside) send(text string) [][]byte {
	before := len(o.got)
	o.d.deliver([]byte(text), o.at)
	return o.got[before:]
}

// statuses are the status codes of answers.
func statuses(answers [][]byte) (list []string) {
	for _, a := range answers {
		list = append(list, strings.Fields(string(a))[1])
	}
	return list
}

// invite is an INVITE as a telephone sends it, with more header lines.
func (o *outside) invite(n int, uri, more string) string {
	return fmt.Sprintf("INVITE %s SIP/2.0\r\nVia: SIP/2.0/UDP %s;rport;branch=z9hG4bK-%d\r\nMax-Forwards: 70\r\n"+
		"From: <sip:+13125550100@%s>;tag=t%d\r\nTo: <%s>\r\nCall-ID: call-%d@%s\r\nCSeq: 1 INVITE\r\n"+
		"Contact: <sip:me@%s>\r\n%s"+
		"Content-Type: application/sdp\r\nContent-Length: %d\r\n\r\n%s", uri, o.at, n, o.at, n, uri, n, o.at, o.at, more,
		len(offer), offer)
}

// small is the smallest INVITE that there can be.
const small = "INVITE sip:1@h SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@b>;tag=1\r\n" +
	"To: <sip:c@d>\r\n" +
	"Call-ID: 1\r\nCSeq: 1 INVITE\r\nContact: <sip:a@b>\r\n\r\n"

const callee = "sip:+12125550123@127.0.0.4:5060"

// TestStrangersAreAnsweredOnce: whatever a stranger sends, one answer goes back and no
// more, at most three times as large, and nothing is kept of it.
func TestStrangersAreAnsweredOnce(t *testing.T) {
	d := newDrivenFor(t, false, wish{user: true})
	defer d.srv.transport.Stop()
	requests := map[string]string{
		"small":     small,
		"plain":     "", // below
		"no tag":    strings.Replace(small, ";tag=1", "", 1),
		"malformed": "INVITE sip:1@h SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nCSeq: 1 INVITE\r\n\r\n",
		"scheme":    strings.Replace(small, "sip:1@h", "tel:1", 1),
		"version":   strings.Replace(small, " SIP/2.0\r\nVia", " SIP/3.0\r\nVia", 1),
		"require":   strings.Replace(small, "CSeq", "Require: a,b,c,d,e,f,g,h\r\nCSeq", 1),
		"forwards":  strings.Replace(small, "CSeq", "Max-Forwards: 0\r\nCSeq", 1),
		"cancel":    strings.ReplaceAll(small, "INVITE", "CANCEL"),
		"bye":       strings.ReplaceAll(small, "INVITE", "BYE"),
		"bye in a dialog": strings.Replace(strings.ReplaceAll(small, "INVITE", "BYE"), "To: <sip:c@d>",
			"To: <sip:c@d>;tag=9", 1),
		"invite in a dialog": strings.Replace(small, "To: <sip:c@d>", "To: <sip:c@d>;tag=9", 1),
		"ack":                strings.ReplaceAll(small, "INVITE", "ACK"),
		"options":            strings.ReplaceAll(small, "INVITE", "OPTIONS"),
		"register":           strings.ReplaceAll(small, "INVITE", "REGISTER"),
	}
	i := 0
	for name, text := range requests {
		i++
		o := d.outsider(fmt.Sprintf("203.0.113.%d:5060", i))
		if name == "plain" {
			text = o.invite(1, callee, "")
		}
		first := o.send(text)
		if len(first) > 1 || o.size > transport.MostAmplified*len(text) {
			t.Errorf("%s of %d bytes: %d answers of %d bytes", name, len(text), len(first), o.size)
		}
		if name == "plain" && 4*o.size > 5*len(text) {
			t.Errorf("a telephone's INVITE of %d bytes is answered with %d", len(text), o.size)
		}
		if silent := name == "ack"; silent != (len(first) == 0) {
			t.Errorf("%s: %d answers", name, len(first))
		}
		d.pass(40 * time.Second)
		if len(o.got) != len(first) {
			t.Errorf("%s: %d answers to one request: %q", name, len(o.got), statuses(o.got))
		}
		if again := o.send(text); len(first) == 1 &&
			(len(again) != 1 || string(sip.HeaderOf(again[0], "to", 't')) != string(sip.HeaderOf(first[0], "to", 't'))) {
			t.Errorf("%s: a repetition is answered with %q, not with %q", name, again, first)
		}
	}
	if sh := d.srv.shards[0]; sh.transactions.Servers()+len(sh.calls)+len(sh.legs)+sh.timers.Len() != 0 {
		t.Errorf("%d transactions, %d calls, %d legs and %d timers are left", sh.transactions.Servers(), len(sh.calls),
			len(sh.legs), sh.timers.Len())
	}
}

// TestForgedInvitesCostLittle bounds what ten thousand INVITEs from as many addresses
// leave in memory.
func TestForgedInvitesCostLittle(t *testing.T) {
	d := newDrivenFor(t, false, wish{user: true, config: func(c *Config) { c.Limits.StrangerAnswers = 1e6 }})
	defer d.srv.transport.Stop()
	o := &outside{d: d}
	flood := func() {
		for i := range 10_000 {
			o.at = netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 51, byte(i >> 8), byte(i)}), 5060)
			d.deliver([]byte(o.invite(i, callee, "")), o.at)
		}
	}
	flood() // the buckets are made
	before := heap()
	flood()
	if more := int64(heap()) - int64(before); more > 1<<20 {
		t.Errorf("10,000 INVITEs leave %d bytes", more)
	}
	if n := d.srv.Stats().Challenges; n != 20_000 {
		t.Errorf("%d challenges", n)
	}
}

// TestStrangersShareABudget: all strangers together get so many answers and bytes a
// second, and a source that is known does not wait behind them.
func TestStrangersShareABudget(t *testing.T) {
	d := newDrivenFor(t, false, wish{user: true,
		config: func(c *Config) { c.Limits.StrangerAnswers, c.Limits.StrangerBytes = 10, 4000 }})
	defer d.srv.transport.Stop()
	answers := 0
	size := 0
	d.watch = func(to netip.AddrPort, data []byte) {
		if to.Addr().As4()[0] == 198 {
			answers++
			size += len(data)
		}
	}
	o := &outside{d: d}
	for i := range 500 {
		o.at = netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 51, byte(i >> 8), byte(i)}), 5060)
		d.deliver([]byte(o.invite(i, callee, "")), o.at)
	}
	if answers == 0 || answers > 10 || size > 4000 {
		t.Errorf("500 strangers got %d answers of %d bytes within a moment", answers, size)
	}
	d.srv.filter.Authenticated(netip.MustParseAddr("203.0.113.7"), worldUser)
	known := d.outsider("203.0.113.7:5060")
	if got := statuses(known.send(known.invite(1, callee, ""))); !slices.Equal(got, []string{"407"}) {
		t.Errorf("a source that is known got %q", got)
	}
	if n := d.srv.Stats().Unanswered; n == 0 {
		t.Error("what is not answered is not counted")
	}
	d.hangUp(d.begin())
}

// TestRefusalsOfAFloodAreBounded: the refusals of a source above its rate are too.
func TestRefusalsOfAFloodAreBounded(t *testing.T) {
	d := newDrivenFor(t, false, wish{config: func(c *Config) { c.Limits.SourcePerSecond = 10 }})
	defer d.srv.transport.Stop()
	pbx := d.outsider(drivenPBX.String())
	for i := range 5000 {
		pbx.send(pbx.invite(i, "sip:bob@127.0.0.4", ""))
	}
	if n := len(pbx.got); n < turnedAwayPerSecond || n > turnedAwayPerSecond+40 {
		t.Errorf("5,000 calls at once get %d answers", n)
	}
}

// TestUnidentifiedIsAnsweredOnce: a call from a known address with a wrong tech prefix may
// be forged. It has its record, once, and one answer for each time that it comes.
func TestUnidentifiedIsAnsweredOnce(t *testing.T) {
	d := newDrivenFor(t, false, wish{pbx: func(c *connection.IPConnection) { c.Outbound.TechPrefix = "0123" }})
	defer d.srv.transport.Stop()
	pbx := d.outsider(drivenPBX.String())
	text := pbx.invite(1, callee, "")
	first := pbx.send(text)
	if got := statuses(first); !slices.Equal(got, []string{"403"}) || pbx.size > 2*len(text) {
		t.Fatalf("answered %q, %d bytes to %d", got, pbx.size, len(text))
	}
	again := pbx.send(text)
	if len(again) != 1 || !bytes.Equal(again[0], first[0]) {
		t.Errorf("a repetition gets %q, want %q", again, first[0])
	}
	d.pass(40 * time.Second)
	if len(pbx.got) != 2 {
		t.Errorf("%d answers to two requests: %q", len(pbx.got), statuses(pbx.got))
	}
	if n := d.srv.Stats().Attempts; n != 1 {
		t.Errorf("%d attempts on record", n)
	}
	for i := range 20_000 {
		pbx.send(pbx.invite(i+2, callee, ""))
		pbx.got = nil
		if i%100 == 0 {
			d.now = d.now.Add(100 * time.Millisecond)
		}
	}
	if n := d.srv.Stats().Attempts; n > 1+unidentifiedBurst+20*unidentifiedPerSecond {
		t.Errorf("20,000 calls in 20 s leave %d attempts", n)
	}
	if sh := d.srv.shards[0]; sh.transactions.Servers() > mostUnidentified || len(sh.calls) != 0 {
		t.Errorf("%d transactions and %d calls are left", sh.transactions.Servers(), len(sh.calls))
	}
}

// phone is a digest user at an address of a driven gateway.
type phone struct {
	*outside
	n              int
	user, password string
}

func (d *driven) phone(address, user, password string) *phone {
	return &phone{outside: d.outsider(address), user: user, password: password}
}

// challenged gets a challenge, of the algorithm wanted.
func (p *phone) challenged(algorithm string) *digest.Challenge {
	p.d.tb.Helper()
	p.n++
	for _, a := range p.send(p.invite(p.n, callee, "")) {
		m := transaction.Read(a, transport.Peer{})
		for i := range m.Fields {
			if m.Fields[i].Name == "proxy-authenticate" && strings.Contains(m.Fields[i].Value, "algorithm="+algorithm+",") {
				c, err := digest.ParseChallenge(m.Fields[i].Value)
				if err != nil {
					p.d.tb.Fatal(err)
				}
				return c
			}
		}
	}
	return nil
}

// answer sends an INVITE with an answer to a challenge, changed as the test wants.
func (p *phone) answer(c *digest.Challenge, change func(string) string) []string {
	p.d.tb.Helper()
	p.n++
	if c == nil {
		return nil
	}
	credentials, err := digest.Digest(c,
		digest.Options{Method: "INVITE", URI: callee, Username: p.user, Password: p.password, Count: 1, Cnonce: "0a4f"})
	if err != nil {
		p.d.tb.Fatal(err)
	}
	text := credentials.String()
	if change != nil {
		text = change(text)
	}
	return statuses(p.send(p.invite(p.n, callee, "Proxy-Authorization: "+text+"\r\n")))
}

// login makes a call's beginning: a challenge and its answer. What is returned are the
// answers to the second INVITE: 100 of a call that goes on.
func (p *phone) login() []string { return p.answer(p.challenged("MD5"), nil) }

func userNamed(n int, name string) policy.Change {
	c := connection.NewCredentialConnection()
	c.ID, c.AccountID, c.UserName, c.Password = worldUser+40+id.ID(n), worldAccount, name, "correct-horse"
	c.Outbound.OutboundVoiceProfileID = worldProfile
	return policy.PutCredential(&c)
}

var taken = []string{"100"}

// TestGuessingFromAKnownSource: one good login buys no guesses at other users. A user who
// has succeeded from this source before is always accepted, and so is another user of the
// office whose neighbour's telephone has an old password.
func TestGuessingFromAKnownSource(t *testing.T) {
	d := newDrivenFor(t, false, wish{user: true, change: []policy.Change{userNamed(1, "bobby"), userNamed(2, "carol")}})
	defer d.srv.transport.Stop()
	const office = "203.0.113.7:5060"
	alice := d.phone(office, "alice", "correct-horse")
	if got := alice.login(); !slices.Equal(got, taken) {
		t.Fatalf("alice gets %q", got)
	}
	thief := d.phone(office, "bobby", "wrong")
	thief.n = 10_000
	answered := 0
	for range 3000 {
		answered += len(thief.login())
	}
	if answered > pairGuesses {
		t.Errorf("%d of 3,000 guesses are answered", answered)
	}
	alice.n = 50_000
	if got := alice.login(); !slices.Equal(got, taken) {
		t.Errorf("alice gets %q while bobby is being guessed at", got)
	}
	carol := d.phone(office, "carol", "correct-horse")
	carol.n = 60_000
	if got := carol.login(); !slices.Equal(got, taken) {
		t.Errorf("carol gets %q, the first time that she is here", got)
	}
	for i := range 100 { // at many users
		thief.user, answered = fmt.Sprint("user", i), 0
		for range 30 {
			answered += len(thief.login())
		}
	}
	if held := d.srv.Stats().GuessesHeld; held < 5900 || d.srv.Stats().Bans != 0 {
		t.Errorf("%d guesses are held, %d sources banned", held, d.srv.Stats().Bans)
	}
	if failures := d.srv.Stats().AuthFailures; failures > sourceGuesses+1 {
		t.Errorf("%d guesses were looked at", failures)
	}
	if got := alice.login(); !slices.Equal(got, taken) {
		t.Errorf("alice gets %q after all of it", got)
	}
	// After a while bobby gets in from there too.
	d.pass(20 * time.Minute)
	bobby := d.phone(office, "bobby", "correct-horse")
	bobby.n = 90_000
	if got := bobby.login(); !slices.Equal(got, taken) {
		t.Errorf("bobby gets %q after a while", got)
	}
}

// TestExpectedIsNotVouchedFor: a source that is known because a carrier or a lost call
// named it may guess no more than any other; one that a gateway names may.
func TestExpectedIsNotVouchedFor(t *testing.T) {
	d := newDrivenFor(t, false, wish{user: true})
	defer d.srv.transport.Stop()
	for i, c := range []struct {
		know func(netip.Addr)
		most int
	}{{d.srv.filter.Expect, pairGuesses}, {d.srv.filter.Learn, 30}} {
		thief := d.phone(fmt.Sprintf("203.0.113.%d:5060", i+1), "alice", "wrong")
		c.know(thief.at.Addr())
		answered := 0
		for range 30 {
			answered += len(thief.login())
		}
		if answered != c.most {
			t.Errorf("%d of 30 guesses are answered, want %d", answered, c.most)
		}
	}
}

// TestGuessingFromEverywhere: one user is guessed at from a thousand networks, each just
// below a ban. The user is not locked out where it usually is.
func TestGuessingFromEverywhere(t *testing.T) {
	d := newDrivenFor(t, false, wish{user: true, change: []policy.Change{userNamed(1, "bobby")}})
	defer d.srv.transport.Stop()
	home := d.phone("203.0.113.7:5060", "bobby", "correct-horse")
	if got := home.login(); !slices.Equal(got, taken) {
		t.Fatalf("bobby gets %q", got)
	}
	watch := d.watch
	for i := range 200 {
		d.watch = watch
		thief := d.phone(fmt.Sprintf("[2001:db8:%x::%x]:5060", i, i+1), "bobby", "wrong")
		thief.login()
		d.now = d.now.Add(10 * time.Millisecond)
	}
	d.watch = watch
	stranger := d.phone("198.51.100.1:5060", "bobby", "correct-horse")
	if got := stranger.login(); !slices.Equal(got, []string{"403"}) {
		t.Errorf("while it is guessed at, a user who comes from elsewhere gets %q", got)
	}
	if got := home.login(); !slices.Equal(got, taken) {
		t.Errorf("at home bobby gets %q", got)
	}
}

// TestGuessersOfANetworkAreOne: the /64 of an IPv6 source counts as one, and is banned
// as one.
func TestGuessersOfANetworkAreOne(t *testing.T) {
	d := newDrivenFor(t, false, wish{user: true, config: func(c *Config) { c.Limits.UnknownBurst = 1000 }})
	defer d.srv.transport.Stop()
	for i := range 12 {
		thief := d.phone(fmt.Sprintf("[2001:db8:7:8::%x]:5060", i+1), "alice", fmt.Sprint("wrong", i))
		thief.n = 10 * i
		if got := thief.login(); (i < 10) != (len(got) == 1) {
			t.Errorf("guess %d gets %q", i, got)
		}
	}
	if !d.srv.filter.Banned(netip.MustParseAddr("2001:db8:7:8:9::1")) ||
		d.srv.filter.Banned(netip.MustParseAddr("2001:db8:7:9::1")) {
		t.Error("not the network is banned, or more than it")
	}
}

// TestNoGuess: what is no wrong password is no guess.
func TestNoGuess(t *testing.T) {
	d := newDrivenFor(t, false, wish{user: true,
		config: func(c *Config) { c.Limits.UnknownBurst, c.Limits.BanAfter = 1000, 1 }})
	defer d.srv.transport.Stop()
	replace := func(pairs ...string) func(string) string {
		return func(text string) string { return strings.NewReplacer(pairs...).Replace(text) }
	}
	for i, c := range []struct {
		name   string
		change func(string) string
	}{
		{"another realm", replace(`realm="tollgate"`, `realm="elsewhere"`)},
		{"an algorithm that was not offered", replace("algorithm=MD5", "algorithm=SHA-512-256")},
		{"a session's key", replace("algorithm=MD5", "algorithm=MD5-sess")},
		{"another protection", replace("qop=auth", "qop=auth-int")},
		{"no count", replace(", nc=00000001", "")},
		{"a count that is none", replace("nc=00000001", "nc=zz")},
		{"no response", replace("response=", "answer=")},
		{"no name", replace(`username="alice"`, `username=""`)},
		{"a nonce of its own", replace(`nonce="`, `nonce="A`)},
	} {
		p := d.phone(fmt.Sprintf("203.0.113.%d:5060", i+1), "alice", "correct-horse")
		if got := p.answer(p.challenged("MD5"), c.change); !slices.Equal(got, []string{"407"}) {
			t.Errorf("%s: %q", c.name, got)
		}
	}
	// A right password for another number than the one that is dialled.
	p := d.phone("203.0.113.50:5060", "alice", "correct-horse")
	challenge := p.challenged("MD5")
	credentials, _ := digest.Digest(challenge,
		digest.Options{Method: "INVITE", URI: "sip:+19005550123@h", Username: "alice", Password: "correct-horse", Count: 1})
	if got := statuses(p.send(p.invite(9, callee, "Authorization: "+credentials.String()+"\r\n"))); !slices.Equal(got,
		[]string{"403"}) {
		t.Errorf("another number: %q", got)
	}
	if s := d.srv.Stats(); s.Bans != 0 || s.AuthFailures != 0 {
		t.Errorf("%d bans, %d failures", s.Bans, s.AuthFailures)
	}
	// A wrong one, repeated by the network, is one guess.
	d.srv.config.Limits.BanAfter = 2
	wrong := d.phone("203.0.113.60:5060", "alice", "wrong")
	challenge = wrong.challenged("MD5")
	wrong.answer(challenge, nil)
	wrong.answer(challenge, nil)
	if s := d.srv.Stats(); s.Bans != 0 {
		t.Errorf("%d bans for one guess that came twice", s.Bans)
	}
	// An attacker who sees a nonce cannot use it up with a wrong digest of a high count.
	poor := d.phone("203.0.113.61:5060", "alice", "correct-horse")
	challenge = poor.challenged("MD5")
	d.srv.config.Limits.BanAfter = 100
	poor.answer(challenge, replace("nc=00000001", "nc=0000ffff"))
	if got := poor.answer(challenge, nil); !slices.Equal(got, taken) {
		t.Errorf("after a wrong digest by the same nonce: %q", got)
	}
	d.srv.config.Limits.BanAfter = 2
	// One without qop counts too.
	wrong.answer(wrong.challenged("MD5"), withoutQOP(wrong, "MD5"))
	if s := d.srv.Stats(); s.Bans != 1 {
		t.Errorf("%d bans for two guesses", s.Bans)
	}
}

// withoutQOP rewrites credentials as RFC 2069 has them.
func withoutQOP(p *phone, algorithm string) func(string) string {
	return func(text string) string {
		c, err := digest.ParseCredentials(text)
		if err != nil {
			p.d.tb.Fatal(err)
		}
		challenge := &digest.Challenge{Realm: c.Realm, Nonce: c.Nonce, Algorithm: algorithm}
		old, err := digest.Digest(challenge,
			digest.Options{Method: "INVITE", URI: callee, Username: p.user, Password: p.password})
		if err != nil {
			p.d.tb.Fatal(err)
		}
		return old.String()
	}
}

// TestDigestOfOldTelephones: a digest without qop is taken, once for each nonce; and a
// count in capitals is as good as any.
func TestDigestOfOldTelephones(t *testing.T) {
	for i, algorithm := range []string{"MD5"} {
		d := newDrivenFor(t, false, wish{user: true})
		p := d.phone(fmt.Sprintf("203.0.113.%d:5060", i+1), "alice", "correct-horse")
		challenge := p.challenged(algorithm)
		if got := p.answer(challenge, withoutQOP(p, algorithm)); !slices.Equal(got, taken) {
			t.Errorf("%s: %q", algorithm, got)
		}
		if got := p.answer(challenge, withoutQOP(p, algorithm)); !slices.Equal(got, []string{"407"}) {
			t.Errorf("%s, the same nonce again: %q", algorithm, got)
		}
		if got := p.answer(challenge, nil); !slices.Equal(got, []string{"407"}) {
			t.Errorf("%s, the same nonce with qop: %q", algorithm, got)
		}
		capitals := func(text string) string {
			c, _ := digest.ParseCredentials(text)
			again, _ := digest.Digest(&digest.Challenge{Realm: c.Realm, Nonce: c.Nonce, Algorithm: algorithm,
				QOP: []string{"auth"}},
				digest.Options{Method: "INVITE", URI: callee, Username: p.user, Password: p.password, Count: 1, Cnonce: "x"})
			h := sumOf(algorithm)
			again.Response = h(h(p.user, c.Realm, p.password), c.Nonce, "0000000A", "x", "auth", h("INVITE", callee))
			return strings.Replace(again.String(), "nc=00000001", "nc=0000000A", 1)
		}
		if got := p.answer(p.challenged(algorithm), capitals); !slices.Equal(got, taken) {
			t.Errorf("%s, a count in capitals: %q", algorithm, got)
		}
		other := `Digest username="x", realm="proxy", nonce="y", uri="sip:z", response="0"`
		two := func(text string) string { return other + "\r\nProxy-Authorization: " + text }
		if got := p.answer(p.challenged(algorithm), two); !slices.Equal(got, taken) {
			t.Errorf("%s behind the credentials for another realm: %q", algorithm, got)
		}
		d.srv.transport.Stop()
	}
}

// sumOf is the hash of an algorithm over joined parts, in hex.
func sumOf(algorithm string) func(...string) string {
	return func(parts ...string) string {
		text := []byte(strings.Join(parts, ":"))
		if algorithm == "SHA-256" {
			sum := sha256.Sum256(text)
			return hex.EncodeToString(sum[:])
		}
		sum := md5.Sum(text)
		return hex.EncodeToString(sum[:])
	}
}

// TestShortNumbersAreNoEmergency: what is short passes no limit; what a connection at
// the source knows as an emergency number does.
func TestShortNumbersAreNoEmergency(t *testing.T) {
	d := newDrivenFor(t, false, wish{
		user:   true,
		pbx:    func(c *connection.IPConnection) { c.EmergencyNumbers = []string{"1999"} },
		config: func(c *Config) { c.Limits.SourcePerSecond, c.Limits.SourceCalls = 3, 5 },
	})
	defer d.srv.transport.Stop()
	pbx := d.outsider(drivenPBX.String())
	dial := func(o *outside, n int, number string) []string {
		return statuses(o.send(o.invite(n, "sip:"+number+"@127.0.0.4:5060", "")))
	}
	for i := range 4 {
		dial(pbx, i, "+12125550123")
	}
	for i, number := range []string{"1", "1234567", "0", "3125550", "91", "+911x", "9110000", "911;phone-context=+1"} {
		want := []string{"503"}
		if strings.HasPrefix(number, "911;") {
			want = taken
		}
		if got := dial(pbx, 100+i, number); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", number, got, want)
		}
	}
	for i, number := range []string{"911", "112", "1999", "%3911"} {
		if got := dial(pbx, 200+i, number); !slices.Equal(got, taken) {
			t.Errorf("%s: %q", number, got)
		}
	}
	for i := range 60 { // as many as a source has, all at once
		if got := dial(pbx, 300+i, "911"); i < leastUrgent/2 && !slices.Equal(got, taken) ||
			len(got) == 1 && got[0] != "100" {
			t.Fatalf("emergency call %d: %q", i, got)
		}
	}
	// A stranger's, and one of a source at which a user has authenticated.
	phone := d.outsider("203.0.113.7:5060")
	for i := range 10 {
		if got := dial(phone, i, "911"); i > 5 && len(got) > 0 && got[0] != "503" {
			t.Errorf("a stranger's call to 911, number %d: %q", i, got)
		}
	}
	d.pass(time.Minute)
	d.srv.filter.Authenticated(phone.at.Addr(), worldUser)
	for i := range 10 {
		dial(phone, 20+i, "+12125550123")
	}
	if got := dial(phone, 40, "911"); !slices.Equal(got, []string{"407"}) {
		t.Errorf("911 where a user is: %q", got)
	}
	if got := dial(phone, 41, "1234567"); !slices.Equal(got, []string{"503"}) {
		t.Errorf("a short number where a user is: %q", got)
	}
}

// TestAForgedContactGetsNothing: an INVITE that pretends to come from the PBX and points
// elsewhere makes Tollgate send nothing there, neither datagrams nor connections, and the
// PBX one BYE at the end.
func TestAForgedContactGetsNothing(t *testing.T) {
	for _, lines := range []string{
		"Contact: <sip:x@198.51.100.9:9>\r\n",
		"Contact: <sip:x@198.51.100.9:9;transport=tcp>\r\n",
		"Contact: <sips:x@198.51.100.9:9>\r\n",
		"Record-Route: <sip:198.51.100.9:9;lr>\r\nContact: <sip:x@127.0.0.1>\r\n",
		"Record-Route: <sip:198.51.100.9:9;transport=tcp>\r\nContact: <sip:x@127.0.0.1>\r\n",
		"Contact: <sip:x@127.0.0.1:22;transport=tcp>\r\n",
		"Contact: <sip:x@127.0.0.1:22>\r\n",
	} {
		d := newDriven(t, false)
		victim, pbx := d.outsider("198.51.100.9:9"), d.outsider(drivenPBX.String())
		port := d.outsider("127.0.0.1:22")
		text := pbx.invite(1, callee, "")
		text = strings.Replace(text, "Contact: <sip:me@127.0.0.1:5070>\r\n", lines+"Supported: 100rel\r\n", 1)
		pbx.send(text)
		d.respond("200 OK",
			"Contact: <sip:c@"+drivenCarrier.String()+">\r\nContent-Type: application/sdp\r\nContent-Length: "+
				fmt.Sprint(len(answerSDP))+"\r\n\r\n"+answerSDP)
		for range 80 {
			d.pass(time.Second)
			if bytes.HasPrefix(d.toCarrier, []byte("BYE ")) {
				d.respond("200 OK", "Content-Length: 0\r\n\r\n")
				d.toCarrier = nil
			}
		}
		byes := 0
		for _, m := range pbx.got {
			if bytes.HasPrefix(m, []byte("BYE ")) {
				byes++
			}
		}
		open := d.srv.transport.Connections()
		if len(victim.got)+len(port.got) != 0 || byes != 1 || open != ([transport.Classes]int{}) {
			t.Errorf("%q: %d messages to the victim, %d BYEs to the PBX, connections %v", lines, len(victim.got)+len(port.got),
				byes, open)
		}
		if n := len(d.srv.shards[0].calls); n != 0 {
			t.Errorf("%d calls are left", n)
		}
		d.srv.transport.Stop()
	}
}

// TestAContactElsewhereAfterTheAck: a PBX whose signalling leaves by another address than
// it is reached at, as behind two network cards, is reached there once it has acknowledged.
func TestAContactElsewhereAfterTheAck(t *testing.T) {
	d := newDriven(t, false)
	defer d.srv.transport.Stop()
	inside, pbx := d.outsider("127.0.0.9:5066"), d.outsider(drivenPBX.String())
	text := strings.Replace(pbx.invite(1, callee, ""), "Contact: <sip:me@127.0.0.1:5070>",
		"Contact: <sip:me@127.0.0.9:5066>", 1)
	pbx.send(text)
	d.respond("200 OK", "Contact: <sip:c@"+drivenCarrier.String()+">\r\nContent-Type: application/sdp\r\nContent-Length: "+
		fmt.Sprint(len(answerSDP))+"\r\n\r\n"+answerSDP)
	answer := pbx.got[len(pbx.got)-1]
	ack := strings.ReplaceAll(text[:strings.Index(text, "Content-Type")], "INVITE", "ACK")
	ack = strings.Replace(ack, "To: <"+callee+">", "To: "+string(sip.HeaderOf(answer, "to", 't')), 1)
	pbx.send(ack + "Content-Length: 0\r\n\r\n")
	for s := range d.srv.shards[0].calls {
		s.handle(call.Stopping{})
	}
	d.pass(40 * time.Second)
	if n := len(inside.got); n != mostUnheard || !bytes.HasPrefix(inside.got[0], []byte("BYE ")) {
		t.Errorf("%d messages reach the PBX where it wants them, none of which it answers", n)
	}
}

func TestGuessersAreBounded(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	var g strikes
	for i := range 100_000 {
		g.wrong(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), now, 3, time.Hour)
	}
	if n := len(g.young) + len(g.old); n > 2*maxGuessers {
		t.Errorf("%d guessers kept", n)
	}
}
