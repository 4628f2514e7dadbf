package sqlite

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// FuzzEntry reads whatever may be in a damaged file: it is read and written back
// alike, or refused.
func FuzzEntry(f *testing.F) {
	list := []rows{
		{leasesGone, []any{int64(7)}},
		{leasesPut, []any{int64(8), int64(1), []byte("id"), []byte{}}},
		{calleesPut, []any{nil, true, false, "text", int64(-1)}},
	}
	f.Add(appendEntry(nil, list))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, body []byte) {
		list, err := decodeEntry(body)
		if err != nil {
			return
		}
		again, err := decodeEntry(appendEntry(nil, list))
		if diff := cmp.Diff(list, again, cmp.AllowUnexported(rows{})); err != nil || diff != "" {
			t.Errorf("%v; %s", err, diff)
		}
	})
}
