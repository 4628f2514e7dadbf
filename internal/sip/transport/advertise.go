package transport

import (
	"errors"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// Advertised is an address or name by which peers reach a listener that is bound to
// another one, as behind a translator, in a container or in a cloud.
type Advertised struct {
	Listener string         // udp, tcp or tls; "" for each
	At       netip.AddrPort // that is listened on; not valid for each
	Host     string
	Port     uint16       // 0: that of the listener
	Network  netip.Prefix // of the peers that see it; not valid for all of its family
}

// Address is the host, unless it is a name.
func (a *Advertised) Address() netip.Addr {
	address, _ := netip.ParseAddr(a.Host)
	return address
}

func (a *Advertised) rank() (rank int) {
	if a.Listener == "" {
		rank += 2
	}
	if !a.At.IsValid() {
		rank += 4
	}
	if !a.Address().IsValid() {
		rank++
	}
	return rank
}

// isOf reports whether it is said of a listener of a transport that is bound to an address.
func (a *Advertised) isOf(name string, bound netip.AddrPort) bool {
	return (a.Listener == "" || a.Listener == name) && (!a.At.IsValid() || a.At == bound)
}

var (
	everyIPv4 = netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	everyIPv6 = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
)

// peers are the networks whose peers see the address. A name may stand for addresses of
// both families.
func (a *Advertised) peers() []netip.Prefix {
	switch address := a.Address(); {
	case a.Network.IsValid():
		return []netip.Prefix{a.Network}
	case address.Is4():
		return []netip.Prefix{everyIPv4}
	case address.Is6():
		return []netip.Prefix{everyIPv6}
	}
	return []netip.Prefix{everyIPv4, everyIPv6}
}

var (
	errAdvertised = errors.New("want an address or name, with a port if it is another one, as in " +
		"203.0.113.5, [2001:db8::5]:5080, tls=sip.example.com, 10.0.0.5:5060=203.0.113.5 or 10.0.0.5@10.0.0.0/8")
	errZone = errors.New("an address with a zone means something on this machine only")
)

// ParseAdvertised reads [LISTENER=]HOST[:PORT][@NETWORK], where LISTENER is a transport or an
// address that is listened on.
func ParseAdvertised(text string) (a Advertised, err error) {
	rest := text
	if listener, behind, found := strings.Cut(rest, "="); found {
		rest = behind
		if listener == "udp" || listener == "tcp" || listener == "tls" {
			a.Listener = listener
		} else if a.At, err = netip.ParseAddrPort(listener); err != nil {
			return a, errAdvertised
		}
	}
	host, network, found := strings.Cut(rest, "@")
	if found {
		if a.Network, err = netip.ParsePrefix(network); err != nil || a.Network.Addr().Is4In6() {
			return a, errAdvertised
		}
		a.Network = a.Network.Masked()
	}
	a.Host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if _, err = netip.ParseAddr(a.Host); err != nil && strings.Contains(host, ":") {
		var port string
		if a.Host, port, err = net.SplitHostPort(host); err != nil {
			return a, errAdvertised
		}
		number, err := strconv.ParseUint(port, 10, 16)
		if err != nil || number == 0 {
			return a, errAdvertised
		}
		a.Port = uint16(number)
	}
	address := a.Address()
	switch {
	case address.Zone() != "":
		return a, errZone
	case !address.IsValid():
		if !isHostName(a.Host) {
			return a, errAdvertised
		}
	case address.IsUnspecified() || address.IsMulticast():
		return a, errAdvertised
	default:
		a.Host = address.Unmap().String()
	}
	return a, nil
}

// isHostName reports whether a text is a name of RFC 3261's hostname: labels of letters,
// digits and hyphens, of which the last begins with a letter.
func isHostName(text string) bool {
	if len(text) > 253 {
		return false
	}
	labels := strings.Split(strings.TrimSuffix(text, "."), ".")
	for _, label := range labels {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for i := range len(label) {
			if c := label[i] | 0x20; !('a' <= c && c <= 'z') && !('0' <= label[i] && label[i] <= '9') && label[i] != '-' {
				return false
			}
		}
	}
	first := labels[len(labels)-1][0] | 0x20
	return 'a' <= first && first <= 'z'
}
