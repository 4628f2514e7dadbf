package api

import (
	"reflect"
	"strings"

	"github.com/tollgate/tollgate/internal/rest"
	"github.com/tollgate/tollgate/internal/webhook"
)

// webhookPayload is the schema of what an event has as data.payload.
func webhookPayload(t webhook.EventType) *rest.Schema {
	return wireTypes.Of(reflect.TypeOf(t.Payload))
}

// describeWebhooks describes the requests that the server makes: one for each type of event.
func describeWebhooks(d *rest.Documenter) map[string]any {
	out := map[string]any{}
	for _, t := range webhook.EventTypes() {
		name := reflect.TypeOf(t.Payload).Name()
		payload := d.Named(strings.ToUpper(name[:1])+name[1:], webhookPayload(t))
		data := map[string]any{
			"record_type": map[string]any{"type": "string", "enum": []string{"event"}},
			"event_type":  map[string]any{"type": "string", "enum": []string{t.Name}},
			"id": map[string]any{"type": "string", "format": "uuid",
				"description": "The same in every attempt; by it repeats are recognised."},
			"occurred_at": map[string]any{"type": "string", "format": "date-time"},
			"payload":     payload,
		}
		meta := map[string]any{
			"attempt":      map[string]any{"type": "integer", "minimum": 1},
			"delivered_to": map[string]any{"type": "string"},
		}
		header := func(name, description string) map[string]any {
			return map[string]any{
				"name": name, "in": "header", "required": true, "description": description,
				"schema": map[string]any{"type": "string"},
			}
		}
		out[t.Name] = map[string]any{"post": map[string]any{
			"operationId": "webhook_" + strings.ReplaceAll(t.Name, ".", "_"), "summary": t.Doc, "tags": []string{"Webhooks"},
			"security": []any{}, "parameters": []any{
				header("telnyx-signature-ed25519", "Base64 of the Ed25519 signature of the timestamp, a | and the body."),
				header("telnyx-timestamp", "When the request was made, in seconds since 1970."),
				header("webhook-id", "The event's id."),
			},
			"requestBody": map[string]any{"required": true,
				"content": rest.JSONContent(rest.Object(map[string]any{"data": rest.Object(data), "meta": rest.Object(meta)}))},
			"responses": map[string]any{
				"2XX": map[string]any{"description": "The event was taken."},
				"4XX": map[string]any{"description": "It is sent again later, as after every other answer and none."},
			},
		}}
	}
	return out
}
