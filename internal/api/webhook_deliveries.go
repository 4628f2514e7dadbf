package api

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/rest"
	"github.com/tollgate/tollgate/internal/webhook"
)

// deliveryView is an event on its way to an endpoint, as it is answered in lists.
type deliveryView struct {
	ID            uuid.UUID     `json:"id"`
	RecordType    string        `json:"record_type" enum:"webhook_delivery"`
	EndpointID    id.ID         `json:"endpoint_id" doc:"The webhook endpoint, or the connection whose webhook_event_url it goes to."`
	EventID       uuid.UUID     `json:"event_id" doc:"The id in the body that is sent. A replay has the same one."`
	EventType     string        `json:"event_type" title:"EventType" enum:"call.initiated,call.answered,call.hangup,call.cost,call.refused,call.ended,call.emergency,call.recording.saved,call.hangup_requested,connection.emergency_calls,profile.spend_threshold,profile.spend_limit_reached,billing_group.spend_threshold,billing_group.spend_limit_reached,account.spend_threshold,account.spend_limit_reached,spend_limit.threshold,spend_limit.reached,connection.source_refused,configuration.changed"`
	State         webhook.State `json:"state" enum:"pending,delivered,dead" doc:"delivered after an answer of 2xx, dead when it was given up."`
	AttemptCount  int           `json:"attempt_count" doc:"How many attempts were made."`
	CreatedAt     time.Time     `json:"created_at"`
	NextAttemptAt *time.Time    `json:"next_attempt_at" doc:"When the next attempt is due; null when there will be none."`
}

// wholeDeliveryView is a delivery with what was sent and what came of it.
type wholeDeliveryView struct {
	deliveryView
	Payload  jsontext.Value    `json:"payload" doc:"What is sent as data.payload: an object that depends on the event type."`
	Attempts []webhook.Attempt `json:"attempts" doc:"The attempts in order."`
}

func viewDelivery(e *webhook.Entry) deliveryView {
	v := deliveryView{ID: e.ID, RecordType: "webhook_delivery", EndpointID: e.EndpointID, EventID: e.EventID,
		EventType: e.EventType, State: e.State, AttemptCount: e.AttemptCount, CreatedAt: e.CreatedAt}
	if !e.NextAt.IsZero() {
		v.NextAttemptAt = new(e.NextAt)
	}
	return v
}

func (s *server) deliveryOperations() []rest.Operation {
	const path, tag = "/tollgate/v1/webhook_deliveries", "Webhooks"
	whole := schemaOf[wholeDeliveryView]()
	return []rest.Operation{
		{Method: http.MethodGet, Path: path, ID: "list_webhook_delivery", Noun: "webhook_delivery_summary", Tag: tag,
			Scope: ScopeRead, Summary: "List what was sent to webhook endpoints in the last 7 days, or is to be sent.",
			Status: http.StatusOK, Answer: schemaOf[deliveryView](), Shape: rest.List, Params: deliveryParams(),
			Handle: s.listDeliveries},
		{Method: http.MethodGet, Path: path + "/{id}", ID: "get_webhook_delivery", Tag: tag, Scope: ScopeRead,
			Summary: "Get one with its attempts.", Status: http.StatusOK, Answer: whole, Handle: s.getDelivery},
		{Method: http.MethodPost, Path: path + "/{id}/replay", ID: "replay_webhook_delivery", Noun: "webhook_delivery",
			Tag: tag, Scope: ScopeWrite, Effect: rest.Adds,
			Summary: "Send the same event to the same endpoint once more, " +
				"whether it was delivered or not. The answer is the new delivery.",
			Status: http.StatusCreated, Answer: whole, Handle: s.replayDelivery},
	}
}

func deliveryParams() []rest.Parameter {
	return slices.Concat(rest.PageParams(20, rest.MaxPageSize),
		rest.TimeFilters("created_at", "created_at"), []rest.Parameter{
			rest.EqualFilter("filter[endpoint_id]", "endpoint_id", rest.IDSchema()),
			rest.EqualFilter("filter[event_id]", "event_id", rest.UUIDSchema()),
			rest.EqualFilter("filter[event_type]", "event_type", schemaOf[deliveryView]().Property("event_type").Schema),
			rest.EqualFilter("filter[state]", "state", schemaOf[deliveryView]().Property("state").Schema),
			rest.SortParam("-created_at", "created_at"),
		})
}

func (s *server) listDeliveries(ctx context.Context, in *rest.Request) (*rest.Response, error) {
	q := in.Query.StoreQuery("-created_at", 20)
	page, err := s.Webhooks.Deliveries(ctx, in.Account, q)
	if err != nil {
		return nil, rest.ListError(err)
	}
	views := make([]deliveryView, len(page.Items))
	for i := range page.Items {
		views[i] = viewDelivery(&page.Items[i])
	}
	return &rest.Response{Data: views, Meta: rest.MetaOf(q, page.Total)}, nil
}

func (s *server) getDelivery(ctx context.Context, in *rest.Request) (*rest.Response, error) {
	key, err := deliveryID(in)
	if err != nil {
		return nil, err
	}
	e, err := s.Webhooks.Entry(ctx, in.Account, key)
	if err != nil {
		return nil, err
	}
	return answerDelivery(ctx, e)
}

func answerDelivery(_ context.Context, e webhook.Entry) (*rest.Response, error) {
	return &rest.Response{Data: wholeDeliveryView{deliveryView: viewDelivery(&e),
		Payload: e.Payload, Attempts: e.Attempts}}, nil
}

func (s *server) replayDelivery(ctx context.Context, in *rest.Request) (*rest.Response, error) {
	key, err := deliveryID(in)
	if err != nil {
		return nil, err
	}
	return rest.Committed(ctx, in, answerDelivery, func(ctx context.Context) (webhook.Entry, error) {
		return s.Webhooks.Replay(ctx, s.Clock(), in.Account, key)
	})
}

// deliveryID is the id of the path.
func deliveryID(in *rest.Request) (uuid.UUID, error) {
	if rest.ParseUUID(in.ID) != nil {
		return uuid.Nil, rest.InvalidPathID()
	}
	return uuid.MustParse(in.ID), nil
}
