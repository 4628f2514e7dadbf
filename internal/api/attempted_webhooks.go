package api

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/rest"
	"github.com/tollgate/tollgate/internal/webhook"
)

// The log of webhook deliveries as Telnyx shows it. It is the log that is behind
// /tollgate/v1/webhook_deliveries; a delivery is in it from its first attempt on,
// since Telnyx has no word for one that waits. Source: Telnyx v2, WebhookDelivery.

type attemptedWebhookView struct {
	// of the delivery: one event has one for each address that it goes to
	ID         uuid.UUID `json:"id"`
	RecordType string    `json:"record_type" enum:"webhook_delivery"`
	// the account's id
	UserID string `json:"user_id" doc:"The id of the account."`
	// `delivered`, or `failed` as long as no attempt has succeeded
	Status string `json:"status" enum:"delivered,failed" doc:"failed as long as no attempt has succeeded; more may follow."`
	// the first attempt's beginning
	StartedAt time.Time `json:"started_at" doc:"When the first attempt began."`
	// the last attempt's end
	FinishedAt time.Time `json:"finished_at" doc:"When the last attempt so far ended."`
	// `data` of the request
	Webhook sentWebhookView `json:"webhook"`
	// the latest first, each with `status`, `started_at`, `finished_at`, `http.request` (`url` and `headers`, the
	// signature masked), `http.response` (`status` and the first KiB of `body`; left out when there was none;
	// `headers` are not kept), `errors` (Telnyx's code 75499 after an answer of 4xx) and `error`, which is ours:
	// why it failed, in words
	Attempts []attemptedDeliveryView `json:"attempts" doc:"The attempts, the latest first."`
}

type sentWebhookView struct {
	ID         uuid.UUID      `json:"id"`
	RecordType string         `json:"record_type" enum:"event"`
	EventType  string         `json:"event_type"`
	OccurredAt time.Time      `json:"occurred_at"`
	Payload    jsontext.Value `json:"payload" doc:"An object that depends on the event type."`
}

type attemptedDeliveryView struct {
	Status     string              `json:"status" enum:"delivered,failed"`
	StartedAt  time.Time           `json:"started_at"`
	FinishedAt time.Time           `json:"finished_at"`
	HTTP       webhookExchangeView `json:"http"`
	Errors     []int64             `json:"errors" doc:"Telnyx's codes: 75499 after an answer of 4xx."`
	Error      string              `json:"error" doc:"Tollgate's own: why the attempt failed, in words; empty when it did not."`
}

type webhookExchangeView struct {
	Request  webhookRequestView   `json:"request"`
	Response *webhookResponseView `json:"response,omitzero" doc:"Left out when there was none."`
}

type webhookRequestView struct {
	URL     string     `json:"url"`
	Headers [][]string `json:"headers" doc:"Names and values. The signature is masked."`
}

type webhookResponseView struct {
	Status  int64      `json:"status"`
	Headers [][]string `json:"headers" doc:"Always empty: they are not kept."`
	Body    string     `json:"body" doc:"Its start, at most 1 KiB."`
}

const (
	attemptDelivered = "delivered"
	attemptFailed    = "failed"
	// errorOfClient is Telnyx's code of an attempt that was answered with 4xx.
	errorOfClient = 75499
)

func deliveryStatus(delivered bool) string {
	if delivered {
		return attemptDelivered
	}
	return attemptFailed
}

func viewAttempted(account id.ID, e *webhook.Entry) attemptedWebhookView {
	v := attemptedWebhookView{
		ID: e.ID, RecordType: "webhook_delivery", UserID: account.String(),
		Status:    deliveryStatus(e.State == webhook.Delivered),
		StartedAt: e.Attempts[0].StartedAt, FinishedAt: e.Attempts[len(e.Attempts)-1].EndedAt(),
		Webhook: sentWebhookView{
			ID: e.EventID, RecordType: "event", EventType: e.EventType, OccurredAt: e.OccurredAt, Payload: e.Payload,
		},
	}
	for i := range e.Attempts {
		v.Attempts = append(v.Attempts, viewAttempt(&e.Attempts[i], e.EventID))
	}
	slices.Reverse(v.Attempts)
	return v
}

