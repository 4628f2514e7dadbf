package api

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/e164"
	"github.com/tollgate/tollgate/internal/field"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/rest"
	"github.com/tollgate/tollgate/internal/store"
)

// Hanging up on live calls. See docs/decisions/0024-hang-ups.md.

// hangupCommand is the body of Telnyx's command. Source: Telnyx v2, HangupRequest.
type hangupCommand struct {
	ClientState   *string        `json:"client_state" maxLength:"4096" doc:"Base64. Taken, and not used: no webhook of Tollgate has it."`
	CommandID     *string        `json:"command_id" maxLength:"255" doc:"Names the command. A call is hung up once, whatever the command is called."`
	CustomHeaders []customHeader `json:"custom_headers" maxItems:"50" doc:"Taken, and not sent with the BYE."`
	Force         bool           `json:"force" doc:"Tollgate's own: end the call though it is an emergency call."`
}

type customHeader struct {
	Name  string `json:"name" minLength:"1" maxLength:"255"`
	Value string `json:"value" maxLength:"4096"`
}

// commandView is Telnyx's answer to every command. Source: Telnyx v2, CallControlCommandResult.
type commandView struct {
	Result         string     `json:"result" enum:"ok"`
	Outcome        string     `json:"outcome,omitzero" doc:"Tollgate's own, of a call that had ended already: as in its detail record."`
	HangupCause    string     `json:"hangup_cause,omitzero" doc:"Tollgate's own, of a call that had ended already."`
	DetailRecordID *uuid.UUID `json:"detail_record_id,omitzero" doc:"Tollgate's own, of a call that had ended already."`
}

type hangupRequest struct {
	Force bool `json:"force" doc:"End the call though it is an emergency call."`
}

// hangupView is the outcome of a requested hang-up.
type hangupView struct {
	ID         uuid.UUID  `json:"id"`
	RecordType string     `json:"record_type" enum:"call_hangup"`
	Status     string     `json:"status" enum:"ending,ended" doc:"ending: it is marked durably and ends at once. ended: it was over before."`
	CarriedBy  string     `json:"carried_by" enum:"server,switch,lost_server,none" doc:"Of a call that is ending, who ends it: server, a server of Tollgate, within a second; switch, another switch, which is told by the webhook call.hangup_requested and at its next renewal; lost_server, a node that no longer answers: no BYE is sent, and the call counts as ended at ends_by. none for one that has ended."`
	EndsBy     *time.Time `json:"ends_by" doc:"Of a call that a switch or a lost server carries: when its lease ends, and the call with it, if nothing is heard of it before."`

	Outcome        *string       `json:"outcome" doc:"Of a call that has ended: as in its detail record."`
	EndedAt        *time.Time    `json:"ended_at" doc:"Of a call that has ended."`
	HangupCause    *string       `json:"hangup_cause" doc:"Of a call that has ended."`
	HangupSource   *string       `json:"hangup_source" doc:"Of a call that has ended."`
	HangupDetails  *string       `json:"hangup_details" doc:"Of a call that has ended and was hung up by the API: by what key."`
	BilledSecs     *int64        `json:"billed_secs" doc:"Of a call that has ended."`
	Cost           *money.Amount `json:"cost" doc:"Of a call that has ended."`
	DetailRecordID *uuid.UUID    `json:"detail_record_id" doc:"Of a call that has ended."`
}

type hangupCallsRequest struct {
	OutboundVoiceProfileID id.ID  `json:"outbound_voice_profile_id" doc:"Only calls of this profile."`
	ConnectionID           id.ID  `json:"connection_id" doc:"Only calls of this connection."`
	CountryCode            string `json:"country_code" doc:"Only calls to this country: two letters. Emergency calls are to none."`
	All                    bool   `json:"all" doc:"All calls of the account. Without it a filter must be given."`
	Force                  bool   `json:"force" doc:"Emergency calls too. Without it they are left out and counted."`
}

// maxHangupIDs bounds the calls that an answer names.
const maxHangupIDs = 1000

