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

// ReadCSV reads a carrier's rate deck in dollars.
//
// The file is UTF-8, with a byte order mark or not. Its first line names the
// columns, whose order is free, and decides whether comma, semicolon or tab
// separates fields. Case, spaces and punctuation of names do not matter, and the
// names carriers commonly use are known:
//
//   - prefix (code, dial code, destination code ...), digits with "+" or not; or
//     a country code and an area code column, which are joined
//   - rate (rate per minute, price, USD/min ...), with "$" or not
//   - first increment (minimum duration, initial interval ...) and increment
//     (next increment, interval ...) in seconds, or both in one column as "30/6".
//     Where only one is given it is used for both, where none is
//     DefaultFirstIncrement and DefaultIncrement are
//   - connect fee (setup fee ...); none is 0
//   - description (destination, country ...)
//   - effective date (start date, valid from ...), as 2026-03-01, which begins at
//     midnight UTC, or as RFC 3339; none is always
//   - currency, in which every value must be USD, and end date, which must be empty
//
// Other columns are skipped, but not if their name says that they change the
// price. Rows whose fields are all blank are skipped.
//
// Every bad cell is in errs, ordered by line, at most Limits.MaxErrors of them. If
// there are more, err is an *OmittedError with the total. Any other err means
// that reading ended early. A file is read whole or not at all: rows is nil if
// there is any error. Otherwise NewDeck accepts the rows.
func ReadCSV(r io.Reader, limits Limits) (rows []Row, errs []RowError, err error) {
	f := &file{limits: limits.withDefaults(), descriptions: make(map[string]string)}
	err = f.read(r)
	slices.SortStableFunc(f.errs, func(a, b RowError) int { return cmp.Compare(a.Line, b.Line) })
	switch {
	case errors.Is(err, ErrTooLarge):
		return nil, f.errs, fmt.Errorf("read rate deck after line %d, of at most %d bytes: %w", f.lastLine, f.limits.MaxBytes,
			err)
	case err != nil:
		return nil, f.errs, fmt.Errorf("read rate deck: %w", err)
	case f.errors > len(f.errs):
		return nil, f.errs, &OmittedError{Kept: len(f.errs), Total: f.errors}
	case f.errors > 0:
		return nil, f.errs, nil
	case len(f.rows) == 0:
		return nil, nil, fmt.Errorf("read rate deck: %w", ErrNoRows)
	}
	return f.rows, nil, nil
}

// file is a deck being read.
type file struct {
	limits       Limits
	input        *boundedReader
	csv          *csv.Reader
	columns      columns
	record       []string // the fields of the row being read
	lastLine     int      // where the last row that was read starts
	rows         []Row
	errs         []RowError        // the first limits.MaxErrors
	errors       int               // all of them
	descriptions map[string]string // each description once
}

func (f *file) read(r io.Reader) error {
	f.input = &boundedReader{r: r, left: f.limits.MaxBytes, rowLeft: maxRowBytes}
	buffered := bufio.NewReaderSize(f.input, 64<<10)
	delimiter, err := sniff(buffered)
	if err != nil {
		return err
	}
	f.csv = csv.NewReader(buffered)
	f.csv.Comma = delimiter
	f.csv.FieldsPerRecord = -1 // readRow says it better
	f.csv.ReuseRecord = true

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
	f.columns, err = readHeader(header)
	if err != nil {
		return err
	}
	err = f.readRows()
	if err != nil {
		return err
	}
	f.refuseDuplicates()
	return nil
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
			f.record, f.lastLine = record, f.line(0)
			f.readRow()
		}
		if count > f.limits.MaxRows {
			return fmt.Errorf("%w: more than %d", ErrTooManyRows, f.limits.MaxRows)
		}
	}
}

