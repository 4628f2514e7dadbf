package policy

import (
	"net/netip"
	"slices"

	"github.com/tollgate/tollgate/internal/routing"
)

// carriers are the addresses from which gateways send messages. The zero value is
// empty.
type carriers struct {
	networks shards[netip.Prefix, int32] // how many gateways name each
	prefixLengths
	streams int // gateways that are reached over TCP or TLS, or may be
}

// count counts a gateway in, or out by -1.
func (c *carriers) count(g *routing.Gateway, by int32) {
	if !g.Enabled {
		return
	}
	if g.Transport != "udp" {
		c.streams += int(by)
	}
	for _, network := range g.Addresses {
		prefix := network.Prefix()
		if !prefix.IsValid() {
			continue
		}
		n := c.networks.get(hashPrefix(prefix), prefix) + by
		if n > 0 {
			c.networks = c.networks.put(hashPrefix, prefix, n)
		} else {
			c.networks = c.networks.remove(hashPrefix, prefix)
		}
		c.prefixLengths.count(prefix, by)
	}
}

func (c *carriers) contain(source netip.Addr) bool {
	source = source.Unmap().WithZone("")
	return slices.ContainsFunc(c.lengths(source), func(bits uint8) bool {
		network, err := source.Prefix(int(bits))
		return err == nil && c.networks.get(hashPrefix(network), network) > 0
	})
}

// Carrier reports whether a gateway names the address among its further ones.
func (s *Snapshot) Carrier(source netip.Addr) bool { return s.carriers.contain(source) }

// HasStreams reports whether a gateway is reached over TCP or TLS, or may be.
func (s *Snapshot) HasStreams() bool { return s.carriers.streams > 0 }
