// Package connection defines who may call: a PBX known by its IP address, by digest
// credentials, or by its domain name. It holds the resources of the API and matches SIP
// requests to them. The tag mark and the comment of a field
// are its row in docs/COMPATIBILITY.md.
package connection

import (
	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/id"
)

// Kind describes how a connection is recognised. Its text is the record_type of the API.
type Kind string

// The kinds of connection.
const (
	KindIP         Kind = "ip_connection"
	KindCredential Kind = "credential_connection"
	KindFQDN       Kind = "fqdn_connection"
)

// Base holds the fields that every kind of connection has, except outbound and
// inbound, whose defaults and members differ by kind.
// Source: Telnyx v2, IpConnection, CredentialConnection and FqdnConnection.
type Base struct {
	collection.Head[id.ID]

	// refused with D16 when false
	Active bool `json:"active" mark:"enforced"`
	// needed to create a credential or FQDN connection
	ConnectionName string `json:"connection_name" mark:"kept" maxLength:"255"`
	// media go through the server's relay, also when the call is not recorded
	AnchorMedia bool `json:"anchor_media" doc:"Tollgate's own: whether the media of this connection's calls go through the server's media relay, also when they are not recorded."`
	// one of Telnyx's sites; media is not routed by it
	AnchorsiteOverride      string     `json:"anchorsite_override" mark:"kept" minLength:"1" maxLength:"64"`
	AndroidPushCredentialID *uuid.UUID `json:"android_push_credential_id" mark:"kept"`
	IOSPushCredentialID     *uuid.UUID `json:"ios_push_credential_id" mark:"kept"`
	// `call.cost` is sent after the end of each call that was admitted
	CallCostInWebhooks bool `json:"call_cost_in_webhooks" mark:"enforced"`
	// false by default; in answers and updates. A request to create ignores it and names it in
	// `Tollgate-Ignored-Fields`. Nothing is transcribed
	ConversationPersistence          bool `json:"conversation_persistence" mark:"kept" updateOnly:"true" doc:"Kept and returned; no conversation is transcribed. Telnyx takes it in updates only."`
	DefaultOnHoldComfortNoiseEnabled bool `json:"default_on_hold_comfort_noise_enabled" mark:"kept"`
	// DTMF passes unchanged
	DTMFType string `json:"dtmf_type" mark:"kept" enum:"RFC 2833,Inband,SIP INFO"`
	// for callers behind translators (NAT) and application layer gateways: our Contact shows no address
	// (`sip:tollgate@encoded.invalid`), requests reach us by a Record-Route, and ours go to where the caller's
	// messages come from, whatever its Contact says
	EncodeContactHeaderEnabled bool `json:"encode_contact_header_enabled" mark:"enforced"`
	// null or `SRTP`: offers and answers of plain RTP are refused, in the first INVITE and in every later one, and
	// the relay speaks SRTP with the caller whatever the carrier speaks
	EncryptedMedia             *string                 `json:"encrypted_media" mark:"enforced" enum:"SRTP"`
	JitterBuffer               JitterBuffer            `json:"jitter_buffer" mark:"kept"`
	NoiseSuppression           string                  `json:"noise_suppression" mark:"kept" enum:"inbound,outbound,both,disabled"`
	NoiseSuppressionDetails    NoiseSuppressionDetails `json:"noise_suppression_details" mark:"kept"`
	OnnetT38PassthroughEnabled bool                    `json:"onnet_t38_passthrough_enabled" mark:"kept"`
	RTCPSettings               RTCPSettings            `json:"rtcp_settings" mark:"kept"`
	// events of the connection's calls show them
	Tags []string `json:"tags" mark:"kept" maxItems:"100"`
	// `1`, `2` or, on credential connections with `outbound.call_parking_enabled` true, `texml`, which reads `2`:
	// Telnyx's types know it in the create request and in no answer. Events have the form of version 2 whatever
	// it says
	WebhookAPIVersion string `json:"webhook_api_version" mark:"kept" enum:"1,2,texml"`
	// events of the connection's calls go there, signed; `GET /tollgate/v1/webhook_public_key`. An `http://` or
	// private address is kept, and not called unless the operator allows it: the log of deliveries says so
	WebhookEventURL *string `json:"webhook_event_url" mark:"enforced" maxLength:"2000"`
	// tried when the primary URL fails
	WebhookEventFailoverURL *string `json:"webhook_event_failover_url" mark:"enforced" maxLength:"2000"`
	WebhookTimeoutSecs      *int32  `json:"webhook_timeout_secs" mark:"enforced" minimum:"0" maximum:"30"`

	// numbers that are emergency calls besides those of the connection's country: 2 to 6 digits that can be
	// dialled as nothing else; only `admin` adds one
	EmergencyNumbers []string `json:"emergency_numbers" maxItems:"50" doc:"Tollgate's own: dialled numbers that are emergency calls besides those of the connection's country: 2 to 6 digits that can be dialled as nothing else. Only a key with the scope admin may add one."`
	// emergency calls at once; more are refused with 503 TG13. null, the default, refuses none. Only `admin`
	// changes it; see [EMERGENCY.md](EMERGENCY.md)
	EmergencyCallLimit *int32 `json:"emergency_call_limit" minimum:"1" maximum:"100000" doc:"Tollgate's own: how many emergency calls of this connection may be up or ringing at once; more are refused with TG13. null, the default, refuses none. Only a key with the scope admin may change it; docs/EMERGENCY.md says what it means."`
	// how many emergency calls on one UTC day are unusual and reported by `connection.emergency_calls`; 10 by
	// default, 0 for never
	EmergencyAlertCalls *int32 `json:"emergency_alert_calls" minimum:"0" maximum:"100000" doc:"Tollgate's own: how many emergency calls of this connection on one UTC day are unusual: the event connection.emergency_calls tells when so many have started, and again at each doubling. 0 never tells. Only a key with the scope admin may raise it or set 0."`
	// which numbers callers may show; an object, see its members
	CallerIDs CallerIDs `json:"caller_ids" doc:"Tollgate's own: which caller ids the callers of this connection may show."`

	// calls above it are refused with 503 P05, counted on each server, over SIP and for other switches;
	// emergency calls are not. Attempts that another rule refuses count too
	CallsPerSecond *int32 `json:"calls_per_second" minimum:"1" maximum:"100000" doc:"Tollgate's own: how many calls of this connection each server takes a second; null means no limit."`
	// the call is ended that long after its answer; the least of the server's, the profile's and the connection's
	// counts
	MaxCallSecs *int32 `json:"max_call_secs" minimum:"1" maximum:"604800" doc:"Tollgate's own: how long a call of this connection may last; null means no limit of its own."`
	// P-Asserted-Identity (RFC 3325) or Remote-Party-ID for the carrier; what the caller sends in them never goes
	// on. An asserted number, and `screen=yes`, only where `caller_ids` has it confirmed
	CallerIDHeaders string `json:"caller_id_headers" enum:"private-calls,p-asserted-identity,remote-party-id,both,none" doc:"Tollgate's own: in which headers besides From the carrier is told the caller: P-Asserted-Identity on calls whose caller wants to be anonymous, one of the two headers or both on every call, or none."`
	// From is anonymous and Privacy is `id`; never on emergency calls, where the service must be able to call back
	CallerPrivacy string `json:"caller_privacy" enum:"as-asked,always,never" doc:"Tollgate's own: whether callers are anonymous towards the callee: when they ask for it, always, or never."`
	// at most 5 Diversion and 10 History-Info entries of 256 bytes, without names, within `caller_ids`; Diversion
	// has `screen=yes` only when confirmed
	Diversions string `json:"diversions" enum:"remove,pass" doc:"Tollgate's own: whether Diversion and History-Info go to the carrier, at most 5 and 10 entries."`
	// `B` and `C` are for customers who bring calls of others; only `admin` raises it. See [SIP.md](SIP.md#identity)
	MaxAttestation string `json:"max_attestation" enum:"A,B,C" doc:"Tollgate's own: the most that calls of this connection are signed with (STIR/SHAKEN). A is only for numbers that caller_ids has confirmed; B for customers who are known, C for those who bring calls of others, such as a gateway to another network. Only a key with the scope admin may raise it."`

	// of requests and responses both ways; at most 8 lines of 1,024 bytes of each; those of the gateway's list are passed
	// too
	PassHeaders []string `json:"pass_headers" maxItems:"32" doc:"Tollgate's own: names of header fields, such as User-to-User or X-Campaign, that callers of this connection and gateways may send each other, besides those that are always passed on (docs/SIP.md)."`

	collection.Times
}

