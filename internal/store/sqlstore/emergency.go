package sqlstore

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/store"
)

// Emergency calls are counted in emergency_days, to which every change is added: no
// decision depends on what was posted there, so that nothing has to be read first.

const (
	emergencyColumns = "account_id, connection_id, day, started, ended, billed_secs, posted"
	addEmergencies   = ` ON CONFLICT (account_id, connection_id, day) DO UPDATE
		SET started = emergency_days.started + excluded.started, ended = emergency_days.ended + excluded.ended,
			billed_secs = emergency_days.billed_secs + excluded.billed_secs, posted = emergency_days.posted + excluded.posted`
)

var insertEmergencies = insertInto("emergency_days", emergencyColumns,
	"BIGINT, BIGINT, BIGINT, BIGINT, BIGINT, BIGINT, BIGINT", addEmergencies)

// sortedEmergencies is the order in which days are written, the same on every node, so
// that two of them never wait for each other.
func sortedEmergencies(days map[admission.EmergencyKey]admission.EmergencyDay) []admission.EmergencyKey {
	return slices.SortedFunc(maps.Keys(days), func(x, y admission.EmergencyKey) int {
		return cmp.Or(cmp.Compare(x.Account, y.Account), cmp.Compare(x.Connection, y.Connection), cmp.Compare(x.Day, y.Day))
	})
}

func appendEmergencies(values []any, key admission.EmergencyKey, d admission.EmergencyDay) []any {
	return append(values, int64(key.Account), int64(key.Connection), int64(key.Day), d.Started, d.Ended, d.BilledSecs,
		int64(d.Posted))
}

func scanEmergencies(scan func(...any) error) (key admission.EmergencyKey, d admission.EmergencyDay, err error) {
	err = scan(&key.Account, &key.Connection, &key.Day, &d.Started, &d.Ended, &d.BilledSecs, &d.Posted)
	return key, d, err
}

// loadStarted reads how many emergency calls of each connection have started since a day.
func loadStarted(ctx context.Context, q querier, since record.Day) (map[admission.EmergencyKey]int64, error) {
	started := make(map[admission.EmergencyKey]int64)
	err := query(ctx, q, func(rows *sql.Rows) error {
		key, day, err := scanEmergencies(rows.Scan)
		started[key] = day.Started
		return err
	}, "SELECT "+emergencyColumns+" FROM emergency_days WHERE day >= $1", int64(since))
	return started, err
}

// queueEmergencies reads what is to be known of the connections from which a Reserve is
// an emergency call, under their locks.
func (g *ledgerGroup) queueEmergencies(b *pgx.Batch) {
	if len(g.urgent) == 0 {
		return
	}
	b.Queue("SELECT connection_id, COUNT(*) FROM leases WHERE connection_id = ANY($1) AND emergency "+
		"GROUP BY connection_id", g.urgent).
		Query(func(rows pgx.Rows) error {
			for rows.Next() {
				var connection, n int64
				if err := rows.Scan(&connection, &n); err != nil {
					return err
				}
				g.part.Urgent[id.ID(connection)] = int32(n)
			}
			return rows.Err()
		})
	b.Queue("SELECT "+emergencyColumns+" FROM emergency_days WHERE connection_id = ANY($1) AND day >= $2", g.urgent,
		int64(record.DayOf(g.now))).
		Query(func(rows pgx.Rows) error {
			for rows.Next() {
				key, day, err := scanEmergencies(rows.Scan)
				if err != nil {
					return err
				}
				g.part.Started[key] = day.Started
			}
			return rows.Err()
		})
}

// EmergencyDays implements store.Reports.
func (s *Store) EmergencyDays(ctx context.Context, account id.ID,
	q store.EmergencyQuery) (store.Page[store.EmergencyDay], error) {
	page := store.Page[store.EmergencyDay]{Items: []store.EmergencyDay{}}
	where := "FROM emergency_days WHERE account_id = $1 AND day >= $2 AND day <= $3" +
		" AND (CAST($4 AS BIGINT) = 0 OR connection_id = $4)"
	args := []any{int64(account), int64(q.From), int64(q.To), int64(q.Connection)}
	err := s.readingLedger(ctx, account, func(tx querier) error {
		if err := tx.QueryRowContext(ctx, "SELECT COUNT(*) "+where, args...).Scan(&page.Total); err != nil {
			return err
		}
		return query(ctx, tx, func(rows *sql.Rows) error {
			key, day, err := scanEmergencies(rows.Scan)
			page.Items = append(page.Items, store.EmergencyDay{EmergencyKey: key, EmergencyDay: day})
			return err
		}, fmt.Sprintf("SELECT %s %s ORDER BY day DESC, connection_id LIMIT %d OFFSET %d", emergencyColumns, where,
			q.Size, int64(max(1, q.Number)-1)*int64(q.Size)), args...)
	})
	if err != nil {
		return store.Page[store.EmergencyDay]{}, fmt.Errorf("list the days of emergency calls: %w", unavailable(err))
	}
	return page, nil
}

// warnOfEmergencies logs for the operator what the customer is told by webhook.
func (t *txn) warnOfEmergencies(e *admission.Event) {
	t.store.log.Warn("a connection has started unusually many emergency calls", "account", e.Account.String(),
		"connection", e.Connection.String(), "day", e.Day.String(),
		"calls", e.Count, "threshold", e.Threshold)
}
