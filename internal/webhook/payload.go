package webhook

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/e164"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/spendlimit"
)

// callPayload begins the payload of every event of a call. What Telnyx's
// call.hangup and call.cost have a field for has its name and form; the rest is
// named as in Tollgate's own detail records. Source: Telnyx v2, CallHangup and
// CallCost.
type callPayload struct {
	CallSessionID     uuid.UUID    `json:"call_session_id"`
	CallLegID         uuid.UUID    `json:"call_leg_id"`
	ConnectionID      id.ID        `json:"connection_id"`
	From              string       `json:"from"`
	To                string       `json:"to"`
	StartTime         string       `json:"start_time" format:"date-time"`
	CLI               *e164.Number `json:"cli"`
	CLD               *e164.Number `json:"cld"`
	CountryCode       *string      `json:"country_code"`
	OutboundProfileID id.ID        `json:"outbound_profile_id"`
	DecisionID        uuid.UUID    `json:"decision_id"`
	SIPCallID         string       `json:"sip_call_id"`
	Emergency         bool         `json:"emergency"`
}

type refusedPayload struct {
	callPayload
	State           string `json:"state"`
	Reason          string `json:"reason"` // as in the detail record
	HangupCause     string `json:"hangup_cause"`
	HangupSource    string `json:"hangup_source"`
	SIPHangupCause  string `json:"sip_hangup_cause"`
	SIPHangupPhrase string `json:"sip_hangup_phrase"` // names the limit, and ends in the code
}

type endedPayload struct {
	callPayload
	State           string  `json:"state"`
	Outcome         string  `json:"outcome"`
	Reason          *string `json:"reason"` // the limit that ended it while it ran, as in the detail record
	AnswerTime      *string `json:"answer_time" format:"date-time"`
	EndTime         string  `json:"end_time" format:"date-time"`
	HangupCause     string  `json:"hangup_cause"`
	HangupSource    string  `json:"hangup_source"`
	SIPHangupCause  *string `json:"sip_hangup_cause"`
	SIPHangupPhrase string  `json:"sip_hangup_phrase"`
	GatewayID       id.ID   `json:"gateway_id"`

	CallDurationSecs   int64        `json:"call_duration_secs"` // from answer to end, a part counting whole
	BilledDurationSecs int64        `json:"billed_duration_secs"`
	TotalCost          money.Amount `json:"total_cost"`
	CostParts          []costPart   `json:"cost_parts"`
	BillingGroupID     *uuid.UUID   `json:"billing_group_id"`
	Status             string       `json:"status"`
	OverrunSecs        int64        `json:"overrun_secs"` // reported, never charged
	OverrunCost        money.Amount `json:"overrun_cost"`
}

type costPart struct {
	CallPart           string       `json:"call_part"`
	Rate               money.Amount `json:"rate"` // a minute
	Cost               money.Amount `json:"cost"`
	BilledDurationSecs int64        `json:"billed_duration_secs"`
	Currency           string       `json:"currency"`
}