// JitterBuffer is kept for compatibility.
type JitterBuffer struct {
	EnableJitterBuffer  bool  `json:"enable_jitter_buffer"`
	JitterbufferMsecMax int32 `json:"jitterbuffer_msec_max" minimum:"40" maximum:"400"`
	JitterbufferMsecMin int32 `json:"jitterbuffer_msec_min" minimum:"40" maximum:"400"`
}

// NoiseSuppressionDetails is kept for compatibility.
type NoiseSuppressionDetails struct {
	AttenuationLimit int32  `json:"attenuation_limit" minimum:"0" maximum:"100" multipleOf:"10"`
	Engine           string `json:"engine" title:"SuppressionEngine" enum:"denoiser,deep_filter_net,deep_filter_net_large,krisp_viva_tel,krisp_viva_tel_lite,krisp_viva_promodel,krisp_viva_ss,quail_voice_focus"`
}

// RTCPSettings is kept for compatibility.
type RTCPSettings struct {
	CaptureEnabled      bool   `json:"capture_enabled"`
	Port                string `json:"port" enum:"rtcp-mux,rtp+1"`
	ReportFrequencySecs int32  `json:"report_frequency_secs" minimum:"5" maximum:"3000"`
}

// Inbound is kept for compatibility: Tollgate carries outbound calls only. These are
// the members that credential connections have; IP connections have more.
type Inbound struct {
	ANINumberFormat string `json:"ani_number_format" enum:"+E.164,E.164,+E.164-national,E.164-national"`
	ChannelLimit    *int32 `json:"channel_limit" minimum:"0"`
	// `PCMU` and `PCMA` are read as `G711U` and `G711A`, any name in any case
	Codecs                   []string `json:"codecs" maxItems:"20" fold:"codec"`
	DefaultRoutingMethod     *string  `json:"default_routing_method" enum:"sequential,round-robin"`
	DNISNumberFormat         string   `json:"dnis_number_format" enum:"+e164,e164,national,sip_username"`
	GenerateRingbackTone     bool     `json:"generate_ringback_tone"`
	ISUPHeadersEnabled       bool     `json:"isup_headers_enabled"`
	PRACKEnabled             bool     `json:"prack_enabled"`
	ShakenStirEnabled        bool     `json:"shaken_stir_enabled"`
	SimultaneousRinging      string   `json:"simultaneous_ringing" enum:"disabled,enabled"`
	SIPCompactHeadersEnabled bool     `json:"sip_compact_headers_enabled"`
	Timeout1xxSecs           int32    `json:"timeout_1xx_secs" minimum:"1" maximum:"120"`
	Timeout2xxSecs           int32    `json:"timeout_2xx_secs" minimum:"1" maximum:"600"`
}

