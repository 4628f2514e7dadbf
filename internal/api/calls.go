package api

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/e164"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/rest"
	"github.com/tollgate/tollgate/internal/store"
)

// callView is a call that is up or ringing.
type callView struct {
	ID                     uuid.UUID    `json:"id" doc:"Also the id of the decision and of the detail record to come."`
	RecordType             string       `json:"record_type" enum:"call"`
	StartedAt              time.Time    `json:"started_at"`
	AnsweredAt             *time.Time   `json:"answered_at" doc:"null while it rings."`
	CallDuration           int64        `json:"call_duration" doc:"Seconds since the answer."`
	From                   string       `json:"from"`
	To                     string       `json:"to"`
	CLI                    *e164.Number `json:"cli"`
	CLD                    *e164.Number `json:"cld"`
	CountryCode            *string      `json:"country_code"`
	ConnectionID           id.ID        `json:"connection_id"`
	OutboundVoiceProfileID id.ID        `json:"outbound_voice_profile_id"`
	BillingGroupID         *uuid.UUID   `json:"billing_group_id"`
	GatewayID              id.ID        `json:"gateway_id"`
	SIPCallID              string       `json:"sip_call_id"`
	Emergency              bool         `json:"emergency"`
	Rate                   money.Amount `json:"rate"`
	GrantedSec             int64        `json:"granted_sec" doc:"How long the call may last so far; a grant is extended while the call runs."`
	Posted                 money.Amount `json:"posted"`
	Held                   money.Amount `json:"held"`
	HangupRequestedAt      *time.Time   `json:"hangup_requested_at" doc:"When the hang-up of the call was requested; null if it was not."`
}

func (s *server) callOperations() []rest.Operation {
	operations := []rest.Operation{s.traceOperation(),
		{Method: http.MethodGet, Path: "/tollgate/v1/calls", ID: "list_call", Tag: "Calls", Scope: ScopeRead,
			Status: http.StatusOK, Summary: "List the account's calls that are up or ringing, the newest first.",
			Answer: schemaOf[callView](), Shape: rest.List, Handle: s.listCalls,
			Params: slices.Concat(rest.PageParams(rest.MaxPageSize, rest.MaxPageSize), []rest.Parameter{
				{Name: "filter[outbound_voice_profile_id]", Schema: rest.IDSchema(), Description: "Only calls of this profile."},
				{Name: "filter[connection_id]", Schema: rest.IDSchema(), Description: "Only calls of this connection."},
				{Name: "filter[country_code]", Schema: countrySchema(), Description: "Only calls to this country."},
			})}}
	return append(operations, s.hangUpOperations()...)
}

func (s *server) listCalls(ctx context.Context, in *rest.Request) (*rest.Response, error) {
	calls, err := s.Calls.LiveCalls(ctx, in.Account)
	if err != nil {
		return nil, err
	}
	chosen := callFilter(in.Query.Text("filter[outbound_voice_profile_id]", ""),
		in.Query.Text("filter[connection_id]", ""),
		in.Query.Text("filter[country_code]", ""))
	calls = slices.DeleteFunc(slices.Clone(calls), func(c store.LiveCall) bool { return !chosen.Selects(&c) })
	slices.SortFunc(calls, func(a, b store.LiveCall) int {
		return cmp.Or(cmp.Compare(b.Lease.ReservedMicros, a.Lease.ReservedMicros),
			slices.Compare(a.Lease.ID[:], b.Lease.ID[:]))
	})
	q := in.Query.StoreQuery("", rest.MaxPageSize)
	first := min((q.Number-1)*q.Size, len(calls))
	views := []callView{}
	for _, c := range calls[first:min(first+q.Size, len(calls))] {
		views = append(views, viewCall(&c))
	}
	return &rest.Response{Data: views, Meta: rest.MetaOf(q, len(calls))}, nil
}

func viewCall(c *store.LiveCall) callView {
	l := &c.Lease
	v := callView{ID: l.ID, RecordType: "call", StartedAt: time.UnixMicro(l.ReservedMicros),
		AnsweredAt: timeOrNull(l.AnsweredMicros), ConnectionID: l.Connection, OutboundVoiceProfileID: l.Profile,
		BillingGroupID: l.BillingGroup, GatewayID: l.Gateway, SIPCallID: l.SIPCallID, Emergency: l.Emergency,
		Rate: l.Rate.PerMinute, GrantedSec: l.AllowedSecs(), HangupRequestedAt: timeOrNull(l.HungUpMicros)}
	if l.AnsweredMicros != 0 {
		v.CallDuration = c.ElapsedMs / 1000
	}
	for _, posted := range l.Posted {
		v.Posted += posted.Cost
	}
	for _, hold := range l.Held {
		v.Held += hold.Cost
	}
	if d, err := admission.DecodeDecision(l.Decision); err == nil {
		f := &d.Facts
		v.From = f.From
		v.To = f.To
		v.CLI = numberOrNull(f.Caller)
		v.CLD = numberOrNull(f.Callee)
		v.CountryCode = textOrNull(f.Class.Country.Alpha2())
	}
	return v
}
