package policy

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/e164"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/profile"
	"github.com/tollgate/tollgate/internal/routing"
)

func connectionOf(account, number id.ID, prefix, token string) Change {
	return connectionListing(account, number, prefix, token)
}

// connectionListing is a connection whose callers may show the numbers.
func connectionListing(account, number id.ID, prefix, token string, numbers ...e164.Number) Change {
	c := connection.NewIPConnection()
	c.ID, c.AccountID = number, account
	c.CallerIDs.Numbers = numbers
	c.Outbound.TechPrefix = prefix
	if token != "" {
		c.Outbound.IPAuthenticationMethod = "token"
		c.Outbound.IPAuthenticationToken = &token
	}
	return PutIPConn(&c)
}

func network(number, of id.ID, text string) Change {
	n, err := connection.ParseNetwork(text)
	if err != nil {
		panic(err)
	}
	return PutIP(&connection.IP{Head: collection.Head[id.ID]{ID: number}, ConnectionID: of, IPAddress: n})
}

// An address that an admin has shared: only a token or a tech prefix tells whose a call
// is, whatever the order in which this node has learnt of them, and a call for help is
// the owner's.
func TestSharedAddress(t *testing.T) {
	changes := []Change{
		PutAccount(&Account{ID: 1, Active: true}),
		PutAccount(&Account{ID: 2, Active: true, Shared: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/28")}}),
		connectionOf(1, 10, "", ""), connectionOf(1, 11, "1111", ""),
		connectionOf(2, 12, "1212", ""), connectionOf(2, 13, "", "secret"), connectionOf(2, 14, "", ""),
		// The guest's address is older than the owner's: it was moved here.
		network(20, 12, "192.0.2.1"), network(21, 13, "192.0.2.1"), network(22, 14, "192.0.2.0/30"),
		network(30, 11, "192.0.2.1"), network(31, 10, "192.0.2.0/24"),
	}
	forward := with(t, &Snapshot{}, changes...)
	slices.Reverse(changes)
	backward := with(t, &Snapshot{}, changes...)
	for _, c := range []struct {
		source, dialled, token string
		want                   id.ID
		identity               Identity
	}{
		{"192.0.2.1", "111113125550199", "", 11, IdentityKnown},
		{"192.0.2.1", "121213125550199", "", 12, IdentityKnown},
		{"192.0.2.1", "121213125550199", "secret", 13, IdentityKnown}, // a token is a secret, a prefix is not
		{"192.0.2.1", "+13125550199", "secret", 13, IdentityKnown},
		{"192.0.2.1", "+13125550199", "guess", 0, IdentityNoPrefix}, // neither account's plain connection
		{"192.0.2.2", "+13125550199", "", 0, IdentityNoPrefix},      // there are two plain ones, of two accounts
		{"192.0.2.9", "+13125550199", "", 10, IdentityKnown},        // the owner's alone
		{"192.0.2.1", "911", "", 11, IdentityKnown},                 // of the owner's, the one whose address was added first
		{"192.0.2.1", "112", "guess", 11, IdentityKnown},
		{"192.0.2.1", "1212911", "", 12, IdentityKnown}, // said whose it is
		{"192.0.3.1", "911", "", 0, IdentityNone},
	} {
		for name, s := range map[string]*Snapshot{"forward": forward, "backward": backward} {
			got, _, identity := s.BySource(netip.MustParseAddr(c.source), c.dialled, c.token, 0)
			found := id.ID(0)
			if got != nil {
				found = got.ID
			}
			if found != c.want || identity != c.identity {
				t.Errorf("%s: %s dials %s with %q: %v, %v; want %v, %v", name, c.source, c.dialled, c.token, found, identity,
					c.want, c.identity)
			}
		}
	}
	// A switch says whose call it is, so the plain connection of its account takes it.
	if c, _, _ := forward.BySourceOf(2, netip.MustParseAddr("192.0.2.2"), "+13125550199", "", 0); c == nil || c.ID != 14 {
		t.Errorf("of account 2: %+v", c)
	}
	if c, _, _ := forward.BySourceOf(1, netip.MustParseAddr("192.0.2.1"), "121213125550199", "", 0); c == nil ||
		c.ID != 10 {
		t.Errorf("of account 1, which the prefix of another does not concern: %+v", c)
	}
}

// Of the networks that an address is in, the smallest counts.
func TestLongestPrefix(t *testing.T) {
	s := with(t, &Snapshot{}, ipConnection(10, "", ""), ipConnection(11, "", ""), ipConnection(12, "", ""),
		ipConnection(13, "9999", ""),
		network(20, 10, "192.0.0.0/16"), network(21, 11, "192.0.2.0/24"), network(22, 12, "192.0.2.7"),
		network(23, 13, "192.0.2.8"),
		network(24, 10, "2001:db8::/32"), network(25, 11, "2001:db8:1::/48"))
	for source, want := range map[string]id.ID{
		"192.0.1.1": 10, "192.0.2.1": 11, "192.0.2.7": 12, "::ffff:192.0.2.7": 12, "192.0.2.8": 11, "192.1.0.0": 0,
		"191.255.255.255": 0,
		"192.0.2.255":     11, "192.0.3.0": 10, "2001:db8::1": 10, "2001:db8:1:ffff::": 11, "2001:db8:2::": 10,
		"2001:db9::": 0,
	} {
		c, _, _ := s.BySource(netip.MustParseAddr(source), "+13125550199", "", 0)
		if found := c != nil; found != (want != 0) || found && c.ID != want {
			t.Errorf("%s: %+v, want %v", source, c, want)
		}
		if s.Known(netip.MustParseAddr(source)) != (want != 0) {
			t.Errorf("%s: known %v", source, want == 0)
		}
	}
	moved := with(t, s, network(21, 11, "198.51.100.0/24"), DropIP(22))
	if c, _, _ := moved.BySource(netip.MustParseAddr("192.0.2.7"), "+13125550199", "", 0); c == nil || c.ID != 10 {
		t.Errorf("after the smaller ones are gone: %+v", c)
	}
	gone := with(t, moved, DropIP(20), DropIP(21), DropIP(23))
	if gone.Known(netip.MustParseAddr("192.0.2.7")) || len(gone.sources.four) != 0 {
		t.Errorf("networks are left: %v", gone.sources.four)
	}
	if n := testing.AllocsPerRun(100, func() {
		s.BySource(netip.MustParseAddr("192.0.2.7"), "+13125550199", "", 0)
		s.Known(netip.MustParseAddr("2001:db8:1::1"))
	}); n != 0 {
		t.Errorf("a look-up allocates %v times", n)
	}
}

// Within one account, too, a call for help does not fail for want of a prefix or a token.
func TestHelpWithoutPrefix(t *testing.T) {
	s := with(t, &Snapshot{}, ipConnection(10, "", "secret"), ipConnection(11, "1111", ""), network(20, 11, "192.0.2.1"),
		network(21, 10, "192.0.2.1"))
	if c, rest, identity := s.BySource(netip.MustParseAddr("192.0.2.1"), "911", "", 0); c == nil || c.ID != 11 ||
		rest != "911" || identity != IdentityKnown {
		t.Errorf("911: %+v, %s, %v", c, rest, identity)
	}
	if c, _, _ := s.BySource(netip.MustParseAddr("192.0.2.1"), "+13125550199", "", 0); c != nil {
		t.Errorf("another number: %+v", c)
	}
}

func ipConnection(number id.ID, prefix, token string) Change {
	return connectionOf(1, number, prefix, token)
}

func address(number, of id.ID, text string) Change {
	return PutIP(&connection.IP{Head: collection.Head[id.ID]{ID: number},
		ConnectionID: of, IPAddress: connection.SingleAddress(netip.MustParseAddr(text))})
}

func with(t testing.TB, s *Snapshot, changes ...Change) *Snapshot {
	t.Helper()
	next, err := s.With(changes...)
	if err != nil {
		t.Fatal(err)
	}
	return next
}

func TestConnectionsBehindOneAddress(t *testing.T) {
	const shared = "192.0.2.1"
	s := with(t, &Snapshot{},
		ipConnection(10, "", ""), ipConnection(11, "1234", ""), ipConnection(12, "", "secret"),
		address(20, 10, shared), address(21, 11, shared), address(22, 12, shared),
		ipConnection(13, "7777", ""), address(23, 13, "192.0.2.2"),
		ipConnection(14, "", "other"), address(24, 14, "2001:db8::1"))
	for _, c := range []struct {
		source, dialled, token string
		want                   id.ID
		rest                   string
		identity               Identity
	}{
		{shared, "+12125550123", "", 10, "+12125550123", IdentityKnown},
		{shared, "123412125550123", "", 11, "12125550123", IdentityKnown},
		{shared, "+123412125550123", "", 11, "12125550123", IdentityKnown},
		{shared, "+12125550123", "secret", 12, "+12125550123", IdentityKnown},
		{shared, "+12125550123", "wrong", 10, "+12125550123", IdentityKnown},
		{"::ffff:192.0.2.1", "+12125550123", "", 10, "+12125550123", IdentityKnown},
		{"192.0.2.2", "+12125550123", "", 0, "+12125550123", IdentityNoPrefix},
		{"2001:db8::1", "+12125550123", "guess", 0, "+12125550123", IdentityBadToken},
		{"198.51.100.1", "+12125550123", "", 0, "+12125550123", IdentityNone},
	} {
		got, rest, identity := s.BySource(netip.MustParseAddr(c.source), c.dialled, c.token, 0)
		found := id.ID(0)
		if got != nil {
			found = got.ID
		}
		if found != c.want || rest != c.rest || identity != c.identity {
			t.Errorf("BySource(%s, %s, %q) = %v, %s, %v; want %v, %s, %v", c.source, c.dialled, c.token,
				found, rest, identity, c.want, c.rest, c.identity)
		}
	}
}

func TestUsersFollowTheirConnection(t *testing.T) {
	c := connection.NewCredentialConnection()
	c.ID = 5
	c.AccountID = 1
	c.UserName = "alice1"
	c.Password = "12345678"
	s := with(t, &Snapshot{}, PutCredential(&c))
	if got := s.ByUser("alice1"); got == nil || got.ID != 5 {
		t.Fatalf("ByUser = %+v", got)
	}
	renamed := c
	renamed.UserName = "alice2"
	next := with(t, s, PutCredential(&renamed))
	if next.ByUser("alice1") != nil || next.ByUser("alice2") == nil {
		t.Error("a renamed user is found by the old name, or not by the new one")
	}
	if s.ByUser("alice1") == nil || s.ByUser("alice2") != nil {
		t.Error("a snapshot that was handed out has changed")
	}
	if gone := with(t, next, DropConnection(5)); gone.ByUser("alice2") != nil || gone.Connection(5) != nil {
		t.Error("a dropped connection is still there")
	}
}

func TestAChangeThatDoesNotCompileChangesNothing(t *testing.T) {
	good, bad := profile.New(), profile.New()
	good.ID, bad.ID = 1, 2
	bad.WhitelistedDestinations = []string{"XX"}
	s := with(t, &Snapshot{}, PutProfile(&good))
	for _, broken := range []func(*profile.Profile){
		func(p *profile.Profile) { p.WhitelistedDestinations = []string{"XX"} },
		func(p *profile.Profile) { p.BlockedNumberTypes = []string{"expensive"} },
		func(p *profile.Profile) { p.CallingWindow = &profile.CallingWindow{TimeZone: new("Mars/Olympus")} },
	} {
		p := profile.New()
		p.ID = 1
		p.Enabled = false
		broken(&p)
		if _, err := s.With(PutProfile(&p)); err == nil {
			t.Errorf("compiled without an error: %+v", p)
		}
	}
	if !s.Profile(1).Enabled {
		t.Error("the last good profile is no longer in force")
	}
}

// TestRandomChanges compares snapshots with plain maps.
func TestRandomChanges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := &Snapshot{}
		connections, owners := map[id.ID]bool{}, map[id.ID]id.ID{} // ip -> connection
		gateways := map[id.ID]bool{}
		source := func(ip id.ID) netip.Addr { return netip.MustParseAddr(fmt.Sprintf("192.0.2.%d", ip%3+1)) }
		apply := func(c Change) {
			next, err := s.With(c)
			if err != nil {
				t.Fatal(err)
			}
			s = next
		}
		number := rapid.Int64Range(1, 6)
		t.Repeat(map[string]func(*rapid.T){
			"put connection": func(t *rapid.T) {
				n := id.ID(number.Draw(t, "connection"))
				apply(ipConnection(n, "", ""))
				connections[n] = true
			},
			"drop connection": func(t *rapid.T) {
				n := id.ID(number.Draw(t, "connection"))
				apply(DropConnection(n))
				delete(connections, n)
			},
			"put ip": func(t *rapid.T) {
				ip, of := id.ID(number.Draw(t, "ip")), id.ID(number.Draw(t, "connection"))
				apply(address(ip, of, source(ip).String()))
				owners[ip] = of
			},
			"drop ip": func(t *rapid.T) {
				ip := id.ID(number.Draw(t, "ip"))
				apply(DropIP(ip))
				delete(owners, ip)
			},
			"put gateway": func(t *rapid.T) {
				g := routing.NewGateway()
				g.ID, g.AccountID = id.ID(number.Draw(t, "gateway")), 1
				apply(PutGateway(&g))
				gateways[g.ID] = true
			},
			"drop gateway": func(t *rapid.T) {
				g := routing.Gateway{Head: collection.Head[id.ID]{ID: id.ID(number.Draw(t, "gateway")), AccountID: 1}}
				apply(DropGateway(&g))
				delete(gateways, g.ID)
			},
			"": func(t *rapid.T) {
				if len(s.Gateways(1)) != len(gateways) {
					t.Fatalf("%d gateways, want %d", len(s.Gateways(1)), len(gateways))
				}
				for n := id.ID(1); n <= 6; n++ {
					if (s.Connection(n) != nil) != connections[n] {
						t.Fatalf("connection %d: there=%v, want %v", n, s.Connection(n) != nil, connections[n])
					}
				}
				for _, from := range []id.ID{1, 2, 3} {
					known, usable := false, false
					for ip, of := range owners {
						if source(ip) == source(from) {
							known, usable = true, usable || connections[of]
						}
					}
					if s.Known(source(from)) != known {
						t.Fatalf("Known(%v) = %v, want %v", source(from), !known, known)
					}
					if c, _, _ := s.BySource(source(from), "+12125550123", "", 0); (c != nil) != usable {
						t.Fatalf("BySource(%v) found=%v, want %v", source(from), c != nil, usable)
					}
				}
			},
		})
	})
}

func BenchmarkWithOneChange(b *testing.B) {
	var changes []Change
	for i := range 100_000 {
		changes = append(changes, ipConnection(id.ID(1+i), "", ""))
	}
	s := with(b, &Snapshot{}, changes...)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.With(changes[500]); err != nil {
			b.Fatal(err)
		}
	}
}
