package connection

import (
	"strings"

	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/field"
	"github.com/tollgate/tollgate/internal/id"
)

// FQDNConnection is a PBX with domain names, to which a carrier would send calls. Its own
// calls are recognised by digest credentials or by addresses that are listed one by one.
// The address that a domain name resolves to proves nothing (docs/decisions/0021).
// Source: Telnyx v2, FqdnConnection.
type FQDNConnection struct {
	Base
	// Tollgate carries outbound calls only
	Inbound FQDNInbound `json:"inbound" mark:"kept"`
	// an object; see its members
	Outbound FQDNOutbound `json:"outbound" mark:"enforced"`
	// `TLS` refuses calls that come by another transport, and so does `TCP` where the call does not authenticate
	// by digest: set-ups as published name `TCP` for the way to the domain name, and call over UDP or TLS with a
	// password. With `UDP`, the default, any is accepted
	TransportProtocol string `json:"transport_protocol" mark:"enforced" enum:"UDP,TCP,TLS"`

	AdjustDTMFTimestamp         bool `json:"adjust_dtmf_timestamp" mark:"kept"`
	CallCostEnabled             bool `json:"call_cost_enabled" mark:"kept"`
	IgnoreDTMFDuration          bool `json:"ignore_dtmf_duration" mark:"kept"`
	IgnoreMarkBit               bool `json:"ignore_mark_bit" mark:"kept"`
	MicrosoftTeamsSBC           bool `json:"microsoft_teams_sbc" mark:"kept"`
	RTPPassCodecsOnStreamChange bool `json:"rtp_pass_codecs_on_stream_change" mark:"kept"`
	SendNormalizedTimestamps    bool `json:"send_normalized_timestamps" mark:"kept"`
	ThirdPartyControlEnabled    bool `json:"third_party_control_enabled" mark:"kept"`
	// 4 to 32 letters and digits, a letter among the first 5. With `password`, calls authenticate by SIP digest as
	// those of credential connections do. It belongs to one connection of either kind, of any account
	UserName *string `json:"user_name" mark:"enforced" minLength:"4" maxLength:"32" pattern:"^[A-Za-z0-9]+$"`
	// 8 to 128 characters; shown in the answer that sets it, afterwards as `********` but to keys with the scope
	// `secrets` (ours); only asterisks are refused, see [SECRETS.md](SECRETS.md)
	Password *string `json:"password" mark:"enforced" minLength:"8" maxLength:"128"`
	DigestSettings
	TXTName  *string `json:"txt_name" mark:"kept" maxLength:"255"`
	TXTTTL   *int32  `json:"txt_ttl" mark:"kept" minimum:"0"`
	TXTValue *string `json:"txt_value" mark:"kept" maxLength:"255"`
}

// FQDNInbound is kept for compatibility: Tollgate carries outbound calls only.
type FQDNInbound struct {
	ANINumberFormat string `json:"ani_number_format" enum:"+E.164,E.164,+E.164-national,E.164-national"`
	ChannelLimit    *int32 `json:"channel_limit" minimum:"0"`
	// `PCMU` and `PCMA` are read as `G711U` and `G711A`, any name in any case
	Codecs                     []string `json:"codecs" maxItems:"20" fold:"codec"`
	DefaultRoutingMethod       *string  `json:"default_routing_method" enum:"sequential,round-robin"`
	DefaultPrimaryFQDNID       *string  `json:"default_primary_fqdn_id" maxLength:"36" numeric:"id"`
	DefaultSecondaryFQDNID     *string  `json:"default_secondary_fqdn_id" maxLength:"36" numeric:"id"`
	DefaultTertiaryFQDNID      *string  `json:"default_tertiary_fqdn_id" maxLength:"36" numeric:"id"`
	DNISNumberFormat           string   `json:"dnis_number_format" enum:"+e164,e164,national,sip_username"`
	GenerateRingbackTone       bool     `json:"generate_ringback_tone"`
	ISUPHeadersEnabled         bool     `json:"isup_headers_enabled"`
	PRACKEnabled               bool     `json:"prack_enabled"`
	ShakenStirEnabled          bool     `json:"shaken_stir_enabled"`
	SIPCompactHeadersEnabled   bool     `json:"sip_compact_headers_enabled"`
	SIPRegion                  string   `json:"sip_region" enum:"US,Europe,Australia"`
	SIPSubdomain               *string  `json:"sip_subdomain" maxLength:"63"`
	SIPSubdomainReceiveSetting string   `json:"sip_subdomain_receive_settings" enum:"only_my_connections,from_anyone"`
	Timeout1xxSecs             int32    `json:"timeout_1xx_secs" minimum:"1" maximum:"120"`
	Timeout2xxSecs             int32    `json:"timeout_2xx_secs" minimum:"1" maximum:"600"`
}

