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

// The identities. Their order is stored in decisions; append only.
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
	// used counts the networks of each length, those of IPv4 as their length and
	// those of IPv6 as their length behind them. The lists are the lengths that there
	// are, longest first: a look-up tries these and no other.
	used      [33 + 129]int32
	four, six []uint8
}

// claim is a connection that sends from a network, by one of its addresses.
type claim struct{ ip, connection id.ID }

// placed is where an address is in the networks.
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
	// In the same order on every node, whatever the order of the changes was.
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

func (s *sources) count(network netip.Prefix, by int32) {
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

// lengths are those of the networks that an address may be in, longest first.
func (s *sources) lengths(source netip.Addr) []uint8 {
	if source.Is4() {
		return s.four
	}
	return s.six
}

// at are the claims of the network of this length that an address is in, in the order
// in which they were made.
func (s *sources) at(source netip.Addr, bits uint8) []claim {
	network, err := source.Prefix(int(bits))
	if err != nil {
		return nil
	}
	return s.networks.get(hashPrefix(network), network)
}

// Known says whether any connection may send from this address. It is what the source
// filter in front of the parser asks.
func (s *Snapshot) Known(source netip.Addr) bool {
	source = source.Unmap().WithZone("")
	for _, bits := range s.sources.lengths(source) {
		if len(s.sources.at(source, bits)) > 0 {
			return true
		}
	}
	return false
}

// BySource finds the connection of a request by its source address. Of the connections
// whose networks the address is in,
//
//  1. the one whose token the request has takes it, and else
//  2. the one whose tech prefix was dialled, and else
//  3. the one that lists the number of P-Charge-Info as a caller id, unless it has a
//     token, and else
//  4. one with neither, of the smallest network that has one; those with a profile come
//     first, and then the one whose address was added first.
//
// 3 and 4 hold only while all of them are of one account: where an admin has shared an
// address, nothing but a token or a tech prefix tells whose a call is, since anybody may
// list any number. Connections for which an address is not enough are passed over.
//
// What is left may be a call for help, which must not fail for want of a prefix. It is
// put down to a connection of the account that has the address by itself, and not of one
// that an admin lets use it too; of several to the one whose address was added first.
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

// ChargedNumber is the number that P-Charge-Info names by this text, 0 for none. One without
// its plus is read alike.
func ChargedNumber(text string) e164.Number {
	number, err := e164.Parse("+" + strings.TrimPrefix(text, "+"))
	if err != nil {
		return 0
	}
	return number
}

// found is what a look through the connections behind an address has found.
type found struct {
	token, prefix, charged, plain *Connection

	account id.ID // of the first
	shared  bool  // there are others of another account
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

// helped is the connection to which a call for help from an address is put down, or nil
// when it is none.
func (s *Snapshot) helped(account id.ID, source netip.Addr, dialled string) (first *Connection) {
	var oldest id.ID
	var guest bool // first is of an account that the address is shared with
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

// mayUse says whether an admin lets the account use an address of others too.
func (a *Account) mayUse(source netip.Addr) bool {
	return a != nil && slices.ContainsFunc(a.Shared, func(p netip.Prefix) bool { return p.Contains(source) })
}
