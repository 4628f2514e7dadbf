package api

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/field"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/rest"
)

// Admissions for other switches: a switch that keeps its own signalling and media
// asks here whether a call may go, and tells its outcome. The requests of a
// call may be repeated and may come in any order; see admission.Report.
//
// These operations are lean: they carry every call of a switch, so they are not
// bounded by the rate limit of keys but by the queue of the ledger, and what is
// well-formed is read without the detour over a tree (see readLean).

// attempt is a call that a switch asks about.
type attempt struct {
	ConnectionID id.ID      `json:"connection_id" doc:"The connection that the call comes from. This, source_ip or user_name."`
	SourceIP     netip.Addr `json:"source_ip" doc:"The address that the call comes from, by which an IP connection of the account is found as the SIP gateway would. With connection_id or user_name it finds nothing, and is needed where that connection has allowed_sources."`
	UserName     string     `json:"user_name" maxLength:"128" doc:"The user of a credential or FQDN connection of the account, whom the switch has authenticated."`
	Token        string     `json:"token" maxLength:"128" doc:"With source_ip: the value of X-Telnyx-Token, where the connection has an ip_authentication_token."`
	PChargeInfo  string     `json:"p_charge_info" maxLength:"32" pattern:"^[^\\x00-\\x1f\\x7f]*$" doc:"With source_ip: the number of P-Charge-Info, by which a connection that lists it in caller_ids is found."`
	CallID       string     `json:"call_id" minLength:"1" maxLength:"255" pattern:"^[^\\x00-\\x1f\\x7f]*$" doc:"The switch's own id of the call. It names the call in every later request, and no two calls of the account may have the same: another call with it is denied (call_id_used). Callers choose their Call-IDs, so put something of the switch's own into it."`
	RequestID    string     `json:"request_id" maxLength:"255" pattern:"^[^\\x00-\\x1f\\x7f]*$" doc:"What only a repetition of this very request has, such as a random text that the switch makes up for it. A repeated request gets the same answer while its call goes on; without a request_id it is denied. In a question of its own it may be the header Idempotency-Key instead."`
	From         string     `json:"from" maxLength:"128" pattern:"^[^\\x00-\\x1f\\x7f]*$" doc:"The caller id as it was presented."`
	To           string     `json:"to" minLength:"1" maxLength:"128" pattern:"^[^\\x00-\\x1f\\x7f]*$" doc:"The number as it was dialled."`
	Switch       string     `json:"switch" maxLength:"64" pattern:"^[^\\x00-\\x1f\\x7f]*$" doc:"The name of the switch, by which it says that it was restarted."`
}

// wellFormed reports whether the schema's limits are kept. It is what lets a request
// by that needs no closer look.
func (a *attempt) wellFormed() bool {
	return within(a.UserName, 0, 128) && within(a.Token, 0, 128) && within(a.PChargeInfo, 0, 32) &&
		within(a.CallID, 1, 255) && within(a.From, 0, 128) &&
		within(a.To, 1, 128) && within(a.Switch, 0, maxSwitchName) && within(a.RequestID, 0, 255)
}

// maxSwitchName bounds the name of a switch.
const maxSwitchName = 64

// within counts bytes, which are at least as many as characters: a text that is
// near its limit is looked at closely.
func within(text string, least, most int) bool {
	return len(text) >= least && len(text) <= most &&
		strings.IndexFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }) < 0
}

// switchEvent is one thing that a switch tells: a whole request of the batch, and
// what every other request becomes.
type switchEvent struct {
	Event        string     `json:"event" title:"SwitchEventKind" enum:"admit,answer,renew,end"`
	ID           string     `json:"id" maxLength:"255" doc:"The id of the admission, or the switch's own call_id. Not in admit."`
	Admission    *attempt   `json:"admission" doc:"With admit, the call that is asked about. With the others, the same again: a call that is not known yet is then decided first, so that events need not come in order."`
	AnsweredAt   *time.Time `json:"answered_at" doc:"answer: when; null for now."`
	EndedAt      *time.Time `json:"ended_at" doc:"end: when; null for now."`
	Answered     *bool      `json:"answered" doc:"end: whether the call had been answered; null when duration_secs or an earlier answer says so."`
	DurationSecs *seconds   `json:"duration_secs" doc:"renew, end: seconds since the answer by the switch's clock; null for the server's."`
	GatewayID    id.ID      `json:"gateway_id" doc:"The route that took the call."`
	SIPStatus    int32      `json:"sip_status" minimum:"0" maximum:"699" doc:"end: the final status that the caller got."`
	HangupCause  string     `json:"hangup_cause" maxLength:"64" pattern:"^[a-z0-9_]*$" doc:"end: why, as in normal_clearing or user_busy; by default it follows from sip_status."`
	HangupSource string     `json:"hangup_source" enum:"caller,callee,tollgate" doc:"end: who hung up."`
}