// FQDNOutbound adds the settings that only FQDN connections have.
type FQDNOutbound struct {
	Outbound
	// null or `SRTP`; the same as `encrypted_media` for calls
	EncryptedMedia *string `json:"encrypted_media" mark:"enforced" enum:"SRTP"`
	// `credential-authentication`: the digest of `user_name` alone recognises a call. `ip-authentication`: so do
	// the addresses of the connection at `/v2/ips`; the digest is still accepted if there are
	// credentials. By default `credential-authentication` where there are credentials, else `ip-authentication`.
	// Domain names are not looked up: an address that one resolves to proves nothing
	FQDNAuthenticationMethod *string `json:"fqdn_authentication_method" mark:"enforced" title:"FQDNAuthenticationMethod" enum:"credential-authentication,ip-authentication" doc:"How calls are recognised. credential-authentication: by the digest of user_name alone. ip-authentication: also by the addresses of the connection at /v2/ips; domain names are not looked up. By default credential-authentication where there are user_name and password."`
	// `token` (accepted without a token too: then no address is enough), `p-charge-info` and
	// `tech-prefixp-charge-info` tell connections behind one address apart, as on IP connections. Of the values
	// that Telnyx publishes, `ip-authentication` is the default and says nothing, and `credential-authentication`
	// is `fqdn_authentication_method` where that is not given; where it says `ip-authentication`, that is a 422.
	// It reads as one of these two, or as `token` where a request for the connection itself set that; the rest,
	// and what `fqdn_authentication` set, reads as `ip-authentication`, and sending that back leaves it as it is.
	// `null` sets the default
	IPAuthenticationMethod string `json:"ip_authentication_method" mark:"enforced" title:"OutboundAuthentication" enum:"credential-authentication,ip-authentication,token,p-charge-info,tech-prefixp-charge-info" doc:"How connections behind one address are told apart, with ip-authentication: token, or tech prefix and P-Charge-Info. credential-authentication is fqdn_authentication_method where that is not given. p-charge-info and tech-prefixp-charge-info read as ip-authentication here, and as p-charge-info in fqdn_authentication."`
	// with `ip-authentication`: in X-Telnyx-Token or X-Tollgate-Token; masked as passwords are, which is ours
	IPAuthenticationToken *string `json:"ip_authentication_token" mark:"enforced" maxLength:"128" doc:"The value of the X-Telnyx-Token header that requests from the connection's addresses carry."`
	// with `ip-authentication`: four digits before the number; refused with D26
	TechPrefix     string `json:"tech_prefix" mark:"enforced" pattern:"^([0-9]{4})?$"`
	Timeout1xxSecs int32  `json:"timeout_1xx_secs" mark:"kept" minimum:"1" maximum:"120"`
	Timeout2xxSecs int32  `json:"timeout_2xx_secs" mark:"kept" minimum:"1" maximum:"600"`
}

// The authentication methods of FQDN connections.
const (
	MethodCredential = "credential-authentication"
	MethodIP         = "ip-authentication"
	MethodToken      = "token"
	MethodChargeInfo = "p-charge-info"
	// methodOwnToken is how ChooseIPMethod stores MethodToken.
	methodOwnToken = "fqdn-authentication-token"
)

// ChooseIPMethod takes MethodToken or MethodChargeInfo from the resource that has only
// these two. What was chosen there is not shown as the connection's own method.
func (o *FQDNOutbound) ChooseIPMethod(method string) {
	if method == MethodToken && o.IPAuthenticationMethod != MethodToken {
		method = methodOwnToken
	}
	o.IPAuthenticationMethod = method
}

// ChosenIPMethod returns MethodToken or MethodChargeInfo, wherever it was chosen.
func (o *FQDNOutbound) ChosenIPMethod() string {
	if o.IPAuthenticationMethod == MethodToken || o.IPAuthenticationMethod == methodOwnToken {
		return MethodToken
	}
	return MethodChargeInfo
}

