package sqlstore_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tollgate/tollgate/internal/store"
)

// TestReportOfOldRecords has a record of before the columns of the caller's number
// beside one of a caller without a number: neither has a source, and they are one row.
func TestReportOfOldRecords(t *testing.T) {
	onBoth(t, func(t *testing.T, l *ledgerRows) {
		l.fill(t)
		account, _, err := l.EnsureFirst(t.Context())
		check(t, err)
		q := store.ReportQuery{ToMicros: 1 << 62, Number: 1, Size: 10, Metrics: []string{"attempted"},
			Dimensions: []string{"source_country_code", "source_tn_type", "is_local_calling"}}
		expect := func(want ...store.ReportRow) {
			t.Helper()
			page, err := l.UsageReport(t.Context(), account.ID, q)
			check(t, err)
			if diff := cmp.Diff(want, page.Items); diff != "" || page.Total != len(want) {
				t.Errorf("report of %d rows (-want +got):\n%s", page.Total, diff)
			}
		}
		expect(store.ReportRow{Dimensions: []any{"US", "fixed_line_or_mobile", true}, Metrics: []any{int64(2)}})
		l.exec("UPDATE call_records SET source_country = '', source_number_type = ''")
		l.exec("UPDATE call_records SET source_country = NULL, source_number_type = NULL WHERE id = $1", l.ended[:])
		expect(store.ReportRow{Dimensions: []any{nil, nil, false}, Metrics: []any{int64(2)}})
		old, err := l.Record(t.Context(), account.ID, l.ended)
		check(t, err)
		if old.HasSource || old.SourceCountry != 0 || old.Caller == 0 {
			t.Errorf("old record %+v", old)
		}
	})
}
