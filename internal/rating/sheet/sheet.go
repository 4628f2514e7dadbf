// Package sheet opens the files in which carriers send rate decks: text in the
// encodings that spreadsheets write, xlsx workbooks, and either of them compressed.
// What comes out is UTF-8 text with separators and one row a line.
package sheet

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/xuri/excelize/v2"
	"golang.org/x/text/encoding/charmap"
)

// Errors of Open. They are wrapped with what to do.
var (
	ErrTooLarge = errors.New("file is too large")
	ErrFormat   = errors.New("file is not a sheet that can be read")
)

// maxDepth is how often a file may be compressed: a zip of a workbook, or a gzip.
const maxDepth = 2

// Open reads a whole file of at most maxBytes, compressed and expanded, and
// returns its text. A file that is text already comes back with lines that end in
// LF or CRLF.
func Open(r io.Reader, maxBytes int64) (io.Reader, error) {
	data, err := readBounded(r, maxBytes)
	if err != nil {
		return nil, err
	}
	for range maxDepth {
		inner, err := expand(data, maxBytes)
		if err != nil {
			return nil, err
		}
		if inner == nil {
			break
		}
		data = inner
	}
	switch {
	case hasMagic(data, "PK\x03\x04"):
		return openWorkbook(data, maxBytes)
	case hasMagic(data, "\x1f\x8b"):
		return nil, fmt.Errorf("%w: it is compressed more than twice; send it compressed once", ErrFormat)
	case hasMagic(data, "\xd0\xcf\x11\xe0"):
		return nil, fmt.Errorf("%w: it is an xls workbook of old Excel; save it as xlsx or CSV", ErrFormat)
	case hasMagic(data, "%PDF"):
		return nil, fmt.Errorf("%w: it is a PDF; ask the carrier for xlsx or CSV", ErrFormat)
	}
	text, err := decode(data)
	if err != nil {
		return nil, err
	}
	start := bytes.ToLower(bytes.TrimSpace(text[:min(len(text), 512)]))
	if hasMagic(start, "<!doctype") || hasMagic(start, "<html") || hasMagic(start, "<?xml") {
		return nil, fmt.Errorf("%w: it is a web page or XML, without the header line of a rate deck; save it as xlsx or CSV",
			ErrFormat)
	}
	if bytes.IndexByte(text, '\n') < 0 && bytes.IndexByte(text, '\r') >= 0 {
		text = bytes.ReplaceAll(text, []byte("\r"), []byte("\n"))
	}
	return bytes.NewReader(text), nil
}

func hasMagic(data []byte, magic string) bool { return bytes.HasPrefix(data, []byte(magic)) }

func readBounded(r io.Reader, maxBytes int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxBytes+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > maxBytes {
		return nil, fmt.Errorf("%w: more than %d bytes, expanded", ErrTooLarge, maxBytes)
	}
	return data, nil
}

// expand undoes one compression. It returns nil for a file that is not compressed.
func expand(data []byte, maxBytes int64) ([]byte, error) {
	switch {
	case hasMagic(data, "\x1f\x8b"):
		r, err := gzip.NewReader(bytes.NewReader(data))
		if err != nil {
			return nil, fmt.Errorf("%w: the gzip is damaged (%w)", ErrFormat, err)
		}
		return damaged("gzip", r, maxBytes)
	case hasMagic(data, "PK\x03\x04"):
		archive, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return nil, fmt.Errorf("%w: the zip archive is damaged (%w)", ErrFormat, err)
		}
		return onlyFile(archive, maxBytes)
	}
	return nil, nil
}

// onlyFile reads the one file of an archive, and nothing of one that is a workbook.
func onlyFile(archive *zip.Reader, maxBytes int64) ([]byte, error) {
	var files []*zip.File
	for _, f := range archive.File {
		if f.Name == "[Content_Types].xml" {
			return nil, nil
		}
		hidden := strings.HasPrefix(f.Name, "__MACOSX/") || strings.HasSuffix(f.Name, "/.DS_Store")
		if !strings.HasSuffix(f.Name, "/") && !hidden {
			files = append(files, f)
		}
	}
	if len(files) != 1 {
		return nil, fmt.Errorf("%w: the zip archive has %d files; send one with the sheet alone", ErrFormat, len(files))
	}
	r, err := files[0].Open()
	if err != nil {
		return nil, fmt.Errorf("%w: the zip archive is encrypted or damaged (%w)", ErrFormat, err)
	}
	defer func() { _ = r.Close() }()
	return damaged("zip archive", r, maxBytes)
}

func damaged(kind string, r io.Reader, maxBytes int64) ([]byte, error) {
	data, err := readBounded(r, maxBytes)
	if err != nil && !errors.Is(err, ErrTooLarge) {
		return nil, fmt.Errorf("%w: the %s is damaged (%w)", ErrFormat, kind, err)
	}
	return data, err
}

