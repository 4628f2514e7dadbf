// Package policy holds everything that a decision reads, compiled for fast reading:
// accounts, profiles, connections, gateways and rate decks in one immutable Snapshot.
//
// Readers load the current snapshot from Live and never block. There is one
// writer: it derives the next snapshot with With, which shares what did not change,
// and publishes it. A change that does not compile leaves the last good
// snapshot in force.
package policy

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/e164"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/numberlist"
	"github.com/tollgate/tollgate/internal/profile"
	"github.com/tollgate/tollgate/internal/rating"
	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/routing"
	"github.com/tollgate/tollgate/internal/webhook"
)

// NoLimit is the value of a limit that is not set.
const NoLimit = profile.NoLimit

// Account is a tenant.
type Account struct {
	ID               id.ID
	Active           bool
	ChannelLimit     int32 // of all its calls, or NoLimit
	DefaultDeck      id.ID // 0 for none
	EmergencyNumbers []string
	Spending         SpendLimit
	Shared           []netip.Prefix // networks of other accounts that it may use too
}

// SpendLimit is a daily limit of what calls may cost.
type SpendLimit struct {
	On        bool
	Limit     money.Amount
	EndCalls  bool // running calls end when the limit is reached
	HoldAfter bool // once it is reached, no call is admitted until it is released
}

// Group is a billing group that has a daily limit.
type Group struct {
	ID       uuid.UUID
	Account  id.ID
	Spending SpendLimit
}

// Profile is a compiled outbound voice profile.
type Profile struct {
	ID, Account id.ID
	Version     int64
	Enabled     bool
	// RefuseUnallocated refuses callers of blocks without numbers.
	RefuseUnallocated bool
	Countries         e164.CountrySet
	Ranges            e164.RangeSet
	BlockedTypes      e164.NumberTypeSet
	// MaxRatePerMinute is NoLimit when no maximum is set.
	MaxRatePerMinute money.Amount
	MaxConnectFee    money.Amount // NoLimit for none
	MaxCallCost      money.Amount // NoLimit for none
	ChannelLimit     int32
	Spending         SpendLimit
	Window           profile.Window
	Deck             id.ID // 0 means the account's default deck
	BillingGroup     *uuid.UUID
	Recording        profile.CallRecording
	MaxCall          time.Duration // 0 for no limit
}

// Connection is a compiled connection of any kind.
type Connection struct {
	// The fields that every decision reads are first, so that they share few cache lines.

	ID, Account, Profile id.ID // Profile is 0 when none is attached
	Version              int64
	MaxCall              time.Duration // 0 for no limit
	ANIOverride          e164.Number
	ChannelLimit         int32
	CallsPerSecond       int32        // NoLimit for none
	Home                 e164.Country // 0 means no localisation
	Active               bool
	EmergencyNumbers     []string
	// AllowedSources are the networks from which its credentials are accepted; nil for all.
	AllowedSources []netip.Prefix
	// CallerIDs is never nil. Connections without caller ids share one.
	CallerIDs       *CallerIDs
	ANIOverrideType string
	MaxAttestation  record.Attestation
	EmergencyLimit  int32 // of emergency calls at once, or NoLimit
	EmergencyAlert  int32 // emergency calls of a day that are unusual; 0 for none

	Kind connection.Kind
	// ByAddress means that a request from one of its addresses needs no credentials, only
	// the token or tech prefix if the connection has one.
	ByAddress         bool
	TechPrefix, Token string
	Transport         string // udp, tcp or tls; "" for any
	Name              string
	UserName          string         // "" for a connection without credentials
	HA1               connection.HA1 // of the credentials
	// DigestAlgorithms are those of the credentials, in the order of challenges.
	DigestAlgorithms []string
	CallerIDHeaders  string
	CallerPrivacy    string
	PassDiversions   bool
	PassHeaders      []string // names of header fields that are passed on
	AnchorMedia      bool
	EncryptedMedia   bool // the caller's side speaks SRTP only
	// EncodeContact hides our address in Contact from translators on the way, and
	// sends requests to where the caller's messages come from.
	EncodeContact bool

	Tags []string // as events show them
	Cost bool     // call.cost is sent
}

// Emergency returns the number to dial when the dialled text is an emergency number
// where the connection is, or one of the connection's or of its account's own. The
// account may be nil. A number of their own that could be dialled as another one
// where the connection is, or that is too long, is not in force: see
// e164.OwnEmergency.
func (c *Connection) Emergency(a *Account, dialled string) (number string, ok bool) {
	if number, ok = e164.Emergency(dialled, c.Home, nil); ok {
		return number, true
	}
	own := slices.Contains(c.EmergencyNumbers, dialled) || a != nil && slices.Contains(a.EmergencyNumbers, dialled)
	if !own || e164.OwnEmergency(dialled, c.Home, c.TechPrefix) != nil {
		return "", false
	}
	return dialled, true
}

// AllowsSource reports whether the connection's credentials are accepted from an address.
// An unknown address is accepted only if the sources are not restricted.
func (c *Connection) AllowsSource(source netip.Addr) bool {
	if c.AllowedSources == nil {
		return true
	}
	source = source.Unmap().WithZone("")
	for _, network := range c.AllowedSources {
		if network.Contains(source) {
			return true
		}
	}
	return false
}

