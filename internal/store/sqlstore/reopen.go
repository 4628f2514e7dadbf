package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/record"
	"github.com/tollgate/tollgate/internal/store/sqlstore/database"
	"github.com/tollgate/tollgate/internal/store/sqlstore/table"
)

// reopenCopy looks for the mark of a copy. What was spent since the copy was made is
// unknown, and so whether limits were reached: what has a limit counts as spent
// until the UTC day is over, and where after_limit is hold_until_released, until
// an operator has released it. Nothing is held where nothing is limited.
func (s *Store) reopenCopy(ctx context.Context) error {
	err := s.db.Write(ctx, table.EveryAccount, func(tx *database.Tx) error {
		var at int64
		err := tx.QueryRowContext(ctx, "SELECT at FROM copied WHERE one = 1").Scan(&at)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := s.holdEverything(ctx, tx); err != nil {
			return err
		}
		s.log.Warn("the database is a copy: what was spent since it was made is unknown, and daily limits count as reached "+
			"until 00:00 UTC or until they are released",
			"copied_at", time.UnixMicro(at).UTC(), "known", at != 0)
		return tx.Exec(ctx, "DELETE FROM copied")
	})
	if err != nil {
		return fmt.Errorf("reopen a copy: %w", err)
	}
	return nil
}

func (s *Store) holdEverything(ctx context.Context, tx *database.Tx) error {
	now := s.config.Clock().UnixMicro()
	for _, limited := range limitedTables {
		err := tx.Exec(ctx, fmt.Sprintf(`INSERT INTO spend_holds (%s)
			SELECT account_id, CAST($1 AS BIGINT), %s, CAST($2 AS BIGINT), CAST($3 AS BIGINT),
				CASE WHEN %s = 'hold_until_released' THEN 0 ELSE CAST($4 AS BIGINT) END
			FROM %s WHERE TRUE ON CONFLICT DO NOTHING`,
			table.Holds.Names(), limited.scopeID(s.dialect), s.dialect.afterLimit, limited.name),
			int64(limited.kind), int64(admission.HoldRestored), now, int64(record.DayOf(now)+1))
		if err != nil {
			return fmt.Errorf("hold %s: %w", limited.name, err)
		}
	}
	holds, err := table.LoadHolds(ctx, tx, "")
	tx.Afterwards(func(state *admission.State) { state.PutHolds(holds) })
	return err
}