// decode makes UTF-8 of UTF-16 and of Windows-1252.
func decode(data []byte) ([]byte, error) {
	switch {
	case hasMagic(data, "\xff\xfe"):
		return decodeUTF16(data[2:], false)
	case hasMagic(data, "\xfe\xff"):
		return decodeUTF16(data[2:], true)
	case len(data) > 3 && data[0] != 0 && data[1] == 0 && data[3] == 0:
		return decodeUTF16(data, false)
	case len(data) > 3 && data[0] == 0 && data[1] != 0 && data[2] == 0:
		return decodeUTF16(data, true)
	}
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	if bytes.IndexByte(data, 0) >= 0 {
		return nil, fmt.Errorf("%w: it has bytes that no text has; save it as UTF-8", ErrFormat)
	}
	if utf8.Valid(data) {
		return data, nil
	}
	return charmap.Windows1252.NewDecoder().Bytes(data)
}

func decodeUTF16(data []byte, bigEndian bool) ([]byte, error) {
	if len(data)%2 != 0 {
		return nil, fmt.Errorf("%w: the UTF-16 text ends within a character; save it as UTF-8", ErrFormat)
	}
	units := make([]uint16, len(data)/2)
	for i := range units {
		low, high := data[2*i], data[2*i+1]
		if bigEndian {
			low, high = high, low
		}
		units[i] = uint16(high)<<8 | uint16(low)
	}
	return []byte(string(utf16.Decode(units))), nil
}

// openWorkbook writes the only filled worksheet of a workbook as CSV. Numbers are
// taken as they are stored, not as they are shown, as a format hides decimals;
// dates are written as 2026-03-01.
func openWorkbook(data []byte, maxBytes int64) (io.Reader, error) {
	book, err := excelize.OpenReader(bytes.NewReader(data), excelize.Options{
		UnzipSizeLimit: 4 * maxBytes, UnzipXMLSizeLimit: 4 * maxBytes, RawCellValue: true})
	if err != nil {
		return nil, fmt.Errorf("%w: the xlsx workbook is damaged, encrypted or expands to more than %d bytes (%w)",
			ErrFormat, 4*maxBytes, err)
	}
	defer func() { _ = book.Close() }()
	var text *bytes.Buffer
	var filled string
	for _, name := range book.GetSheetList() {
		visible, err := book.GetSheetVisible(name)
		if err == nil && !visible {
			continue
		}
		one, err := writeWorksheet(book, name, maxBytes)
		if err != nil {
			return nil, err
		}
		if one == nil {
			continue
		}
		if text != nil {
			return nil, fmt.Errorf("%w: the xlsx workbook has several sheets (%.40q, %.40q); keep the one with the rates",
				ErrFormat, filled, name)
		}
		text, filled = one, name
	}
	if text == nil {
		return nil, fmt.Errorf("%w: the xlsx workbook has no rows", ErrFormat)
	}
	return text, nil
}

// writeWorksheet returns nil for a worksheet without any text.
func writeWorksheet(book *excelize.File, name string, maxBytes int64) (*bytes.Buffer, error) {
	rows, err := book.Rows(name)
	if err != nil {
		return nil, fmt.Errorf("%w: the worksheet %.40q cannot be read (%w)", ErrFormat, name, err)
	}
	defer func() { _ = rows.Close() }()
	text := new(bytes.Buffer)
	out := csv.NewWriter(text)
	dates := make(map[int]bool)
	any := false
	for number := 1; rows.Next(); number++ {
		cells, err := rows.Columns()
		if err != nil {
			return nil, fmt.Errorf("%w: row %d of the worksheet %.40q (%w)", ErrFormat, number, name, err)
		}
		for i := range cells {
			any = any || cells[i] != ""
			cells[i] = strings.NewReplacer("\r\n", " ", "\n", " ", "\r", " ").Replace(cells[i])
			if looksSerial(cells[i]) {
				cells[i] = dateOf(book, name, i+1, number, cells[i], dates)
			}
		}
		if len(cells) == 0 {
			cells = []string{""}
		}
		if err := out.Write(cells); err != nil {
			return nil, err
		}
		out.Flush()
		if int64(text.Len()) > maxBytes {
			return nil, fmt.Errorf("%w: the worksheet has more than %d bytes", ErrTooLarge, maxBytes)
		}
	}
	if err := rows.Error(); err != nil {
		return nil, fmt.Errorf("%w: the worksheet %.40q is damaged (%w)", ErrFormat, name, err)
	}
	if !any {
		return nil, nil
	}
	return text, nil
}
