package client

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// WebhookEvent is what a webhook brings.
type WebhookEvent struct {
	ID          string // the same in every attempt: by it repeats are recognised
	Type        string // as in call.hangup
	OccurredAt  time.Time
	Payload     jsontext.Value // see Decode
	Attempt     int64          // from 1
	DeliveredTo string
}

// Decode reads the payload into a value of the type that belongs to the event's type,
// such as HangupPayload.
func (e *WebhookEvent) Decode(payload any) error {
	err := json.Unmarshal(e.Payload, payload)
	if err != nil {
		return fmt.Errorf("read payload of %s: %w", e.Type, err)
	}
	return nil
}

// ErrWebhookSignature says that a request is not what the server signed, or not now.
// It is wrapped with why.
var ErrWebhookSignature = errors.New("webhook signature does not verify")

// webhookTolerance is how far the time of a request may be from the receiver's clock,
// in both directions.
const webhookTolerance = 5 * time.Minute

// ReadWebhook verifies a request that a webhook has made, and reads it. publicKey is
// that of WebhookPublicKey; body is what arrived, byte for byte.
func ReadWebhook(publicKey string, header http.Header, body []byte, now time.Time) (WebhookEvent, error) {
	if err := verifyWebhook(publicKey, header, body, now); err != nil {
		return WebhookEvent{}, err
	}
	var sent struct {
		Data struct {
			ID         string         `json:"id"`
			EventType  string         `json:"event_type"`
			OccurredAt time.Time      `json:"occurred_at"`
			Payload    jsontext.Value `json:"payload"`
		} `json:"data"`
		Meta struct {
			Attempt     int64  `json:"attempt"`
			DeliveredTo string `json:"delivered_to"`
		} `json:"meta"`
	}
	if err := json.Unmarshal(body, &sent); err != nil {
		return WebhookEvent{}, fmt.Errorf("read webhook: %w", err)
	}
	return WebhookEvent{ID: sent.Data.ID, Type: sent.Data.EventType, OccurredAt: sent.Data.OccurredAt,
		Payload: sent.Data.Payload, Attempt: sent.Meta.Attempt, DeliveredTo: sent.Meta.DeliveredTo}, nil
}

func verifyWebhook(publicKey string, header http.Header, body []byte, now time.Time) error {
	key, err := base64.StdEncoding.DecodeString(publicKey)
	if err != nil || len(key) != ed25519.PublicKeySize {
		return fmt.Errorf("%w: the public key is not base64 of %d bytes", ErrWebhookSignature, ed25519.PublicKeySize)
	}
	timestamp := header.Get("Telnyx-Timestamp")
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil {
		return fmt.Errorf("%w: no time of sending", ErrWebhookSignature)
	}
	if sent := time.Unix(seconds, 0); now.Sub(sent) > webhookTolerance || sent.Sub(now) > webhookTolerance {
		return fmt.Errorf("%w: it was sent at %s", ErrWebhookSignature, sent.UTC().Format(time.RFC3339))
	}
	signature, err := base64.StdEncoding.DecodeString(header.Get("Telnyx-Signature-Ed25519"))
	if err != nil || !ed25519.Verify(key, append([]byte(timestamp+"|"), body...), signature) {
		return fmt.Errorf("%w: it is not the key's signature of this body", ErrWebhookSignature)
	}
	return nil
}

// InitiatedPayload is the payload of call.initiated.
type InitiatedPayload struct {
	// The call's id: that of its detail record, and what a hang-up takes.
	CallControlID string `json:"call_control_id"`
	// The call's id.
	CallLegID string `json:"call_leg_id"`
	// The call's id.
	CallSessionID string `json:"call_session_id"`
	// The caller as presented.
	CallerIDName string `json:"caller_id_name"`
	// Null: there are no commands that set it.
	ClientState  *string `json:"client_state"`
	ConnectionID *string `json:"connection_id"`
	Direction    string  `json:"direction"`
	// The caller in E.164, or as presented when it is no valid number.
	From      string    `json:"from"`
	StartTime time.Time `json:"start_time"`
	State     string    `json:"state"`
	// The tags of the connection.
	Tags []string `json:"tags"`
	// The called number in E.164, or as dialled when it is no valid number.
	To string `json:"to"`
}

