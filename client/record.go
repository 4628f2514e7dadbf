package client

import "time"

// DetailRecord is a call detail record.
type DetailRecord struct {
	ID         string     `json:"id"`
	RecordType string     `json:"record_type"`
	AnsweredAt *time.Time `json:"answered_at"`
	// Always 1: every attempt has a record.
	Attempted      int64   `json:"attempted"`
	BilledSec      int64   `json:"billed_sec"`
	BillingGroupID *string `json:"billing_group_id"`
	// Seconds from answer to end, a part counting whole.
	CallSec int64 `json:"call_sec"`
	// The called number after localisation; null when it is no valid number.
	CLD *string `json:"cld"`
	// The caller after localisation and ani_override; null when it is no valid number.
	CLI *string `json:"cli"`
	// 1 when the call was answered and its end is known, else 0.
	Completed int64 `json:"completed"`
	// 1 when the call was answered, else 0.
	Connected    int64   `json:"connected"`
	ConnectFee   Decimal `json:"connect_fee"`
	ConnectionID *string `json:"connection_id"`
	// The name that the connection has now; null when it is deleted.
	ConnectionName *string `json:"connection_name"`
	Cost           Decimal `json:"cost"`
	// ISO 3166-1 alpha-2; null for ranges that belong to no country.
	CountryCode *string `json:"country_code"`
	// The same as CountryCode.
	CountryISO *string    `json:"country_iso"`
	Currency   string     `json:"currency"`
	Decision   string     `json:"decision"`
	DecisionID string     `json:"decision_id"`
	Direction  string     `json:"direction"`
	Emergency  bool       `json:"emergency"`
	FinishedAt *time.Time `json:"finished_at"`
	// The caller id as presented.
	From      string  `json:"from"`
	GatewayID *string `json:"gateway_id"`
	// How long the call was allowed to last.
	GrantedSec int64 `json:"granted_sec"`
	// Why it ended, in the words of Q.850 as FreeSWITCH writes them.
	HangupCause string `json:"hangup_cause"`
	// The final SIP status sent to the caller.
	HangupCode *string `json:"hangup_code"`
	// How the caller's leg ended: recv_bye, send_bye, recv_cancel or send_refuse; null when that is not known.
	HangupDetails *string `json:"hangup_details"`
	HangupPhrase  string  `json:"hangup_phrase"`
	HangupSource  string  `json:"hangup_source"`
	// The mean opinion score of what came from the caller, as call.hangup has it; null when the media did not go
	// through the server's own relay, or nothing came.
	MOS *string `json:"mos"`
	// The range, such as +881, of a number that belongs to no country.
	NumberRange       *string `json:"number_range"`
	OutboundProfileID *string `json:"outbound_profile_id"`
	Outcome           string  `json:"outcome"`
	OverrunCost       Decimal `json:"overrun_cost"`
	// Seconds beyond the grants; reported, never charged.
	OverrunSec int64 `json:"overrun_sec"`
	// Post-dial delay: from the call's start to ringing.
	PDDMs          *int64  `json:"pdd_ms"`
	Rate           Decimal `json:"rate"`
	RateMeasuredIn string  `json:"rate_measured_in"`
	// The prefix of the rate deck that priced the call.
	RatePrefix string `json:"rate_prefix"`
	// Why it was refused, as a word; null when it was allowed.
	Reason *string `json:"reason"`
	// Its recordings: none until some seconds after its end, and none that are deleted.
	RecordingIDs []string   `json:"recording_ids"`
	RingingAt    *time.Time `json:"ringing_at"`
	// Always null: Tollgate signs no calls.
	ShakenStir *string `json:"shaken_stir"`
	// Answered, and up for at most 6 seconds.
	ShortDurationCall bool   `json:"short_duration_call"`
	SIPCallID         string `json:"sip_call_id"`
	// The final SIP status of a call that was not answered.
	SIPInviteFailureStatus *string `json:"sip_invite_failure_status"`
	// The cost by the UTC day to which it is booked.
	Slices []CostSlice `json:"slices"`
	// The country of the caller's number, ISO 3166-1 alpha-2; null when it belongs to none or is no valid number.
	SourceCountryCode *string `json:"source_country_code"`
	// The type of the caller's number; null when it is no valid number.
	SourceTNType *string   `json:"source_tn_type"`
	StartedAt    time.Time `json:"started_at"`
	// The code of a refusal of Tollgate's own, as in D13; null when it did not refuse the call.
	TelnyxErrorCode *string `json:"telnyx_error_code"`
	// The call's id: a call is a session of its own.
	TelnyxSessionID string `json:"telnyx_session_id"`
	// The type of the called number.
	TNType string `json:"tn_type"`
	// The number as dialled.
	To string `json:"to"`
}

// DetailRecordOptions say by what detail records can be filtered and sorted.
type DetailRecordOptions struct {
	RecordType string              `json:"record_type"`
	Fields     []DetailRecordField `json:"fields"`
}

// DetailRecordField is a field of a detail record, or what else records can be
// filtered by.
type DetailRecordField struct {
	Name     string  `json:"name"`
	Type     string  `json:"type"`
	Format   *string `json:"format"`
	Nullable bool    `json:"nullable"`
	// False for what is only a filter.
	InRecords bool `json:"in_records"`
	// How it can be filtered by: eq is filter[name], any other one is filter[name][other].
	Filters []string `json:"filters"`
	// The values that it can have, where they are listed.
	Values   []string `json:"values"`
	Sortable bool     `json:"sortable"`
}

// CostSlice is the part of a cost that is booked to one UTC day.
type CostSlice struct {
	BilledSec int64   `json:"billed_sec"`
	Cost      Decimal `json:"cost"`
	Day       string  `json:"day"`
}

