package client

import "time"

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
