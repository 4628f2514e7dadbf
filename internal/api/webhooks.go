package api

import (
	"context"
	"net/http"
)

// webhookKeyView is the key that webhooks are verified with.
type webhookKeyView struct {
	RecordType string `json:"record_type" enum:"webhook_public_key"`
	PublicKey  string `json:"public_key" doc:"Ed25519, base64 of 32 bytes: what Telnyx's SDKs take as the public key of webhooks."`
}

func (s *server) webhookOperations() []operation {
	return []operation{{
		method: http.MethodGet, path: "/tollgate/v1/webhook_public_key", id: "get_webhook_public_key", tag: "Webhooks", scope: ScopeRead,
		summary: "Get the key with which this server's webhooks are verified.", status: http.StatusOK, answer: schemaOf[webhookKeyView](),
		handle: func(context.Context, *request) (*response, error) {
			return &response{data: webhookKeyView{RecordType: "webhook_public_key", PublicKey: s.WebhookPublicKey}}, nil
		},
	}}
}
