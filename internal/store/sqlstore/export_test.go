package sqlstore

import (
	"testing"

	"github.com/tollgate/tollgate/internal/webhook"
)

// PutEndpoint writes an endpoint as it is given, without an event of that.
func PutEndpoint(t testing.TB, s *Store, e webhook.Endpoint) {
	t.Helper()
	check(t, s.writeIn(t.Context(), e.AccountID, func(tx *txn) error {
		n := webhookEndpointNoun()
		known, err := exists(t.Context(), tx, "SELECT 1 FROM webhook_endpoints WHERE id = $1", int64(e.ID))
		if err != nil {
			return err
		}
		return n.write(t.Context(), tx, &e, !known)
	}))
}

// SweepWebhooks is what a tick does once a day.
func SweepWebhooks(t testing.TB, s *Store) {
	t.Helper()
	check(t, s.sweepWebhooks(t.Context()))
}
