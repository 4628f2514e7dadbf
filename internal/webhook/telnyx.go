package webhook

import (
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/e164"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/record"
)

// The events of a call in Telnyx's own shape: call.initiated, call.answered,
// call.hangup and call.cost. They have no field that Telnyx's SDKs do not know.
// Source: Telnyx v2, CallInitiated, CallAnswered, CallHangup and CallCost.

// telnyxIDs are in the payload of each of them.
type telnyxIDs struct {
	CallControlID uuid.UUID `json:"call_control_id" doc:"The call's id: that of its detail record, and what a hang-up takes."`
	CallLegID     uuid.UUID `json:"call_leg_id" doc:"The call's id."`
	CallSessionID uuid.UUID `json:"call_session_id" doc:"The call's id."`
	ClientState   *string   `json:"client_state" doc:"Null: there are no commands that set it."`
	ConnectionID  id.ID     `json:"connection_id"`
}

func telnyxIDsOf(call uuid.UUID, connection id.ID) telnyxIDs {
	return telnyxIDs{CallControlID: call, CallLegID: call, CallSessionID: call, ConnectionID: connection}
}

// telnyxParties are in all of them but call.cost.
type telnyxParties struct {
	From string `json:"from" doc:"The caller in E.164, or as presented when it is no valid number."`
	To   string `json:"to" doc:"The called number in E.164, or as dialled when it is no valid number."`
	// when it was admitted
	StartTime string   `json:"start_time" format:"date-time"`
	Tags      []string `json:"tags" doc:"The tags of the connection."`
}

// initiatedPayload is the payload of call.initiated.
type initiatedPayload struct {
	telnyxIDs
	telnyxParties
	CallerIDName string `json:"caller_id_name" doc:"The caller as presented."`
	Direction    string `json:"direction" enum:"outgoing"`
	State        string `json:"state" enum:"bridging"`
}

// answeredPayload is the payload of call.answered.
type answeredPayload struct {
	telnyxIDs
	telnyxParties
	State string `json:"state" enum:"answered"`
}

// hangupPayload is the payload of call.hangup.
type hangupPayload struct {
	telnyxIDs
	telnyxParties
	EndTime string `json:"end_time" format:"date-time"`
	State   string `json:"state" enum:"hangup"`
	// one of Telnyx's nine words; the detail record and `call.ended` say more
	HangupCause    string `json:"hangup_cause" enum:"call_rejected,normal_clearing,originator_cancel,timeout,time_limit,user_busy,not_found,no_answer,unspecified"`
	HangupSource   string `json:"hangup_source" title:"EventHangupSource" enum:"caller,callee,unknown" doc:"unknown when Tollgate ended the call."`
	SIPHangupCause string `json:"sip_hangup_cause" doc:"The final SIP status as a text, or unspecified."`
	// of the first stream of audio, when the call was answered and its media went through the server's own relay;
	// null otherwise
	CallQualityStats *qualityStats `json:"call_quality_stats" doc:"Null when the media did not go through the server's own relay."`
}

type qualityStats struct {
	Inbound  inboundStats  `json:"inbound" doc:"What came from the caller."`
	Outbound outboundStats `json:"outbound" doc:"What went to the caller: what came from the callee."`
}

type inboundStats struct {
	JitterMaxVariance string `json:"jitter_max_variance,omitzero" doc:"The largest jitter in milliseconds (RFC 3550)."`
	// packets by which it was measured
	JitterPacketCount string `json:"jitter_packet_count"`
	// by the E-model of ITU-T G.107 for G.711, from loss and jitter: at most 4.41
	MOS             string `json:"mos,omitzero" doc:"By the E-model of ITU-T G.107 for G.711, from loss and jitter."`
	PacketCount     string `json:"packet_count"`
	SkipPacketCount string `json:"skip_packet_count" doc:"Packets that never came."`
}

type outboundStats struct {
	PacketCount     string `json:"packet_count"`
	SkipPacketCount string `json:"skip_packet_count"`
}

// costPayload is the payload of call.cost.
type costPayload struct {
	telnyxIDs
	// the call's end
	OccurredAt         string     `json:"occurred_at" format:"date-time"`
	BilledDurationSecs int64      `json:"billed_duration_secs"`
	BillingGroupID     *uuid.UUID `json:"billing_group_id"`
	// a text, USD; 0.00 of a call that was not answered
	TotalCost money.Amount `json:"total_cost"`
	// one, `sip-trunking`
	CostParts []costPart `json:"cost_parts"`
	Status    string     `json:"status" enum:"success"`
}

// LiveCall is a call that was admitted, for call.initiated and call.answered.
type LiveCall struct {
	ID                  uuid.UUID
	Account, Connection id.ID
	From, To            string // as presented and as dialled
	Caller, Callee      e164.Number
	StartedMicros       int64
	AtMicros            int64 // of the event
	Tags                []string
}

func (c *LiveCall) event(key uuid.UUID, kind string) Event {
	return Event{ID: key, AccountID: c.Account, ConnectionID: c.Connection, Type: kind,
		OccurredAt: time.UnixMicro(c.AtMicros).UTC()}
}

func (c *LiveCall) parties() telnyxParties {
	return telnyxParties{From: numberOr(c.Caller, c.From), To: numberOr(c.Callee, c.To),
		StartTime: microsText(c.StartedMicros), Tags: listed(c.Tags)}
}

