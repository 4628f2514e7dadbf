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

// AttemptedWebhook is an event that was delivered or tried, as Telnyx's webhook_deliveries
// show it.
type AttemptedWebhook struct {
	ID         string `json:"id"`
	RecordType string `json:"record_type"`
	// The id of the account.
	UserID string `json:"user_id"`
	// delivered, or failed as long as no attempt has succeeded.
	Status string `json:"status"`
	// When the first attempt began.
	StartedAt time.Time `json:"started_at"`
	// When the last attempt so far ended.
	FinishedAt time.Time   `json:"finished_at"`
	Webhook    SentWebhook `json:"webhook"`
	// The attempts, the latest first.
	Attempts []WebhookExchange `json:"attempts"`
}

// SentWebhook is what was sent as data.
type SentWebhook struct {
	ID         string         `json:"id"`
	RecordType string         `json:"record_type"`
	EventType  string         `json:"event_type"`
	OccurredAt time.Time      `json:"occurred_at"`
	Payload    jsontext.Value `json:"payload"`
}

// WebhookExchange is one try to deliver.
type WebhookExchange struct {
	// delivered or failed.
	Status     string      `json:"status"`
	StartedAt  time.Time   `json:"started_at"`
	FinishedAt time.Time   `json:"finished_at"`
	HTTP       WebhookHTTP `json:"http"`
	// Telnyx's codes: 75499 after an answer of 4xx.
	Errors []int64 `json:"errors"`
	// Why it failed, in words; empty when it did not.
	Error string `json:"error"`
}

// WebhookHTTP is the request and the response of an attempt.
type WebhookHTTP struct {
	Request WebhookRequest `json:"request"`
	// Left out when there was none.
	Response *WebhookResponse `json:"response,omitzero"`
}

// WebhookRequest is the request of an attempt.
type WebhookRequest struct {
	URL string `json:"url"`
	// Names and values. The signature is masked.
	Headers [][]string `json:"headers"`
}

// WebhookResponse is the response to an attempt.
type WebhookResponse struct {
	Status int64 `json:"status"`
	// Always empty: they are not kept.
	Headers [][]string `json:"headers"`
	// Its start, at most 1 KiB.
	Body string `json:"body"`
}
