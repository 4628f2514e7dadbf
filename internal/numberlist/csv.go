package numberlist

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/tollgate/tollgate/internal/field"
	"github.com/tollgate/tollgate/internal/numbering"
)

// columns are those of a CSV file of entries. The first two are needed.
var columns = []string{"prefix", "action", "comment", "expires_at"}

// ErrHeader means that the first line of a file does not name the columns.
var ErrHeader = errors.New("the first line must name the columns prefix and action, and may name comment and " +
	"expires_at")

// ErrTooMany means that a file has too many entries.
var ErrTooMany = fmt.Errorf("more than %d entries", MaxEntries)

// ReadCSV reads the entries of a file. All that is wrong is reported by its line, and then there
// are no entries. The error is for a file that cannot be read on.
func ReadCSV(r io.Reader) (entries []Entry, errs []field.Error, err error) {
	reader := csv.NewReader(r)
	header, err := reader.Read()
	if err != nil {
		return nil, nil, fmt.Errorf("read the first line: %w", errors.Join(ErrHeader, err))
	}
	header[0] = strings.TrimPrefix(header[0], "\ufeff")
	for i, name := range header {
		if !slices.Contains(columns, name) || slices.Contains(header[:i], name) {
			return nil, nil, fmt.Errorf("column %.40q: %w", name, ErrHeader)
		}
	}
	if !slices.Contains(header, "prefix") || !slices.Contains(header, "action") {
		return nil, nil, ErrHeader
	}
	entries = []Entry{}
	var lines []int
	for {
		row, err := reader.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, nil, fmt.Errorf("read number list: %w", err)
		}
		if len(entries) == MaxEntries {
			return nil, nil, ErrTooMany
		}
		line, _ := reader.FieldPos(0)
		entry, wrong := readRow(header, row, line)
		entries, lines, errs = append(entries, entry), append(lines, line), append(errs, wrong...)
	}
	errs = append(errs, check(entries, func(i int) (pointer, name string) {
		return fmt.Sprintf("/%d", lines[i]), fmt.Sprintf("Line %d", lines[i])
	})...)
	if len(errs) > 0 {
		return nil, errs, nil
	}
	return entries, nil, nil
}

func readRow(header, row []string, line int) (e Entry, errs []field.Error) {
	wrong := func(column, detail string) {
		errs = append(errs, field.Error{Pointer: fmt.Sprintf("/%d/%s", line, column), Code: field.Malformed, Detail: detail})
	}
	for i, name := range header {
		switch text := row[i]; name {
		case "prefix":
			e.Prefix = text
		case "action":
			if e.Action = text; text != Allow && text != Refuse {
				wrong(name, fmt.Sprintf("%.20q is neither allow nor refuse.", text))
			}
		case "comment":
			if e.Comment = text; len(text) > 255 {
				wrong(name, "The comment is longer than 255 bytes.")
			}
		case "expires_at":
			if text == "" {
				continue
			}
			moment, err := numbering.ParseMoment(text)
			if err != nil {
				wrong(name, fmt.Sprintf("%.40q is %v.", text, numbering.ErrMoment))
			}
			e.ExpiresAt = &moment
		}
	}
	return e, errs
}

// WriteCSV writes entries as ReadCSV reads them.
func WriteCSV(entries []Entry) ([]byte, error) {
	var file bytes.Buffer
	w := csv.NewWriter(&file)
	rows := [][]string{columns}
	for i := range entries {
		e, expires := &entries[i], []byte(nil)
		if e.ExpiresAt != nil {
			var err error
			if expires, err = e.ExpiresAt.MarshalText(); err != nil {
				return nil, err
			}
		}
		rows = append(rows, []string{e.Prefix, e.Action, e.Comment, string(expires)})
	}
	err := w.WriteAll(rows)
	return file.Bytes(), err
}
