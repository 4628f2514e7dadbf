package sip

import (
	"strconv"
	"strings"
)

// URI is a SIP or SIPS URI in parts (RFC 3261 section 19.1.1).
type URI struct {
	User       string // as it came, with the parameters that it may have, without a password
	Host       string // an IPv6 address without its brackets
	Port       int    // 0 for none
	parameters string // from the first semicolon on
}

// ParseURI reads a URI. ok is false for one of another scheme, without a host, or with
// a port that is none.
func ParseURI(text string) (u URI, ok bool) {
	scheme, rest, found := strings.Cut(text, ":")
	if !found || !strings.EqualFold(scheme, "sip") && !strings.EqualFold(scheme, "sips") {
		return u, false
	}
	if at := strings.IndexByte(rest, '@'); at >= 0 {
		u.User, _, _ = strings.Cut(rest[:at], ":")
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
		u.Port = int(n)
	}
	u.Host = strings.Trim(host, "[]")
	return u, u.Host != ""
}

// Parameter is the value of a URI parameter, "" when there is none or it has none.
func (u *URI) Parameter(name string) (value string, found bool) {
	for p := range strings.SplitSeq(u.parameters, ";") {
		n, v, _ := strings.Cut(p, "=")
		if strings.EqualFold(n, name) {
			return v, true
		}
	}
	return "", false
}

// PlainURI is a URI without the headers that it would bring along, but for those that
// History-Info has there (RFC 7044 section 5).
func PlainURI(uri string, history bool) string {
	plain, headers, found := strings.Cut(uri, "?")
	if !found {
		return uri
	}
	for header := range strings.SplitSeq(headers, "&") {
		name, _, _ := strings.Cut(header, "=")
		if !history || !strings.EqualFold(name, "Reason") && !strings.EqualFold(name, "Privacy") {
			return plain
		}
	}
	return uri
}
