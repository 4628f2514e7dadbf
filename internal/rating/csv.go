package rating

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Increments of rows for which a file gives none: the full minute, which is
// never less than what the carrier bills.
const (
	DefaultFirstIncrement = 60
	DefaultIncrement      = 60
)

// Defaults of Limits.
const (
	// DefaultMaxBytes is over twice the largest decks that carriers send.
	DefaultMaxBytes = 64 << 20
	// DefaultMaxRows is every exchange and thousands block of North America and
	// the rest of the world beside it.
	DefaultMaxRows = 2_000_000
	// DefaultMaxFieldBytes leaves room for the longest description.
	DefaultMaxFieldBytes = 1000
	// DefaultMaxErrors is as many as a person reads before mending the file.
	DefaultMaxErrors = 100
)

// Limits bounds what ReadCSV takes from a file. A zero field means its default.
type Limits struct {
	MaxBytes      int64 // DefaultMaxBytes
	MaxRows       int   // DefaultMaxRows; rows below the header, blank ones not counted
	MaxFieldBytes int   // DefaultMaxFieldBytes; of a field without its quotes
	MaxErrors     int   // DefaultMaxErrors; how many are returned, not how many are tolerated
}

func (l Limits) withDefaults() Limits {
	return Limits{
		MaxBytes:      cmp.Or(l.MaxBytes, DefaultMaxBytes),
		MaxRows:       cmp.Or(l.MaxRows, DefaultMaxRows),
		MaxFieldBytes: cmp.Or(l.MaxFieldBytes, DefaultMaxFieldBytes),
		MaxErrors:     cmp.Or(l.MaxErrors, DefaultMaxErrors),
	}
}

// maxRowBytes bounds how much is read for one row. A record of nothing but commas
// takes forty times its size in memory, and a quote that is never closed makes
// one row of the rest of the file.
const maxRowBytes = 1 << 20

// Errors of ReadCSV that concern the whole file, beside ErrHeader. They are
// wrapped with the limit or the place.
var (
	ErrTooLarge    = errors.New("file is too large")
	ErrTooManyRows = errors.New("file has too many rows")
	ErrNoRows      = errors.New("file has no rows below its header line")
	ErrEncoding    = errors.New("file is not UTF-8 text")
)

// RowError says what is wrong in one place of a file, and what would be right.
type RowError struct {
	Line   int    // 1 is the first line of the file; blank lines and line breaks within quotes count
	Column string // the column's name as the file writes it; "" if the whole row is meant
	Value  string // what the file has there, shortened; "" if the whole row is meant
	Want   string // what is wrong and what would be accepted
}

func (e RowError) Error() string {
	if e.Column == "" {
		return fmt.Sprintf("line %d: %s", e.Line, e.Want)
	}
	return fmt.Sprintf("line %d, column %q, value %q: %s", e.Line, e.Column, e.Value, e.Want)
}

// OmittedError says that a file has more errors than Limits.MaxErrors.
type OmittedError struct {
	Kept, Total int
}

func (e *OmittedError) Error() string {
	return fmt.Sprintf("file has %d errors, of which %d are listed", e.Total, e.Kept)
}

// Options say how a file is read where it does not say so itself.
type Options struct {
	Limits  Limits
	Mapping map[string]string // from the names of columns to words of Meanings
	Dates   DateOrder
}

// DateOrder says which of day and month comes first in dates such as 03/04/2026.
type DateOrder string

// The orders of day and month. AsWritten takes the one that all dates of the
// column allow, and refuses them if both are possible.
const (
	AsWritten  DateOrder = ""
	DayFirst   DateOrder = "dmy"
	MonthFirst DateOrder = "mdy"
)

// Skip is a row that is no price, and why.
type Skip struct {
	Line int
	Text string // the prefix, or what the row says
	Why  string
}

// Report says how a file was read.
type Report struct {
	HeaderLine int
	Columns    []Column
	Skipped    int    // rows that are no price
	Skips      []Skip // the first Limits.MaxErrors of them
}

