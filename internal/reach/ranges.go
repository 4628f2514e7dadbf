// Package reach says which addresses the server may be made to send to. Gateways,
// webhooks, Contacts and session descriptions are written by others. Without a rule,
// each of them reaches the server's own network.
//
// ranges.go is the table of addresses, guard.go the rule.
package reach

import (
	"net/netip"
	"strings"
)

// Class is what kind of network an address belongs to.
type Class uint8

// The classes.
const (
	Public Class = iota
	// Documentation addresses are used in examples. No host has them.
	Documentation
	// Private networks may be the operator's own.
	Private
	// Loopback is this machine.
	Loopback
	// Never is what no peer has: no setting allows it.
	Never
)

// Range is a row of the table.
type Range struct {
	Prefix netip.Prefix
	Class  Class
	What   string // completes "it is ..."
	Source string // what reserves it
}

// ranges are the special-purpose ranges of IANA's IPv4 and IPv6 registries (RFC 6890
// and its updates), and addresses under which clouds serve credentials to their
// machines. The first that matches decides. IPv6 outside 2000::/3 is refused as a
// whole, so new special ranges there need no row. An address that carries an IPv4
// address within is refused, since a translator on the way decides where it leads.
var ranges = table(
	// Metadata services inside ranges that may be allowed, or public ones.
	row{"100.100.100.200/32", Never, "a cloud metadata service", "Alibaba Cloud ECS"},
	row{"168.63.129.16/32", Never, "a cloud metadata service", "Azure WireServer"},
	row{"fd00:ec2::/32", Never, "a cloud metadata service", "AWS EC2"},
	row{"fd20:ce::/32", Never, "a cloud metadata service", "Google Compute Engine"},

	row{"0.0.0.0/8", Never, "an unspecified address", "RFC 791 section 3.2"},
	row{"10.0.0.0/8", Private, "a private network", "RFC 1918"},
	row{"100.64.0.0/10", Private, "shared address space (carrier-grade NAT)", "RFC 6598"},
	row{"127.0.0.0/8", Loopback, "loopback", "RFC 1122 section 3.2.1.3"},
	row{"169.254.0.0/16", Never, "link-local (where clouds serve credentials too)", "RFC 3927"},
	row{"172.16.0.0/12", Private, "a private network", "RFC 1918"},
	row{"192.0.0.0/24", Never, "protocol assignments", "RFC 6890"}, // and Oracle's metadata
	row{"192.0.2.0/24", Documentation, "documentation", "RFC 5737"},
	row{"192.88.99.0/24", Never, "a 6to4 relay", "RFC 7526"},
	row{"192.168.0.0/16", Private, "a private network", "RFC 1918"},
	row{"198.18.0.0/15", Never, "benchmarking", "RFC 2544"},
	row{"198.51.100.0/24", Documentation, "documentation", "RFC 5737"},
	row{"203.0.113.0/24", Documentation, "documentation", "RFC 5737"},
	row{"224.0.0.0/4", Never, "multicast", "RFC 5771"},
	row{"255.255.255.255/32", Never, "broadcast", "RFC 919 section 7"},
	row{"240.0.0.0/4", Never, "reserved", "RFC 1112 section 4"},

	row{"::1/128", Loopback, "loopback", "RFC 4291 section 2.5.3"},
	row{"::/96", Never, "unspecified or IPv4-compatible", "RFC 4291 section 2.5.5.1"},
	row{"64:ff9b::/96", Never, "translated IPv4 (NAT64)", "RFC 6052"},
	row{"64:ff9b:1::/48", Never, "translated IPv4 (NAT64)", "RFC 8215"},
	row{"fc00::/7", Private, "unique local", "RFC 4193"},
	row{"fe80::/10", Never, "link-local", "RFC 4291 section 2.5.6"},
	row{"fec0::/10", Never, "site-local", "RFC 3879"},
	row{"ff00::/8", Never, "multicast", "RFC 4291 section 2.7"},
	row{"2001::/32", Never, "Teredo", "RFC 4380"},
	row{"2001::/23", Never, "protocol assignments", "RFC 2928"},
	row{"2001:db8::/32", Documentation, "documentation", "RFC 3849"},
	row{"2002::/16", Never, "6to4", "RFC 3056"},
	row{"3fff::/20", Documentation, "documentation", "RFC 9637"},
)

// row is a Range as it is written down.
type row struct {
	prefix       string
	class        Class
	what, source string
}

func table(rows ...row) []Range {
	list := make([]Range, 0, len(rows))
	for _, r := range rows {
		list = append(list, Range{netip.MustParsePrefix(r.prefix), r.class, r.what, r.source})
	}
	return list
}

// special reports whether a range has a first octet of IPv4, so that most
// addresses cost no look at the table.
var special = func() (octets [256]bool) {
	for _, r := range ranges {
		if !r.Prefix.Addr().Is4() {
			continue
		}
		first, last := int(r.Prefix.Addr().As4()[0]), 0
		last = first
		if r.Prefix.Bits() < 8 {
			last = first | (1<<(8-r.Prefix.Bits()) - 1)
		}
		for ; first <= last; first++ {
			octets[first] = true
		}
	}
	return octets
}()

// global6 is the part of IPv6 that is assigned to hosts of the internet.
var global6 = netip.MustParsePrefix("2000::/3")

// Judge describes what kind of address one is, and what it is in words where it is not
// public. An IPv4-mapped address is judged as the IPv4 address to which the kernel
// would send.
func Judge(a netip.Addr) (Class, string) {
	if !a.IsValid() {
		return Never, "no address"
	}
	if a.Zone() != "" {
		return Never, "an address with a zone, which means another host on each machine"
	}
	a = a.Unmap()
	if a.Is4() && !special[a.As4()[0]] {
		return Public, ""
	}
	for i := range ranges {
		if ranges[i].Prefix.Contains(a) {
			return ranges[i].Class, ranges[i].What
		}
	}
	if a.Is6() && !global6.Contains(a) {
		return Never, "not global unicast"
	}
	return Public, ""
}

// metadataNames are those under which clouds serve credentials to their machines.
var metadataNames = []string{
	"metadata", "metadata.google.internal", "metadata.goog", "metadata.azure.internal", "metadata.tencentyun.com",
	"metadata.platformequinix.com", "metadata.packet.net", "instance-data", "instance-data.ec2.internal",
}

// JudgeName returns what a name resolves to as far as that is fixed. It returns Public
// for every name that has to be looked up.
func JudgeName(name string) (Class, string) {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	switch {
	case name == "localhost" || strings.HasSuffix(name, ".localhost"): // RFC 6761 section 6.3
		return Loopback, "loopback"
	case IsNumber(name):
		return Never, "a number that some programs read as an address"
	}
	for _, known := range metadataNames {
		if name == known {
			return Never, "a cloud metadata service"
		}
	}
	return Public, ""
}

// IsNumber reports whether a name ends in a number. C libraries and browsers read
// 2130706433, 0x7f.1 and 0177.0.0.1 as IPv4 addresses.
func IsNumber(name string) bool {
	name = strings.TrimSuffix(name, ".")
	last := strings.ToLower(name[strings.LastIndexByte(name, '.')+1:])
	digits, hex := strings.CutPrefix(last, "0x")
	if hex {
		return strings.Trim(digits, "0123456789abcdef") == ""
	}
	return strings.Trim(last, "0123456789") == ""
}