// CallEvent is the event of a call's record: call.refused or call.ended. A call
// of no account, whose caller was not recognised, has an event that does not validate.
func CallEvent(key uuid.UUID, r *record.Call) (Event, error) {
	e := Event{
		ID: key, AccountID: r.AccountID, ConnectionID: r.ConnectionID, Type: CallEnded,
		OccurredAt: time.UnixMicro(r.EndedMicros).UTC(),
	}
	call := callPayload{
		CallSessionID: r.ID, CallLegID: r.ID, ConnectionID: r.ConnectionID, From: r.From, To: r.To,
		StartTime: microsText(r.StartedMicros), CLI: numberOrNull(r.Caller), CLD: numberOrNull(r.Callee),
		OutboundProfileID: r.ProfileID, DecisionID: r.ID, SIPCallID: r.SIPCallID, Emergency: r.Emergency,
	}
	if r.Country != 0 {
		call.CountryCode = new(r.Country.Alpha2())
	}
	if r.Outcome == record.OutcomeRefused {
		e.Type = CallRefused
		return e.with(refusedPayload{
			callPayload: call, State: "hangup", Reason: r.Reason,
			HangupCause: r.HangupCause, HangupSource: r.HangupSource.String(),
			SIPHangupCause: strconv.Itoa(int(r.SIPStatus)), SIPHangupPhrase: r.SIPPhrase,
		})
	}
	ended := endedPayload{
		callPayload: call, State: "hangup", Outcome: r.Outcome.String(), EndTime: microsText(r.EndedMicros),
		HangupCause: r.HangupCause, HangupSource: r.HangupSource.String(),
		SIPHangupPhrase: r.SIPPhrase, GatewayID: r.GatewayID,
		CallDurationSecs: (r.DurationMicros + 999_999) / 1_000_000, BilledDurationSecs: r.BilledSecs,
		TotalCost: r.Cost, BillingGroupID: r.BillingGroup, Status: "success",
		OverrunSecs: r.OverrunSecs, OverrunCost: r.OverrunCost,
		CostParts: costPartsOf(r),
	}
	if r.Reason != "" {
		ended.Reason = &r.Reason
	}
	if r.AnsweredMicros != 0 {
		ended.AnswerTime = new(microsText(r.AnsweredMicros))
	}
	if r.SIPStatus != 0 {
		ended.SIPHangupCause = new(strconv.Itoa(int(r.SIPStatus)))
	}
	return e.with(ended)
}

// recordingPayload is Telnyx's call.recording.saved, and what Tollgate knows besides.
// Source: Telnyx v2, CallRecordingSaved.
type recordingPayload struct {
	CallControlID     uuid.UUID     `json:"call_control_id"`
	CallLegID         uuid.UUID     `json:"call_leg_id"`
	CallSessionID     uuid.UUID     `json:"call_session_id"`
	ConnectionID      id.ID         `json:"connection_id"`
	Channels          string        `json:"channels"`
	StartedAt         string        `json:"recording_started_at" format:"date-time"`
	EndedAt           string        `json:"recording_ended_at" format:"date-time"`
	URLs              recordingURLs `json:"recording_urls"`        // empty when the server was not told its address
	PublicURLs        recordingURLs `json:"public_recording_urls"` // always empty: nothing is public
	RecordingID       uuid.UUID     `json:"recording_id"`
	Format            string        `json:"format"`
	DurationMillis    int64         `json:"duration_millis"`
	SHA256            string        `json:"sha256"`
	Interrupted       bool          `json:"interrupted"`
	From              string        `json:"from"`
	To                string        `json:"to"`
	OutboundProfileID id.ID         `json:"outbound_profile_id"`
	SIPCallID         string        `json:"sip_call_id"`
}

// recordingURLs are where a recording is, by its format.
type recordingURLs struct {
	MP3 string `json:"mp3,omitzero"`
	WAV string `json:"wav,omitzero"`
}

// RecordingEvent is call.recording.saved. address is where the file can be
// downloaded for a while, "" for none.
func RecordingEvent(key uuid.UUID, r *record.Recording, address string) (Event, error) {
	e := Event{
		ID: key, AccountID: r.AccountID, ConnectionID: r.ConnectionID, Type: CallRecordingSaved,
		OccurredAt: time.UnixMicro(r.EndedMicros).UTC(),
	}
	p := recordingPayload{
		CallControlID: r.CallID, CallLegID: r.CallID, CallSessionID: r.CallID, ConnectionID: r.ConnectionID,
		Channels:  r.ChannelWord(),
		StartedAt: microsText(r.StartedMicros), EndedAt: microsText(r.EndedMicros),
		RecordingID: r.ID, Format: r.Format, DurationMillis: r.DurationMillis,
		SHA256: hex.EncodeToString(r.SHA256[:]), Interrupted: r.Interrupted,
		From: r.From, To: r.To, OutboundProfileID: r.ProfileID, SIPCallID: r.SIPCallID,
	}
	switch r.Format {
	case "mp3":
		p.URLs.MP3 = address
	case "wav":
		p.URLs.WAV = address
	}
	return e.with(p)
}

