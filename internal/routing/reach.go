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

// Refused says why calls do not go to a target.
func Refused(target string, why reach.Refusal) string {
	if why.Allowable {
		const text = "%.300s is %s, where calls go only if the operator allows it by %s."
		return fmt.Sprintf(text, target, why.What, AllowPrivate)
	}
	return fmt.Sprintf("%.300s is %s, where calls never go.", target, why.What)
}

// Reachable says what of the gateway leads where this server does not send, as far
// as its text shows. Where a name leads is judged whenever it is resolved.
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

// Target is the host of the address, without brackets, and its port: 0 when a name
// comes without one, and the transport's when an address does.
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

// DefaultPort is where SIP is served (RFC 3261 section 19.1.2).
func DefaultPort(transport string) uint16 {
	if transport == "tls" {
		return 5061
	}
	return 5060
}