// ReadCSV reads a carrier's rate deck in dollars.
//
// The text is UTF-8, with a byte order mark or not. One of its first lines names
// the columns, whose order is free, and decides whether comma, semicolon, tab or
// bar separates fields; lines before it and a note behind the rows are skipped.
// Case, accents, spaces and punctuation of names do not matter, and the names that
// carriers and other programs commonly use are known (csv_names.go), or given by
// Options.Mapping:
//
//   - prefix: digits with "+" or not, lists and ranges; or a country code and an
//     area code column, which are joined
//   - rate per minute, with a sign for dollars or not
//   - first increment and increment in seconds, or both in one column as "30/6".
//     Where only one is given it is used for both, where none is
//     DefaultFirstIncrement and DefaultIncrement are
//   - connect fee; none is 0
//   - description
//   - effective date, as 2026-03-01, which begins at midnight UTC, or in another
//     usual form; none is always
//   - status, blocked and enabled: rows that are withdrawn are skipped
//   - currency, in which every value must be USD, unit, which must be the minute,
//     end date, which must be empty, and terms that must be 0
//
// A column that is not known is an error, as it may change the price. Rows whose
// fields are all blank are skipped.
//
// Every bad cell is in errs, ordered by line, at most Limits.MaxErrors of them. If
// there are more, err is an *OmittedError with the total. Any other err means
// that reading ended early. A file is read whole or not at all: rows is nil if
// there is any error. Otherwise NewDeck accepts the rows.
func ReadCSV(r io.Reader, o Options) (rows []Row, report Report, errs []RowError, err error) {
	f := &file{limits: o.Limits.withDefaults(), order: o.Dates, descriptions: make(map[string]string)}
	f.mapping, err = readMapping(o.Mapping)
	if err == nil {
		err = f.read(r)
	}
	slices.SortStableFunc(f.errs, func(a, b RowError) int { return cmp.Compare(a.Line, b.Line) })
	switch {
	case errors.Is(err, ErrTooLarge):
		err = fmt.Errorf("read rate deck after line %d, of at most %d bytes: %w", f.lastLine, f.limits.MaxBytes, err)
	case err != nil:
		err = fmt.Errorf("read rate deck: %w", err)
	case f.errors > len(f.errs):
		err = &OmittedError{Kept: len(f.errs), Total: f.errors}
	case f.errors > 0:
	case len(f.rows) == 0:
		err = fmt.Errorf("read rate deck: %w", ErrNoRows)
	default:
		return f.rows, f.report, nil, nil
	}
	return nil, f.report, f.errs, err
}

// file is a deck being read.
type file struct {
	limits       Limits
	mapping      map[string]column
	order        DateOrder
	input        *boundedReader
	csv          *csv.Reader
	columns      columns
	record       []string // the fields of the row being read
	fields       int      // how many of them the file has
	lastLine     int      // where the last row that was read starts
	rows         []Row
	dates        []openDate // of rows, whose order of day and month is not known yet
	withPlus     [2]int     // the first lines whose prefixes have no plus sign and have one
	report       Report
	errs         []RowError        // the first limits.MaxErrors
	errors       int               // all of them
	descriptions map[string]string // each description once
}

func (f *file) read(r io.Reader) error {
	f.input = &boundedReader{r: r, left: f.limits.MaxBytes, rowLeft: maxRowBytes}
	buffered := bufio.NewReaderSize(f.input, 64<<10)
	found, err := sniff(buffered, f.mapping)
	if err != nil {
		return err
	}
	f.csv = csv.NewReader(buffered)
	f.csv.Comma = found.separator
	f.csv.FieldsPerRecord = -1 // readRow says it better
	f.csv.ReuseRecord = true
	f.csv.LazyQuotes = found.records > 0 // letters that come before the header quote as they like

	for range found.records {
		preamble, err := f.csv.Read()
		if err != nil {
			return err
		}
		if err := f.note(preamble, "before the header line"); err != nil {
			return err
		}
	}
	f.csv.LazyQuotes = false
	header, err := f.csv.Read()
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: the file is empty", ErrHeader)
	}
	if malformed := (*csv.ParseError)(nil); errors.As(err, &malformed) {
		return fmt.Errorf("%w: %w", ErrHeader, err)
	}
	if err != nil {
		return err
	}
	f.report.HeaderLine = f.line(0)
	f.columns, err = readHeader(header, f.mapping)
	if err != nil {
		return err
	}
	f.report.Columns = f.columns.read()
	if err := f.readRows(); err != nil {
		return err
	}
	f.settleDates()
	if f.withPlus[0] > 0 && f.withPlus[1] > 0 {
		f.refuse(RowError{Line: f.withPlus[1], Want: fmt.Sprintf("the prefix has a plus sign and that of line %d has none, "+
			"which may then be a national number: want whole international prefixes, all with a plus sign or all without",
			f.withPlus[0])})
	}
	if len(f.dates) == 0 || f.errors == 0 {
		f.settleDuplicates()
	}
	return nil
}

