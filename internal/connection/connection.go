// Package connection is who may call: a PBX known by its IP address, by digest
// credentials, or by its domain name. It holds the resources of the API and the
// matching of a SIP request to one of them.
package connection

import (
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/id"
)

// Kind says how a connection is recognised. Its text is the record_type of the API.
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
	ID        id.ID `json:"id" readOnly:"true"`
	AccountID id.ID `json:"-"`
	// Version counts the changes of this connection, from 1.
	Version int64 `json:"-"`

	Active         bool   `json:"active" default:"true"`
	ConnectionName string `json:"connection_name" maxLength:"255"`
	// AnchorMedia is Tollgate's own.
	AnchorMedia                      bool                    `json:"anchor_media" doc:"Tollgate's own: whether the media of this connection's calls go through the server's media relay, also when they are not recorded."`
	AnchorsiteOverride               string                  `json:"anchorsite_override" default:"Latency" minLength:"1" maxLength:"64"`
	AndroidPushCredentialID          *uuid.UUID              `json:"android_push_credential_id"`
	IOSPushCredentialID              *uuid.UUID              `json:"ios_push_credential_id"`
	CallCostInWebhooks               bool                    `json:"call_cost_in_webhooks"`
	ConversationPersistence          bool                    `json:"conversation_persistence" updateOnly:"true" doc:"Kept and returned; no conversation is transcribed. Telnyx takes it in updates only."`
	DefaultOnHoldComfortNoiseEnabled bool                    `json:"default_on_hold_comfort_noise_enabled"`
	DTMFType                         string                  `json:"dtmf_type" default:"RFC 2833" enum:"RFC 2833,Inband,SIP INFO"`
	EncodeContactHeaderEnabled       bool                    `json:"encode_contact_header_enabled"`
	EncryptedMedia                   *string                 `json:"encrypted_media" enum:"SRTP"`
	JitterBuffer                     JitterBuffer            `json:"jitter_buffer"`
	NoiseSuppression                 string                  `json:"noise_suppression" default:"disabled" enum:"inbound,outbound,both,disabled"`
	NoiseSuppressionDetails          NoiseSuppressionDetails `json:"noise_suppression_details"`
	OnnetT38PassthroughEnabled       bool                    `json:"onnet_t38_passthrough_enabled"`
	RTCPSettings                     RTCPSettings            `json:"rtcp_settings"`
	Tags                             []string                `json:"tags" maxItems:"100"`
	WebhookAPIVersion                string                  `json:"webhook_api_version" default:"1" enum:"1,2,texml"`
	WebhookEventURL                  *string                 `json:"webhook_event_url" maxLength:"2000"`
	WebhookEventFailoverURL          *string                 `json:"webhook_event_failover_url" maxLength:"2000"`
	WebhookTimeoutSecs               *int32                  `json:"webhook_timeout_secs" minimum:"0" maximum:"30"`

	// EmergencyNumbers is Tollgate's own: numbers dialled on this connection that
	// are emergency calls besides those of the connection's country.
	EmergencyNumbers []string `json:"emergency_numbers" maxItems:"50" doc:"Tollgate's own: dialled numbers that are emergency calls besides those of the connection's country: 2 to 6 digits that can be dialled as nothing else. Only a key with the scope admin may add one."`
	// EmergencyCallLimit and EmergencyAlertCalls are Tollgate's own.
	EmergencyCallLimit  *int32 `json:"emergency_call_limit" minimum:"1" maximum:"100000" doc:"Tollgate's own: how many emergency calls of this connection may be up or ringing at once; more are refused with TG13. null, the default, refuses none. Only a key with the scope admin may change it; docs/EMERGENCY.md says what it means."`
	EmergencyAlertCalls *int32 `json:"emergency_alert_calls" minimum:"0" maximum:"100000" default:"10" doc:"Tollgate's own: how many emergency calls of this connection on one UTC day are unusual: the event connection.emergency_calls tells when so many have started, and again at each doubling. 0 never tells. Only a key with the scope admin may raise it or set 0."`
	// CallerIDs is Tollgate's own.
	CallerIDs CallerIDs `json:"caller_ids" doc:"Tollgate's own: which caller ids the callers of this connection may show."`

	// The rest of these is Tollgate's own.
	CallsPerSecond  *int32 `json:"calls_per_second" minimum:"1" maximum:"100000" doc:"Tollgate's own: how many calls of this connection each server takes a second; null means no limit."`
	MaxCallSecs     *int32 `json:"max_call_secs" minimum:"1" maximum:"604800" doc:"Tollgate's own: how long a call of this connection may last; null means no limit of its own."`
	CallerIDHeaders string `json:"caller_id_headers" enum:"private-calls,p-asserted-identity,remote-party-id,both,none" default:"private-calls" doc:"Tollgate's own: in which headers besides From the carrier is told the caller: P-Asserted-Identity on calls whose caller wants to be anonymous, one of the two headers or both on every call, or none."`
	CallerPrivacy   string `json:"caller_privacy" enum:"as-asked,always,never" default:"as-asked" doc:"Tollgate's own: whether callers are anonymous towards the callee: when they ask for it, always, or never."`
	Diversions      string `json:"diversions" enum:"remove,pass" default:"remove" doc:"Tollgate's own: whether Diversion and History-Info go to the carrier, at most 5 and 10 entries."`

	CreatedAt time.Time `json:"created_at" readOnly:"true"`
	UpdatedAt time.Time `json:"updated_at" readOnly:"true"`
}

