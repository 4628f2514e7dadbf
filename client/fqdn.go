package client

import "time"

// FQDNConnection is a PBX with domain names, known by digest credentials or by addresses.
type FQDNConnection struct {
	ID                  string `json:"id"`
	RecordType          string `json:"record_type"`
	Active              bool   `json:"active"`
	AdjustDTMFTimestamp bool   `json:"adjust_dtmf_timestamp"`
	// Tollgate's own: whether the media of this connection's calls go through the server's media
	// relay, also when they are not recorded.
	AnchorMedia bool `json:"anchor_media"`
	// Tollgate's own: in which headers besides From the carrier is told the caller.
	CallerIDHeaders string `json:"caller_id_headers"`
	// Tollgate's own: which caller ids the callers of this connection may show.
	CallerIDs CallerIDs `json:"caller_ids"`
	// Tollgate's own: how many emergency calls of one UTC day are unusual and reported; 0 for never.
	EmergencyAlertCalls *int64 `json:"emergency_alert_calls"`
	// Tollgate's own: how many emergency calls may be up at once; null means no limit.
	EmergencyCallLimit *int64 `json:"emergency_call_limit"`
	// Tollgate's own: whether callers are anonymous: as-asked, always or never.
	CallerPrivacy string `json:"caller_privacy"`
	// Tollgate's own: how many calls each server takes a second; null means no limit.
	CallsPerSecond *int64 `json:"calls_per_second"`
	// Tollgate's own: whether Diversion and History-Info go to the carrier: remove or pass.
	Diversions string `json:"diversions"`
	// Tollgate's own: how long a call may last; null means no limit.
	MaxCallSecs             *int64  `json:"max_call_secs"`
	AnchorsiteOverride      string  `json:"anchorsite_override"`
	AndroidPushCredentialID *string `json:"android_push_credential_id"`
	CallCostEnabled         bool    `json:"call_cost_enabled"`
	CallCostInWebhooks      bool    `json:"call_cost_in_webhooks"`
	// Kept and returned; no conversation is transcribed.
	ConversationPersistence bool `json:"conversation_persistence"`
	// Tollgate's own: the digest algorithms that are taken.
	DigestAlgorithms []string `json:"digest_algorithms"`
	// Tollgate's own: the networks from which the credentials are taken; null for all.
	AllowedSources                   *[]string `json:"allowed_sources"`
	ConnectionName                   string    `json:"connection_name"`
	DefaultOnHoldComfortNoiseEnabled bool      `json:"default_on_hold_comfort_noise_enabled"`
	DTMFType                         string    `json:"dtmf_type"`
	// Tollgate's own: dialled numbers that are emergency calls besides those of the connection's
	// country.
	EmergencyNumbers            []string                `json:"emergency_numbers"`
	EncodeContactHeaderEnabled  bool                    `json:"encode_contact_header_enabled"`
	EncryptedMedia              *string                 `json:"encrypted_media"`
	IgnoreDTMFDuration          bool                    `json:"ignore_dtmf_duration"`
	IgnoreMarkBit               bool                    `json:"ignore_mark_bit"`
	Inbound                     FQDNInbound             `json:"inbound"`
	IOSPushCredentialID         *string                 `json:"ios_push_credential_id"`
	JitterBuffer                JitterBuffer            `json:"jitter_buffer"`
	MicrosoftTeamsSBC           bool                    `json:"microsoft_teams_sbc"`
	NoiseSuppression            string                  `json:"noise_suppression"`
	NoiseSuppressionDetails     NoiseSuppressionDetails `json:"noise_suppression_details"`
	OnnetT38PassthroughEnabled  bool                    `json:"onnet_t38_passthrough_enabled"`
	Outbound                    FQDNOutbound            `json:"outbound"`
	Password                    *string                 `json:"password"`
	RTCPSettings                RTCPSettings            `json:"rtcp_settings"`
	RTPPassCodecsOnStreamChange bool                    `json:"rtp_pass_codecs_on_stream_change"`
	SendNormalizedTimestamps    bool                    `json:"send_normalized_timestamps"`
	Tags                        []string                `json:"tags"`
	ThirdPartyControlEnabled    bool                    `json:"third_party_control_enabled"`
	TransportProtocol           string                  `json:"transport_protocol"`
	TXTName                     *string                 `json:"txt_name"`
	TXTTTL                      *int64                  `json:"txt_ttl"`
	TXTValue                    *string                 `json:"txt_value"`
	UserName                    *string                 `json:"user_name"`
	WebhookAPIVersion           string                  `json:"webhook_api_version"`
	WebhookEventFailoverURL     *string                 `json:"webhook_event_failover_url"`
	WebhookEventURL             *string                 `json:"webhook_event_url"`
	WebhookTimeoutSecs          *int64                  `json:"webhook_timeout_secs"`
	CreatedAt                   time.Time               `json:"created_at"`
	UpdatedAt                   time.Time               `json:"updated_at"`
}

