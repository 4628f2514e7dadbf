package sip

import (
	"crypto/subtle"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Credentials are the answer to a challenge (RFC 7616 section 3.4).
type Credentials struct {
	UserName, Realm, Nonce, URI, Response string
	Algorithm, Opaque, QOP, Cnonce        string
	Count                                 int // of the nonce; 0 without QOP
	Userhash                              bool
}

// ReadCredentials reads an Authorization or Proxy-Authorization.
func ReadCredentials(value string) (c Credentials, ok bool) {
	counted := true
	ok = digestParameters(value, func(name, value string) {
		switch name {
		case "username":
			c.UserName = value
		case "realm":
			c.Realm = value
		case "nonce":
			c.Nonce = value
		case "uri":
			c.URI = value
		case "response":
			c.Response = value
		case "algorithm":
			c.Algorithm = value
		case "cnonce":
			c.Cnonce = value
		case "opaque":
			c.Opaque = value
		case "qop":
			c.QOP = value
		case "nc":
			count, err := strconv.ParseInt(value, 16, 32)
			c.Count, counted = int(count), counted && err == nil
		case "userhash":
			c.Userhash = strings.EqualFold(value, "true")
		}
	})
	return c, ok && counted
}

// Authorization is the digest answer of a request for a realm, under either name; of
// several the first for this realm, else the first of all, or "".
func (m *Message) Authorization(realm string) string {
	first := ""
	for i := range m.Fields {
		f := &m.Fields[i]
		if f.Name != "proxy-authorization" && f.Name != "authorization" {
			continue
		}
		if first == "" {
			first = f.Value
		}
		if c, ok := ReadCredentials(f.Value); ok && c.Realm == realm {
			return f.Value
		}
	}
	return first
}

// Usable reports whether credentials have a form that this server offers, or that of RFC
// 2069, which has no qop. Others prove nothing and guess nothing.
func (c *Credentials) Usable() bool {
	switch strings.ToUpper(c.Algorithm) {
	case "", "MD5", "SHA-256":
	default:
		return false
	}
	if c.UserName == "" || c.Response == "" || c.URI == "" || c.Userhash {
		return false
	}
	return c.QOP == "" || c.QOP == "auth" && c.Cnonce != "" && c.Count > 0
}

// NonceCount is the count that the nonce is used with. Without qop there is none: such a
// nonce works once.
func (c *Credentials) NonceCount() uint32 {
	if c.QOP == "" {
		return math.MaxUint32
	}
	return uint32(c.Count)
}

// Right checks the response to a challenge for a method in constant time. The others are
// the user's hash by each algorithm that is usable.
func (c *Credentials) Right(method, md5, sha256 string) bool {
	d, ok := digesterOf(c.Algorithm)
	if !ok {
		return false
	}
	ha1 := md5
	if strings.EqualFold(c.Algorithm, "SHA-256") {
		ha1 = sha256
	}
	given := []byte(strings.ToLower(c.Response))
	request := d.sum(method, c.URI)
	if c.QOP == "" {
		return subtle.ConstantTimeCompare([]byte(d.sum(ha1, c.Nonce, request)), given) == 1
	}
	count := countText(c.Count)
	right := subtle.ConstantTimeCompare([]byte(d.sum(ha1, c.Nonce, count, c.Cnonce, c.QOP, request)), given)
	if upper := strings.ToUpper(count); upper != count {
		// Some write the count in capitals, and hash it so.
		right |= subtle.ConstantTimeCompare([]byte(d.sum(ha1, c.Nonce, upper, c.Cnonce, c.QOP, request)), given)
	}
	return right == 1
}

// Signed reports whether the URI that was signed is the one that is called. A proxy on the
// way may have rewritten its host or parameters, but what is dialled must be what was
// signed.
func (c *Credentials) Signed(called string) bool {
	if c.URI == called {
		return true
	}
	s, okS := ParseURI(c.URI)
	to, okTo := ParseURI(called)
	return okS && okTo && s.User == to.User && s.User != ""
}

// countText writes a nonce count as it is hashed.
func countText(n int) string { return fmt.Sprintf("%08x", uint32(n)) }

// line writes the credentials as a header line.
func (c *Credentials) line(name string) string {
	var b strings.Builder
	b.WriteString("Digest username=" + quote(c.UserName) + ", realm=" + quote(c.Realm) + ", nonce=" + quote(c.Nonce) +
		", uri=" + quote(c.URI))
	if c.Algorithm != "" {
		b.WriteString(", algorithm=" + c.Algorithm)
	}
	if c.Cnonce != "" {
		b.WriteString(", cnonce=" + quote(c.Cnonce))
	}
	if c.Opaque != "" {
		b.WriteString(", opaque=" + quote(c.Opaque))
	}
	if c.QOP != "" {
		b.WriteString(", qop=" + c.QOP + ", nc=" + countText(c.Count))
	}
	if c.Userhash {
		b.WriteString(", userhash=true")
	}
	// Some want the response at the end.
	b.WriteString(", response=" + quote(c.Response))
	return Line(name, b.String())
}
