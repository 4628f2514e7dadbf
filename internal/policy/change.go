package policy

import (
	"slices"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/e164"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/numbering"
	"github.com/tollgate/tollgate/internal/profile"
	"github.com/tollgate/tollgate/internal/routing"
	"github.com/tollgate/tollgate/internal/verification"
	"github.com/tollgate/tollgate/internal/webhook"
)

// Change is one change of the policy. A Put adds an object or replaces the one with the
// same id. A Drop removes an object, and does nothing if it does not exist.
type Change struct {
	// Object is what changes, so that other nodes can read it again.
	Object Object
	apply  func(*Snapshot) error
}

// Object names an object of the policy.
type Object struct {
	Kind    Kind
	Account id.ID // only of gateways and number lists
	ID      id.ID // 0 if the kind has other ids
}

// Kind is a kind of object. Its text is stored, and a database may hold unknown texts.
type Kind string

// The kinds of object.
const (
	KindAccount    Kind = "account"
	KindProfile    Kind = "profile"
	KindConnection Kind = "connection"
	KindIP         Kind = "ip"
	KindGateway    Kind = "gateway"
	KindDeck       Kind = "deck"
	KindWebhook    Kind = "webhook"
	KindOverride   Kind = "override"
	KindVerified   Kind = "verified_number"
	KindNumberList Kind = "number_list"
	KindRoute      Kind = "route"
	KindSpendLimit Kind = "spend_limit"
	KindAnything   Kind = "anything" // a change that cannot be read again alone
)

// With returns the snapshot that results from applying the changes in order. On an error
// none of them is applied. The receiver is never modified.
func (s *Snapshot) With(changes ...Change) (*Snapshot, error) {
	next := *s
	for _, c := range changes {
		if err := c.apply(&next); err != nil {
			return nil, err
		}
	}
	if next.stale {
		next.compileNumbering()
	}
	next.arrangeRoutes()
	next.version++
	return &next, nil
}

// change is a change that cannot fail.
func change(kind Kind, object id.ID, apply func(*Snapshot)) Change {
	return Change{Object{Kind: kind, ID: object}, func(s *Snapshot) error {
		apply(s)
		return nil
	}}
}

// PutAccount adds or replaces an account.
func PutAccount(a *Account) Change {
	return change(KindAccount, a.ID, func(s *Snapshot) { s.accounts = s.accounts.put(hashID, a.ID, a) })
}

// DropAccount removes an account.
func DropAccount(account id.ID) Change {
	return change(KindAccount, account, func(s *Snapshot) { s.accounts = s.accounts.remove(hashID, account) })
}

// PutProfile adds or replaces a profile.
func PutProfile(p *profile.Profile) Change {
	return Change{Object{Kind: KindProfile, ID: p.ID}, func(s *Snapshot) error {
		compiled, err := CompileProfile(p)
		if err != nil {
			return err
		}
		s.profiles = s.profiles.put(hashID, compiled.ID, compiled)
		return nil
	}}
}

// DropProfile removes a profile.
func DropProfile(profile id.ID) Change {
	return change(KindProfile, profile, func(s *Snapshot) { s.profiles = s.profiles.remove(hashID, profile) })
}

// PutIPConn adds or replaces an IP connection.
func PutIPConn(c *connection.IPConnection) Change {
	return putConnection(&c.Base, func() (*Connection, error) { return compileIP(c) })
}

// PutCredential adds or replaces a credential connection.
func PutCredential(c *connection.CredentialConnection) Change {
	return putConnection(&c.Base, func() (*Connection, error) { return compileCredential(c) })
}

// PutFQDNConn adds or replaces an FQDN connection.
func PutFQDNConn(c *connection.FQDNConnection) Change {
	return putConnection(&c.Base, func() (*Connection, error) { return compileFQDN(c) })
}

func putConnection(b *connection.Base, compile func() (*Connection, error)) Change {
	return Change{Object{Kind: KindConnection, ID: b.ID}, func(s *Snapshot) error {
		s.putConnectionWebhook(b)
		return s.putConnection(compile())
	}}
}

// DropConnection removes a connection of any kind.
func DropConnection(connection id.ID) Change {
	return change(KindConnection, connection, func(s *Snapshot) {
		s.dropConnection(connection)
		s.dropWebhook(connection)
	})
}

// PutIP adds or replaces a source address.
func PutIP(ip *connection.IP) Change {
	return change(KindIP, ip.ID, func(s *Snapshot) { s.sources.put(ip) })
}

// DropIP removes a source address.
func DropIP(ip id.ID) Change {
	return change(KindIP, ip, func(s *Snapshot) { s.sources.drop(ip) })
}