// FQDNInbound are settings of inbound calls of an FQDN connection.
type FQDNInbound struct {
	ANINumberFormat             string   `json:"ani_number_format"`
	ChannelLimit                *int64   `json:"channel_limit"`
	Codecs                      []string `json:"codecs"`
	DefaultPrimaryFQDNID        *string  `json:"default_primary_fqdn_id"`
	DefaultRoutingMethod        *string  `json:"default_routing_method"`
	DefaultSecondaryFQDNID      *string  `json:"default_secondary_fqdn_id"`
	DefaultTertiaryFQDNID       *string  `json:"default_tertiary_fqdn_id"`
	DNISNumberFormat            string   `json:"dnis_number_format"`
	GenerateRingbackTone        bool     `json:"generate_ringback_tone"`
	ISUPHeadersEnabled          bool     `json:"isup_headers_enabled"`
	PRACKEnabled                bool     `json:"prack_enabled"`
	ShakenStirEnabled           bool     `json:"shaken_stir_enabled"`
	SIPCompactHeadersEnabled    bool     `json:"sip_compact_headers_enabled"`
	SIPRegion                   string   `json:"sip_region"`
	SIPSubdomain                *string  `json:"sip_subdomain"`
	SIPSubdomainReceiveSettings string   `json:"sip_subdomain_receive_settings"`
	Timeout1xxSecs              int64    `json:"timeout_1xx_secs"`
	Timeout2xxSecs              int64    `json:"timeout_2xx_secs"`
}

// FQDNOutbound are the outbound settings of an FQDN connection.
type FQDNOutbound struct {
	// A number that replaces the caller id of outbound calls; empty for none.
	ANIOverride string `json:"ani_override"`
	// When ani_override applies: always, on all but emergency calls, or on emergency calls only.
	ANIOverrideType    string `json:"ani_override_type"`
	CallParkingEnabled *bool  `json:"call_parking_enabled"`
	// How many outbound calls of this connection may be up or ringing at once; null means no
	// limit.
	ChannelLimit           *int64  `json:"channel_limit"`
	EncryptedMedia         *string `json:"encrypted_media"`
	GenerateRingbackTone   bool    `json:"generate_ringback_tone"`
	InstantRingbackEnabled bool    `json:"instant_ringback_enabled"`
	// credential-authentication or ip-authentication.
	FQDNAuthenticationMethod *string `json:"fqdn_authentication_method"`
	IPAuthenticationMethod   string  `json:"ip_authentication_method"`
	IPAuthenticationToken    *string `json:"ip_authentication_token"`
	// The ISO 3166-1 alpha-2 country whose national dialling rules apply; null for international
	// dialling only.
	Localization           *string `json:"localization"`
	OutboundVoiceProfileID *string `json:"outbound_voice_profile_id"`
	T38ReinviteSource      string  `json:"t38_reinvite_source"`
	TechPrefix             string  `json:"tech_prefix"`
	Timeout1xxSecs         int64   `json:"timeout_1xx_secs"`
	Timeout2xxSecs         int64   `json:"timeout_2xx_secs"`
}

