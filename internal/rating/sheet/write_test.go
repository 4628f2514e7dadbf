package sheet

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/rating"
)

// anyText is a text of characters that mean something in a CSV, a spreadsheet or a price sheet.
func anyText(r *rand.Rand) string {
	pieces := []string{",", ";", "\t", "|", `"`, "'", "\n", " ", "=", "+", "-", "@", "0", "44", "prefix", "rate", "sep=;",
		"é", "＝", "\u00a0", "\ufeff", "日本", "€", "effective", "blocked", "a", "\x01", "\\.", "#", "N/A", "1.0", "\u2028"}
	var text strings.Builder
	for range r.IntN(8) {
		text.WriteString(pieces[r.IntN(len(pieces))])
	}
	if r.IntN(50) == 0 {
		text.WriteString(strings.Repeat("=x'", 400))
	}
	return strings.Trim(strings.ToValidUTF8(text.String()[:min(text.Len(), DefaultMaxFieldBytes)], ""), " \t\r\n")
}

func anyDeck(r *rand.Rand) (rows []rating.Row) {
	seen := make(map[string]bool)
	for range 1 + r.IntN(200) {
		row := rating.Row{Prefix: fmt.Sprint(1 + r.Int64N([]int64{9, 9_999, 999_999_999_999_999}[r.IntN(3)])),
			Description: anyText(r)}
		row.Rate.PerMinute = money.Amount(r.Int64N(int64([]money.Amount{2, money.Dollar, rating.MaxPrice + 1}[r.IntN(3)])))
		row.Rate.ConnectFee = money.Amount(r.Int64N(int64([]money.Amount{1, money.Dollar}[r.IntN(2)])))
		row.Rate.FirstIncrement, row.Rate.Increment = 1+r.Int32N(rating.MaxIncrement), 1+r.Int32N(rating.MaxIncrement)
		if r.IntN(2) == 0 {
			unit := []time.Duration{time.Microsecond, time.Second, 24 * time.Hour}[r.IntN(3)]
			row.EffectiveAt = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(r.Int64N(10_000)) * unit)
		}
		if key := row.Prefix + row.EffectiveAt.String(); !seen[key] {
			seen[key] = true
			rows = append(rows, row)
		}
	}
	return rows
}

// TestWriteReadsBack: any deck that is written is read back as the same rows.
func TestWriteReadsBack(t *testing.T) {
	for seed := range uint64(500) {
		rows := anyDeck(rand.New(rand.NewPCG(seed, 1)))
		var file bytes.Buffer
		w := NewWriter(&file)
		for half := len(rows) / 2; ; half = len(rows) {
			if err := w.Write(rows[:half]); err != nil {
				t.Fatal(err)
			}
			if rows = rows[half:]; len(rows) == 0 {
				break
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		rows = anyDeck(rand.New(rand.NewPCG(seed, 1)))
		read, errs, err := Read(bytes.NewReader(file.Bytes()), Options{})
		if err != nil || len(errs) > 0 {
			t.Fatalf("seed %d: %v %v\n%s", seed, errs, err, file.Bytes())
		}
		for i := range read.Rows {
			read.Rows[i].Line = 0
		}
		if !reflect.DeepEqual(read.Rows, rows) {
			for i := range rows {
				if i >= len(read.Rows) || read.Rows[i] != rows[i] {
					t.Fatalf("seed %d: row %d of %d\n%+v\nis read as one of %d\n%+v", seed, i, len(rows), rows[i],
						len(read.Rows), read.Rows[min(i, len(read.Rows)-1)])
				}
			}
		}
	}
}
