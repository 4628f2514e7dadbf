package httpd

import (
	"net/http"
	"net/netip"
	"strings"
)

// sourceOf returns the source that an address belongs to: one host for IPv4, a /64 for
// IPv6, of which a single host can use every address.
func sourceOf(address netip.Addr) netip.Prefix {
	bits := 64
	if address.Is4() {
		bits = 32
	}
	prefix, _ := address.Prefix(bits) // the zero address has the zero prefix
	return prefix
}

// addressOf is the address that a request came from. Behind a trusted proxy that is
// the one that the proxy names.
func addressOf(r *http.Request) netip.Addr {
	address, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return address.Addr().Unmap().WithZone("")
}

func (s *Server) trusted(address netip.Addr) bool {
	for _, network := range s.TrustedProxies {
		if network.Contains(address) {
			return true
		}
	}
	return false
}

// forwarded is the address that the last proxy which is not trusted to speak for
// others, or the client, had: of X-Forwarded-For the last that is no trusted proxy's.
// Any other peer may write into that field what it likes.
func (s *Server) forwarded(peer netip.Addr, fields []string) (netip.Addr, bool) {
	if !s.trusted(peer) {
		return peer, false
	}
	last := peer
	hops := strings.Split(strings.Join(fields, ","), ",")
	for i := len(hops) - 1; i >= 0; i-- {
		text := strings.TrimSpace(hops[i])
		hop, err := netip.ParseAddr(strings.Trim(text, "[]"))
		if err != nil {
			port, failed := netip.ParseAddrPort(text)
			if failed != nil {
				break
			}
			hop = port.Addr()
		}
		last = hop.Unmap().WithZone("")
		if !s.trusted(last) {
			break
		}
	}
	return last, last != peer
}
