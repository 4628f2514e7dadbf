package sipgw

import (
	"cmp"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/routing"
	"github.com/tollgate/tollgate/internal/shaken"
	"github.com/tollgate/tollgate/internal/shaken/shakentest"
)

func signerOf(files shaken.Files) *shaken.Signer {
	return shaken.New(shaken.Config{Files: files, X5U: shakentest.X5U, Rand: rand.Reader,
		Log: slog.New(slog.DiscardHandler)})
}

// signing is a world whose gateways want calls signed.
func signing(t *testing.T, w wish) (*world, *shaken.Signer) {
	t.Helper()
	signer := signerOf(shakentest.New(t, shakentest.Wish{}))
	gateway, config := w.gateway, w.config
	w.gateway = func(g *routing.Gateway) {
		g.Identity = routing.IdentitySign
		if gateway != nil {
			gateway(g)
		}
	}
	w.config = func(c *Config) {
		c.Shaken = signer
		if config != nil {
			config(c)
		}
	}
	return newWorld(t, w), signer
}

// said is the payload of our own passport in an INVITE; "" for none. It fails for two.
func said(t *testing.T, invite *message) string {
	t.Helper()
	payload := ""
	for _, value := range lines(invite, "identity") {
		if !strings.Contains(value, ";info=<"+shakentest.X5U+">;alg=ES256;ppt=shaken") {
			continue
		}
		if payload != "" {
			t.Errorf("two signatures of ours: %q", lines(invite, "identity"))
		}
		text, err := base64.RawURLEncoding.DecodeString(strings.Split(value, ".")[1])
		if err != nil {
			t.Fatal(err)
		}
		payload = string(text)
	}
	return payload
}

func replaced(p *connection.IPConnection) {
	p.Outbound.ANIOverride, p.Outbound.ANIOverrideType = "+12125550199", "always"
}

func inUS(p *connection.IPConnection) { p.Outbound.Localization = new("US") }

// TestWhichCallsAreSigned goes through what a gateway, a connection and a caller may want.
func TestWhichCallsAreSigned(t *testing.T) {
	own := func(p *connection.IPConnection) { confirm(p, "+12125550100") }
	passes := func(g *routing.Gateway) { g.Identity = routing.IdentityPass }
	others := func(g *routing.Gateway) {
		g.Identity = routing.IdentityPass
		g.IdentityDestinations = []routing.IdentityByPrefix{
			{Prefix: "+1212", Identity: routing.IdentityStrip}, {Prefix: "+1", Identity: routing.IdentitySign}}
	}
	for name, c := range map[string]struct {
		callee, extra string
		pbx           func(*connection.IPConnection)
		gateway       func(*routing.Gateway)
		unsigned      bool
		attest        string // default B
		from, to      string // default the usual
	}{
		"a known customer":        {},
		"a confirmed number":      {pbx: own, attest: "A"},
		"a number without a plus": {callee: "12125550123"},
		"a national number":       {callee: "2125550123", pbx: inUS},
		"a replaced number":       {from: "12125550199", pbx: replaced},
		"a replaced number that is confirmed": {attest: "A", from: "12125550199", pbx: func(p *connection.IPConnection) {
			confirm(p, "+12125550199")
			replaced(p)
		}},
		"a customer who brings calls of others": {attest: "C", pbx: func(p *connection.IPConnection) {
			own(p)
			p.MaxAttestation = "C"
		}},
		"a number that the caller asserts itself": {extra: "P-Asserted-Identity: <sip:+12125550100@pbx.test>\r\n"},
		"the gateway's own form": {gateway: func(g *routing.Gateway) {
			g.Prefix, g.NumberFormat, g.CallerFormat = "99#", routing.FormatE164, routing.FormatE164
		}},
		"a private caller": {extra: "Privacy: id\r\n", unsigned: true},
		"a private caller whose number the carrier is shown": {extra: "Privacy: id\r\n", pbx: own, attest: "A"},
		"a gateway that passes":                              {gateway: passes, unsigned: true},
		"a destination that is stripped":                     {gateway: others, unsigned: true},
		"a destination that is signed":                       {gateway: others, callee: "+13125550123", to: "13125550123"},
		"an emergency":                                       {callee: "911", to: "911", pbx: inUS},
	} {
		t.Run(name, func(t *testing.T) {
			w, signer := signing(t, wish{pbx: c.pbx, gateway: c.gateway})
			attest := cmp.Or(c.attest, "B")
			w.pbx.invite(cmp.Or(c.callee, "+12125550123"), c.extra)
			invite := w.carriers[0].await("INVITE")
			if c.unsigned {
				same(t, invite, "identity")
				same(t, invite, "date")
			} else {
				checkSaid(t, invite, attest, cmp.Or(c.from, "12125550100"), cmp.Or(c.to, "12125550123"))
			}
			w.carriers[0].reply(invite, 486, "far", "", "")
			w.pbx.await("486 INVITE")
			if got := w.record().Attestation; got != record.ParseAttestation(attest) {
				t.Errorf("the record has attestation %q, want %q", got, attest)
			}
			if n := signer.Stats().Signed[attest]; (n == 1) == c.unsigned {
				t.Errorf("counted %+v", signer.Stats())
			}
		})
	}
}