// FQDNConnectionParams is what can be set of an FQDNConnection.
type FQDNConnectionParams struct {
	Active              Field[bool] `json:"active,omitzero"`
	AdjustDTMFTimestamp Field[bool] `json:"adjust_dtmf_timestamp,omitzero"`
	// Tollgate's own: whether the media of this connection's calls go through the server's media
	// relay, also when they are not recorded.
	AnchorMedia Field[bool] `json:"anchor_media,omitzero"`
	// Tollgate's own: in which headers besides From the carrier is told the caller.
	CallerIDHeaders Field[string] `json:"caller_id_headers,omitzero"`
	// Tollgate's own: which caller ids the callers of this connection may show.
	CallerIDs Field[CallerIDsParams] `json:"caller_ids,omitzero"`
	// Tollgate's own: how many emergency calls of one UTC day are unusual and reported; 0 for never.
	EmergencyAlertCalls Field[int64] `json:"emergency_alert_calls,omitzero"`
	// Tollgate's own: how many emergency calls may be up at once; null means no limit.
	EmergencyCallLimit Field[int64] `json:"emergency_call_limit,omitzero"`
	// Tollgate's own: whether callers are anonymous: as-asked, always or never.
	CallerPrivacy Field[string] `json:"caller_privacy,omitzero"`
	// Tollgate's own: how many calls each server takes a second; null means no limit.
	CallsPerSecond Field[int64] `json:"calls_per_second,omitzero"`
	// Tollgate's own: whether Diversion and History-Info go to the carrier: remove or pass.
	Diversions Field[string] `json:"diversions,omitzero"`
	// Tollgate's own: how long a call may last; null means no limit.
	MaxCallSecs             Field[int64]  `json:"max_call_secs,omitzero"`
	AnchorsiteOverride      Field[string] `json:"anchorsite_override,omitzero"`
	AndroidPushCredentialID Field[string] `json:"android_push_credential_id,omitzero"`
	CallCostEnabled         Field[bool]   `json:"call_cost_enabled,omitzero"`
	CallCostInWebhooks      Field[bool]   `json:"call_cost_in_webhooks,omitzero"`
	// In updates only; a request to create ignores it.
	ConversationPersistence Field[bool] `json:"conversation_persistence,omitzero"`
	// Tollgate's own: the digest algorithms that are taken.
	DigestAlgorithms Field[[]string] `json:"digest_algorithms,omitzero"`
	// Tollgate's own: the networks from which the credentials are taken; null for all.
	AllowedSources                   Field[[]string] `json:"allowed_sources,omitzero"`
	ConnectionName                   Field[string]   `json:"connection_name,omitzero"`
	DefaultOnHoldComfortNoiseEnabled Field[bool]     `json:"default_on_hold_comfort_noise_enabled,omitzero"`
	DTMFType                         Field[string]   `json:"dtmf_type,omitzero"`
	// Tollgate's own: dialled numbers that are emergency calls besides those of the connection's
	// country.
	EmergencyNumbers            Field[[]string]                      `json:"emergency_numbers,omitzero"`
	EncodeContactHeaderEnabled  Field[bool]                          `json:"encode_contact_header_enabled,omitzero"`
	EncryptedMedia              Field[string]                        `json:"encrypted_media,omitzero"`
	IgnoreDTMFDuration          Field[bool]                          `json:"ignore_dtmf_duration,omitzero"`
	IgnoreMarkBit               Field[bool]                          `json:"ignore_mark_bit,omitzero"`
	Inbound                     Field[FQDNInboundParams]             `json:"inbound,omitzero"`
	IOSPushCredentialID         Field[string]                        `json:"ios_push_credential_id,omitzero"`
	JitterBuffer                Field[JitterBufferParams]            `json:"jitter_buffer,omitzero"`
	MicrosoftTeamsSBC           Field[bool]                          `json:"microsoft_teams_sbc,omitzero"`
	NoiseSuppression            Field[string]                        `json:"noise_suppression,omitzero"`
	NoiseSuppressionDetails     Field[NoiseSuppressionDetailsParams] `json:"noise_suppression_details,omitzero"`
	OnnetT38PassthroughEnabled  Field[bool]                          `json:"onnet_t38_passthrough_enabled,omitzero"`
	Outbound                    Field[FQDNOutboundParams]            `json:"outbound,omitzero"`
	Password                    Field[string]                        `json:"password,omitzero"`
	RTCPSettings                Field[RTCPSettingsParams]            `json:"rtcp_settings,omitzero"`
	RTPPassCodecsOnStreamChange Field[bool]                          `json:"rtp_pass_codecs_on_stream_change,omitzero"`
	SendNormalizedTimestamps    Field[bool]                          `json:"send_normalized_timestamps,omitzero"`
	Tags                        Field[[]string]                      `json:"tags,omitzero"`
	ThirdPartyControlEnabled    Field[bool]                          `json:"third_party_control_enabled,omitzero"`
	TransportProtocol           Field[string]                        `json:"transport_protocol,omitzero"`
	TXTName                     Field[string]                        `json:"txt_name,omitzero"`
	TXTTTL                      Field[int64]                         `json:"txt_ttl,omitzero"`
	TXTValue                    Field[string]                        `json:"txt_value,omitzero"`
	UserName                    Field[string]                        `json:"user_name,omitzero"`
	WebhookAPIVersion           Field[string]                        `json:"webhook_api_version,omitzero"`
	WebhookEventFailoverURL     Field[string]                        `json:"webhook_event_failover_url,omitzero"`
	WebhookEventURL             Field[string]                        `json:"webhook_event_url,omitzero"`
	WebhookTimeoutSecs          Field[int64]                         `json:"webhook_timeout_secs,omitzero"`
}

