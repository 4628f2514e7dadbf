package outbox

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/column"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/store"
	"github.com/tollgate/tollgate/internal/store/sqlstore/database"
	"github.com/tollgate/tollgate/internal/store/sqlstore/listing"
	"github.com/tollgate/tollgate/internal/store/sqlstore/table"
	"github.com/tollgate/tollgate/internal/webhook"
)

const deliveryColumns = "id, endpoint_id, event_id, event_type, state, created_at, next_at, attempts"

func scanEntry(scan func(...any) error) (webhook.Entry, error) {
	e := webhook.Entry{Attempts: []webhook.Attempt{}}
	var created, next int64
	if err := scan(&e.ID, &e.EndpointID, &e.EventID, &e.EventType, &e.State, &created, &next,
		&e.AttemptCount); err != nil {
		return webhook.Entry{}, err
	}
	e.CreatedAt = time.UnixMicro(created).UTC()
	if e.State == webhook.Pending {
		e.NextAt = time.UnixMicro(next).UTC()
	}
	return e, nil
}

// entry reads a delivery of an account, without its attempts.
func entry(ctx context.Context, q table.Querier, account id.ID, delivery uuid.UUID) (webhook.Entry, error) {
	e, err := scanEntry(q.QueryRowContext(ctx,
		"SELECT "+deliveryColumns+" FROM webhook_deliveries WHERE account_id = $1 AND id = $2",
		int64(account), delivery[:]).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return webhook.Entry{}, fmt.Errorf("%w: %w", collection.ErrNotFound, webhook.ErrNotFound)
	}
	if err != nil {
		return webhook.Entry{}, err
	}
	// The event is kept as long as its deliveries.
	var payload []byte
	var occurred int64
	err = q.QueryRowContext(ctx, "SELECT payload, occurred_at FROM webhook_events WHERE account_id = $1 AND id = $2",
		int64(account), e.EventID[:]).
		Scan(&payload, &occurred)
	e.Payload, e.OccurredAt = payload, time.UnixMicro(occurred).UTC()
	return e, err
}

const attemptColumns = "delivery_id, number, started_at, duration_ms, status_code, url, error, response"

func scanAttempt(scan func(...any) error) (webhook.Attempt, error) {
	var a webhook.Attempt
	var started int64
	err := scan(&a.DeliveryID, &a.Number, &started, &a.DurationMs, &a.StatusCode, &a.URL, &a.Error, &a.Response)
	a.StartedAt = time.UnixMicro(started).UTC()
	return a, err
}

// Entry implements webhook.Log.
func (o *Outbox) Entry(ctx context.Context, account id.ID, delivery uuid.UUID) (e webhook.Entry, err error) {
	err = o.db.Read(ctx, account, func(tx table.Querier) error {
		if e, err = entry(ctx, tx, account, delivery); err != nil {
			return err
		}
		return table.Query(ctx, tx, func(rows *sql.Rows) error {
			a, err := scanAttempt(rows.Scan)
			e.Attempts = append(e.Attempts, a)
			return err
		}, "SELECT "+attemptColumns+" FROM webhook_attempts WHERE delivery_id = $1 ORDER BY number", delivery[:])
	})
	if err != nil {
		return webhook.Entry{}, fmt.Errorf("read delivery %s: %w", delivery, table.Unavailable(err))
	}
	return e, nil
}