func checkSaid(t *testing.T, invite *message, attest, from, to string) {
	t.Helper()
	at, err := time.Parse("Mon, 02 Jan 2006 15:04:05 GMT", invite.Get("date"))
	if err != nil {
		t.Fatalf("Date: %v", err)
	}
	want := fmt.Sprintf(`{"attest":"%s","dest":{"tn":["%s"]},"iat":%d,"orig":{"tn":"%s"},"origid":"%s"}`,
		attest, to, at.Unix(), from, admission.Origin(worldPBX))
	if got := said(t, invite); got != want {
		t.Errorf("signed %s, want %s", got, want)
	}
	if age := time.Since(at); age < -2*time.Second || age > shaken.Freshness {
		t.Errorf("signed %v ago", age)
	}
}

// theirs is a passport of the caller's.
func theirs(kind, from, to string, at time.Time) string {
	code := base64.RawURLEncoding.EncodeToString
	head := `{"alg":"ES256","ppt":"` + kind + `","typ":"passport","x5u":"https://c.example/a.pem"}`
	payload := fmt.Sprintf(`{"attest":"C","dest":{"tn":["%s"]},"iat":%d,"orig":{"tn":"%s"},"origid":"x"}`, to, at.Unix(), from)
	return code([]byte(head)) + "." + code([]byte(payload)) + ".c2ln;info=<https://c.example/a.pem>;alg=ES256;ppt=" + kind
}

// TestPassportsOfTheCallerBesideOurs: a call that is signed is not signed again.
func TestPassportsOfTheCallerBesideOurs(t *testing.T) {
	now := time.Now()
	good, rcd := theirs("shaken", "12125550100", "12125550123", now), theirs("rcd", "12125550100", "12125550123", now)
	other, div := theirs("shaken", "12125550100", "12125550999", now), theirs("div", "12125550100", "12125550123", now)
	stale := theirs("shaken", "12125550100", "12125550123", now.Add(-5*time.Minute))
	for name, c := range map[string]struct {
		sent []string
		kept []string
		ours bool
		pbx  func(*connection.IPConnection)
		mode string // default sign
		head string // how the field is called; default Identity
	}{
		"signed":               {sent: []string{good}, kept: []string{good}},
		"signed, compact name": {sent: []string{good}, kept: []string{good}, head: "y"},
		"signed, with a name":  {sent: []string{good, rcd}, kept: []string{good, rcd}},
		"a name alone":         {sent: []string{rcd}, kept: []string{rcd}, ours: true},
		"of another call":      {sent: []string{other}, ours: true},
		"stale":                {sent: []string{stale}, ours: true},
		"diverted":             {sent: []string{other, div}, kept: []string{other, div}},
		"unreadable":           {sent: []string{"abc", ";;;", "a.b.c;info=<https://a>"}, ours: true},
		"the caller replaced":  {sent: []string{good, rcd}, ours: true, pbx: replaced},
		"passed as it is":      {sent: []string{stale, other}, kept: []string{stale, other}, mode: "pass"},
		"passed, compact name": {sent: []string{good}, kept: []string{good}, mode: "pass", head: "y"},
		"passed, replaced":     {sent: []string{good}, mode: "pass", pbx: replaced},
		"stripped":             {sent: []string{good, rcd}, mode: "strip"},
	} {
		t.Run(name, func(t *testing.T) {
			w, _ := signing(t, wish{pbx: c.pbx, gateway: func(g *routing.Gateway) { g.Identity = cmp.Or(c.mode, "sign") }})
			const theirDate = "Tue, 01 Dec 2026 03:00:00 GMT"
			extra := "Date: " + theirDate + "\r\n"
			for _, value := range c.sent {
				extra += cmp.Or(c.head, "Identity") + ": " + value + "\r\n"
			}
			w.pbx.invite("+12125550123", extra)
			invite := w.carriers[0].await("INVITE")
			if got := said(t, invite); (got != "") != c.ours {
				t.Errorf("we signed %q, want a signature: %v", got, c.ours)
			}
			var left []string
			for _, value := range lines(invite, "identity") {
				if !strings.Contains(value, shakentest.X5U) {
					left = append(left, value)
				}
			}
			if strings.Join(left, "\n") != strings.Join(c.kept, "\n") {
				t.Errorf("kept %q, want %q", left, c.kept)
			}
			switch dates := lines(invite, "date"); {
			case c.ours && (len(dates) != 1 || dates[0] == theirDate):
				t.Errorf("Date %q, want ours", dates)
			case !c.ours && len(c.kept) > 0 && (len(dates) != 1 || dates[0] != theirDate):
				t.Errorf("Date %q, want that of the caller", dates)
			case !c.ours && len(c.kept) == 0 && len(dates) > 0:
				t.Errorf("Date %q, want none", dates)
			}
			w.carriers[0].reply(invite, 486, "far", "", "")
			w.pbx.await("486 INVITE")
			w.record()
		})
	}
}