// ShownIPMethod returns the connection's own method: a value that clients know there, or
// MethodToken if a client has set it there.
func (o *FQDNOutbound) ShownIPMethod() string {
	switch o.IPAuthenticationMethod {
	case MethodCredential, MethodToken:
		return o.IPAuthenticationMethod
	}
	return MethodIP
}

// Credentials returns the user and the password, or two empty strings if either is
// missing.
func (c *FQDNConnection) Credentials() (userName, password string) {
	if c.UserName == nil || c.Password == nil || *c.UserName == "" || *c.Password == "" {
		return "", ""
	}
	return *c.UserName, *c.Password
}

// AuthenticationMethod returns the method in force. By default an address is enough only
// for a connection without credentials.
func (c *FQDNConnection) AuthenticationMethod() string {
	user, _ := c.Credentials()
	switch o := &c.Outbound; {
	case o.FQDNAuthenticationMethod != nil:
		return *o.FQDNAuthenticationMethod
	case o.IPAuthenticationMethod == MethodCredential, user != "":
		return MethodCredential
	}
	return MethodIP
}

// Token returns the token that requests from the connection's addresses must carry.
// wanted is also true if a token is required but none is set: no request then matches.
func (o *FQDNOutbound) Token() (token string, wanted bool) {
	if o.IPAuthenticationToken != nil {
		token = *o.IPAuthenticationToken
	}
	switch o.IPAuthenticationMethod {
	case MethodToken, methodOwnToken:
		return token, true
	case MethodCredential, MethodIP:
		return token, token != ""
	}
	return "", false
}

// ByAddress reports whether a request from an address of the connection is recognised
// without credentials. A token or tech prefix may still be needed.
func (c *FQDNConnection) ByAddress() bool {
	token, wanted := c.Outbound.Token()
	return c.AuthenticationMethod() == MethodIP && (token != "" || !wanted)
}

// SettleMethods derives one of the two methods from the other if a request set only one
// of them. It returns a problem if the request set two that contradict each other.
func (o *FQDNOutbound) SettleMethods(fqdnNamed, ipNamed bool) []field.Error {
	chosen := o.FQDNAuthenticationMethod
	switch {
	case o.IPAuthenticationMethod != MethodCredential || chosen == nil || *chosen == MethodCredential:
	case fqdnNamed && ipNamed:
		return []field.Error{{Pointer: "/outbound/ip_authentication_method", Code: field.Malformed,
			Detail: "ip_authentication_method is credential-authentication and " +
				"fqdn_authentication_method is ip-authentication. " +
				"Give one of the two, or both the same."}}
	case fqdnNamed:
		o.IPAuthenticationMethod = MethodIP
	default:
		o.FQDNAuthenticationMethod = new(MethodCredential)
	}
	return nil
}

// NewFQDNConnection returns an FQDN connection with the API's defaults.
func NewFQDNConnection() FQDNConnection {
	in := newInbound()
	c := FQDNConnection{Base: newBase(), TransportProtocol: "UDP", DigestSettings: newDigestSettings()}
	c.DefaultOnHoldComfortNoiseEnabled = true
	c.Inbound = FQDNInbound{
		ANINumberFormat: in.ANINumberFormat, Codecs: in.Codecs, DNISNumberFormat: in.DNISNumberFormat,
		DefaultRoutingMethod: new("sequential"), SIPCompactHeadersEnabled: in.SIPCompactHeadersEnabled,
		SIPRegion: sipRegion, SIPSubdomainReceiveSetting: "from_anyone",
		Timeout1xxSecs: in.Timeout1xxSecs, Timeout2xxSecs: in.Timeout2xxSecs,
	}
	c.Outbound = FQDNOutbound{
		Outbound: Outbound{
			ANIOverrideType: "always", T38ReinviteSource: "customer", CallParkingEnabled: new(false), Localization: new("US"),
		},
		IPAuthenticationMethod: MethodIP, Timeout1xxSecs: 3, Timeout2xxSecs: 90,
	}
	return c
}

