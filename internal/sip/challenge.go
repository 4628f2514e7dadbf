package sip

import (
	"crypto/rand"
	"slices"
	"strings"
)

// Challenges are the challenges of the peers along one hop, in the order in which they
// came: one for each realm and each of the headers, since a proxy on the way and the
// server behind it may both ask. They are kept as long as what they are for, such as a
// dialog.
type Challenges struct{ kept []challenge }

// challenge is one of them (RFC 7616 section 3.3).
type challenge struct {
	proxy                           bool // it came in Proxy-Authenticate
	realm, nonce, opaque, algorithm string
	qop                             []string // none: as in RFC 2069
	userhash                        bool
	count                           int // how often the nonce was used
}

// User is who answers challenges.
type User struct{ Name, Password string }

// Take keeps the challenges of a 401 or 407, each in the place of an older one of its
// realm, and says whether there is one that can be answered. Of several for one realm the
// first that can be answered counts.
func (c *Challenges) Take(m *Message) bool {
	name := "www-authenticate"
	switch m.Status {
	case 407:
		name = "proxy-authenticate"
	case 401:
	default:
		return false
	}
	var fresh []challenge
	for i := range m.Fields {
		if m.Fields[i].Name != name {
			continue
		}
		asked, ok := readChallenge(m.Fields[i].Value)
		asked.proxy = m.Status == 407
		if ok && !slices.ContainsFunc(fresh, asked.replaces) {
			fresh = append(fresh, asked)
		}
	}
	for i := range fresh {
		c.kept = slices.DeleteFunc(c.kept, fresh[i].replaces)
	}
	c.kept = append(c.kept, fresh...)
	return len(fresh) > 0
}

// replaces says whether the challenge takes the place of another.
func (c *challenge) replaces(other challenge) bool {
	return c.proxy == other.proxy && c.realm == other.realm
}

// readChallenge reads a challenge; ok is false where it cannot be answered.
func readChallenge(value string) (c challenge, ok bool) {
	ok = digestParameters(value, func(name, value string) {
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
			for q := range strings.SplitSeq(value, ",") {
				c.qop = append(c.qop, trimSpace(q))
			}
		case "userhash":
			c.userhash = strings.EqualFold(value, "true")
		}
	})
	_, known := digesterOf(c.algorithm)
	return c, ok && known && (len(c.qop) == 0 || c.protection() != "")
}

// protection is the quality of protection that is chosen, "" for none.
func (c *challenge) protection() string {
	for _, q := range [...]string{"auth", "auth-int"} {
		if slices.Contains(c.qop, q) {
			return q
		}
	}
	return ""
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
		Opaque: c.opaque, QOP: c.protection(), Userhash: c.userhash}
	if c.userhash {
		out.UserName = d.sum(user.Name, c.realm)
	}
	ha1 := d.sum(user.Name, c.realm, user.Password)
	request := d.sum(method, uri)
	if out.QOP == "" {
		out.Response = d.sum(ha1, c.nonce, request)
		return out
	}
	if out.QOP == "auth-int" {
		request = d.sum(method, uri, d.sumBody(body))
	}
	c.count++
	out.Count, out.Cnonce = c.count, rand.Text()[:16]
	out.Response = d.sum(ha1, c.nonce, countText(out.Count), out.Cnonce, out.QOP, request)
	return out
}