// Emergency is a call to an emergency number that was admitted.
type Emergency struct {
	Call                         uuid.UUID
	Account, Connection, Profile id.ID
	SIPCallID, From, To          string
	Caller                       e164.Number // 0 when it is no valid number
	StartedMicros                int64
}

// Event is the event of an emergency call. Its end is reported by call.ended.
func (c *Emergency) Event(key uuid.UUID) (Event, error) {
	e := Event{
		ID: key, AccountID: c.Account, ConnectionID: c.Connection, Type: CallEmergency,
		OccurredAt: time.UnixMicro(c.StartedMicros).UTC(),
	}
	return e.with(callPayload{
		CallSessionID: c.Call, CallLegID: c.Call, ConnectionID: c.Connection, From: c.From, To: c.To,
		StartTime: microsText(c.StartedMicros), CLI: numberOrNull(c.Caller), OutboundProfileID: c.Profile,
		DecisionID: c.Call, SIPCallID: c.SIPCallID, Emergency: true,
	})
}

// HangUp is a call of another switch whose hang-up was requested.
type HangUp struct {
	Call                         uuid.UUID
	Account, Connection, Profile id.ID
	SIPCallID, From, To          string // SIPCallID is the switch's own id of the call
	Caller, Callee               e164.Number
	Emergency                    bool
	StartedMicros                int64
	AnsweredMicros               int64 // 0 when it rings
	AtMicros                     int64
}

type hangupRequestedPayload struct {
	callPayload
	AdmissionID uuid.UUID `json:"admission_id"`
	AnswerTime  *string   `json:"answer_time" format:"date-time"` // null when it rings
	RequestedAt string    `json:"requested_at" format:"date-time"`
}

// Event is call.hangup_requested. The end of the call is reported by call.ended.
func (h *HangUp) Event(key uuid.UUID) (Event, error) {
	e := Event{ID: key, AccountID: h.Account, ConnectionID: h.Connection, Type: CallHangUpRequested,
		OccurredAt: time.UnixMicro(h.AtMicros).UTC()}
	p := hangupRequestedPayload{AdmissionID: h.Call, RequestedAt: microsText(h.AtMicros), callPayload: callPayload{
		CallSessionID: h.Call, CallLegID: h.Call, ConnectionID: h.Connection, From: h.From, To: h.To,
		StartTime: microsText(h.StartedMicros), CLI: numberOrNull(h.Caller), CLD: numberOrNull(h.Callee),
		OutboundProfileID: h.Profile, DecisionID: h.Call, SIPCallID: h.SIPCallID, Emergency: h.Emergency,
	}}
	if h.AnsweredMicros != 0 {
		p.AnswerTime = new(microsText(h.AnsweredMicros))
	}
	return e.with(p)
}

// EmergencyAlert is a connection that has started unusually many emergency calls.
type EmergencyAlert struct {
	Call                uuid.UUID // the last of them
	Account, Connection id.ID
	Day                 record.Day
	Calls, Threshold    int64
	AtMicros            int64
}

type emergencyAlertPayload struct {
	ConnectionID   id.ID     `json:"connection_id"`
	Day            string    `json:"day"` // in UTC
	EmergencyCalls int64     `json:"emergency_calls"`
	AlertCalls     int64     `json:"emergency_alert_calls"`
	CallSessionID  uuid.UUID `json:"call_session_id"`
}

