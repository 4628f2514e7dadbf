package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/call"
	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/e164"
	"github.com/tollgate/tollgate/internal/field"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/rest"
	"github.com/tollgate/tollgate/internal/routing"
	"github.com/tollgate/tollgate/internal/store"
	"github.com/tollgate/tollgate/internal/verification"
)

// verifiedNumberView is a number that an account has verified, or began to.
// Source: Telnyx v2, VerifiedNumber.
type verifiedNumberView struct {
	RecordType string `json:"record_type" enum:"verified_number"`
	// in E.164; it is in the paths, too
	PhoneNumber e164.Number `json:"phone_number"`
	VerifiedAt  *time.Time  `json:"verified_at" doc:"null until the code was given back."`
	// `pending` or `verified`
	Status string `json:"status" title:"VerificationStatus" enum:"pending,verified" doc:"Tollgate's own."`
	// of the last call, as in detail records
	CallID *uuid.UUID `json:"call_id" doc:"Tollgate's own: the id of the last call that said a code, as in detail records."`
	// `starting`, `ringing`, `answered`, `completed`, `busy`, `no_answer`, `refused` or `failed`; null once
	// verified
	CallStatus *string `json:"call_status" enum:"starting,ringing,answered,completed,busy,no_answer,refused,failed" doc:"Tollgate's own: what that call is at; null once the number is verified."`
	// the reason of a refusal, or the hangup cause
	CallProblem   *string    `json:"call_problem" doc:"Tollgate's own: why it was refused or failed; null when it was not."`
	CodeExpiresAt *time.Time `json:"code_expires_at" doc:"Tollgate's own: until when the code is good; null once the number is verified."`
	TriesLeft     *int32     `json:"tries_left" doc:"Tollgate's own: how often a code may still be given; null once the number is verified."`
}

// verificationRequest begins a verification. Source: Telnyx v2, CreateVerifiedNumberRequest.
type verificationRequest struct {
	PhoneNumber        e164.Number `json:"phone_number" doc:"The number that is called, in E.164."`
	VerificationMethod string      `json:"verification_method" enum:"call,sms" doc:"call; this server sends no messages, so sms is refused."`
	Extension          *string     `json:"extension" maxLength:"50" doc:"Keys that are pressed once the call is answered: digits, A to D, * and #; w waits for half a second and W for one."`
	ConnectionID       id.ID       `json:"connection_id" doc:"Tollgate's own: as whose call it goes, with the profile, the limits and the caller id of that connection. null: the account's oldest connection that is active and has an enabled profile."`
}

// begunView answers the beginning of a verification. Source: Telnyx v2,
// CreateVerifiedNumberResponse, which is not wrapped in data.
type begunView struct {
	PhoneNumber        e164.Number `json:"phone_number"`
	VerificationMethod string      `json:"verification_method" enum:"call"`
	CallID             uuid.UUID   `json:"call_id" doc:"Tollgate's own: of the call that says the code, as in detail records."`
	CodeExpiresAt      time.Time   `json:"code_expires_at" doc:"Tollgate's own: until when the code is good."`
}

// codeRequest gives a code back. Source: Telnyx v2, VerifyVerificationCodeRequest.
type codeRequest struct {
	VerificationCode string `json:"verification_code" minLength:"1" maxLength:"32" doc:"The six digits that were said."`
}

const (
	verificationPageSize = 25 // Telnyx's
	verificationMethod   = "call"
)

