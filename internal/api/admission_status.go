package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/rest"
	"github.com/tollgate/tollgate/internal/store"
)

// admissionStatus is where a call of another switch is, for a switch that has lost
// track and for people.
type admissionStatus struct {
	ID         uuid.UUID `json:"id"`
	RecordType string    `json:"record_type" enum:"admission_status"`
	CallID     string    `json:"call_id" doc:"The switch's own id of the call."`
	Status     string    `json:"status" title:"AdmissionStage" enum:"ringing,answered,ended,denied"`
	DecisionID uuid.UUID `json:"decision_id" doc:"Names the explanation under /tollgate/v1/decisions."`
	Emergency  bool      `json:"emergency"`

	From                   string       `json:"from"`
	To                     string       `json:"to"`
	ConnectionID           id.ID        `json:"connection_id"`
	OutboundVoiceProfileID id.ID        `json:"outbound_voice_profile_id"`
	GatewayID              id.ID        `json:"gateway_id" doc:"The route that took the call, once the switch has told it."`
	Rate                   money.Amount `json:"rate" doc:"Price per minute in USD."`

	StartedAt  time.Time  `json:"started_at" doc:"When admission was asked for."`
	AnsweredAt *time.Time `json:"answered_at"`
	EndedAt    *time.Time `json:"ended_at"`

	ElapsedSecs *seconds      `json:"elapsed_secs" doc:"Of a call that is answered and goes on: seconds since the answer, by the server's clock."`
	GrantSecs   *int64        `json:"grant_secs" doc:"Of a call that goes on: how many seconds after its answer it may last, unless the grant is renewed; null without limit."`
	ExpiresAt   *time.Time    `json:"expires_at" doc:"Of a call that goes on: when it must have been answered or, once it is, must have ended, unless the grant is renewed; null without limit."`
	MaxCallSecs *int64        `json:"max_call_secs" doc:"Of a call that goes on: how many seconds after its answer it ends whatever is granted, by the limits of the server, the profile and the connection; null without limit."`
	Posted      *money.Amount `json:"posted" doc:"Of a call that goes on: what is charged already."`
	Held        *money.Amount `json:"held" doc:"Of a call that goes on: what is held for the rest of its grant."`

	DetailRecordID *uuid.UUID    `json:"detail_record_id" doc:"The record of a call that has ended, under /v2/detail_records; null before."`
	Outcome        *string       `json:"outcome" doc:"Of a call that has ended: answered, cancelled, failed, refused, or lost when its end was not told in time."`
	DurationSecs   *seconds      `json:"duration_secs" doc:"Of a call that has ended: from the answer to the end."`
	BilledSecs     *int64        `json:"billed_secs" doc:"Of a call that has ended."`
	Cost           *money.Amount `json:"cost" doc:"Of a call that has ended."`
	OverrunSecs    *int64        `json:"overrun_secs" doc:"Of a call that has ended: seconds beyond what was granted. They are not charged."`
	HangupCause    *string       `json:"hangup_cause" doc:"Of a call that has ended."`
	Reason         *string       `json:"reason" doc:"Of a call that was denied: one of a fixed list. Of one that goes on: hung_up when it is to end at once."`
	SIPCode        *int32        `json:"sip_code" doc:"Of a call that has ended: the final status that the caller got."`
	SIPReason      *string       `json:"sip_reason"`
}

func (s *server) admissionStatusOperation() rest.Operation {
	return rest.Operation{
		Method: http.MethodGet, Path: "/tollgate/v1/admissions/{id}", ID: "get_admission", Noun: "admission_status",
		Tag: "Admissions", Scope: ScopeAdmit,
		Summary: "Get the state of a call of another switch, by the id of its admission or the " +
			"switch's own call_id: its grant while it goes on, its charge when it has ended.",
		Status: http.StatusOK, Answer: schemaOf[admissionStatus](), Handle: s.admissionStatus,
	}
}

// admissionStatus looks for the lease before the record: a call that ends in between
// has its record by then.
func (s *server) admissionStatus(ctx context.Context, in *rest.Request) (*rest.Response, error) {
	call, err := switchCallID(in.Account, in.ID)
	if err != nil {
		return nil, err
	}
	live, err := s.Calls.LiveCall(ctx, in.Account, call)
	if err == nil {
		return &rest.Response{Data: viewLiveAdmission(&live)}, nil
	}
	if !errors.Is(err, collection.ErrNotFound) {
		return nil, err
	}
	ended, err := s.Calls.Record(ctx, in.Account, call)
	if err != nil {
		return nil, err
	}
	return &rest.Response{Data: viewEndedAdmission(ended)}, nil
}

func limitOrNull(limit int64) *int64 {
	if limit == 0 {
		return nil
	}
	return &limit
}

func viewLiveAdmission(c *store.LiveCall) admissionStatus {
	l := &c.Lease
	v := admissionStatus{
		ID: l.ID, RecordType: "admission_status", CallID: l.SIPCallID, Status: "ringing", DecisionID: l.ID,
		Emergency: l.Emergency, ConnectionID: l.Connection, OutboundVoiceProfileID: l.Profile, GatewayID: l.Gateway,
		Rate: l.Rate.PerMinute, StartedAt: time.UnixMicro(l.ReservedMicros), AnsweredAt: timeOrNull(l.AnsweredMicros),
		Posted: new(money.Amount), Held: new(money.Amount),
	}
	if l.AnsweredMicros != 0 {
		v.Status = "answered"
		v.ElapsedSecs = new(seconds(c.ElapsedMs * 1000))
	}
	if due := l.DueMicros(); due != 0 {
		v.GrantSecs = new(l.AllowedSecs())
		v.ExpiresAt = timeOrNull(due)
		v.MaxCallSecs = limitOrNull(int64(l.MaxSecs))
	}
	for _, posted := range l.Posted {
		*v.Posted = money.Add(*v.Posted, posted.Cost)
	}
	for _, hold := range l.Held {
		*v.Held = money.Add(*v.Held, hold.Cost)
	}
	if d, err := admission.DecodeDecision(l.Decision); err == nil {
		v.From = d.Facts.From
		v.To = d.Facts.To
	}
	if l.HungUpMicros != 0 {
		v.Reason = new(admission.ReasonHungUp.String())
	}
	return v
}

func viewEndedAdmission(r *record.Call) admissionStatus {
	v := admissionStatus{
		ID: r.ID, RecordType: "admission_status", CallID: r.SIPCallID, Status: "ended", DecisionID: r.ID,
		Emergency: r.Emergency, From: r.From, To: r.To, ConnectionID: r.ConnectionID, OutboundVoiceProfileID: r.ProfileID,
		GatewayID: r.GatewayID, Rate: r.Rate.PerMinute, StartedAt: time.UnixMicro(r.StartedMicros),
		AnsweredAt: timeOrNull(r.AnsweredMicros), EndedAt: timeOrNull(r.EndedMicros), DetailRecordID: &r.ID,
		Outcome: new(r.Outcome.String()), DurationSecs: new(seconds(r.DurationMicros)), BilledSecs: &r.BilledSecs,
		Cost: &r.Cost, OverrunSecs: &r.OverrunSecs, HangupCause: textOrNull(r.HangupCause), Reason: textOrNull(r.Reason),
		SIPReason: textOrNull(r.SIPPhrase),
	}
	if r.Outcome == record.OutcomeRefused {
		v.Status = "denied"
	}
	if r.SIPStatus != 0 {
		v.SIPCode = &r.SIPStatus
	}
	return v
}
