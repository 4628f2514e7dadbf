package phone

import (
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"strings"

	"github.com/emiago/sipgo/sip"
	"github.com/icholy/digest"
)

var errNoChallenge = errors.New("no supported digest challenge")

// challengeHeaders are the header of a challenge and the one of its answer.
func challengeHeaders(status int) (challenge, answer string) {
	if status == sip.StatusProxyAuthRequired {
		return "Proxy-Authenticate", "Proxy-Authorization"
	}
	return "WWW-Authenticate", "Authorization"
}

// authorize answers the first challenge that it can, which is the one the server
// likes best (RFC 8760 section 2.4). stale says that only the nonce was too old.
func authorize(res *sip.Response, method, uri, user, password string) (line string, stale bool, err error) {
	asked, answer := challengeHeaders(res.StatusCode)
	for _, h := range res.GetHeaders(asked) {
		challenge, err := digest.ParseChallenge(h.Value())
		if err != nil || !digest.CanDigest(challenge) {
			continue
		}
		credentials, err := digest.Digest(challenge, digest.Options{
			Method: method, URI: uri, Count: 1, Cnonce: rand.Text(), Username: user, Password: password,
		})
		if err != nil {
			continue
		}
		return answer + ": " + credentials.String(), challenge.Stale, nil
	}
	return "", false, fmt.Errorf("%d %s: %w", res.StatusCode, kept(res.Reason), errNoChallenge)
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

// lines are those of the 407 answer.
func (g *gatekeeper) lines() []string {
	return []string{"Proxy-Authenticate: " + g.challenge.String()}
}

// lets says whether the request carries the right credentials.
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
