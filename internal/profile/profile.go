// Package profile defines the outbound voice profile: which destinations may be called,
// at which maximum rate, how many calls at once, how much money a day, what is recorded.
//
// The struct below is the resource on the wire, in the store and in the domain. Its tags
// carry the limits that the API checks and documents. The tag mark and
// the comment of a field are its row in docs/COMPATIBILITY.md.
package profile

import (
	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/e164"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/money"
)

// Spend limit actions: what happens to calls in progress when the day's limit is reached.
const (
	BlockNewCalls = "block_new_calls" // new calls are refused, running ones continue and are counted (Telnyx's words)
	EndCalls      = "end_calls"       // running calls end at their grant's end: booked charges never pass the limit
)

// What happens after a daily limit was reached.
const (
	ResumeAtReset     = "resume_at_reset"     // calls are admitted again from 00:00 UTC
	HoldUntilReleased = "hold_until_released" // no call is admitted until the limit is released
)

// What happens to calls from +1 numbers of unallocated blocks.
const (
	AllowUnallocated  = "allow"
	RefuseUnallocated = "refuse"
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
	collection.Head[id.ID]

	// 3 to 255 characters; need not be unique
	Name string `json:"name" mark:"enforced" minLength:"3" maxLength:"255" doc:"A user-supplied name to help with organisation."`
	// the only value is `conversational`
	TrafficType string `json:"traffic_type" mark:"kept" enum:"conversational" doc:"The type of traffic allowed in this profile."`
	// the only value is `global`
	ServicePlan string `json:"service_plan" mark:"kept" enum:"global" doc:"The coverage of the termination regions."`
	// calls that ring or are up; at most the account's own limit; null means no limit
	ConcurrentCallLimit *int32 `json:"concurrent_call_limit" mark:"enforced" minimum:"0" doc:"How many calls may be up or ringing at once; null means no limit. No more than the account's own limit."`
	// refused with D15 when false
	Enabled bool     `json:"enabled" mark:"enforced" doc:"Whether the profile can be used. A disabled profile refuses every new call of its connections."`
	Tags    []string `json:"tags" mark:"kept" maxItems:"100"`
	// the only value is `rate-deck`
	UsagePaymentMethod string `json:"usage_payment_method" mark:"kept" enum:"rate-deck" doc:"How costs are calculated."`
	// by the full numbering plan, never by "+1"; refused with D13. Ours: ranges without a country, such as `+881`
	WhitelistedDestinations []string `json:"whitelisted_destinations" mark:"enforced" maxItems:"300" doc:"The countries that may be called, ISO 3166-1 alpha-2; ranges that belong to no country are named by code, such as +881."`
	// a number, USD a minute, exact; refused with D24 only when the rate is higher
	MaxDestinationRate *money.Rate `json:"max_destination_rate" mark:"enforced" doc:"The highest price per minute, in USD, of a call that is admitted; null means no maximum."`
	// a text, USD a UTC day, exact; counts per profile
	DailySpendLimit *money.Amount `json:"daily_spend_limit" mark:"enforced" doc:"The most that calls may cost in a UTC day, in USD, as a decimal string."`
	// true without a limit is a 422, since it would limit nothing
	DailySpendLimitEnabled bool `json:"daily_spend_limit_enabled" mark:"enforced" doc:"Whether daily_spend_limit is enforced."`
	// an object; see its members. As it is when the call starts: a change during the call has no effect on it
	CallRecording CallRecording `json:"call_recording" mark:"enforced"`
	// is in every record of the profile's calls; `""` is read as null
	BillingGroupID *uuid.UUID `json:"billing_group_id" mark:"enforced" doc:"The billing group of the profile's calls; null for none."`
	// null means no window
	CallingWindow *CallingWindow `json:"calling_window" mark:"enforced" doc:"The time of day in which calls may start, and how often one number may be called in it; null means no window."`

	// `block_new_calls` (as Telnyx words it) or `end_calls` (running calls end at their grant's end, so booked
	// charges never pass the limit)
	SpendLimitAction string `json:"spend_limit_action" enum:"block_new_calls,end_calls" doc:"Tollgate's own: what happens to calls in progress at the daily limit."`
	// `resume_at_reset` (a limit that was reached is forgotten at 00:00 UTC) or `hold_until_released` (it refuses
	// calls, with TG9, until `POST /tollgate/v1/outbound_voice_profiles/{id}/release`)
	AfterLimit string `json:"after_limit" enum:"resume_at_reset,hold_until_released" doc:"Tollgate's own: whether a limit that was reached is forgotten at 00:00 UTC, or refuses calls until POST /tollgate/v1/outbound_voice_profiles/{id}/release."`
	// number types that are refused inside whitelisted countries; default `premium_rate`
	BlockedNumberTypes []string `json:"blocked_number_types" maxItems:"20" doc:"Tollgate's own: number types that are refused inside whitelisted countries. Default: premium_rate."`
	// counted from the answer: the server hangs up half a second before the limit; another switch gets it
	// in `grant_secs` and `max_call_secs`
	MaxCallSecs *int32 `json:"max_call_secs" minimum:"1" maximum:"604800" doc:"Tollgate's own: how long a call may last; null means no limit of its own."`
	// USD, a text, exact; a rate with a higher connect fee is refused with TG10. `max_destination_rate` is of the
	// minute alone, as at Telnyx
	MaxConnectFee *money.Amount `json:"max_connect_fee" doc:"Tollgate's own: the highest connect fee, in USD, of a call that is admitted; null means no maximum."`
	// USD, a text, exact; what one call may cost. Refused with TG11 when already the first increment costs more; a
	// running call gets no grant beyond it and ends at its grant's end. A change holds for running calls too
	MaxCallCost *money.Amount `json:"max_call_cost" doc:"Tollgate's own: what one call may cost at most, in USD. A call of which the first increment costs more is refused; another one ends before it costs more. null means no maximum."`
	// `refuse`: with TG22, by the North American numbering plan and its overrides; `allow`, the default, lets them
	// through, as Telnyx does with numbers that it has verified. 47 CFR 64.1200(o) wants such calls blocked
	UnallocatedCallers string `json:"unallocated_callers" enum:"allow,refuse" doc:"Tollgate's own: what happens to calls that show a +1 number of a block in which there are no numbers."`
	// null is the account's default deck
	RateDeckID id.ID `json:"rate_deck_id" doc:"Tollgate's own: the rate deck of this profile's calls; null means the account's default deck."`

	collection.Times
}

