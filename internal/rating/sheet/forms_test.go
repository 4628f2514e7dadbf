package sheet_test

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/xuri/excelize/v2"
	"golang.org/x/text/encoding/unicode"

	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/rating"
	"github.com/tollgate/tollgate/internal/rating/sheet"
)

// prices are rows as short as a table needs: prefix, price, fee, increments, from when.
func prices(rows []rating.Row) string {
	var all []string
	for _, r := range rows {
		text := fmt.Sprintf("%s %v", r.Prefix, r.Rate.PerMinute)
		if r.Rate.ConnectFee != 0 {
			text += fmt.Sprintf("+%v", r.Rate.ConnectFee)
		}
		if r.Rate.FirstIncrement != 60 || r.Rate.Increment != 60 {
			text += fmt.Sprintf(" %d/%d", r.Rate.FirstIncrement, r.Rate.Increment)
		}
		if !r.EffectiveAt.IsZero() {
			text += " " + r.EffectiveAt.Format("2006-01-02T15:04")
		}
		all = append(all, text)
	}
	return strings.Join(all, "; ")
}

// outcome is what reading a file came to: its prices, or the first thing that is wrong.
func outcome(text string, options sheet.Options) string {
	options.Now = now
	s, errs, err := sheet.Read(strings.NewReader(text), options)
	switch {
	case len(errs) > 0:
		return "refused: " + errs[0].Error()
	case err != nil:
		return "refused: " + err.Error()
	}
	return prices(s.Rows)
}