// Event is connection.emergency_calls.
func (a *EmergencyAlert) Event(key uuid.UUID) (Event, error) {
	e := Event{ID: key, AccountID: a.Account, ConnectionID: a.Connection, Type: ConnectionEmergencies,
		OccurredAt: time.UnixMicro(a.AtMicros).UTC()}
	return e.with(emergencyAlertPayload{
		ConnectionID: a.Connection, Day: a.Day.String(),
		EmergencyCalls: a.Calls, AlertCalls: a.Threshold, CallSessionID: a.Call,
	})
}

// Stray is the right password of a connection from a source that is not allowed.
type Stray struct {
	Account, Connection id.ID
	UserName            string
	Source              netip.Addr
	At                  time.Time
}

type strayPayload struct {
	ConnectionID id.ID  `json:"connection_id"`
	UserName     string `json:"user_name"`
	SourceIP     string `json:"source_ip"`
}

// Event is the event of it.
func (s *Stray) Event(key uuid.UUID) (Event, error) {
	e := Event{ID: key, AccountID: s.Account, ConnectionID: s.Connection, Type: ConnectionSourceRefused,
		OccurredAt: s.At.UTC()}
	return e.with(strayPayload{ConnectionID: s.Connection, UserName: s.UserName, SourceIP: s.Source.String()})
}

// Spend is the state of a daily limit: of a profile, of a billing group or,
// when neither is set, of the account.
type Spend struct {
	Account, Profile    id.ID
	Group               uuid.UUID
	Day                 record.Day
	Percent             int32 // 100 for the limit itself
	Limit, Posted, Held money.Amount
	AtMicros            int64
	ForecastMicros      int64 // when the limit is reached at the day's pace; 0 for not on this day
	HoldAfter           bool  // calls are refused until the scope is released
}

type spendPayload struct {
	OutboundProfileID id.ID        `json:"outbound_profile_id,omitzero"`
	BillingGroupID    uuid.UUID    `json:"billing_group_id,omitzero"`
	Day               string       `json:"day"` // in UTC
	ThresholdPercent  int32        `json:"threshold_percent"`
	DailySpendLimit   money.Amount `json:"daily_spend_limit"`
	Spent             money.Amount `json:"spent"` // posted and held
	Posted            money.Amount `json:"posted"`
	Held              money.Amount `json:"held"`
	Currency          string       `json:"currency"`
	ForecastAt        *string      `json:"forecast_at" format:"date-time"`
	Forecast          string       `json:"forecast"` // the same for people
	// ReleaseNeeded: calls are refused, also after 00:00 UTC, until the scope is released.
	ReleaseNeeded bool `json:"release_needed"`
}

// SpendLimit is the state of a spend limit.
type SpendLimit struct {
	Limit        spendlimit.Limit
	Percent      int32 // 100 for the amount itself
	Posted, Held money.Amount
	AtMicros     int64
	OpensMicros  int64
}

type limitPayload struct {
	SpendLimitID     id.ID        `json:"spend_limit_id"`
	Name             string       `json:"name"`
	ScopeType        string       `json:"scope_type"`
	ScopeValue       *string      `json:"scope_value"`
	Period           string       `json:"period"`
	TimeZone         string       `json:"time_zone"`
	Action           string       `json:"action"`
	ThresholdPercent int32        `json:"threshold_percent"`
	Amount           money.Amount `json:"amount"`
	Spent            money.Amount `json:"spent"` // posted and held
	Posted           money.Amount `json:"posted"`
	Held             money.Amount `json:"held"`
	Currency         string       `json:"currency"`
	// CountsUntil is when what is spent now counts no longer, at the latest.
	CountsUntil string `json:"counts_until" format:"date-time"`
}

// Type is the type of its event.
func (s *SpendLimit) Type() string {
	if s.Percent >= 100 {
		return SpendLimitReached
	}
	return SpendLimitThreshold
}