// Replay implements webhook.Log.
func (o *Outbox) Replay(ctx context.Context, now time.Time, account id.ID, delivery uuid.UUID) (webhook.Entry, error) {
	key, err := uuid.NewV7()
	if err != nil {
		return webhook.Entry{}, fmt.Errorf("replay delivery %s: %w", delivery, err)
	}
	var made webhook.Entry
	err = o.db.Write(ctx, account, func(tx *database.Tx) error {
		old, err := entry(ctx, tx, account, delivery)
		if err != nil {
			return err
		}
		if tx.Snapshot.Webhook(old.EndpointID) == nil { // deleted, and its deliveries soon
			return fmt.Errorf("%w: %w", collection.ErrNotFound, webhook.ErrNotFound)
		}
		full, err := table.Exists(ctx, tx, "SELECT 1 FROM webhook_queues WHERE account_id = $1 AND pending >= $2",
			int64(account), int64(store.MaxWebhookQueue))
		if err != nil {
			return err
		}
		if full {
			return fmt.Errorf("%w: %d deliveries of the account are pending", collection.ErrBusy, store.MaxWebhookQueue)
		}
		err = tx.Exec(ctx, `INSERT INTO webhook_deliveries
			(id, account_id, endpoint_id, event_id, event_type, state, created_at, next_at, ready_at, leased, claim, attempts)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
			appendDelivery(nil, key, &webhook.Event{ID: old.EventID, AccountID: account, Type: old.EventType}, old.EndpointID,
				now)...)
		if err != nil {
			return err
		}
		if made, err = entry(ctx, tx, account, key); err != nil {
			return err
		}
		tx.Mailed = true
		// It is no change of configuration, so nothing is noted for the audit.
		tx.Answer(made)
		return count(ctx, tx.Tx, account, 1, 0)
	})
	if err != nil {
		return webhook.Entry{}, fmt.Errorf("replay delivery %s: %w", delivery, err)
	}
	return made, nil
}

// Deliveries implements store.WebhookLog.
func (o *Outbox) Deliveries(ctx context.Context, account id.ID,
	q collection.Query) (collection.Page[webhook.Entry], error) {
	l := listing.Table{Name: "webhook_deliveries", Columns: deliveryColumns, Fields: map[string]listing.Field{
		"id":          {Column: "id", Kind: column.UUID},
		"endpoint_id": {Column: "endpoint_id", Kind: column.ID},
		"event_id":    {Column: "event_id", Kind: column.UUID},
		"event_type":  {Column: "event_type"},
		"state":       {Column: "state"},
		"created_at":  {Column: "created_at", Kind: column.Time},
	}}
	page := collection.Page[webhook.Entry]{Items: []webhook.Entry{}}
	err := o.db.Read(ctx, account, func(tx table.Querier) (err error) {
		page.Total, err = l.Read(ctx, tx, account, q, func(rows *sql.Rows) error {
			e, err := scanEntry(rows.Scan)
			page.Items = append(page.Items, e)
			return err
		})
		return err
	})
	if err != nil {
		return collection.Page[webhook.Entry]{}, fmt.Errorf("list webhook deliveries: %w", table.Unavailable(err))
	}
	return page, nil
}

// Queue is what waits to be delivered to the endpoints of an account.
func (o *Outbox) Queue(ctx context.Context, account id.ID) (store.WebhookQueue, error) {
	var q store.WebhookQueue
	err := o.db.Read(ctx, account, func(tx table.Querier) error {
		return tx.QueryRowContext(ctx, "SELECT pending, refused FROM webhook_queues WHERE account_id = $1", int64(account)).
			Scan(&q.Pending, &q.Refused)
	})
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return store.WebhookQueue{}, fmt.Errorf("read webhook queue: %w", table.Unavailable(err))
	}
	return q, nil
}

// How long deliveries and events are kept after they were made, and how many are
// deleted in one transaction, so that calls do not wait for it.
const (
	deliveryRetention = 7 * 24 * time.Hour
	sweepSize         = 200
)

// Sweep deletes the deliveries of endpoints that are gone, the old ones
// of the others whatever their state, and the events that have no delivery left.
func (o *Outbox) Sweep(ctx context.Context) error {
	cutoff := o.db.Clock().Add(-deliveryRetention).UnixMicro()
	var endpoints []id.ID
	err := o.db.List(ctx, table.EveryAccount, func(rows *sql.Rows) error {
		var endpoint id.ID
		err := rows.Scan(&endpoint)
		endpoints = append(endpoints, endpoint)
		return err
	}, `WITH RECURSIVE known (endpoint) AS (
			SELECT MIN(endpoint_id) FROM webhook_deliveries
			UNION ALL
			SELECT (SELECT MIN(d.endpoint_id) FROM webhook_deliveries AS d WHERE d.endpoint_id > known.endpoint)
			FROM known WHERE known.endpoint IS NOT NULL
		) SELECT endpoint FROM known WHERE endpoint IS NOT NULL`)
	if err != nil {
		return err
	}
	for _, endpoint := range endpoints {
		if err := o.sweep(ctx, func(tx *database.Tx) (int64, error) {
			return deleteDeliveries(ctx, tx, endpoint, cutoff)
		}); err != nil {
			return err
		}
	}
	return o.sweep(ctx, func(tx *database.Tx) (int64, error) {
		result, err := tx.ExecContext(ctx, `DELETE FROM webhook_events WHERE id IN (
			SELECT e.id FROM webhook_events AS e WHERE e.made_at < $1
				AND NOT EXISTS (SELECT 1 FROM webhook_deliveries AS d WHERE d.event_id = e.id)
			ORDER BY e.made_at LIMIT $2)`, cutoff, sweepSize)
		if err != nil {
			return 0, err
		}
		return result.RowsAffected()
	})
}

// sweep repeats a step in transactions of their own until it deletes nothing.
func (o *Outbox) sweep(ctx context.Context, step func(*database.Tx) (int64, error)) error {
	for {
		var gone int64
		err := o.db.Write(ctx, table.EveryAccount, func(tx *database.Tx) (err error) {
			gone, err = step(tx)
			return err
		})
		if err != nil || gone == 0 {
			return err
		}
	}
}

// deleteDeliveries deletes some deliveries of an endpoint with their attempts:
// any if the endpoint is gone, else those made before the cutoff.
func deleteDeliveries(ctx context.Context, tx *database.Tx, endpoint id.ID, cutoff int64) (int64, error) {
	if tx.Snapshot.Webhook(endpoint) == nil {
		cutoff = 1<<63 - 1
	}
	const some = "SELECT id FROM webhook_deliveries WHERE endpoint_id = $1 AND created_at < $2 ORDER BY created_at, id " +
		"LIMIT $3"
	args := []any{int64(endpoint), cutoff, int64(sweepSize)}
	pending := make(map[id.ID]int64)
	err := table.Query(ctx, tx, func(rows *sql.Rows) error {
		var account id.ID
		var n int64
		err := rows.Scan(&account, &n)
		pending[account] = n
		return err
	}, "SELECT account_id, COUNT(*) FROM webhook_deliveries WHERE state = 'pending' AND id IN ("+some+") GROUP BY "+
		"account_id", args...)
	if err != nil {
		return 0, err
	}
	for account, n := range pending {
		if err := count(ctx, tx.Tx, account, -n, 0); err != nil {
			return 0, err
		}
	}
	if err := tx.Exec(ctx, "DELETE FROM webhook_attempts WHERE delivery_id IN ("+some+")", args...); err != nil {
		return 0, err
	}
	result, err := tx.ExecContext(ctx, "DELETE FROM webhook_deliveries WHERE id IN ("+some+")", args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}