// readRow takes the row in f.record, or all the errors in it.
func (f *file) readRow() {
	before := f.errors
	line := f.lastLine
	if len(f.record) != len(f.columns.names) {
		f.refuse(RowError{Line: line, Want: fmt.Sprintf("the row has %d fields and the header line %d: want as many; "+
			"a decimal comma or a separator in a text without quotes makes one too many", len(f.record), len(f.columns.names))})
		return
	}
	for i, cell := range f.record {
		if len(cell) > f.limits.MaxFieldBytes {
			f.refuse(RowError{f.line(i), excerpt(f.columns.names[i]), excerpt(cell),
				fmt.Sprintf("the field has %d bytes: want at most %d", len(cell), f.limits.MaxFieldBytes)})
			return
		}
	}
	row := Row{Line: line, Prefix: f.prefix(), Description: f.description()}
	var want string
	row.Rate.PerMinute, want = parsePriceCell(f.cell(rateColumn))
	f.refuseCell(rateColumn, want)
	row.Rate.FirstIncrement, row.Rate.Increment = f.increments()
	if cell := f.cell(connectFeeColumn); cell != "" {
		row.Rate.ConnectFee, want = parsePriceCell(cell)
		f.refuseCell(connectFeeColumn, want)
	}
	if cell := f.cell(effectiveColumn); cell != "" {
		row.EffectiveAt, want = parseDateCell(cell)
		f.refuseCell(effectiveColumn, want)
	}
	if f.cell(endColumn) != "" {
		f.refuseCell(endColumn,
			"prices that end are not kept: want an empty field, and a row with the next price and its effective date")
	}
	if f.columns.has(currencyColumn) && !isDollars(f.cell(currencyColumn)) {
		f.refuseCell(currencyColumn, "want USD")
	}
	if f.errors == before {
		f.rows = append(f.rows, row)
	}
}

// cell is the field of a column without the blanks around it; "" if the file has
// no such column.
func (f *file) cell(meaning column) string {
	if !f.columns.has(meaning) {
		return ""
	}
	cell := strings.TrimSpace(f.record[f.columns.index[meaning]])
	// An apostrophe is how an export keeps a spreadsheet from taking +49 for a formula.
	if rest, ok := strings.CutPrefix(cell, "'"); ok && rest != "" && strings.ContainsRune("=+-@", rune(rest[0])) {
		return rest
	}
	return cell
}

func (f *file) line(field int) int {
	line, _ := f.csv.FieldPos(field)
	return line
}

// prefix reads the prefix, which may stand in two columns. The record's text is
// cloned, so that a row does not keep the whole line alive.
func (f *file) prefix() string {
	if f.columns.has(prefixColumn) {
		digits, want := parsePrefixCell(f.cell(prefixColumn))
		f.refuseCell(prefixColumn, want)
		return strings.Clone(digits)
	}
	countryCode, want := parsePrefixCell(f.cell(countryCodeColumn))
	f.refuseCell(countryCodeColumn, want)
	if want != "" {
		return ""
	}
	digits, want := parseAreaCell(countryCode, f.cell(areaCodeColumn))
	f.refuseCell(areaCodeColumn, want)
	return strings.Clone(digits)
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

// refuseCell reports what is wrong with a cell of the row being read; "" is nothing.
func (f *file) refuseCell(meaning column, want string) {
	if want == "" {
		return
	}
	index := f.columns.index[meaning]
	f.refuse(RowError{f.line(index), f.columns.name(meaning), excerpt(f.record[index]), want})
}

func (f *file) refuse(e RowError) {
	f.errors++
	if len(f.errs) < f.limits.MaxErrors {
		f.errs = append(f.errs, e)
	}
}

// refuseDuplicates reports each row whose prefix has a price from the same
// moment in an earlier line.
func (f *file) refuseDuplicates() {
	order, err := sortRows(f.rows)
	if err != nil {
		panic("rating: a row with a bad prefix was kept: " + err.Error())
	}
	meaning := prefixColumn
	if !f.columns.has(prefixColumn) {
		meaning = areaCodeColumn
	}
	first := 0
	for i := range order {
		if !samePrice(f.rows, order[first], order[i]) {
			first = i
		}
		if first == i {
			continue
		}
		row := &f.rows[order[i].row]
		f.refuse(RowError{row.Line, f.columns.name(meaning), row.Prefix, fmt.Sprintf(
			"line %d has the same prefix and effective date: want one price for each", f.rows[order[first].row].Line)})
	}
}

func blank(record []string) bool {
	for _, cell := range record {
		if strings.TrimSpace(cell) != "" {
			return false
		}
	}
	return true
}

// sniff skips a byte order mark and finds the separator of the header line: the
// one of comma, semicolon and tab that it has most of outside quotes.
func sniff(r *bufio.Reader) (rune, error) {
	start, err := r.Peek(r.Size())
	if err != nil && err != io.EOF && !errors.Is(err, ErrTooLarge) {
		return 0, err
	}
	if bytes.HasPrefix(start, []byte("\xFE\xFF")) || bytes.HasPrefix(start, []byte("\xFF\xFE")) {
		return 0, fmt.Errorf("%w: it is UTF-16; save it as UTF-8", ErrEncoding)
	}
	if bytes.HasPrefix(start, []byte("\xEF\xBB\xBF")) {
		_, err = r.Discard(3)
		if err != nil {
			return 0, err
		}
		start = start[3:]
	}
	var counts [3]int
	const separators = ",;\t"
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
	return rune(separators[best]), nil
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
