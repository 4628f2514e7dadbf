package rating_test

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

	"github.com/tollgate/tollgate/internal/rating"
)

var update = flag.Bool("update", false, "write the .want files of testdata anew")

// describe writes what ReadCSV returned, one row or error to a line.
func describe(rows []rating.Row, _ rating.Report, errs []rating.RowError, err error) string {
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

// TestReadCSVFiles reads each file of testdata and compares with the .want file
// beside it.
func TestReadCSVFiles(t *testing.T) {
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
			got := describe(rating.ReadCSV(iotest.OneByteReader(bytes.NewReader(text)), rating.Options{}))
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

func TestReadCSVHeaderNames(t *testing.T) {
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
		got := describe(rating.ReadCSV(strings.NewReader(test.header+"\n"+test.row+"\n"), rating.Options{}))
		want := "row 2: " + test.want + ", \"\"\n"
		if got != want {
			t.Errorf("%s\ngot  %swant %s", test.header, got, want)
		}
	}
}

// TestReadCSVRefusesHeaders has the names that look like a price per minute, or
// like a term of it, and are something else.
func TestReadCSVRefusesHeaders(t *testing.T) {
	headers := []string{
		"prefix,rate (sec)", "prefix,rate/sec", "prefix,rate per second", "prefix,rate (cents)", "prefix,rate EUR",
		"prefix,rate,rate change", "prefix,rate,inter,intra", "prefix,rate,minimum charge", "prefix,rate,surcharge rule",
		"prefix,rate,billing increment rule", "prefix,rate,interval,next interval", "npa,nxx,rate", "prefix,",
		"prefix,rate,effective date,start date", "prefix,rate,connect fee,setup fee", "country code,rate",
	}
	for _, header := range headers {
		row := strings.Repeat("1,", strings.Count(header, ",")) + "1"
		rows, _, errs, err := rating.ReadCSV(strings.NewReader(header+"\n"+row+"\n"), rating.Options{})
		if !errors.Is(err, rating.ErrHeader) {
			t.Errorf("%s: rows %v, errors %v, %v; want %v", header, rows, errs, err, rating.ErrHeader)
		}
	}
}

func TestReadCSVLimits(t *testing.T) {
	const file = "prefix,rate,name\n1,0.01,abc\n2,0.01,abc\n3,0.01,abc\n"
	tests := []struct {
		name   string
		file   string
		limits rating.Limits
		want   string
	}{
		{"bytes", file, rating.Limits{MaxBytes: int64(len(file)) - 1},
			"error: read rate deck after line 3, of at most 49 bytes: file is too large\n"},
		{"one row of bytes", "prefix,rate,name\n1,0.01,\"" + strings.Repeat("a\n", 1<<20), rating.Limits{},
			"error: read rate deck after line 0, of at most 67108864 bytes: file is too large: a row has more than 1048576 " +
				"bytes; is a quote left open?\n"},
		{"header of commas", strings.Repeat(",", 2<<20), rating.Limits{},
			"error: read rate deck after line 0, of at most 67108864 bytes: file is too large: a row has more than 1048576 " +
				"bytes; is a quote left open?\n"},
		{"rows", file, rating.Limits{MaxRows: 2}, "error: read rate deck: file has too many rows: more than 2\n"},
		{"field", file, rating.Limits{MaxFieldBytes: 3},
			"line 2, column \"rate\", value \"0.01\": the field has 4 bytes: want at most 3\n" +
				"line 3, column \"rate\", value \"0.01\": the field has 4 bytes: want at most 3\n" +
				"line 4, column \"rate\", value \"0.01\": the field has 4 bytes: want at most 3\n"},
		{"errors", "prefix,rate\n1,x\n1,0.01\n1,0.02\n1,0.03\n", rating.Limits{MaxErrors: 2},
			"line 2, column \"rate\", value \"x\": want an amount of dollars such as 0.0125, without sign or unit\n" +
				"line 4, column \"prefix\", value \"1\": line 3 has the same prefix and effective date: want one price for each\n" +
				"error: file has 3 errors, of which 2 are listed\n"},
		{"long values are shortened", "prefix,rate\n1," + strings.Repeat("9", 500) + "\n", rating.Limits{},
			"line 2, column \"rate\", value \"" + strings.Repeat("9", 40) + "...\": want at most 10000.00 dollars\n"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := describe(rating.ReadCSV(strings.NewReader(test.file), rating.Options{Limits: test.limits}))
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	exact := rating.Limits{MaxBytes: int64(len(file)), MaxRows: 3, MaxFieldBytes: 4, MaxErrors: 1}
	rows, _, errs, err := rating.ReadCSV(strings.NewReader(file), rating.Options{Limits: exact})
	if len(rows) != 3 || len(errs) != 0 || err != nil {
		t.Errorf("a file just within the limits: %d rows, %v, %v", len(rows), errs, err)
	}
}

func TestReadCSVLargeFile(t *testing.T) {
	want := northAmericanRows(60_000) // over two megabytes: twice what one row may have
	rows, _, errs, err := rating.ReadCSV(strings.NewReader(encodeRows(want)), rating.Options{})
	if len(errs) > 0 || err != nil {
		t.Fatal(errs, err)
	}
	if diff := cmp.Diff(want[len(want)-3:], rows[len(rows)-3:]); diff != "" || len(rows) != len(want) {
		t.Errorf("%d rows, want %d; the last (-want +got):\n%s", len(rows), len(want), diff)
	}
}

func TestReadCSVErrorTypes(t *testing.T) {
	broken := errors.New("connection lost")
	var omitted *rating.OmittedError
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
		{"header", strings.NewReader("a,b\n"), rating.ErrHeader},
		{"no rows", strings.NewReader("prefix,rate\n"), rating.ErrNoRows},
	}
	for _, test := range tests {
		rows, _, _, err := rating.ReadCSV(test.r, rating.Options{})
		if rows != nil || !errors.Is(err, test.is) {
			t.Errorf("%s: %d rows, %v; want %v", test.name, len(rows), err, test.is)
		}
	}
	_, _, errs, err := rating.ReadCSV(strings.NewReader("prefix,rate\n"+strings.Repeat("1,x\n", 250)), rating.Options{})
	if !errors.As(err, &omitted) || omitted.Total != 250 || len(errs) != rating.DefaultMaxErrors {
		t.Errorf("250 errors: %d listed, %v", len(errs), err)
	}
}

// encodeRows writes rows as a file that ReadCSV reads back.
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

func FuzzReadCSV(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.?sv")
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		limits := rating.Limits{MaxErrors: 3, MaxRows: 50}
		rows, report, errs, err := rating.ReadCSV(bytes.NewReader(text), rating.Options{Limits: limits})
		if rows != nil && (len(errs) > 0 || err != nil) {
			t.Fatalf("%d rows beside errors %v, %v", len(rows), errs, err)
		}
		if rows == nil && len(errs) == 0 && err == nil {
			t.Fatal("neither rows nor an error")
		}
		lines := bytes.Count(text, []byte("\n")) + 1
		for _, e := range errs {
			if e.Line < 1 || e.Line > lines || e.Want == "" {
				t.Fatalf("of %d lines: %#v", lines, e)
			}
		}
		if len(errs) > limits.MaxErrors || len(rows) > limits.MaxRows {
			t.Fatalf("%d errors, %d rows: over the limits", len(errs), len(rows))
		}
		if rows == nil {
			return
		}
		checkNothingLost(t, text, rows, report)
		checkReadsBack(t, rows)
	})
}

