package policy

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/e164"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/numbering"
	"github.com/tollgate/tollgate/internal/profile"
	"github.com/tollgate/tollgate/internal/routing"
	"github.com/tollgate/tollgate/internal/verification"
	"github.com/tollgate/tollgate/internal/webhook"
)

// Change is one change of the policy: exactly one field is set. A Put replaces
// what had the same id; a Drop of what is not there does nothing.
type Change struct {
	PutAccount     *Account
	PutProfile     *profile.Profile
	PutIPConn      *connection.IPConnection
	PutCredential  *connection.CredentialConnection
	PutFQDNConn    *connection.FQDNConnection
	PutIP          *connection.IP
	PutGateway     *routing.Gateway
	PutDeck        *Deck
	PutGroup       *Group
	PutOverride    *numbering.Override
	DropOverride   id.ID
	PutVerified    *verification.Number
	DropVerified   id.ID
	DropAccount    id.ID
	DropGroup      uuid.UUID
	PutWebhook     *webhook.Endpoint
	DropProfile    id.ID
	DropConnection id.ID
	DropIP         id.ID
	DropGateway    *routing.Gateway
	DropDeck       id.ID
	DropWebhook    id.ID
}

// With returns the snapshot that results from the changes, in order. On an error
// nothing of them is in force: the receiver is never modified.
func (s *Snapshot) With(changes ...Change) (*Snapshot, error) {
	next := *s
	for i := range changes {
		if err := next.apply(&changes[i]); err != nil {
			return nil, err
		}
	}
	if next.stale {
		next.compileNumbering()
	}
	next.version++
	return &next, nil
}

func (s *Snapshot) apply(c *Change) error {
	switch {
	case c.PutAccount != nil:
		s.accounts = s.accounts.put(hashID, c.PutAccount.ID, c.PutAccount)
	case c.PutProfile != nil:
		compiled, err := CompileProfile(c.PutProfile)
		if err != nil {
			return err
		}
		s.profiles = s.profiles.put(hashID, compiled.ID, compiled)
	case c.PutIPConn != nil:
		s.putConnectionWebhook(&c.PutIPConn.Base)
		return s.putConnection(compileIP(c.PutIPConn))
	case c.PutCredential != nil:
		s.putConnectionWebhook(&c.PutCredential.Base)
		return s.putConnection(compileCredential(c.PutCredential))
	case c.PutFQDNConn != nil:
		s.putConnectionWebhook(&c.PutFQDNConn.Base)
		return s.putConnection(compileFQDN(c.PutFQDNConn))
	case c.PutIP != nil:
		s.sources.put(c.PutIP)
	case c.PutGateway != nil:
		s.dropGateway(c.PutGateway)
		account := c.PutGateway.AccountID
		s.gateways = s.gateways.put(hashID, account, append(slices.Clone(s.Gateways(account)), c.PutGateway))
	case c.PutDeck != nil:
		s.decks = s.decks.put(hashID, c.PutDeck.ID, c.PutDeck)
	case c.PutOverride != nil:
		compiled, err := c.PutOverride.Compile()
		if err != nil {
			return err
		}
		s.overrides, s.stale = s.overrides.put(hashID, c.PutOverride.ID, compiled), true
	case c.DropOverride != 0:
		s.overrides, s.stale = s.overrides.remove(hashID, c.DropOverride), true
	case c.PutVerified != nil:
		s.putVerified(c.PutVerified)
	case c.DropVerified != 0:
		s.dropVerified(c.DropVerified)
	case c.PutGroup != nil:
		s.groups = s.groups.put(hashGroup, c.PutGroup.ID, c.PutGroup)
	case c.DropGroup != uuid.Nil:
		s.groups = s.groups.remove(hashGroup, c.DropGroup)
	case c.DropAccount != 0:
		s.accounts = s.accounts.remove(hashID, c.DropAccount)
	case c.PutWebhook != nil:
		s.dropWebhook(c.PutWebhook.ID)
		s.putWebhook(c.PutWebhook)
	case c.DropProfile != 0:
		s.profiles = s.profiles.remove(hashID, c.DropProfile)
	case c.DropConnection != 0:
		s.dropConnection(c.DropConnection)
		s.dropWebhook(c.DropConnection)
	case c.DropIP != 0:
		s.sources.drop(c.DropIP)
	case c.DropGateway != nil:
		s.dropGateway(c.DropGateway)
	case c.DropDeck != 0:
		s.decks = s.decks.remove(hashID, c.DropDeck)
	case c.DropWebhook != 0:
		s.dropWebhook(c.DropWebhook)
	}
	return nil
}

