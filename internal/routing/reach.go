package routing

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/tollgate/tollgate/internal/field"
	"github.com/tollgate/tollgate/internal/reach"
)

// AllowPrivate is the operator's setting that lets gateways be in private networks.
const AllowPrivate = "--gateway-allow-private (TOLLGATE_GATEWAY_ALLOW_PRIVATE, gateway_allow_private)"

// Refused explains why calls do not go to a target.
func Refused(target string, why reach.Refusal) string {
	if why.Allowable {
		const text = "%.300s is %s, where calls go only if the operator allows it by %s."
		return fmt.Sprintf(text, target, why.What, AllowPrivate)
	}
	return fmt.Sprintf("%.300s is %s, where calls never go.", target, why.What)
}

// Reachable returns a problem if the gateway's address is one that this server does not
// send to. A name is judged later, each time it is resolved.
func (g *Gateway) Reachable(guard *reach.Guard) []field.Error {
	why, ok := g.judge(guard)
	if ok {
		return nil
	}
	const wanted = " Give the name or public address of a carrier, such as \"sip.carrier.example:5060\"."
	return []field.Error{{Pointer: "/address", Code: field.Malformed, Detail: Refused(g.Address, why) + wanted}}
}

func (g *Gateway) judge(guard *reach.Guard) (why reach.Refusal, ok bool) {
	host, port := g.Target()
	if address, err := netip.ParseAddr(host); err == nil {
		return guard.Refuses(netip.AddrPortFrom(address, port))
	}
	if why, ok = guard.RefusesName(host); !ok || port == 0 {
		return why, ok
	}
	if class, _ := reach.JudgeName(host); class == reach.Loopback {
		return guard.Refuses(netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), port))
	}
	return why, true
}

// Target returns the host of the address, without brackets, and its port. A name without
// a port has port 0, an IP address without one has the port of the transport.
func (g *Gateway) Target() (host string, port uint16) {
	if ip, err := netip.ParseAddr(strings.Trim(g.Address, "[]")); err == nil {
		return ip.String(), DefaultPort(g.Transport)
	}
	h, p, err := net.SplitHostPort(g.Address)
	if err != nil {
		return g.Address, 0
	}
	n, err := strconv.ParseUint(p, 10, 16)
	if err != nil || n == 0 {
		return g.Address, 0
	}
	return h, uint16(n)
}

// DefaultPort is the default port of SIP (RFC 3261 section 19.1.2).
func DefaultPort(transport string) uint16 {
	if transport == "tls" {
		return 5061
	}
	return 5060
}