// checkNothingLost says whether rows are a deck and, where that can be counted
// without reading quotes, whether each line with text is a row or a reported skip.
func checkNothingLost(t *testing.T, text []byte, rows []rating.Row, report rating.Report) {
	t.Helper()
	lines := bytes.Count(text, []byte("\n")) + 1
	_, err := rating.NewDeck(rows, noon)
	if err != nil {
		t.Fatalf("rows are no deck: %v", err)
	}
	known := map[int]bool{report.HeaderLine: true}
	for i, row := range rows {
		if row.Line <= report.HeaderLine || row.Line > lines || (i > 0 && row.Line < rows[i-1].Line) {
			t.Fatalf("row %d is of line %d of %d", i, row.Line, lines)
		}
		known[row.Line] = true
	}
	for _, skip := range report.Skips {
		known[skip.Line] = true
	}
	if report.Skipped > len(report.Skips) || bytes.IndexByte(text, '"') >= 0 || !isASCII(text) {
		return
	}
	number := 0
	for line := range bytes.Lines(text) {
		number++
		if len(bytes.Trim(line, " \t\r\n,;|\v\f")) > 0 && !known[number] {
			t.Fatalf("line %d is neither a row nor reported: %q", number, line)
		}
	}
}

// checkReadsBack says whether rows, written as a file, are read again as they were.
func checkReadsBack(t *testing.T, rows []rating.Row) {
	t.Helper()
	again, _, errs, err := rating.ReadCSV(strings.NewReader(encodeRows(rows)), rating.Options{})
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

func BenchmarkReadCSV500k(b *testing.B) {
	text := encodeRows(northAmericanRows(500_000))
	before := heap()
	rows, _, errs, err := rating.ReadCSV(strings.NewReader(text), rating.Options{})
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
		rows, _, _, _ = rating.ReadCSV(strings.NewReader(text), rating.Options{})
	}
	runtime.KeepAlive(rows)
	b.ReportMetric(megabytes, "heap-MB")
}