// compileNumbering is done once for all changes of a snapshot.
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

// dropUser forgets the user of a connection, unless another connection has it by now.
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
	kept := slices.DeleteFunc(slices.Clone(s.Gateways(account)), func(g *routing.Gateway) bool { return g.ID == gone.ID })
	s.gateways = s.gateways.put(hashID, account, kept)
}

// CompileProfile resolves the names in a profile: countries, ranges, number
// types, time zone. It fails when one is unknown, which validation of the
// resource has made impossible for profiles that came through the API.
func CompileProfile(p *profile.Profile) (*Profile, error) {
	window, err := p.CallingWindow.Compile()
	if err != nil {
		return nil, fmt.Errorf("compile profile %s: %w", p.ID, err)
	}
	compiled := &Profile{
		ID: p.ID, Account: p.AccountID, Version: p.Version, Enabled: p.Enabled,
		MaxRatePerMinute: NoLimit, MaxConnectFee: NoLimit, MaxCallCost: NoLimit, ChannelLimit: limit(p.ConcurrentCallLimit),
		MaxCall:      secondsOf(p.MaxCallSecs),
		SpendLimited: p.DailySpendLimitEnabled && p.DailySpendLimit != nil,
		EndCalls:     p.SpendLimitAction == profile.EndCalls,
		HoldAfter:    p.AfterLimit == profile.HoldUntilReleased,
		Window:       window, Deck: p.RateDeckID, BillingGroup: p.BillingGroupID,
		Recording: p.CallRecording,
	}
	if p.MaxDestinationRate != nil {
		compiled.MaxRatePerMinute = money.Amount(*p.MaxDestinationRate)
	}
	if p.MaxConnectFee != nil {
		compiled.MaxConnectFee = *p.MaxConnectFee
	}
	if p.MaxCallCost != nil {
		compiled.MaxCallCost = *p.MaxCallCost
	}
	if p.DailySpendLimit != nil {
		compiled.SpendLimit = *p.DailySpendLimit
	}
	for _, name := range p.WhitelistedDestinations {
		if country, ok := e164.CountryByAlpha2(name); ok {
			compiled.Countries.Add(country)
		} else if named, ok := e164.ParseRange(name); ok {
			compiled.Ranges.Add(named)
		} else {
			return nil, fmt.Errorf("compile profile %s: unknown destination %q", p.ID, name)
		}
	}
	for _, name := range p.BlockedNumberTypes {
		numberType, ok := e164.ParseNumberType(name)
		if !ok {
			return nil, fmt.Errorf("compile profile %s: unknown number type %q", p.ID, name)
		}
		compiled.BlockedTypes.Add(numberType)
	}
	return compiled, nil
}

// CompileSpendLimit compiles the limit of a billing group or an account.
func CompileSpendLimit(l *profile.SpendLimit) SpendLimit {
	if !l.Limits() {
		return SpendLimit{}
	}
	return SpendLimit{On: true, Limit: *l.DailySpendLimit,
		EndCalls: l.SpendLimitAction == profile.EndCalls, HoldAfter: l.AfterLimit == profile.HoldUntilReleased}
}

func compileIP(c *connection.IPConnection) (*Connection, error) {
	compiled, err := compileConnection(&c.Base, &c.Outbound.Outbound)
	if err != nil {
		return nil, err
	}
	compiled.Kind, compiled.ByAddress = connection.KindIP, true
	compiled.TechPrefix = c.Outbound.TechPrefix
	compiled.Transport = strings.ToLower(c.TransportProtocol)
	if c.Outbound.IPAuthenticationMethod == "token" && c.Outbound.IPAuthenticationToken != nil {
		compiled.Token = *c.Outbound.IPAuthenticationToken
	}
	return compiled, nil
}

