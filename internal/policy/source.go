package policy

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/e164"
	"github.com/tollgate/tollgate/internal/id"
)

// Identity is how the sender of a request was recognised, or why it was not.
type Identity uint8

// The identities. Decisions store them by number: append only.
const (
	IdentityNone     Identity = iota // no connection has this address or user
	IdentityKnown                    // one connection matches
	IdentityBadToken                 // the address is known, its token is not
	IdentityNoPrefix                 // the address is known, the dialled tech prefix is not
)

// sources are the networks from which connections send. The zero value is empty.
type sources struct {
	networks shards[netip.Prefix, []claim]
	ips      shards[id.ID, placed]
	of       shards[id.ID, int32] // how many each connection has
	prefixLengths
}

// prefixLengths are the lengths of networks.
type prefixLengths struct {
	// used counts the networks of each prefix length, first those of IPv4, then those of
	// IPv6. The lists hold the lengths in use, longest first: a lookup tries only these.
	used      [33 + 129]int32
	four, six []uint8
}

// claim is a connection that sends from a network that one of its addresses names.
type claim struct{ ip, connection id.ID }

// placed is the place of an address among the networks.
type placed struct {
	network    netip.Prefix
	connection id.ID
}

func (s *sources) put(ip *connection.IP) {
	s.drop(ip.ID)
	network := ip.IPAddress.Prefix()
	if ip.ConnectionID == 0 || !network.IsValid() {
		return
	}
	s.ips = s.ips.put(hashID, ip.ID, placed{network, ip.ConnectionID})
	hash := hashPrefix(network)
	claims := append(slices.Clone(s.networks.get(hash, network)), claim{ip.ID, ip.ConnectionID})
	// Every node has the same order, whatever the order of the changes was.
	slices.SortFunc(claims, func(a, b claim) int { return cmp.Compare(a.ip, b.ip) })
	s.networks = s.networks.put(hashPrefix, network, claims)
	s.of = s.of.put(hashID, ip.ConnectionID, s.of.get(uint64(ip.ConnectionID), ip.ConnectionID)+1)
	s.count(network, 1)
}

func (s *sources) drop(ip id.ID) {
	at := s.ips.get(uint64(ip), ip)
	if at.connection == 0 {
		return
	}
	s.ips = s.ips.remove(hashID, ip)
	hash := hashPrefix(at.network)
	claims := slices.DeleteFunc(slices.Clone(s.networks.get(hash, at.network)), func(c claim) bool { return c.ip == ip })
	if len(claims) == 0 {
		s.networks = s.networks.remove(hashPrefix, at.network)
	} else {
		s.networks = s.networks.put(hashPrefix, at.network, claims)
	}
	if left := s.of.get(uint64(at.connection), at.connection) - 1; left > 0 {
		s.of = s.of.put(hashID, at.connection, left)
	} else {
		s.of = s.of.remove(hashID, at.connection)
	}
	s.count(at.network, -1)
}

func (s *prefixLengths) count(network netip.Prefix, by int32) {
	of, lengths := s.used[:33], &s.four
	if network.Addr().Is6() {
		of, lengths = s.used[33:], &s.six
	}
	before := of[network.Bits()]
	of[network.Bits()] += by
	if (before == 0) == (before+by == 0) {
		return
	}
	var used []uint8
	for bits := len(of) - 1; bits >= 0; bits-- {
		if of[bits] > 0 {
			used = append(used, uint8(bits))
		}
	}
	*lengths = used
}

// lengths returns the lengths of the networks that may contain an address, longest first.
func (s *prefixLengths) lengths(source netip.Addr) []uint8 {
	if source.Is4() {
		return s.four
	}
	return s.six
}

// at returns the claims of the network of this length that contains an address, in the
// order in which they were made.
func (s *sources) at(source netip.Addr, bits uint8) []claim {
	network, err := source.Prefix(int(bits))
	if err != nil {
		return nil
	}
	return s.networks.get(hashPrefix(network), network)
}

// Known reports whether any connection may send from this address. The source filter
// before the parser uses it.
func (s *Snapshot) Known(source netip.Addr) bool {
	source = source.Unmap().WithZone("")
	for _, bits := range s.sources.lengths(source) {
		if len(s.sources.at(source, bits)) > 0 {
			return true
		}
	}
	return false
}

