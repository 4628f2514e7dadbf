package sipgw

import (
	"crypto/md5"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"encoding/hex"
	"math"
	"strings"

	"github.com/icholy/digest"

	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/sip"
)

// authorization is the digest answer of a request for a realm, under either name; of
// several the first for this realm, else the first of all, or "".
func authorization(m *sip.Message, realm string) string {
	first := ""
	for i := range m.Fields {
		f := &m.Fields[i]
		if f.Name != "proxy-authorization" && f.Name != "authorization" {
			continue
		}
		if first == "" {
			first = f.Value
		}
		if c, err := digest.ParseCredentials(f.Value); err == nil && c.Realm == realm {
			return f.Value
		}
	}
	return first
}

// usable says whether credentials have a form that was offered, or that of RFC 2069,
// which has no qop. Others prove nothing and guess nothing.
func usable(c *digest.Credentials) bool {
	switch strings.ToUpper(c.Algorithm) {
	case "", "MD5", "SHA-256":
	default:
		return false
	}
	if c.Username == "" || c.Response == "" || c.URI == "" || c.Userhash {
		return false
	}
	return c.QOP == "" || c.QOP == "auth" && c.Cnonce != "" && c.Nc > 0
}

// countOf is the nonce count of credentials. Without qop there is none: such a nonce
// works once.
func countOf(c *digest.Credentials) uint32 {
	if c.QOP == "" {
		return math.MaxUint32
	}
	return uint32(c.Nc)
}

// digestRight checks the response of a digest in constant time.
func digestRight(c *digest.Credentials, method string, known connection.HA1) bool {
	h, ha1 := md5.New(), known.MD5
	if strings.EqualFold(c.Algorithm, "SHA-256") {
		h, ha1 = sha256.New(), known.SHA256
	}
	sum := func(parts ...string) string {
		h.Reset()
		h.Write([]byte(strings.Join(parts, ":")))
		return hex.EncodeToString(h.Sum(nil))
	}
	given := []byte(strings.ToLower(c.Response))
	request := sum(method, c.URI)
	if c.QOP == "" {
		return subtle.ConstantTimeCompare([]byte(sum(ha1, c.Nonce, request)), given) == 1
	}
	count := ncText(c.Nc)
	right := subtle.ConstantTimeCompare([]byte(sum(ha1, c.Nonce, count, c.Cnonce, c.QOP, request)), given)
	if upper := strings.ToUpper(count); upper != count {
		// Some write the count in capitals, and hash it so.
		right |= subtle.ConstantTimeCompare([]byte(sum(ha1, c.Nonce, upper, c.Cnonce, c.QOP, request)), given)
	}
	return right == 1
}

// sameTarget says whether the URI that was signed is the one that is called. A
// proxy on the way may have rewritten its host or parameters, but what is dialled
// must be what was signed.
func sameTarget(signed, called string) bool {
	if signed == called {
		return true
	}
	s, okS := sip.ParseURI(signed)
	c, okC := sip.ParseURI(called)
	return okS && okC && s.User == c.User && s.User != ""
}

// ncText writes a nonce count as it is hashed.
func ncText(n int) string {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], uint32(n))
	return hex.EncodeToString(b[:])
}
