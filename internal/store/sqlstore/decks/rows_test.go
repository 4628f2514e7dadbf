package decks

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tollgate/tollgate/internal/rating"
)

// FuzzChunk reads whatever may be in a damaged file: it is read and written back alike,
// or refused.
func FuzzChunk(f *testing.F) {
	f.Add(encodeChunk([]rating.Row{
		{Prefix: "1", Rate: rating.Rate{PerMinute: 1, FirstIncrement: 1, Increment: 1}, Description: "North America"},
		{Prefix: "1212", Rate: rating.Rate{PerMinute: 1, FirstIncrement: 1, Increment: 1},
			EffectiveAt: time.UnixMicro(5).UTC(), Line: 7},
	}))
	f.Add([]byte{2, 2, 0})
	f.Fuzz(func(t *testing.T, body []byte) {
		rows, err := decodeChunk(body)
		if err != nil {
			return
		}
		again, err := decodeChunk(encodeChunk(rows))
		if err != nil || !cmp.Equal(rows, again) {
			t.Errorf("%v; %s", err, cmp.Diff(rows, again))
		}
	})
}
