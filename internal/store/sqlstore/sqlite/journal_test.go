package sqlite

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tollgate/tollgate/internal/store/sqlstore/table"
)

// FuzzEntry reads whatever may be in a damaged file: it is read and written back
// alike, or refused.
func FuzzEntry(f *testing.F) {
	list := []table.Rows{
		{Table: leasesGone, Values: []any{int64(7)}},
		{Table: table.LeaseRows, Values: []any{int64(8), int64(1), []byte("id"), []byte{}}},
		{Table: table.CalleeRows, Values: []any{nil, true, false, "text", int64(-1)}},
	}
	f.Add(appendEntry(nil, list))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, body []byte) {
		list, err := decodeEntry(body)
		if err != nil {
			return
		}
		again, err := decodeEntry(appendEntry(nil, list))
		if diff := cmp.Diff(list, again); err != nil || diff != "" {
			t.Errorf("%v; %s", err, diff)
		}
	})
}
