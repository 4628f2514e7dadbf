// Package routing defines where calls go: gateways, which are carriers' trunks, and the
// order in which they are tried.
package routing

import (
	"cmp"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/e164"
	"github.com/tollgate/tollgate/internal/id"
)

// Number formats that a gateway may want in the Request-URI.
const (
	FormatPlusE164 = "+e164" // +442079460000
	FormatE164     = "e164"  // 442079460000
	// FormatNational is 02079460000 inside the gateway's country. Elsewhere it is the
	// international prefix and the number: 0012125550100.
	FormatNational = "national"

	// The values of a gateway's number_uri.
	NumberSIP   = "sip"            // sip:+442079460000@host
	NumberPhone = "sip_user_phone" // sip:+442079460000@host;user=phone
	NumberTel   = "tel"            // tel:+442079460000

	// The values of a gateway's encrypted_media.
	MediaSRTP = "SRTP"
	MediaRTP  = "RTP"
)

// What happens to the Identity of a call (STIR/SHAKEN).
const (
	IdentityPass  = "pass"  // it is passed on as the caller has signed it
	IdentitySign  = "sign"  // a call that has none is signed
	IdentityStrip = "strip" // it is removed
)

// TransportAuto leaves the transport to the gateway's NAPTR and SRV records (RFC 3263
// section 4.1), and is UDP when it has none.
const TransportAuto = "auto"