// Event is the event of the amount at 100 percent, and of a threshold below.
func (s *SpendLimit) Event(key uuid.UUID) (Event, error) {
	l := &s.Limit
	e := Event{ID: key, AccountID: l.AccountID, Type: s.Type(), OccurredAt: time.UnixMicro(s.AtMicros).UTC()}
	return e.with(limitPayload{
		SpendLimitID: l.ID, Name: l.Name, ScopeType: l.ScopeType, ScopeValue: l.ScopeValue, Period: l.Period,
		TimeZone: l.TimeZone, Action: l.Action, ThresholdPercent: s.Percent, Amount: l.Amount,
		Spent: money.Add(s.Posted, s.Held), Posted: s.Posted, Held: s.Held, Currency: "USD",
		CountsUntil: microsText(s.OpensMicros),
	})
}

// types are those of the events below the limit and at it.
func (s *Spend) types() (threshold, reached string) {
	switch {
	case s.Profile != 0:
		return ProfileSpendThreshold, ProfileSpendLimitReached
	case s.Group != uuid.Nil:
		return GroupSpendThreshold, GroupSpendLimitReached
	}
	return AccountSpendThreshold, AccountSpendLimitReached
}

// Type is the type of its event.
func (s *Spend) Type() string {
	threshold, reached := s.types()
	if s.Percent >= 100 {
		return reached
	}
	return threshold
}

// Event is the event of the limit that was reached at 100 percent, and of a
// threshold below.
func (s *Spend) Event(key uuid.UUID) (Event, error) {
	e := Event{ID: key, AccountID: s.Account, Type: s.Type(), OccurredAt: time.UnixMicro(s.AtMicros).UTC()}
	p := spendPayload{
		OutboundProfileID: s.Profile, BillingGroupID: s.Group,
		Day: s.Day.String(), ThresholdPercent: s.Percent,
		DailySpendLimit: s.Limit, Spent: money.Add(s.Posted, s.Held), Posted: s.Posted, Held: s.Held, Currency: "USD",
		Forecast: "At this pace it is not reached today.", ReleaseNeeded: s.HoldAfter,
	}
	switch {
	case s.Percent >= 100:
		p.Forecast = ""
	case s.ForecastMicros != 0:
		p.ForecastAt = new(microsText(s.ForecastMicros))
		p.Forecast = "At this pace reached at " + time.UnixMicro(s.ForecastMicros).UTC().Format("15:04") + " UTC."
	}
	return e.with(p)
}

// The actions of a Change.
const (
	Created   = "created"
	Updated   = "updated"
	Deleted   = "deleted"
	Activated = "activated" // of rate decks
)

// Change is a write of configuration.
type Change struct {
	Account      id.ID
	ResourceType string // its record_type, as in outbound_voice_profile
	ResourceID   string
	Action       string
	Version      int64 // of the resource after the change, or the last one of what was deleted
	At           time.Time
}

type changePayload struct {
	ResourceType string `json:"resource_type"`
	ResourceID   string `json:"resource_id"`
	Action       string `json:"action"`
	Version      int64  `json:"version"`
}

// Event is configuration.changed. It tells what was changed and not to what: that
// may be a password, and the API gives it to those who may read it.
func (c *Change) Event(key uuid.UUID) (Event, error) {
	e := Event{ID: key, AccountID: c.Account, Type: ConfigurationChanged, OccurredAt: c.At.UTC()}
	return e.with(changePayload{c.ResourceType, c.ResourceID, c.Action, c.Version})
}

// with gives an event its payload.
func (e Event) with(payload any) (Event, error) {
	text, err := json.Marshal(payload, jsontext.AllowInvalidUTF8(true)) // names from SIP are any bytes
	if err != nil {
		return Event{}, fmt.Errorf("write payload of %s: %w", e.Type, err)
	}
	e.Payload = text
	return e, nil
}

func microsText(micros int64) string { return time.UnixMicro(micros).UTC().Format(wireTime) }

func numberOrNull(n e164.Number) *e164.Number {
	if n == 0 {
		return nil
	}
	return &n
}
