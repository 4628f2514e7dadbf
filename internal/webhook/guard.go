package webhook

import (
	"net/netip"
	"strings"

	"github.com/tollgate/tollgate/internal/reach"
)

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
	if reach.IsNumber(host) {
		return "The host ends in a number but is not an address of four decimal numbers, such as 192.0.2.1. Write it in that form, or give a name."
	}
	return ""
}

const hostBytes = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
