package storetest

import (
	"fmt"
	"net/netip"
	"sync"
	"testing"

	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/store"
)

// testAddresses has connections of one account share an address.
func testAddresses(t *testing.T, open Opener) {
	b := newBed(t, open)
	account := b.account.ID
	p := value(b.Profiles().Create(ctx, account, newProfile("other")))(t)
	add := func(c connection.IPConnection) connection.IPConnection {
		return value(b.IPConnections().Create(ctx, account, c))(t)
	}
	address := b.ip.IPAddress.String()

	plain := add(newPBX("plain", p.ID))
	refused(t, "two plain ones", errOf(b.IPs().Create(ctx, account, newIP(address, plain.ID))),
		collection.ErrDuplicate, "/ip_address")
	refused(t, "in IPv6 form", errOf(b.IPs().Create(ctx, account, newIP("::ffff:"+address, plain.ID))),
		collection.ErrDuplicate, "/ip_address")

	unattached := add(newPBX("no profile", 0))
	value(b.IPs().Create(ctx, account, newIP(address, unattached.ID)))(t)
	attach := func(o connection.IPConnection) (connection.IPConnection, error) {
		o.Outbound.OutboundVoiceProfileID = p.ID
		return o, nil
	}
	refused(t, "attached later", errOf(b.IPConnections().Update(ctx, account, unattached.ID, attach)),
		collection.ErrDuplicate, "/outbound/tech_prefix")

	prefixed := newPBX("prefixed", p.ID)
	prefixed.Outbound.TechPrefix = "1234"
	prefixed = add(prefixed)
	value(b.IPs().Create(ctx, account, newIP(address, prefixed.ID)))(t)
	refused(t, "the same prefix", b.setPrefix(account, b.pbx.ID, "1234"), collection.ErrDuplicate, "/outbound/tech_prefix")

	token := newPBX("token", p.ID)
	token.Outbound.IPAuthenticationMethod = "token"
	token.Outbound.IPAuthenticationToken = new("one")
	token = add(token)
	value(b.IPs().Create(ctx, account, newIP(address, token.ID)))(t)
	refused(t, "the same token", errOf(b.IPConnections().Update(ctx, account, b.pbx.ID,
		func(o connection.IPConnection) (connection.IPConnection, error) {
			o.Outbound.IPAuthenticationMethod = "token"
			o.Outbound.IPAuthenticationToken = new("one")
			return o, nil
		})), collection.ErrDuplicate, "/outbound/ip_authentication_token")

	c, rest, _ := b.options.Live.Snapshot().BySource(b.ip.IPAddress.Prefix().Addr(), "12342125550199", "", 0)
	if c == nil || c.ID != prefixed.ID || rest != "2125550199" {
		t.Errorf("a call with the prefix is not of the prefixed connection: %+v", c)
	}
	if page := value(b.IPs().List(ctx, account,
		collection.Query{Size: 10,
			Filters: []collection.Filter{{Field: "ip_address", Value: address}}}))(t); page.Total != 4 {
		t.Errorf("%d addresses, want 4", page.Total)
	}
	// A network of the own account around it is no matter: the smaller one counts.
	value(b.IPs().Create(ctx, account,
		newIP(netip.PrefixFrom(b.ip.IPAddress.Prefix().Addr(), 24).Masked().String(), plain.ID)))(t)
}

func (b *bed) setPrefix(account, pbx id.ID, prefix string) error {
	return errOf(b.IPConnections().Update(ctx, account, pbx,
		func(o connection.IPConnection) (connection.IPConnection, error) {
			o.Outbound.TechPrefix = prefix
			return o, nil
		}))
}

func (b *bed) share(t *testing.T, account id.ID, sources ...string) {
	t.Helper()
	value(b.Accounts().Update(ctx, account, account, func(a store.Account) (store.Account, error) {
		a.SharedSources = sources
		return a, nil
	}))(t)
}

