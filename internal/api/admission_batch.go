package api

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/field"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/rest"
)

// maxBatch bounds the events of one batch: what fits a body, and less than what
// the ledger commits at once twice over.
const maxBatch = 1000

// batchRequest is many events, carried out in their order.
type batchRequest struct {
	Events []switchEvent `json:"events" maxItems:"1000" doc:"At most 1000."`
}

// batchResult is the outcome of one event of a batch. Of admission, state and
// error one is not null.
type batchResult struct {
	Status    int32           `json:"status" doc:"The HTTP status that the event alone would have had."`
	Admission *admissionView  `json:"admission" doc:"Of admit."`
	State     *admissionState `json:"state" doc:"Of answer, renew and end."`
	Error     *batchError     `json:"error"`
}

type batchError struct {
	Code    field.Code `json:"code"`
	Title   string     `json:"title"`
	Detail  string     `json:"detail"`
	Pointer string     `json:"pointer" doc:"JSON pointer into the event; empty for the event as a whole."`
}

func (s *server) batchOperation() rest.Operation {
	shape := schemaOf[batchRequest]().Request(true, []string{"events"}, true)
	event := schemaOf[switchEvent]().Request(true, []string{"event"}, true)
	event.Property("admission").Schema = nestedAttempt()
	shape.Property("events").Schema.Items = event
	return rest.Operation{Method: http.MethodPost, Path: "/tollgate/v1/admissions/batch", ID: "batch_admission",
		Noun: "batch_result", Tag: "Admissions", Scope: ScopeAdmit, Effect: rest.Traffic, Shape: rest.Rows,
		Status: http.StatusOK, Body: shape, Answer: schemaOf[batchResult](),
		Summary: "Ask for and report many calls at once, for instance to renew the grants of all calls of a switch. " +
			"The answers are in the order of the events; a refused event does not stop the others.",
		Handle: func(ctx context.Context, in *rest.Request) (*rest.Response, error) {
			var body batchRequest
			if err := in.ReadLean(&body, shape, body.wellFormed); err != nil {
				return nil, err
			}
			return s.runBatch(ctx, in, body.Events)
		}}
}

func (b *batchRequest) wellFormed() bool {
	for i := range b.Events {
		e := &b.Events[i]
		if !e.wellFormed() || e.Event != eventAdmit && e.Event != eventAnswer &&
			e.Event != eventRenew && e.Event != eventEnd {
			return false
		}
	}
	return len(b.Events) > 0 && len(b.Events) <= maxBatch
}

// batched is one event of a batch under way.
type batched struct {
	index  int
	result admission.Result
	err    error
}

// runBatch queues all events before it waits for the first, so that they share
// the ledger's transactions.
func (s *server) runBatch(ctx context.Context, in *rest.Request, events []switchEvent) (*rest.Response, error) {
	snapshot := s.Live.Snapshot()
	results := make([]batched, len(events))
	done := make(chan batched, len(events)) // so that a late answer need not wait
	waiting := 0
	for i := range events {
		command, err := s.commandOf(in.Account, &events[i])
		if err != nil {
			results[i].err = err
			continue
		}
		waiting++
		s.Ledger.Submit(command, func(result admission.Result, err error) { done <- batched{i, result, err} })
	}
	for range waiting {
		select {
		case one := <-done:
			results[one.index] = one
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for the events of a batch: %w", ctx.Err())
		}
	}
	o := out{b: make([]byte, 0, 512*len(events)), forbidden: s.GatewayForbidden, sign: s.sign}
	o.begin('{')
	o.open("data", '[')
	for i := range events {
		o.batched(s, snapshot, in, &events[i], &results[i])
	}
	o.close(']')
	o.close('}')
	return &rest.Response{Text: o.b}, nil
}

// commandOf is what an event asks of the ledger.
func (s *server) commandOf(account id.ID, e *switchEvent) (admission.Command, error) {
	if e.Event != eventAdmit {
		return s.reportOf(account, e)
	}
	if e.Admission == nil {
		return nil, rest.Invalid([]rest.Problem{missingField("/admission",
			"admission is required with admit. Give the call that is asked about.")})
	}
	reserve, err := s.reserveOf(account, e.Admission, "/admission")
	if err != nil {
		return nil, err
	}
	return *reserve, nil
}