// hangupCallsView is the outcome of hanging up by a filter, or of a dry run.
type hangupCallsView struct {
	RecordType            string      `json:"record_type" enum:"call_hangups"`
	HungUp                int32       `json:"hung_up" doc:"How many calls end now."`
	AlreadyEnding         int32       `json:"already_ending" doc:"How many were hung up before and have not ended yet."`
	EmergencyCallsSkipped int32       `json:"emergency_calls_skipped" doc:"How many emergency calls were left out."`
	CallIDs               []uuid.UUID `json:"call_ids" doc:"The calls that end now: at most 1,000 of them."`
}

func countrySchema() *rest.Schema {
	return &rest.Schema{Kind: "string", MinLength: 2, MaxLength: 2, Example: "US", Parse: func(text string) error {
		if _, known := countryOf(text); !known {
			return fmt.Errorf("%.10q is not a country", text)
		}
		return nil
	}}
}

// countryOf reads two letters in any case.
func countryOf(text string) (e164.Country, bool) { return e164.CountryByAlpha2(strings.ToUpper(text)) }

// callFilter is a filter of live calls from texts that were checked; "" selects all.
func callFilter(profile, connection, country string) store.CallFilter {
	var f store.CallFilter
	f.Profile, _ = id.Parse(profile)
	f.Connection, _ = id.Parse(connection)
	f.Country, _ = countryOf(country)
	return f
}

func (s *server) hangUpOperations() []rest.Operation {
	command := schemaOf[hangupCommand]().Request(false, nil, false)
	one := schemaOf[hangupRequest]().Request(true, nil, true)
	command.Optional = true
	one.Optional = true
	many := schemaOf[hangupCallsRequest]().Request(true, nil, true)
	country := many.Property("country_code").Schema
	country.Parse = countrySchema().Parse
	country.Nullable = true
	return []rest.Operation{
		{Method: http.MethodPost, Path: "/v2/calls/{id}/actions/hangup", ID: "hangup_call", Noun: "command_result",
			Tag: "Calls", Scope: ScopeWrite, Effect: rest.Adds, Status: http.StatusOK, Body: command,
			Answer:  schemaOf[commandView](),
			Summary: "Hang up a call, by its call_control_id: the id of the call. Hanging up an ended call succeeds.",
			Handle: func(ctx context.Context, in *rest.Request) (*rest.Response, error) {
				return s.hangUpCommand(ctx, in, command)
			}},
		{Method: http.MethodPost, Path: "/tollgate/v1/calls/{id}/hangup", ID: "end_call", Noun: "call_hangup", Tag: "Calls",
			Scope: ScopeWrite, Effect: rest.Adds, Status: http.StatusOK, Body: one, Answer: schemaOf[hangupView](),
			Summary: "Hang up a call. A ringing one is cancelled, an answered one gets a " +
				"BYE on both sides. For one that has ended the answer says how it ended.",
			Handle: func(ctx context.Context, in *rest.Request) (*rest.Response, error) { return s.hangUpOne(ctx, in, one) }},
		{Method: http.MethodPost, Path: "/tollgate/v1/calls/hangup", ID: "end_calls", Noun: "call_hangups", Tag: "Calls",
			Scope: ScopeWrite, Effect: rest.Configures, Status: http.StatusOK, Body: many, Answer: schemaOf[hangupCallsView](),
			Summary: "Hang up all calls of a profile, of a connection or to a country, " +
				"or all calls. With dry_run the answer says which calls would be hung up.",
			Handle: func(ctx context.Context, in *rest.Request) (*rest.Response, error) {
				return s.hangUpMany(ctx, in, many)
			}},
	}
}

// hangUpCommand answers Telnyx's command.
func (s *server) hangUpCommand(ctx context.Context, in *rest.Request, shape *rest.Schema) (*rest.Response, error) {
	body, problems := in.Checked(shape, nil, nil)
	var c hangupCommand
	if len(problems) == 0 {
		if err := rest.Decode(body, &c); err != nil {
			return nil, err
		}
		problems = c.problems()
	}
	if len(problems) > 0 {
		return nil, rest.Invalid(problems)
	}
	return s.hangUp(ctx, in, c.Force, func(_ uuid.UUID, h store.HungUp) any {
		v := commandView{Result: "ok"}
		if r := h.Record; r != nil {
			v.Outcome = r.Outcome.String()
			v.HangupCause = r.HangupCause
			v.DetailRecordID = &r.ID
		}
		return v
	})
}

