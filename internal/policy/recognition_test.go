package policy

import (
	"net/netip"
	"testing"

	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/id"
)

func fqdnConnection(number id.ID, change func(*connection.FQDNConnection)) Change {
	c := connection.NewFQDNConnection()
	c.ID, c.AccountID = number, 1
	change(&c)
	return PutFQDNConn(&c)
}

// The number of P-Charge-Info chooses among connections of one account behind an address,
// after a token and a tech prefix.
func TestChargedNumbers(t *testing.T) {
	listing := connectionListing
	changes := []Change{
		PutAccount(&Account{ID: 1, Active: true}), PutAccount(&Account{ID: 2, Active: true}),
		listing(1, 10, "", "", 13125550110), listing(1, 11, "1111", "", 13125550111, 13125550110),
		listing(1, 12, "", "secret", 13125550112),
		network(20, 10, "192.0.2.1"), network(21, 11, "192.0.2.1"), network(22, 12, "192.0.2.1"),
		listing(1, 13, "", "", 13125550113), listing(2, 14, "2222", "", 13125550114),
		network(23, 13, "192.0.2.9"), network(24, 14, "192.0.2.9"),
	}
	s := with(t, &Snapshot{}, changes...)
	for _, c := range []struct {
		source, dialled, token, charged string
		want                            id.ID
	}{
		{"192.0.2.1", "+12125550123", "", "+13125550111", 11}, // its prefix was not dialled
		{"192.0.2.1", "+12125550123", "", "13125550111", 11},
		{"192.0.2.1", "+12125550123", "", "+13125550110", 10}, // the one whose address was added first
		{"192.0.2.1", "+12125550123", "", "+13125550112", 10}, // of one that wants its token
		{"192.0.2.1", "+12125550123", "secret", "+13125550111", 12},
		{"192.0.2.1", "111112125550123", "", "+13125550110", 11},
		{"192.0.2.1", "+12125550123", "", "+13125550199", 10}, // of no connection
		{"192.0.2.1", "+12125550123", "", "anonymous", 10}, {"192.0.2.1", "+12125550123", "", "", 10},
		{"192.0.2.9", "+12125550123", "", "+13125550113", 0}, // where two accounts share an address
		{"192.0.2.9", "+12125550123", "", "+13125550114", 0},
		{"192.0.2.7", "+12125550123", "", "+13125550110", 0}, // from elsewhere
	} {
		got, rest, _ := s.BySource(netip.MustParseAddr(c.source), c.dialled, c.token, ChargedNumber(c.charged))
		if (got == nil) != (c.want == 0) || got != nil && got.ID != c.want {
			t.Errorf("%+v: %+v", c, got)
		}
		if got != nil && got.TechPrefix == "" && rest != c.dialled {
			t.Errorf("%+v: %s is left to dial", c, rest)
		}
	}
}

// An FQDN connection is reached by its credentials, and by an address if that is asked for.
func TestWaysIn(t *testing.T) {
	asked := func(method string) func(*connection.FQDNConnection) {
		return func(c *connection.FQDNConnection) { c.Outbound.FQDNAuthenticationMethod = &method }
	}
	user := func(c *connection.FQDNConnection) { c.UserName, c.Password = new("alice1"), new("correct-horse") }
	for name, c := range map[string]struct {
		change     []func(*connection.FQDNConnection)
		user, addr bool
	}{
		"nothing":              {nil, false, true},
		"a user":               {[]func(*connection.FQDNConnection){user}, true, false},
		"a user by choice":     {[]func(*connection.FQDNConnection){user, asked(connection.MethodCredential)}, true, false},
		"no user by choice":    {[]func(*connection.FQDNConnection){asked(connection.MethodCredential)}, false, false},
		"an address or a user": {[]func(*connection.FQDNConnection){user, asked(connection.MethodIP)}, true, true},
		"no password": {[]func(*connection.FQDNConnection){func(c *connection.FQDNConnection) { c.UserName = new("alice1") }},
			false, true},
		"a token that is not there": {[]func(*connection.FQDNConnection){func(c *connection.FQDNConnection) {
			c.Outbound.IPAuthenticationMethod = connection.MethodToken
		}}, false, false},
	} {
		s := with(t, &Snapshot{}, fqdnConnection(10, func(f *connection.FQDNConnection) {
			for _, change := range c.change {
				change(f)
			}
		}), network(20, 10, "192.0.2.1"))
		byUser, byAddress := s.WaysIn(s.Connection(10))
		found, _, _ := s.BySource(netip.MustParseAddr("192.0.2.1"), "+12125550123", "", 0)
		if byUser != c.user || byAddress != c.addr || (found != nil) != c.addr || (s.ByUser("alice1") != nil) != c.user {
			t.Errorf("%s: by user %t, by address %t; found by address: %v", name, byUser, byAddress, found != nil)
		}
		if byUser && s.ByUser("alice1").HA1 != connection.HA1Of("alice1", "correct-horse") {
			t.Errorf("%s: HA1s of another password", name)
		}
		gone := with(t, s, DropIP(20))
		if _, left := gone.WaysIn(gone.Connection(10)); left {
			t.Errorf("%s: without an address it is reached by one", name)
		}
	}
}

// A user name that has gone to another connection is not lost with the first one,
// whichever change is learned of first.
func TestAUserNameMoves(t *testing.T) {
	named := func(name string) Change {
		return fqdnConnection(10, func(c *connection.FQDNConnection) { c.UserName, c.Password = &name, new("correct-horse") })
	}
	mine, renamed := named("alice1"), named("alice2")
	taken := connection.NewCredentialConnection()
	taken.ID = 11
	taken.AccountID = 1
	taken.UserName = "alice1"
	taken.Password = "battery-staple"
	for name, changes := range map[string][]Change{
		"in order": {renamed, PutCredential(&taken)}, "the other way": {PutCredential(&taken), renamed},
		"deleted": {PutCredential(&taken), DropConnection(10)},
	} {
		s := with(t, with(t, &Snapshot{}, mine), changes...)
		if c := s.ByUser("alice1"); c == nil || c.ID != 11 || !s.HasUsers() {
			t.Errorf("%s: the user leads to %+v", name, c)
		}
		none := with(t, s, DropConnection(11), DropConnection(10))
		if none.HasUsers() || none.ByUser("alice1") != nil {
			t.Errorf("%s: users are left", name)
		}
	}
}