// note skips a line that is no row of the table, unless it says that all prices
// mean something else.
func (f *file) note(record []string, where string) error {
	text := strings.Join(strings.Fields(strings.Join(record, " ")), " ")
	if text == "" {
		return nil
	}
	plain := strings.ToLower(text)
	currency := foreignCurrency(text)
	second := strings.Contains(plain, "per second") || strings.Contains(plain, "/sec")
	priced := strings.Contains(plain, "rate") || strings.Contains(plain, "price")
	switch {
	case currency != "":
		return fmt.Errorf("%w: line %d says %q, and rate decks are in USD: convert the prices, and remove the line",
			ErrHeader, f.line(0), excerpt(text))
	case second && priced:
		return fmt.Errorf("%w: line %d says %q, and rates are per minute: convert the prices if they are not, and remove "+
			"the line", ErrHeader, f.line(0), excerpt(text))
	}
	f.skip(f.line(0), text, where)
	return nil
}

func (f *file) skip(line int, text, why string) {
	f.report.Skipped++
	if len(f.report.Skips) < f.limits.MaxErrors {
		f.report.Skips = append(f.report.Skips, Skip{Line: line, Text: excerpt(text), Why: why})
	}
}

func (f *file) readRows() error {
	for count := 0; ; {
		f.input.rowLeft = maxRowBytes
		record, err := f.csv.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		malformed := (*csv.ParseError)(nil)
		switch {
		case errors.As(err, &malformed):
			count++
			f.refuse(RowError{Line: malformed.StartLine, Want: "quotes do not match: want a quoted field closed before " +
				"the next separator, and a quote within it doubled"})
		case err != nil:
			return err
		case !blank(record):
			count++
			f.record, f.fields, f.lastLine = record, len(record), f.line(0)
			if !f.isNote() {
				f.readRow()
			} else if err := f.note(record, "a line of text"); err != nil {
				return err
			}
		}
		if count > f.limits.MaxRows || len(f.rows) > f.limits.MaxRows {
			return fmt.Errorf("%w: more than %d", ErrTooManyRows, f.limits.MaxRows)
		}
	}
}

// isNote says whether the record is a sentence in one field, and no row: it has
// words, does not begin with a code, and nothing stands beside it.
func (f *file) isNote() bool {
	text := ""
	for _, cell := range f.record {
		cell = strings.TrimSpace(cell)
		if cell != "" && text != "" {
			return false
		}
		text += cell
	}
	first := strings.TrimSpace(f.record[0])
	return first != "" && len(f.columns.names) > 1 && strings.Contains(text, " ") &&
		!strings.ContainsAny(text[:1], "0123456789+'^_") && len(text) > 8
}

// readRow takes the row in f.record, or all the errors in it.
func (f *file) readRow() {
	before := f.errors
	line := f.lastLine
	if !f.fit() {
		return
	}
	why := f.checkTerms()
	if why != "" && f.errors == before {
		f.skip(line, strings.TrimSpace(f.cell(prefixColumn)+f.cell(countryCodeColumn)+" "+f.cell(areaCodeColumn)), why)
		return
	}
	codes := f.codes()
	row := Row{Line: line, Description: f.description()}
	var want string
	row.Rate.PerMinute, want = parsePriceCell(f.cell(rateColumn))
	f.refuseCell(rateColumn, want)
	if cell := f.cell(firstRateColumn); cell != "" {
		first, want := parsePriceCell(cell)
		if want == "" && first != row.Rate.PerMinute {
			want = "the first increment has another price than the next: want the same, or a connect fee"
		}
		f.refuseCell(firstRateColumn, want)
	}
	row.Rate.FirstIncrement, row.Rate.Increment = f.increments()
	if cell := f.cell(connectFeeColumn); cell != "" {
		row.Rate.ConnectFee, want = parsePriceCell(cell)
		f.refuseCell(connectFeeColumn, want)
	}
	f.date(&row, len(codes))
	if f.errors != before {
		return
	}
	for _, code := range codes {
		row.Prefix = strings.Clone(code)
		f.rows = append(f.rows, row)
	}
}

