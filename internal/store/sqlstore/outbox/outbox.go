// Package outbox keeps the events and deliveries of webhooks. The events of calls, money
// and configuration are written in the transaction of their cause; what delivers them
// claims them here, and reports what came of it.
package outbox

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/store/sqlstore/database"
	"github.com/tollgate/tollgate/internal/store/sqlstore/table"
	"github.com/tollgate/tollgate/internal/webhook"
)

// Outbox implements webhook.Outbox and store.WebhookLog.
type Outbox struct {
	db       *database.DB
	live     *policy.Live
	claiming sync.Mutex // held while deliveries are claimed
}

// New makes the outbox of a database. live is the policy, which has the endpoints.
func New(db *database.DB, live *policy.Live) *Outbox { return &Outbox{db: db, live: live} }

// Publish implements webhook.Outbox.
func (o *Outbox) Publish(ctx context.Context, now time.Time, event webhook.Event) ([]uuid.UUID, error) {
	if err := event.Validate(); err != nil {
		return nil, err
	}
	var made []uuid.UUID
	err := o.db.Write(ctx, event.AccountID, func(tx *database.Tx) error {
		known, err := table.Exists(ctx, tx, "SELECT 1 FROM webhook_events WHERE id = $1", event.ID[:])
		if err != nil || known {
			return err
		}
		if made, err = o.put(ctx, tx.Tx, now, []webhook.Event{event}); err != nil || len(made) > 0 {
			return err
		}
		// No endpoint wants it, and none that asks for it later gets it when it is repeated.
		return tx.Exec(ctx, `INSERT INTO webhook_events (id, account_id, connection_id, type, occurred_at, made_at, payload)
			VALUES ($1, $2, $3, $4, $5, $6, $7)`, appendEvent(nil, &event, now)...)
	})
	if err != nil {
		return nil, fmt.Errorf("publish event %s: %w", event.ID, err)
	}
	return made, nil
}

// waiting is an endpoint that has pending deliveries, leased ones included.
type waiting struct {
	endpoint *webhook.Endpoint
	first    int64 // when the first of them is or was ready
	next     int64 // when the first that is not ready yet will be; 0 for none
	leases   int   // those in force
}

// Claim implements webhook.Outbox. What can be claimed is looked up outside the
// writer; the writer only marks it, if nothing has become of it meanwhile.
func (o *Outbox) Claim(ctx context.Context, now time.Time,
	limits webhook.ClaimLimits) ([]webhook.Delivery, time.Time, error) {
	o.claiming.Lock() // so that two claims at once do not pass the limit of an endpoint
	defer o.claiming.Unlock()
	at := now.UnixMicro()
	var next int64
	var found []candidate
	err := o.db.Read(ctx, table.EveryAccount, func(tx table.Querier) error {
		all, err := listWaiting(ctx, tx, o.live.Snapshot(), at)
		if err != nil {
			return err
		}
		for _, w := range all {
			if w.next != 0 && (next == 0 || w.next < next) {
				next = w.next
			}
		}
		found, err = pick(ctx, tx, all, at, limits)
		return err
	})
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("claim deliveries: %w", table.Unavailable(err))
	}
	until := now.Add(limits.Lease).UnixMicro()
	claimed, err := o.lease(ctx, found, at, until, limits.PerEndpoint)
	if err != nil {
		return nil, time.Time{}, fmt.Errorf("claim deliveries: %w", err)
	}
	if len(claimed) > 0 && (next == 0 || until < next) {
		next = until
	}
	if next == 0 {
		return claimed, time.Time{}, nil
	}
	return claimed, time.UnixMicro(next).UTC(), nil
}

