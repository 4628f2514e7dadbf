package sip

import (
	"crypto/rand"
	"slices"
	"strings"
)

// Challenges are the challenges of the peers along one hop, in the order in which they
// came: one for each realm and each of the headers, since a proxy on the way and the
// server behind it may both ask. They are kept as long as what they are for, such as a
// dialog, and their texts are copies.
type Challenges struct {
	kept   []challenge
	rounds int // how many challenges came in a row
}

// challenge is one of them (RFC 7616 section 3.3).
type challenge struct {
	proxy                           bool // it came in Proxy-Authenticate
	realm, nonce, opaque, algorithm string
	qop                             string // that is chosen; "" as in RFC 2069
	userhash                        bool
	count                           int // how often the nonce was used
	refused                         int // how often in a row the peer asked for this realm again
}

// User is who answers challenges.
type User struct{ Name, Password string }

// The most of what is answered.
const (
	// mostAsked is how often in a row a realm may ask: once, and again for a stale nonce.
	mostAsked = 2
	// mostRounds is how often in a row all realms may ask.
	mostRounds = 6
	// mostRealms is how many are kept.
	mostRealms = 8
	// mostChallengeBytes is the size of a challenge.
	mostChallengeBytes = 4096
	// mostChallenges is how many of one message are looked at.
	mostChallenges = 16
)

// Take keeps the challenges of a 401 or 407, each in the place of an older one of its
// realm, and reports whether the request is worth another try. Of several for one realm the
// one with the strongest algorithm that is known counts, and of equal ones the first.
func (c *Challenges) Take(m *Message) bool {
	name := "www-authenticate"
	switch m.Status {
	case 407:
		name = "proxy-authenticate"
	case 401:
	default:
		return false
	}
	fresh := challengesOf(m, name)
	c.rounds++
	if len(fresh) == 0 || c.rounds > mostRounds {
		return false
	}
	worth := false
	for _, asked := range fresh {
		at := slices.IndexFunc(c.kept, asked.replaces)
		switch {
		case at < 0 && len(c.kept) == mostRealms:
			continue
		case at < 0:
			asked.refused = 1
			c.kept = append(c.kept, asked)
			worth = true
			continue
		}
		old := &c.kept[at]
		asked.refused = old.refused + 1
		if asked.nonce == old.nonce {
			asked.count = old.count
			if old.refused == 0 && old.count > 1 {
				asked.count-- // credentials that were not asked for, and that the peer has not counted
			}
		}
		*old = asked
		worth = worth || asked.refused <= mostAsked
	}
	return worth
}

// Accepted notes that a request has got past all who ask.
func (c *Challenges) Accepted() {
	c.rounds = 0
	for i := range c.kept {
		c.kept[i].refused = 0
	}
}

// challengesOf are the challenges of a message that can be answered, one for each realm.
func challengesOf(m *Message, name string) []challenge {
	var fresh []challenge
	seen := 0
	for i := range m.Fields {
		if m.Fields[i].Name != name {
			continue
		}
		for value := range eachChallenge(m.Fields[i].Value) {
			if seen++; seen > mostChallenges {
				return fresh
			}
			asked, ok := readChallenge(value)
			if !ok {
				continue
			}
			asked.proxy = m.Status == 407
			at := slices.IndexFunc(fresh, asked.replaces)
			if at < 0 {
				fresh = append(fresh, asked)
			} else if strengthOf(asked.algorithm) > strengthOf(fresh[at].algorithm) {
				fresh[at] = asked
			}
		}
	}
	return fresh
}

// replaces reports whether the challenge takes the place of another.
func (c *challenge) replaces(other challenge) bool {
	return c.proxy == other.proxy && c.realm == other.realm
}

// readChallenge reads a challenge; ok is false where it cannot be answered.
func readChallenge(value string) (c challenge, ok bool) {
	if len(value) > mostChallengeBytes {
		return c, false
	}
	qop, offered := "", false
	ok = digestParameters(strings.Clone(value), func(name, value string) {
		switch name {
		case "realm":
			c.realm = value
		case "nonce":
			c.nonce = value
		case "opaque":
			c.opaque = value
		case "algorithm":
			c.algorithm = value
		case "qop":
			qop, offered = value, value != ""
		case "userhash":
			c.userhash = strings.EqualFold(value, "true")
		}
	})
	c.qop = protection(qop)
	return c, ok && strengthOf(c.algorithm) > 0 && (!offered || c.qop != "")
}

// protection is the quality of protection that is chosen of a list, "" for none.
func protection(list string) string {
	chosen := ""
	for q := range strings.SplitSeq(list, ",") {
		switch q = strings.ToLower(trimSpace(q)); q {
		case "auth":
			return q
		case "auth-int":
			chosen = q
		}
	}
	return chosen
}

// Lines are the header lines of a request that answer all challenges that are kept.
func (c *Challenges) Lines(user User, method, uri string, body []byte) string {
	lines := ""
	for i := range c.kept {
		name := "Authorization"
		if c.kept[i].proxy {
			name = "Proxy-Authorization"
		}
		credentials := c.kept[i].answer(user, method, uri, body)
		lines += credentials.line(name)
	}
	return lines
}

// answer answers the challenge, with the next count of its nonce.
func (c *challenge) answer(user User, method, uri string, body []byte) Credentials {
	d, _ := digesterOf(c.algorithm)
	out := Credentials{UserName: user.Name, Realm: c.realm, Nonce: c.nonce, URI: uri, Algorithm: c.algorithm,
		Opaque: c.opaque, QOP: c.qop, Userhash: c.userhash}
	if c.userhash {
		out.UserName = d.sum(user.Name, c.realm)
	}
	if out.QOP != "" || isSession(c.algorithm) {
		c.count++
		out.Count, out.Cnonce = c.count, rand.Text()[:16]
	}
	ha1 := d.sum(user.Name, c.realm, user.Password)
	if isSession(c.algorithm) {
		ha1 = d.sum(ha1, c.nonce, out.Cnonce)
	}
	request := d.sum(method, uri)
	if out.QOP == "" {
		out.Response = d.sum(ha1, c.nonce, request)
		return out
	}
	if out.QOP == "auth-int" {
		request = d.sum(method, uri, d.sumBody(body))
	}
	out.Response = d.sum(ha1, c.nonce, countText(out.Count), out.Cnonce, out.QOP, request)
	return out
}

// ChallengeOf is for whom a challenge asks, and with what algorithm: for people to read.
func ChallengeOf(value string) (realm, algorithm string) {
	c, _ := readChallenge(value)
	if c.algorithm == "" {
		c.algorithm = "MD5"
	}
	return c.realm, c.algorithm
}
