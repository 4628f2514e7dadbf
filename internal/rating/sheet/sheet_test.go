package sheet_test

import (
	"bytes"
	"encoding/csv"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/rating"
	"github.com/tollgate/tollgate/internal/rating/sheet"
)

var update = flag.Bool("update", false, "write the .want files of testdata anew")

// now is when the files of the tests are read.
var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// read reads a file without any answers to questions.
func read(r io.Reader, limits sheet.Limits) ([]rating.Row, []sheet.RowError, error) {
	s, errs, err := sheet.Read(r, sheet.Options{Limits: limits, Now: now})
	return s.Rows, errs, err
}

// describe writes what Read returned, one row or error to a line.
func describe(rows []rating.Row, errs []sheet.RowError, err error) string {
	var out strings.Builder
	for _, r := range rows {
		fmt.Fprintf(&out, "row %d: %s %v + %v, %d/%d", r.Line, r.Prefix, r.Rate.PerMinute, r.Rate.ConnectFee,
			r.Rate.FirstIncrement, r.Rate.Increment)
		if !r.EffectiveAt.IsZero() {
			fmt.Fprintf(&out, ", from %s", r.EffectiveAt.Format(time.RFC3339))
		}
		fmt.Fprintf(&out, ", %q\n", r.Description)
	}
	for _, e := range errs {
		fmt.Fprintln(&out, e)
	}
	if err != nil {
		fmt.Fprintln(&out, "error:", err)
	}
	return out.String()
}