// fit makes the record as long as the header line: fields that a row leaves out at
// its end are empty, and those that it has beyond must be.
func (f *file) fit() bool {
	for len(f.record) > len(f.columns.names) && strings.TrimSpace(f.record[len(f.record)-1]) == "" {
		f.record = f.record[:len(f.record)-1]
	}
	if len(f.record) > len(f.columns.names) {
		f.refuse(RowError{Line: f.lastLine, Want: fmt.Sprintf("the row has %d fields and the header line %d: want as many; "+
			"a decimal comma or a separator in a text without quotes makes one too many", len(f.record), len(f.columns.names))})
		return false
	}
	for i, cell := range f.record {
		if len(cell) > f.limits.MaxFieldBytes {
			f.refuse(RowError{f.line(i), excerpt(f.columns.names[i]), excerpt(cell),
				fmt.Sprintf("the field has %d bytes: want at most %d", len(cell), f.limits.MaxFieldBytes)})
			return false
		}
	}
	for len(f.record) < len(f.columns.names) {
		f.record = append(f.record, "")
	}
	return true
}

// checkTerms looks at what is no price and decides whether the row is one. It
// says why if not.
func (f *file) checkTerms() (why string) {
	for _, i := range f.columns.checked {
		cell := strings.TrimSpace(f.record[i])
		if cell == "" {
			continue
		}
		word, want := plainName(cell), ""
		switch f.columns.meaning[i] {
		case statusColumn:
			if withdrawnWords[word] {
				why = "withdrawn: " + excerpt(cell)
			} else if !inForceWords[word] {
				want = "want a status such as active, new, unchanged, increase or decrease, or blocked, closed, deleted or " +
					"removed for a row to skip; a column of 0 and 1 is \"enabled\" or \"blocked\""
			}
		case blockedColumn, enabledColumn:
			enabled := f.columns.meaning[i] == enabledColumn
			switch {
			case !yesWords[word] && !noWords[word]:
				want = "want yes or no, or 1 or 0"
			case yesWords[word] != enabled:
				why = "withdrawn: " + excerpt(f.columns.names[i]) + " is " + excerpt(cell)
			}
		case zeroColumn:
			if !isZero(cell) {
				want = "rate decks do not have this term: want 0 or an empty field; include it in the rate or the connect fee"
				if f.columns.names[i] == "" {
					want = "the column has no name in the header line: name it"
				}
			}
		}
		f.refuseAt(i, want)
	}
	if why != "" {
		return why
	}
	if cell := f.cell(endColumn); cell != "" && !isZero(strings.NewReplacer("-", "", ":", "", " ", "").Replace(cell)) {
		f.refuseCell(endColumn, "prices that end are not kept: want an empty field, and a row with the next price and its "+
			"effective date, or the column mapped to \"ignore\"")
	}
	if f.columns.has(currencyColumn) && !isDollars(f.cell(currencyColumn)) {
		f.refuseCell(currencyColumn, "want USD: convert the prices of other currencies")
	}
	if !isMinute(f.cell(unitColumn)) {
		f.refuseCell(unitColumn, "rates are per minute: want min or 60, and the prices multiplied")
	}
	return ""
}

// cell is the field of a column without the blanks around it; "" if the file has
// no such column.
func (f *file) cell(meaning column) string {
	if !f.columns.has(meaning) {
		return ""
	}
	cell := strings.TrimSpace(f.record[f.columns.index[meaning]])
	// An apostrophe keeps a spreadsheet from taking +49 for a formula and 0.10 for a number.
	rest, ok := strings.CutPrefix(cell, "'")
	if ok && rest != "" && strings.ContainsRune("=+-@0123456789", rune(rest[0])) {
		return rest
	}
	return cell
}

func (f *file) line(field int) int {
	line, _ := f.csv.FieldPos(field)
	return line
}

// codes reads the prefixes of the row, which may stand in two columns.
func (f *file) codes() []string {
	countryCode := ""
	if f.columns.has(countryCodeColumn) && (!f.columns.has(prefixColumn) || f.cell(countryCodeColumn) != "") {
		countryCode = strings.TrimPrefix(f.cell(countryCodeColumn), "+")
		if _, err := ParsePrefix(countryCode); err != nil {
			f.refuseCell(countryCodeColumn, "want 1 to 15 digits that do not start with 0, such as 44")
			return nil
		}
	}
	if !f.columns.has(prefixColumn) {
		codes, want := parseAreaCell(countryCode, f.cell(areaCodeColumn))
		f.refuseCell(areaCodeColumn, want)
		return codes
	}
	cell := f.cell(prefixColumn)
	codes, want := parseCodesCell("", cell)
	for _, code := range codes {
		if !strings.HasPrefix(code, countryCode) {
			want = fmt.Sprintf("the prefix does not begin with the country code %s beside it: want whole prefixes, or, if "+
				"the column holds what follows the country code, columns={%q:%q}",
				countryCode, f.columns.name(prefixColumn), "area_code")
		}
	}
	f.refuseCell(prefixColumn, want)
	signed := 0
	if strings.HasPrefix(cell, "+") {
		signed = 1
	}
	if f.withPlus[signed] == 0 {
		f.withPlus[signed] = f.lastLine
	}
	return codes
}

