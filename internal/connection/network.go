package connection

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/tollgate/tollgate/internal/field"
)

// Network is a source of requests: one address, or a network of them. Its text is an
// address such as 192.0.2.1 or a network such as 192.0.2.0/24.
type Network struct {
	addr netip.Addr // as it was written, a mapped IPv4 address as IPv4
	bits uint8
}

// ParseNetwork parses an address or a network. The result may still be unusable: see
// Problem.
func ParseNetwork(text string) (Network, error) {
	address, length, sized := strings.Cut(text, "/")
	addr, err := netip.ParseAddr(address)
	if err != nil {
		return Network{}, err
	}
	bits := addr.BitLen()
	if sized {
		// The length must be in its canonical form: no sign, no leading zeros.
		if bits, err = strconv.Atoi(length); err != nil || strconv.Itoa(bits) != length || bits < 0 || bits > addr.BitLen() {
			return Network{}, fmt.Errorf("%.50q has no prefix length between 0 and %d", text, addr.BitLen())
		}
	}
	if mapped := addr.BitLen() - 32; addr.Is4In6() && bits >= mapped {
		addr, bits = addr.Unmap(), bits-mapped
	}
	return Network{addr, uint8(bits)}, nil
}

// SingleAddress is the network of one address.
func SingleAddress(addr netip.Addr) Network {
	addr = addr.Unmap()
	return Network{addr, uint8(addr.BitLen())}
}

// Prefix returns the network as it is matched, or the zero Prefix if there is none.
func (n Network) Prefix() netip.Prefix {
	p, err := n.addr.WithZone("").Prefix(int(n.bits))
	if err != nil {
		return netip.Prefix{}
	}
	return p
}

// IsSingle reports whether the network is a single address.
func (n Network) IsSingle() bool { return int(n.bits) == n.addr.BitLen() }

// String is an address, or a network with its length.
func (n Network) String() string {
	switch {
	case !n.addr.IsValid():
		return ""
	case n.IsSingle():
		return n.addr.String()
	}
	return n.addr.String() + "/" + strconv.Itoa(int(n.bits))
}

// MarshalText writes String.
func (n Network) MarshalText() ([]byte, error) { return []byte(n.String()), nil }

// UnmarshalText reads what ParseNetwork reads, or nothing.
func (n *Network) UnmarshalText(text []byte) (err error) {
	*n = Network{}
	if len(text) > 0 {
		*n, err = ParseNetwork(string(text))
	}
	return err
}

// The largest networks that may be given. No operator has a larger one.
const (
	largestIPv4 = 8
	largestIPv6 = 32
)

// unusable are the networks that cannot be the source of a request, or not of requests
// from a single sender.
// Source: RFC 6890, its IANA registries, and RFC 1112 section 4.
var unusable = []struct {
	prefix netip.Prefix
	detail string
}{
	{netip.MustParsePrefix("0.0.0.0/8"), "0.0.0.0/8 is no sender's"},
	{netip.MustParsePrefix("::/128"), "it is the unspecified address"},
	{netip.MustParsePrefix("224.0.0.0/4"), "224.0.0.0/4 is multicast"},
	{netip.MustParsePrefix("240.0.0.0/4"), "240.0.0.0/4 is reserved, and 255.255.255.255 is broadcast"},
	{netip.MustParsePrefix("ff00::/8"), "ff00::/8 is multicast"},
	{netip.MustParsePrefix("169.254.0.0/16"), "169.254.0.0/16 is link-local, so it means another host on each link"},
	{netip.MustParsePrefix("fe80::/10"), "fe80::/10 is link-local, so it means another host on each link"},
}

// Problem explains why the network cannot be used and what to give instead. It returns
// "" if the network can be used.
func (n Network) Problem() string {
	p := n.Prefix()
	wanted := "Give the address or the network, such as 192.0.2.0/24, from which the requests arrive."
	switch {
	case !p.IsValid():
		return "It is no address and no network. " + wanted
	case n.addr.Zone() != "":
		return "An address with a zone means another host on each machine. Leave the zone out."
	case n.addr.Is4In6():
		return "It is a network of IPv4 addresses in their IPv6 form. Write it as one of IPv4."
	case p.Addr() != n.addr:
		return fmt.Sprintf("%s has bits set behind its prefix length. Give %s for the network, or the address "+
			"without a length.", n, p)
	case n.addr.Is4() && n.bits < largestIPv4, n.addr.Is6() && n.bits < largestIPv6:
		return fmt.Sprintf("%s is too large. Give networks of at most /%d (IPv4) or /%d (IPv6).", n, largestIPv4, largestIPv6)
	}
	for _, u := range unusable {
		if u.prefix.Overlaps(p) {
			return fmt.Sprintf("%s cannot be used: %s. %s", n, u.detail, wanted)
		}
	}
	return ""
}

// Wide reports whether the network is larger than that of a single site: /24 or /48.
func (n Network) Wide() bool {
	return n.addr.Is4() && n.bits < 24 || n.addr.Is6() && n.bits < 48
}

// NetworkProblems validates a list of networks.
func NetworkProblems(pointer string, networks []Network) (errs []field.Error) {
	for i, n := range networks {
		if detail := n.Problem(); detail != "" {
			errs = append(errs, field.Error{Pointer: pointer + "/" + strconv.Itoa(i), Code: field.Malformed, Detail: detail})
		}
	}
	return errs
}
