package sqlstore

import (
	"cmp"
	"slices"
	"time"

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

// encodeChunk writes each row as what differs from the row before: how many
// leading digits they share and the other digits, and the numbers of its rate and
// its description, each of which is written out where it first occurs.
func encodeChunk(rows []rating.Row) []byte {
	e := table.Encoder{Out: make([]byte, 0, 12*len(rows))}
	rates := make(map[rating.Rate]int64)
	descriptions := make(map[string]int64)
	e.Int(table.ChunkForm)
	e.Int(int64(len(rows)))
	previous := ""
	for i := range rows {
		row := &rows[i]
		shared := 0
		for shared < len(previous) && shared < len(row.Prefix) && previous[shared] == row.Prefix[shared] {
			shared++
		}
		e.Int(int64(shared))
		e.Text(row.Prefix[shared:])
		previous = row.Prefix

		rate, known := rates[row.Rate]
		if !known {
			rate = int64(len(rates))
			rates[row.Rate] = rate
		}
		e.Int(rate)
		if !known {
			e.Rate(row.Rate)
		}
		description, known := descriptions[row.Description]
		if !known {
			description = int64(len(descriptions))
			descriptions[row.Description] = description
		}
		e.Int(description)
		if !known {
			e.Text(row.Description)
		}
		e.Bool(!row.EffectiveAt.IsZero())
		if !row.EffectiveAt.IsZero() {
			e.Int(row.EffectiveAt.UnixMicro())
		}
		e.Int(int64(row.Line))
	}
	return e.Out
}

// decodeChunk reads what encodeChunk wrote.
func decodeChunk(body []byte) ([]rating.Row, error) {
	d := table.NewDecoder(body, table.ChunkForm)
	rows := make([]rating.Row, 0, d.Count())
	var rates []rating.Rate
	var descriptions []string
	previous := ""
	for range cap(rows) {
		var row rating.Row
		shared := d.Int()
		suffix := d.Text()
		if shared < 0 || shared > int64(len(previous)) {
			d.Bad = true
		}
		if d.Bad {
			break
		}
		row.Prefix = previous[:shared] + suffix
		previous = row.Prefix
		if n := d.Int(); n == int64(len(rates)) {
			rates = append(rates, d.Rate())
			row.Rate = rates[n]
		} else if n >= 0 && n < int64(len(rates)) {
			row.Rate = rates[n]
		} else {
			d.Bad = true
		}
		if n := d.Int(); n == int64(len(descriptions)) {
			descriptions = append(descriptions, d.Text())
			row.Description = descriptions[n]
		} else if n >= 0 && n < int64(len(descriptions)) {
			row.Description = descriptions[n]
		} else {
			d.Bad = true
		}
		if d.Bool() {
			row.EffectiveAt = time.UnixMicro(d.Int()).UTC()
		}
		row.Line = int(d.Int())
		rows = append(rows, row)
	}
	return rows, d.Finish("rows of a rate deck")
}
