package sqlstore

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/store"
	"github.com/tollgate/tollgate/internal/webhook"
	"github.com/tollgate/tollgate/internal/webhook/webhooktest"
)

// putEndpoint writes an endpoint as it is given, without an event of that.
func putEndpoint(t testing.TB, s *Store, e webhook.Endpoint) {
	t.Helper()
	check(t, s.write(t.Context(), func(tx *txn) error {
		n := webhookEndpointNoun()
		known, err := exists(t.Context(), tx, "SELECT 1 FROM webhook_endpoints WHERE id = $1", int64(e.ID))
		if err != nil {
			return err
		}
		return n.write(t.Context(), tx, &e, !known)
	}))
}

func TestOutbox(t *testing.T) {
	webhooktest.Run(t, func(t *testing.T) webhooktest.Subject {
		clock := func() time.Time { return noon }
		config := Config{
			Path: filepath.Join(t.TempDir(), "tollgate.db"), Live: policy.NewLive(), Clock: clock,
			IDs: id.NewSource(1, clock), Owner: uuid.New(), Ticks: make(chan time.Time),
		}
		s, err := Open(t.Context(), config)
		check(t, err)
		t.Cleanup(func() { check(t, s.Close()) })
		var subject webhooktest.Subject
		first, _, err := s.EnsureFirst(t.Context())
		check(t, err)
		second, err := s.CreateAccount(t.Context(), store.Account{Name: "other", Active: true})
		check(t, err)
		subject.Accounts = [2]id.ID{first.ID, second.ID}
		for i := range subject.Connections {
			c := connection.NewIPConnection()
			c.ConnectionName = "pbx"
			made, err := s.IPConnections().Create(t.Context(), first.ID, c)
			check(t, err)
			subject.Connections[i] = made.ID
		}
		with := func(s *Store) webhooktest.Subject {
			subject := subject
			subject.Outbox, subject.Log = s.Webhooks(), s.Webhooks()
			return subject
		}
		subject.PutEndpoint = func(e webhook.Endpoint) { putEndpoint(t, s, e) }
		subject.DeleteEndpoint = func(account, endpoint id.ID) {
			_, err := s.WebhookEndpoints().Delete(context.Background(), account, endpoint)
			check(t, err)
		}
		subject.Reopen = func() webhooktest.Subject {
			check(t, s.Close())
			s, err = Open(t.Context(), config)
			check(t, err)
			return with(s)
		}
		return with(s)
	})
}
