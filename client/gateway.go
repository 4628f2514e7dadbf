package client

import "time"

// Gateway is a trunk of a carrier to which calls are sent.
type Gateway struct {
	ID         string `json:"id"`
	RecordType string `json:"record_type"`
	// Host or IP address, with an optional port: sip.carrier.example:5060.
	Address string `json:"address"`
	// After how many calls in a row that it did not answer the gateway is left out for BreakerSecs; 0 means never.
	BreakerFailures int64 `json:"breaker_failures"`
	// How long; then one call tries it again.
	BreakerSecs int64 `json:"breaker_secs"`
	// The country, ISO 3166-1 alpha-2, that the format national is of.
	CountryCode *string `json:"country_code"`
	// What the format national puts before the national number; null for the form that is usual in CountryCode.
	NationalPrefix *string `json:"national_prefix"`
	// What the format national puts before numbers with another calling code; null for what is dialled in CountryCode.
	InternationalPrefix *string `json:"international_prefix"`
	// Put before the caller's number.
	CallerPrefix string `json:"caller_prefix"`
	// How many digits are taken off the front of the caller's number.
	CallerStripDigits int64 `json:"caller_strip_digits"`
	// How many calls are sent to it a second by each server; null means no limit.
	CallsPerSecond *int64 `json:"calls_per_second"`
	// How many calls it may have at once on each server; null means no limit.
	ChannelLimit *int64 `json:"channel_limit"`
	// SIP statuses after which the next gateway is tried, besides 3xx, 401, 407, 408 and 5xx.
	FailoverStatuses []int64 `json:"failover_statuses"`
	// How often it is asked by OPTIONS whether it is there; 0 means never.
	OptionsIntervalSecs int64 `json:"options_interval_secs"`
	// Whether to register with it.
	Register bool `json:"register"`
	// How long a registration is asked for.
	RegisterExpiresSecs int64 `json:"register_expires_secs"`
	// How many digits are taken off the front of the number, before Prefix.
	StripDigits int64 `json:"strip_digits"`
	// What the server that answers has seen of it; nil before.
	Health       *GatewayHealth `json:"health"`
	CallerFormat string         `json:"caller_format"`
	// Whether emergency calls may be sent here.
	EmergencyRoute bool `json:"emergency_route"`
	// What is offered to this carrier: SRTP, plain RTP, or null for what the caller offers.
	EncryptedMedia *string `json:"encrypted_media"`
	Enabled        bool    `json:"enabled"`
	// Host part of From; null for the gateway's own address.
	FromDomain   *string `json:"from_domain"`
	Name         string  `json:"name"`
	NumberFormat string  `json:"number_format"`
	PasswordSet  bool    `json:"password_set"`
	// Digits put before the number, as some carriers' technical prefixes.
	Prefix string `json:"prefix"`
	// Gateways with a lower priority value are tried first.
	Priority int64    `json:"priority"`
	Tags     []string `json:"tags"`
	// What the gateway's certificate must name; null for the host of Address.
	TLSServerName *string `json:"tls_server_name"`
	// Whether any certificate of the gateway will do.
	TLSSkipVerify bool   `json:"tls_skip_verify"`
	Transport     string `json:"transport"`
	// Digest user, where the carrier challenges.
	UserName *string `json:"user_name"`
	// Share of the calls among gateways of one priority.
	Weight    int64     `json:"weight"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

// GatewayHealth is what one server has seen of a gateway since its start.
type GatewayHealth struct {
	// up, down, tripped, resting, unregistered, disabled or forbidden.
	State string    `json:"state"`
	Since time.Time `json:"since"`
	// When a gateway that is tripped or resting is tried again.
	Until *time.Time `json:"until"`
	// Why a gateway is forbidden: where its address leads, and which setting allows that, if any.
	Detail *string `json:"detail"`
	// Calls that are being set up or are up there.
	LiveCalls int64 `json:"live_calls"`
	// Calls in a row that it did not answer at all.
	Failures int64 `json:"failures"`
	// When it last answered OPTIONS, and how long that took in microseconds.
	OptionsAt     *time.Time `json:"options_at"`
	OptionsMicros int64      `json:"options_us"`
	// Until when the registration is in force, and the status of the last answer to REGISTER.
	RegisteredUntil *time.Time `json:"registered_until"`
	RegisterStatus  int64      `json:"register_status"`
}

// GatewayParams is what can be set of a Gateway.
type GatewayParams struct {
	// Host or IP address, with an optional port: sip.carrier.example:5060.
	Address Field[string] `json:"address,omitzero"`
	// After how many calls in a row that it did not answer the gateway is left out for BreakerSecs; 0 means never.
	BreakerFailures Field[int64] `json:"breaker_failures,omitzero"`
	// How long; then one call tries it again.
	BreakerSecs Field[int64] `json:"breaker_secs,omitzero"`
	// The country, ISO 3166-1 alpha-2, that the format national is of.
	CountryCode Field[string] `json:"country_code,omitzero"`
	// What the format national puts before the national number; null for the form that is usual in CountryCode.
	NationalPrefix Field[string] `json:"national_prefix,omitzero"`
	// What the format national puts before numbers with another calling code; null for what is dialled in CountryCode.
	InternationalPrefix Field[string] `json:"international_prefix,omitzero"`
	// Put before the caller's number.
	CallerPrefix Field[string] `json:"caller_prefix,omitzero"`
	// How many digits are taken off the front of the caller's number.
	CallerStripDigits Field[int64] `json:"caller_strip_digits,omitzero"`
	// How many calls are sent to it a second by each server; null means no limit.
	CallsPerSecond Field[int64] `json:"calls_per_second,omitzero"`
	// How many calls it may have at once on each server; null means no limit.
	ChannelLimit Field[int64] `json:"channel_limit,omitzero"`
	// SIP statuses after which the next gateway is tried, besides 3xx, 401, 407, 408 and 5xx.
	FailoverStatuses Field[[]int64] `json:"failover_statuses,omitzero"`
	// How often it is asked by OPTIONS whether it is there; 0 means never.
	OptionsIntervalSecs Field[int64] `json:"options_interval_secs,omitzero"`
	// Whether to register with it.
	Register Field[bool] `json:"register,omitzero"`
	// How long a registration is asked for.
	RegisterExpiresSecs Field[int64] `json:"register_expires_secs,omitzero"`
	// How many digits are taken off the front of the number, before Prefix.
	StripDigits  Field[int64]  `json:"strip_digits,omitzero"`
	CallerFormat Field[string] `json:"caller_format,omitzero"`
	// Whether emergency calls may be sent here.
	EmergencyRoute Field[bool] `json:"emergency_route,omitzero"`
	// What is offered to this carrier: SRTP, plain RTP, or null for what the caller offers.
	EncryptedMedia Field[string] `json:"encrypted_media,omitzero"`
	Enabled        Field[bool]   `json:"enabled,omitzero"`
	// Host part of From; null for the gateway's own address.
	FromDomain   Field[string] `json:"from_domain,omitzero"`
	Name         Field[string] `json:"name,omitzero"`
	NumberFormat Field[string] `json:"number_format,omitzero"`
	// Digest password; never shown.
	Password Field[string] `json:"password,omitzero"`
	// Digits put before the number, as some carriers' technical prefixes.
	Prefix Field[string] `json:"prefix,omitzero"`
	// Gateways with a lower priority value are tried first.
	Priority Field[int64]    `json:"priority,omitzero"`
	Tags     Field[[]string] `json:"tags,omitzero"`
	// What the gateway's certificate must name; null for the host of Address.
	TLSServerName Field[string] `json:"tls_server_name,omitzero"`
	// Whether any certificate of the gateway will do.
	TLSSkipVerify Field[bool]   `json:"tls_skip_verify,omitzero"`
	Transport     Field[string] `json:"transport,omitzero"`
	// Digest user, where the carrier challenges.
	UserName Field[string] `json:"user_name,omitzero"`
	// Share of the calls among gateways of one priority.
	Weight Field[int64] `json:"weight,omitzero"`
}

// RateDeck is an imported price list without its rows.
type RateDeck struct {
	ID         string    `json:"id"`
	RecordType string    `json:"record_type"`
	Active     bool      `json:"active"`
	Name       string    `json:"name"`
	Rows       int64     `json:"rows"`
	CreatedAt  time.Time `json:"created_at"`
	UpdatedAt  time.Time `json:"updated_at"`
}

// RateRow is one price of a rate deck.
type RateRow struct {
	RecordType string `json:"record_type"`
	// Price of the answer in USD.
	ConnectFee  Decimal `json:"connect_fee"`
	Description string  `json:"description"`
	// From when the price holds; null for always.
	EffectiveAt *time.Time `json:"effective_at"`
	// The least number of seconds that is billed.
	FirstIncrement int64 `json:"first_increment"`
	// Billed in steps of this many seconds after the first increment.
	Increment int64  `json:"increment"`
	Prefix    string `json:"prefix"`
	// Price per minute in USD.
	Rate Decimal `json:"rate"`
}