// FQDNInboundParams is what can be set of FQDNInbound.
type FQDNInboundParams struct {
	ANINumberFormat             Field[string]   `json:"ani_number_format,omitzero"`
	ChannelLimit                Field[int64]    `json:"channel_limit,omitzero"`
	Codecs                      Field[[]string] `json:"codecs,omitzero"`
	DefaultPrimaryFQDNID        Field[string]   `json:"default_primary_fqdn_id,omitzero"`
	DefaultRoutingMethod        Field[string]   `json:"default_routing_method,omitzero"`
	DefaultSecondaryFQDNID      Field[string]   `json:"default_secondary_fqdn_id,omitzero"`
	DefaultTertiaryFQDNID       Field[string]   `json:"default_tertiary_fqdn_id,omitzero"`
	DNISNumberFormat            Field[string]   `json:"dnis_number_format,omitzero"`
	GenerateRingbackTone        Field[bool]     `json:"generate_ringback_tone,omitzero"`
	ISUPHeadersEnabled          Field[bool]     `json:"isup_headers_enabled,omitzero"`
	PRACKEnabled                Field[bool]     `json:"prack_enabled,omitzero"`
	ShakenStirEnabled           Field[bool]     `json:"shaken_stir_enabled,omitzero"`
	SIPCompactHeadersEnabled    Field[bool]     `json:"sip_compact_headers_enabled,omitzero"`
	SIPRegion                   Field[string]   `json:"sip_region,omitzero"`
	SIPSubdomain                Field[string]   `json:"sip_subdomain,omitzero"`
	SIPSubdomainReceiveSettings Field[string]   `json:"sip_subdomain_receive_settings,omitzero"`
	Timeout1xxSecs              Field[int64]    `json:"timeout_1xx_secs,omitzero"`
	Timeout2xxSecs              Field[int64]    `json:"timeout_2xx_secs,omitzero"`
}

// FQDNOutboundParams is what can be set of FQDNOutbound.
type FQDNOutboundParams struct {
	// A number that replaces the caller id of outbound calls; empty for none.
	ANIOverride Field[string] `json:"ani_override,omitzero"`
	// When ani_override applies: always, on all but emergency calls, or on emergency calls only.
	ANIOverrideType    Field[string] `json:"ani_override_type,omitzero"`
	CallParkingEnabled Field[bool]   `json:"call_parking_enabled,omitzero"`
	// How many outbound calls of this connection may be up or ringing at once; null means no
	// limit.
	ChannelLimit           Field[int64]  `json:"channel_limit,omitzero"`
	EncryptedMedia         Field[string] `json:"encrypted_media,omitzero"`
	GenerateRingbackTone   Field[bool]   `json:"generate_ringback_tone,omitzero"`
	InstantRingbackEnabled Field[bool]   `json:"instant_ringback_enabled,omitzero"`
	// credential-authentication or ip-authentication.
	FQDNAuthenticationMethod Field[string] `json:"fqdn_authentication_method,omitzero"`
	IPAuthenticationMethod   Field[string] `json:"ip_authentication_method,omitzero"`
	IPAuthenticationToken    Field[string] `json:"ip_authentication_token,omitzero"`
	// The ISO 3166-1 alpha-2 country whose national dialling rules apply; null for international
	// dialling only.
	Localization           Field[string] `json:"localization,omitzero"`
	OutboundVoiceProfileID Field[string] `json:"outbound_voice_profile_id,omitzero"`
	T38ReinviteSource      Field[string] `json:"t38_reinvite_source,omitzero"`
	TechPrefix             Field[string] `json:"tech_prefix,omitzero"`
	Timeout1xxSecs         Field[int64]  `json:"timeout_1xx_secs,omitzero"`
	Timeout2xxSecs         Field[int64]  `json:"timeout_2xx_secs,omitzero"`
}

