package api

import (
	"context"
	"net/http"
	"slices"

	"github.com/tollgate/tollgate/internal/field"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/rest"
	"github.com/tollgate/tollgate/internal/store"
	"github.com/tollgate/tollgate/internal/webhook"
)

// webhookEndpointView is a webhook endpoint as it is answered.
type webhookEndpointView struct {
	webhook.Endpoint
	RecordType string `json:"record_type" readOnly:"true" enum:"webhook_endpoint"`
}

func (s *server) webhookEndpointOperations() []rest.Operation {
	r := &rest.Resource[webhook.Endpoint, webhookEndpointView, id.ID]{
		Path: "/tollgate/v1/webhook_endpoints", Name: "webhook_endpoint", Tag: "Webhooks", Closed: true,
		Answers: schemaOf[webhookEndpointView](), Collection: store.Of[webhook.Endpoint](s.Resources),
		Required: []string{"url"},
		Validate: func(_ id.ID, e *webhook.Endpoint, _ map[string]any) []field.Error {
			errs := e.Validate()
			if len(errs) == 0 && s.CheckWebhook != nil {
				errs = s.CheckWebhook(e)
			}
			return errs
		}, View: rest.ViewEach(func(e webhook.Endpoint) webhookEndpointView {
			return webhookEndpointView{Endpoint: e, RecordType: "webhook_endpoint"}
		}), Sorts: []string{"created_at"},
	}
	return r.MustOperations()
}

// webhookKeyView is the key that webhooks are verified with.
type webhookKeyView struct {
	RecordType string `json:"record_type" enum:"webhook_public_key"`
	PublicKey  string `json:"public_key" doc:"Ed25519, base64 of 32 bytes: what Telnyx's SDKs take as the public key of webhooks."`
}

func (s *server) webhookOperations() []rest.Operation {
	return append(slices.Concat(s.deliveryOperations(), s.attemptedWebhookOperations()), rest.Operation{
		Method: http.MethodGet, Path: "/tollgate/v1/webhook_public_key", ID: "get_webhook_public_key", Tag: "Webhooks",
		Scope: ScopeRead, Summary: "Get the key with which this server's webhooks are verified.", Status: http.StatusOK,
		Answer: schemaOf[webhookKeyView](), Handle: func(context.Context, *rest.Request) (*rest.Response, error) {
			return &rest.Response{Data: webhookKeyView{RecordType: "webhook_public_key", PublicKey: s.WebhookPublicKey}}, nil
		},
	})
}
