package client

import "time"

// IPConnection is a PBX known by its source addresses.
type IPConnection struct {
	ID         string `json:"id"`
	RecordType string `json:"record_type"`
	Active     bool   `json:"active"`
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
	CallCostInWebhooks      bool    `json:"call_cost_in_webhooks"`
	// Kept and returned; no conversation is transcribed.
	ConversationPersistence          bool   `json:"conversation_persistence"`
	ConnectionName                   string `json:"connection_name"`
	DefaultOnHoldComfortNoiseEnabled bool   `json:"default_on_hold_comfort_noise_enabled"`
	DTMFType                         string `json:"dtmf_type"`
	// Tollgate's own: dialled numbers that are emergency calls besides those of the connection's
	// country.
	EmergencyNumbers           []string                `json:"emergency_numbers"`
	EncodeContactHeaderEnabled bool                    `json:"encode_contact_header_enabled"`
	EncryptedMedia             *string                 `json:"encrypted_media"`
	Inbound                    Inbound                 `json:"inbound"`
	IOSPushCredentialID        *string                 `json:"ios_push_credential_id"`
	JitterBuffer               JitterBuffer            `json:"jitter_buffer"`
	NoiseSuppression           string                  `json:"noise_suppression"`
	NoiseSuppressionDetails    NoiseSuppressionDetails `json:"noise_suppression_details"`
	OnnetT38PassthroughEnabled bool                    `json:"onnet_t38_passthrough_enabled"`
	Outbound                   IPOutbound              `json:"outbound"`
	RTCPSettings               RTCPSettings            `json:"rtcp_settings"`
	Tags                       []string                `json:"tags"`
	TransportProtocol          string                  `json:"transport_protocol"`
	WebhookAPIVersion          string                  `json:"webhook_api_version"`
	WebhookEventFailoverURL    *string                 `json:"webhook_event_failover_url"`
	WebhookEventURL            *string                 `json:"webhook_event_url"`
	WebhookTimeoutSecs         *int64                  `json:"webhook_timeout_secs"`
	CreatedAt                  time.Time               `json:"created_at"`
	UpdatedAt                  time.Time               `json:"updated_at"`
}

// Inbound are settings of inbound calls of an IP connection.
type Inbound struct {
	ANINumberFormat             string   `json:"ani_number_format"`
	ChannelLimit                *int64   `json:"channel_limit"`
	Codecs                      []string `json:"codecs"`
	DefaultPrimaryIPID          *string  `json:"default_primary_ip_id"`
	DefaultRoutingMethod        *string  `json:"default_routing_method"`
	DefaultSecondaryIPID        *string  `json:"default_secondary_ip_id"`
	DefaultTertiaryIPID         *string  `json:"default_tertiary_ip_id"`
	DNISNumberFormat            string   `json:"dnis_number_format"`
	GenerateRingbackTone        bool     `json:"generate_ringback_tone"`
	ISUPHeadersEnabled          bool     `json:"isup_headers_enabled"`
	PRACKEnabled                bool     `json:"prack_enabled"`
	ShakenStirEnabled           bool     `json:"shaken_stir_enabled"`
	SimultaneousRinging         string   `json:"simultaneous_ringing"`
	SIPCompactHeadersEnabled    bool     `json:"sip_compact_headers_enabled"`
	SIPRegion                   string   `json:"sip_region"`
	SIPSubdomain                *string  `json:"sip_subdomain"`
	SIPSubdomainReceiveSettings *string  `json:"sip_subdomain_receive_settings"`
	Timeout1xxSecs              int64    `json:"timeout_1xx_secs"`
	Timeout2xxSecs              int64    `json:"timeout_2xx_secs"`
}

// CredentialInbound are settings of inbound calls of a credential connection.
type CredentialInbound struct {
	ANINumberFormat          string   `json:"ani_number_format"`
	ChannelLimit             *int64   `json:"channel_limit"`
	Codecs                   []string `json:"codecs"`
	DefaultRoutingMethod     *string  `json:"default_routing_method"`
	DNISNumberFormat         string   `json:"dnis_number_format"`
	GenerateRingbackTone     bool     `json:"generate_ringback_tone"`
	ISUPHeadersEnabled       bool     `json:"isup_headers_enabled"`
	PRACKEnabled             bool     `json:"prack_enabled"`
	ShakenStirEnabled        bool     `json:"shaken_stir_enabled"`
	SimultaneousRinging      string   `json:"simultaneous_ringing"`
	SIPCompactHeadersEnabled bool     `json:"sip_compact_headers_enabled"`
	Timeout1xxSecs           int64    `json:"timeout_1xx_secs"`
	Timeout2xxSecs           int64    `json:"timeout_2xx_secs"`
}