// AnySource returns an address from which the connection's credentials are accepted, for
// requests that name none. It is the zero Addr if the sources are not restricted.
func (c *Connection) AnySource() (source netip.Addr) {
	if len(c.AllowedSources) > 0 {
		source = c.AllowedSources[0].Addr()
	}
	return source
}

// Deck is a compiled rate deck of an account.
type Deck struct {
	ID, Account id.ID
	Rates       *rating.Deck
}

// Snapshot is one immutable state of the whole policy. Its methods are safe for
// concurrent use and do not allocate.
type Snapshot struct {
	version     uint64
	accounts    shards[id.ID, *Account]
	profiles    shards[id.ID, *Profile]
	connections shards[id.ID, *Connection]
	users       shards[string, id.ID]
	userCount   int
	sources     sources
	decks       shards[id.ID, *Deck]
	groups      shards[uuid.UUID, *Group]             // those that have a limit
	limits      shards[id.ID, []*Limit]               // by account, sorted
	overrides   shards[id.ID, e164.Override]          // of the numbering plan
	numbering   *e164.Overlay                         // the overrides, compiled
	stale       bool                                  // numbering is older than overrides
	gateways    shards[id.ID, []*routing.Gateway]     // by account
	numberLists shards[id.ID, []*numberlist.Compiled] // by account
	routes      shards[id.ID, accountRoutes]          // by account
	staleRoutes []id.ID                               // accounts whose routes are not arranged yet
	carriers    carriers
	verified    shards[id.ID, []e164.Number] // by account, sorted
	verifiedBy  shards[id.ID, verifiedAt]    // the same by their ids
	webhooks    shards[id.ID, *webhook.Endpoint]
	listeners   shards[id.ID, []*webhook.Endpoint] // by the account or the connection that they are for
}

// Version counts the changes that led to this snapshot.
func (s *Snapshot) Version() uint64 { return s.version }

// Account returns an account, or nil.
func (s *Snapshot) Account(account id.ID) *Account { return s.accounts.get(uint64(account), account) }

// Profile returns a profile, or nil.
func (s *Snapshot) Profile(profile id.ID) *Profile { return s.profiles.get(uint64(profile), profile) }

// Numbering is the numbering plan at a time: the operator's overrides, and the
// built-in data.
func (s *Snapshot) Numbering(at time.Time) e164.Plan {
	return e164.Plan{Overlay: s.numbering, AtMicros: at.UnixMicro()}
}

// Group returns a billing group that has a daily limit, or nil.
func (s *Snapshot) Group(group uuid.UUID) *Group {
	return s.groups.get(hashGroup(group), group)
}

func hashGroup(group uuid.UUID) uint64 { return binary.LittleEndian.Uint64(group[8:]) }

// Connection returns a connection, or nil.
func (s *Snapshot) Connection(connection id.ID) *Connection {
	return s.connections.get(uint64(connection), connection)
}

// Deck returns a compiled rate deck, or nil.
func (s *Snapshot) Deck(deck id.ID) *Deck { return s.decks.get(uint64(deck), deck) }

// DeckOf returns the rates that price a profile's calls, or nil when neither the
// profile nor the account has a deck.
func (s *Snapshot) DeckOf(p *Profile, a *Account) *Deck {
	deck := p.Deck
	if deck == 0 && a != nil {
		deck = a.DefaultDeck
	}
	if deck == 0 {
		return nil
	}
	return s.Deck(deck)
}

// Gateways returns an account's gateways in no particular order. The slice is shared:
// read only.
func (s *Snapshot) Gateways(account id.ID) []*routing.Gateway {
	return s.gateways.get(uint64(account), account)
}

// EveryConnection calls yield for the connections of all accounts, in no particular order.
func (s *Snapshot) EveryConnection(yield func(*Connection) bool) { s.connections.all(yield) }

// EveryGateway calls yield for the gateways of all accounts, in no particular order.
func (s *Snapshot) EveryGateway(yield func(*routing.Gateway) bool) {
	s.gateways.all(func(gateways []*routing.Gateway) bool {
		for _, g := range gateways {
			if !yield(g) {
				return false
			}
		}
		return true
	})
}

// ByUser returns the connection of a digest user, or nil. User names
// are unique in the whole server, since a SIP request names no account.
func (s *Snapshot) ByUser(userName string) *Connection {
	connection := s.users.get(hashString(userName), userName)
	if connection == 0 {
		return nil
	}
	return s.Connection(connection)
}

// WaysIn returns how a SIP request of the connection can be recognised: by its user, by
// its address, or not at all. Other switches may still name the connection over HTTP.
func (s *Snapshot) WaysIn(c *Connection) (byUser, byAddress bool) {
	return c.UserName != "", c.ByAddress && s.sources.of.get(hashID(c.ID), c.ID) > 0
}

// HasUsers reports whether any digest user exists. If none does, a request from an
// unknown address cannot become a call.
func (s *Snapshot) HasUsers() bool { return s.userCount > 0 }

// Live holds the snapshot in force.
type Live struct {
	current atomic.Pointer[Snapshot]
}

// NewLive returns a Live that holds an empty snapshot.
func NewLive() *Live {
	l := &Live{}
	l.current.Store(&Snapshot{})
	return l
}

// Snapshot returns the snapshot in force. It never blocks.
func (l *Live) Snapshot() *Snapshot { return l.current.Load() }

// Publish puts a snapshot in force. Only the writer calls it.
func (l *Live) Publish(s *Snapshot) { l.current.Store(s) }
