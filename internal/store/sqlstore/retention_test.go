package sqlstore_test

import (
	"testing"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/store/sqlstore"
)

// TestAuditAfterRetention deletes records that had charges: the ledger is whole, and
// what is wrong on those days anyway is still found.
func TestAuditAfterRetention(t *testing.T) {
	onBoth(t, func(t *testing.T, l *ledgerRows) {
		l.fill(t)
		if n := sqlstore.DeleteRecordsBeforeTomorrow(t, l.Store); n != 2 {
			t.Fatalf("%d records were deleted, want 2", n)
		}
		if audit := l.audit(); len(audit.Breaches) != 0 || audit.Records != 0 {
			t.Errorf("after the records were deleted: %+v", audit)
		}
		l.exec("UPDATE spend_days SET posted = 0")
		if audit := l.audit(); audit.Broken[admission.Conservation] == 0 {
			t.Error("a live call is charged more than is posted, and the audit says nothing")
		}
	})
}
