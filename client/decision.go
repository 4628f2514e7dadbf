package client

import "time"

// Decision is a decision on a call with every rule explained.
type Decision struct {
	// The id of the attempt; null for a number that was not dialled.
	ID         *string `json:"id"`
	RecordType string  `json:"record_type"`
	Allowed    bool    `json:"allowed"`
	CLD        *string `json:"cld"`
	CLI        *string `json:"cli"`
	// What the SIP reason phrase ends with: Telnyx's D and TM codes, and TG codes of Tollgate's
	// own.
	Code              *string   `json:"code"`
	ConnectFee        *Decimal  `json:"connect_fee"`
	ConnectionID      *string   `json:"connection_id"`
	ConnectionVersion int64     `json:"connection_version"`
	CountryCode       *string   `json:"country_code"`
	DecidedAt         time.Time `json:"decided_at"`
	Emergency         bool      `json:"emergency"`
	FirstGrantCost    Decimal   `json:"first_grant_cost"`
	FirstGrantSec     int64     `json:"first_grant_sec"`
	FirstIncrement    *int64    `json:"first_increment"`
	// What would let the call through.
	Fix                         *string `json:"fix"`
	From                        string  `json:"from"`
	Increment                   *int64  `json:"increment"`
	NumberRange                 *string `json:"number_range"`
	OutboundVoiceProfileID      *string `json:"outbound_voice_profile_id"`
	OutboundVoiceProfileVersion int64   `json:"outbound_voice_profile_version"`
	// Price per minute in USD; null without a rate.
	Rate       *Decimal `json:"rate"`
	RateDeckID *string  `json:"rate_deck_id"`
	// A word of a closed list: allowed, or why not.
	Reason    string `json:"reason"`
	Rules     []Rule `json:"rules"`
	SIPPhrase string `json:"sip_phrase"`
	SIPStatus int64  `json:"sip_status"`
	TNType    string `json:"tn_type"`
	To        string `json:"to"`
}

// Rule is what one rule of a decision saw and allowed.
type Rule struct {
	Allowed string `json:"allowed"`
	// What would let the call through, when the rule refuses.
	Fix string `json:"fix"`
	// The machine-readable reason when the rule refuses.
	Reason  string `json:"reason"`
	Rule    string `json:"rule"`
	Seen    string `json:"seen"`
	Verdict string `json:"verdict"`
}

// Forecast is the decision on a call that is not made.
type Forecast struct {
	// The id of the attempt; null for a number that was not dialled.
	ID         *string `json:"id"`
	RecordType string  `json:"record_type"`
	Allowed    bool    `json:"allowed"`
	// How many seconds the day's budget allows this call; null when nothing limits it.
	BudgetSec *int64 `json:"budget_sec"`
	// By what a SIP request is recognised as one of the connection: digest, ip_address.
	WaysIn []string `json:"ways_in"`
	CLD    *string  `json:"cld"`
	CLI    *string  `json:"cli"`
	// What the SIP reason phrase ends with: Telnyx's D and TM codes, and TG codes of Tollgate's
	// own.
	Code              *string   `json:"code"`
	ConnectFee        *Decimal  `json:"connect_fee"`
	ConnectionID      *string   `json:"connection_id"`
	ConnectionVersion int64     `json:"connection_version"`
	CountryCode       *string   `json:"country_code"`
	DecidedAt         time.Time `json:"decided_at"`
	Emergency         bool      `json:"emergency"`
	FirstGrantCost    Decimal   `json:"first_grant_cost"`
	FirstGrantSec     int64     `json:"first_grant_sec"`
	FirstIncrement    *int64    `json:"first_increment"`
	// What would let the call through.
	Fix                         *string `json:"fix"`
	From                        string  `json:"from"`
	Increment                   *int64  `json:"increment"`
	NumberRange                 *string `json:"number_range"`
	OutboundVoiceProfileID      *string `json:"outbound_voice_profile_id"`
	OutboundVoiceProfileVersion int64   `json:"outbound_voice_profile_version"`
	// Price per minute in USD; null without a rate.
	Rate       *Decimal `json:"rate"`
	RateDeckID *string  `json:"rate_deck_id"`
	// A word of a closed list: allowed, or why not.
	Reason    string `json:"reason"`
	Rules     []Rule `json:"rules"`
	SIPPhrase string `json:"sip_phrase"`
	SIPStatus int64  `json:"sip_status"`
	TNType    string `json:"tn_type"`
	To        string `json:"to"`
}

// ForecastParams asks about a call that is not made.
type ForecastParams struct {
	// When; null for now. A moment that has passed is not accepted.
	At Field[time.Time] `json:"at,omitzero"`
	// The connection that the call would come from. This or outbound_voice_profile_id.
	ConnectionID Field[string] `json:"connection_id,omitzero"`
	// The caller id as it would be presented.
	From Field[string] `json:"from,omitzero"`
	// The profile alone: as a call of a connection without localisation or a limit of its own.
	OutboundVoiceProfileID Field[string] `json:"outbound_voice_profile_id,omitzero"`
	// The number as it would be dialled.
	To Field[string] `json:"to,omitzero"`
}

// Call is a call that is up or ringing.
type Call struct {
	// Also the id of the decision and of the detail record to come.
	ID         string `json:"id"`
	RecordType string `json:"record_type"`
	// null while it rings.
	AnsweredAt     *time.Time `json:"answered_at"`
	BillingGroupID *string    `json:"billing_group_id"`
	// Seconds since the answer.
	CallDuration int64   `json:"call_duration"`
	CLD          *string `json:"cld"`
	CLI          *string `json:"cli"`
	ConnectionID *string `json:"connection_id"`
	CountryCode  *string `json:"country_code"`
	Emergency    bool    `json:"emergency"`
	From         string  `json:"from"`
	GatewayID    *string `json:"gateway_id"`
	// How long the call may last so far; a grant is extended while the call runs.
	GrantedSec int64 `json:"granted_sec"`
	// When somebody had the call hung up; null for not.
	HangupRequestedAt      *time.Time `json:"hangup_requested_at"`
	Held                   Decimal    `json:"held"`
	OutboundVoiceProfileID *string    `json:"outbound_voice_profile_id"`
	Posted                 Decimal    `json:"posted"`
	Rate                   Decimal    `json:"rate"`
	SIPCallID              string     `json:"sip_call_id"`
	StartedAt              time.Time  `json:"started_at"`
	To                     string     `json:"to"`
}
