package connection

import (
	"strings"

	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/field"
	"github.com/tollgate/tollgate/internal/id"
)

// FQDNConnection is a PBX with domain names, to which a carrier would send calls. Its own
// calls are recognised by digest credentials, or by addresses that are named one by one;
// what a domain name leads to proves nothing (docs/decisions/0021).
// Source: Telnyx v2, FqdnConnection.
type FQDNConnection struct {
	Base
	// Tollgate carries outbound calls only
	Inbound FQDNInbound `json:"inbound" mark:"kept"`
	// an object; see its members
	Outbound FQDNOutbound `json:"outbound" mark:"enforced"`
	// `TLS` refuses calls that come by another transport, and so does `TCP` where the call does not authenticate
	// by digest: set-ups as published name `TCP` for the way to the domain name, and call over UDP or TLS with a
	// password. With `UDP`, the default, any is taken
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

// FQDNOutbound adds what FQDN connections have besides the settings of every kind.
type FQDNOutbound struct {
	Outbound
	// null or `SRTP`; the same as `encrypted_media` for calls
	EncryptedMedia *string `json:"encrypted_media" mark:"enforced" enum:"SRTP"`
	// `credential-authentication`: the digest of `user_name` alone recognises a call. `ip-authentication`: so do
	// the addresses of the connection at `/v2/ips`; the digest goes on to be taken as long as there are
	// credentials. By default `credential-authentication` where there are credentials, else `ip-authentication`.
	// What a domain name leads to is not looked up and proves nothing
	FQDNAuthenticationMethod *string `json:"fqdn_authentication_method" mark:"enforced" enum:"credential-authentication,ip-authentication" doc:"How calls are recognised. credential-authentication: by the digest of user_name alone. ip-authentication: also by the addresses of the connection at /v2/ips; domain names are not looked up. By default credential-authentication where there are user_name and password."`
	// `token` (taken without a token too: then no address is enough), `p-charge-info` and
	// `tech-prefixp-charge-info` tell connections behind one address apart, as on IP connections. Of the values
	// that Telnyx publishes, `ip-authentication` is the default and says nothing, and `credential-authentication`
	// is `fqdn_authentication_method` where that is not given; where it says `ip-authentication`, that is a 422.
	// It reads as one of these two, or as `token` where a request for the connection itself set that; the rest,
	// and what `fqdn_authentication` set, reads as `ip-authentication`, and sending that back leaves it as it is.
	// `null` sets the default
	IPAuthenticationMethod string `json:"ip_authentication_method" mark:"enforced" enum:"credential-authentication,ip-authentication,token,p-charge-info,tech-prefixp-charge-info" doc:"How connections behind one address are told apart, with ip-authentication: token, or tech prefix and P-Charge-Info. credential-authentication is fqdn_authentication_method where that is not given. p-charge-info and tech-prefixp-charge-info read as ip-authentication here, and as p-charge-info in fqdn_authentication."`
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
	// methodOwnToken is MethodToken as ChooseIPMethod keeps it.
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

// ChosenIPMethod is MethodToken or MethodChargeInfo, wherever it was chosen.
func (o *FQDNOutbound) ChosenIPMethod() string {
	if o.IPAuthenticationMethod == MethodToken || o.IPAuthenticationMethod == methodOwnToken {
		return MethodToken
	}
	return MethodChargeInfo
}

// ShownIPMethod is the connection's own method: a word that clients know there, or
// MethodToken for those that have sent it there.
func (o *FQDNOutbound) ShownIPMethod() string {
	switch o.IPAuthenticationMethod {
	case MethodCredential, MethodToken:
		return o.IPAuthenticationMethod
	}
	return MethodIP
}

// Credentials are the user and the password, "" and "" where either is missing.
func (c *FQDNConnection) Credentials() (userName, password string) {
	if c.UserName == nil || c.Password == nil || *c.UserName == "" || *c.Password == "" {
		return "", ""
	}
	return *c.UserName, *c.Password
}

// AuthenticationMethod is the one in force. Where none was chosen, an address is enough
// only for a connection that has no credentials.
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

// Token is the one that requests from the connection's addresses must carry. wanted is
// true where one is asked for, also if there is none, so that no request has it.
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

// ByAddress says whether an address of the connection is enough, with what tells
// connections behind one address apart.
func (c *FQDNConnection) ByAddress() bool {
	token, wanted := c.Outbound.Token()
	return c.AuthenticationMethod() == MethodIP && (token != "" || !wanted)
}

// SettleMethods makes one of the two methods follow the other, where a request named only
// one of them, and says what is wrong where it named two that exclude each other.
func (o *FQDNOutbound) SettleMethods(fqdnNamed, ipNamed bool) []field.Error {
	chosen := o.FQDNAuthenticationMethod
	switch {
	case o.IPAuthenticationMethod != MethodCredential || chosen == nil || *chosen == MethodCredential:
	case fqdnNamed && ipNamed:
		return []field.Error{{Pointer: "/outbound/ip_authentication_method", Code: field.Malformed,
			Detail: "ip_authentication_method is credential-authentication and fqdn_authentication_method is ip-authentication. " +
				"Give one of the two, or both the same."}}
	case fqdnNamed:
		o.IPAuthenticationMethod = MethodIP
	default:
		o.FQDNAuthenticationMethod = new(MethodCredential)
	}
	return nil
}

// Complete gives the fields that a server before them has not written their defaults.
func (c *FQDNConnection) Complete() {
	c.Base.Complete()
	c.DigestSettings.complete()
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

// Validate says everything that is wrong with the connection's values beyond
// what the tags of its fields already say.
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

// defaultSIPPort is that of SIP over UDP and TCP (RFC 3261, section 19.1.2).
const defaultSIPPort = 5060

// PortInUse is the port that the name stands for: that of an A record is 5060 if
// none is set, and an SRV record names its own, which is nil here.
func (f *FQDN) PortInUse() *int32 {
	if f.Port == nil && f.DNSRecordType == "a" {
		return new(int32(defaultSIPPort))
	}
	return f.Port
}

// Name is the domain name as it is compared: without regard to case and without
// the dot of the root (RFC 4343, RFC 1034 section 3.1).
func (f *FQDN) Name() string { return FoldName(f.FQDN) }

// FoldName is the form in which domain names are compared.
func FoldName(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }

// maxLabel is the longest label of a domain name (RFC 1035, section 2.3.4).
const maxLabel = 63

// Validate says everything that is wrong with the name beyond what the tags of
// its fields already say.
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
			strings.ContainsFunc(label, func(r rune) bool { return r != '-' && r != '_' && (r < '0' || r > '9') && !isLetter(r) })
	}
	if wrong {
		errs = append(errs, field.Error{Pointer: "/fqdn", Code: field.Malformed,
			Detail: "Not a fully qualified domain name. Give labels of letters, digits and hyphens separated by dots, such as \"sip.example.com\"; other characters in their ASCII form (xn--)."})
	}
	return errs
}