// description keeps each text once: a deck has a thousand rows for one country.
func (f *file) description() string {
	cell := f.cell(descriptionColumn)
	if cell == "" {
		return ""
	}
	kept, known := f.descriptions[cell]
	if known {
		return kept
	}
	if !isText(cell) {
		f.refuseCell(descriptionColumn, "want UTF-8 text: save the file as UTF-8")
		return ""
	}
	kept = strings.Clone(cell)
	f.descriptions[kept] = kept
	return kept
}

// increments reads both increments from their columns or from one for both.
func (f *file) increments() (first, next int32) {
	firstCell, nextCell := f.cell(firstIncrementColumn), f.cell(incrementColumn)
	var want string
	if firstCell != "" {
		first, want = parseSecsCell(firstCell)
		f.refuseCell(firstIncrementColumn, want)
	}
	switch {
	case nextCell == "":
		next = first
	case f.columns.has(firstIncrementColumn):
		next, want = parseSecsCell(nextCell)
		f.refuseCell(incrementColumn, want)
	default:
		first, next, want = parseIncrementsCell(nextCell)
		f.refuseCell(incrementColumn, want)
	}
	if firstCell == "" && nextCell == "" {
		return DefaultFirstIncrement, DefaultIncrement
	}
	if firstCell == "" && first == 0 {
		first = next
	}
	return first, next
}

// openDate is a date whose order of day and month the rest of the column decides.
type openDate struct {
	row, count int // rows[row:row+count] have it
	line       int
	cell       string
	day, month time.Time // as it reads with the day first and the month first; zero if it does not
}

// date reads when the row begins to hold, or leaves it open.
func (f *file) date(row *Row, count int) {
	cell := f.cell(effectiveColumn)
	if cell == "" {
		return
	}
	var want string
	if row.EffectiveAt, want = parseDateCell(cell); want == "" {
		return
	}
	day, dayOK := parseLayouts(cell, dayFirst)
	month, monthOK := parseLayouts(cell, monthFirst)
	if !dayOK && !monthOK {
		f.refuseCell(effectiveColumn, want)
		return
	}
	f.dates = append(f.dates, openDate{row: len(f.rows), count: count, line: f.line(f.columns.index[effectiveColumn]),
		cell: excerpt(cell), day: day, month: month})
}

// settleDates takes the order of day and month that all dates of the column allow.
func (f *file) settleDates() {
	dayFits, monthFits, same := f.order != MonthFirst, f.order != DayFirst, true
	for i := range f.dates {
		d := &f.dates[i]
		dayFits = dayFits && !d.day.IsZero()
		monthFits = monthFits && !d.month.IsZero()
		same = same && d.day.Equal(d.month)
	}
	if f.errors == 0 && (dayFits != monthFits || same) {
		for i := range f.dates {
			at := f.dates[i].month
			if dayFits {
				at = f.dates[i].day
			}
			for j := range f.dates[i].count {
				f.rows[f.dates[i].row+j].EffectiveAt = at
			}
		}
		return
	}
	if dayFits != monthFits || len(f.dates) == 0 {
		return
	}
	d := &f.dates[0]
	want := wantDate + "; as the column stands the day or the month may come first: say dates=dmy or dates=mdy"
	if !dayFits {
		want = wantDate + "; no order of day and month fits every date of the column"
	}
	f.refuse(RowError{d.line, f.columns.name(effectiveColumn), d.cell, want})
}

// refuseCell reports what is wrong with a cell of the row being read; "" is nothing.
func (f *file) refuseCell(meaning column, want string) {
	f.refuseAt(f.columns.index[meaning], want)
}

func (f *file) refuseAt(index int, want string) {
	if want == "" {
		return
	}
	line := f.lastLine
	if index < f.fields {
		line = f.line(index)
	}
	f.refuse(RowError{line, excerpt(f.columns.names[index]), excerpt(f.record[index]), want})
}

func (f *file) refuse(e RowError) {
	f.errors++
	if len(f.errs) < f.limits.MaxErrors {
		f.errs = append(f.errs, e)
	}
}