// JitterBuffer is kept for compatibility.
type JitterBuffer struct {
	EnableJitterBuffer  bool  `json:"enable_jitter_buffer"`
	JitterbufferMsecMax int32 `json:"jitterbuffer_msec_max" minimum:"40" maximum:"400" default:"200"`
	JitterbufferMsecMin int32 `json:"jitterbuffer_msec_min" minimum:"40" maximum:"400" default:"60"`
}

// NoiseSuppressionDetails is kept for compatibility.
type NoiseSuppressionDetails struct {
	AttenuationLimit int32  `json:"attenuation_limit" minimum:"0" maximum:"100" multipleOf:"10"`
	Engine           string `json:"engine" default:"denoiser" enum:"denoiser,deep_filter_net,deep_filter_net_large,krisp_viva_tel,krisp_viva_tel_lite,krisp_viva_promodel,krisp_viva_ss,quail_voice_focus"`
}

// RTCPSettings is kept for compatibility.
type RTCPSettings struct {
	CaptureEnabled      bool   `json:"capture_enabled"`
	Port                string `json:"port" default:"rtp+1" enum:"rtcp-mux,rtp+1"`
	ReportFrequencySecs int32  `json:"report_frequency_secs" minimum:"5" maximum:"3000" default:"5"`
}

// Inbound is kept for compatibility: Tollgate carries outbound calls only. These are
// the members that credential connections have; IP connections have more.
type Inbound struct {
	ANINumberFormat          string   `json:"ani_number_format" default:"E.164-national" enum:"+E.164,E.164,+E.164-national,E.164-national"`
	ChannelLimit             *int32   `json:"channel_limit" minimum:"0"`
	Codecs                   []string `json:"codecs" maxItems:"20" fold:"codec"`
	DefaultRoutingMethod     *string  `json:"default_routing_method" enum:"sequential,round-robin"`
	DNISNumberFormat         string   `json:"dnis_number_format" default:"e164" enum:"+e164,e164,national,sip_username"`
	GenerateRingbackTone     bool     `json:"generate_ringback_tone"`
	ISUPHeadersEnabled       bool     `json:"isup_headers_enabled"`
	PRACKEnabled             bool     `json:"prack_enabled"`
	ShakenStirEnabled        bool     `json:"shaken_stir_enabled"`
	SimultaneousRinging      string   `json:"simultaneous_ringing" default:"disabled" enum:"disabled,enabled"`
	SIPCompactHeadersEnabled bool     `json:"sip_compact_headers_enabled" default:"true"`
	Timeout1xxSecs           int32    `json:"timeout_1xx_secs" minimum:"1" maximum:"120" default:"3"`
	Timeout2xxSecs           int32    `json:"timeout_2xx_secs" minimum:"1" maximum:"600" default:"90"`
}

// IPInbound adds what IP connections have besides.
type IPInbound struct {
	Inbound
	DefaultPrimaryIPID         *string `json:"default_primary_ip_id" numeric:"id"`
	DefaultSecondaryIPID       *string `json:"default_secondary_ip_id" numeric:"id"`
	DefaultTertiaryIPID        *string `json:"default_tertiary_ip_id" numeric:"id"`
	SIPRegion                  string  `json:"sip_region" default:"US" enum:"US,Europe,Australia"`
	SIPSubdomain               *string `json:"sip_subdomain"`
	SIPSubdomainReceiveSetting *string `json:"sip_subdomain_receive_settings" enum:"only_my_connections,from_anyone"`
}