// IPInbound adds the members that only IP connections have.
type IPInbound struct {
	Inbound
	DefaultPrimaryIPID         *string `json:"default_primary_ip_id" numeric:"id"`
	DefaultSecondaryIPID       *string `json:"default_secondary_ip_id" numeric:"id"`
	DefaultTertiaryIPID        *string `json:"default_tertiary_ip_id" numeric:"id"`
	SIPRegion                  string  `json:"sip_region" enum:"US,Europe,Australia"`
	SIPSubdomain               *string `json:"sip_subdomain"`
	SIPSubdomainReceiveSetting *string `json:"sip_subdomain_receive_settings" enum:"only_my_connections,from_anyone"`
}

// Outbound holds the outbound settings that every kind has.
type Outbound struct {
	// a phone number: +E.164 of any country, or a national number of the localization. One that the numbering
	// plan, with its overrides, has no such number for refuses calls with D35; emergency calls then show the
	// caller's own
	ANIOverride string `json:"ani_override" mark:"enforced" maxLength:"32" doc:"A number that replaces the caller id of outbound calls; empty for none."`
	// `always`; `normal`: on all but emergency calls; `emergency`: on emergency calls only
	ANIOverrideType    string `json:"ani_override_type" mark:"enforced" enum:"always,normal,emergency" doc:"When ani_override applies: always, on all but emergency calls, or on emergency calls only."`
	CallParkingEnabled *bool  `json:"call_parking_enabled" mark:"kept"`
	// refused with D3
	ChannelLimit           *int32 `json:"channel_limit" mark:"enforced" minimum:"0" doc:"How many outbound calls of this connection may be up or ringing at once; null means no limit."`
	GenerateRingbackTone   bool   `json:"generate_ringback_tone" mark:"kept"`
	InstantRingbackEnabled bool   `json:"instant_ringback_enabled" mark:"kept"`
	// whose national dialling rules apply; alpha-2 in capitals
	Localization *string `json:"localization" mark:"enforced" minLength:"2" maxLength:"2" doc:"The ISO 3166-1 alpha-2 country whose national dialling rules apply; null for international dialling only."`
	// refused with D38 when null; `""` is read as null
	OutboundVoiceProfileID id.ID  `json:"outbound_voice_profile_id" mark:"enforced"`
	T38ReinviteSource      string `json:"t38_reinvite_source" mark:"kept" enum:"telnyx,customer,disabled,passthru,caller-passthru,callee-passthru"`
}

