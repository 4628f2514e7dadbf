package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/store"
	"github.com/tollgate/tollgate/internal/store/sqlstore/database"
	"github.com/tollgate/tollgate/internal/store/sqlstore/table"
)

func ledgerReportNoun() *noun[store.LedgerReport, uuid.UUID] {
	type T = store.LedgerReport
	return &noun[T, uuid.UUID]{
		name: "ledger billing group report", table: "ledger_reports", fresh: store.NewLedgerReport,
		indexes: []table.Index{{On: "created_at"}}, outlives: true,
	}
}

// LedgerReports is one of Collections.
func (s *Store) LedgerReports() collection.Of[store.LedgerReport, uuid.UUID] {
	return &documents[store.LedgerReport, uuid.UUID]{store: s, noun: ledgerReportNoun()}
}

// pruneLedgerReports deletes the reports that are past their time.
func pruneLedgerReports(ctx context.Context, tx *database.Tx, now time.Time) error {
	return tx.Exec(ctx, "DELETE FROM ledger_reports WHERE created_at < $1", now.Add(-store.LedgerReportKept).UnixMicro())
}

// RecordsWholeSince implements store.Reports.
func (s *Store) RecordsWholeSince(ctx context.Context, account id.ID) (record.Day, error) {
	var day record.Day
	err := s.db.Read(ctx, account, func(tx table.Querier) error {
		return tx.QueryRowContext(ctx, "SELECT before_day FROM record_sweeps WHERE account_id = $1",
			int64(account)).Scan(&day)
	})
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, fmt.Errorf("read from when records are whole: %w", table.Unavailable(err))
	}
	return day, nil
}
