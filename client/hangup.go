package client

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// HangupParams are the terms of hanging up a call.
type HangupParams struct {
	// End the call though it is an emergency call.
	Force Field[bool] `json:"force,omitzero"`
}

// Hangup is what is known of a call that was to be hung up.
type Hangup struct {
	ID         string `json:"id"`
	RecordType string `json:"record_type"`
	// ending or, when the call was over before, ended.
	Status string `json:"status"`
	// Who ends it: server, switch, lost_server, or none when it is over.
	CarriedBy string `json:"carried_by"`
	// Of a call that a switch or a lost server carries: when it ends at the latest.
	EndsBy *time.Time `json:"ends_by"`

	// Of a call that is over.
	Outcome        *string    `json:"outcome"`
	EndedAt        *time.Time `json:"ended_at"`
	HangupCause    *string    `json:"hangup_cause"`
	HangupSource   *string    `json:"hangup_source"`
	HangupDetails  *string    `json:"hangup_details"`
	BilledSecs     *int64     `json:"billed_secs"`
	Cost           *Decimal   `json:"cost"`
	DetailRecordID *string    `json:"detail_record_id"`
}

// HangUp ends a call now: a ringing one is cancelled, an answered one gets a BYE on both
// sides. It may be repeated.
func (c *Client) HangUp(ctx context.Context, callID string, params HangupParams) (Hangup, error) {
	return one[Hangup](ctx, c, call{method: http.MethodPost, body: params, safe: true,
		path: "/tollgate/v1/calls/" + url.PathEscape(callID) + "/hangup"})
}

// HangupCommandParams are Telnyx's fields of the command.
type HangupCommandParams struct {
	ClientState   Field[string]      `json:"client_state,omitzero"`
	CommandID     Field[string]      `json:"command_id,omitzero"`
	CustomHeaders Field[[]SIPHeader] `json:"custom_headers,omitzero"`
	// Tollgate's own: end the call though it is an emergency call.
	Force Field[bool] `json:"force,omitzero"`
}

// SIPHeader is a header of a SIP message.
type SIPHeader struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// CommandResult is Telnyx's answer to a command.
type CommandResult struct {
	Result string `json:"result"`
	// Tollgate's own, of a call that had ended already.
	Outcome        string  `json:"outcome,omitzero"`
	HangupCause    string  `json:"hangup_cause,omitzero"`
	DetailRecordID *string `json:"detail_record_id,omitzero"`
}

// HangUpCommand is HangUp as Telnyx has it, by the call_control_id: the call's id.
func (c *Client) HangUpCommand(ctx context.Context, callControlID string, params HangupCommandParams) (CommandResult, error) {
	return one[CommandResult](ctx, c, call{method: http.MethodPost, body: params, safe: true,
		path: "/v2/calls/" + url.PathEscape(callControlID) + "/actions/hangup"})
}

// HangupCallsParams say which calls are ended: those for which all filters hold, or all
// of the account.
type HangupCallsParams struct {
	OutboundVoiceProfileID Field[string] `json:"outbound_voice_profile_id,omitzero"`
	ConnectionID           Field[string] `json:"connection_id,omitzero"`
	// The country that is called: two letters.
	CountryCode Field[string] `json:"country_code,omitzero"`
	// Must be true when there is no filter.
	All Field[bool] `json:"all,omitzero"`
	// Emergency calls too. Without it they are left out and counted.
	Force Field[bool] `json:"force,omitzero"`
}

// HangupCalls is how many calls end, or would end.
type HangupCalls struct {
	RecordType            string `json:"record_type"`
	HungUp                int64  `json:"hung_up"`
	AlreadyEnding         int64  `json:"already_ending"`
	EmergencyCallsSkipped int64  `json:"emergency_calls_skipped"`
	// At most 1,000 of them.
	CallIDs []string `json:"call_ids"`
}

const hangUpCallsPath = "/tollgate/v1/calls/hangup"

// HangUpCalls ends many calls at once.
func (c *Client) HangUpCalls(ctx context.Context, params HangupCallsParams) (HangupCalls, error) {
	return one[HangupCalls](ctx, c, call{method: http.MethodPost, body: params, path: hangUpCallsPath})
}

// CountHangUpCalls says how many and which calls HangUpCalls would end, and ends none.
func (c *Client) CountHangUpCalls(ctx context.Context, params HangupCallsParams) (HangupCalls, error) {
	return one[HangupCalls](ctx, c, call{method: http.MethodPost, body: params, safe: true, path: hangUpCallsPath,
		query: url.Values{"dry_run": {"true"}}})
}