func (s *server) verifiedNumberOperations() []rest.Operation {
	const all, one, tag = "/v2/verified_numbers", "/v2/verified_numbers/{id}", "Verified numbers"
	view := schemaOf[verifiedNumberView]()
	begin := schemaOf[verificationRequest]().Request(false, []string{"phone_number", "verification_method"}, false)
	defaults := map[string]any{"extension": nil, "connection_id": nil}
	code := schemaOf[codeRequest]().Request(false, []string{"verification_code"}, false)
	return []rest.Operation{
		{Method: http.MethodPost, Path: all, ID: "create_verified_number", Noun: "begun_verification", Tag: tag,
			Scope: ScopeWrite, Effect: rest.Configures,
			Summary: "Call a number and say a code. Giving the code back verifies the number.", Status: http.StatusOK,
			Body: begin.WithDefaults(defaults), Answer: schemaOf[begunView](), Shape: rest.Plain,
			Handle: func(ctx context.Context, in *rest.Request) (*rest.Response, error) {
				return s.beginVerification(ctx, in, begin, defaults)
			}},
		{Method: http.MethodGet, Path: all, ID: "list_verified_number", Tag: tag, Scope: ScopeRead,
			Summary: "List the numbers that the account has verified, the newest first.",
			Params:  rest.PageParams(verificationPageSize, rest.MaxPageSize), Status: http.StatusOK, Answer: view,
			Shape: rest.List, Handle: s.listVerified},
		{Method: http.MethodGet, Path: one, ID: "get_verified_number", Tag: tag, Scope: ScopeRead,
			Summary: "Get a number that is verified or waits for its code, by the number itself.",
			Status:  http.StatusOK, Answer: view, Handle: s.getVerified},
		{Method: http.MethodPost, Path: one + "/actions/verify", ID: "confirm_verified_number", Noun: "verified_number",
			Tag: tag, Scope: ScopeWrite, Effect: rest.Configures,
			Summary: "Give back the code that was said. Every code counts as a try, also with dry_run.",
			Status:  http.StatusOK, Body: code, Answer: view,
			Handle: func(ctx context.Context, in *rest.Request) (*rest.Response, error) { return s.verify(ctx, in, code) }},
		{Method: http.MethodDelete, Path: one, ID: "delete_verified_number", Tag: tag, Scope: ScopeWrite,
			Effect:  rest.Configures,
			Summary: "Forget a number. It no longer counts as verified for any connection of the account.",
			Status:  http.StatusOK, Answer: view, Handle: s.deleteVerified},
	}
}

// verifiedNumber finds the number that a path names.
func (s *server) verifiedNumber(ctx context.Context, in *rest.Request) (verification.Number, error) {
	number, err := e164.Parse("+" + strings.TrimPrefix(in.ID, "+"))
	if err != nil {
		return verification.Number{}, rest.InvalidPathID()
	}
	return s.Verifications.VerifiedNumber(ctx, in.Account, number)
}

// viewVerified is a number without what its call is at.
func viewVerified(n *verification.Number) verifiedNumberView {
	v := verifiedNumberView{RecordType: "verified_number", PhoneNumber: n.PhoneNumber, VerifiedAt: n.VerifiedAt,
		Status: "verified", CallID: n.CallID}
	if !n.Verified() {
		v.Status = "pending"
		v.CodeExpiresAt = n.CodeExpiresAt
		v.TriesLeft = new(int32(n.TriesLeft))
	}
	return v
}

// showVerified answers with a number, and with what its call is at while it is waited for.
func (s *server) showVerified(ctx context.Context, n verification.Number) (*rest.Response, error) {
	v := viewVerified(&n)
	if !n.Verified() && n.CallID != nil {
		status, problem, err := s.verificationCall(ctx, n.AccountID, *n.CallID)
		if err != nil {
			return nil, err
		}
		v.CallStatus = &status
		v.CallProblem = textOrNull(problem)
	}
	return &rest.Response{Data: v, Version: n.Version}, nil
}

// verificationCall describes what a call is at, from the ledger or from its record.
func (s *server) verificationCall(ctx context.Context, account id.ID,
	one uuid.UUID) (status, problem string, err error) {
	live, err := s.Calls.LiveCall(ctx, account, one)
	switch {
	case err == nil && live.Lease.AnsweredMicros != 0:
		return "answered", "", nil
	case err == nil:
		return "ringing", "", nil
	case !errors.Is(err, collection.ErrNotFound):
		return "", "", err
	}
	r, err := s.Calls.Record(ctx, account, one)
	switch {
	case errors.Is(err, collection.ErrNotFound):
		return "starting", "", nil
	case err != nil:
		return "", "", err
	case r.Outcome == record.OutcomeAnswered:
		return "completed", "", nil
	case r.Outcome == record.OutcomeRefused:
		return "refused", r.Reason, nil
	case r.HangupCause == call.CauseBusy:
		return "busy", r.HangupCause, nil
	case r.Outcome == record.OutcomeCancelled, r.HangupCause == call.CauseNoAnswer:
		return "no_answer", call.CauseNoAnswer, nil // the server gave up
	}
	return "failed", r.HangupCause, nil
}

