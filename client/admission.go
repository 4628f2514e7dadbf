package client

import (
	"context"
	"crypto/rand"
	"net/http"
	"net/url"
	"slices"
	"time"
)

// Admission is the answer to a switch that asks whether a call may go.
type Admission struct {
	// The id of the admission, and of the call's detail record.
	ID         string `json:"id"`
	RecordType string `json:"record_type"`
	CallID     string `json:"call_id"`
	// The caller id to show, +E.164: that of the call, or what replaces it; null for none and
	// when denied.
	CallerID *string `json:"caller_id"`
	// Whether it is confirmed for the connection. Only then assert it to the carrier.
	CallerIDConfirmed bool     `json:"caller_id_confirmed"`
	ConnectFee        *Decimal `json:"connect_fee"`
	// allow or deny.
	Decision string `json:"decision"`
	// Names the explanation: see Decision.
	DecisionID string `json:"decision_id"`
	// The number is an emergency number: no limit ends the call.
	Emergency bool `json:"emergency"`
	// When the call must have been answered or, once it is, must have ended, unless the grant is
	// renewed.
	ExpiresAt      *time.Time `json:"expires_at"`
	FirstIncrement *int64     `json:"first_increment"`
	// How many seconds after its answer the call may last, unless the grant is renewed; null
	// without limit and when denied.
	GrantSecs *int64 `json:"grant_secs"`
	Increment *int64 `json:"increment"`
	// How many seconds after its answer the call ends whatever is granted; null without limit and
	// when denied.
	MaxCallSecs *int64 `json:"max_call_secs"`
	// Price per minute in USD.
	Rate *Decimal `json:"rate"`
	// Why the call is denied: a word of a closed list.
	Reason *string `json:"reason"`
	// Whether and how the profile wants the call recorded; null when denied.
	Recording *RecordingOrder `json:"recording"`
	// The account's gateways in the order in which to try them.
	Routes []AdmittedRoute `json:"routes"`
	// The SIP status to refuse the call with.
	SIPCode *int64 `json:"sip_code"`
	// The reason phrase to refuse it with, ending in the code.
	SIPReason *string `json:"sip_reason"`
	// ringing, answered, ended or denied: a repeated question may be about a call that is
	// further on. One that has ended is denied.
	Status string `json:"status"`
}

// AdmittedRoute is a gateway that an admitted call may be sent to.
type AdmittedRoute struct {
	Address string `json:"address"`
	// The caller id in the gateway's form; empty for none.
	CallerID  string  `json:"caller_id"`
	GatewayID *string `json:"gateway_id"`
	// The user part to send: prefix and number in the gateway's form.
	Number    string `json:"number"`
	Transport string `json:"transport"`
}

// RecordingOrder is what a profile wants of the recording of a call.
type RecordingOrder struct {
	Channels string `json:"channels"`
	Format   string `json:"format"`
	Record   bool   `json:"record"`
}

// AdmissionState is what is known of a call of a switch after an event.
type AdmissionState struct {
	ID           string   `json:"id"`
	RecordType   string   `json:"record_type"`
	BilledSecs   *int64   `json:"billed_secs"`
	Cost         *Decimal `json:"cost"`
	DurationSecs *Number  `json:"duration_secs"`
	// When the call must have been answered or, once it is, must have ended, unless the grant is
	// renewed; null when it is over.
	ExpiresAt *time.Time `json:"expires_at"`
	// How many seconds after its answer the call may last, unless the grant is renewed; null
	// without limit and when it is over.
	GrantSecs *int64 `json:"grant_secs"`
	// How many seconds after its answer the call ends whatever is granted; null without limit and
	// when it is over.
	MaxCallSecs *int64 `json:"max_call_secs"`
	// Of a call that is over: answered, cancelled, failed, refused, or lost when its end was not
	// told in time.
	Outcome *string `json:"outcome"`
	// Seconds beyond what was granted. They are not charged.
	OverrunSecs *int64  `json:"overrun_secs"`
	Reason      *string `json:"reason"`
	SIPCode     *int64  `json:"sip_code"`
	SIPReason   *string `json:"sip_reason"`
	Status      string  `json:"status"`
}