func compileCredential(c *connection.CredentialConnection) (*Connection, error) {
	compiled, err := compileConnection(&c.Base, &c.Outbound)
	if err != nil {
		return nil, err
	}
	compiled.Kind = connection.KindCredential
	compileDigest(compiled, &c.DigestSettings, c.UserName, c.Password)
	return compiled, nil
}

// compileDigest adds the user of a connection that has one.
func compileDigest(compiled *Connection, d *connection.DigestSettings, userName, password string) {
	compiled.UserName, compiled.HA1 = userName, connection.HA1Of(userName, password)
	if compiled.DigestAlgorithms = d.DigestAlgorithms; len(compiled.DigestAlgorithms) == 0 {
		compiled.DigestAlgorithms = connection.DigestAlgorithms()
	}
	if d.AllowedSources != nil {
		compiled.AllowedSources = []netip.Prefix{} // not nil: an empty list allows no source
		for _, n := range *d.AllowedSources {
			compiled.AllowedSources = append(compiled.AllowedSources, n.Prefix())
		}
	}
}

func compileFQDN(c *connection.FQDNConnection) (*Connection, error) {
	compiled, err := compileConnection(&c.Base, &c.Outbound.Outbound)
	if err != nil {
		return nil, err
	}
	compiled.Kind = connection.KindFQDN
	compiled.ByAddress = c.ByAddress()
	compiled.TechPrefix = c.Outbound.TechPrefix
	compiled.Token, _ = c.Outbound.Token()
	compiled.Transport = strings.ToLower(c.TransportProtocol)
	compiled.EncryptedMedia = compiled.EncryptedMedia || c.Outbound.EncryptedMedia != nil
	if userName, password := c.Credentials(); userName != "" {
		compileDigest(compiled, &c.DigestSettings, userName, password)
	}
	return compiled, nil
}

func compileConnection(b *connection.Base, o *connection.Outbound) (*Connection, error) {
	compiled := &Connection{
		ID: b.ID, Account: b.AccountID, Profile: o.OutboundVoiceProfileID, Version: b.Version,
		Active: b.Active, ChannelLimit: limit(o.ChannelLimit),
		ANIOverrideType: o.ANIOverrideType, EmergencyNumbers: b.EmergencyNumbers,
		CallsPerSecond: limit(b.CallsPerSecond), MaxCall: secondsOf(b.MaxCallSecs),
		CallerIDHeaders: b.CallerIDHeaders, CallerPrivacy: b.CallerPrivacy, PassDiversions: b.Diversions == "pass",
		AnchorMedia: b.AnchorMedia, EncryptedMedia: b.EncryptedMedia != nil,
		EncodeContact: b.EncodeContactHeaderEnabled, Name: b.ConnectionName,
		Tags: b.Tags, Cost: b.CallCostInWebhooks,
	}
	compiled.EmergencyLimit = limit(b.EmergencyCallLimit)
	if b.EmergencyAlertCalls != nil {
		compiled.EmergencyAlert = *b.EmergencyAlertCalls
	}
	if o.Localization != nil && *o.Localization != "" {
		home, ok := e164.CountryByAlpha2(*o.Localization)
		if !ok {
			return nil, fmt.Errorf("compile connection %s: unknown localization %q", b.ID, *o.Localization)
		}
		compiled.Home = home
	}
	if o.ANIOverride != "" {
		number, err := o.CallerOverride(compiled.Home)
		if err != nil {
			return nil, fmt.Errorf("compile connection %s: ani_override: %w", b.ID, err)
		}
		compiled.ANIOverride = number
	}
	compiled.CallerIDs = compileCallerIDs(&b.CallerIDs, compiled.ANIOverride)
	return compiled, nil
}

func secondsOf(s *int32) time.Duration {
	if s == nil {
		return 0
	}
	return time.Duration(*s) * time.Second
}

func limit(l *int32) int32 {
	if l == nil {
		return NoLimit
	}
	return *l
}