func (s *server) listVerified(ctx context.Context, in *rest.Request) (*rest.Response, error) {
	q := in.Query.StoreQuery("-created_at", verificationPageSize)
	q.Filters = append(q.Filters, collection.Filter{Field: "verified", Op: collection.Equal, Value: true})
	page, err := store.Of[verification.Number](s.Resources).List(ctx, in.Account, q)
	if err != nil {
		return nil, rest.ListError(err)
	}
	views := []verifiedNumberView{}
	for i := range page.Items {
		views = append(views, viewVerified(&page.Items[i]))
	}
	return &rest.Response{Data: views, Meta: rest.MetaOf(q, page.Total)}, nil
}

func (s *server) getVerified(ctx context.Context, in *rest.Request) (*rest.Response, error) {
	n, err := s.verifiedNumber(ctx, in)
	if err != nil {
		return nil, err
	}
	return s.showVerified(ctx, n)
}

func (s *server) deleteVerified(ctx context.Context, in *rest.Request) (*rest.Response, error) {
	n, err := s.verifiedNumber(ctx, in)
	if err != nil {
		return nil, err
	}
	return rest.Committed(ctx, in, func(_ context.Context, n verification.Number) (*rest.Response, error) {
		return &rest.Response{Data: viewVerified(&n), Version: n.Version}, nil
	}, func(ctx context.Context) (verification.Number, error) {
		return store.Of[verification.Number](s.Resources).Delete(ctx, in.Account, n.ID)
	})
}

// beginVerification has the call placed that says a code, once all is known that could
// stand in its way.
func (s *server) beginVerification(ctx context.Context, in *rest.Request, shape *rest.Schema,
	defaults map[string]any) (*rest.Response, error) {
	body, problems := in.Checked(shape, nil, defaults)
	if len(problems) > 0 {
		return nil, rest.Invalid(problems)
	}
	var asked verificationRequest
	if err := rest.Decode(body, &asked); err != nil {
		return nil, err
	}
	snapshot, now := s.Live.Snapshot(), s.Clock()
	if problems = asked.problems(snapshot.Numbering(now)); len(problems) > 0 {
		return nil, rest.Invalid(problems)
	}
	connection, err := s.verifyingConnection(snapshot, in.Account, asked.ConnectionID)
	if err != nil {
		return nil, err
	}
	place := verification.Call{ID: uuid.Must(uuid.NewV7()), Connection: connection.ID, To: asked.PhoneNumber,
		From: verifyingCaller(snapshot, connection, asked.PhoneNumber)}
	if asked.Extension != nil {
		place.Extension = *asked.Extension
	}
	if err := s.mayCall(ctx, snapshot, connection, &place, now); err != nil {
		return nil, err
	}
	if place.Code, err = verification.NewCode(); err != nil {
		return nil, err
	}
	answer, err := rest.Committed(ctx, in, func(_ context.Context, n verification.Number) (*rest.Response, error) {
		return &rest.Response{Data: begunView{PhoneNumber: n.PhoneNumber, VerificationMethod: verificationMethod,
			CallID: *n.CallID, CodeExpiresAt: *n.CodeExpiresAt}}, nil
	}, func(ctx context.Context) (verification.Number, error) {
		return s.Verifications.BeginVerification(ctx, in.Account, asked.PhoneNumber, place.Code, place.ID)
	})
	if err != nil {
		return nil, notBegun(err)
	}
	if collection.OriginOf(ctx).DryRun {
		return answer, nil
	}
	if err := s.SayCode(place); err != nil {
		f := rest.Fail(http.StatusServiceUnavailable, rest.CodeUnavailable,
			"The call that would say the code cannot be placed now. Try again.")
		f.Header = http.Header{"Retry-After": {rest.RetryAfterSecs}}
		f.Underlying = err
		return nil, f
	}
	return answer, nil
}

