// Package sheet reads the price sheets of carriers into the rows of a rate deck: CSV in the forms that people save it
// in, workbooks of Excel, and both compressed. What a sheet says is read or refused with its place and the way out; no
// column, row or line of it is lost in silence.
package sheet

import (
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/tollgate/tollgate/internal/rating"
)

// Increments of rows for which a file gives none: the full minute, which is never less than what the carrier bills.
const (
	DefaultFirstIncrement = 60
	DefaultIncrement      = 60
)

// Defaults of Limits.
const (
	// DefaultMaxBytes is over twice the largest decks that carriers send.
	DefaultMaxBytes = 64 << 20
	// DefaultMaxRows is every exchange and thousands block of North America and the rest of the world beside it.
	DefaultMaxRows = 2_000_000
	// DefaultMaxFieldBytes leaves room for the longest description.
	DefaultMaxFieldBytes = 1000
	// DefaultMaxErrors is as many as a person reads before mending the file.
	DefaultMaxErrors = 100
)

// maxColumns is far more than any carrier's sheet has.
const maxColumns = 1000

// mostListed is how many skipped rows and notes a Sheet has; all are counted.
const mostListed = 100

// Limits bounds what Read takes from a file. A zero field means its default.
type Limits struct {
	MaxBytes      int64 // DefaultMaxBytes; of the text, after decompression
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

// Options are the answers to what a file leaves open.
type Options struct {
	Limits  Limits
	Columns Mapping // see ReadMapping
	Sheet   string  // of a workbook; "" for the only one with prices
	Dates   string  // "dmy", "mdy", or "" for what the dates show
	Decimal string  // "point", "comma", or "" for what the prices show
	// BareCodes describes what prefixes without a plus sign are where others have one: "international", "nanp"
	// (North American numbers, to which 1 belongs), or "" to ask.
	BareCodes string
	// IgnoreNotes takes a file although lines outside its table are about price changes.
	IgnoreNotes bool
	Now         time.Time // for prices that have ended
}

// Mapping says what columns mean, by their names without case, spaces and punctuation.
type Mapping map[string]meaning

// ReadMapping reads Options.Columns from a JSON object of column names to words of Meanings.
func ReadMapping(text string) (Mapping, error) {
	var words map[string]string
	if err := json.Unmarshal([]byte(text), &words); err != nil {
		return nil, errors.New(`want a JSON object of column names and what they mean, such as {"Pulse":"increments"}`)
	}
	chosen := make(Mapping, len(words))
	for _, name := range slices.Sorted(maps.Keys(words)) {
		m, ok := meaningOfWord(words[name])
		if !ok {
			return nil, fmt.Errorf("column %q: %q is no meaning; want one of %s", excerpt(name), excerpt(words[name]),
				strings.Join(Meanings(), ", "))
		}
		chosen[plainName(name)] = m
	}
	return chosen, nil
}

func mappingText(mapping map[string]string) string {
	text, err := json.Marshal(mapping, json.Deterministic(true))
	if err != nil {
		return "{}"
	}
	return string(text)
}

// Column is a column of a file and what it was taken for.
type Column struct {
	Name    string
	Meaning string // one of Meanings
}

// Skipped is a row that is no price.
type Skipped struct {
	Line   int
	Prefix string
	Reason string
}

// Note is a line outside the table.
type Note struct {
	Line int
	Text string
}

// Sheet is a file as it was read.
type Sheet struct {
	Rows []rating.Row

	Format    string // "text", "xlsx", after "gzip, " or "zip, "
	Encoding  string // of a text: UTF-8, UTF-16LE, UTF-16BE, Windows-1252
	Separator string // of a text
	SheetName string // of a workbook
	Header    int    // line of the header

	Columns    []Column
	Skipped    []Skipped // the first hundred
	AllSkipped int
	Repeated   int // rows that say again what another one says
	Notes      []Note

	closer   io.Closer
	from1904 bool
}

// RowError reports what is wrong in one place of a file, and what would be right.
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

// OmittedError means that a file has more errors than Limits.MaxErrors.
type OmittedError struct {
	Kept, Total int
}

func (e *OmittedError) Error() string {
	return fmt.Sprintf("file has %d errors, of which %d are listed", e.Total, e.Kept)
}

// Read reads a carrier's price sheet in dollars.
//
// The file is a text with comma, semicolon, tab or bar between its fields, in UTF-8, UTF-16 or Windows-1252, or a
// workbook (xlsx); either may be compressed (gzip, or a zip of one file). Lines above the header and below the prices
// are notes, and refused if they speak of what changes a price.
//
// The header line names the columns, whose order is free. A column whose name is not known is asked about, unless
// o.Columns says what it means: a list of what changes nothing is the only thing that is ignored. Rows that are marked
// as blocked, closed, deleted or ended are skipped and reported.
//
// Every bad cell is in errs, ordered by line, at most Limits.MaxErrors of them. If there are more, err is an
// *OmittedError with the total. Any other err means that reading ended early. A file is read whole or not at all:
// the Sheet has no rows if there is any error, and what is known of its form. Otherwise rating.NewDeck accepts the
// rows.
func Read(r io.Reader, o Options) (*Sheet, []RowError, error) {
	o.Limits = o.Limits.withDefaults()
	s := &Sheet{}
	f := &file{Sheet: s, o: &o, descriptions: make(map[string]string)}
	err := f.read(r)
	if s.closer != nil {
		_ = s.closer.Close()
	}
	slices.SortStableFunc(f.errs, func(a, b RowError) int { return cmp.Compare(a.Line, b.Line) })
	if err == nil && f.errors == 0 && len(s.Rows) == 0 {
		if err = ErrNoRows; s.AllSkipped > 0 {
			err = fmt.Errorf("%w: all %d are withdrawn, the first in line %d: %s", ErrNoRows, s.AllSkipped, s.Skipped[0].Line,
				s.Skipped[0].Reason)
		}
	}
	if err != nil || f.errors > 0 {
		s.Rows = nil
	}
	switch {
	case errors.Is(err, ErrTooLarge):
		return s, f.errs, fmt.Errorf("read rate deck after line %d, of at most %d bytes: %w", f.line, o.Limits.MaxBytes, err)
	case err != nil:
		return s, f.errs, fmt.Errorf("read rate deck: %w", err)
	case f.errors > len(f.errs):
		return s, f.errs, &OmittedError{Kept: len(f.errs), Total: f.errors}
	}
	return s, f.errs, nil
}

// file is a sheet being read.
type file struct {
	*Sheet
	o            *Options
	columns      *columns
	record       []string // the cells of the row being read
	line         int      // and its line
	errs         []RowError
	errors       int
	descriptions map[string]string // each description once

	questions
}

func (f *file) read(r io.Reader) error {
	t, err := f.open(r, f.o, false)
	if err != nil {
		return err
	}
	if err := f.findHeader(t); err != nil {
		return err
	}
	for count := 0; ; {
		record, line, err := t.next()
		malformed := (*csv.ParseError)(nil)
		switch {
		case errors.Is(err, io.EOF):
			return f.finish()
		case errors.As(err, &malformed):
			count++
			f.refuse(RowError{Line: line, Want: "quotes do not match: want a quoted field closed before the next separator, " +
				"and a quote within it doubled"})
		case err != nil:
			return err
		case !blank(record):
			count++
			f.record, f.line = record, line
			f.readRow()
		}
		if count > f.o.Limits.MaxRows {
			return fmt.Errorf("%w: more than %d", ErrTooManyRows, f.o.Limits.MaxRows)
		}
	}
}

// findHeader reads up to the header line. What stands above it is notes.
func (f *file) findHeader(t table) error {
	var first *columns
	for range headerWithin {
		record, line, err := t.next()
		malformed := (*csv.ParseError)(nil)
		switch {
		case errors.Is(err, io.EOF):
			return noHeader(first)
		case errors.As(err, &malformed):
			if first == nil {
				return fmt.Errorf("%w: line %d: quotes do not match: %w", ErrHeader, line, malformed)
			}
			continue
		case err != nil:
			return err
		case blank(record):
			continue
		}
		if len(record) > maxColumns {
			return fmt.Errorf("%w: line %d has %d columns: want at most %d", ErrHeader, line, len(record), maxColumns)
		}
		c := readColumns(record, f.o.Columns)
		if c.looksLikeHeader() {
			f.columns, f.Header, f.line = c, line, line
			for i, name := range c.names {
				f.Columns = append(f.Columns, Column{excerpt(strings.TrimSpace(name)), meanings[c.means[i]]})
			}
			return c.check()
		}
		if first == nil {
			first = c
		}
		f.line = line
		f.note(record)
	}
	return noHeader(first)
}

// noHeader describes what is missing in the first line that has anything.
func noHeader(first *columns) error {
	switch {
	case first == nil:
		return fmt.Errorf("%w: the file is empty", ErrHeader)
	case !first.has(prefix) && !first.has(areaCode):
		return fmt.Errorf("%w: no column for the prefix, such as %q; there is %s; columns={...} says which one it is",
			ErrHeader,
			"prefix", first.list())
	}
	return fmt.Errorf("%w: no column for the price per minute in dollars, such as %q; there is %s; columns={...} says "+
		"which "+
		"one it is", ErrHeader, "rate", first.list())
}

func blank(record []string) bool {
	for _, cell := range record {
		if strings.TrimSpace(cell) != "" {
			return false
		}
	}
	return true
}

func (f *file) refuse(e RowError) {
	f.errors++
	if len(f.errs) < f.o.Limits.MaxErrors {
		f.errs = append(f.errs, e)
	}
}