// AdmissionStatus is where a call of a switch is.
type AdmissionStatus struct {
	ID         string     `json:"id"`
	RecordType string     `json:"record_type"`
	AnsweredAt *time.Time `json:"answered_at"`
	// Of a call that is over, as all that is said of its end.
	BilledSecs   *int64   `json:"billed_secs"`
	CallID       string   `json:"call_id"`
	ConnectionID *string  `json:"connection_id"`
	Cost         *Decimal `json:"cost"`
	DecisionID   string   `json:"decision_id"`
	// The record of a call that is over; null before.
	DetailRecordID *string `json:"detail_record_id"`
	DurationSecs   *Number `json:"duration_secs"`
	// Of a call that is answered and goes on: seconds since the answer, by the server's clock.
	ElapsedSecs *Number    `json:"elapsed_secs"`
	Emergency   bool       `json:"emergency"`
	EndedAt     *time.Time `json:"ended_at"`
	// Of a call that goes on: when it must have been answered or, once it is, must have ended,
	// unless the grant is renewed; null without limit.
	ExpiresAt *time.Time `json:"expires_at"`
	From      string     `json:"from"`
	GatewayID *string    `json:"gateway_id"`
	// Of a call that goes on: how many seconds after its answer it may last.
	GrantSecs   *int64  `json:"grant_secs"`
	HangupCause *string `json:"hangup_cause"`
	// Of a call that goes on: what is held for the rest of its grant.
	Held *Decimal `json:"held"`
	// Of a call that goes on: how many seconds after its answer it ends whatever is granted; null
	// without limit.
	MaxCallSecs            *int64  `json:"max_call_secs"`
	OutboundVoiceProfileID *string `json:"outbound_voice_profile_id"`
	Outcome                *string `json:"outcome"`
	OverrunSecs            *int64  `json:"overrun_secs"`
	// Of a call that goes on: what is charged already.
	Posted    *Decimal  `json:"posted"`
	Rate      Decimal   `json:"rate"`
	Reason    *string   `json:"reason"`
	SIPCode   *int64    `json:"sip_code"`
	SIPReason *string   `json:"sip_reason"`
	StartedAt time.Time `json:"started_at"`
	// ringing, answered, ended or denied.
	Status string `json:"status"`
	To     string `json:"to"`
}

// AdmissionParams is a call that a switch asks about.
type AdmissionParams struct {
	// The switch's own id of the call. It names the call in every later request, and no two calls
	// of the account may have the same: another call with it is denied. Callers choose their
	// Call-IDs, so put something of the switch's own into it.
	CallID Field[string] `json:"call_id,omitzero"`
	// The connection that the call comes from. This, SourceIP or UserName.
	ConnectionID Field[string] `json:"connection_id,omitzero"`
	// The caller id as it was presented.
	From Field[string] `json:"from,omitzero"`
	// What only a repetition of this very request has. Ask and Batch make one up where it is
	// left out; events that bring the admission along carry the one that it was asked for with.
	RequestID Field[string] `json:"request_id,omitzero"`
	// The address that the call comes from.
	SourceIP Field[string] `json:"source_ip,omitzero"`
	// The name of the switch, by which it says that it was restarted.
	Switch Field[string] `json:"switch,omitzero"`
	// The number as it was dialled.
	To Field[string] `json:"to,omitzero"`
	// With SourceIP: the value of X-Telnyx-Token.
	Token Field[string] `json:"token,omitzero"`
	// With SourceIP: the number of P-Charge-Info.
	PChargeInfo Field[string] `json:"p_charge_info,omitzero"`
	// The user of a credential connection, whom the switch has authenticated.
	UserName Field[string] `json:"user_name,omitzero"`
}

// AnswerParams says that a call was answered.
type AnswerParams struct {
	// The call as it was asked about: if it is not known yet, it is decided first.
	Admission Field[AdmissionParams] `json:"admission,omitzero"`
	// When; the server's present time if it is left out.
	AnsweredAt Field[time.Time] `json:"answered_at,omitzero"`
	// The route that took the call.
	GatewayID Field[string] `json:"gateway_id,omitzero"`
}

// RenewParams asks for a longer grant.
type RenewParams struct {
	Admission Field[AdmissionParams] `json:"admission,omitzero"`
	// Seconds since the answer by the switch's clock.
	DurationSecs Field[Number] `json:"duration_secs,omitzero"`
}

// EndParams says that a call has ended.
type EndParams struct {
	Admission Field[AdmissionParams] `json:"admission,omitzero"`
	// Whether the call had been answered.
	Answered Field[bool] `json:"answered,omitzero"`
	// Seconds from the answer to the end by the switch's clock.
	DurationSecs Field[Number] `json:"duration_secs,omitzero"`
	// When; the server's present time if it is left out.
	EndedAt   Field[time.Time] `json:"ended_at,omitzero"`
	GatewayID Field[string]    `json:"gateway_id,omitzero"`
	// Why, as in normal_clearing.
	HangupCause Field[string] `json:"hangup_cause,omitzero"`
	// caller, callee or tollgate.
	HangupSource Field[string] `json:"hangup_source,omitzero"`
	// The final status that the caller got.
	SIPStatus Field[int64] `json:"sip_status,omitzero"`
}

// Admissions are for switches that keep their own signalling. Every method may be
// repeated, and is when the server or the network fails for a moment: a repetition
// changes nothing.
func (c *Client) Admissions() Admissions { return Admissions{c} }

// Admissions lets a switch ask about its calls and tell what becomes of them. A
// call is named by its call id or by the id of its admission.
type Admissions struct{ client *Client }

const admissionsPath = "/tollgate/v1/admissions"