// AnsweredPayload is the payload of call.answered.
type AnsweredPayload struct {
	// The call's id: that of its detail record, and what a hang-up takes.
	CallControlID string `json:"call_control_id"`
	// The call's id.
	CallLegID string `json:"call_leg_id"`
	// The call's id.
	CallSessionID string `json:"call_session_id"`
	// Null: there are no commands that set it.
	ClientState  *string `json:"client_state"`
	ConnectionID *string `json:"connection_id"`
	// The caller in E.164, or as presented when it is no valid number.
	From      string    `json:"from"`
	StartTime time.Time `json:"start_time"`
	State     string    `json:"state"`
	// The tags of the connection.
	Tags []string `json:"tags"`
	// The called number in E.164, or as dialled when it is no valid number.
	To string `json:"to"`
}

// HangupPayload is the payload of call.hangup.
type HangupPayload struct {
	// The call's id: that of its detail record, and what a hang-up takes.
	CallControlID string `json:"call_control_id"`
	// The call's id.
	CallLegID string `json:"call_leg_id"`
	// Null when the media did not go through the server's own relay.
	CallQualityStats *CallQuality `json:"call_quality_stats"`
	// The call's id.
	CallSessionID string `json:"call_session_id"`
	// Null: there are no commands that set it.
	ClientState  *string   `json:"client_state"`
	ConnectionID *string   `json:"connection_id"`
	EndTime      time.Time `json:"end_time"`
	// The caller in E.164, or as presented when it is no valid number.
	From        string `json:"from"`
	HangupCause string `json:"hangup_cause"`
	// Unknown when Tollgate ended the call.
	HangupSource string `json:"hangup_source"`
	// The final SIP status as a text, or unspecified.
	SIPHangupCause string    `json:"sip_hangup_cause"`
	StartTime      time.Time `json:"start_time"`
	State          string    `json:"state"`
	// The tags of the connection.
	Tags []string `json:"tags"`
	// The called number in E.164, or as dialled when it is no valid number.
	To string `json:"to"`
}

// CostPayload is the payload of call.cost.
type CostPayload struct {
	BilledDurationSecs int64   `json:"billed_duration_secs"`
	BillingGroupID     *string `json:"billing_group_id"`
	// The call's id: that of its detail record, and what a hang-up takes.
	CallControlID string `json:"call_control_id"`
	// The call's id.
	CallLegID string `json:"call_leg_id"`
	// The call's id.
	CallSessionID string `json:"call_session_id"`
	// Null: there are no commands that set it.
	ClientState  *string    `json:"client_state"`
	ConnectionID *string    `json:"connection_id"`
	CostParts    []CostPart `json:"cost_parts"`
	OccurredAt   time.Time  `json:"occurred_at"`
	Status       string     `json:"status"`
	TotalCost    Decimal    `json:"total_cost"`
}

// RefusedPayload is the payload of call.refused.
type RefusedPayload struct {
	CallLegID         string    `json:"call_leg_id"`
	CallSessionID     string    `json:"call_session_id"`
	CLD               *string   `json:"cld"`
	CLI               *string   `json:"cli"`
	ConnectionID      *string   `json:"connection_id"`
	CountryCode       *string   `json:"country_code"`
	DecisionID        string    `json:"decision_id"`
	Emergency         bool      `json:"emergency"`
	From              string    `json:"from"`
	HangupCause       string    `json:"hangup_cause"`
	HangupSource      string    `json:"hangup_source"`
	OutboundProfileID *string   `json:"outbound_profile_id"`
	Reason            string    `json:"reason"`
	SIPCallID         string    `json:"sip_call_id"`
	SIPHangupCause    string    `json:"sip_hangup_cause"`
	SIPHangupPhrase   string    `json:"sip_hangup_phrase"`
	StartTime         time.Time `json:"start_time"`
	State             string    `json:"state"`
	To                string    `json:"to"`
}

