package client

import "time"

// LedgerReport is a report of what the calls of each billing group cost in a month.
type LedgerReport struct {
	ID             string `json:"id"`
	RecordType     string `json:"record_type"`
	OrganizationID string `json:"organization_id"`
	Status         string `json:"status"`
	// Where it can be downloaded as CSV, for ten minutes; null unless it is complete.
	ReportURL *string   `json:"report_url"`
	Year      int64     `json:"year"`
	Month     int64     `json:"month"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at"`
}

// LedgerReportParams says of which month a report is wanted: the one before the
// present one if it says neither.
type LedgerReportParams struct {
	Year  Field[int64] `json:"year,omitzero"`
	Month Field[int64] `json:"month,omitzero"`
}

// BillingGroup groups calls for invoicing.
type BillingGroup struct {
	ID             string `json:"id"`
	RecordType     string `json:"record_type"`
	Name           string `json:"name"`
	OrganizationID string `json:"organization_id"`
	// The most that the calls of all its profiles may cost together in a UTC day, in USD.
	DailySpendLimit        *Decimal `json:"daily_spend_limit"`
	DailySpendLimitEnabled bool     `json:"daily_spend_limit_enabled"`
	// What happens to calls in progress at the daily limit.
	SpendLimitAction string `json:"spend_limit_action"`
	// Whether a limit that was reached is forgotten at 00:00 UTC, or refuses calls until it is released.
	AfterLimit string     `json:"after_limit"`
	CreatedAt  time.Time  `json:"created_at"`
	DeletedAt  *time.Time `json:"deleted_at"`
	UpdatedAt  time.Time  `json:"updated_at"`
}

// BillingGroupParams is what can be set of a BillingGroup.
type BillingGroupParams struct {
	// Tollgate's own: a UUID of your choice, so that groups can be brought over with their ids.
	ID   Field[string] `json:"id,omitzero"`
	Name Field[string] `json:"name,omitzero"`
	// The most that the calls of all its profiles may cost together in a UTC day, in USD.
	DailySpendLimit        Field[Decimal] `json:"daily_spend_limit,omitzero"`
	DailySpendLimitEnabled Field[bool]    `json:"daily_spend_limit_enabled,omitzero"`
	// What happens to calls in progress at the daily limit.
	SpendLimitAction Field[string] `json:"spend_limit_action,omitzero"`
	// Whether a limit that was reached is forgotten at 00:00 UTC, or refuses calls until it is released.
	AfterLimit Field[string] `json:"after_limit,omitzero"`
}

// Balance is the account's money, as the server's document says.
type Balance struct {
	RecordType string `json:"record_type"`
	// balance and credit_limit together, as Telnyx has it. Nothing is refused by it.
	AvailableCredit string `json:"available_credit"`
	// Minus what calls have cost since the first day of this month, UTC.
	Balance string `json:"balance"`
	// Always 0.00: spending is limited by profiles.
	CreditLimit string `json:"credit_limit"`
	Currency    string `json:"currency"`
	// What calls in progress hold.
	Pending string `json:"pending"`
}

// UserTags lists the account's tags.
type UserTags struct {
	// Always empty: there are no phone numbers here.
	NumberTags []string `json:"number_tags"`
	// Tags of outbound voice profiles, each written as the account wrote it first.
	OutboundProfileTags []string `json:"outbound_profile_tags"`
}

// WhoAmI says who a key is.
type WhoAmI struct {
	RecordType     string `json:"record_type"`
	OrganizationID string `json:"organization_id"`
	// Always nil: keys belong to an account, not to a person.
	UserID      *string    `json:"user_id"`
	AccountID   string     `json:"account_id"`
	AccountName string     `json:"account_name"`
	APIKeyID    string     `json:"api_key_id"`
	APIKeyName  string     `json:"api_key_name"`
	Scopes      []string   `json:"scopes"`
	ExpiresAt   *time.Time `json:"expires_at"`
}

// ConnectionCounts is how many connections an account has.
type ConnectionCounts struct {
	RecordType string `json:"record_type"`
	// By kind. Of those that a Tollgate does not have there are 0.
	Counts struct {
		CallControlApplications       int `json:"call_control_applications"`
		CredentialConnections         int `json:"credential_connections"`
		ExternalConnections           int `json:"external_connections"`
		FaxConnections                int `json:"fax_connections"`
		FQDNConnections               int `json:"fqdn_connections"`
		IPConnections                 int `json:"ip_connections"`
		MicrosoftTeamsSBCConnections  int `json:"microsoft_teams_sbc_connections"`
		MobileVoiceConnections        int `json:"mobile_voice_connections"`
		OperatorConnectConnections    int `json:"operator_connect_connections"`
		TeXMLApplications             int `json:"texml_applications"`
		ThirdPartyProviderConnections int `json:"third_party_provider_connections"`
		UACConnections                int `json:"uac_connections"`
		ZoomSBCConnections            int `json:"zoom_sbc_connections"`
	} `json:"counts"`
	Limits struct {
		// Always 2147483647: nothing limits how many there are.
		GlobalLimit int64 `json:"global_limit"`
	} `json:"limits"`
}

// NoiseSuppressionEngine is an engine that can suppress noise.
type NoiseSuppressionEngine struct {
	DefaultAttenuationLevel int64  `json:"default_attenuation_level"`
	Label                   string `json:"label"`
	Value                   string `json:"value"`
}