// TestTermsAreNotLost has columns that change what a call costs, or whether it may be made. Each is read or refused by
// its name.
func TestTermsAreNotLost(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		// Rows that are no prices.
		{"prefix,rate,Change\n234805,0.1,Closed\n234,0.09,Unchanged\n", "234 0.09"},
		{"prefix,rate,status\n882,0.01,Blocked\n1,0.01,Active\n", "1 0.01"},
		{"prefix,rate,Action\n44,0.01,Code Removal\n1,0.01,New\n", "1 0.01"},
		{"prefix,rate,status\n44,0.01,deleted\n1,0.01,-3.5%\n", "1 0.01"},
		{"prefix,rate,Forbidden,Discontinued\n53,0.9,1,0\n1,0.01,0,0\n7,0.1,,1\n", "1 0.01"},
		{"prefix,rate,enabled\n44,0.01,0\n1,0.01,1\n", "1 0.01"},
		{"prefix,rate,active\n44,,false\n1,0.01,true\n", "1 0.01"},
		{"prefix,rate,reject calls\n44,0.01,t\n1,0.01,f\n", "1 0.01"},
		{"prefix,rate,estado\n34,0.01,bloqueado\n1,0.01,activo\n", "1 0.01"},
		{"prefix,rate,status\n44,0.01,perhaps\n", `refused: line 2, column "status", value "perhaps"`},
		{"prefix,rate,enabled\n44,0.01,perhaps\n", `refused: line 2, column "enabled", value "perhaps"`},
		{"prefix,rate,end date\n44,0.01,2026-02-01\n1,0.01,\n", "1 0.01"},
		{"prefix,rate,stopdate\n44,0.01,2099-01-01 00:00:00\n", "44 0.01"},
		{"prefix,rate,valid to\n44,0.01,2026-06-01\n", "refused: line 2, column \"valid to\""},
		{"prefix,rate,status\n44,0.01,Closed\n", "refused: read rate deck: file has no rows with prices below its header " +
			"line: all 1"},
		// Increments under their many names.
		{"prefix,rate,Pulse\n44,0.01,1/1\n", "44 0.01 1/1"},
		{"prefix,rate,Rounding\n44,0.01,60+6\n", "44 0.01 60/6"},
		{"prefix,rate,Min.,Inc.\n960,1.5,180,60\n", "960 1.50 180/60"},
		{"prefix,rate,Initial,Next\n960,1.5,180,60\n", "960 1.50 180/60"},
		{"prefix,rate,1st,Nth\n960,1.5,30,6\n", "960 1.50 30/6"},
		{"code,duration,increment,rate\n1934226,6,6,0.007\n", "1934226 0.007 6/6"},
		{"prefix,rate,initblock,billingblock\n44,0.01,30,6\n", "44 0.01 30/6"},
		{"prefix,rate,connect_increment,talk_increment\n44,0.01,30 sec,6s\n", "44 0.01 30/6"},
		{"prefix,rate,Taktung\n49,0.01,60/1\n", "49 0.01 60/1"},
		{"prefix,rate,billing\n44,0.01,60/1/1\n", "refused: line 2, column \"billing\""},
		{"prefix,rate,billing\n44,0.01,30-Jun\n", "refused: line 2, column \"billing\""},
		// Amounts beside the price.
		{"prefix,rate,Setup\n44,0.01,0.02\n", "44 0.01+0.02"},
		{"prefix,rate,VAT %\n44,0.01,20\n", "refused: line 2, column \"VAT %\""},
		{"prefix,rate,VAT %\n44,0.01,0\n1,0.01,0.00%\n7,0.01,\n", "44 0.01; 1 0.01; 7 0.01"},
		{"prefix,rate,Discount\n44,0.01,10%\n", "refused: line 2, column \"Discount\""},
		{"prefix,rate,free seconds\n91,0.25,15\n", "refused: line 2, column \"free seconds\""},
		{"prefix,rate,grace period\n91,0.25,0\n", "91 0.25"},
		{"prefix,rate,unit\n44,0.0003,sec\n", "refused: line 2, column \"unit\""},
		{"prefix,rate,unit\n44,0.01,min\n1,0.01,per minute\n7,0.1,60s\n", "44 0.01; 1 0.01; 7 0.10"},
		{"prefix,rate,CCY\n44,0.01,EUR\n", "refused: line 2, column \"CCY\", value \"EUR\""},
		{"prefix,initial_rate,next_rate\n44,0.01,0.01\n", "44 0.01"},
		{"prefix,initial_rate,next_rate\n44,0.05,0.01\n", "refused: line 2, column \"initial_rate\""},
		{"prefix,rate,price\n44,0.01,0.02\n", "refused: line 2, column \"price\""},
		{"prefix,rate,price\n44,0.01,0.01\n", "44 0.01"},
		{"dialprefix,destination,rateinitial,buyrate,connectcharge,disconnectcharge\n44,UK,0.02,0.01,0,0\n", "44 0.02"},
		// What only a person can say.
		{"prefix,rate,days,from,to\n44,0.01,Sat-Sun,00:00,24:00\n",
			`refused: read rate deck: not the header line of a rate ` +
				`deck: the meaning of "days", "from", "to" is not known`},
		{"prefix,rate,time class\n44,0.01,Weekend\n", "refused: read rate deck: not the header line"},
		{"prefix,rate,date\n44,0.01,2030-01-01\n", "refused: read rate deck: not the header line"},
		{"prefix,rate,\n44,0.01,x\n", "refused: line 2: column 3 has \"x\" and no name"},
		{"prefix,rate,\n44,0.01,\n", "44 0.01"},
		// Codes.
		{"Country Code,Code,Rate\n355,4,0.11\n355,42,0.12\n54,11,0.02\n", "3554 0.11; 35542 0.12; 5411 0.02"},
		{"Country Code,Code,Rate\n355,355,0.11\n54,5411,0.02\n", "355 0.11; 5411 0.02"},
		{"Country Code,Code,Rate\n7,7727,0.11\n7,495,0.02\n", "refused: read rate deck: file can be read in two ways"},
		{"Peru Lima,Country Code,Prefix,Rate\nx,51,1,0.004\n", "refused: read rate deck: not the header line"},
		{"Country,Country Code,Prefix,Rate\nPeru,51,1,0.004\n", "refused: line 2, column \"Prefix\", value \"1\": the " +
			"prefix does " +
			"not begin with the country code 51"},
		{"Country,Country Code,Prefix,Rate\nUK,GB,44,0.004\n", "44 0.004"},
		{"country code,ndc,rate,area code\n49,152,0.03,\n", "49152 0.03"},
		{"country code,area code,rate\n44,\"20, 161\",0.03\n", "4420 0.03; 44161 0.03"},
		{"Code,Rate\n+20,0.1290\n201,0.0045\n", "refused: line 3, column \"Code\", value \"201\""},
		{"Code,Rate\n+44,0.1290\n1876,0.2\n", "44 0.129; 1876 0.20"},
		{"prefix,rate\n9370;9371,0.2\n", "9370 0.20; 9371 0.20"},
		{"prefix,rate\n44 7700-7799,0.2\n", "4477 0.20"},
		{"prefix,rate\n447700-447712,0.2\n", "44770 0.20; 447710 0.20; 447711 0.20; 447712 0.20"},
		{"prefix,rate\n1-876,0.2\n", "1876 0.20"},
		{"prefix,rate\n44-47,0.2\n", "refused: line 2, column \"prefix\""},
		{"prefix,rate\n7-10,0.2\n", "refused: line 2, column \"prefix\""},
		{"prefix,rate\n355-4,0.2\n", "refused: line 2, column \"prefix\""},
		{"country code,area code,rate\n44,20-161,0.03\n", "refused: line 2, column \"area code\""},
		{"prefix,rate\n447799-447700,0.2\n", "refused: line 2, column \"prefix\""},
		// Prices.
		{"prefix;rate\n44;0,0123\n1;0,01\n", "44 0.0123; 1 0.01"},
		{"prefix;rate\n44;0,0123\n1;0.01\n", "refused: line 2, column \"rate\", value \"0,0123\""},
		{"prefix;rate\n44;1,234\n", "refused: line 2, column \"rate\", value \"1,234\": the comma may be"},
		{"prefix,rate\n44,.0123\n1,9.5E-03\n7,USD 0.02\n8,0.012300000000000001\n", "44 0.0123; 1 0.0095; 7 0.02; 8 0.0123"},
		{"prefix,rate\n44,0.0123 EUR\n", "refused: line 2, column \"rate\""},
		{"prefix,rate per second\n44,0.0003\n", "refused: line 1: the line"},
		// Dates.
		{"prefix,rate,effective\n44,0.01,16/09/2026\n1,0.01,03/04/2026\n",
			"44 0.01 2026-09-16T00:00; 1 0.01 2026-04-03T00:00"},
		{"prefix,rate,effective\n44,0.01,8/16/2026\n1,0.01,3/4/2026\n", "44 0.01 2026-08-16T00:00; 1 0.01 2026-03-04T00:00"},
		{"prefix,rate,effective\n44,0.01,16/09/2026\n1,0.01,09/16/2026\n", "refused: line 3, column \"effective\""},
		{"prefix,rate,effective\n44,0.01,3/4/2026\n", "refused: line 2, column \"effective\", value \"3/4/2026\": day and " +
			"month may"},
		{"prefix,rate,effective\n44,0.01,2026-03-01 00:00:00\n1,0.01,16.09.2026\n7,0.1,1-Sep-2026\n",
			"44 0.01 2026-03-01T00:00; 1 0.01 2026-09-16T00:00; 7 0.10 2026-09-01T00:00"},
		// Rows that are there twice.
		{"prefix,rate\n44,0.01\n44,0.01\n", "44 0.01"},
		{"prefix,rate\n44,0.01\n44,0.02\n", "refused: line 3, column \"prefix\", value \"44\": line 2 has the same prefix"},
		// Lines outside the table.
		{"Acme Wholesale\nIssue date:,16/09/2026\n\nprefix,rate\n44,0.01\n\"Subject to change, without notice.\"\n",
			"44 0.01"},
		{"Acme Wholesale\nAll rates in EUR\nprefix,rate\n44,0.01\n",
			"refused: line 2: the line \"All rates in EUR\" outside the table"},
		{"Billing 60/60\nprefix,rate\n44,0.01\n", "refused: line 1: the line"},
		{"prefix,rate\n44,0.01\nRates exclude VAT\n", "refused: line 3: the line \"Rates exclude VAT\""},
	} {
		if got := outcome(c.text, sheet.Options{}); got != c.want && !(strings.HasPrefix(c.want, "refused: ") &&
			strings.HasPrefix(got, c.want)) {
			t.Errorf("%s\ngot  %s\nwant %s", c.text, got, c.want)
		}
	}
}