// Gateway is a carrier's trunk. It is Tollgate's own resource.
type Gateway struct {
	collection.Head[id.ID]

	Name          string               `json:"name" minLength:"1" maxLength:"255"`
	Enabled       bool                 `json:"enabled"`
	Address       string               `json:"address" minLength:"1" maxLength:"255" doc:"Host or IP address, with an optional port: sip.carrier.example:5060. Of a name without a port the SRV records are looked up, and each of its servers is tried."`
	Transport     string               `json:"transport" enum:"udp,tcp,tls,auto" doc:"auto leaves it to the NAPTR and SRV records of the name in address, and has an INVITE of more than 1300 bytes go by TCP where the gateway takes that."`
	TLSServerName *string              `json:"tls_server_name" maxLength:"253" doc:"What the gateway's certificate must name, and what it is asked for by SNI; null for the host of address. Only for transport tls."`
	TLSSkipVerify bool                 `json:"tls_skip_verify" doc:"Whether any certificate of the gateway is accepted. For trials only: an attacker on the path can then read and change calls."`
	Addresses     []connection.Network `json:"addresses" maxItems:"64" doc:"Further addresses and networks, such as 192.0.2.0/24, from which the carrier sends: requests within calls, such as BYE, and responses. The addresses to which address resolves need not be listed, nor those in Contacts of the carrier."`

	Priority     int32  `json:"priority" minimum:"0" maximum:"1000" doc:"Gateways with a lower priority value are tried first."`
	Weight       int32  `json:"weight" minimum:"0" maximum:"1000" doc:"Share of the calls among gateways of one priority."`
	NumberFormat string `json:"number_format" enum:"+e164,e164,national" doc:"The form of the called number: +442079460000, 442079460000, or national, which is 02079460000 for numbers of country_code, and international_prefix with 442079460000 for others."`
	Prefix       string `json:"prefix" maxLength:"16" pattern:"^[0-9*#]*$" doc:"Digits put before the number, as some carriers' technical prefixes."`
	CallerFormat string `json:"caller_format" enum:"+e164,e164,national" doc:"The form of the caller's number, as number_format."`
	NumberURI    string `json:"number_uri" enum:"sip,sip_user_phone,tel" doc:"How numbers are written in the Request-URI, To, From and the headers that name the caller: sip is sip:+442079460000@host, sip_user_phone the same with ;user=phone, tel is tel:+442079460000."`
	StripDigits  int32  `json:"strip_digits" minimum:"0" maximum:"15" doc:"How many digits are taken off the front of the number, after number_format and before prefix."`

	CountryCode         *string `json:"country_code" minLength:"2" maxLength:"2" doc:"The country, ISO 3166-1 alpha-2, that the format national is of. All numbers with its calling code are national: those of Canada in the US too."`
	NationalPrefix      *string `json:"national_prefix" maxLength:"4" pattern:"^[0-9]*$" doc:"What the format national puts before the national number, such as 1 in the US where the carrier wants 12125550100; null for the form that is usual in country_code."`
	InternationalPrefix *string `json:"international_prefix" maxLength:"8" pattern:"^([+]|[0-9]*)$" doc:"What the format national puts before numbers with another calling code, such as 00, 011, + or nothing; null for what is dialled in country_code."`

	CallerPrefix      string  `json:"caller_prefix" maxLength:"16" pattern:"^[0-9*#+]*$" doc:"Put before the caller's number."`
	CallerStripDigits int32   `json:"caller_strip_digits" minimum:"0" maximum:"15" doc:"How many digits are taken off the front of the caller's number, after caller_format and before caller_prefix."`
	ChannelLimit      *int32  `json:"channel_limit" minimum:"0" doc:"How many calls this gateway may have at once, on each server; null means no limit."`
	CallsPerSecond    *int32  `json:"calls_per_second" minimum:"1" maximum:"100000" doc:"How many calls are sent to this gateway a second, by each server; null means no limit."`
	FailoverStatuses  []int32 `json:"failover_statuses" maxItems:"32" doc:"SIP statuses from 400 to 699 that are this gateway's failure, so that the next gateway is tried, besides those that docs/SIP.md lists."`

	FailoverAfterRinging bool  `json:"failover_after_ringing" doc:"Whether the next gateway is tried also when this one fails after the phone has rung, which may ring it again."`
	NoRingingSecs        int32 `json:"no_ringing_secs" minimum:"1" maximum:"180" doc:"How long the gateway may say no more than 100 Trying before it is left for the next one. Where none is left, it may take four times as long."`

	OptionsIntervalSecs int32 `json:"options_interval_secs" minimum:"0" maximum:"3600" doc:"How often the gateway is probed by OPTIONS; after two unanswered probes in a row no call is sent there until it answers. 0 means never."`
	BreakerFailures     int32 `json:"breaker_failures" minimum:"0" maximum:"1000" doc:"After how many calls in a row that it did not answer at all the gateway is left out for breaker_secs. 0 means never."`
	BreakerSecs         int32 `json:"breaker_secs" minimum:"0" maximum:"3600" doc:"How long; then one call tries it again."`

	Register            bool  `json:"register" doc:"Whether to register with the gateway (REGISTER). While that fails, calls go elsewhere. Needs user_name and password."`
	RegisterExpiresSecs int32 `json:"register_expires_secs" minimum:"0" maximum:"86400" doc:"How long a registration is asked for."`

	UserName       *string  `json:"user_name" maxLength:"128" doc:"Digest user name, for a carrier that challenges."`
	Password       *string  `json:"password" maxLength:"128" writeOnly:"true"`
	FromUser       *string  `json:"from_user" maxLength:"128" pattern:"^[A-Za-z0-9._~!$&'()*+,=-]*$" doc:"User part of From, such as the account's name, for a carrier that knows its customers by it; null for the caller's number. The number is then in P-Asserted-Identity, or in P-Preferred-Identity where it is not confirmed for the connection."`
	FromDomain     *string  `json:"from_domain" maxLength:"255" doc:"Host part of From; null for the gateway's own address."`
	EncryptedMedia *string  `json:"encrypted_media" enum:"SRTP,RTP" doc:"What is offered to this carrier: SRTP with keys in the session description (RFC 4568), plain RTP, or null for what the caller offers: over UDP and TCP, where the keys could be read on the way, plain RTP in place of SRTP with keys in the description."`
	PassHeaders    []string `json:"pass_headers" maxItems:"32" doc:"Names of header fields, such as User-to-User or X-Campaign, that callers and this gateway may send each other, besides those that are always passed on (docs/SIP.md). Those of the connection's list are passed on too."`

	Identity             string             `json:"identity" enum:"pass,sign,strip" doc:"What happens to Identity (STIR/SHAKEN): pass keeps what the caller signed; sign also signs calls that come without, by the certificate of shaken_cert; strip removes it."`
	IdentityDestinations []IdentityByPrefix `json:"identity_destinations" maxItems:"100" doc:"Called numbers for which it is something else. The longest prefix counts."`

	EmergencyRoute bool     `json:"emergency_route" doc:"Whether emergency calls may be sent here."`
	Tags           []string `json:"tags" maxItems:"100"`

	collection.Times
}

// IdentityByPrefix is what happens to the Identity of calls to some numbers.
type IdentityByPrefix struct {
	Prefix   string `json:"prefix" minLength:"2" maxLength:"16" pattern:"^\\+[1-9][0-9]{0,14}$" doc:"The beginning of the numbers, such as +1."`
	Identity string `json:"identity" enum:"pass,sign,strip"`
}

// IdentityOf is what happens to the Identity of calls to a number. Of emergency calls,
// which have none, it is what the field identity says.
func (g *Gateway) IdentityOf(callee e164.Number) string {
	chosen, longest := g.Identity, 0
	if len(g.IdentityDestinations) == 0 || callee == 0 {
		return chosen
	}
	number := callee.String()
	for i := range g.IdentityDestinations {
		d := &g.IdentityDestinations[i]
		if len(d.Prefix) > longest && strings.HasPrefix(number, d.Prefix) {
			chosen, longest = d.Identity, len(d.Prefix)
		}
	}
	return chosen
}

