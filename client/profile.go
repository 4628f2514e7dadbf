package client

import "time"

// Profile is an outbound voice profile.
type Profile struct {
	ID         string `json:"id"`
	RecordType string `json:"record_type"`
	// The billing group of the profile's calls; null for none.
	BillingGroupID *string `json:"billing_group_id"`
	// Tollgate's own: number types that are refused inside whitelisted countries. Default:
	// premium_rate.
	BlockedNumberTypes []string      `json:"blocked_number_types"`
	CallRecording      CallRecording `json:"call_recording"`
	// The time of day in which calls may start, and how often one number may be called in it; null
	// means no window.
	CallingWindow *CallingWindow `json:"calling_window"`
	// How many calls may be up or ringing at once; null means no limit. No more than the account's
	// own limit.
	ConcurrentCallLimit *int64 `json:"concurrent_call_limit"`
	// How many connections use the profile.
	ConnectionsCount int64 `json:"connections_count"`
	// The most that calls may cost in a UTC day, in USD, as a decimal string.
	DailySpendLimit *Decimal `json:"daily_spend_limit"`
	// Whether daily_spend_limit is enforced.
	DailySpendLimitEnabled bool `json:"daily_spend_limit_enabled"`
	// Whether the profile can be used. A disabled profile refuses every new call of its
	// connections.
	Enabled bool `json:"enabled"`
	// Tollgate's own: what one call may cost at most, in USD; null means no maximum.
	MaxCallCost *Decimal `json:"max_call_cost"`
	// Tollgate's own: how long a call may last; null means no limit.
	MaxCallSecs *int64 `json:"max_call_secs"`
	// Tollgate's own: the highest connect fee, in USD, of a call that is let through; null means
	// no maximum.
	MaxConnectFee *Decimal `json:"max_connect_fee"`
	// The highest price per minute, in USD, of a call that is let through; null means no maximum.
	MaxDestinationRate *Number `json:"max_destination_rate"`
	// A user-supplied name to help with organisation.
	Name string `json:"name"`
	// Tollgate's own: whether a limit that was reached is forgotten at 00:00 UTC, or refuses calls
	// until it is released.
	AfterLimit string `json:"after_limit"`
	// Tollgate's own: the rate deck of this profile's calls; null means the account's default
	// deck.
	RateDeckID *string `json:"rate_deck_id"`
	// The coverage of the termination regions.
	ServicePlan string `json:"service_plan"`
	// Tollgate's own: what happens to calls in progress at the daily limit.
	SpendLimitAction string   `json:"spend_limit_action"`
	Tags             []string `json:"tags"`
	// The type of traffic allowed in this profile.
	TrafficType string `json:"traffic_type"`
	// How costs are calculated.
	UsagePaymentMethod string `json:"usage_payment_method"`
	// The countries that may be called, ISO 3166-1 alpha-2; ranges that belong to no country are
	// named by code, such as +881.
	WhitelistedDestinations []string  `json:"whitelisted_destinations"`
	CreatedAt               time.Time `json:"created_at"`
	UpdatedAt               time.Time `json:"updated_at"`
}

// CallRecording says which calls are recorded and how.
type CallRecording struct {
	// With by_caller_phone_number: the callers that are recorded, E.164.
	CallRecordingCallerPhoneNumbers []string `json:"call_recording_caller_phone_numbers"`
	// dual makes a stereo file with the caller on the left.
	CallRecordingChannels string `json:"call_recording_channels"`
	CallRecordingFormat   string `json:"call_recording_format"`
	// Which calls are recorded.
	CallRecordingType string `json:"call_recording_type"`
}