// problems finds what the schema cannot.
func (c *hangupCommand) problems() (found []rest.Problem) {
	if c.ClientState != nil {
		if _, err := base64.StdEncoding.DecodeString(*c.ClientState); err != nil {
			found = append(found, rest.Problem{Code: field.Malformed, Pointer: "/client_state",
				Detail: "client_state is " + rest.Excerpt(*c.ClientState) + ", which is not Base64. Encode it."})
		}
	}
	for i, h := range c.CustomHeaders {
		at := fmt.Sprintf("/custom_headers/%d", i)
		const token = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.!%*_+`'~"
		if strings.Trim(h.Name, token) != "" {
			found = append(found, rest.Problem{Code: field.Malformed, Pointer: at + "/name",
				Detail: "name is " + rest.Excerpt(h.Name) + ", which is no name of a SIP header. Give one such as X-Reason."})
		}
		if strings.ContainsFunc(h.Value, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			found = append(found, rest.Problem{Code: field.Malformed, Pointer: at + "/value",
				Detail: "value is " + rest.Excerpt(h.Value) + ", which has control characters. Give one line."})
		}
	}
	return found
}

func (s *server) hangUpOne(ctx context.Context, in *rest.Request, shape *rest.Schema) (*rest.Response, error) {
	body, problems := in.Checked(shape, nil, nil)
	if len(problems) > 0 {
		return nil, rest.Invalid(problems)
	}
	force, _ := body["force"].(bool)
	return s.hangUp(ctx, in, force, func(call uuid.UUID, h store.HungUp) any { return viewHungUp(call, &h) })
}

// hangUp has the call of the path end.
func (s *server) hangUp(ctx context.Context, in *rest.Request, force bool,
	view func(uuid.UUID, store.HungUp) any) (*rest.Response, error) {
	if rest.ParseUUID(in.ID) != nil {
		return nil, collection.ErrNotFound // no call has such an id
	}
	call := uuid.MustParse(in.ID)
	answer, err := rest.Committed(ctx, in, func(_ context.Context, h store.HungUp) (*rest.Response, error) {
		return &rest.Response{Data: view(call, h)}, nil
	}, func(ctx context.Context) (store.HungUp, error) {
		return s.HangUps.HangUpCall(ctx, in.Account, call, store.HangUp{By: hangUpBy(ctx), Force: force})
	})
	if errors.Is(err, admission.ErrEmergencyCall) {
		return nil, rest.FailAt(http.StatusUnprocessableEntity, "/force", rest.CodeUnprocessable,
			"The call is an emergency call, and force is false. "+
				"The caller for help would be cut off. If it must end all the same, send force: true.")
	}
	return answer, err
}

// hangUpBy says who ends calls, for their records.
func hangUpBy(ctx context.Context) string {
	o := collection.OriginOf(ctx)
	by := fmt.Sprintf("hung up by the API key %s (%s)", cmp.Or(o.KeyName, "without a name"), o.KeyID)
	if o.Reason != "" {
		by += ": " + o.Reason
	}
	return strings.ToValidUTF8(by[:min(len(by), admission.MaxHangUpBy)], "")
}

func viewHungUp(call uuid.UUID, h *store.HungUp) hangupView {
	v := hangupView{ID: call, RecordType: "call_hangup", Status: "ending", CarriedBy: "server"}
	if r := h.Record; r != nil {
		v.Status = "ended"
		v.CarriedBy = "none"
		v.Outcome = new(r.Outcome.String())
		v.EndedAt = timeOrNull(r.EndedMicros)
		v.HangupCause = textOrNull(r.HangupCause)
		v.HangupDetails = textOrNull(r.HungUpBy)
		v.BilledSecs = &r.BilledSecs
		v.Cost = &r.Cost
		v.DetailRecordID = &r.ID
		if r.HangupSource != record.SideUnknown {
			v.HangupSource = new(r.HangupSource.String())
		}
		return v
	}
	switch {
	case h.Switch:
		v.CarriedBy = "switch"
	case h.OwnerLost:
		v.CarriedBy = "lost_server"
	default:
		return v
	}
	v.EndsBy = timeOrNull(h.Live.Lease.ExpiresMicros)
	return v
}

func (s *server) hangUpMany(ctx context.Context, in *rest.Request, shape *rest.Schema) (*rest.Response, error) {
	body, problems := in.Checked(shape, nil, nil)
	var c hangupCallsRequest
	if len(problems) == 0 {
		if err := rest.Decode(body, &c); err != nil {
			return nil, err
		}
		var err error
		if problems, err = s.filterProblems(ctx, in.Account, &c); err != nil {
			return nil, err
		}
	}
	if len(problems) > 0 {
		return nil, rest.Invalid(problems)
	}
	f := store.CallFilter{Profile: c.OutboundVoiceProfileID, Connection: c.ConnectionID}
	f.Country, _ = countryOf(c.CountryCode)
	return rest.Committed(ctx, in, func(_ context.Context, h store.HungUpCalls) (*rest.Response, error) {
		v := hangupCallsView{RecordType: "call_hangups", HungUp: int32(len(h.Calls)), AlreadyEnding: int32(h.Already),
			EmergencyCallsSkipped: int32(h.Emergencies), CallIDs: h.Calls[:min(len(h.Calls), maxHangupIDs)]}
		if v.CallIDs == nil {
			v.CallIDs = []uuid.UUID{}
		}
		return &rest.Response{Data: v}, nil
	}, func(ctx context.Context) (store.HungUpCalls, error) {
		return s.HangUps.HangUpCalls(ctx, in.Account, f, store.HangUp{By: hangUpBy(ctx), Force: c.Force})
	})
}

// filterProblems holds that a filter is meant, and names what the account has. A profile or
// a connection that was deleted may have live calls.
func (s *server) filterProblems(ctx context.Context, account id.ID,
	c *hangupCallsRequest) (found []rest.Problem, err error) {
	filtered := c.OutboundVoiceProfileID != 0 || c.ConnectionID != 0 || c.CountryCode != ""
	switch {
	case !filtered && !c.All:
		found = append(found, missingField("/all", "Neither a filter nor all is given. Give outbound_voice_profile_id, "+
			"connection_id or country_code, or all: true for every call of the account."))
	case filtered && c.All:
		found = append(found, rest.Problem{Code: rest.CodeUnprocessable, Pointer: "/all",
			Detail: "all is true and a filter is given too. Give all: true for every call of the account, or the filter alone."})
	}
	snapshot := s.Live.Snapshot()
	p, n := snapshot.Profile(c.OutboundVoiceProfileID), snapshot.Connection(c.ConnectionID)
	lostProfile := c.OutboundVoiceProfileID != 0 && (p == nil || p.Account != account)
	lostConnection := c.ConnectionID != 0 && (n == nil || n.Account != account)
	if !lostProfile && !lostConnection {
		return found, nil
	}
	calls, err := s.Calls.LiveCalls(ctx, account)
	if err != nil {
		return nil, err
	}
	for i := range calls {
		lostProfile = lostProfile && calls[i].Lease.Profile != c.OutboundVoiceProfileID
		lostConnection = lostConnection && calls[i].Lease.Connection != c.ConnectionID
	}
	for _, lost := range []struct {
		is         bool
		name, what string
	}{{lostProfile, "outbound_voice_profile_id", "profile"}, {lostConnection, "connection_id", "connection"}} {
		if lost.is {
			found = append(found, rest.Problem{Code: field.NoAssociation, Pointer: "/" + lost.name,
				Detail: lost.name + " names a " + lost.what +
					" that does not exist in this account. Give the id of an existing one."})
		}
	}
	return found, nil
}