// listWaiting lists the enabled endpoints that have pending deliveries. It jumps
// from one endpoint to the next in the index, however long their queues are.
func listWaiting(ctx context.Context, q table.Querier, snapshot *policy.Snapshot, at int64) (all []waiting, err error) {
	err = table.Query(ctx, q, func(rows *sql.Rows) error {
		var key id.ID
		var w waiting
		var next sql.NullInt64
		if err := rows.Scan(&key, &w.first, &next, &w.leases); err != nil {
			return err
		}
		w.next = next.Int64
		if w.endpoint = snapshot.Webhook(key); w.endpoint != nil && w.endpoint.Enabled {
			all = append(all, w)
		}
		return nil
	}, `WITH RECURSIVE waiting (endpoint) AS (
			SELECT MIN(endpoint_id) FROM webhook_deliveries WHERE state = 'pending'
			UNION ALL
			SELECT (SELECT MIN(d.endpoint_id) FROM webhook_deliveries AS d WHERE d.state = 'pending' AND d.endpoint_id > waiting.endpoint)
			FROM waiting WHERE waiting.endpoint IS NOT NULL
		)
		SELECT endpoint,
			(SELECT MIN(d.ready_at) FROM webhook_deliveries AS d WHERE d.state = 'pending' AND d.endpoint_id = endpoint),
			(SELECT MIN(d.ready_at) FROM webhook_deliveries AS d WHERE d.state = 'pending' AND d.endpoint_id = endpoint AND d.ready_at > $1),
			(SELECT COUNT(*) FROM webhook_deliveries AS d WHERE d.state = 'pending' AND d.leased = 1 AND d.endpoint_id = endpoint AND d.ready_at > $1)
		FROM waiting WHERE endpoint IS NOT NULL`, at)
	return all, err
}

// candidate is a delivery that can be claimed.
type candidate struct {
	webhook.Delivery
	ready int64
}