// CallingWindow limits when calls may start.
type CallingWindow struct {
	// How many calls to one called number are let through within the window; null means no limit.
	CallsPerCLD *int64 `json:"calls_per_cld"`
	// Calls may no longer start from this time of day.
	EndTime *string `json:"end_time"`
	// Calls may start from this time of day: HH:MM, HH:MM:SS or HH:MM:SS.ssZ.
	StartTime *string `json:"start_time"`
	// Tollgate's own: an IANA time zone such as America/New_York; null means UTC.
	TimeZone *string `json:"time_zone"`
}

// ProfileParams is what can be set of a Profile.
type ProfileParams struct {
	// The billing group of the profile's calls; null for none.
	BillingGroupID Field[string] `json:"billing_group_id,omitzero"`
	// Tollgate's own: number types that are refused inside whitelisted countries. Default:
	// premium_rate.
	BlockedNumberTypes Field[[]string]            `json:"blocked_number_types,omitzero"`
	CallRecording      Field[CallRecordingParams] `json:"call_recording,omitzero"`
	// The time of day in which calls may start, and how often one number may be called in it; null
	// means no window.
	CallingWindow Field[CallingWindowParams] `json:"calling_window,omitzero"`
	// How many calls may be up or ringing at once; null means no limit. No more than the account's
	// own limit.
	ConcurrentCallLimit Field[int64] `json:"concurrent_call_limit,omitzero"`
	// The most that calls may cost in a UTC day, in USD, as a decimal string.
	DailySpendLimit Field[Decimal] `json:"daily_spend_limit,omitzero"`
	// Whether daily_spend_limit is enforced.
	DailySpendLimitEnabled Field[bool] `json:"daily_spend_limit_enabled,omitzero"`
	// Whether the profile can be used. A disabled profile refuses every new call of its
	// connections.
	Enabled Field[bool] `json:"enabled,omitzero"`
	// Tollgate's own: what one call may cost at most, in USD; null means no maximum.
	MaxCallCost Field[Decimal] `json:"max_call_cost,omitzero"`
	// Tollgate's own: how long a call may last; null means no limit.
	MaxCallSecs Field[int64] `json:"max_call_secs,omitzero"`
	// Tollgate's own: the highest connect fee, in USD, of a call that is let through; null means
	// no maximum.
	MaxConnectFee Field[Decimal] `json:"max_connect_fee,omitzero"`
	// The highest price per minute, in USD, of a call that is let through; null means no maximum.
	MaxDestinationRate Field[Number] `json:"max_destination_rate,omitzero"`
	// A user-supplied name to help with organisation.
	Name Field[string] `json:"name,omitzero"`
	// Tollgate's own: whether a limit that was reached is forgotten at 00:00 UTC, or refuses calls
	// until it is released.
	AfterLimit Field[string] `json:"after_limit,omitzero"`
	// Tollgate's own: the rate deck of this profile's calls; null means the account's default
	// deck.
	RateDeckID Field[string] `json:"rate_deck_id,omitzero"`
	// The coverage of the termination regions.
	ServicePlan Field[string] `json:"service_plan,omitzero"`
	// Tollgate's own: what happens to calls in progress at the daily limit.
	SpendLimitAction Field[string]   `json:"spend_limit_action,omitzero"`
	Tags             Field[[]string] `json:"tags,omitzero"`
	// The type of traffic allowed in this profile.
	TrafficType Field[string] `json:"traffic_type,omitzero"`
	// How costs are calculated.
	UsagePaymentMethod Field[string] `json:"usage_payment_method,omitzero"`
	// The countries that may be called, ISO 3166-1 alpha-2; ranges that belong to no country are
	// named by code, such as +881.
	WhitelistedDestinations Field[[]string] `json:"whitelisted_destinations,omitzero"`
}

// CallRecordingParams is what can be set of CallRecording.
type CallRecordingParams struct {
	// With by_caller_phone_number: the callers that are recorded, E.164.
	CallRecordingCallerPhoneNumbers Field[[]string] `json:"call_recording_caller_phone_numbers,omitzero"`
	// dual makes a stereo file with the caller on the left.
	CallRecordingChannels Field[string] `json:"call_recording_channels,omitzero"`
	CallRecordingFormat   Field[string] `json:"call_recording_format,omitzero"`
	// Which calls are recorded.
	CallRecordingType Field[string] `json:"call_recording_type,omitzero"`
}