// EndedPayload is the payload of call.ended.
type EndedPayload struct {
	AnswerTime         *time.Time `json:"answer_time"`
	BilledDurationSecs int64      `json:"billed_duration_secs"`
	BillingGroupID     *string    `json:"billing_group_id"`
	CallDurationSecs   int64      `json:"call_duration_secs"`
	CallLegID          string     `json:"call_leg_id"`
	CallSessionID      string     `json:"call_session_id"`
	CLD                *string    `json:"cld"`
	CLI                *string    `json:"cli"`
	ConnectionID       *string    `json:"connection_id"`
	CostParts          []CostPart `json:"cost_parts"`
	CountryCode        *string    `json:"country_code"`
	DecisionID         string     `json:"decision_id"`
	Emergency          bool       `json:"emergency"`
	EndTime            time.Time  `json:"end_time"`
	From               string     `json:"from"`
	GatewayID          *string    `json:"gateway_id"`
	HangupCause        string     `json:"hangup_cause"`
	HangupSource       string     `json:"hangup_source"`
	OutboundProfileID  *string    `json:"outbound_profile_id"`
	Outcome            string     `json:"outcome"`
	OverrunCost        Decimal    `json:"overrun_cost"`
	OverrunSecs        int64      `json:"overrun_secs"`
	SIPCallID          string     `json:"sip_call_id"`
	SIPHangupCause     *string    `json:"sip_hangup_cause"`
	SIPHangupPhrase    string     `json:"sip_hangup_phrase"`
	StartTime          time.Time  `json:"start_time"`
	State              string     `json:"state"`
	Status             string     `json:"status"`
	To                 string     `json:"to"`
	TotalCost          Decimal    `json:"total_cost"`
}

// CallPayload is the payload of call.emergency.
type CallPayload struct {
	CallLegID         string    `json:"call_leg_id"`
	CallSessionID     string    `json:"call_session_id"`
	CLD               *string   `json:"cld"`
	CLI               *string   `json:"cli"`
	ConnectionID      *string   `json:"connection_id"`
	CountryCode       *string   `json:"country_code"`
	DecisionID        string    `json:"decision_id"`
	Emergency         bool      `json:"emergency"`
	From              string    `json:"from"`
	OutboundProfileID *string   `json:"outbound_profile_id"`
	SIPCallID         string    `json:"sip_call_id"`
	StartTime         time.Time `json:"start_time"`
	To                string    `json:"to"`
}

// HangupRequestedPayload is the payload of call.hangup_requested: the switch that has the
// call is to end it.
type HangupRequestedPayload struct {
	AdmissionID       string     `json:"admission_id"`
	AnswerTime        *time.Time `json:"answer_time"`
	CallLegID         string     `json:"call_leg_id"`
	CallSessionID     string     `json:"call_session_id"`
	CLD               *string    `json:"cld"`
	CLI               *string    `json:"cli"`
	ConnectionID      *string    `json:"connection_id"`
	CountryCode       *string    `json:"country_code"`
	DecisionID        string     `json:"decision_id"`
	Emergency         bool       `json:"emergency"`
	From              string     `json:"from"`
	OutboundProfileID *string    `json:"outbound_profile_id"`
	RequestedAt       time.Time  `json:"requested_at"`
	// The switch's own id of the call.
	SIPCallID string    `json:"sip_call_id"`
	StartTime time.Time `json:"start_time"`
	To        string    `json:"to"`
}