type answerRequest struct {
	AnsweredAt *time.Time `json:"answered_at" doc:"When the callee took the call; null for now."`
	GatewayID  id.ID      `json:"gateway_id" doc:"The route that took the call."`
	Admission  *attempt   `json:"admission" doc:"The call as it was asked about: if it is not known yet, it is decided first."`
}

type renewRequest struct {
	DurationSecs *seconds `json:"duration_secs" doc:"Seconds since the answer by the switch's clock; null for the server's."`
	Admission    *attempt `json:"admission" doc:"The call as it was asked about: if it is not known yet, it is decided first."`
}

type endRequest struct {
	EndedAt      *time.Time `json:"ended_at" doc:"When the call ended; null for now."`
	Answered     *bool      `json:"answered" doc:"Whether the call had been answered; null when duration_secs or an earlier answer says so."`
	DurationSecs *seconds   `json:"duration_secs" doc:"Seconds from the answer to the end by the switch's clock; null for the server's."`
	GatewayID    id.ID      `json:"gateway_id" doc:"The route that took the call."`
	SIPStatus    int32      `json:"sip_status" minimum:"0" maximum:"699" doc:"The final status that the caller got."`
	HangupCause  string     `json:"hangup_cause" maxLength:"64" pattern:"^[a-z0-9_]*$" doc:"Why, as in normal_clearing or user_busy; by default it follows from sip_status."`
	HangupSource string     `json:"hangup_source" enum:"caller,callee,tollgate" doc:"Who hung up."`
	Admission    *attempt   `json:"admission" doc:"The call as it was asked about: if it is not known yet, it is decided first."`
}

// admitOperation is the id of the operation that asks for admission.
const admitOperation = "create_admission"

// The names of events.
const (
	eventAdmit  = "admit"
	eventAnswer = "answer"
	eventRenew  = "renew"
	eventEnd    = "end"
)

func (s *server) admissionOperations() []rest.Operation {
	return []rest.Operation{
		{Method: http.MethodPost, Path: "/tollgate/v1/admissions", ID: admitOperation, Tag: "Admissions",
			Scope: ScopeAdmit, Effect: rest.Traffic,
			Summary: "Ask whether another switch may make a call. What is granted is held until it is renewed, used or expired.",
			Status:  http.StatusOK, Body: attemptShape(), Answer: schemaOf[admissionView](), Handle: s.admit},
		eventOperation(s, eventAnswer, "Report that the callee answered: the meter starts.",
			func(e *answerRequest) switchEvent {
				return switchEvent{AnsweredAt: e.AnsweredAt, GatewayID: e.GatewayID, Admission: e.Admission}
			}),
		eventOperation(s, eventRenew, "Ask for a longer grant of a live call.", func(e *renewRequest) switchEvent {
			return switchEvent{DurationSecs: e.DurationSecs, Admission: e.Admission}
		}),
		eventOperation(s, eventEnd, "Report that the call has ended: it is charged, and its record is written.",
			func(e *endRequest) switchEvent {
				return switchEvent{EndedAt: e.EndedAt, Answered: e.Answered, DurationSecs: e.DurationSecs, GatewayID: e.GatewayID,
					SIPStatus: e.SIPStatus, HangupCause: e.HangupCause, HangupSource: e.HangupSource, Admission: e.Admission}
			}),
		s.batchOperation(), s.restartOperation(), s.admissionStatusOperation(),
	}
}

// eventOperation is the operation of one event, whose body is a T.
func eventOperation[T any](s *server, event, summary string, read func(*T) switchEvent) rest.Operation {
	shape := schemaOf[T]().Request(true, nil, false)
	shape.Property("admission").Schema = nestedAttempt()
	return rest.Operation{
		Method: http.MethodPost, Path: "/tollgate/v1/admissions/{id}/" + event, ID: event + "_admission",
		Noun: "admission_state", Tag: "Admissions", Scope: ScopeAdmit, Effect: rest.Traffic, Status: http.StatusOK,
		Summary: summary, Body: shape, Answer: schemaOf[admissionState](),
		Handle: func(ctx context.Context, in *rest.Request) (*rest.Response, error) {
			var body T
			if err := in.ReadLean(&body, shape, func() bool { e := read(&body); return e.wellFormed() }); err != nil {
				return nil, err
			}
			told := read(&body)
			told.Event = event
			told.ID = in.ID
			report, err := s.reportOf(in.Account, &told)
			if err != nil {
				return nil, err
			}
			result, err := s.Ledger.Do(ctx, report)
			if err != nil {
				return nil, err
			}
			if result.Err != nil {
				return nil, reportFailure(&told, result.Err)
			}
			return &rest.Response{Text: appendState(make([]byte, 0, stateSize), report.ID, &result)}, nil
		},
	}
}