// CallRecording says which calls are recorded and how.
type CallRecording struct {
	// recorded from the answer to the end; emergency calls never are
	Type string `json:"call_recording_type" mark:"enforced" enum:"all,none,by_caller_phone_number" doc:"Which calls are recorded."`
	// E.164; needed with `by_caller_phone_number`
	CallerPhoneNumbers []e164.Number `json:"call_recording_caller_phone_numbers" mark:"enforced" maxItems:"1000" doc:"With by_caller_phone_number: the callers that are recorded, E.164."`
	// `dual` has the caller left and the callee right
	Channels string `json:"call_recording_channels" mark:"enforced" title:"RecordingChannels" enum:"single,dual" doc:"dual makes a stereo file with the caller on the left."`
	// `mp3` where the server has the program `lame`; otherwise the recording is kept as `wav`, and its
	// `download_urls` say so
	Format string `json:"call_recording_format" mark:"enforced" title:"RecordingFormat" enum:"wav,mp3"`
}

// CallingWindow limits when calls may start. Times are UTC unless TimeZone is set.
// A window whose end is not after its start crosses midnight.
type CallingWindow struct {
	// `HH:MM`, `HH:MM:SS` and `HH:MM:SS.ssZ` are read, `HH:MM:SS` is written; may be later than the end, the
	// window then crosses midnight
	StartTime *TimeOfDay `json:"start_time" mark:"enforced" doc:"Calls may start from this time of day: HH:MM, HH:MM:SS or HH:MM:SS.ssZ."`
	// calls that are up continue; equal to the start is a 422
	EndTime *TimeOfDay `json:"end_time" mark:"enforced" doc:"Calls may no longer start from this time of day."`
	// per profile and called number, within one instance of the window; refused with TG2
	CallsPerCLD *int32 `json:"calls_per_cld" mark:"enforced" minimum:"0" doc:"How many calls to one called number are admitted within the window; null means no limit."`
	// an IANA time zone; null is UTC
	TimeZone *string `json:"time_zone" doc:"Tollgate's own: an IANA time zone such as America/New_York; null means UTC."`
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
		UnallocatedCallers: AllowUnallocated,
		BlockedNumberTypes: []string{"premium_rate"},
	}
}