// Outbound holds the outbound settings that every kind has.
type Outbound struct {
	ANIOverride            string  `json:"ani_override" maxLength:"32" doc:"A number that replaces the caller id of outbound calls; empty for none."`
	ANIOverrideType        string  `json:"ani_override_type" default:"always" enum:"always,normal,emergency" doc:"When ani_override applies: always, on all but emergency calls, or on emergency calls only."`
	CallParkingEnabled     *bool   `json:"call_parking_enabled"`
	ChannelLimit           *int32  `json:"channel_limit" minimum:"0" doc:"How many outbound calls of this connection may be up or ringing at once; null means no limit."`
	GenerateRingbackTone   bool    `json:"generate_ringback_tone"`
	InstantRingbackEnabled bool    `json:"instant_ringback_enabled"`
	Localization           *string `json:"localization" minLength:"2" maxLength:"2" doc:"The ISO 3166-1 alpha-2 country whose national dialling rules apply; null for international dialling only."`
	OutboundVoiceProfileID id.ID   `json:"outbound_voice_profile_id"`
	T38ReinviteSource      string  `json:"t38_reinvite_source" enum:"telnyx,customer,disabled,passthru,caller-passthru,callee-passthru"`
}

// IPConnection is a PBX known by its source addresses.
type IPConnection struct {
	Base
	Inbound           IPInbound  `json:"inbound"`
	Outbound          IPOutbound `json:"outbound"`
	TransportProtocol string     `json:"transport_protocol" default:"UDP" enum:"UDP,TCP,TLS"`
}

// IPOutbound adds what tells connections behind one address apart.
type IPOutbound struct {
	Outbound
	IPAuthenticationMethod string  `json:"ip_authentication_method" default:"tech-prefixp-charge-info" enum:"tech-prefixp-charge-info,token"`
	IPAuthenticationToken  *string `json:"ip_authentication_token" maxLength:"128" doc:"The value of the X-Telnyx-Token header (X-Tollgate-Token is read alike) that this connection's requests carry."`
	TechPrefix             string  `json:"tech_prefix" pattern:"^([0-9]{4})?$" doc:"Four digits that this connection's callers dial before the number; empty for none."`
}

// CredentialConnection is a phone or PBX known by SIP digest credentials.
type CredentialConnection struct {
	Base
	Inbound                 Inbound  `json:"inbound"`
	Outbound                Outbound `json:"outbound"`
	UserName                string   `json:"user_name" minLength:"4" maxLength:"32" pattern:"^[A-Za-z0-9]+$"`
	Password                string   `json:"password" minLength:"8" maxLength:"128"`
	SIPURICallingPreference *string  `json:"sip_uri_calling_preference" enum:"disabled,unrestricted,internal"`
	DigestSettings
}

// IP is one source address of an IPConnection.
// Source: Telnyx v2, /ips.
type IP struct {
	ID           id.ID     `json:"id" readOnly:"true"`
	AccountID    id.ID     `json:"-"`
	Version      int64     `json:"-"`
	ConnectionID id.ID     `json:"connection_id"`
	IPAddress    Network   `json:"ip_address" doc:"An address or, Tollgate's own, a network such as 192.0.2.0/24; of several that a sender is in, the smallest counts. It belongs to one account, unless an admin shares it: shared_sources of accounts. A network larger than /24 (IPv6 /48) needs a key with the scope carrier."`
	Port         int32     `json:"port" minimum:"1" maximum:"65535" default:"5060"`
	CreatedAt    time.Time `json:"created_at" readOnly:"true"`
	UpdatedAt    time.Time `json:"updated_at" readOnly:"true"`
}

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
	}
}

// Complete gives the fields that a server before them has not written their defaults.
func (b *Base) Complete() {
	if b.CallerIDHeaders == "" {
		fresh := newBase()
		b.CallerIDHeaders, b.CallerPrivacy, b.Diversions = fresh.CallerIDHeaders, fresh.CallerPrivacy, fresh.Diversions
	}
	if b.CallerIDs.OnMismatch == "" {
		b.CallerIDs, b.EmergencyAlertCalls = newCallerIDs(), new(int32(DefaultEmergencyAlertCalls))
	}
}

// Complete gives the fields that a server before them has not written their defaults.
func (c *CredentialConnection) Complete() {
	c.Base.Complete()
	c.DigestSettings.complete()
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
	c := IPConnection{Base: newBase(), Inbound: IPInbound{Inbound: newInbound(), SIPRegion: sipRegion}, TransportProtocol: "UDP"}
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