// Validate returns all problems of the connection that the tags of its fields do not
// express.
func (c *FQDNConnection) Validate() []field.Error {
	errs := append(c.validate(&c.Outbound.Outbound, c.Outbound.TechPrefix),
		(&Inbound{Codecs: c.Inbound.Codecs}).validate()...)
	errs = append(errs, c.Outbound.validate()...)
	errs = append(errs, c.noTexmlProblem("FQDN")...)
	errs = append(errs, tokenProblem(c.Outbound.IPAuthenticationToken)...)
	for _, media := range []struct {
		pointer string
		value   *string
	}{{"/encrypted_media", c.EncryptedMedia}, {"/outbound/encrypted_media", c.Outbound.EncryptedMedia}} {
		if media.value != nil && c.TransportProtocol == "TLS" {
			errs = append(errs, field.Error{Pointer: media.pointer, Code: field.Malformed,
				Detail: "encrypted_media cannot be set when transport_protocol is TLS. Use null."})
		}
	}
	return append(errs, c.DigestSettings.problems(textOf(c.UserName), textOf(c.Password))...)
}

func textOf(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}

// FQDN is one domain name of an FQDNConnection.
// Source: Telnyx v2, /fqdns.
type FQDN struct {
	collection.Head[id.ID]
	// an FQDN connection; required
	ConnectionID id.ID `json:"connection_id" mark:"kept"`
	// compared without regard to case and without the last dot; belongs to one account, as an IP does; two
	// connections with a profile share a name only if a user, token or tech prefix tells them apart
	FQDN string `json:"fqdn" mark:"kept" minLength:"1" maxLength:"253"`
	// `a` or `srv`, in any case; shown in lower case
	DNSRecordType string `json:"dns_record_type" mark:"kept" enum:"a,srv" fold:"lower"`
	// of an `a` record 5060 when not given; null with `srv`, whose records name their own
	Port *int32 `json:"port" mark:"kept" minimum:"1" maximum:"65535" doc:"Of an A record, 5060 if not given; an SRV record names its own, so null then."`
	collection.Times
}

// NewFQDN returns a name with the API's defaults. That of its port depends on the type
// of its DNS records.
func NewFQDN() FQDN { return FQDN{} }

// defaultSIPPort is the port of SIP over UDP and TCP (RFC 3261, section 19.1.2).
const defaultSIPPort = 5060

// PortInUse returns the port that the name stands for. An A record defaults to 5060. The
// result for an SRV record is nil, since the record names the port itself.
func (f *FQDN) PortInUse() *int32 {
	if f.Port == nil && f.DNSRecordType == "a" {
		return new(int32(defaultSIPPort))
	}
	return f.Port
}

// Name returns the domain name in the form in which names are compared: lower case,
// without the dot of the root (RFC 4343, RFC 1034 section 3.1).
func (f *FQDN) Name() string { return FoldName(f.FQDN) }

// FoldName returns the form in which domain names are compared.
func FoldName(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }

// maxLabel is the maximum length of a label of a domain name (RFC 1035, section 2.3.4).
const maxLabel = 63

// Validate returns all problems of the name that the tags of its fields do not express.
func (f *FQDN) Validate() []field.Error {
	var errs []field.Error
	if f.DNSRecordType == "srv" && f.Port != nil {
		errs = append(errs, field.Error{Pointer: "/port", Code: field.Malformed,
			Detail: "dns_record_type is srv, and an SRV record names its own port. Give null, or dns_record_type a."})
	}
	if f.ConnectionID == 0 {
		errs = append(errs, field.Error{Pointer: "/connection_id", Code: field.Missing,
			Detail: "connection_id is required. Give the id of an FQDN connection."})
	}
	labels := strings.Split(f.Name(), ".")
	wrong := len(labels) < 2 || !strings.ContainsFunc(labels[len(labels)-1], isLetter)
	for _, label := range labels {
		wrong = wrong || label == "" || len(label) > maxLabel || label[0] == '-' || label[len(label)-1] == '-' ||
			strings.ContainsFunc(label, func(r rune) bool {
				return r != '-' && r != '_' && (r < '0' || r > '9') && !isLetter(r)
			})
	}
	if wrong {
		errs = append(errs, field.Error{Pointer: "/fqdn", Code: field.Malformed,
			Detail: "Not a fully qualified domain name. Give labels of letters, digits and hyphens separated by dots, such as " +
				"\"sip.example.com\"; other characters in their ASCII form (xn--)."})
	}
	return errs
}