// TestASignatureIsMadeOnceForEachAttempt: a challenge brings the same, another gateway one
// of its own.
func TestASignatureIsMadeOnceForEachAttempt(t *testing.T) {
	w, signer := signing(t, wish{carriers: 2, gateway: func(g *routing.Gateway) {
		g.UserName, g.Password = new("us"), new("secret")
		g.Priority = int32(g.ID - worldGateway)
	}})
	w.pbx.invite("+12125550123", "")
	first := w.carriers[0].await("INVITE")
	w.carriers[0].reply(first, 407, "a", "Proxy-Authenticate: Digest realm=\"c\",nonce=\"n\"\r\n", "")
	second := w.carriers[0].await("INVITE")
	if one, two := first.Get("identity"), second.Get("identity"); one == "" || one != two {
		t.Errorf("signed %q, then %q", one, two)
	}
	if len(lines(second, "identity")) != 1 || len(lines(second, "date")) != 1 {
		t.Errorf("%q %q", lines(second, "identity"), lines(second, "date"))
	}
	w.carriers[0].reply(second, 503, "b", "", "")
	third := w.carriers[1].await("INVITE")
	if other := third.Get("identity"); other == "" || other == first.Get("identity") {
		t.Errorf("the second gateway got %q", other)
	}
	w.carriers[1].reply(third, 486, "c", "", "")
	w.pbx.await("486 INVITE")
	w.record()
	if n := signer.Stats().Signed["B"]; n != 2 {
		t.Errorf("%d signatures for two attempts", n)
	}
}

// TestACallThatCannotBeSignedGoesOut, an emergency call too.
func TestACallThatCannotBeSignedGoesOut(t *testing.T) {
	for name, signer := range map[string]*shaken.Signer{
		"ended":          signerOf(shakentest.New(t, shakentest.Wish{To: time.Now().Add(-time.Hour)})),
		"no certificate": signerOf(nil),
		"no signer":      nil,
	} {
		for tried, callee := range []string{"+12125550123", "911"} {
			t.Run(name+" "+callee, func(t *testing.T) {
				w, _ := signing(t, wish{config: func(c *Config) { c.Shaken = signer }, pbx: inUS})
				w.pbx.invite(callee, "")
				invite := w.carriers[0].await("INVITE")
				same(t, invite, "identity")
				same(t, invite, "date")
				w.carriers[0].reply(invite, 486, "far", "", "")
				w.pbx.await("486 INVITE")
				w.record()
				failed := uint64(0)
				for _, n := range signer.Stats().Failed {
					failed += n
				}
				if signer != nil && failed != uint64(tried)+1 {
					t.Errorf("counted %+v", signer.Stats())
				}
			})
		}
	}
}