// settleDuplicates drops each row that repeats an earlier one, and refuses those
// that give a prefix another price from the same moment.
func (f *file) settleDuplicates() {
	order, err := sortRows(f.rows)
	if err != nil {
		panic("rating: a row with a bad prefix was kept: " + err.Error())
	}
	meaning := prefixColumn
	if !f.columns.has(prefixColumn) {
		meaning = areaCodeColumn
	}
	repeated := make(map[uint32]bool)
	first := 0
	for i := range order {
		if !samePrice(f.rows, order[first], order[i]) {
			first = i
		}
		if first == i {
			continue
		}
		row, earlier := &f.rows[order[i].row], &f.rows[order[first].row]
		if row.Rate == earlier.Rate {
			repeated[order[i].row] = true
			f.skip(row.Line, row.Prefix, fmt.Sprintf("repeats line %d", earlier.Line))
			continue
		}
		f.refuse(RowError{row.Line, f.columns.name(meaning), row.Prefix, fmt.Sprintf(
			"line %d has the same prefix and effective date: want one price for each", earlier.Line)})
	}
	if len(repeated) == 0 {
		return
	}
	kept := f.rows[:0]
	for i := range f.rows {
		if !repeated[uint32(i)] {
			kept = append(kept, f.rows[i])
		}
	}
	f.rows = kept
}

func blank(record []string) bool {
	for _, cell := range record {
		if strings.TrimSpace(cell) != "" {
			return false
		}
	}
	return true
}

// place is where the header line of a file is.
type place struct {
	separator rune
	records   int // before it
}

// maxPreamble is how many records may come before the header line.
const maxPreamble = 40

// sniff skips a byte order mark and finds the header line and its separator: the
// first record that names a prefix and a price, by the separator that makes most
// fields of it. Where no record does, the first line is the header, by the
// separator that it has most of outside quotes.
func sniff(r *bufio.Reader, mapping map[string]column) (place, error) {
	start, err := r.Peek(r.Size())
	if err != nil && err != io.EOF && !errors.Is(err, ErrTooLarge) {
		return place{}, err
	}
	if bytes.HasPrefix(start, []byte("\xFE\xFF")) || bytes.HasPrefix(start, []byte("\xFF\xFE")) {
		return place{}, fmt.Errorf("%w: it is UTF-16; save it as UTF-8", ErrEncoding)
	}
	if bytes.HasPrefix(start, []byte("\xEF\xBB\xBF")) {
		_, err = r.Discard(3)
		if err != nil {
			return place{}, err
		}
		start = start[3:]
	}
	best, most := place{separator: firstSeparator(start)}, 0
	for _, separator := range separators {
		lines := csv.NewReader(bytes.NewReader(start))
		lines.Comma, lines.LazyQuotes, lines.FieldsPerRecord = separator, true, -1
		for records := range maxPreamble {
			record, err := lines.Read()
			if err != nil {
				break
			}
			if looksLikeHeader(record, mapping) {
				if len(record) > most {
					best, most = place{separator, records}, len(record)
				}
				break
			}
		}
	}
	return best, nil
}

const separators = ",;\t|"

func firstSeparator(start []byte) rune {
	var counts [len(separators)]int
	quoted := false
	for _, b := range bytes.TrimLeft(start, "\r\n") {
		if b == '"' {
			quoted = !quoted
		}
		if b == '\n' && !quoted {
			break
		}
		if i := strings.IndexByte(separators, b); i >= 0 && !quoted {
			counts[i]++
		}
	}
	best := 0
	for i := range counts {
		if counts[i] > counts[best] {
			best = i
		}
	}
	return rune(separators[best])
}

// boundedReader fails once more than left bytes have come, or more than rowLeft
// since that was last set. After an error it returns no more bytes.
type boundedReader struct {
	r       io.Reader
	left    int64
	rowLeft int64
	err     error
}

func (b *boundedReader) Read(p []byte) (int, error) {
	if b.err == nil && b.rowLeft <= 0 {
		b.err = fmt.Errorf("%w: a row has more than %d bytes; is a quote left open?", ErrTooLarge, maxRowBytes)
	}
	if b.err != nil {
		return 0, b.err
	}
	if int64(len(p))-1 > b.left {
		p = p[:b.left+1] // one more than is allowed shows that there is more
	}
	n, err := b.r.Read(p)
	b.err = err
	if int64(n) > b.left {
		n, b.err = int(b.left), ErrTooLarge
	}
	b.left -= int64(n)
	b.rowLeft -= int64(n)
	return n, b.err
}