// TestReadFiles reads each file of testdata and compares with the .want file
// beside it.
func TestReadFiles(t *testing.T) {
	files, err := filepath.Glob("testdata/*.?sv")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files in testdata (%v)", err)
	}
	for _, name := range files {
		t.Run(filepath.Base(name), func(t *testing.T) {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			got := describe(read(iotest.OneByteReader(bytes.NewReader(text)), sheet.Limits{}))
			wantFile := strings.TrimSuffix(name, filepath.Ext(name)) + ".want"
			if *update {
				err := os.WriteFile(wantFile, []byte(got), 0o644)
				if err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(wantFile)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestReadHeaderNames(t *testing.T) {
	tests := []struct{ header, row, want string }{
		{"Code,Rate", "44,0.01", "44 0.01 + 0.00, 60/60"},
		{"DIAL_CODE,USD/min", "44,0.01", "44 0.01 + 0.00, 60/60"},
		{"dial-code,$/Min", "44,0.01", "44 0.01 + 0.00, 60/60"},
		{"Destination Prefix,Rate/Min.", "44,0.01", "44 0.01 + 0.00, 60/60"},
		{"Destination Code,Rate ($/min)", "44,0.01", "44 0.01 + 0.00, 60/60"},
		{"prefix,price_per_minute,Min Duration,Interval", "44,0.01,30,6", "44 0.01 + 0.00, 30/6"},
		{"prefix,rate,Initial Increment (secs),Next Interval (secs)", "44,0.01,30,6", "44 0.01 + 0.00, 30/6"},
		{"prefix,rate,Billing Increments", "44,0.01,30/6", "44 0.01 + 0.00, 30/6"},
		{"prefix,rate,Minimum duration in seconds,Increment/s", "44,0.01,30,6", "44 0.01 + 0.00, 30/6"},
		{"prefix,rate,Rate Center,LRN", "44,0.01,x,y", "44 0.01 + 0.00, 60/60"},
		{"prefix,rate,Increment", "44,0.01,6", "44 0.01 + 0.00, 6/6"},
		{"prefix,rate,First Interval", "44,0.01,30", "44 0.01 + 0.00, 30/30"},
		{"prefix,rate,Connect Charge", "44,0.01,0.05", "44 0.01 + 0.05, 60/60"},
		{"prefix,rate,Valid From", "44,0.01,2026-03-01", "44 0.01 + 0.00, 60/60, from 2026-03-01T00:00:00Z"},
		{"prefix,rate,Start Date", "44,0.01,2026-03-01", "44 0.01 + 0.00, 60/60, from 2026-03-01T00:00:00Z"},
	}
	for _, test := range tests {
		got := describe(read(strings.NewReader(test.header+"\n"+test.row+"\n"), sheet.Limits{}))
		want := "row 2: " + test.want + ", \"\"\n"
		if got != want {
			t.Errorf("%s\ngot  %swant %s", test.header, got, want)
		}
	}
}

// TestReadRefusesHeaders has the names that look like a price per minute, or
// like a term of it, and are something else.
func TestReadRefusesHeaders(t *testing.T) {
	headers := []string{
		"prefix,rate (sec)", "prefix,rate/sec", "prefix,rate per second", "prefix,rate (cents)", "prefix,rate EUR",
		"prefix,rate,inter,intra",
		"prefix,rate,billing increment rule", "npa,nxx,rate", "prefix,",
		"country code,rate",
	}
	for _, header := range headers {
		row := strings.Repeat("1,", strings.Count(header, ",")) + "1"
		rows, errs, err := read(strings.NewReader(header+"\n"+row+"\n"), sheet.Limits{})
		if !errors.Is(err, sheet.ErrHeader) {
			t.Errorf("%s: rows %v, errors %v, %v; want %v", header, rows, errs, err, sheet.ErrHeader)
		}
	}
}

func TestReadLimits(t *testing.T) {
	const file = "prefix,rate,name\n1,0.01,abc\n2,0.01,abc\n3,0.01,abc\n"
	tests := []struct {
		name   string
		file   string
		limits sheet.Limits
		want   string
	}{
		{"bytes", file, sheet.Limits{MaxBytes: int64(len(file)) - 1},
			"error: read rate deck after line 3, of at most 49 bytes: file is too large\n"},
		{"one row of bytes", "prefix,rate,name\n1,0.01,\"" + strings.Repeat("a\n", 1<<20), sheet.Limits{},
			"error: read rate deck after line 1, of at most 67108864 bytes: file is too large: a row has more than 1048576 " +
				"bytes; is a quote left open?\n"},
		{"header of commas", strings.Repeat(",", 2<<20), sheet.Limits{},
			"error: read rate deck after line 0, of at most 67108864 bytes: file is too large: a row has more than 1048576 " +
				"bytes; is a quote left open?\n"},
		{"columns", "prefix,rate" + strings.Repeat(",x", 1000) + "\n", sheet.Limits{},
			"error: read rate deck: not the header line of a rate deck: line 1 has 1002 columns: want at most 1000\n"},
		{"rows", file, sheet.Limits{MaxRows: 2}, "error: read rate deck: file has too many rows: more than 2\n"},
		{"field", file, sheet.Limits{MaxFieldBytes: 3},
			"line 2, column \"rate\", value \"0.01\": the field has 4 bytes: want at most 3\n" +
				"line 3, column \"rate\", value \"0.01\": the field has 4 bytes: want at most 3\n" +
				"line 4, column \"rate\", value \"0.01\": the field has 4 bytes: want at most 3\n"},
		{"errors", "prefix,rate\n1,x\n1,0.01\n1,0.02\n1,0.03\n", sheet.Limits{MaxErrors: 2},
			"line 2, column \"rate\", value \"x\": want an amount of dollars such as 0.0125, with one decimal point or comma " +
				"and no other " +
				"unit\nline 4, column \"prefix\", value \"1\": line 3 has the same prefix and effective date: want one price for " +
				"each\n" +
				"error: file has 3 errors, of which 2 are listed\n"},
		{"long values are shortened", "prefix,rate\n1," + strings.Repeat("9", 500) + "\n", sheet.Limits{},
			"line 2, column \"rate\", value \"" + strings.Repeat("9", 40) + "...\": want at most 10000.00 dollars\n"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := describe(read(strings.NewReader(test.file), test.limits))
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	exact := sheet.Limits{MaxBytes: int64(len(file)), MaxRows: 3, MaxFieldBytes: 4, MaxErrors: 1}
	rows, errs, err := read(strings.NewReader(file), exact)
	if len(rows) != 3 || len(errs) != 0 || err != nil {
		t.Errorf("a file just within the limits: %d rows, %v, %v", len(rows), errs, err)
	}
}

func TestReadLargeFile(t *testing.T) {
	want := northAmericanRows(60_000) // over two megabytes: twice what one row may have
	rows, errs, err := read(strings.NewReader(encodeRows(want)), sheet.Limits{})
	if len(errs) > 0 || err != nil {
		t.Fatal(errs, err)
	}
	if diff := cmp.Diff(want[len(want)-3:], rows[len(rows)-3:]); diff != "" || len(rows) != len(want) {
		t.Errorf("%d rows, want %d; the last (-want +got):\n%s", len(rows), len(want), diff)
	}
}

func TestReadErrorTypes(t *testing.T) {
	broken := errors.New("connection lost")
	var omitted *sheet.OmittedError
	tests := []struct {
		name string
		r    io.Reader
		is   error
	}{
		{"reader at once", iotest.ErrReader(broken), broken},
		{"reader later", io.MultiReader(strings.NewReader("prefix,rate\n1,0.01\n2,0."), iotest.ErrReader(broken)), broken},
		{"reader in quotes", io.MultiReader(strings.NewReader("prefix,rate\n1,\"0.01"), iotest.ErrReader(broken)), broken},
		{"reader far on", io.MultiReader(strings.NewReader("prefix,rate\n"+strings.Repeat("1,x\n", 1<<16)),
			iotest.ErrReader(broken)), broken},
		{"header", strings.NewReader("a,b\n"), sheet.ErrHeader},
		{"no rows", strings.NewReader("prefix,rate\n"), sheet.ErrNoRows},
	}
	for _, test := range tests {
		rows, _, err := read(test.r, sheet.Limits{})
		if rows != nil || !errors.Is(err, test.is) {
			t.Errorf("%s: %d rows, %v; want %v", test.name, len(rows), err, test.is)
		}
	}
	_, errs, err := read(strings.NewReader("prefix,rate\n"+strings.Repeat("1,x\n", 250)), sheet.Limits{})
	if !errors.As(err, &omitted) || omitted.Total != 250 || len(errs) != sheet.DefaultMaxErrors {
		t.Errorf("250 errors: %d listed, %v", len(errs), err)
	}
}

// encodeRows writes rows as a file that Read reads back.
func encodeRows(rows []rating.Row) string {
	var out strings.Builder
	w := csv.NewWriter(&out)
	_ = w.Write([]string{"prefix", "rate", "first increment", "increment", "connect fee", "description", "effective date"})
	for _, r := range rows {
		at := ""
		if !r.EffectiveAt.IsZero() {
			at = r.EffectiveAt.Format(time.RFC3339Nano)
		}
		_ = w.Write([]string{r.Prefix, r.Rate.PerMinute.String(), strconv.Itoa(int(r.Rate.FirstIncrement)),
			strconv.Itoa(int(r.Rate.Increment)), r.Rate.ConnectFee.String(), r.Description, at})
	}
	w.Flush()
	return out.String()
}

func FuzzRead(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.?sv")
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		limits := sheet.Limits{MaxErrors: 3, MaxRows: 50}
		s, errs, err := sheet.Read(bytes.NewReader(text), sheet.Options{Limits: limits, Now: now})
		if s.Rows != nil && (len(errs) > 0 || err != nil) {
			t.Fatalf("%d rows beside errors %v, %v", len(s.Rows), errs, err)
		}
		if s.Rows == nil && len(errs) == 0 && err == nil {
			t.Fatal("neither rows nor an error")
		}
		for _, e := range errs {
			if e.Line < 1 || e.Want == "" {
				t.Fatalf("%#v", e)
			}
		}
		if len(errs) > limits.MaxErrors {
			t.Fatalf("%d errors: over the limit", len(errs))
		}
		if s.Rows == nil {
			return
		}
		checkNothingLost(t, text, s)
		checkReadsBack(t, s.Rows)
	})
}

// checkNothingLost holds that rows are a deck, and, where lines can be counted without reading quotes, that each line
// with text is a price, the header, a note, a row that was skipped, or one that repeats another.
func checkNothingLost(t *testing.T, text []byte, s *sheet.Sheet) {
	t.Helper()
	if _, err := rating.NewDeck(s.Rows, now); err != nil {
		t.Fatalf("rows are no deck: %v", err)
	}
	if s.Format != "text" || s.Encoding != "UTF-8" || bytes.IndexByte(text, '"') >= 0 || !isASCII(text) ||
		bytes.HasPrefix(bytes.ToLower(text), []byte("sep=")) {
		return
	}
	known := map[int]bool{s.Header: true}
	for _, r := range s.Rows {
		known[r.Line] = true
	}
	for _, r := range s.Skipped {
		known[r.Line] = true
	}
	for _, n := range s.Notes {
		known[n.Line] = true
	}
	text = bytes.ReplaceAll(bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n")), []byte("\r"), []byte("\n"))
	lost := 0
	for i, line := range bytes.Split(text, []byte("\n")) {
		if len(bytes.Trim(line, " \t\v\f"+s.Separator)) > 0 && !known[i+1] {
			lost++
		}
	}
	if lost > s.Repeated {
		t.Fatalf("%d lines are neither prices nor reported, %d repeat others: %+v", lost, s.Repeated, s)
	}
}

// checkReadsBack reports whether rows, written as a file, are read again as they were.
func checkReadsBack(t *testing.T, rows []rating.Row) {
	t.Helper()
	again, errs, err := read(strings.NewReader(encodeRows(rows)), sheet.Limits{})
	if len(errs) > 0 || err != nil {
		t.Fatalf("rows do not read back: %v, %v", errs, err)
	}
	for i := range rows {
		rows[i].Line, again[i].Line = 0, 0
		// Encoding turns a CRLF within a field into LF.
		rows[i].Description = strings.ReplaceAll(rows[i].Description, "\r\n", "\n")
	}
	if diff := cmp.Diff(rows, again); diff != "" {
		t.Fatalf("rows read back otherwise (-first +second):\n%s", diff)
	}
}

func isASCII(text []byte) bool {
	for _, b := range text {
		if b >= 0x80 {
			return false
		}
	}
	return true
}

func BenchmarkRead500k(b *testing.B) {
	text := encodeRows(northAmericanRows(500_000))
	before := heap()
	rows, errs, err := read(strings.NewReader(text), sheet.Limits{})
	if len(rows) != 500_000 {
		b.Fatal(len(rows), errs, err)
	}
	megabytes := (heap() - before) / 1e6
	runtime.KeepAlive(rows)
	rows = nil
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		rows, _, _ = read(strings.NewReader(text), sheet.Limits{})
	}
	runtime.KeepAlive(rows)
	b.ReportMetric(megabytes, "heap-MB")
}

// An export that keeps a spreadsheet from taking +44 for a formula is read as it was meant.
func TestApostropheBeforeASign(t *testing.T) {
	const header = "prefix,rate,description\n"
	rows, errs, err := read(strings.NewReader(header+"'+44,0.01,'=London\n"), sheet.Limits{})
	if err != nil || len(errs) > 0 || len(rows) != 1 || rows[0].Prefix != "44" || rows[0].Description != "=London" {
		t.Errorf("%+v, %+v, %v", rows, errs, err)
	}
	rows, errs, err = read(strings.NewReader(header+"'45,0.02,x\n"), sheet.Limits{})
	if err != nil || len(errs) > 0 || len(rows) != 1 || rows[0].Prefix != "45" {
		t.Errorf("an apostrophe before a digit: %+v, %+v, %v", rows, errs, err)
	}
}

// northAmericanRows are as many prices, of prefixes of 7 and 8 digits in a row.
func northAmericanRows(count int) []rating.Row {
	rows := make([]rating.Row, count)
	for i := range rows {
		rows[i] = rating.Row{Prefix: strconv.Itoa(12_000_000 + i), Description: "United States, proper", Line: i + 2,
			Rate: rating.Rate{PerMinute: money.Amount(1_000_000 + i%997*1000), FirstIncrement: 6, Increment: 6}}
	}
	return rows
}

// heap is how much of it is in use, in bytes.
func heap() float64 {
	runtime.GC()
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return float64(stats.HeapAlloc)
}
