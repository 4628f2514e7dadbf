package client

import (
	"time"

	"github.com/go-json-experiment/json/jsontext"
)

// WebhookDeliverySummary is an event on its way to a webhook endpoint, as lists have it.
type WebhookDeliverySummary struct {
	ID         string `json:"id"`
	RecordType string `json:"record_type"`
	// How many attempts were made.
	AttemptCount int64 `json:"attempt_count"`
	// The webhook endpoint, or the connection whose webhook_event_url it goes to.
	EndpointID *string `json:"endpoint_id"`
	// The id in the body that is sent. A replay has the same one.
	EventID   string `json:"event_id"`
	EventType string `json:"event_type"`
	// When the next attempt is due; null when there will be none.
	NextAttemptAt *time.Time `json:"next_attempt_at"`
	// pending, delivered or dead.
	State     string    `json:"state"`
	CreatedAt time.Time `json:"created_at"`
}

// WebhookDelivery is an event on its way to a webhook endpoint, with what was sent
// and what came of it.
type WebhookDelivery struct {
	ID         string `json:"id"`
	RecordType string `json:"record_type"`
	// How many attempts were made.
	AttemptCount int64 `json:"attempt_count"`
	// The webhook endpoint, or the connection whose webhook_event_url it goes to.
	EndpointID *string `json:"endpoint_id"`
	// The id in the body that is sent. A replay has the same one.
	EventID   string `json:"event_id"`
	EventType string `json:"event_type"`
	// When the next attempt is due; null when there will be none.
	NextAttemptAt *time.Time `json:"next_attempt_at"`
	// pending, delivered or dead.
	State     string    `json:"state"`
	CreatedAt time.Time `json:"created_at"`
	// What is sent as data.payload.
	Payload  jsontext.Value   `json:"payload"`
	Attempts []WebhookAttempt `json:"attempts"`
}

// WebhookAttempt is one try to deliver.
type WebhookAttempt struct {
	// The number of the attempt, from 1.
	Attempt int64 `json:"attempt"`
	// Where the request was sent.
	DeliveredTo string `json:"delivered_to"`
	DurationMs  int64  `json:"duration_ms"`
	// Why the attempt failed; empty when it did not.
	Error string `json:"error"`
	// The start of the response body, at most 1 KiB.
	Response  string    `json:"response"`
	StartedAt time.Time `json:"started_at"`
	// The HTTP status of the answer; 0 when there was none.
	StatusCode int64 `json:"status_code"`
}
