package outbox

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/column"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/store/sqlstore/listing"
	"github.com/tollgate/tollgate/internal/store/sqlstore/table"
	"github.com/tollgate/tollgate/internal/webhook"
)

// The deliveries of webhooks as Telnyx lists them. They are the rows of the delivery
// log; what is asked of their events and attempts is looked up there. The log has 7
// days, and what an account asks of it goes through its own rows alone.

const (
	ofAttempts = "FROM webhook_attempts AS a WHERE a.delivery_id = webhook_deliveries.id"
	ofEvent    = "FROM webhook_events AS e WHERE e.id = webhook_deliveries.event_id"
)

func attemptedListing() listing.Table {
	return listing.Table{Name: "webhook_deliveries", Columns: deliveryColumns, Fields: map[string]listing.Field{
		"attempted":   {Column: "attempts", Kind: column.Int},
		"created_at":  {Column: "created_at", Kind: column.Time},
		"event_id":    {Column: "event_id", Kind: column.UUID},
		"event_type":  {Within: "$%d LIKE '%%,' || event_type || ',%%'"},
		"status":      {Column: "CASE state WHEN 'delivered' THEN 'delivered' ELSE 'failed' END"},
		"started_at":  {Column: "(SELECT MIN(a.started_at) " + ofAttempts + ")", Kind: column.Time},
		"finished_at": {Column: "(SELECT MAX(a.started_at + a.duration_ms * 1000) " + ofAttempts + ")", Kind: column.Time},
		"webhook": {Within: "EXISTS (SELECT 1 " + ofEvent +
			` AND LOWER(e.type || ' ' || e.payload) LIKE $%d ESCAPE '\')`},
		"attempts": {Within: "EXISTS (SELECT 1 " + ofAttempts +
			` AND LOWER(a.url || ' ' || CAST(a.status_code AS TEXT) || ' ' || a.error || ' ' || a.response) LIKE $%d ESCAPE '\')`},
	}}
}

// Attempted implements store.WebhookLog.
func (o *Outbox) Attempted(ctx context.Context, account id.ID,
	q collection.Query) (collection.Page[webhook.Entry], error) {
	l := attemptedListing()
	q.Filters = append(slices.Clone(q.Filters),
		collection.Filter{Field: "attempted", Op: collection.AtLeast, Value: int64(1)})
	for i := range q.Filters {
		f := &q.Filters[i]
		text, _ := f.Value.(string)
		switch {
		case f.Field == "event_type":
			f.Value = "," + text + ","
		case l.Fields[f.Field].Within != "" && f.Op == collection.Contains:
			f.Op = collection.Equal
			f.Value = "%" + listing.EscapeLike(listing.LowerASCII(text)) + "%"
		}
	}
	page := collection.Page[webhook.Entry]{Items: []webhook.Entry{}}
	err := o.db.Read(ctx, account, func(tx table.Querier) (err error) {
		page.Total, err = l.Read(ctx, tx, account, q, func(rows *sql.Rows) error {
			e, err := scanEntry(rows.Scan)
			page.Items = append(page.Items, e)
			return err
		})
		if err != nil || len(page.Items) == 0 {
			return err
		}
		err = complete(ctx, tx, account, page.Items)
		// What was swept away meanwhile is left out.
		page.Items = slices.DeleteFunc(page.Items,
			func(e webhook.Entry) bool { return len(e.Attempts) == 0 || e.Payload == nil })
		return err
	})
	if err != nil {
		return collection.Page[webhook.Entry]{}, fmt.Errorf("list attempted webhooks: %w", table.Unavailable(err))
	}
	return page, nil
}

// complete reads the events and attempts of deliveries of an account.
func complete(ctx context.Context, q table.Querier, account id.ID, entries []webhook.Entry) error {
	places := make(map[uuid.UUID]int, len(entries))
	deliveries, events := make([]any, len(entries)), make([]any, len(entries))
	for i := range entries {
		e := &entries[i]
		places[e.ID] = i
		deliveries[i], events[i] = e.ID[:], e.EventID[:]
	}
	type event struct {
		payload  []byte
		occurred int64
	}
	known := make(map[uuid.UUID]event, len(entries))
	err := table.Query(ctx, q, func(rows *sql.Rows) error {
		var key uuid.UUID
		var e event
		err := rows.Scan(&key, &e.payload, &e.occurred)
		known[key] = e
		return err
	}, `SELECT id, payload, occurred_at FROM webhook_events
		WHERE account_id = $1 AND id IN (`+table.Places(2, len(events))+")",
		append([]any{int64(account)}, events...)...)
	if err != nil {
		return err
	}
	for i := range entries {
		e := known[entries[i].EventID]
		entries[i].Payload = e.payload
		entries[i].OccurredAt = time.UnixMicro(e.occurred).UTC()
	}
	return table.Query(ctx, q, func(rows *sql.Rows) error {
		a, err := scanAttempt(rows.Scan)
		if i, there := places[a.DeliveryID]; there {
			entries[i].Attempts = append(entries[i].Attempts, a)
		}
		return err
	}, "SELECT "+attemptColumns+" FROM webhook_attempts WHERE delivery_id IN ("+table.Places(1, len(deliveries))+
		") ORDER BY delivery_id, number", deliveries...)
}