// FQDNAuthentication is how the calls of an FQDN connection are recognised.
type FQDNAuthentication struct {
	// The id of the connection.
	ID           string  `json:"id"`
	RecordType   string  `json:"record_type"`
	ConnectionID *string `json:"connection_id"`
	FailoverURL  *string `json:"failover_url"`
	// credential-authentication or ip-authentication.
	FQDNOutboundAuthentication *string `json:"fqdn_outbound_authentication"`
	// token or p-charge-info.
	IPAuthenticationMethod *string `json:"ip_authentication_method"`
	MicrosoftTeamsSBC      bool    `json:"microsoft_teams_sbc"`
	Password               *string `json:"password"`
	TXTName                *string `json:"txt_name"`
	TXTTTL                 *int64  `json:"txt_ttl"`
	TXTValue               *string `json:"txt_value"`
	UserName               *string `json:"user_name"`
	WebhookURL             *string `json:"webhook_url"`
}

// FQDNAuthenticationParams is what can be set of an FQDNAuthentication.
type FQDNAuthenticationParams struct {
	FailoverURL                Field[string] `json:"failover_url,omitzero"`
	FQDNOutboundAuthentication Field[string] `json:"fqdn_outbound_authentication,omitzero"`
	IPAuthenticationMethod     Field[string] `json:"ip_authentication_method,omitzero"`
	Password                   Field[string] `json:"password,omitzero"`
	TXTName                    Field[string] `json:"txt_name,omitzero"`
	TXTTTL                     Field[int64]  `json:"txt_ttl,omitzero"`
	TXTValue                   Field[string] `json:"txt_value,omitzero"`
	UserName                   Field[string] `json:"user_name,omitzero"`
	WebhookURL                 Field[string] `json:"webhook_url,omitzero"`
}

// FQDN is a domain name of an FQDN connection.
type FQDN struct {
	ID            string  `json:"id"`
	RecordType    string  `json:"record_type"`
	ConnectionID  *string `json:"connection_id"`
	DNSRecordType string  `json:"dns_record_type"`
	FQDN          string  `json:"fqdn"`
	// Of an A record, 5060 if not given; an SRV record names its own, so null then.
	Port      *int64    `json:"port"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

// FQDNParams is what can be set of an FQDN.
type FQDNParams struct {
	ConnectionID  Field[string] `json:"connection_id,omitzero"`
	DNSRecordType Field[string] `json:"dns_record_type,omitzero"`
	FQDN          Field[string] `json:"fqdn,omitzero"`
	// Of an A record, 5060 if not given; an SRV record names its own, so null then.
	Port Field[int64] `json:"port,omitzero"`
}

// IP is a source address of an IP connection.
type IP struct {
	ID           string  `json:"id"`
	RecordType   string  `json:"record_type"`
	ConnectionID *string `json:"connection_id"`
	// An address, or a network such as 192.0.2.0/24.
	IPAddress string    `json:"ip_address"`
	Port      int64     `json:"port"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

// IPParams is what can be set of an IP.
type IPParams struct {
	ConnectionID Field[string] `json:"connection_id,omitzero"`
	// An address, or a network such as 192.0.2.0/24.
	IPAddress Field[string] `json:"ip_address,omitzero"`
	Port      Field[int64]  `json:"port,omitzero"`
}
