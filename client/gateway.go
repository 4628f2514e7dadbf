package client

import "time"

// Gateway is a trunk of a carrier to which calls are sent.
type Gateway struct {
	ID         string `json:"id"`
	RecordType string `json:"record_type"`
	// Host or IP address, with an optional port: sip.carrier.example:5060.
	Address      string `json:"address"`
	CallerFormat string `json:"caller_format"`
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

// GatewayParams is what can be set of a Gateway.
type GatewayParams struct {
	// Host or IP address, with an optional port: sip.carrier.example:5060.
	Address      Field[string] `json:"address,omitzero"`
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
