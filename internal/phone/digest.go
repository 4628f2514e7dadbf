package phone

import (
	"crypto/rand"
	"crypto/subtle"
	"strings"

	"github.com/emiago/sipgo/sip"
	"github.com/icholy/digest"
)

// authorize answers the first challenge that it can, which is the one the server
// likes best (RFC 8760 section 2.4); nil if there is no such challenge. sipgo answers
// the first challenge only. stale says that only the nonce was too old.
func authorize(res *sip.Response, req *sip.Request, user, password string) (answer sip.Header, stale bool) {
	asked, name := "WWW-Authenticate", "Authorization"
	if res.StatusCode == sip.StatusProxyAuthRequired {
		asked, name = "Proxy-Authenticate", "Proxy-Authorization"
	}
	for _, h := range res.GetHeaders(asked) {
		challenge, err := digest.ParseChallenge(h.Value())
		if err != nil || !digest.CanDigest(challenge) {
			continue
		}
		credentials, err := digest.Digest(challenge, digest.Options{
			Method: string(req.Method), URI: req.Recipient.String(), Count: 1, Cnonce: rand.Text(),
			Username: user, Password: password,
		})
		if err != nil {
			continue
		}
		return sip.NewHeader(name, credentials.String()), challenge.Stale
	}
	return nil, false
}

// gatekeeper is the carrier's side of digest authentication.
type gatekeeper struct {
	user, password string
	challenge      digest.Challenge
}

func newGatekeeper(user, password, algorithm string) *gatekeeper {
	return &gatekeeper{user, password, digest.Challenge{
		Realm: "carrier", Nonce: rand.Text(), Algorithm: algorithm, QOP: []string{"auth"},
	}}
}

// header is that of the 407 answer.
func (g *gatekeeper) header() sip.Header {
	return sip.NewHeader("Proxy-Authenticate", g.challenge.String())
}

// lets reports whether the request carries the right credentials.
func (g *gatekeeper) lets(req *sip.Request) bool {
	value := headerValue(req, "Proxy-Authorization")
	given, err := digest.ParseCredentials(value)
	if err != nil || given.Username != g.user || given.Nonce != g.challenge.Nonce || given.Realm != g.challenge.Realm ||
		!strings.EqualFold(given.Algorithm, g.challenge.Algorithm) || given.URI != req.Recipient.String() {
		return false
	}
	want, err := digest.Digest(&g.challenge, digest.Options{
		Method: string(req.Method), URI: given.URI, Count: given.Nc, Cnonce: given.Cnonce,
		Username: g.user, Password: g.password,
	})
	return err == nil && subtle.ConstantTimeCompare([]byte(want.Response), []byte(given.Response)) == 1
}
