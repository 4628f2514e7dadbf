package webhook

import (
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/tollgate/tollgate/internal/reach"
)

// Limits of addresses.
const (
	maxURLBytes  = 2000 // Telnyx's limit of a URL (error 10003)
	maxHostBytes = 253  // RFC 1035 section 2.3.4, as text
)

// URLError says in words for the customer why an address cannot be used.
type URLError struct{ Detail string }

func (e *URLError) Error() string { return e.Detail }

// ParseURL reads an address that requests can be sent to. Any port may be used:
// customers run their servers on many, and only the address decides whose it is.
// Hosts are accepted in one spelling only, because a lenient reader further on
// may see an address where a strict one saw a name. Errors are *URLError.
func ParseURL(raw string) (*url.URL, error) {
	if len(raw) > maxURLBytes {
		return nil, &URLError{fmt.Sprintf("The address has %d bytes. Give at most %d.", len(raw), maxURLBytes)}
	}
	u, err := url.Parse(raw)
	if err != nil || u.Opaque != "" || (u.Scheme != "https" && u.Scheme != "http") || u.Hostname() == "" {
		return nil, &URLError{"Not a web address. Give one with a scheme and a host, such as \"https://example.com/hook\"."}
	}
	if u.User != nil {
		return nil, &URLError{"The address holds a user name or password. Leave them out; " +
			"verify the signature of requests instead."}
	}
	if strings.Contains(raw, "#") {
		return nil, &URLError{"The address has a fragment, which is never sent. Leave out the # and what follows it."}
	}
	if port := u.Port(); port != "" || strings.HasSuffix(u.Host, ":") {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return nil, &URLError{"The port is not a number from 1 to 65535."}
		}
	}
	if detail := hostProblem(u.Hostname(), strings.HasPrefix(u.Host, "[")); detail != "" {
		return nil, &URLError{detail}
	}
	return u, nil
}

// hostProblem reports what is wrong with the spelling of a URL's host, without
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
	const wanted = "The host is neither a name nor an address. Give a name such as \"hooks.example.com\"; " +
		"write other scripts in their xn-- form."
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
		return "The host ends in a number but is not an address of four decimal numbers, such as 192.0.2.1. " +
			"Write it in that form, or give a name."
	}
	return ""
}

const hostBytes = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