// PutGateway adds or replaces a gateway.
func PutGateway(g *routing.Gateway) Change {
	c := change(KindGateway, g.ID, func(s *Snapshot) {
		s.dropGateway(g)
		s.gateways = s.gateways.put(hashID, g.AccountID, append(slices.Clone(s.Gateways(g.AccountID)), g))
		s.carriers.count(g, 1)
	})
	c.Object.Account = g.AccountID
	return c
}

// DropGateway removes a gateway. It needs only the account and the id.
func DropGateway(g *routing.Gateway) Change {
	c := change(KindGateway, g.ID, func(s *Snapshot) { s.dropGateway(g) })
	c.Object.Account = g.AccountID
	return c
}

// PutDeck adds or replaces a rate deck.
func PutDeck(d *Deck) Change {
	return change(KindDeck, d.ID, func(s *Snapshot) { s.decks = s.decks.put(hashID, d.ID, d) })
}

// DropDeck removes a rate deck.
func DropDeck(deck id.ID) Change {
	return change(KindDeck, deck, func(s *Snapshot) { s.decks = s.decks.remove(hashID, deck) })
}

// PutGroup adds or replaces a billing group.
func PutGroup(g *Group) Change {
	return change(KindAnything, 0, func(s *Snapshot) { s.groups = s.groups.put(hashGroup, g.ID, g) })
}

// DropGroup removes a billing group.
func DropGroup(group uuid.UUID) Change {
	return change(KindAnything, 0, func(s *Snapshot) { s.groups = s.groups.remove(hashGroup, group) })
}

// PutOverride adds or replaces an override of the numbering plan.
func PutOverride(o *numbering.Override) Change {
	return Change{Object{Kind: KindOverride, ID: o.ID}, func(s *Snapshot) error {
		compiled, err := o.Compile()
		if err != nil {
			return err
		}
		s.overrides, s.stale = s.overrides.put(hashID, o.ID, compiled), true
		return nil
	}}
}

// DropOverride removes an override of the numbering plan.
func DropOverride(override id.ID) Change {
	return change(KindOverride, override, func(s *Snapshot) {
		s.overrides, s.stale = s.overrides.remove(hashID, override), true
	})
}

// PutVerified adds or replaces a verified number.
func PutVerified(n *verification.Number) Change {
	return change(KindVerified, n.ID, func(s *Snapshot) { s.putVerified(n) })
}

// DropVerified removes a verified number.
func DropVerified(number id.ID) Change {
	return change(KindVerified, number, func(s *Snapshot) { s.dropVerified(number) })
}

// PutWebhook adds or replaces an endpoint of webhooks.
func PutWebhook(e *webhook.Endpoint) Change {
	return change(KindWebhook, e.ID, func(s *Snapshot) {
		s.dropWebhook(e.ID)
		s.putWebhook(e)
	})
}

// DropWebhook removes an endpoint of webhooks.
func DropWebhook(endpoint id.ID) Change {
	return change(KindWebhook, endpoint, func(s *Snapshot) { s.dropWebhook(endpoint) })
}

// compileNumbering runs once for all changes of a snapshot.
func (s *Snapshot) compileNumbering() {
	var overrides []e164.Override
	for o := range s.overrides.all {
		overrides = append(overrides, o)
	}
	s.numbering, s.stale = e164.NewOverlay(overrides), false
}

func (s *Snapshot) putConnection(c *Connection, err error) error {
	if err != nil {
		return err
	}
	if old := s.Connection(c.ID); old != nil && old.UserName != c.UserName {
		s.dropUser(old)
	}
	s.connections = s.connections.put(hashID, c.ID, c)
	if c.UserName == "" {
		return nil
	}
	hash := hashString(c.UserName)
	if s.users.get(hash, c.UserName) == 0 {
		s.userCount++
	}
	s.users = s.users.put(hashString, c.UserName, c.ID)
	return nil
}

// dropUser removes the user of a connection unless another connection now has it.
func (s *Snapshot) dropUser(of *Connection) {
	hash := hashString(of.UserName)
	if of.UserName == "" || s.users.get(hash, of.UserName) != of.ID {
		return
	}
	s.users = s.users.remove(hashString, of.UserName)
	s.userCount--
}

func (s *Snapshot) dropConnection(connection id.ID) {
	old := s.Connection(connection)
	if old == nil {
		return
	}
	s.dropUser(old)
	s.connections = s.connections.remove(hashID, connection)
}

func (s *Snapshot) dropGateway(gone *routing.Gateway) {
	account := gone.AccountID
	kept := slices.DeleteFunc(slices.Clone(s.Gateways(account)), func(g *routing.Gateway) bool {
		if g.ID != gone.ID {
			return false
		}
		s.carriers.count(g, -1)
		return true
	})
	s.gateways = s.gateways.put(hashID, account, kept)
}
