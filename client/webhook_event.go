package client

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// WebhookEvent is what a webhook brings.
type WebhookEvent struct {
	ID          string // the same in every attempt: by it repeats are recognised
	Type        string // as in call.hangup
	OccurredAt  time.Time
	Payload     jsontext.Value // see Decode
	Attempt     int64          // from 1
	DeliveredTo string
}

// Decode reads the payload into a value of the type that belongs to the event's type,
// such as HangupPayload.
func (e *WebhookEvent) Decode(payload any) error {
	err := json.Unmarshal(e.Payload, payload)
	if err != nil {
		return fmt.Errorf("read payload of %s: %w", e.Type, err)
	}
	return nil
}

// ErrWebhookSignature means that a request is not what the server signed, or not now.
// It is wrapped with why.
var ErrWebhookSignature = errors.New("webhook signature does not verify")

// webhookTolerance is how far the time of a request may be from the receiver's clock,
// in both directions.
const webhookTolerance = 5 * time.Minute

// ReadWebhook verifies a request that a webhook has made, and reads it. publicKey is
// that of WebhookPublicKey; body is what arrived, byte for byte.
func ReadWebhook(publicKey string, header http.Header, body []byte, now time.Time) (WebhookEvent, error) {
	if err := verifyWebhook(publicKey, header, body, now); err != nil {
		return WebhookEvent{}, err
	}
	var sent struct {
		Data struct {
			ID         string         `json:"id"`
			EventType  string         `json:"event_type"`
			OccurredAt time.Time      `json:"occurred_at"`
			Payload    jsontext.Value `json:"payload"`
		} `json:"data"`
		Meta struct {
			Attempt     int64  `json:"attempt"`
			DeliveredTo string `json:"delivered_to"`
		} `json:"meta"`
	}
	if err := json.Unmarshal(body, &sent); err != nil {
		return WebhookEvent{}, fmt.Errorf("read webhook: %w", err)
	}
	return WebhookEvent{ID: sent.Data.ID, Type: sent.Data.EventType, OccurredAt: sent.Data.OccurredAt,
		Payload: sent.Data.Payload, Attempt: sent.Meta.Attempt, DeliveredTo: sent.Meta.DeliveredTo}, nil
}

func verifyWebhook(publicKey string, header http.Header, body []byte, now time.Time) error {
	key, err := base64.StdEncoding.DecodeString(publicKey)
	if err != nil || len(key) != ed25519.PublicKeySize {
		return fmt.Errorf("%w: the public key is not base64 of %d bytes", ErrWebhookSignature, ed25519.PublicKeySize)
	}
	timestamp := header.Get("Telnyx-Timestamp")
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil {
		return fmt.Errorf("%w: no time of sending", ErrWebhookSignature)
	}
	if sent := time.Unix(seconds, 0); now.Sub(sent) > webhookTolerance || sent.Sub(now) > webhookTolerance {
		return fmt.Errorf("%w: it was sent at %s", ErrWebhookSignature, sent.UTC().Format(time.RFC3339))
	}
	signature, err := base64.StdEncoding.DecodeString(header.Get("Telnyx-Signature-Ed25519"))
	if err != nil || !ed25519.Verify(key, append([]byte(timestamp+"|"), body...), signature) {
		return fmt.Errorf("%w: it is not the key's signature of this body", ErrWebhookSignature)
	}
	return nil
}