// JitterBuffer are the settings of the jitter buffer.
type JitterBuffer struct {
	EnableJitterBuffer  bool  `json:"enable_jitter_buffer"`
	JitterbufferMsecMax int64 `json:"jitterbuffer_msec_max"`
	JitterbufferMsecMin int64 `json:"jitterbuffer_msec_min"`
}

// NoiseSuppressionDetails are the settings of noise suppression.
type NoiseSuppressionDetails struct {
	AttenuationLimit int64  `json:"attenuation_limit"`
	Engine           string `json:"engine"`
}

// IPOutbound are the outbound settings of an IP connection.
type IPOutbound struct {
	// A number that replaces the caller id of outbound calls; empty for none.
	ANIOverride string `json:"ani_override"`
	// When ani_override applies: always, on all but emergency calls, or on emergency calls only.
	ANIOverrideType    string `json:"ani_override_type"`
	CallParkingEnabled *bool  `json:"call_parking_enabled"`
	// How many outbound calls of this connection may be up or ringing at once; null means no
	// limit.
	ChannelLimit           *int64 `json:"channel_limit"`
	GenerateRingbackTone   bool   `json:"generate_ringback_tone"`
	InstantRingbackEnabled bool   `json:"instant_ringback_enabled"`
	IPAuthenticationMethod string `json:"ip_authentication_method"`
	// The value of the X-Telnyx-Token header (X-Tollgate-Token is read alike) that this
	// connection's requests carry.
	IPAuthenticationToken *string `json:"ip_authentication_token"`
	// The ISO 3166-1 alpha-2 country whose national dialling rules apply; null for international
	// dialling only.
	Localization           *string `json:"localization"`
	OutboundVoiceProfileID *string `json:"outbound_voice_profile_id"`
	T38ReinviteSource      string  `json:"t38_reinvite_source"`
	// Four digits that this connection's callers dial before the number; empty for none.
	TechPrefix string `json:"tech_prefix"`
}

// RTCPSettings are the settings of RTCP.
type RTCPSettings struct {
	CaptureEnabled      bool   `json:"capture_enabled"`
	Port                string `json:"port"`
	ReportFrequencySecs int64  `json:"report_frequency_secs"`
}

// IPConnectionParams is what can be set of an IPConnection.
type IPConnectionParams struct {
	Active Field[bool] `json:"active,omitzero"`
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
	CallCostInWebhooks      Field[bool]   `json:"call_cost_in_webhooks,omitzero"`
	// In updates only; a request to create ignores it.
	ConversationPersistence          Field[bool]   `json:"conversation_persistence,omitzero"`
	ConnectionName                   Field[string] `json:"connection_name,omitzero"`
	DefaultOnHoldComfortNoiseEnabled Field[bool]   `json:"default_on_hold_comfort_noise_enabled,omitzero"`
	DTMFType                         Field[string] `json:"dtmf_type,omitzero"`
	// Tollgate's own: dialled numbers that are emergency calls besides those of the connection's
	// country.
	EmergencyNumbers           Field[[]string]                      `json:"emergency_numbers,omitzero"`
	EncodeContactHeaderEnabled Field[bool]                          `json:"encode_contact_header_enabled,omitzero"`
	EncryptedMedia             Field[string]                        `json:"encrypted_media,omitzero"`
	Inbound                    Field[InboundParams]                 `json:"inbound,omitzero"`
	IOSPushCredentialID        Field[string]                        `json:"ios_push_credential_id,omitzero"`
	JitterBuffer               Field[JitterBufferParams]            `json:"jitter_buffer,omitzero"`
	NoiseSuppression           Field[string]                        `json:"noise_suppression,omitzero"`
	NoiseSuppressionDetails    Field[NoiseSuppressionDetailsParams] `json:"noise_suppression_details,omitzero"`
	OnnetT38PassthroughEnabled Field[bool]                          `json:"onnet_t38_passthrough_enabled,omitzero"`
	Outbound                   Field[IPOutboundParams]              `json:"outbound,omitzero"`
	RTCPSettings               Field[RTCPSettingsParams]            `json:"rtcp_settings,omitzero"`
	Tags                       Field[[]string]                      `json:"tags,omitzero"`
	TransportProtocol          Field[string]                        `json:"transport_protocol,omitzero"`
	WebhookAPIVersion          Field[string]                        `json:"webhook_api_version,omitzero"`
	WebhookEventFailoverURL    Field[string]                        `json:"webhook_event_failover_url,omitzero"`
	WebhookEventURL            Field[string]                        `json:"webhook_event_url,omitzero"`
	WebhookTimeoutSecs         Field[int64]                         `json:"webhook_timeout_secs,omitzero"`
}