// attemptShape is the schema of an attempt in a request.
func attemptShape() *rest.Schema {
	return schemaOf[attempt]().Request(true, []string{"call_id", "to"}, true)
}

// nestedAttempt is the schema of the attempt that an event may bring along.
func nestedAttempt() *rest.Schema {
	shape := attemptShape()
	shape.Nullable = true
	shape.Description = "The call as it was asked about: if it is not known yet, it is decided first. " +
		"With admit, the call that is asked about."
	return shape
}

func (e *switchEvent) wellFormed() bool {
	return within(e.ID, 0, 255) && e.SIPStatus >= 0 && e.SIPStatus <= 699 &&
		(e.Admission == nil || e.Admission.wellFormed()) &&
		len(e.HangupCause) <= 64 && strings.Trim(e.HangupCause, "abcdefghijklmnopqrstuvwxyz0123456789_") == "" &&
		(e.HangupSource == "" || sideOf(e.HangupSource) != record.SideUnknown)
}

func sideOf(word string) record.Side {
	for _, side := range [...]record.Side{record.SideCaller, record.SideCallee, record.SideTollgate} {
		if side.String() == word {
			return side
		}
	}
	return record.SideUnknown
}

// The usual size of an answer, in bytes.
const (
	admissionSize = 1024
	stateSize     = 256
)

// admit answers POST /tollgate/v1/admissions.
func (s *server) admit(ctx context.Context, in *rest.Request) (*rest.Response, error) {
	var a attempt
	if err := in.ReadLean(&a, in.Op.Body, a.wellFormed); err != nil {
		return nil, err
	}
	a.RequestID = cmp.Or(a.RequestID, in.Idempotency)
	reserve, err := s.reserveOf(in.Account, &a, "")
	if err != nil {
		return nil, err
	}
	snapshot := s.Live.Snapshot()
	if c := snapshot.Connection(reserve.Call.Connection); c != nil {
		if _, urgent := c.Emergency(snapshot.Account(c.Account), reserve.Call.To); urgent {
			waiting, cancel := context.WithTimeout(ctx, admission.EmergencyPatience)
			defer cancel()
			ctx = waiting
		}
	}
	result, err := s.Ledger.Do(ctx, *reserve)
	if err != nil {
		d, ok := s.emergency(in.Account, &a, err)
		if !ok {
			return nil, err
		}
		result = admission.Result{Decision: d}
	}
	if result.Err != nil {
		return nil, reportFailure(&switchEvent{Event: eventAdmit, Admission: &a}, result.Err)
	}
	return &rest.Response{Text: s.appendAdmission(make([]byte, 0, admissionSize), snapshot, &a, &result)}, nil
}

// emergency lets an emergency call through when the ledger did not answer, since
// no failure of the store may stop one. The ledger gets it with the events that
// follow, if they bring the admission along.
func (s *server) emergency(account id.ID, a *attempt, err error) (admission.Decision, bool) {
	if !errors.Is(err, collection.ErrBusy) && !errors.Is(err, collection.ErrUnavailable) &&
		!errors.Is(err, context.DeadlineExceeded) {
		return admission.Decision{}, false
	}
	reserve, err := s.reserveOf(account, a, "")
	if err != nil {
		return admission.Decision{}, false
	}
	d := admission.Decide(s.Live.Snapshot(), &reserve.Call, admission.NothingUsed{}, s.Clock())
	return d, d.Facts.Emergency
}

// reportOf is what an event tells the ledger.
func (s *server) reportOf(account id.ID, e *switchEvent) (report admission.Report, err error) {
	call, err := switchCallID(account, e.ID)
	if err != nil {
		return report, err
	}
	report = admission.Report{ID: call, Account: account, Gateway: e.GatewayID, Elapsed: -1, Answered: e.Answered}
	if e.DurationSecs != nil {
		report.Elapsed = e.DurationSecs.duration()
	}
	if e.Admission != nil {
		if report.Attempt, err = s.reserveOf(account, e.Admission, "/admission"); err != nil {
			return report, err
		}
		switch _, byAdmission := admissionID(e.ID); {
		case report.Attempt.Call.ID == call:
		case byAdmission:
			// A call whose call_id was used before has an id that does not follow from it.
			report.Attempt.Call.ID = call
			report.OnlyKnown = true
		default:
			return report, rest.FailAt(http.StatusUnprocessableEntity, "/admission/call_id", field.Malformed,
				"admission.call_id is not that of the call whose event this is. Give the same.")
		}
	}
	switch e.Event {
	case eventAnswer:
		report.Stage = admission.StageAnswered
		report.AtMicros = micros(e.AnsweredAt)
	case eventRenew:
		report.Stage = admission.StageRunning
	case eventEnd:
		report.Stage = admission.StageEnded
		report.AtMicros = micros(e.EndedAt)
		report.Ending = admission.Ending{
			Cancelled: e.SIPStatus == 487, SIPStatus: e.SIPStatus, Cause: e.HangupCause, Source: sideOf(e.HangupSource),
		}
	}
	return report, nil
}