// An export that keeps a spreadsheet from taking +44 for a formula is read as it was meant.
func TestApostropheBeforeASign(t *testing.T) {
	const header = "prefix,rate,description\n"
	rows, _, errs, err := rating.ReadCSV(strings.NewReader(header+"'+44,0.01,'=London\n"), rating.Options{})
	if err != nil || len(errs) > 0 || len(rows) != 1 || rows[0].Prefix != "44" || rows[0].Description != "=London" {
		t.Errorf("%+v, %+v, %v", rows, errs, err)
	}
	rows, _, errs, err = rating.ReadCSV(strings.NewReader(header+"'45,0.02,x\n"), rating.Options{})
	if err != nil || len(errs) > 0 || len(rows) != 1 || rows[0].Prefix != "45" {
		t.Errorf("an apostrophe before a digit: %+v, %+v, %v", rows, errs, err)
	}
}

// Sheets are read as they are meant, or refused with a word that tells what to do.
func TestSheets(t *testing.T) {
	tests := []struct{ name, file, want string }{
		{"withdrawn", "prefix,rate,Status\n44,0.01,Blocked\n1,0.02,Active\n", "1 0.02 60/60"},
		{"pulse", "prefix,rate,Pulse\n44,0.01,1/1\n", "44 0.01 1/1"},
		{"plus in increments", "prefix,rate,Billing\n44,0.01,60+6\n", "44 0.01 60/6"},
		{"preamble", "Acme Ltd\nIssue:,16/09/2026\n\nprefix,rate\n44,0.01\n", "44 0.01 60/60"},
		{"sep", "sep=;\nprefix;rate\n44;0,01\n", "44 0.01 60/60"},
		{"range behind a country code", "prefix,rate\n44 7700-7799,0.01\n", "4477 0.01 60/60"},
		{"range cut through", "prefix,rate\n4408-4411,0.01\n",
			"4408 0.01 60/60; 4409 0.01 60/60; 4410 0.01 60/60; 4411 0.01 60/60"},
		{"exponent", "prefix,rate\n44,9.5E-03\n", "44 0.0095 60/60"},
		{"noise up", "prefix,rate\n44,0.0094999999999999998\n", "44 0.0095 60/60"},
		{"Spanish", "Destino;Prefijo;Precio por minuto\nPeru;51;0,02\n", "51 0.02 60/60"},
		{"German", "Ziel;Vorwahl;Preis/Min.;Taktung;Gültig ab\nPeru;51;0,02;60/1;16.09.2026\n", "51 0.02 60/1"},
		{"identical rows", "prefix,rate\n44,0.01\n44,0.01\n", "44 0.01 60/60"},
		{"day first", "prefix,rate,effective\n44,0.01,03/04/2026\n1,0.01,16/04/2026\n", "44 0.01 60/60; 1 0.01 60/60"},
		{"open order", "prefix,rate,effective\n44,0.01,03/04/2026\n", "dates=dmy"},
		{"no order", "prefix,rate,effective\n44,0.01,13/04/2026\n1,0.01,04/13/2026\n", "no order"},
		{"unknown columns", "prefix,rate,Foo,Bar\n44,0.01,1,2\n", `columns={"Foo":"zero","Bar":"zero"}`},
		{"tax", "prefix,rate,VAT %\n44,0.01,20\n", "do not have this term"},
		{"country code beside", "country,country code,code,rate\nPeru,51,1,0.01\n", "area_code"},
		{"mixed plus", "code,rate\n+20,0.1\n201,0.01\n", "plus sign"},
		{"euros", "prefix;rate\n44;0,01 EUR\n", "in EUR"},
		{"euros above", "All prices in EUR\nprefix,rate\n44,0.01\n", "decks are in USD"},
		{"thousand or decimal", "prefix;rate\n44;1,234\n", "decimal comma"},
	}
	for _, test := range tests {
		rows, _, errs, err := rating.ReadCSV(strings.NewReader(test.file), rating.Options{})
		var got []string
		for _, r := range rows {
			got = append(got, fmt.Sprintf("%s %v %d/%d", r.Prefix, r.Rate.PerMinute, r.Rate.FirstIncrement, r.Rate.Increment))
		}
		refused := fmt.Sprint(errs, err)
		if read := strings.Join(got, "; "); read != test.want && (rows != nil || !strings.Contains(refused, test.want)) {
			t.Errorf("%s: %s, %s; want %s", test.name, read, refused, test.want)
		}
	}
}
