package outbox

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/store"
	"github.com/tollgate/tollgate/internal/store/sqlstore/database"
	"github.com/tollgate/tollgate/internal/store/sqlstore/ledger"
	"github.com/tollgate/tollgate/internal/webhook"
)

// Tell writes an event in the transaction of its cause, if any endpoint wants it.
func (o *Outbox) Tell(ctx context.Context, tx *ledger.Tx, account, connection id.ID, kind string,
	make func(key uuid.UUID) (webhook.Event, error)) error {
	if !wanted(tx.Snapshot, account, connection, kind) {
		return nil
	}
	e, err := newEvent(make)
	if err != nil {
		return fmt.Errorf("make event %s: %w", kind, err)
	}
	_, err = o.put(ctx, tx, o.db.Now(), []webhook.Event{e})
	return err
}

// Announce publishes the event of a write of configuration, in its transaction.
func (o *Outbox) Announce(ctx context.Context, tx *ledger.Tx, c webhook.Change) error {
	c.At = o.db.Now()
	return o.Tell(ctx, tx, c.Account, 0, webhook.ConfigurationChanged, c.Event)
}

// wanted reports whether any endpoint wants an event. Without listeners it costs a look
// into one or two maps.
func wanted(s *policy.Snapshot, account, connection id.ID, kind string) bool {
	if account == 0 || !s.Listens(account, connection) {
		return false
	}
	e := webhook.Event{AccountID: account, ConnectionID: connection, Type: kind}
	found := false
	s.Webhooks(account, connection, func(endpoint *webhook.Endpoint) bool {
		found = endpoint.Wants(&e)
		return !found
	})
	return found
}

func newEvent(make func(key uuid.UUID) (webhook.Event, error)) (webhook.Event, error) {
	key, err := uuid.NewV7()
	if err != nil {
		return webhook.Event{}, err
	}
	e, err := make(key)
	if err != nil {
		return webhook.Event{}, err
	}
	return e, e.Validate()
}

// mail is the rows of a publication, and what it does to the accounts' queues.
type mail struct {
	events, deliveries []any
	made               []uuid.UUID
	queues             map[id.ID]*queue
}

type queue struct{ pending, added, refused int64 }

// put writes events, and a pending delivery of each for every endpoint that
// wants it, as far as the account's queue has room. The events are valid.
func (o *Outbox) put(ctx context.Context, tx *ledger.Tx, now time.Time, events []webhook.Event) ([]uuid.UUID, error) {
	m := &mail{queues: make(map[id.ID]*queue)}
	if err := o.lockQueues(ctx, tx, events); err != nil {
		return nil, fmt.Errorf("publish events: %w", err)
	}
	for i := range events {
		if err := o.address(ctx, tx, m, now, &events[i]); err != nil {
			return nil, err
		}
	}
	err := tx.Insert(ctx,
		"INSERT INTO webhook_events (id, account_id, connection_id, type, occurred_at, made_at, payload) VALUES ", 7,
		m.events)
	if err == nil {
		err = tx.Insert(ctx, `INSERT INTO webhook_deliveries
			(id, account_id, endpoint_id, event_id, event_type, state, created_at, next_at, ready_at, leased, claim, attempts) VALUES `, 12, m.deliveries)
	}
	for account, q := range m.queues {
		if err == nil {
			err = count(ctx, tx, account, q.added, q.refused)
		}
		if q.refused > 0 && q.pending < store.MaxWebhookQueue {
			o.db.Log.Warn("webhook queue is full; deliveries are refused and counted", "account", account.String(), "limit",
				store.MaxWebhookQueue)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("publish events: %w", err)
	}
	tx.Mailed = tx.Mailed || len(m.made) > 0
	return m.made, nil
}

// lockQueues keeps the queues of the accounts of events from other nodes, so that
// none grows beyond its limit. They are locked in the order of their ids, after all
// other locks, and a transaction that counts a queue down has the configuration to itself.
func (o *Outbox) lockQueues(ctx context.Context, tx *ledger.Tx, events []webhook.Event) error {
	if o.db.Kind == database.File {
		return nil // there is one writer
	}
	accounts := make([]id.ID, 0, len(events))
	for i := range events {
		if e := &events[i]; wanted(tx.Snapshot, e.AccountID, e.ConnectionID, e.Type) {
			accounts = append(accounts, e.AccountID)
		}
	}
	slices.Sort(accounts)
	for _, account := range slices.Compact(accounts) {
		err := tx.Exec(ctx, `INSERT INTO webhook_queues (account_id, pending, refused) VALUES ($1, 0, 0)
			ON CONFLICT (account_id) DO UPDATE SET pending = webhook_queues.pending`, int64(account))
		if err != nil {
			return err
		}
	}
	return nil
}

// address makes the rows of one event.
func (o *Outbox) address(ctx context.Context, tx *ledger.Tx, m *mail, now time.Time, e *webhook.Event) error {
	q := m.queues[e.AccountID]
	if q == nil {
		q = &queue{}
		err := tx.QueryRowContext(ctx, "SELECT pending FROM webhook_queues WHERE account_id = $1",
			int64(e.AccountID)).Scan(&q.pending)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		m.queues[e.AccountID] = q
	}
	before := len(m.made)
	var failed error
	tx.Snapshot.Webhooks(e.AccountID, e.ConnectionID, func(endpoint *webhook.Endpoint) bool {
		if !endpoint.Wants(e) {
			return true
		}
		if q.pending+q.added >= store.MaxWebhookQueue {
			q.refused++
			return true
		}
		key, err := uuid.NewV7()
		if failed = err; err != nil {
			return false
		}
		q.added++
		m.made = append(m.made, key)
		m.deliveries = appendDelivery(m.deliveries, key, e, endpoint.ID, now)
		return true
	})
	if failed == nil && len(m.made) > before {
		m.events = appendEvent(m.events, e, now)
	}
	return failed
}

func appendEvent(args []any, e *webhook.Event, now time.Time) []any {
	return append(args, e.ID[:], int64(e.AccountID), int64(e.ConnectionID), e.Type, e.OccurredAt.UnixMicro(),
		now.UnixMicro(), string(e.Payload))
}

func appendDelivery(args []any, key uuid.UUID, e *webhook.Event, endpoint id.ID, now time.Time) []any {
	at := now.UnixMicro()
	return append(args, key[:], int64(e.AccountID), int64(endpoint), e.ID[:], e.Type, string(webhook.Pending), at, at, at,
		int64(0), int64(0), int64(0))
}

// count changes the numbers of an account's queue.
func count(ctx context.Context, tx *ledger.Tx, account id.ID, pending, refused int64) error {
	if pending == 0 && refused == 0 {
		return nil
	}
	return tx.Exec(ctx, `INSERT INTO webhook_queues (account_id, pending, refused) VALUES ($1, $2, $3)
		ON CONFLICT (account_id) DO UPDATE
		SET pending = webhook_queues.pending + excluded.pending, refused = webhook_queues.refused + excluded.refused`,
		int64(account), pending, refused)
}