// Initiated is call.initiated.
func (c *LiveCall) Initiated(key uuid.UUID) (Event, error) {
	return c.event(key, CallInitiated).with(initiatedPayload{
		telnyxIDs: telnyxIDsOf(c.ID, c.Connection), telnyxParties: c.parties(),
		CallerIDName: c.From, Direction: "outgoing", State: "bridging",
	})
}

// Answered is call.answered.
func (c *LiveCall) Answered(key uuid.UUID) (Event, error) {
	return c.event(key, CallAnswered).with(answeredPayload{
		telnyxIDs: telnyxIDsOf(c.ID, c.Connection), telnyxParties: c.parties(), State: "answered",
	})
}

// HangupEvent is call.hangup: the end of a call that was admitted. tags are those
// of its connection.
func HangupEvent(key uuid.UUID, r *record.Call, tags []string) (Event, error) {
	p := hangupPayload{
		telnyxIDs: telnyxIDsOf(r.ID, r.ConnectionID),
		telnyxParties: telnyxParties{From: numberOr(r.Caller, r.From), To: numberOr(r.Callee, r.To),
			StartTime: microsText(r.StartedMicros), Tags: listed(tags)},
		EndTime: microsText(r.EndedMicros), State: "hangup",
		HangupCause: HangupCause(r), HangupSource: HangupSource(r.HangupSource),
		SIPHangupCause: unspecified, CallQualityStats: qualityOf(r.Quality),
	}
	if r.SIPStatus != 0 {
		p.SIPHangupCause = strconv.Itoa(int(r.SIPStatus))
	}
	return endOf(r, key, CallHangup).with(p)
}

// CostEvent is call.cost: what a call that has ended costs.
func CostEvent(key uuid.UUID, r *record.Call) (Event, error) {
	return endOf(r, key, CallCost).with(costPayload{
		telnyxIDs: telnyxIDsOf(r.ID, r.ConnectionID), OccurredAt: microsText(r.EndedMicros),
		BilledDurationSecs: r.BilledSecs, BillingGroupID: r.BillingGroup, TotalCost: r.Cost,
		CostParts: costPartsOf(r), Status: "success",
	})
}

func endOf(r *record.Call, key uuid.UUID, kind string) Event {
	return Event{ID: key, AccountID: r.AccountID, ConnectionID: r.ConnectionID, Type: kind,
		OccurredAt: time.UnixMicro(r.EndedMicros).UTC()}
}

func costPartsOf(r *record.Call) []costPart {
	return []costPart{{"sip-trunking", r.Rate.PerMinute, r.Cost, r.BilledSecs, "USD"}}
}

// unspecified is Telnyx's word for what none of its other words says.
const unspecified = "unspecified"

// HangupCause is why a call ended, as Telnyx's call.hangup names it. Switches
// that report a cause of their own use the names of Q.850 as FreeSWITCH writes them.
func HangupCause(r *record.Call) string {
	switch r.HangupCause {
	case "call_rejected", "normal_clearing", "originator_cancel", "timeout", "time_limit", "user_busy",
		"not_found", "no_answer":
		return r.HangupCause
	case "unallocated_number", "invalid_number_format", "number_changed", "no_route_destination":
		return "not_found"
	case "no_user_response", "subscriber_absent":
		return "no_answer"
	case "recovery_on_timer_expire", "media_timeout", "lost_peer", "no_ack", "progress_timeout":
		return "timeout"
	case "allotted_timeout", "max_duration":
		return "time_limit"
	case "outgoing_call_barred", "rejected_all":
		return "call_rejected"
	case "":
		return causeOfOutcome(r)
	}
	return unspecified
}

// causeOfOutcome is the cause of a call for which none was reported.
func causeOfOutcome(r *record.Call) string {
	switch {
	case r.Outcome == record.OutcomeAnswered:
		return "normal_clearing"
	case r.Outcome == record.OutcomeCancelled:
		return "originator_cancel"
	case r.SIPStatus == 486 || r.SIPStatus == 600:
		return "user_busy"
	case r.SIPStatus == 404 || r.SIPStatus == 604:
		return "not_found"
	case r.SIPStatus == 408 || r.SIPStatus == 480:
		return "no_answer"
	case r.SIPStatus == 403 || r.SIPStatus == 603:
		return "call_rejected"
	}
	return unspecified
}

// HangupSource is who ended a call in Telnyx's words, which have none for the server.
func HangupSource(side record.Side) string {
	if side == record.SideTollgate {
		side = record.SideUnknown
	}
	return side.String()
}

func qualityOf(q *record.Quality) *qualityStats {
	if q == nil {
		return nil
	}
	in := inboundStats{
		JitterPacketCount: countText(q.Caller.JitterPackets), PacketCount: countText(q.Caller.Packets),
		SkipPacketCount: countText(q.Caller.Lost),
		MOS:             q.Caller.MOSText(),
	}
	if q.Caller.JitterPackets > 0 {
		in.JitterMaxVariance = twoDecimals(float64(q.Caller.MaxJitter) / float64(time.Millisecond))
	}
	return &qualityStats{Inbound: in,
		Outbound: outboundStats{PacketCount: countText(q.Callee.Packets), SkipPacketCount: countText(q.Callee.Lost)}}
}

func countText(n uint64) string { return strconv.FormatUint(n, 10) }

func twoDecimals(v float64) string { return strconv.FormatFloat(v, 'f', 2, 64) }

// numberOr is a number in E.164, or the text where there is none.
func numberOr(n e164.Number, text string) string {
	if n == 0 {
		return text
	}
	return n.String()
}

// listed is a list that is never null.
func listed(texts []string) []string {
	if texts == nil {
		return []string{}
	}
	return texts
}
