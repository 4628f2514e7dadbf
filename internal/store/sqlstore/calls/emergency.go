package calls

import (
	"context"
	"fmt"

	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/store"
	"github.com/tollgate/tollgate/internal/store/sqlstore/table"
)

// EmergencyDays implements store.Reports.
func (c *Calls) EmergencyDays(ctx context.Context, account id.ID,
	q store.EmergencyQuery) (collection.Page[store.EmergencyDay], error) {
	page := collection.Page[store.EmergencyDay]{Items: []store.EmergencyDay{}}
	where := "WHERE account_id = $1 AND day >= $2 AND day <= $3" +
		" AND (CAST($4 AS BIGINT) = 0 OR connection_id = $4)"
	args := []any{int64(account), int64(q.From), int64(q.To), int64(q.Connection)}
	err := c.db.ReadLedger(ctx, account, func(tx table.Querier) error {
		err := tx.QueryRowContext(ctx, "SELECT COUNT(*) FROM emergency_days "+where, args...).Scan(&page.Total)
		if err != nil {
			return err
		}
		return table.Emergencies.Each(ctx, tx, func(r *table.EmergencyRow) {
			page.Items = append(page.Items, store.EmergencyDay{EmergencyKey: r.EmergencyKey, EmergencyDay: r.EmergencyDay})
		}, fmt.Sprintf("%s ORDER BY day DESC, connection_id LIMIT %d OFFSET %d", where,
			q.Size, int64(max(1, q.Number)-1)*int64(q.Size)), args...)
	})
	if err != nil {
		return collection.Page[store.EmergencyDay]{}, fmt.Errorf("list the days of emergency calls: %w",
			table.Unavailable(err))
	}
	return page, nil
}