// InboundParams is what can be set of Inbound.
type InboundParams struct {
	ANINumberFormat             Field[string]   `json:"ani_number_format,omitzero"`
	ChannelLimit                Field[int64]    `json:"channel_limit,omitzero"`
	Codecs                      Field[[]string] `json:"codecs,omitzero"`
	DefaultPrimaryIPID          Field[string]   `json:"default_primary_ip_id,omitzero"`
	DefaultRoutingMethod        Field[string]   `json:"default_routing_method,omitzero"`
	DefaultSecondaryIPID        Field[string]   `json:"default_secondary_ip_id,omitzero"`
	DefaultTertiaryIPID         Field[string]   `json:"default_tertiary_ip_id,omitzero"`
	DNISNumberFormat            Field[string]   `json:"dnis_number_format,omitzero"`
	GenerateRingbackTone        Field[bool]     `json:"generate_ringback_tone,omitzero"`
	ISUPHeadersEnabled          Field[bool]     `json:"isup_headers_enabled,omitzero"`
	PRACKEnabled                Field[bool]     `json:"prack_enabled,omitzero"`
	ShakenStirEnabled           Field[bool]     `json:"shaken_stir_enabled,omitzero"`
	SimultaneousRinging         Field[string]   `json:"simultaneous_ringing,omitzero"`
	SIPCompactHeadersEnabled    Field[bool]     `json:"sip_compact_headers_enabled,omitzero"`
	SIPRegion                   Field[string]   `json:"sip_region,omitzero"`
	SIPSubdomain                Field[string]   `json:"sip_subdomain,omitzero"`
	SIPSubdomainReceiveSettings Field[string]   `json:"sip_subdomain_receive_settings,omitzero"`
	Timeout1xxSecs              Field[int64]    `json:"timeout_1xx_secs,omitzero"`
	Timeout2xxSecs              Field[int64]    `json:"timeout_2xx_secs,omitzero"`
}

// CredentialInboundParams is what can be set of CredentialInbound.
type CredentialInboundParams struct {
	ANINumberFormat          Field[string]   `json:"ani_number_format,omitzero"`
	ChannelLimit             Field[int64]    `json:"channel_limit,omitzero"`
	Codecs                   Field[[]string] `json:"codecs,omitzero"`
	DefaultRoutingMethod     Field[string]   `json:"default_routing_method,omitzero"`
	DNISNumberFormat         Field[string]   `json:"dnis_number_format,omitzero"`
	GenerateRingbackTone     Field[bool]     `json:"generate_ringback_tone,omitzero"`
	ISUPHeadersEnabled       Field[bool]     `json:"isup_headers_enabled,omitzero"`
	PRACKEnabled             Field[bool]     `json:"prack_enabled,omitzero"`
	ShakenStirEnabled        Field[bool]     `json:"shaken_stir_enabled,omitzero"`
	SimultaneousRinging      Field[string]   `json:"simultaneous_ringing,omitzero"`
	SIPCompactHeadersEnabled Field[bool]     `json:"sip_compact_headers_enabled,omitzero"`
	Timeout1xxSecs           Field[int64]    `json:"timeout_1xx_secs,omitzero"`
	Timeout2xxSecs           Field[int64]    `json:"timeout_2xx_secs,omitzero"`
}