// Ask asks whether a call may go. A call that is over is denied, also when the same
// request is repeated.
func (a Admissions) Ask(ctx context.Context, params AdmissionParams) (Admission, error) {
	params.provable()
	return one[Admission](ctx, a.client, call{method: http.MethodPost, path: admissionsPath, body: params, safe: true})
}

// Answer tells that the callee took a call.
func (a Admissions) Answer(ctx context.Context, callID string, params AnswerParams) (AdmissionState, error) {
	return a.tell(ctx, callID, "answer", params)
}

// Renew asks for a longer grant of a call that goes on.
func (a Admissions) Renew(ctx context.Context, callID string, params RenewParams) (AdmissionState, error) {
	return a.tell(ctx, callID, "renew", params)
}

// End tells that a call has ended.
func (a Admissions) End(ctx context.Context, callID string, params EndParams) (AdmissionState, error) {
	return a.tell(ctx, callID, "end", params)
}

// Get says where a call is.
func (a Admissions) Get(ctx context.Context, callID string) (AdmissionStatus, error) {
	return one[AdmissionStatus](ctx, a.client, read(admissionsPath+"/"+url.PathEscape(callID)))
}

// provable gives a question for admission something by which its repetitions are told
// from other questions with the same call id.
func (p *AdmissionParams) provable() {
	if p.RequestID.IsZero() {
		p.RequestID = Set(rand.Text())
	}
}

func (a Admissions) tell(ctx context.Context, callID, event string, params any) (AdmissionState, error) {
	path := admissionsPath + "/" + url.PathEscape(callID) + "/" + event
	return one[AdmissionState](ctx, a.client, call{method: http.MethodPost, path: path, body: params, safe: true})
}

// EventParams is one event of a batch.
type EventParams struct {
	// With admit, the call that is asked about; with the others, the same again: if the call is
	// not known yet, it is decided first.
	Admission    Field[AdmissionParams] `json:"admission,omitzero"`
	Answered     Field[bool]            `json:"answered,omitzero"`
	AnsweredAt   Field[time.Time]       `json:"answered_at,omitzero"`
	DurationSecs Field[Number]          `json:"duration_secs,omitzero"`
	EndedAt      Field[time.Time]       `json:"ended_at,omitzero"`
	// admit, answer, renew or end.
	Event        Field[string] `json:"event,omitzero"`
	GatewayID    Field[string] `json:"gateway_id,omitzero"`
	HangupCause  Field[string] `json:"hangup_cause,omitzero"`
	HangupSource Field[string] `json:"hangup_source,omitzero"`
	// The id of the admission, or the switch's own call id. Not in admit.
	ID        Field[string] `json:"id,omitzero"`
	SIPStatus Field[int64]  `json:"sip_status,omitzero"`
}

// BatchParams are events of many calls.
type BatchParams struct {
	Events Field[[]EventParams] `json:"events,omitzero"`
}

// BatchResult is what became of one event of a batch.
type BatchResult struct {
	// Of admit.
	Admission *Admission  `json:"admission"`
	Error     *BatchError `json:"error"`
	// Of answer, renew and end.
	State *AdmissionState `json:"state"`
	// The HTTP status that the event alone would have had.
	Status int64 `json:"status"`
}

// BatchError says why an event of a batch was not taken.
type BatchError struct {
	Code   string `json:"code"`
	Detail string `json:"detail"`
	// JSON pointer into the event; empty for the event as a whole.
	Pointer string `json:"pointer"`
	Title   string `json:"title"`
}

// Batch sends at most 1000 events. The results are in the order of the events.
func (a Admissions) Batch(ctx context.Context, events ...EventParams) ([]BatchResult, error) {
	events = slices.Clone(events)
	for i := range events {
		if e := &events[i]; e.Event == Set("admit") && e.Admission.state == fieldSet {
			e.Admission.value.provable()
		}
	}
	return one[[]BatchResult](ctx, a.client, call{method: http.MethodPost, path: admissionsPath + "/batch",
		body: BatchParams{Events: Set(events)}, safe: true})
}

// RestartParams says that a switch was restarted.
type RestartParams struct {
	// Calls that were admitted after it go on; the server's present time if it is left out.
	RestartedAt Field[time.Time] `json:"restarted_at,omitzero"`
}

// SwitchRestart is what a restart led to.
type SwitchRestart struct {
	RecordType string `json:"record_type"`
	// How many calls were ended and charged for as long as they may have lasted.
	Ended  int64  `json:"ended"`
	Switch string `json:"switch"`
}

// SwitchRestarted tells that a switch was restarted, and that none of the calls is
// up any more for which it has asked admission under this name. It is repeated when
// the network fails only if restartedAt is set: else it would end calls of after.
func (c *Client) SwitchRestarted(ctx context.Context, name string, params RestartParams) (SwitchRestart, error) {
	return one[SwitchRestart](ctx, c, call{method: http.MethodPost, path: "/tollgate/v1/switches/" + url.PathEscape(name) + "/restarted",
		body: params, safe: !params.RestartedAt.IsZero()})
}