// CallingWindowParams is what can be set of CallingWindow.
type CallingWindowParams struct {
	// How many calls to one called number are let through within the window; null means no limit.
	CallsPerCLD Field[int64] `json:"calls_per_cld,omitzero"`
	// Calls may no longer start from this time of day.
	EndTime Field[string] `json:"end_time,omitzero"`
	// Calls may start from this time of day: HH:MM, HH:MM:SS or HH:MM:SS.ssZ.
	StartTime Field[string] `json:"start_time,omitzero"`
	// Tollgate's own: an IANA time zone such as America/New_York; null means UTC.
	TimeZone Field[string] `json:"time_zone,omitzero"`
}

// ProfileUsage is what a profile uses now.
type ProfileUsage struct {
	ID                     string   `json:"id"`
	RecordType             string   `json:"record_type"`
	ConcurrentCallLimit    *int64   `json:"concurrent_call_limit"`
	DailySpendLimit        *Decimal `json:"daily_spend_limit"`
	DailySpendLimitEnabled bool     `json:"daily_spend_limit_enabled"`
	// The UTC day that posted, held and overrun belong to.
	Day string `json:"day"`
	// What calls in progress hold ahead.
	Held      Decimal `json:"held"`
	LiveCalls int64   `json:"live_calls"`
	// What calls lasted beyond their grants would have cost; reported, never charged.
	Overrun Decimal `json:"overrun"`
	// What the day's calls have cost so far.
	Posted Decimal `json:"posted"`
	// What new grants may still cost today; null without an enabled limit.
	Remaining *Decimal `json:"remaining"`
	// Why calls are refused whatever remains, until it is released; null mostly.
	SpendHold *SpendHold `json:"spend_hold"`
}

// SpendHold is why calls are refused whatever is left of a daily limit.
type SpendHold struct {
	Cause string    `json:"cause"` // limit_reached or restored
	Since time.Time `json:"since"`
	// When it ends by itself; null for not before it is released.
	Until *time.Time `json:"until"`
}

// SharedUsage is what a billing group or an account uses now. Its money is counted,
// and not null, only while it has a daily limit.
type SharedUsage struct {
	ID                     string   `json:"id"`
	RecordType             string   `json:"record_type"`
	DailySpendLimit        *Decimal `json:"daily_spend_limit"`
	DailySpendLimitEnabled bool     `json:"daily_spend_limit_enabled"`
	// The UTC day that posted, held and overrun belong to.
	Day       string     `json:"day"`
	Held      *Decimal   `json:"held"`
	Overrun   *Decimal   `json:"overrun"`
	Posted    *Decimal   `json:"posted"`
	Remaining *Decimal   `json:"remaining"`
	SpendHold *SpendHold `json:"spend_hold"`
}

// HeldScope is a profile, a billing group or an account whose calls are refused.
type HeldScope struct {
	RecordType string    `json:"record_type"`
	Cause      string    `json:"cause"` // limit_reached or restored
	ScopeID    string    `json:"scope_id"`
	ScopeType  string    `json:"scope_type"` // outbound_voice_profile, billing_group or account
	Since      time.Time `json:"since"`
	// When it ends by itself; null for not before it is released.
	Until *time.Time `json:"until"`
}

// SpendReleases says how many profiles and billing groups were released.
type SpendReleases struct {
	RecordType string `json:"record_type"`
	Released   int64  `json:"released"`
}

// SpendRelease says that nothing is held back any more.
type SpendRelease struct {
	RecordType string `json:"record_type"`
	ScopeID    string `json:"scope_id"`
	ScopeType  string `json:"scope_type"` // outbound_voice_profile, billing_group or account
}
