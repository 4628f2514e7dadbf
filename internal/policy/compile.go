package policy

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/e164"
	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/profile"
	"github.com/tollgate/tollgate/internal/record"
)

// CompileProfile resolves the names in a profile: countries, ranges, number
// types, time zone. It fails if one is unknown, which the API's validation of the resource
// excludes.
func CompileProfile(p *profile.Profile) (*Profile, error) {
	window, err := p.CallingWindow.Compile()
	if err != nil {
		return nil, fmt.Errorf("compile profile %s: %w", p.ID, err)
	}
	compiled := &Profile{
		ID: p.ID, Account: p.AccountID, Version: p.Version, Enabled: p.Enabled,
		MaxRatePerMinute: NoLimit, MaxConnectFee: NoLimit, MaxCallCost: NoLimit, ChannelLimit: limit(p.ConcurrentCallLimit),
		MaxCall:  secondsOf(p.MaxCallSecs),
		Spending: CompileSpendLimit(p.Limit()),
		Window:   window, Deck: p.RateDeckID, BillingGroup: p.BillingGroupID,
		Recording: p.CallRecording, RefuseUnallocated: p.UnallocatedCallers == profile.RefuseUnallocated,
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

// CompileSpendLimit compiles the limit of a scope.
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
	compiled.UserName = userName
	compiled.HA1 = connection.HA1Of(userName, password)
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
		PassHeaders: b.PassHeaders, MaxAttestation: record.ParseAttestation(b.MaxAttestation),
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
