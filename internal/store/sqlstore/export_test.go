package sqlstore

import (
	"database/sql"
	"strings"
	"testing"

	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/store/sqlstore/database"
	"github.com/tollgate/tollgate/internal/store/sqlstore/table"
	"github.com/tollgate/tollgate/internal/webhook"
)

// PutEndpoint writes an endpoint as it is given, without an event of that.
func PutEndpoint(t testing.TB, s *Store, e webhook.Endpoint) {
	t.Helper()
	check(t, s.db.Write(t.Context(), e.AccountID, func(tx *database.Tx) error {
		n := webhookEndpointNoun()
		known, err := table.Exists(t.Context(), tx, "SELECT 1 FROM webhook_endpoints WHERE id = $1", int64(e.ID))
		if err != nil {
			return err
		}
		return n.write(t.Context(), tx, &e, !known)
	}))
}

// SweepWebhooks is what a tick does once a day.
func SweepWebhooks(t testing.TB, s *Store) {
	t.Helper()
	check(t, s.outbox.Sweep(t.Context()))
}

// CountBoth counts the records of a profile as lists do and row by row, in one and
// the same state of the database.
func CountBoth(t testing.TB, s *Store, account, profile id.ID) (asListed, oneByOne int) {
	t.Helper()
	check(t, s.db.ReadLedger(t.Context(), account, func(tx table.Querier) error {
		const where = "account_id = $1 AND profile_id = $2"
		found, err := s.CountRecords(t.Context(), tx, account, where, []any{int64(account), int64(profile)})
		if err != nil {
			return err
		}
		asListed = found.Total
		return tx.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM call_records WHERE "+where, int64(account),
			int64(profile)).Scan(&oneByOne)
	}))
	return asListed, oneByOne
}

// Plans returns the statements for which the connection of a node's writer has kept
// a plan, and the plans, as they are: none is made for this.
func Plans(t testing.TB, s *Store) map[string]string {
	t.Helper()
	plans := make(map[string]string)
	check(t, s.db.Write(t.Context(), table.EveryAccount, func(tx *database.Tx) error {
		if err := tx.Exec(t.Context(),
			"SET LOCAL plan_cache_mode = force_generic_plan; SET LOCAL enable_seqscan = off"); err != nil {
			return err
		}
		explain := make(map[string]string)
		err := table.Query(t.Context(), tx, func(rows *sql.Rows) error {
			var statement, name string
			var parameters int
			err := rows.Scan(&statement, &name, &parameters)
			explain[statement] = "EXPLAIN EXECUTE \"" + name + "\""
			if parameters > 0 {
				explain[statement] += "(NULL" + strings.Repeat(", NULL", parameters-1) + ")"
			}
			return err
		}, "SELECT statement, name, cardinality(parameter_types) FROM pg_prepared_statements WHERE generic_plans > 0")
		for statement, text := range explain {
			if err != nil {
				break
			}
			err = table.Query(t.Context(), tx, func(rows *sql.Rows) error {
				var line string
				err := rows.Scan(&line)
				plans[statement] += line + "\n"
				return err
			}, text)
		}
		return err
	}))
	return plans
}

// Lookups counts the statements by which a node's writer has looked for leases of
// calls that were named.
func Lookups(t testing.TB, s *Store) int {
	t.Helper()
	return executed(t, s, "SELECT "+table.LeaseColumns+" FROM leases WHERE id = ANY($1)")
}

// TurnLock is what nodes take turns by.
const TurnLock int64 = 0x746f6c6c67617466

// Turns counts the turns that a node's writer has taken.
func Turns(t testing.TB, s *Store) int {
	t.Helper()
	return executed(t, s, "SELECT pg_advisory_lock($1)")
}

// executed counts how often a statement was carried out by a kept plan.
func executed(t testing.TB, s *Store, statement string) (n int) {
	t.Helper()
	check(t, s.db.Write(t.Context(), table.EveryAccount, func(tx *database.Tx) error {
		return tx.QueryRowContext(t.Context(),
			"SELECT COALESCE(SUM(generic_plans), 0) FROM pg_prepared_statements WHERE statement = $1", statement).Scan(&n)
	}))
	return n
}

// DeleteRecordsBeforeTomorrow deletes all records of the first account.
func DeleteRecordsBeforeTomorrow(t testing.TB, s *Store) int {
	t.Helper()
	first, _, err := s.EnsureFirst(t.Context())
	check(t, err)
	n, err := s.DeleteRecords(t.Context(), first.ID, record.DayOf(s.config.Clock().UnixMicro())+1)
	check(t, err)
	return n
}

// Forge runs a statement that forgets to name the account, in the name of one, as a
// query with a mistake would: by the way of reads and by that of writes.
func Forge(t testing.TB, s *Store, account id.ID, count, change string) (seen, changed int64) {
	t.Helper()
	check(t, s.db.Read(t.Context(), account, func(tx table.Querier) error {
		return tx.QueryRowContext(t.Context(), count).Scan(&seen)
	}))
	check(t, s.db.Write(t.Context(), account, func(tx *database.Tx) error {
		result, err := tx.ExecContext(t.Context(), change)
		if err != nil {
			return err
		}
		changed, err = result.RowsAffected()
		return err
	}))
	return seen, changed
}
