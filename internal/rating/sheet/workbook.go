package sheet

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/xuri/excelize/v2"
)

// unpackedFactor is how many times Limits.MaxBytes a workbook may have without its compression: its XML has more around
// a cell than a text has.
const unpackedFactor = 4

// workbook is one sheet of a workbook.
type workbook struct {
	file *excelize.File
	rows *excelize.Rows
	line int
}

// openWorkbook opens the sheet of an xlsx that has the prices: the one that is named, or the only one that has the
// header line of a price sheet.
func (s *Sheet) openWorkbook(packed []byte, o *Options) (table, error) {
	limit := o.Limits.MaxBytes * unpackedFactor
	file, err := excelize.OpenReader(bytes.NewReader(packed), excelize.Options{UnzipSizeLimit: limit,
		UnzipXMLSizeLimit: limit, RawCellValue: true})
	if err != nil {
		return nil, fmt.Errorf("%w: it is an Excel workbook (xlsx) that cannot be read; save it again, or as CSV: %w",
			ErrFormat,
			err)
	}
	s.closer = file
	s.Format, s.Encoding = s.Format+"xlsx", "UTF-8"
	props, err := file.GetWorkbookProps()
	s.from1904 = err == nil && props.Date1904 != nil && *props.Date1904
	var found, filled []string
	all := file.GetSheetList()
	for _, name := range all {
		header, rows := lookInto(file, name, o)
		if name == o.Sheet || o.Sheet == "" && header {
			found = append(found, name)
		}
		if rows {
			filled = append(filled, name)
		}
	}
	switch {
	case len(found) == 0 && o.Sheet != "":
		return nil, fmt.Errorf("%w: it has no sheet %q; it has %s", ErrFormat, excerpt(o.Sheet), quoted(all))
	case len(found) > 1:
		return nil, fmt.Errorf("%w: the sheets %s have prices; name one in the parameter sheet", ErrQuestion, quoted(found))
	case len(found) == 0 && len(filled) == 0:
		return nil, ErrNoRows
	case len(found) == 0:
		found = filled[:1] // which describes what is missing
	}
	s.SheetName = found[0]
	rows, err := file.Rows(found[0])
	if err != nil {
		return nil, fmt.Errorf("%w: sheet %q: %w", ErrFormat, excerpt(found[0]), err)
	}
	return &workbook{file: file, rows: rows}, nil
}

// lookInto reports whether a sheet has the header line of a price sheet, and whether it has anything.
func lookInto(file *excelize.File, name string, o *Options) (header, filled bool) {
	rows, err := file.Rows(name)
	if err != nil {
		return false, false
	}
	defer func() { _ = rows.Close() }()
	for range headerWithin {
		if !rows.Next() {
			return false, filled
		}
		cells, err := rows.Columns()
		if err != nil {
			return false, filled
		}
		filled = filled || !blank(cells)
		if len(cells) <= maxColumns && readColumns(cells, o.Columns).looksLikeHeader() {
			return true, true
		}
	}
	return false, filled
}

func (w *workbook) next() (cells []string, line int, err error) {
	if !w.rows.Next() {
		if err := w.rows.Error(); err != nil {
			return nil, w.line, fmt.Errorf("%w: row %d: %w", ErrFormat, w.line, err)
		}
		return nil, w.line, io.EOF
	}
	w.line++
	cells, err = w.rows.Columns(excelize.Options{RawCellValue: true})
	if err != nil {
		return nil, w.line, fmt.Errorf("%w: row %d: %w", ErrFormat, w.line, err)
	}
	return cells, w.line, nil
}

// serialDate reads a date of a workbook, which is a number of days.
func serialDate(cell string, from1904 bool) (at time.Time, ok bool) {
	serial, err := strconv.ParseFloat(cell, 64)
	if err != nil || serial < 1 || serial > 200_000 {
		return time.Time{}, false
	}
	at, err = excelize.ExcelDateToTime(serial, from1904)
	at = at.UTC().Round(time.Second)
	return at, err == nil && at.Year() >= firstYear && at.Year() <= lastYear
}

func quoted(names []string) string {
	all := make([]string, len(names))
	for i, name := range names {
		all[i] = strconv.Quote(excerpt(name))
	}
	return strings.TrimSpace(joinMost(all))
}