// pick chooses what is due longest, within the limits, and reads it.
func pick(ctx context.Context, q table.Querier, all []waiting, at int64,
	limits webhook.ClaimLimits) ([]candidate, error) {
	var found []candidate
	for _, w := range all {
		room := min(limits.Total, limits.PerEndpoint-w.leases)
		if w.first > at || room <= 0 {
			continue
		}
		err := table.Query(ctx, q, func(rows *sql.Rows) error {
			c := candidate{Delivery: webhook.Delivery{Endpoint: *w.endpoint}}
			err := rows.Scan(&c.ID, &c.Claim, &c.ready)
			found = append(found, c)
			return err
		}, `SELECT id, claim, ready_at FROM webhook_deliveries
			WHERE state = 'pending' AND endpoint_id = $1 AND ready_at <= $2 ORDER BY ready_at LIMIT $3`,
			int64(w.endpoint.ID), at, room)
		if err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(found, func(a, b candidate) int { return cmp.Compare(a.ready, b.ready) })
	found = found[:min(len(found), limits.Total)]
	for i := range found {
		d := &found[i].Delivery
		var created, occurred int64
		var payload []byte
		err := q.QueryRowContext(ctx, `SELECT d.attempts, d.created_at, e.id, e.account_id, e.connection_id, e.type, e.occurred_at, e.payload
			FROM webhook_deliveries AS d JOIN webhook_events AS e ON e.id = d.event_id WHERE d.id = $1`, d.ID[:]).
			Scan(&d.Attempts, &created, &d.Event.ID, &d.Event.AccountID, &d.Event.ConnectionID, &d.Event.Type, &occurred,
				&payload)
		if err != nil {
			return nil, err
		}
		d.CreatedAt = time.UnixMicro(created).UTC()
		d.Event.OccurredAt = time.UnixMicro(occurred).UTC()
		d.Event.Payload =
			payload
	}
	return found, nil
}

// lease marks candidates as claimed until an instant, and returns those that
// no one else has claimed, ended or deleted since.
func (o *Outbox) lease(ctx context.Context, found []candidate, at, until int64,
	perEndpoint int) ([]webhook.Delivery, error) {
	if len(found) == 0 {
		return nil, nil
	}
	var claimed []webhook.Delivery
	err := o.db.Write(ctx, table.EveryAccount, func(tx *database.Tx) error {
		for i := range found {
			d := found[i].Delivery
			// Another node may have changed the endpoint.
			e := tx.Snapshot.Webhook(d.Endpoint.ID)
			if e == nil || !e.Enabled {
				continue
			}
			d.Endpoint = *e
			d.Endpoint.Events = slices.Clone(e.Events)
			// Another node may have claimed since, so the limit is looked at again.
			result, err := tx.ExecContext(ctx, `UPDATE webhook_deliveries SET leased = 1, ready_at = $1, claim = claim + 1
				WHERE id = $2 AND claim = $3 AND state = 'pending' AND ready_at <= $4
				AND (SELECT COUNT(*) FROM webhook_deliveries AS l WHERE l.state = 'pending' AND l.leased = 1
					AND l.endpoint_id = $5 AND l.ready_at > $4) < $6`,
				until, d.ID[:], d.Claim, at, int64(d.Endpoint.ID), perEndpoint)
			if err != nil {
				return err
			}
			changed, err := result.RowsAffected()
			if err != nil {
				return err
			}
			if d.Claim++; changed == 1 {
				claimed = append(claimed, d)
			}
		}
		return nil
	})
	return claimed, err
}

// held finds a delivery of which a claim is in force.
func held(ctx context.Context, tx *database.Tx, delivery uuid.UUID, claim int64) (account id.ID, err error) {
	var endpoint id.ID
	err = tx.QueryRowContext(ctx, `SELECT account_id, endpoint_id FROM webhook_deliveries
		WHERE id = $1 AND claim = $2 AND leased = 1 AND state = 'pending'`, delivery[:], claim).Scan(&account, &endpoint)
	if errors.Is(err, sql.ErrNoRows) || err == nil && tx.Snapshot.Webhook(endpoint) == nil {
		return 0, fmt.Errorf("claim %d of %s: %w", claim, delivery, webhook.ErrLeaseLost)
	}
	return account, err
}

// Report implements webhook.Outbox.
func (o *Outbox) Report(ctx context.Context, a webhook.Attempt) error {
	err := o.db.Write(ctx, table.EveryAccount, func(tx *database.Tx) error {
		account, err := held(ctx, tx, a.DeliveryID, a.Claim)
		if err != nil {
			return err
		}
		err = tx.Exec(ctx, `INSERT INTO webhook_attempts (delivery_id, number, started_at, duration_ms, status_code, url, error, response)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
			a.DeliveryID[:], a.Number, a.StartedAt.UnixMicro(), a.DurationMs, a.StatusCode, a.URL, a.Error, a.Response)
		if err != nil {
			return err
		}
		next := int64(0)
		if a.State == webhook.Pending {
			next = a.NextAt.UnixMicro()
		}
		err = tx.Exec(ctx, `UPDATE webhook_deliveries SET state = $1, next_at = $2, ready_at = $2, leased = 0, attempts = attempts + 1
			WHERE id = $3`, string(a.State), next, a.DeliveryID[:])
		if err != nil || a.State == webhook.Pending {
			return err
		}
		return count(ctx, tx.Tx, account, -1, 0)
	})
	if err != nil {
		return fmt.Errorf("report attempt: %w", err)
	}
	return nil
}

// Release implements webhook.Outbox.
func (o *Outbox) Release(ctx context.Context, delivery uuid.UUID, claim int64) error {
	err := o.db.Write(ctx, table.EveryAccount, func(tx *database.Tx) error {
		if _, err := held(ctx, tx, delivery, claim); err != nil {
			return err
		}
		return tx.Exec(ctx, "UPDATE webhook_deliveries SET leased = 0, ready_at = next_at WHERE id = $1", delivery[:])
	})
	if err != nil {
		return fmt.Errorf("release delivery: %w", err)
	}
	return nil
}