// UsageRow is a row of a usage report. It has the members that were asked for.
type UsageRow struct {
	// Calls, whether let through or not.
	Attempted *int64 `json:"attempted,omitzero"`
	// Seconds that were charged.
	BilledSec      *int64  `json:"billed_sec,omitzero"`
	BillingGroupID *string `json:"billing_group_id,omitzero"`
	// Always null: there are no bundles.
	BundleID *string `json:"bundle_id,omitzero"`
	// Seconds from answer to end, of each call a part counting whole.
	CallSec *int64 `json:"call_sec,omitzero"`
	// Calls that were answered and whose end is known.
	Completed *int64 `json:"completed,omitzero"`
	// Calls that were answered.
	Connected    *int64  `json:"connected,omitzero"`
	ConnectionID *string `json:"connection_id,omitzero"`
	// USD; exact.
	Cost        *Decimal `json:"cost,omitzero"`
	CountryCode *string  `json:"country_code,omitzero"`
	Currency    *string  `json:"currency,omitzero"`
	// UTC day of the calls' starts.
	Date *string `json:"date,omitzero"`
	// UTC hour of the calls' starts.
	DateTime  *string `json:"date_time,omitzero"`
	Direction *string `json:"direction,omitzero"`
	GatewayID *string `json:"gateway_id,omitzero"`
	// The caller's and the called number are of one country; false when that of either is not known.
	IsLocalCalling    *bool   `json:"is_local_calling,omitzero"`
	OutboundProfileID *string `json:"outbound_profile_id,omitzero"`
	Outcome           *string `json:"outcome,omitzero"`
	ShortDurationCall *bool   `json:"short_duration_call,omitzero"`
	SourceCountryCode *string `json:"source_country_code,omitzero"`
	SourceTNType      *string `json:"source_tn_type,omitzero"`
	// The tags that the call's profile has now, joined with commas in their order; null when it has none or is deleted.
	Tags   *string `json:"tags,omitzero"`
	TNType *string `json:"tn_type,omitzero"`
}

// UsageOptions says what usage reports can be made of.
type UsageOptions struct {
	Product           string               `json:"product"`
	ProductDimensions []string             `json:"product_dimensions"`
	ProductMetrics    []string             `json:"product_metrics"`
	RecordTypes       []UsageRecordOptions `json:"record_types"`
}

// UsageRecordOptions are the options of one type of record.
type UsageRecordOptions struct {
	RecordType        string   `json:"record_type"`
	ProductDimensions []string `json:"product_dimensions"`
	ProductMetrics    []string `json:"product_metrics"`
}

// CallEvent is a moment in the life of a call.
type CallEvent struct {
	RecordType string `json:"record_type"`
	// The id of the call.
	CallLegID string `json:"call_leg_id"`
	// The id of the call.
	CallSessionID string `json:"call_session_id"`
	// RFC 3339 with microseconds.
	EventTimestamp string            `json:"event_timestamp"`
	Metadata       CallEventMetadata `json:"metadata"`
	Name           string            `json:"name"`
	// Always webhook: there are no commands.
	Type string `json:"type"`
}

// CallEventMetadata says more of an event.
type CallEventMetadata struct {
	// Of call.cost.
	BilledDurationSecs *int64  `json:"billed_duration_secs,omitzero"`
	BillingGroupID     *string `json:"billing_group_id"`
	ConnectionID       *string `json:"connection_id"`
	From               string  `json:"from"`
	// Of call.hangup.
	HangupCause *string `json:"hangup_cause,omitzero"`
	// Of call.hangup.
	HangupSource           *string `json:"hangup_source,omitzero"`
	OutboundVoiceProfileID *string `json:"outbound_voice_profile_id"`
	// Of call.hangup: the final SIP status.
	SIPHangupCause *string   `json:"sip_hangup_cause,omitzero"`
	StartTime      time.Time `json:"start_time"`
	To             string    `json:"to"`
	// Of call.cost, USD.
	TotalCost *Decimal `json:"total_cost,omitzero"`
}

// Recording is the recording of a call.
type Recording struct {
	ID                 string       `json:"id"`
	RecordType         string       `json:"record_type"`
	CallControlID      string       `json:"call_control_id"`
	CallLegID          string       `json:"call_leg_id"`
	CallSessionID      string       `json:"call_session_id"`
	Channels           string       `json:"channels"`
	ConferenceID       *string      `json:"conference_id"`
	ConnectionID       *string      `json:"connection_id"`
	DownloadURLs       DownloadURLs `json:"download_urls"`
	DurationMillis     int64        `json:"duration_millis"`
	From               string       `json:"from"`
	InitiatedBy        string       `json:"initiated_by"`
	RecordingEndedAt   time.Time    `json:"recording_ended_at"`
	RecordingStartedAt time.Time    `json:"recording_started_at"`
	Source             string       `json:"source"`
	Status             string       `json:"status"`
	To                 string       `json:"to"`
	CreatedAt          time.Time    `json:"created_at"`
	UpdatedAt          time.Time    `json:"updated_at"`

	// Of the file as it is downloaded, in hex.
	SHA256 string `json:"sha256"`
	// Of the file as it is downloaded.
	SizeBytes int64 `json:"size_bytes"`
	// The server died during the call, so its end is missing.
	Interrupted       bool    `json:"interrupted"`
	OutboundProfileID *string `json:"outbound_profile_id"`
	// Call-ID of the caller's leg.
	SIPCallID string `json:"sip_call_id"`
}

// DownloadURLs are links to the files of a recording.
type DownloadURLs struct {
	MP3 *string `json:"mp3,omitzero"`
	WAV *string `json:"wav,omitzero"`
}