// batched writes a batchResult.
func (o *out) batched(s *server, snapshot *policy.Snapshot, in *rest.Request, e *switchEvent, r *batched) {
	result, err := r.result, r.err
	if err == nil && result.Err != nil {
		err = reportFailure(e, result.Err)
	}
	if err != nil && e.Event == eventAdmit {
		if d, ok := s.emergency(in.Account, e.Admission, err); ok {
			result, err = admission.Result{Decision: d}, nil
		}
	}
	o.begin('{')
	switch {
	case err != nil:
		f := s.engine.FailureOf(err)
		s.countRejected(f)
		o.int("status", int64(f.Status))
		o.null("admission", "state")
		o.open("error", '{')
		p := f.Problems[0]
		o.text("code", string(p.Code))
		o.text("title", s.engine.TitleOf(p.Code))
		o.text("detail", p.Detail)
		o.text("pointer", p.Pointer)
		o.close('}')
	case e.Event == eventAdmit:
		o.int("status", http.StatusOK)
		o.open("admission", '{')
		o.admission(snapshot, e.Admission, &result)
		o.close('}')
		o.null("state", "error")
	default:
		o.int("status", http.StatusOK)
		o.null("admission")
		o.open("state", '{')
		call, _ := switchCallID(in.Account, e.ID) // it was read before
		o.state(call, &result)
		o.close('}')
		o.null("error")
	}
	o.close('}')
}

// countRejected counts what a switch sent that was not taken.
func (s *server) countRejected(f *rest.RefusalError) {
	if s.Rejected == nil || f.Status < 400 || f.Status >= 500 {
		return
	}
	why := "malformed"
	switch f.Problems[0].Code {
	case rest.CodeNotFound:
		why = "unknown_call"
	case rest.CodeUnprocessable:
		why = "other_values"
	case field.OutOfRange:
		why = "out_of_range"
	}
	s.Rejected(why)
}

// restartRequest means that a switch was started again.
type restartRequest struct {
	RestartedAt *time.Time `json:"restarted_at" doc:"Calls that were admitted after it go on; null for now. With it the request may be repeated."`
}

// restartView is what a restart led to.
type restartView struct {
	RecordType string `json:"record_type" enum:"switch_restart"`
	Switch     string `json:"switch"`
	Ended      int64  `json:"ended" doc:"How many calls were ended and charged for as long as they may have lasted."`
}

func (s *server) restartOperation() rest.Operation {
	shape := schemaOf[restartRequest]().Request(true, nil, false)
	return rest.Operation{Method: http.MethodPost, Path: "/tollgate/v1/switches/{name}/restarted", ID: "restart_switch",
		Noun: "switch_restart", Tag: "Admissions", Scope: ScopeAdmit, Effect: rest.Traffic, Status: http.StatusOK,
		Body: shape, Answer: schemaOf[restartView](),
		Summary: "Report that a switch was restarted, so that all calls for which it asked admission " +
			"under this name have ended.",
		Handle: func(ctx context.Context, in *rest.Request) (*rest.Response, error) {
			var body restartRequest
			if err := in.ReadLean(&body, shape, func() bool { return true }); err != nil {
				return nil, err
			}
			if !within(in.ID, 1, maxSwitchName) {
				return nil, rest.InvalidPathID()
			}
			now := s.Clock()
			at := now
			if body.RestartedAt != nil {
				at = *body.RestartedAt
			}
			if at.After(now.Add(admission.ReportTolerance)) || at.Before(now.Add(-admission.MaxReportAge)) {
				return nil, rest.FailAt(http.StatusUnprocessableEntity, "/restarted_at", field.OutOfRange,
					"restarted_at is not within the last 24 hours, by the server's clock. Set the switch's clock, or leave it out.")
			}
			owner := admission.SwitchOwner(in.Account, in.ID)
			result, err := s.Ledger.Do(ctx, admission.ExpireSwitch{Owner: owner, BeforeMicros: at.UnixMicro()})
			if err == nil {
				err = result.Err
			}
			if err != nil {
				return nil, err
			}
			o := out{}
			o.begin('{')
			o.open("data", '{')
			o.text("record_type", "switch_restart")
			o.text("switch", in.ID)
			o.int("ended", int64(len(result.Expired)))
			o.close('}')
			o.close('}')
			return &rest.Response{Text: o.b}, nil
		}}
}