func micros(t *time.Time) int64 {
	if t == nil {
		return 0
	}
	return t.UnixMicro()
}

// switchCallID is the id of a call by what a switch names it: the id of its
// admission or the switch's own call_id.
func switchCallID(account id.ID, name string) (uuid.UUID, error) {
	if own, ok := admissionID(name); ok {
		return own, nil
	}
	if !within(name, 1, 255) {
		return uuid.UUID{}, collection.ErrNotFound
	}
	return admission.SwitchCallID(account, name), nil
}

func admissionID(name string) (uuid.UUID, bool) {
	if len(name) != 36 {
		return uuid.UUID{}, false
	}
	own, err := uuid.Parse(name)
	return own, err == nil && admission.IsSwitchID(own)
}

// reserveOf is the reservation of an attempt. at is where the attempt is in the body.
func (s *server) reserveOf(account id.ID, a *attempt, at string) (*admission.Reserve, error) {
	byID, byUser := a.ConnectionID != 0, a.UserName != ""
	if byID && byUser || !byID && !byUser && !a.SourceIP.IsValid() {
		return nil, rest.Invalid([]rest.Problem{missingField(at+"/connection_id",
			"None or several of connection_id, source_ip and user_name are given. Give one of them; source_ip may be given "+
				"with either of the others.")})
	}
	if _, taken := admissionID(a.CallID); taken {
		return nil, rest.FailAt(http.StatusUnprocessableEntity, at+"/call_id", field.Malformed,
			"call_id is a UUID of version 8, which only ids of admissions are. Give another one.")
	}
	call := admission.Call{
		ID: admission.SwitchCallID(account, a.CallID), Account: account, Identity: policy.IdentityKnown,
		Source: a.SourceIP.Unmap(), From: a.From, To: a.To, SIPCallID: a.CallID, Request: admission.RequestID(a.RequestID),
		MaxSecs: admission.WholeSecs(s.MaxCall()),
	}
	snapshot := s.Live.Snapshot()
	var c *policy.Connection
	switch {
	case a.ConnectionID != 0:
		if c = snapshot.Connection(a.ConnectionID); c == nil || c.Account != account {
			return nil, rest.FailAt(http.StatusUnprocessableEntity, at+"/connection_id", field.NoAssociation,
				"connection_id names a connection that does not exist in this account. Give the id of an existing one.")
		}
	case a.UserName != "":
		c = snapshot.ByUser(a.UserName)
	default:
		c, call.To, call.Identity = snapshot.BySourceOf(account, a.SourceIP, a.To, a.Token,
			policy.ChargedNumber(a.PChargeInfo))
	}
	switch {
	case c == nil:
		if call.Identity == policy.IdentityKnown {
			call.Identity = policy.IdentityNone
		}
	case c.Account != account:
		call.To = a.To
		call.Identity = policy.IdentityNone
	default:
		call.Connection = c.ID
	}
	return &admission.Reserve{Call: call, Owner: admission.SwitchOwner(account, a.Switch),
		Spare: admission.SpareID(uuid.New())}, nil
}

// reportFailure is the answer to what the ledger refused. Nothing was changed.
func reportFailure(e *switchEvent, err error) error {
	switch {
	case errors.Is(err, admission.ErrUnknownCall):
		return rest.Fail(http.StatusNotFound, rest.CodeNotFound, "No admission of this account has this id or "+
			"call_id, and the event does not tell of one. Ask for admission first, or send admission with the event.")
	case errors.Is(err, admission.ErrOtherContent):
		return rest.Fail(http.StatusUnprocessableEntity, rest.CodeUnprocessable, "This was told before with "+
			"other values, and they stand. Repeat a request unchanged, and give each call a call_id of its own.")
	case errors.Is(err, admission.ErrClock):
		pointer := "/duration_secs"
		switch {
		case e.AnsweredAt != nil:
			pointer = "/answered_at"
		case e.EndedAt != nil:
			pointer = "/ended_at"
		}
		return rest.FailAt(http.StatusUnprocessableEntity, pointer, field.OutOfRange,
			"The time or the duration cannot be, by the server's clock and by what "+
				"it knows of the call. Set the switch's clock, or leave the times out.")
	}
	return err
}
