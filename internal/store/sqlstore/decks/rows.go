package decks

import (
	"cmp"
	"slices"
	"time"

	"github.com/tollgate/tollgate/internal/packed"
	"github.com/tollgate/tollgate/internal/rating"
	"github.com/tollgate/tollgate/internal/store/sqlstore/table"
)

// chunkRows is how many rows of a deck are kept in one value: some 80 kB, which
// is a page of rows read in a millisecond, and 500,000 rows written in 50 inserts.
const chunkRows = 10_000

// orderRows copies rows in prefix order, and within a prefix by time. Times are
// cut to what is stored, so that a deck compiles alike before and after.
func orderRows(rows []rating.Row) []rating.Row {
	ordered := slices.Clone(rows)
	for i := range ordered {
		if at := &ordered[i].EffectiveAt; !at.IsZero() {
			*at = time.UnixMicro(at.UnixMicro()).UTC()
		}
	}
	slices.SortStableFunc(ordered, func(a, b rating.Row) int {
		return cmp.Or(cmp.Compare(a.Prefix, b.Prefix), a.EffectiveAt.Compare(b.EffectiveAt))
	})
	return ordered
}

// encodeRows makes the chunks of ordered rows.
func encodeRows(ordered []rating.Row) (chunks [][]byte) {
	for chunk := range slices.Chunk(ordered, chunkRows) {
		chunks = append(chunks, encodeChunk(chunk))
	}
	return chunks
}

// chunk is some rows, each written as what differs from the row before: how many leading
// digits they share and the other digits, and the numbers of its rate and its
// description, each of which is written out where it first occurs.
type chunk struct {
	rows         []rating.Row
	previous     string
	rates        dictionary[rating.Rate]
	descriptions dictionary[string]
}

// dictionary numbers values in the order in which they first occur.
type dictionary[T comparable] struct {
	values  []T
	numbers map[T]int64 // when it is written
}

func (d *dictionary[T]) pack(c *packed.Coder, value *T, code func(*packed.Coder, *T)) {
	number, known := d.numbers[*value]
	if !known {
		number = int64(len(d.values))
	}
	packed.Ints(c, &number)
	switch {
	case number < 0 || number > int64(len(d.values)):
		c.Fail()
	case number < int64(len(d.values)):
		*value = d.values[number]
	default:
		code(c, value)
		d.values = append(d.values, *value)
		if !c.Reading() {
			d.numbers[*value] = number
		}
	}
}

func encodeChunk(rows []rating.Row) []byte {
	k := &chunk{rows: rows}
	k.rates.numbers = make(map[rating.Rate]int64)
	k.descriptions.numbers = make(map[string]int64)
	return packed.Append(make([]byte, 0, 12*len(rows)), table.ChunkForm, k, packChunk)
}

// decodeChunk reads what encodeChunk wrote.
func decodeChunk(body []byte) ([]rating.Row, error) {
	k := &chunk{}
	err := packed.Read(body, table.ChunkForm, "rows of a rate deck", k, packChunk)
	return k.rows, err
}

func packChunk(c *packed.Coder, k *chunk) {
	packed.List(c, &k.rows, func(c *packed.Coder, row *rating.Row) { k.packRow(c, row) })
}

func (k *chunk) packRow(c *packed.Coder, row *rating.Row) {
	k.packPrefix(c, &row.Prefix)
	k.rates.pack(c, &row.Rate, table.PackRate)
	k.descriptions.pack(c, &row.Description, (*packed.Coder).Text)
	dated, at := !row.EffectiveAt.IsZero(), int64(0)
	c.Bools(&dated)
	if dated {
		if !c.Reading() {
			at = row.EffectiveAt.UnixMicro()
		}
		packed.Ints(c, &at)
		row.EffectiveAt = time.UnixMicro(at).UTC()
	}
	packed.Ints(c, &row.Line)
}

func (k *chunk) packPrefix(c *packed.Coder, prefix *string) {
	shared := 0
	for shared < len(k.previous) && shared < len(*prefix) && k.previous[shared] == (*prefix)[shared] {
		shared++
	}
	own := (*prefix)[shared:]
	packed.Ints(c, &shared)
	c.Text(&own)
	if shared < 0 || shared > len(k.previous) {
		c.Fail()
		return
	}
	if c.Reading() {
		*prefix = k.previous[:shared] + own
	}
	k.previous = *prefix
}
