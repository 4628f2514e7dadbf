package webhook

import (
	"net/netip"
	"strings"
)

// network is a range of addresses that requests must not reach.
type network struct {
	prefix netip.Prefix
	what   string
	// private says that a self-hosted server may allow the range, because its own
	// machines have such addresses. The others are never a customer's endpoint.
	private bool
}

// forbiddenNetworks are the special-purpose ranges of IANA's IPv4 and IPv6
// registries (RFC 6890 and its updates), and addresses under which clouds serve
// credentials to their machines. The first that matches decides. IPv6 outside
// 2000::/3 is refused as a whole, so new special ranges there need no row.
func forbiddenNetworks() []network {
	p := netip.MustParsePrefix
	return []network{
		// Metadata services inside ranges that may be allowed, or public ones.
		{p("100.100.100.200/32"), "a cloud metadata service", false}, // Alibaba
		{p("168.63.129.16/32"), "a cloud metadata service", false},   // Azure
		{p("fd00:ec2::/32"), "a cloud metadata service", false},      // AWS
		{p("fd20:ce::/32"), "a cloud metadata service", false},       // Google

		{p("0.0.0.0/8"), "this network", false},
		{p("10.0.0.0/8"), "a private network", true},
		{p("100.64.0.0/10"), "shared address space (carrier-grade NAT)", true},
		{p("127.0.0.0/8"), "loopback", true},
		{p("169.254.0.0/16"), "link-local", false}, // and most clouds' metadata
		{p("172.16.0.0/12"), "a private network", true},
		{p("192.0.0.0/24"), "protocol assignments", false}, // and Oracle's metadata
		{p("192.0.2.0/24"), "documentation", false},
		{p("192.88.99.0/24"), "6to4 relay", false},
		{p("192.168.0.0/16"), "a private network", true},
		{p("198.18.0.0/15"), "benchmarking", false},
		{p("198.51.100.0/24"), "documentation", false},
		{p("203.0.113.0/24"), "documentation", false},
		{p("224.0.0.0/4"), "multicast", false},
		{p("240.0.0.0/4"), "reserved", false}, // and broadcast

		{p("::1/128"), "loopback", true},
		{p("::/96"), "unspecified or IPv4-compatible", false},
		{p("64:ff9b::/96"), "translated IPv4 (NAT64)", false},
		{p("64:ff9b:1::/48"), "translated IPv4 (NAT64)", false},
		{p("fc00::/7"), "unique local", true},
		{p("fe80::/10"), "link-local", false},
		{p("fec0::/10"), "site-local", false},
		{p("ff00::/8"), "multicast", false},
		{p("2001::/32"), "Teredo", false},
		{p("2001::/23"), "protocol assignments", false},
		{p("2001:db8::/32"), "documentation", false},
		{p("2002::/16"), "6to4", false},
		{p("3fff::/20"), "documentation", false},
	}
}

// guard decides which addresses may be called. It does not change.
type guard struct {
	networks     []network
	allowPrivate bool
	global6      netip.Prefix
}

func newGuard(allowPrivate bool) guard {
	return guard{forbiddenNetworks(), allowPrivate, netip.MustParsePrefix("2000::/3")}
}

// refuses says what an address is that must not be called, or "". An IPv4-mapped
// address is judged as the IPv4 address to which the kernel would connect.
func (g guard) refuses(address netip.Addr) string {
	if !address.IsValid() {
		return "no address"
	}
	if address.Zone() != "" {
		return "an address with a zone"
	}
	address = address.Unmap()
	for _, n := range g.networks {
		if n.prefix.Contains(address) {
			if n.private && g.allowPrivate {
				return ""
			}
			return n.what
		}
	}
	if address.Is6() && !g.global6.Contains(address) {
		return "not global unicast"
	}
	return ""
}

// hostProblem says what is wrong with the spelling of a URL's host, without
// brackets, or "". A name that ends in a number is refused, because browsers and
// C libraries read 2130706433, 0x7f.1 and 0177.0.0.1 as IPv4 addresses.
func hostProblem(host string, bracketed bool) string {
	if address, err := netip.ParseAddr(host); err == nil {
		if address.Zone() != "" {
			return "An address with a zone means another host on each machine. Leave the zone out."
		}
		if address.Is6() != bracketed {
			return "An IPv6 address, and nothing else, is written in brackets, such as \"https://[2606:4700::1111]/\"."
		}
		return ""
	}
	const wanted = "The host is neither a name nor an address. Give a name such as \"hooks.example.com\"; write other scripts in their xn-- form."
	if bracketed || len(host) > maxHostBytes {
		return wanted
	}
	labels := strings.Split(strings.TrimSuffix(host, "."), ".")
	for _, label := range labels {
		if label == "" || len(label) > 63 || strings.Trim(label, hostBytes) != "" {
			return wanted
		}
	}
	if last := strings.ToLower(labels[len(labels)-1]); strings.Trim(last, "0123456789") == "" || isHex(last) {
		return "The host ends in a number but is not an address of four decimal numbers, such as 192.0.2.1. Write it in that form, or give a name."
	}
	return ""
}

const hostBytes = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"

func isHex(label string) bool {
	digits, ok := strings.CutPrefix(label, "0x")
	return ok && strings.Trim(digits, "0123456789abcdef") == ""
}