// JitterBufferParams is what can be set of JitterBuffer.
type JitterBufferParams struct {
	EnableJitterBuffer  Field[bool]  `json:"enable_jitter_buffer,omitzero"`
	JitterbufferMsecMax Field[int64] `json:"jitterbuffer_msec_max,omitzero"`
	JitterbufferMsecMin Field[int64] `json:"jitterbuffer_msec_min,omitzero"`
}

// NoiseSuppressionDetailsParams is what can be set of NoiseSuppressionDetails.
type NoiseSuppressionDetailsParams struct {
	AttenuationLimit Field[int64]  `json:"attenuation_limit,omitzero"`
	Engine           Field[string] `json:"engine,omitzero"`
}

// IPOutboundParams is what can be set of IPOutbound.
type IPOutboundParams struct {
	// A number that replaces the caller id of outbound calls; empty for none.
	ANIOverride Field[string] `json:"ani_override,omitzero"`
	// When ani_override applies: always, on all but emergency calls, or on emergency calls only.
	ANIOverrideType    Field[string] `json:"ani_override_type,omitzero"`
	CallParkingEnabled Field[bool]   `json:"call_parking_enabled,omitzero"`
	// How many outbound calls of this connection may be up or ringing at once; null means no
	// limit.
	ChannelLimit           Field[int64]  `json:"channel_limit,omitzero"`
	GenerateRingbackTone   Field[bool]   `json:"generate_ringback_tone,omitzero"`
	InstantRingbackEnabled Field[bool]   `json:"instant_ringback_enabled,omitzero"`
	IPAuthenticationMethod Field[string] `json:"ip_authentication_method,omitzero"`
	// The value of the X-Telnyx-Token header (X-Tollgate-Token is read alike) that this
	// connection's requests carry.
	IPAuthenticationToken Field[string] `json:"ip_authentication_token,omitzero"`
	// The ISO 3166-1 alpha-2 country whose national dialling rules apply; null for international
	// dialling only.
	Localization           Field[string] `json:"localization,omitzero"`
	OutboundVoiceProfileID Field[string] `json:"outbound_voice_profile_id,omitzero"`
	T38ReinviteSource      Field[string] `json:"t38_reinvite_source,omitzero"`
	// Four digits that this connection's callers dial before the number; empty for none.
	TechPrefix Field[string] `json:"tech_prefix,omitzero"`
}

// RTCPSettingsParams is what can be set of RTCPSettings.
type RTCPSettingsParams struct {
	CaptureEnabled      Field[bool]   `json:"capture_enabled,omitzero"`
	Port                Field[string] `json:"port,omitzero"`
	ReportFrequencySecs Field[int64]  `json:"report_frequency_secs,omitzero"`
}

// CredentialConnection is a phone or PBX known by SIP digest credentials.
type CredentialConnection struct {
	ID         string `json:"id"`
	RecordType string `json:"record_type"`
	Active     bool   `json:"active"`
	// Tollgate's own: whether the media of this connection's calls go through the server's media
	// relay, also when they are not recorded.
	AnchorMedia bool `json:"anchor_media"`
	// Tollgate's own: the digest algorithms that are taken, in the order of the challenges.
	DigestAlgorithms []string `json:"digest_algorithms"`
	// The addresses and networks from which the credentials are taken; nil for all.
	AllowedSources *[]string `json:"allowed_sources"`
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
	CallCostInWebhooks      bool    `json:"call_cost_in_webhooks"`
	// Kept and returned; no conversation is transcribed.
	ConversationPersistence          bool   `json:"conversation_persistence"`
	ConnectionName                   string `json:"connection_name"`
	DefaultOnHoldComfortNoiseEnabled bool   `json:"default_on_hold_comfort_noise_enabled"`
	DTMFType                         string `json:"dtmf_type"`
	// Tollgate's own: dialled numbers that are emergency calls besides those of the connection's
	// country.
	EmergencyNumbers           []string                `json:"emergency_numbers"`
	EncodeContactHeaderEnabled bool                    `json:"encode_contact_header_enabled"`
	EncryptedMedia             *string                 `json:"encrypted_media"`
	Inbound                    CredentialInbound       `json:"inbound"`
	IOSPushCredentialID        *string                 `json:"ios_push_credential_id"`
	JitterBuffer               JitterBuffer            `json:"jitter_buffer"`
	NoiseSuppression           string                  `json:"noise_suppression"`
	NoiseSuppressionDetails    NoiseSuppressionDetails `json:"noise_suppression_details"`
	OnnetT38PassthroughEnabled bool                    `json:"onnet_t38_passthrough_enabled"`
	Outbound                   Outbound                `json:"outbound"`
	Password                   string                  `json:"password"`
	RTCPSettings               RTCPSettings            `json:"rtcp_settings"`
	SIPURICallingPreference    *string                 `json:"sip_uri_calling_preference"`
	Tags                       []string                `json:"tags"`
	UserName                   string                  `json:"user_name"`
	WebhookAPIVersion          string                  `json:"webhook_api_version"`
	WebhookEventFailoverURL    *string                 `json:"webhook_event_failover_url"`
	WebhookEventURL            *string                 `json:"webhook_event_url"`
	WebhookTimeoutSecs         *int64                  `json:"webhook_timeout_secs"`
	CreatedAt                  time.Time               `json:"created_at"`
	UpdatedAt                  time.Time               `json:"updated_at"`
}