// testOwnership has another account try to get the sources of one, by every form in
// which they can be written.
func testOwnership(t *testing.T, open Opener) {
	b := newBed(t, open)
	account, other := b.account.ID, b.other.ID
	prefixed := newPBX("prefixed", 0) // without a profile, which counts as well
	prefixed.Outbound.TechPrefix = "1212"
	thief := value(b.IPConnections().Create(ctx, other, prefixed))(t)
	value(b.IPs().Create(ctx, account, newIP("198.51.100.0/28", b.pbx.ID)))(t)
	value(b.IPs().Create(ctx, account, newIP("2001:db8:1::/48", 0)))(t) // nor need it be in use
	address := b.ip.IPAddress.Prefix().Addr()
	for _, source := range []string{
		address.String(), "::ffff:" + address.String(), netip.PrefixFrom(address, 32).String(),
		netip.PrefixFrom(address, 24).Masked().String(),
		netip.PrefixFrom(address, 8).Masked().String(), "198.51.100.0/28", "198.51.100.15", "198.51.100.8/29",
		"198.51.100.0/24", "::ffff:198.51.100.0/124",
		"2001:db8:1::1", "2001:DB8:0001::0/64", "2001:db8::/32",
	} {
		for _, connection := range []id.ID{thief.ID, 0} {
			refused(t, "claim of "+source, errOf(b.IPs().Create(ctx, other, newIP(source, connection))),
				store.ErrTaken, "/ip_address")
		}
	}
	// Neither does a claim go by way of one's own.
	mine := value(b.IPs().Create(ctx, other, newIP("203.0.113.9", thief.ID)))(t)
	refused(t, "move", errOf(b.IPs().Update(ctx, other, mine.ID, func(ip connection.IP) (connection.IP, error) {
		ip.IPAddress = newIP("198.51.100.3", 0).IPAddress
		return ip, nil
	})), store.ErrTaken, "/ip_address")
	value(b.IPs().Create(ctx, other, newIP("198.51.100.16", thief.ID)))(t)

	b.share(t, other, address.String(), "198.51.100.4/30")
	refused(t, "more than is shared", errOf(b.IPs().Create(ctx, other, newIP("198.51.100.0/29", thief.ID))),
		store.ErrTaken, "/ip_address")
	refused(t, "whom none can tell apart", errOf(b.IPs().Create(ctx, other, newIP(address.String(), thief.ID))),
		store.ErrIndistinct, "/ip_address")
	if err := b.setPrefix(account, b.pbx.ID, "1313"); err != nil {
		t.Fatal(err)
	}
	value(b.IPs().Create(ctx, other, newIP(address.String(), thief.ID)))(t)
	value(b.IPs().Create(ctx, other, newIP("198.51.100.5", thief.ID)))(t)
	for _, change := range []struct {
		account, pbx id.ID
		prefix       string
	}{{account, b.pbx.ID, ""}, {account, b.pbx.ID, "1212"}, {other, thief.ID, ""}, {other, thief.ID, "1313"}} {
		refused(t, "prefix "+change.prefix, b.setPrefix(change.account, change.pbx, change.prefix),
			store.ErrIndistinct, "/outbound/tech_prefix")
	}
	// What goes on there may be changed otherwise, and is free again when it is gone.
	value(b.IPs().Update(ctx, account, b.ip.ID, func(ip connection.IP) (connection.IP, error) {
		ip.Port = 5080
		return ip, nil
	}))(t)
	value(b.IPConnections().Delete(ctx, account, b.pbx.ID))(t)
	b.share(t, other)
	value(b.IPs().Create(ctx, other, newIP("198.51.100.7", thief.ID)))(t)
}

// testNameOwnership is testOwnership for domain names.
func testNameOwnership(t *testing.T, open Opener) {
	b := newBed(t, open)
	account, other := b.account.ID, b.other.ID
	owner := value(b.FQDNConnections().Create(ctx, account, newFQDNConnection("owner", 0)))(t)
	thief := newFQDNConnection("thief", 0)
	thief.Outbound.TechPrefix = "1212"
	thief = value(b.FQDNConnections().Create(ctx, other, thief))(t)
	value(b.FQDNs().Create(ctx, account, namedFQDN("xn--bcher-kva.Example.COM", owner.ID)))(t)
	for _, name := range []string{"xn--bcher-kva.example.com", "XN--BCHER-KVA.EXAMPLE.COM.",
		"xn--bcher-kva.example.com."} {
		refused(t, name, errOf(b.FQDNs().Create(ctx, other, namedFQDN(name, thief.ID))), store.ErrTaken, "/fqdn")
	}
	b.share(t, other, "xn--bcher-kva.example.com")
	refused(t, "not told apart", errOf(b.FQDNs().Create(ctx, other, namedFQDN("xn--bcher-kva.example.com", thief.ID))),
		store.ErrIndistinct, "/fqdn")
}

func namedFQDN(name string, c id.ID) connection.FQDN {
	return connection.FQDN{FQDN: name, ConnectionID: c, DNSRecordType: "a"}
}

// testRacingClaims has two accounts claim one address at the same moment.
func testRacingClaims(t *testing.T, open Opener) {
	b := newBed(t, open)
	Race(t, b.Store, b.Store, b.account.ID, b.other.ID)
}

// Race has two accounts claim networks that overlap, and one user name for connections of
// two kinds, each through a store of its own on the same data. Exactly one wins each time.
func Race(t *testing.T, one, two Store, first, second id.ID) {
	t.Helper()
	for i := range 20 {
		user := fmt.Sprintf("racer%d", i)
		raced(t, collection.ErrDuplicate, "/user_name",
			func() error { return errOf(one.CredentialConnections().Create(ctx, first, newPhone(user, 0))) },
			func() error {
				c := newFQDNConnection("racer", 0)
				c.UserName, c.Password = &user, new("correct horse")
				return errOf(two.FQDNConnections().Create(ctx, second, c))
			})
		// Without a connection, which makes no difference.
		raced(t, store.ErrTaken, "/ip_address",
			func() error {
				return errOf(one.IPs().Create(ctx, first, newIP(netip.AddrFrom4([4]byte{100, 65, byte(i), 7}).String(), 0)))
			},
			func() error {
				return errOf(two.IPs().Create(ctx, second,
					newIP(netip.PrefixFrom(netip.AddrFrom4([4]byte{100, 65, byte(i), 0}), 24).String(), 0)))
			})
	}
}

// raced makes two claims at once, of which one must be refused at a place.
func raced(t *testing.T, refusal error, place string, claims ...func() error) {
	t.Helper()
	errs := make([]error, len(claims))
	var racing sync.WaitGroup
	for j, claim := range claims {
		racing.Go(func() { errs[j] = claim() })
	}
	racing.Wait()
	if (errs[0] == nil) == (errs[1] == nil) {
		t.Fatalf("%v and %v; one must win", errs[0], errs[1])
	}
	for _, err := range errs {
		if err != nil {
			refused(t, "the loser", err, refusal, place)
		}
	}
}