// problems describes what a verification cannot be begun with.
func (a *verificationRequest) problems(plan e164.Plan) []rest.Problem {
	var problems []rest.Problem
	add := func(pointer string, code field.Code, format string, args ...any) {
		problems = append(problems, rest.Problem{Code: code, Pointer: pointer, Detail: fmt.Sprintf(format, args...)})
	}
	if a.VerificationMethod != verificationMethod {
		add("/verification_method", field.NotListed,
			"%q: this server sends no messages. Give %q, and the code is said in a call.",
			a.VerificationMethod, verificationMethod)
	}
	judged, ok := plan.Judge(a.PhoneNumber)
	switch {
	case !ok:
		add("/phone_number", field.NotE164, "%s is no number of the numbering plan. Give the whole number in E.164; "+
			"emergency and short numbers are never called for this.", a.PhoneNumber)
	case !verification.Callable(&judged):
		add("/phone_number", field.OutOfRange, "%s is of the type %s, which is not called to say a code. "+
			"Fixed lines, mobiles, VoIP, company and toll-free numbers are.", a.PhoneNumber, judged.Possible.Dearest())
	}
	if a.Extension == nil {
		return problems
	}
	if what := verification.ExtensionProblem(*a.Extension); what != "" {
		add("/extension", field.Malformed, "%q cannot be dialled: %s.", *a.Extension, what)
	}
	return problems
}

// verifyingConnection is the connection as whose call the code is said.
func (s *server) verifyingConnection(snapshot *policy.Snapshot, account, wanted id.ID) (*policy.Connection, error) {
	if wanted != 0 {
		c := snapshot.Connection(wanted)
		if c == nil || c.Account != account {
			return nil, rest.FailAt(http.StatusUnprocessableEntity, "/connection_id", field.NoAssociation,
				"connection_id names a connection that does not exist in this account. Give the id of an existing one.")
		}
		return c, nil
	}
	var found *policy.Connection
	snapshot.EveryConnection(func(c *policy.Connection) bool {
		p := snapshot.Profile(c.Profile)
		if c.Account == account && c.Active && p != nil && p.Enabled && (found == nil || c.ID < found.ID) {
			found = c
		}
		return true
	})
	if found == nil {
		return nil, rest.FailAt(http.StatusUnprocessableEntity, "/connection_id", field.NoAssociation,
			"The account has no active connection with an enabled outbound voice profile, which would pay for the call. "+
				"Make one, or name another in connection_id.")
	}
	return found, nil
}

// verifyingCaller is the caller id of the call: one that is known to be the connection's,
// or one that it names. Without any the callee is shown none, which the call asks for by
// its own number.
func verifyingCaller(snapshot *policy.Snapshot, c *policy.Connection, to e164.Number) e164.Number {
	for _, n := range [...]e164.Number{snapshot.ForEmergency(c), c.CallerIDs.Replacement()} {
		if n != 0 && n != to {
			return n
		}
	}
	return to
}

// mayCall describes what would refuse the call. What counts is decided again when it is placed.
func (s *server) mayCall(ctx context.Context, snapshot *policy.Snapshot, c *policy.Connection, place *verification.Call,
	now time.Time) error {
	if s.SayCode == nil {
		return rest.Fail(http.StatusUnprocessableEntity, rest.CodeUnprocessable,
			"This server has no media relay that could say the code. "+
				"Its operator sets media to relay, and media_address where sip_addr names no address.")
	}
	if err := noEmergency(snapshot, c, "/phone_number", place.To); err != nil {
		return err
	}
	if !hasGateway(snapshot.Gateways(c.Account)) {
		return rest.Fail(http.StatusUnprocessableEntity, rest.CodeUnprocessable,
			"The account has no gateway that is enabled, so no call can be placed. "+
				"A key with the scope %q makes one at /tollgate/v1/gateways.", ScopeCarrier)
	}
	return s.wouldBeLetIn(ctx, snapshot, c, place, "/phone_number", now)
}

// noEmergency refuses an emergency number, which is never called for trial.
func noEmergency(snapshot *policy.Snapshot, c *policy.Connection, pointer string, to e164.Number) error {
	if _, emergency := c.Emergency(snapshot.Account(c.Account), to.String()); emergency {
		return rest.FailAt(http.StatusUnprocessableEntity, pointer, field.OutOfRange,
			"%s is an emergency number here, which is never called for this.", to)
	}
	return nil
}