// Outbound are the outbound settings of a credential connection.
type Outbound struct {
	// A number that replaces the caller id of outbound calls; empty for none.
	ANIOverride string `json:"ani_override"`
	// When ani_override applies: always, on all but emergency calls, or on emergency calls only.
	ANIOverrideType    string `json:"ani_override_type"`
	CallParkingEnabled *bool  `json:"call_parking_enabled"`
	// How many outbound calls of this connection may be up or ringing at once; null means no
	// limit.
	ChannelLimit           *int64 `json:"channel_limit"`
	GenerateRingbackTone   bool   `json:"generate_ringback_tone"`
	InstantRingbackEnabled bool   `json:"instant_ringback_enabled"`
	// The ISO 3166-1 alpha-2 country whose national dialling rules apply; null for international
	// dialling only.
	Localization           *string `json:"localization"`
	OutboundVoiceProfileID *string `json:"outbound_voice_profile_id"`
	T38ReinviteSource      string  `json:"t38_reinvite_source"`
}

// CredentialConnectionParams is what can be set of a CredentialConnection.
type CredentialConnectionParams struct {
	Active Field[bool] `json:"active,omitzero"`
	// Tollgate's own: whether the media of this connection's calls go through the server's media
	// relay, also when they are not recorded.
	AnchorMedia Field[bool] `json:"anchor_media,omitzero"`
	// Tollgate's own: the digest algorithms that are taken, in the order of the challenges.
	DigestAlgorithms Field[[]string] `json:"digest_algorithms,omitzero"`
	// The addresses and networks from which the credentials are taken; null for all.
	AllowedSources Field[[]string] `json:"allowed_sources,omitzero"`
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
	CallCostInWebhooks      Field[bool]   `json:"call_cost_in_webhooks,omitzero"`
	// In updates only; a request to create ignores it.
	ConversationPersistence          Field[bool]   `json:"conversation_persistence,omitzero"`
	ConnectionName                   Field[string] `json:"connection_name,omitzero"`
	DefaultOnHoldComfortNoiseEnabled Field[bool]   `json:"default_on_hold_comfort_noise_enabled,omitzero"`
	DTMFType                         Field[string] `json:"dtmf_type,omitzero"`
	// Tollgate's own: dialled numbers that are emergency calls besides those of the connection's
	// country.
	EmergencyNumbers           Field[[]string]                      `json:"emergency_numbers,omitzero"`
	EncodeContactHeaderEnabled Field[bool]                          `json:"encode_contact_header_enabled,omitzero"`
	EncryptedMedia             Field[string]                        `json:"encrypted_media,omitzero"`
	Inbound                    Field[CredentialInboundParams]       `json:"inbound,omitzero"`
	IOSPushCredentialID        Field[string]                        `json:"ios_push_credential_id,omitzero"`
	JitterBuffer               Field[JitterBufferParams]            `json:"jitter_buffer,omitzero"`
	NoiseSuppression           Field[string]                        `json:"noise_suppression,omitzero"`
	NoiseSuppressionDetails    Field[NoiseSuppressionDetailsParams] `json:"noise_suppression_details,omitzero"`
	OnnetT38PassthroughEnabled Field[bool]                          `json:"onnet_t38_passthrough_enabled,omitzero"`
	Outbound                   Field[OutboundParams]                `json:"outbound,omitzero"`
	Password                   Field[string]                        `json:"password,omitzero"`
	RTCPSettings               Field[RTCPSettingsParams]            `json:"rtcp_settings,omitzero"`
	SIPURICallingPreference    Field[string]                        `json:"sip_uri_calling_preference,omitzero"`
	Tags                       Field[[]string]                      `json:"tags,omitzero"`
	UserName                   Field[string]                        `json:"user_name,omitzero"`
	WebhookAPIVersion          Field[string]                        `json:"webhook_api_version,omitzero"`
	WebhookEventFailoverURL    Field[string]                        `json:"webhook_event_failover_url,omitzero"`
	WebhookEventURL            Field[string]                        `json:"webhook_event_url,omitzero"`
	WebhookTimeoutSecs         Field[int64]                         `json:"webhook_timeout_secs,omitzero"`
}

