package api

import (
	"context"
	"net/http"
	"slices"

	"github.com/tollgate/tollgate/internal/field"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/store"
	"github.com/tollgate/tollgate/internal/webhook"
)

// webhookEndpointView is a webhook endpoint as it is answered.
type webhookEndpointView struct {
	webhook.Endpoint
	RecordType string `json:"record_type" readOnly:"true" enum:"webhook_endpoint"`
}

func (s *server) webhookEndpointOperations() []operation {
	r := &resource[webhook.Endpoint, webhookEndpointView, id.ID]{
		path: "/tollgate/v1/webhook_endpoints", name: "webhook_endpoint", tag: "Webhooks", closed: true, answers: schemaOf[webhookEndpointView](),
		collection: store.Of[webhook.Endpoint, id.ID](s.Resources), parseKey: id.Parse, fresh: webhook.NewEndpoint,
		required: []string{"url"}, created: http.StatusCreated,
		adopt: func(next, current *webhook.Endpoint) {
			next.ID, next.AccountID, next.Version = current.ID, current.AccountID, current.Version
			next.CreatedAt, next.UpdatedAt = current.CreatedAt, current.UpdatedAt
		},
		validate: func(_ id.ID, e *webhook.Endpoint, _ map[string]any) []field.Error {
			errs := e.Validate()
			if len(errs) == 0 && s.CheckWebhook != nil {
				errs = s.CheckWebhook(e)
			}
			return errs
		},
		view: viewEach(func(e webhook.Endpoint) webhookEndpointView {
			return webhookEndpointView{Endpoint: e, RecordType: "webhook_endpoint"}
		}),
		sorts: []string{"created_at"}, standard: "-created_at", pageSize: 20,
	}
	return r.mustOperations()
}

// webhookKeyView is the key that webhooks are verified with.
type webhookKeyView struct {
	RecordType string `json:"record_type" enum:"webhook_public_key"`
	PublicKey  string `json:"public_key" doc:"Ed25519, base64 of 32 bytes: what Telnyx's SDKs take as the public key of webhooks."`
}

func (s *server) webhookOperations() []operation {
	return append(slices.Concat(s.deliveryOperations(), s.attemptedWebhookOperations()), operation{
		method: http.MethodGet, path: "/tollgate/v1/webhook_public_key", id: "get_webhook_public_key", tag: "Webhooks", scope: ScopeRead,
		summary: "Get the key with which this server's webhooks are verified.", status: http.StatusOK, answer: schemaOf[webhookKeyView](),
		handle: func(context.Context, *request) (*response, error) {
			return &response{data: webhookKeyView{RecordType: "webhook_public_key", PublicKey: s.WebhookPublicKey}}, nil
		},
	})
}