// RecordingPayload is the payload of call.recording.saved.
type RecordingPayload struct {
	CallControlID       string        `json:"call_control_id"`
	CallLegID           string        `json:"call_leg_id"`
	CallSessionID       string        `json:"call_session_id"`
	Channels            string        `json:"channels"`
	ConnectionID        *string       `json:"connection_id"`
	DurationMillis      int64         `json:"duration_millis"`
	Format              string        `json:"format"`
	From                string        `json:"from"`
	Interrupted         bool          `json:"interrupted"`
	OutboundProfileID   *string       `json:"outbound_profile_id"`
	PublicRecordingURLs RecordingURLs `json:"public_recording_urls"`
	RecordingEndedAt    time.Time     `json:"recording_ended_at"`
	RecordingID         string        `json:"recording_id"`
	RecordingStartedAt  time.Time     `json:"recording_started_at"`
	RecordingURLs       RecordingURLs `json:"recording_urls"`
	SHA256              string        `json:"sha256"`
	SIPCallID           string        `json:"sip_call_id"`
	To                  string        `json:"to"`
}

// EmergencyAlertPayload is the payload of connection.emergency_calls.
type EmergencyAlertPayload struct {
	CallSessionID       string  `json:"call_session_id"`
	ConnectionID        *string `json:"connection_id"`
	Day                 string  `json:"day"`
	EmergencyAlertCalls int64   `json:"emergency_alert_calls"`
	EmergencyCalls      int64   `json:"emergency_calls"`
}

// SpendPayload is the payload of the events of spend thresholds and limits.
type SpendPayload struct {
	BillingGroupID    string     `json:"billing_group_id,omitzero"`
	Currency          string     `json:"currency"`
	DailySpendLimit   Decimal    `json:"daily_spend_limit"`
	Day               string     `json:"day"`
	Forecast          string     `json:"forecast"`
	ForecastAt        *time.Time `json:"forecast_at"`
	Held              Decimal    `json:"held"`
	OutboundProfileID *string    `json:"outbound_profile_id,omitzero"`
	Posted            Decimal    `json:"posted"`
	ReleaseNeeded     bool       `json:"release_needed"`
	Spent             Decimal    `json:"spent"`
	ThresholdPercent  int64      `json:"threshold_percent"`
}

// StrayPayload is the payload of connection.source_refused.
type StrayPayload struct {
	ConnectionID *string `json:"connection_id"`
	SourceIP     string  `json:"source_ip"`
	UserName     string  `json:"user_name"`
}

// ChangePayload is the payload of configuration.changed.
type ChangePayload struct {
	Action       string `json:"action"`
	ResourceID   string `json:"resource_id"`
	ResourceType string `json:"resource_type"`
	Version      int64  `json:"version"`
}

// CallQuality is how the audio of a call arrived.
type CallQuality struct {
	// What came from the caller.
	Inbound InboundQuality `json:"inbound"`
	// What went to the caller: what came from the callee.
	Outbound OutboundQuality `json:"outbound"`
}

// CostPart is a part of what a call costs.
type CostPart struct {
	BilledDurationSecs int64   `json:"billed_duration_secs"`
	CallPart           string  `json:"call_part"`
	Cost               Decimal `json:"cost"`
	Currency           string  `json:"currency"`
	Rate               Decimal `json:"rate"`
}

// RecordingURLs are where a recording is, by its format.
type RecordingURLs struct {
	MP3 string `json:"mp3,omitzero"`
	WAV string `json:"wav,omitzero"`
}

// InboundQuality is of what came from the caller.
type InboundQuality struct {
	// The largest jitter in milliseconds (RFC 3550).
	JitterMaxVariance string `json:"jitter_max_variance,omitzero"`
	JitterPacketCount string `json:"jitter_packet_count"`
	// By the E-model of ITU-T G.107 for G.711, from loss and jitter.
	MOS         string `json:"mos,omitzero"`
	PacketCount string `json:"packet_count"`
	// Packets that never came.
	SkipPacketCount string `json:"skip_packet_count"`
}

// OutboundQuality is of what went to the caller.
type OutboundQuality struct {
	PacketCount     string `json:"packet_count"`
	SkipPacketCount string `json:"skip_packet_count"`
}
