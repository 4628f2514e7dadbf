package sqlstore_test

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
	"github.com/tollgate/tollgate/internal/store/sqlstore"
	"github.com/tollgate/tollgate/internal/webhook"
	"github.com/tollgate/tollgate/internal/webhook/webhooktest"
)

func TestOutbox(t *testing.T) {
	runOutbox(t, func(t *testing.T, c *sqlstore.Config) { c.Path = filepath.Join(t.TempDir(), "tollgate.db") })
}

func TestOutboxPostgreSQL(t *testing.T) {
	runOutbox(t, func(t *testing.T, c *sqlstore.Config) { c.DatabaseURL, _ = newDatabase(t) })
}

func runOutbox(t *testing.T, place func(*testing.T, *sqlstore.Config)) {
	webhooktest.Run(t, func(t *testing.T) webhooktest.Subject {
		clock := func() time.Time { return noon }
		config := sqlstore.Config{
			Live: policy.NewLive(), Clock: clock, IDs: id.NewSource(1, clock), Owner: uuid.New(), Ticks: make(chan time.Time),
			NodeName: "node", MaxClockOffset: -1, // the test has a clock of its own
		}
		place(t, &config)
		s, err := sqlstore.Open(t.Context(), config)
		check(t, err)
		t.Cleanup(func() { check(t, s.Close()) })
		var subject webhooktest.Subject
		first, _, err := s.EnsureFirst(t.Context())
		check(t, err)
		second, err := s.Accounts().Create(t.Context(), 0, store.Account{Name: "other", Active: true})
		check(t, err)
		subject.Accounts = [2]id.ID{first.ID, second.ID}
		for i := range subject.Connections {
			c := connection.NewIPConnection()
			c.ConnectionName = "pbx"
			made, err := s.IPConnections().Create(t.Context(), first.ID, c)
			check(t, err)
			subject.Connections[i] = made.ID
		}
		with := func(s *sqlstore.Store) webhooktest.Subject {
			subject := subject
			subject.Outbox, subject.Log = s.Webhooks(), s.Webhooks()
			return subject
		}
		subject.PutEndpoint = func(e webhook.Endpoint) { sqlstore.PutEndpoint(t, s, e) }
		subject.DeleteEndpoint = func(account, endpoint id.ID) {
			_, err := s.WebhookEndpoints().Delete(context.Background(), account, endpoint)
			check(t, err)
		}
		subject.Reopen = func() webhooktest.Subject {
			check(t, s.Close())
			s, err = sqlstore.Open(t.Context(), config)
			check(t, err)
			return with(s)
		}
		return with(s)
	})
}
