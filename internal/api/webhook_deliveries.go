package api

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/webhook"
)

// deliveryView is an event on its way to an endpoint, as it is answered in lists.
type deliveryView struct {
	ID            uuid.UUID     `json:"id"`
	RecordType    string        `json:"record_type" enum:"webhook_delivery"`
	EndpointID    id.ID         `json:"endpoint_id" doc:"The webhook endpoint, or the connection whose webhook_event_url it goes to."`
	EventID       uuid.UUID     `json:"event_id" doc:"The id in the body that is sent. A replay has the same one."`
	EventType     string        `json:"event_type" enum:"call.initiated,call.answered,call.hangup,call.cost,call.refused,call.ended,call.emergency,call.recording.saved,call.hangup_requested,connection.emergency_calls,profile.spend_threshold,profile.spend_limit_reached,billing_group.spend_threshold,billing_group.spend_limit_reached,account.spend_threshold,account.spend_limit_reached,connection.source_refused,configuration.changed"`
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
	v := deliveryView{ID: e.ID, RecordType: "webhook_delivery", EndpointID: e.EndpointID, EventID: e.EventID, EventType: e.EventType,
		State: e.State, AttemptCount: e.AttemptCount, CreatedAt: e.CreatedAt}
	if !e.NextAt.IsZero() {
		v.NextAttemptAt = new(e.NextAt)
	}
	return v
}

func (s *server) deliveryOperations() []operation {
	const path, tag = "/tollgate/v1/webhook_deliveries", "Webhooks"
	whole := schemaOf[wholeDeliveryView]()
	return []operation{
		{method: http.MethodGet, path: path, id: "list_webhook_delivery", noun: "webhook_delivery_summary", tag: tag, scope: ScopeRead,
			summary: "List what was sent to webhook endpoints in the last 7 days, or is to be sent.",
			status:  http.StatusOK, answer: schemaOf[deliveryView](), shape: list, params: deliveryParams(), handle: s.listDeliveries},
		{method: http.MethodGet, path: path + "/{id}", id: "get_webhook_delivery", tag: tag, scope: ScopeRead,
			summary: "Get one with its attempts.", status: http.StatusOK, answer: whole, handle: s.getDelivery},
		{method: http.MethodPost, path: path + "/{id}/replay", id: "replay_webhook_delivery", noun: "webhook_delivery", tag: tag, scope: ScopeWrite, effect: adds,
			summary: "Send the same event to the same endpoint once more, whatever became of it. The answer is the new delivery.",
			status:  http.StatusCreated, answer: whole, handle: s.replayDelivery},
	}
}

func deliveryParams() []parameter {
	return slices.Concat(pageParams(20, maxPageSize), timeFilters("created_at", "created_at"), []parameter{
		equalFilter("filter[endpoint_id]", "endpoint_id", idSchema()),
		equalFilter("filter[event_id]", "event_id", uuidSchema()),
		equalFilter("filter[event_type]", "event_type", schemaOf[deliveryView]().property("event_type").schema),
		equalFilter("filter[state]", "state", schemaOf[deliveryView]().property("state").schema),
		sortParam("-created_at", "created_at"),
	})
}

func (s *server) listDeliveries(ctx context.Context, in *request) (*response, error) {
	q := in.query.storeQuery("-created_at", 20)
	page, err := s.Webhooks.Deliveries(ctx, in.account, q)
	if err != nil {
		return nil, listError(err)
	}
	views := make([]deliveryView, len(page.Items))
	for i := range page.Items {
		views[i] = viewDelivery(&page.Items[i])
	}
	return &response{data: views, meta: metaOf(q, page.Total)}, nil
}

func (s *server) getDelivery(ctx context.Context, in *request) (*response, error) {
	key, err := deliveryID(in)
	if err != nil {
		return nil, err
	}
	e, err := s.Webhooks.Entry(ctx, in.account, key)
	if err != nil {
		return nil, err
	}
	return answerDelivery(ctx, e)
}

func answerDelivery(_ context.Context, e webhook.Entry) (*response, error) {
	return &response{data: wholeDeliveryView{deliveryView: viewDelivery(&e), Payload: e.Payload, Attempts: e.Attempts}}, nil
}

func (s *server) replayDelivery(ctx context.Context, in *request) (*response, error) {
	key, err := deliveryID(in)
	if err != nil {
		return nil, err
	}
	return committed(ctx, in, answerDelivery, func(ctx context.Context) (webhook.Entry, error) {
		return s.Webhooks.Replay(ctx, s.Clock(), in.account, key)
	})
}

// deliveryID is the id of the path.
func deliveryID(in *request) (uuid.UUID, error) {
	if parseUUID(in.id) != nil {
		return uuid.Nil, invalidPathID()
	}
	return uuid.MustParse(in.id), nil
}