// OutboundParams is what can be set of Outbound.
type OutboundParams struct {
	// A number that replaces the caller id of outbound calls; empty for none.
	ANIOverride Field[string] `json:"ani_override,omitzero"`
	// When ani_override applies: always, on all but emergency calls, or on emergency calls only.
	ANIOverrideType    Field[string] `json:"ani_override_type,omitzero"`
	CallParkingEnabled Field[bool]   `json:"call_parking_enabled,omitzero"`
	// How many outbound calls of this connection may be up or ringing at once; null means no
	// limit.
	ChannelLimit           Field[int64] `json:"channel_limit,omitzero"`
	GenerateRingbackTone   Field[bool]  `json:"generate_ringback_tone,omitzero"`
	InstantRingbackEnabled Field[bool]  `json:"instant_ringback_enabled,omitzero"`
	// The ISO 3166-1 alpha-2 country whose national dialling rules apply; null for international
	// dialling only.
	Localization           Field[string] `json:"localization,omitzero"`
	OutboundVoiceProfileID Field[string] `json:"outbound_voice_profile_id,omitzero"`
	T38ReinviteSource      Field[string] `json:"t38_reinvite_source,omitzero"`
}

// Connection is what connections of every kind have in common.
type Connection struct {
	ID                      string    `json:"id"`
	RecordType              string    `json:"record_type"`
	Active                  bool      `json:"active"`
	AnchorsiteOverride      string    `json:"anchorsite_override"`
	ConnectionName          string    `json:"connection_name"`
	OutboundVoiceProfileID  *string   `json:"outbound_voice_profile_id"`
	Tags                    []string  `json:"tags"`
	WebhookAPIVersion       string    `json:"webhook_api_version"`
	WebhookEventFailoverURL *string   `json:"webhook_event_failover_url"`
	WebhookEventURL         *string   `json:"webhook_event_url"`
	CreatedAt               time.Time `json:"created_at"`
	UpdatedAt               time.Time `json:"updated_at"`
}

// ActiveCall is a call of a connection that is up or ringing, as Telnyx has it.
type ActiveCall struct {
	RecordType string `json:"record_type"`
	// The id of the call; there are no commands to be given to it.
	CallControlID string `json:"call_control_id"`
	// Seconds since the answer.
	CallDuration int64 `json:"call_duration"`
	// The id of the call.
	CallLegID string `json:"call_leg_id"`
	// The id of the call.
	CallSessionID string `json:"call_session_id"`
	// Always empty: no command sets it.
	ClientState string `json:"client_state"`
	// Tollgate's own: it is an emergency call.
	Emergency bool `json:"emergency"`
}

// RegistrationStatus is the registration of a credential connection.
type RegistrationStatus struct {
	RecordType string `json:"record_type"`
	// The user name of the connection.
	SIPUsername *string `json:"sip_username"`
	// Not Applicable, Not Registered, Failed, Expired, Registered or Unregistered.
	Status string `json:"status"`
	// Where the telephone has registered from; nil when none has.
	IPAddress *string `json:"ip_address"`
	Port      *int64  `json:"port"`
	// As in UDP.
	Transport        *string    `json:"transport"`
	UserAgent        *string    `json:"user_agent"`
	LastRegistration *time.Time `json:"last_registration"`
}
