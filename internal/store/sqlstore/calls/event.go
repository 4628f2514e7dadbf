package calls

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"

	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/store"
	"github.com/tollgate/tollgate/internal/store/sqlstore/listing"
	"github.com/tollgate/tollgate/internal/store/sqlstore/table"
)

// eventTime is the column that has the time of a kind of event. A time of 0 is none.
var eventTime = map[store.EventKind]string{
	store.EventInitiated: "started_at",
	store.EventAnswered:  "answered_at",
	store.EventHangup:    "ended_at",
	store.EventCost:      "ended_at",
}

// CallEvents implements store.Reports.
func (c *Calls) CallEvents(ctx context.Context, account id.ID,
	q store.EventQuery) (collection.Page[store.CallEvent], error) {
	page := collection.Page[store.CallEvent]{Items: []store.CallEvent{}}
	events, args, err := eventText(account, &q)
	if err != nil {
		return page, fmt.Errorf("list call events: %w", err)
	}
	if events == "" {
		return page, nil
	}
	err = c.db.ReadLedger(ctx, account, func(tx table.Querier) error {
		if err := tx.QueryRowContext(ctx, "SELECT COUNT(*) FROM ("+events+") AS e", args...).Scan(&page.Total); err != nil {
			return err
		}
		text := fmt.Sprintf(`SELECT e.kind, e.at, %s FROM (%s ORDER BY at, call_id, kind LIMIT %d OFFSET %d) AS e
			JOIN call_records ON account_id = $1 AND id = e.call_id ORDER BY e.at, e.call_id, e.kind`,
			table.Records.Names(), events, q.Size, q.Skip)
		return table.Query(ctx, tx, func(rows *sql.Rows) error {
			var event store.CallEvent
			var err error
			event.Call, err = table.Records.Scan(func(into ...any) error {
				return rows.Scan(append([]any{&event.Kind, &event.AtMicros}, into...)...)
			})
			page.Items = append(page.Items, event)
			return err
		}, text, args...)
	})
	if err != nil {
		return collection.Page[store.CallEvent]{}, fmt.Errorf("list call events: %w", table.Unavailable(err))
	}
	return page, nil
}

// eventText is one SELECT for each kind of event, put together.
func eventText(account id.ID, q *store.EventQuery) (string, []any, error) {
	if q.Size < 1 || q.Size > listing.MaxPageSize || q.Skip < 0 {
		return "", nil, fmt.Errorf("%w: a page of %d after %d", collection.ErrBadValue, q.Size, q.Skip)
	}
	l := listing.Table{Name: "call_records", Fields: recordFields}
	where, args, err := l.Where(account, q.Filters)
	if err != nil {
		return "", nil, err
	}
	if q.Connections != nil {
		where += " AND connection_id IN (" + listing.IDs(q.Connections) + ")"
	}
	args = append(args, q.FromMicros, q.ToMicros)
	var parts []string
	for kind := store.EventInitiated; kind <= store.EventCost; kind++ {
		if len(q.Kinds) > 0 && !slices.Contains(q.Kinds, kind) {
			continue
		}
		at := eventTime[kind]
		// No event is after the end of its call, by which there is an index.
		part := fmt.Sprintf("SELECT %d AS kind, %s AS at, id AS call_id FROM call_records WHERE %s AND ended_at >= $%d AND "+
			"%s <> 0 AND %s >= $%d AND %s < $%d",
			kind, at, where, len(args)-1, at, at, len(args)-1, at, len(args))
		if kind == store.EventCost {
			part += " AND answered_at <> 0"
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, " UNION ALL "), args, nil
}
