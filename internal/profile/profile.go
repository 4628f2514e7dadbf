// Package profile is the outbound voice profile: who may call where, at which
// maximum rate, how many calls at once, how much money a day, what is recorded.
//
// The struct below is the resource on the wire, in the store and in the domain
// alike; its tags carry the limits that the API checks and documents.
package profile

import (
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/e164"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/money"
)

// Spend limit actions: what happens to calls in progress when the day's limit is reached.
const (
	BlockNewCalls = "block_new_calls" // new calls are refused, running ones go on and are counted (Telnyx's words)
	EndCalls      = "end_calls"       // running calls end at their grant's end: booked charges never pass the limit
)

// What follows a day's limit that was reached.
const (
	ResumeAtReset     = "resume_at_reset"     // calls are admitted again from 00:00 UTC on
	HoldUntilReleased = "hold_until_released" // none is until the limit is released
)

// Recording types.
const (
	RecordAll      = "all"
	RecordNone     = "none"
	RecordByCaller = "by_caller_phone_number"
)

// Profile is an outbound voice profile.
// Source: Telnyx v2, /outbound_voice_profiles; the last group of fields is Tollgate's own.
type Profile struct {
	ID        id.ID `json:"id" readOnly:"true"`
	AccountID id.ID `json:"-"`
	// Version counts the changes of this profile, from 1.
	Version int64 `json:"-"`

	Name                    string         `json:"name" minLength:"3" maxLength:"255" doc:"A user-supplied name to help with organisation."`
	TrafficType             string         `json:"traffic_type" enum:"conversational" default:"conversational" doc:"The type of traffic allowed in this profile."`
	ServicePlan             string         `json:"service_plan" enum:"global" default:"global" doc:"The coverage of the termination regions."`
	ConcurrentCallLimit     *int32         `json:"concurrent_call_limit" minimum:"0" doc:"How many calls may be up or ringing at once; null means no limit. No more than the account's own limit."`
	Enabled                 bool           `json:"enabled" default:"true" doc:"Whether the profile can be used. A disabled profile refuses every new call of its connections."`
	Tags                    []string       `json:"tags" maxItems:"100"`
	UsagePaymentMethod      string         `json:"usage_payment_method" enum:"rate-deck" default:"rate-deck" doc:"How costs are calculated."`
	WhitelistedDestinations []string       `json:"whitelisted_destinations" maxItems:"300" doc:"The countries that may be called, ISO 3166-1 alpha-2; ranges that belong to no country are named by code, such as +881."`
	MaxDestinationRate      *money.Rate    `json:"max_destination_rate" doc:"The highest price per minute, in USD, of a call that is let through; null means no maximum."`
	DailySpendLimit         *money.Amount  `json:"daily_spend_limit" doc:"The most that calls may cost in a UTC day, in USD, as a decimal string."`
	DailySpendLimitEnabled  bool           `json:"daily_spend_limit_enabled" default:"false" doc:"Whether daily_spend_limit is enforced."`
	CallRecording           CallRecording  `json:"call_recording"`
	BillingGroupID          *uuid.UUID     `json:"billing_group_id" doc:"The billing group of the profile's calls; null for none."`
	CallingWindow           *CallingWindow `json:"calling_window" doc:"The time of day in which calls may start, and how often one number may be called in it; null means no window."`

	SpendLimitAction   string        `json:"spend_limit_action" enum:"block_new_calls,end_calls" default:"block_new_calls" doc:"Tollgate's own: what happens to calls in progress at the daily limit."`
	AfterLimit         string        `json:"after_limit" enum:"resume_at_reset,hold_until_released" default:"resume_at_reset" doc:"Tollgate's own: whether a limit that was reached is forgotten at 00:00 UTC, or refuses calls until POST /tollgate/v1/outbound_voice_profiles/{id}/release."`
	BlockedNumberTypes []string      `json:"blocked_number_types" maxItems:"20" doc:"Tollgate's own: number types that are refused inside whitelisted countries. Default: premium_rate."`
	MaxCallSecs        *int32        `json:"max_call_secs" minimum:"1" maximum:"604800" doc:"Tollgate's own: how long a call may last; null means no limit of its own."`
	MaxConnectFee      *money.Amount `json:"max_connect_fee" doc:"Tollgate's own: the highest connect fee, in USD, of a call that is let through; null means no maximum."`
	MaxCallCost        *money.Amount `json:"max_call_cost" doc:"Tollgate's own: what one call may cost at most, in USD. A call of which the first increment costs more is refused; another one ends before it costs more. null means no maximum."`
	RateDeckID         id.ID         `json:"rate_deck_id" doc:"Tollgate's own: the rate deck of this profile's calls; null means the account's default deck."`

	CreatedAt time.Time `json:"created_at" readOnly:"true"`
	UpdatedAt time.Time `json:"updated_at" readOnly:"true"`
}

// CallRecording says which calls are recorded and how.
type CallRecording struct {
	Type               string        `json:"call_recording_type" enum:"all,none,by_caller_phone_number" default:"none" doc:"Which calls are recorded."`
	CallerPhoneNumbers []e164.Number `json:"call_recording_caller_phone_numbers" maxItems:"1000" doc:"With by_caller_phone_number: the callers that are recorded, E.164."`
	Channels           string        `json:"call_recording_channels" enum:"single,dual" default:"single" doc:"dual makes a stereo file with the caller on the left."`
	Format             string        `json:"call_recording_format" enum:"wav,mp3" default:"wav"`
}

// CallingWindow limits when calls may start. Times are UTC unless TimeZone is set.
// A window whose end is not after its start crosses midnight.
type CallingWindow struct {
	StartTime   *TimeOfDay `json:"start_time" doc:"Calls may start from this time of day: HH:MM, HH:MM:SS or HH:MM:SS.ssZ."`
	EndTime     *TimeOfDay `json:"end_time" doc:"Calls may no longer start from this time of day."`
	CallsPerCLD *int32     `json:"calls_per_cld" minimum:"0" doc:"How many calls to one called number are let through within the window; null means no limit."`
	TimeZone    *string    `json:"time_zone" doc:"Tollgate's own: an IANA time zone such as America/New_York; null means UTC."`
}

// New returns a profile with every default of the API, which a request then overrides.
func New() Profile {
	return Profile{
		TrafficType:             "conversational",
		ServicePlan:             "global",
		Enabled:                 true,
		Tags:                    []string{},
		UsagePaymentMethod:      "rate-deck",
		WhitelistedDestinations: []string{"US", "CA"},
		CallRecording: CallRecording{
			Type: RecordNone, CallerPhoneNumbers: []e164.Number{}, Channels: "single", Format: "wav",
		},
		SpendLimitAction:   BlockNewCalls,
		AfterLimit:         ResumeAtReset,
		BlockedNumberTypes: []string{"premium_rate"},
	}
}