// IPConnection is a PBX known by its source addresses.
type IPConnection struct {
	Base
	// Tollgate carries outbound calls only
	Inbound IPInbound `json:"inbound" mark:"kept"`
	// an object; see its members
	Outbound IPOutbound `json:"outbound" mark:"enforced"`
	// `TCP` and `TLS` refuse calls that come by another transport; with `UDP`, the default, any is accepted
	TransportProtocol string `json:"transport_protocol" mark:"enforced" enum:"UDP,TCP,TLS"`
}

// IPOutbound adds the settings that distinguish connections behind one address.
type IPOutbound struct {
	Outbound
	// `token` wants the token on every request. `tech-prefixp-charge-info`, the default: the tech prefix that is
	// dialled, or the number in P-Charge-Info, where `caller_ids` of the connection lists it, chooses among the
	// connections of one account behind an address. A number that none of them lists chooses nothing. Two of them
	// still need tech prefixes, so that a call without the header has one meaning
	IPAuthenticationMethod string `json:"ip_authentication_method" mark:"enforced" title:"IPAuthenticationMethod" enum:"tech-prefixp-charge-info,token"`
	// in X-Telnyx-Token or X-Tollgate-Token; refused with D29; masked as passwords are, which is ours
	IPAuthenticationToken *string `json:"ip_authentication_token" mark:"enforced" maxLength:"128" doc:"The value of the X-Telnyx-Token header (X-Tollgate-Token is read alike) that this connection's requests carry."`
	// four digits before the number; refused with D26
	TechPrefix string `json:"tech_prefix" mark:"enforced" pattern:"^([0-9]{4})?$" doc:"Four digits that this connection's callers dial before the number; empty for none."`
}

// CredentialConnection is a phone or PBX known by SIP digest credentials.
type CredentialConnection struct {
	Base
	// Tollgate carries outbound calls only
	Inbound Inbound `json:"inbound" mark:"kept"`
	// an object; see its members
	Outbound Outbound `json:"outbound" mark:"enforced"`
	// 4 to 32 letters and digits, a letter among the first 5; unique in the whole server, since a SIP request
	// names no account
	UserName string `json:"user_name" mark:"enforced" minLength:"4" maxLength:"32" pattern:"^[A-Za-z0-9]+$"`
	// 8 to 128 characters; shown in the answer that sets it, afterwards as `********` but to keys with the scope
	// `secrets` (ours); only asterisks are refused, see [SECRETS.md](SECRETS.md)
	Password                string  `json:"password" mark:"enforced" minLength:"8" maxLength:"128"`
	SIPURICallingPreference *string `json:"sip_uri_calling_preference" mark:"kept" enum:"disabled,unrestricted,internal"`
	DigestSettings
}

