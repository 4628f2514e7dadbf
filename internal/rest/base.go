package rest

import (
	"net"
	"net/http"
	"strconv"
	"strings"
)

// forwardedProto is set by a proxy to the scheme that the client spoke. The server of the
// API removes it from what does not come from a trusted proxy.
const forwardedProto = "X-Forwarded-Proto"

// BaseOf is the address of this server as the client that sent a request has it, without a
// slash at its end. It only ever goes into the answer to that request.
func (s *Server) BaseOf(r *http.Request) string {
	if s.PublicURL != "" {
		return strings.TrimSuffix(s.PublicURL, "/")
	}
	if r.TLS != nil || strings.EqualFold(r.Header.Get(forwardedProto), "https") {
		return "https://" + hostOf(r)
	}
	return "http://" + hostOf(r)
}

// hostOf is the host that the request names, when an address may have it, else the
// address that the request came in on.
func hostOf(r *http.Request) string {
	if isHost(r.Host) {
		return r.Host
	}
	if local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok && isHost(local.String()) {
		return local.String()
	}
	return "localhost"
}

// maxHost is the longest host name (RFC 1035, section 2.3.4) and a port.
const maxHost = 253 + len(":65535")

// isHost takes names, IPv4 addresses and IPv6 addresses in brackets, with a port or
// without one. net/http accepts more, from which no address can be made.
func isHost(text string) bool {
	name := text
	if at := strings.LastIndexByte(text, ':'); at >= 0 && !strings.HasSuffix(text, "]") {
		name = text[:at]
		if _, err := strconv.ParseUint(text[at+1:], 10, 16); err != nil {
			return false
		}
	}
	if inner, ok := strings.CutPrefix(name, "["); ok {
		inner, ok = strings.CutSuffix(inner, "]")
		return ok && strings.Contains(inner, ":") && net.ParseIP(inner) != nil
	}
	return name != "" && len(text) <= maxHost && !strings.ContainsFunc(name, func(c rune) bool {
		return c != '-' && c != '.' && c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z')
	})
}