// NewGateway returns a gateway with the API's defaults.
func NewGateway() Gateway {
	return Gateway{
		Enabled: true, Transport: "udp", Weight: 1, NumberFormat: FormatPlusE164,
		CallerFormat: FormatPlusE164, NumberURI: NumberSIP, EmergencyRoute: true, Tags: []string{}, PassHeaders: []string{},
		FailoverStatuses: []int32{}, BreakerFailures: 5, BreakerSecs: 30, RegisterExpiresSecs: 300,
		NoRingingSecs: 5, Addresses: []connection.Network{},
		Identity: IdentityPass, IdentityDestinations: []IdentityByPrefix{},
	}
}

// Host returns the host of the address, without port and brackets.
func (g *Gateway) Host() string {
	if _, err := netip.ParseAddr(strings.Trim(g.Address, "[]")); err == nil {
		return strings.Trim(g.Address, "[]")
	}
	if host, _, err := net.SplitHostPort(g.Address); err == nil {
		return host
	}
	return g.Address
}

// ServerName returns the name that the gateway's certificate must carry.
func (g *Gateway) ServerName() string {
	if g.TLSServerName != nil && *g.TLSServerName != "" {
		return *g.TLSServerName
	}
	return strings.TrimSuffix(g.Host(), ".")
}

// UserPart returns the user part of the Request-URI for the gateway.
func (g *Gateway) UserPart(callee e164.Number) string {
	return g.Prefix + strip(g.format(callee, g.NumberFormat), g.StripDigits)
}

// CallerPart returns the user part of the From header for the gateway.
func (g *Gateway) CallerPart(caller e164.Number) string {
	return g.CallerPrefix + strip(g.format(caller, g.CallerFormat), g.CallerStripDigits)
}

// URIOf returns the address of a number at a host, as number_uri has it. What is no global
// number, such as 911, has no tel URI without a context, and is written as sip.
func (g *Gateway) URIOf(user, host string) string {
	switch {
	case g.NumberURI == NumberTel && strings.HasPrefix(user, "+"):
		return "tel:" + user
	case g.NumberURI == NumberPhone:
		return "sip:" + user + "@" + host + ";user=phone"
	}
	return "sip:" + user + "@" + host
}

// strip removes digits from the front, with a plus sign before them.
func strip(number string, digits int32) string {
	if digits <= 0 {
		return number
	}
	number = strings.TrimPrefix(number, "+")
	return number[min(int(digits), len(number)):]
}

func (g *Gateway) format(n e164.Number, form string) string {
	text := n.String()
	if text == "" {
		return ""
	}
	switch form {
	case FormatE164:
		return text[1:]
	case FormatNational:
		home := g.country()
		if national, ok := home.Significant(n); ok {
			if g.NationalPrefix != nil {
				return *g.NationalPrefix + national
			}
			national, _ = home.National(n)
			return national
		}
		if g.InternationalPrefix != nil {
			return *g.InternationalPrefix + text[1:]
		}
		return home.InternationalPrefix() + text[1:]
	}
	return text
}

// country returns the country of the national format, or 0.
func (g *Gateway) country() e164.Country {
	if g.CountryCode == nil {
		return 0
	}
	country, _ := e164.CountryByAlpha2(*g.CountryCode)
	return country
}

// Order returns the enabled gateways in the order in which a call tries them: by
// priority, and within one priority by a weighted draw. The draw depends only on
// seed, so a call that is decided again gets the same order. Weight 0 comes last
// within its priority.
func Order(gateways []*Gateway, seed uint64) []*Gateway {
	ordered := make([]*Gateway, 0, len(gateways))
	for _, g := range gateways {
		if g.Enabled {
			ordered = append(ordered, g)
		}
	}
	slices.SortFunc(ordered, func(a, b *Gateway) int {
		return cmp.Or(cmp.Compare(a.Priority, b.Priority),
			cmp.Compare(lot(b, seed), lot(a, seed)), cmp.Compare(a.ID, b.ID))
	})
	return ordered
}

// lot returns the gateway's lot in a weighted draw without replacement. The largest lot
// is first. Drawing u^(1/w) gives each gateway a chance in proportion to
// its weight (Efraimidis and Spirakis, 2006).
func lot(g *Gateway, seed uint64) float64 {
	if g.Weight <= 0 {
		return -1
	}
	return weightedLot(uniform(seed, uint64(g.ID)), g.Weight)
}
