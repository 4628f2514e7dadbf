package sipgw

import (
	"strconv"
	"strings"
)

// uri is a SIP or SIPS URI in parts (RFC 3261 section 19.1.1).
type uri struct {
	user       string // as it came, with the parameters that it may have, without a password
	host       string // an IPv6 address without its brackets
	port       int    // 0 for none
	parameters string // from the first semicolon on
}

// uriParts reads a URI. ok is false for one of another scheme, without a host, or with
// a port that is none.
func uriParts(text string) (u uri, ok bool) {
	scheme, rest, found := strings.Cut(text, ":")
	if !found || !strings.EqualFold(scheme, "sip") && !strings.EqualFold(scheme, "sips") {
		return u, false
	}
	if at := strings.IndexByte(rest, '@'); at >= 0 {
		u.user, _, _ = strings.Cut(rest[:at], ":")
		rest = rest[at+1:]
	}
	rest, _, _ = strings.Cut(rest, "?")
	if i := strings.IndexByte(rest, ';'); i >= 0 {
		rest, u.parameters = rest[:i], rest[i:]
	}
	host, port, found := cutPort(rest)
	if found {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil {
			return u, false
		}
		u.port = int(n)
	}
	u.host = strings.Trim(host, "[]")
	return u, u.host != ""
}

// parameter is the value of a URI parameter, "" when there is none or it has none.
func (u *uri) parameter(name string) (value string, found bool) {
	for p := range strings.SplitSeq(u.parameters, ";") {
		n, v, _ := strings.Cut(p, "=")
		if strings.EqualFold(n, name) {
			return v, true
		}
	}
	return "", false
}