// BySource finds the connection of a request by its source address. Among the connections
// whose networks contain the address, the first that exists of these is chosen:
//
//  1. the one whose token the request carries,
//  2. the one whose tech prefix was dialled,
//  3. the one without a token that lists the number of P-Charge-Info as a caller id,
//  4. one with neither token nor tech prefix, of the smallest network that has one; those
//     with a profile come first, then the one whose address was added first.
//
// 3 and 4 apply only if all of them belong to one account. If an admin has shared an
// address, only a token or a tech prefix tells whose call it is, since anyone may list
// any number. Connections that need credentials are skipped.
//
// A request that matches none may be an emergency call, which must not fail because a
// prefix is missing. It is attributed to a connection of the account that owns the
// address, not of one that shares it; of several, to the one whose address was added
// first.
//
// The rest of the dialled text is returned without the tech prefix. charged is the number
// of P-Charge-Info, 0 for none.
func (s *Snapshot) BySource(source netip.Addr, dialled, token string,
	charged e164.Number) (*Connection, string, Identity) {
	return s.bySource(0, source, dialled, token, charged)
}

// BySourceOf is BySource among the connections of one account.
func (s *Snapshot) BySourceOf(account id.ID, source netip.Addr, dialled, token string,
	charged e164.Number) (*Connection, string, Identity) {
	return s.bySource(account, source, dialled, token, charged)
}

// ChargedNumber returns the number in the text of a P-Charge-Info header, or 0. The plus
// is optional.
func ChargedNumber(text string) e164.Number {
	number, err := e164.Parse("+" + strings.TrimPrefix(text, "+"))
	if err != nil {
		return 0
	}
	return number
}

// found is the result of a search among the connections behind an address.
type found struct {
	token, prefix, charged, plain *Connection

	account id.ID // of the first
	shared  bool  // some belong to another account
	seen    Identity
}

func (f *found) see(c *Connection, digits, token string, charged e164.Number) {
	f.shared = f.shared || f.account != 0 && f.account != c.Account
	f.account = c.Account
	switch {
	case c.Token != "":
		if token == c.Token && f.token == nil {
			f.token = c
		}
		f.seen = max(f.seen, IdentityBadToken)
		return
	case c.TechPrefix != "":
		if strings.HasPrefix(digits, c.TechPrefix) && f.prefix == nil {
			f.prefix = c
		}
		f.seen = IdentityNoPrefix
	case f.plain == nil || f.plain.Profile == 0 && c.Profile != 0:
		f.plain = c
	}
	if f.charged == nil && c.CallerIDs.Listed.Has(charged) {
		f.charged = c
	}
}

func (s *Snapshot) bySource(account id.ID, source netip.Addr, dialled, token string,
	charged e164.Number) (*Connection, string, Identity) {
	source = source.Unmap().WithZone("")
	digits := strings.TrimPrefix(dialled, "+")
	var f found
	for _, bits := range s.sources.lengths(source) {
		for _, claim := range s.sources.at(source, bits) {
			c := s.Connection(claim.connection)
			if c != nil && c.ByAddress && (account == 0 || c.Account == account) {
				f.see(c, digits, token, charged)
			}
		}
	}
	switch {
	case f.token != nil:
		return f.token, dialled, IdentityKnown
	case f.prefix != nil:
		return f.prefix, digits[len(f.prefix.TechPrefix):], IdentityKnown
	case f.charged != nil && !f.shared:
		return f.charged, dialled, IdentityKnown
	case f.plain != nil && !f.shared:
		return f.plain, dialled, IdentityKnown
	case f.plain != nil:
		f.seen = max(f.seen, IdentityNoPrefix)
	}
	if c := s.helped(account, source, dialled); c != nil {
		return c, dialled, IdentityKnown
	}
	return nil, dialled, f.seen
}

// helped returns the connection to which an emergency call from an address is attributed,
// or nil.
func (s *Snapshot) helped(account id.ID, source netip.Addr, dialled string) (first *Connection) {
	var oldest id.ID
	var guest bool // first belongs to an account that shares the address
	for _, bits := range s.sources.lengths(source) {
		for _, claim := range s.sources.at(source, bits) {
			c := s.Connection(claim.connection)
			if c == nil || account != 0 && c.Account != account {
				continue
			}
			owner := s.Account(c.Account)
			_, urgent := c.Emergency(owner, dialled)
			shared := owner.mayUse(source)
			if urgent && (first == nil || guest && !shared || guest == shared && claim.ip < oldest) {
				first, oldest, guest = c, claim.ip, shared
			}
		}
	}
	return first
}

// mayUse reports whether an admin lets the account share an address of other accounts.
func (a *Account) mayUse(source netip.Addr) bool {
	return a != nil && slices.ContainsFunc(a.Shared, func(p netip.Prefix) bool { return p.Contains(source) })
}
