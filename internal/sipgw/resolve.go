package sipgw

import (
	"context"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"
)

// The limits of name resolution.
const (
	resolveTimeout = 3 * time.Second
	// resolvedFor is how long an answer is used before it is asked for again; an old
	// one is used on when the name servers are silent.
	resolvedFor = time.Minute
	maxNames    = 4096
)

// resolver finds the addresses of gateways that are given by name (RFC 3263: SRV,
// then A and AAAA). Addresses given as numbers cost nothing.
type resolver struct {
	ctx  context.Context
	now  func() time.Time
	work sync.WaitGroup

	mu    sync.Mutex // guards names
	names map[string]resolved
}

type resolved struct {
	addr netip.AddrPort
	at   time.Time
}

// resolve calls done once, at once or from another goroutine.
func (r *resolver) resolve(address, transport string, done func(netip.AddrPort, bool)) {
	host, port := splitAddress(address, transport)
	if ip, err := netip.ParseAddr(host); err == nil {
		done(netip.AddrPortFrom(ip.Unmap(), port), true)
		return
	}
	key := host + ":" + strconv.Itoa(int(port)) + transport
	r.mu.Lock()
	known, ok := r.names[key]
	r.mu.Unlock()
	if ok && r.now().Sub(known.at) < resolvedFor {
		done(known.addr, true)
		return
	}
	if r.ctx.Err() != nil {
		done(netip.AddrPort{}, false)
		return
	}
	r.work.Go(func() {
		addr, found := r.lookup(host, port, transport)
		if !found {
			done(known.addr, ok)
			return
		}
		r.mu.Lock()
		if len(r.names) >= maxNames {
			clear(r.names)
		}
		r.names[key] = resolved{addr, r.now()}
		r.mu.Unlock()
		done(addr, true)
	})
}

// lookup asks the name servers, for an SRV record when no port is given (RFC 3263
// section 4.2).
func (r *resolver) lookup(host string, port uint16, transport string) (netip.AddrPort, bool) {
	ctx, cancel := context.WithTimeout(r.ctx, resolveTimeout)
	defer cancel()
	if port == 0 {
		service, protocol := "sip", transport
		if transport == "tls" {
			service, protocol = "sips", "tcp"
		}
		port = defaultPort(transport)
		if _, services, err := net.DefaultResolver.LookupSRV(ctx, service, protocol, host); err == nil && len(services) > 0 {
			host, port = strings.TrimSuffix(services[0].Target, "."), services[0].Port
		}
	}
	ips, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil || len(ips) == 0 {
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(ips[0].Unmap(), port), true
}

// splitAddress reads "host", "host:port" or an IPv6 address in or out of brackets.
// The port is 0 when a name comes without one, and the transport's when an address
// does.
func splitAddress(address, transport string) (host string, port uint16) {
	if ip, err := netip.ParseAddr(strings.Trim(address, "[]")); err == nil {
		return ip.String(), defaultPort(transport)
	}
	h, p, err := net.SplitHostPort(address)
	if err != nil {
		return address, 0
	}
	n, err := strconv.ParseUint(p, 10, 16)
	if err != nil || n == 0 {
		return address, 0
	}
	return h, uint16(n)
}

// defaultPort is where SIP is served (RFC 3261 section 19.1.2).
func defaultPort(transport string) uint16 {
	if transport == "tls" {
		return 5061
	}
	return 5060
}