// TestAnswers gives the answers that refusals ask for.
func TestAnswers(t *testing.T) {
	columns := func(text string) sheet.Options {
		m, err := sheet.ReadMapping(text)
		if err != nil {
			t.Fatal(err)
		}
		return sheet.Options{Columns: m}
	}
	for _, c := range []struct {
		text    string
		options sheet.Options
		want    string
	}{
		{"prefix,rate,days\n44,0.01,Mon-Sun\n", columns(`{"days":"ignore"}`), "44 0.01"},
		{"prefix,rate,date\n44,0.01,2030-01-01\n", columns(`{"Date":"effective_at"}`), "44 0.01 2030-01-01T00:00"},
		{"prefix,rate,unit\n44,0.0003,sec\n", columns(`{"rate":"rate_per_second","unit":"ignore"}`), "44 0.018"},
		{"npanxx,interstate,intrastate\n1201555,0.01,0.02\n", columns(
			`{"npanxx":"prefix","interstate":"rate","intrastate":"ignore"}`),
			"1201555 0.01"},
		{"Country Code,Code,Rate\n7,7727,0.11\n7,495,0.02\n", columns(`{"Code":"area_code"}`), "77727 0.11; 7495 0.02"},
		{"Vorwahl,Preis,Zuschlag\n49,0.01,0\n", columns(`{"Zuschlag":"zero"}`), "49 0.01"},
		{"Code,Rate\n+20,0.1290\n201,0.0045\n", sheet.Options{BareCodes: "nanp"}, "20 0.129; 1201 0.0045"},
		{"Code,Rate\n+20,0.1290\n201,0.0045\n", sheet.Options{BareCodes: "international"}, "20 0.129; 201 0.0045"},
		{"prefix;rate\n44;1,234\n", sheet.Options{Decimal: "comma"}, "44 1.234"},
		{"prefix,rate,effective\n44,0.01,3/4/2026\n", sheet.Options{Dates: "mdy"}, "44 0.01 2026-03-04T00:00"},
		{"prefix,rate,effective\n44,0.01,3/4/2026\n", sheet.Options{Dates: "dmy"}, "44 0.01 2026-04-03T00:00"},
		{"All rates in EUR\nprefix,rate\n44,0.01\n", sheet.Options{IgnoreNotes: true}, "44 0.01"},
	} {
		if got := outcome(c.text, c.options); got != c.want {
			t.Errorf("%s\ngot  %s\nwant %s", c.text, got, c.want)
		}
	}
	for _, bad := range []string{"", "x", "[]", `{"a":"no such"}`, `{"a":"unknown"}`, `{"a":1}`} {
		if _, err := sheet.ReadMapping(bad); err == nil {
			t.Errorf("mapping %q was taken", bad)
		}
	}
}