// wouldBeLetIn describes what would refuse a call of a connection.
func (s *server) wouldBeLetIn(ctx context.Context, snapshot *policy.Snapshot, c *policy.Connection,
	place *verification.Call, pointer string, now time.Time) error {
	attempt := admission.Call{ID: place.ID, Connection: c.ID, Identity: policy.IdentityKnown, Source: c.AnySource(),
		From: place.From.String(), To: place.To.String(), MaxSecs: admission.WholeSecs(s.MaxCall())}
	use, err := s.usage(ctx, c.Account, snapshot, &attempt, now)
	if err != nil {
		return err
	}
	d := admission.Decide(snapshot, &attempt, use, now)
	if d.Allow {
		return nil
	}
	return rest.FailAt(http.StatusUnprocessableEntity, pointer, rest.CodeUnprocessable,
		"The call is refused, as every call of connection %s to %s would be: %s (%s). %s",
		c.ID, place.To, d.Phrase(), d.Reason, d.Reason.Fix())
}

func hasGateway(gateways []*routing.Gateway) bool {
	for _, g := range gateways {
		if g.Enabled {
			return true
		}
	}
	return false
}

// notBegun is why a verification was not begun.
func notBegun(err error) error {
	var budget *verification.BudgetError
	switch {
	case errors.As(err, &budget):
		f := rest.FailAt(http.StatusTooManyRequests, "/phone_number", rest.CodeTooMany,
			"There were too many calls with codes. "+
				"Wait for some of them to be an hour old, or give back the code that was said last.")
		f.Header = http.Header{"Retry-After": {strconv.Itoa(int(budget.After/time.Second) + 1)}}
		return f
	case errors.Is(err, verification.ErrVerified):
		return alreadyVerified()
	}
	return err
}

func alreadyVerified() error {
	return rest.FailAt(http.StatusUnprocessableEntity, "/phone_number", field.Duplicate,
		"The number is verified already. Delete it first if it is to be verified anew.")
}

// verify takes a code.
func (s *server) verify(ctx context.Context, in *rest.Request, shape *rest.Schema) (*rest.Response, error) {
	n, err := s.verifiedNumber(ctx, in)
	if err != nil {
		return nil, err
	}
	body, problems := in.Checked(shape, nil, nil)
	if len(problems) > 0 {
		return nil, rest.Invalid(problems)
	}
	var given codeRequest
	if err := rest.Decode(body, &given); err != nil {
		return nil, err
	}
	if !verification.IsCode(given.VerificationCode) {
		return nil, wrongCode("A code is six digits, as they were said.")
	}
	if origin := collection.OriginOf(ctx); !origin.Allows(n.Version) {
		return nil, in.Changed(ctx, func(ctx context.Context) (*rest.Response, error) { return s.showVerified(ctx, n) })
	}
	n, outcome, err := s.Verifications.TryCode(ctx, in.Account, n.PhoneNumber, given.VerificationCode)
	switch {
	case err != nil:
		return nil, err
	case n.Verified() && outcome == verification.Right:
		return s.showVerified(ctx, n) // the answer to the first time was lost
	case n.Verified():
		return nil, alreadyVerified()
	case outcome == verification.Expired:
		return nil, wrongCode("No code is waited for: the last one is older than ten minutes or was tried five times. " +
			"Have a new one said by POST /v2/verified_numbers.")
	case outcome == verification.Wrong && n.TriesLeft == 0:
		return nil, wrongCode("That is not the code that was said last, and there are no tries left. " +
			"Have a new one said by POST /v2/verified_numbers.")
	case outcome == verification.Wrong:
		return nil, wrongCode(fmt.Sprintf("That is not the code that was said last. Tries left: %d.", n.TriesLeft))
	}
	return rest.Committed(ctx, in, s.showVerified, func(ctx context.Context) (verification.Number, error) {
		return s.Verifications.Verify(ctx, in.Account, n.PhoneNumber, given.VerificationCode)
	})
}

func wrongCode(detail string) error {
	return rest.FailAt(http.StatusUnprocessableEntity, "/verification_code", field.Malformed, "%s", detail)
}