func viewAttempt(a *webhook.Attempt, event uuid.UUID) attemptedDeliveryView {
	v := attemptedDeliveryView{
		Status: deliveryStatus(a.Delivered()), StartedAt: a.StartedAt, FinishedAt: a.EndedAt(),
		Errors: []int64{}, Error: a.Error,
		HTTP: webhookExchangeView{Request: webhookRequestView{URL: a.URL}},
	}
	for _, h := range a.Headers(event) {
		v.HTTP.Request.Headers = append(v.HTTP.Request.Headers, []string{h.Name, h.Value})
	}
	if a.StatusCode != 0 {
		v.HTTP.Response = &webhookResponseView{Status: int64(a.StatusCode), Headers: [][]string{}, Body: a.Response}
	}
	if a.StatusCode >= 400 && a.StatusCode <= 499 {
		v.Errors = append(v.Errors, errorOfClient)
	}
	return v
}

func (s *server) attemptedWebhookOperations() []rest.Operation {
	const path, tag = "/v2/webhook_deliveries", "Webhooks"
	whole := schemaOf[attemptedWebhookView]()
	return []rest.Operation{
		{Method: http.MethodGet, Path: path, ID: "list_attempted_webhook", Tag: tag, Scope: ScopeRead,
			Summary: "List the webhooks of the last 7 days that were delivered or tried, the newest first.",
			Status:  http.StatusOK, Answer: whole, Shape: rest.List, Params: attemptedParams(), Handle: s.listAttempted},
		{Method: http.MethodGet, Path: path + "/{id}", ID: "get_attempted_webhook", Tag: tag, Scope: ScopeRead,
			Summary: "Get one.", Status: http.StatusOK, Answer: whole, Handle: s.getAttempted},
	}
}

func attemptedParams() []rest.Parameter {
	types := &rest.Schema{Kind: "array", Items: &rest.Schema{Kind: "string", MinLength: 1, MaxLength: 64}, MaxItems: 50}
	times := slices.Concat(rest.TimeFilters("started_at", "started_at"), rest.TimeFilters("finished_at", "finished_at"))
	return slices.Concat(rest.PageParams(20, rest.MaxPageSize), times, []rest.Parameter{
		rest.EqualFilter("filter[status]", "status", schemaOf[attemptedWebhookView]().Property("status").Schema),
		{Name: "filter[event_type]", Description: "Only those of these types.", Schema: types},
		rest.ContainsFilter("filter[webhook][contains]", "webhook", 0),
		rest.ContainsFilter("filter[attempts][contains]", "attempts", 0),
	})
}

func (s *server) listAttempted(ctx context.Context, in *rest.Request) (*rest.Response, error) {
	q := in.Query.StoreQuery("-created_at", 20)
	if types := in.Query.Text("filter[event_type]", ""); types != "" {
		q.Filters = append(slices.Clone(q.Filters),
			collection.Filter{Field: "event_type", Op: collection.Equal, Value: types})
	}
	asked, byID := byEventID(q)
	page, err := s.Webhooks.Attempted(ctx, in.Account, asked)
	if err == nil && byID && page.Total == 0 { // it may be an id within a payload
		page, err = s.Webhooks.Attempted(ctx, in.Account, q)
	}
	if err != nil {
		return nil, rest.ListError(err)
	}
	views := make([]attemptedWebhookView, len(page.Items))
	for i := range page.Items {
		views[i] = viewAttempted(in.Account, &page.Items[i])
	}
	return &rest.Response{Data: views, Meta: rest.MetaOf(q, page.Total)}, nil
}

// byEventID makes of the text of a webhook that is looked for, if it is a whole id,
// the event's id. Events are stored by it and not with its text.
func byEventID(q collection.Query) (collection.Query, bool) {
	q.Filters = slices.Clone(q.Filters)
	for i, f := range q.Filters {
		text, _ := f.Value.(string)
		if f.Field == "webhook" && rest.ParseUUID(strings.ToLower(text)) == nil {
			q.Filters[i] = collection.Filter{Field: "event_id", Op: collection.Equal, Value: text}
			return q, true
		}
	}
	return q, false
}

func (s *server) getAttempted(ctx context.Context, in *rest.Request) (*rest.Response, error) {
	key, err := deliveryID(in)
	if err != nil {
		return nil, err
	}
	e, err := s.Webhooks.Entry(ctx, in.Account, key)
	if err == nil && len(e.Attempts) == 0 {
		err = fmt.Errorf("%w: no attempt was made yet", collection.ErrNotFound)
	}
	if err != nil {
		return nil, err
	}
	return &rest.Response{Data: viewAttempted(in.Account, &e)}, nil
}