// IP is one source address of an IPConnection.
// Source: Telnyx v2, /ips.
type IP struct {
	collection.Head[id.ID]
	// an IP connection or (ours) an FQDN connection, which takes calls from it with `ip-authentication`; null or
	// `""` is none
	ConnectionID id.ID `json:"connection_id" mark:"enforced"`
	// IPv4 or IPv6, or (ours) a network such as `192.0.2.0/24`, of which the smallest that a sender is in counts;
	// at most `/8` and `/32` (IPv6), and larger than `/24` and `/48` only with the scope `carrier`. It belongs to
	// one account, unless an admin shares it (`shared_sources` of accounts); two connections with a profile share
	// an address only if a tech prefix or token tells them apart
	IPAddress Network `json:"ip_address" mark:"enforced" doc:"An address or, Tollgate's own, a network such as 192.0.2.0/24; of several that a sender is in, the smallest counts. It belongs to one account, unless an admin shares it: shared_sources of accounts. A network larger than /24 (IPv6 /48) needs a key with the scope carrier."`
	// requests are recognised by their address, from any port
	Port int32 `json:"port" mark:"kept" minimum:"1" maximum:"65535"`
	collection.Times
}

// NewIP returns an address with the API's defaults.
func NewIP() IP { return IP{Port: defaultSIPPort} }

func newBase() Base {
	return Base{
		Active:                  true,
		AnchorsiteOverride:      "Latency",
		DTMFType:                "RFC 2833",
		JitterBuffer:            JitterBuffer{JitterbufferMsecMax: 200, JitterbufferMsecMin: 60},
		NoiseSuppression:        "disabled",
		NoiseSuppressionDetails: NoiseSuppressionDetails{Engine: "denoiser"},
		RTCPSettings:            RTCPSettings{Port: "rtp+1", ReportFrequencySecs: 5},
		Tags:                    []string{},
		WebhookAPIVersion:       "1",
		EmergencyNumbers:        []string{},
		EmergencyAlertCalls:     new(int32(DefaultEmergencyAlertCalls)),
		CallerIDs:               newCallerIDs(),
		CallerIDHeaders:         "private-calls", CallerPrivacy: "as-asked", Diversions: "remove",
		MaxAttestation: "A",
		PassHeaders:    []string{},
	}
}

// sipRegion is the default of inbound.sip_region.
const sipRegion = "US"

func newInbound() Inbound {
	return Inbound{
		ANINumberFormat:          "E.164-national",
		Codecs:                   []string{"G722", "G711U", "G711A", "G729", "OPUS", "H.264"},
		DNISNumberFormat:         "e164",
		SimultaneousRinging:      "disabled",
		SIPCompactHeadersEnabled: true,
		Timeout1xxSecs:           3,
		Timeout2xxSecs:           90,
	}
}

// NewIPConnection returns an IP connection with the API's defaults.
func NewIPConnection() IPConnection {
	c := IPConnection{
		Base:              newBase(),
		Inbound:           IPInbound{Inbound: newInbound(), SIPRegion: sipRegion},
		TransportProtocol: "UDP",
	}
	c.DefaultOnHoldComfortNoiseEnabled = true
	c.Outbound = IPOutbound{
		Outbound: Outbound{
			ANIOverrideType: "always", InstantRingbackEnabled: true, T38ReinviteSource: "customer",
			CallParkingEnabled: new(false),
		},
		IPAuthenticationMethod: "tech-prefixp-charge-info",
	}
	return c
}

// NewCredentialConnection returns a credential connection with the API's defaults.
func NewCredentialConnection() CredentialConnection {
	c := CredentialConnection{Base: newBase(), Inbound: newInbound(), DigestSettings: newDigestSettings()}
	c.Outbound = Outbound{
		ANIOverrideType: "always", InstantRingbackEnabled: true, T38ReinviteSource: "telnyx",
		CallParkingEnabled: new(false), Localization: new("US"),
	}
	return c
}
