package store

import (
	"context"
	"errors"
	"github.com/tollgate/tollgate/internal/collection"

	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/webhook"
)

// Limits of webhooks.
const (
	// MaxWebhookEndpoints bounds how many deliveries one event of an account makes.
	MaxWebhookEndpoints = 100
	// MaxWebhookQueue is how many deliveries of an account may be pending. One more
	// is refused and counted, so that what was promised first is delivered first,
	// and an endpoint that is down cannot fill the disk.
	MaxWebhookQueue = 100_000
)

// ErrTooMany means that an account has as many objects of a kind as it may have.
var ErrTooMany = errors.New("too many")

// WebhookQueue is what waits to be delivered to the endpoints of an account.
type WebhookQueue struct {
	Pending int64
	// Refused counts the deliveries that were never made because MaxWebhookQueue
	// were pending, since the account exists.
	Refused int64
}

// WebhookLog shows an account the deliveries of its webhooks, and repeats them. A
// delivery is kept for some days after it was made, and its event as long. Replay fails
// with ErrBusy while the account's queue is full.
type WebhookLog interface {
	webhook.Log
	// Deliveries lists deliveries, without their attempts.
	Deliveries(ctx context.Context, account id.ID, q collection.Query) (collection.Page[webhook.Entry], error)
	// Attempted lists the deliveries of which an attempt was made, whole. Its fields are
	// those of Telnyx's webhook_deliveries: status (delivered, or failed as long as no
	// attempt has succeeded), event_type (several, separated by commas), event_id, webhook
	// and attempts (each with Contains), started_at and finished_at.
	Attempted(ctx context.Context, account id.ID, q collection.Query) (collection.Page[webhook.Entry], error)
}