// zipped is a zip archive of files by their names.
func zipped(t *testing.T, files map[string]string) string {
	t.Helper()
	var out bytes.Buffer
	archive := zip.NewWriter(&out)
	for name, text := range files {
		w, err := archive.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = w.Write([]byte(text))
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func gzipped(text string) string {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, _ = w.Write([]byte(text))
	_ = w.Close()
	return out.String()
}

// workbook is an xlsx of sheets by their names.
func workbook(t *testing.T, sheets map[string][][]any) string {
	t.Helper()
	file := excelize.NewFile()
	defer file.Close()
	for name, rows := range sheets {
		if _, err := file.NewSheet(name); err != nil {
			t.Fatal(err)
		}
		for i, row := range rows {
			if err := file.SetSheetRow(name, "A"+strconv.Itoa(i+1), &row); err != nil {
				t.Fatal(err)
			}
		}
	}
	var out bytes.Buffer
	if err := file.Write(&out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func utf16(t *testing.T, order unicode.Endianness, bom unicode.BOMPolicy, text string) string {
	t.Helper()
	out, err := unicode.UTF16(order, bom).NewEncoder().String(text)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestFormsOfFiles has one sheet in every form in which it may come.
func TestFormsOfFiles(t *testing.T) {
	const text, want = "prefix,rate\n44,0.0123\n1,0.01\n", "44 0.0123; 1 0.01"
	rows := [][]any{{"prefix", "rate"}, {"44", 0.0123}, {1, 0.01}}
	for name, file := range map[string]string{
		"text": text, "byte order mark": "\ufeff" + text, "CRLF": strings.ReplaceAll(text, "\n", "\r\n"),
		"CR": strings.ReplaceAll(text, "\n", "\r"), "semicolons": strings.ReplaceAll(text, ",", ";"),
		"tabs": strings.ReplaceAll(text, ",", "\t"), "bars": strings.ReplaceAll(text, ",", "|"),
		"sep=": "sep=;\n" + strings.ReplaceAll(text, ",", ";"), "blank lines": "\n\n" + text + "\n\n",
		"UTF-16LE": utf16(t, unicode.LittleEndian, unicode.UseBOM, text), "UTF-16BE": utf16(t, unicode.BigEndian,
			unicode.UseBOM, text),
		"UTF-16LE without mark": utf16(t, unicode.LittleEndian, unicode.IgnoreBOM, text),
		"trailing commas":       "prefix,rate\n44,0.0123,\n1,0.01,,\n",
		"gzip":                  gzipped(text), "zip": zipped(t, map[string]string{"rates.csv": text}),
		"zip of macOS": zipped(t, map[string]string{"rates.csv": text, "__MACOSX/._rates.csv": "x", ".DS_Store": "x"}),
		"xlsx":         workbook(t, map[string][][]any{"Rates": rows}),
		"xlsx in gzip": gzipped(workbook(t, map[string][][]any{"Rates": rows})),
		"xlsx with notes": workbook(t, map[string][][]any{"Notes": {{"Dear customer"}}, "Rates": append([][]any{{"Acme"}, {}},
			rows...)}),
	} {
		if got := outcome(file, sheet.Options{}); got != want {
			t.Errorf("%s: %s", name, got)
		}
	}
	for name, c := range map[string]struct{ file, want string }{
		"xls":         {"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + strings.Repeat("\x00", 600), "xls"},
		"PDF":         {"%PDF-1.4\n", "PDF"},
		"HTML":        {"<!DOCTYPE html><html></html>", "HTML"},
		"zip of two":  {zipped(t, map[string]string{"a.csv": text, "b.csv": text}), "2 files"},
		"zip in zip":  {zipped(t, map[string]string{"a.zip": zipped(t, map[string]string{"a.csv": text})}), "zip"},
		"no zip":      {"PK\x03\x04 and more", "zip"},
		"no gzip":     {"\x1f\x8b and more", "gzip"},
		"broken xlsx": {zipped(t, map[string]string{"xl/workbook.xml": "<workbook/>"}), "xlsx"},
		"two sheets":  {workbook(t, map[string][][]any{"A": rows, "B": rows}), `"A"`},
		"binary":      {"prefix,rate\n44,0.01\n1,0.\x0001\n", "byte of zero"},
		"gzip bomb":   {gzipped("prefix,rate\n" + strings.Repeat("44,0.01\n", 1<<20)), "too large"},
		"zip bomb": {zipped(t, map[string]string{"a.csv": "prefix,rate\n" + strings.Repeat("44,0.01\n", 1<<20)}),
			"too large"},
		"xlsx bomb":     {zipped(t, map[string]string{"xl/workbook.xml": strings.Repeat(" ", 32<<20)}), "xlsx"},
		"OpenDocument":  {zipped(t, map[string]string{"content.xml": "<x/>", "mimetype": "x"}), "OpenDocument"},
		"no such sheet": {workbook(t, map[string][][]any{"A": {{"x"}, {"y"}}}), "no column"},
	} {
		if got := outcome(c.file, sheet.Options{Limits: sheet.Limits{MaxBytes: 4 << 20}}); !strings.HasPrefix(got,
			"refused: ") ||
			!strings.Contains(got, c.want) {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// TestWorkbookCells has cells as Excel keeps them: numbers, dates, texts.
func TestWorkbookCells(t *testing.T) {
	day := time.Date(2026, 9, 3, 0, 0, 0, 0, time.UTC)
	file := workbook(t, map[string][][]any{
		"A": {{"Destination", "Dial Code", "Rate", "Effective Date", "Billing"}, {"UK", 44, 0.0123, day, "60/1"},
			{"Egypt", "20", "0.10", "2026-09-04", 30}},
		"B": {{"prefix", "rate"}, {"7", 1}},
	})
	want := "44 0.0123 60/1 2026-09-03T00:00; 20 0.10 30/30 2026-09-04T00:00"
	if got := outcome(file, sheet.Options{Sheet: "A"}); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := outcome(file, sheet.Options{Sheet: "C"}); !strings.Contains(got, `no sheet "C"`) {
		t.Error(got)
	}
}

// TestReport has what an answer tells of a file.
func TestReport(t *testing.T) {
	text := "Acme\nCountry;Prefix;Rate;Status;Notes\nCuba;53;0,9;Blocked;x\nUSA;1;0,01;;\nUSA;1;0,01;;\n"
	s, errs, err := sheet.Read(strings.NewReader(text), sheet.Options{Now: now})
	if err != nil || len(errs) > 0 {
		t.Fatal(errs, err)
	}
	s.Rows = nil
	want := &sheet.Sheet{Format: "text", Encoding: "UTF-8", Separator: ";", Header: 2,
		Columns: []sheet.Column{{"Country", "description"}, {"Prefix", "prefix"}, {"Rate", "rate"}, {"Status", "status"},
			{"Notes", "ignore"}},
		Skipped: []sheet.Skipped{{3, "53", `Status is "Blocked"`}}, AllSkipped: 1, Repeated: 1,
		Notes: []sheet.Note{{1, "Acme"}}}
	if diff := cmp.Diff(want, s, cmp.FilterPath(func(p cmp.Path) bool {
		return p.Last().String() == ".closer" || p.Last().String() == ".from1904"
	}, cmp.Ignore())); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestRandomSheets writes prices in random forms, and reads what was written.
func TestRandomSheets(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 7))
	pick := func(words ...string) string { return words[random.IntN(len(words))] }
	for range 2000 {
		separator, decimal := pick(";", "\t", "|"), pick(".", ",")
		split, plus, both := random.IntN(3) == 0, random.IntN(2) == 0, random.IntN(2) == 0
		header := []string{pick("Prefix", "Dial Code", "Código", "Vorwahl"), pick("Rate", "Price/min", "USD/Minute",
			"Precio"),
			pick("Destination", "Country", "Zone")}
		if split {
			header[0] = pick("Country Code", "CC") + separator + pick("Area Code", "City Code", "NDC")
		}
		if both {
			header = append(header, pick("Billing", "Pulse", "Increments"))
		} else {
			header = append(header, pick("Initial", "Min.", "1st Interval"), pick("Next", "Inc.", "Nth"))
		}
		lines := []string{strings.Join(header, separator)}
		var want []rating.Row
		for i := range 1 + random.IntN(5) {
			country, area := pick("44", "49", "1", "355"), strconv.Itoa(20+i)
			row := rating.Row{Prefix: country + area, Rate: rating.Rate{PerMinute: money.Amount(random.Int64N(9_000_000_000)),
				FirstIncrement: 1 + random.Int32N(120), Increment: 1 + random.Int32N(60)}}
			price := row.Rate.PerMinute.String()
			if decimal == "," { // with all decimals, so that no comma may be taken for a thousands one
				price = strings.Replace(fmt.Sprintf("%d.%09d", row.Rate.PerMinute/1e9, row.Rate.PerMinute%1e9), ".", ",", 1)
			}
			code := country + area
			switch {
			case split:
				code = country + separator + area
			case plus:
				code = "+" + code
			}
			increments := fmt.Sprintf("%d%s%d", row.Rate.FirstIncrement, separator, row.Rate.Increment)
			if both {
				increments = fmt.Sprintf("%d%s%d", row.Rate.FirstIncrement, pick("/", "+", ":"), row.Rate.Increment)
			}
			lines = append(lines, strings.Join([]string{code, pick("", "$", "USD ") + price, "Somewhere", increments},
				separator))
			want = append(want, row)
		}
		text := strings.Join(lines, pick("\n", "\r\n", "\r"))
		if got := outcome(text, sheet.Options{}); got != prices(want) {
			t.Fatalf("%s\ngot  %s\nwant %s", text, got, prices(want))
		}
	}
}
