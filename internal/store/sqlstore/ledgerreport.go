package sqlstore

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/collection"
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
