package sheet

import (
	"archive/zip"
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// Errors of Read that concern the whole file. They are wrapped with the limit, the place or the way out.
var (
	ErrTooLarge    = errors.New("file is too large")
	ErrTooManyRows = errors.New("file has too many rows")
	ErrNoRows      = errors.New("file has no rows with prices below its header line")
	ErrEncoding    = errors.New("file is not text")
	ErrFormat      = errors.New("file is not of a form that is read")
	// ErrHeader means that no line of a file names the columns of a price sheet as they have to be.
	ErrHeader = errors.New("not the header line of a rate deck")
	// ErrQuestion means that a file can be read in two ways.
	ErrQuestion = errors.New("file can be read in two ways")
)

// headerWithin is how many rows may stand above the header line.
const headerWithin = 50

// peeked is how much of a text is looked at to find its separator.
const peeked = 64 << 10

// maxRowBytes bounds how much is read for one row. A record of nothing but commas takes forty times its size in memory,
// and a quote that is never closed makes one row of the rest of the file.
const maxRowBytes = 1 << 20

// table is a file as rows of cells.
type table interface {
	// next returns the cells of the next row, which are valid until the next call, and its line. The error is io.EOF at
	// the end, a *csv.ParseError for a row that cannot be read while others can.
	next() (cells []string, line int, err error)
}

// open finds out what a file is and returns its rows. inside tells that it came out of an archive.
func (s *Sheet) open(r io.Reader, o *Options, inside bool) (table, error) {
	input := bufio.NewReaderSize(r, peeked)
	start, err := input.Peek(8)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	for _, form := range refusedForms {
		if bytes.HasPrefix(start, []byte(form.magic)) {
			return nil, fmt.Errorf("%w: it is %s", ErrFormat, form.name)
		}
	}
	packed := bytes.HasPrefix(start, []byte("PK\x03\x04"))
	switch {
	case bytes.HasPrefix(start, []byte("\x1f\x8b")) && !inside:
		unpacked, err := gzip.NewReader(input)
		if err != nil {
			return nil, fmt.Errorf("%w: it begins as gzip and is not: %w", ErrFormat, err)
		}
		s.Format = "gzip, "
		return s.open(&boundedReader{r: unpacked, left: o.Limits.MaxBytes, rowLeft: o.Limits.MaxBytes}, o, true)
	case packed:
		return s.openZip(input, o, inside)
	}
	return s.openText(input, o)
}

// refusedForms are known by their first bytes.
var refusedForms = []struct{ magic, name string }{
	{"\xd0\xcf\x11\xe0", "an Excel workbook of the old form (xls); save it as xlsx or CSV"},
	{"%PDF", "a PDF; ask the carrier for CSV or xlsx"},
	{"7z\xbc\xaf", "a 7z archive; send the file in it"},
	{"Rar!", "a rar archive; send the file in it"},
	{"BZh", "compressed with bzip2; send it as it is, or as gzip or zip"},
	{"\xfd7zXZ", "compressed with xz; send it as it is, or as gzip or zip"},
}

// openZip opens the one file of an archive, or a workbook.
func (s *Sheet) openZip(r io.Reader, o *Options, inside bool) (table, error) {
	packed, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	archive, err := zip.NewReader(bytes.NewReader(packed), int64(len(packed)))
	if err != nil {
		return nil, fmt.Errorf("%w: it begins as a zip archive and is none: %w", ErrFormat, err)
	}
	var files []*zip.File
	for _, file := range archive.File {
		switch {
		case file.Name == "xl/workbook.xml":
			return s.openWorkbook(packed, o)
		case file.Name == "content.xml":
			return nil, fmt.Errorf("%w: it is an OpenDocument spreadsheet; save it as xlsx or CSV", ErrFormat)
		case !file.FileInfo().IsDir() && !strings.HasPrefix(path.Base(file.Name), ".") &&
			!strings.HasPrefix(file.Name, "__MACOSX/"):
			files = append(files, file)
		}
	}
	if len(files) != 1 || inside {
		return nil, fmt.Errorf("%w: it is a zip archive of %d files; send the one with the prices", ErrFormat, len(files))
	}
	file, err := files[0].Open()
	if err != nil {
		return nil, fmt.Errorf("%w: it is a zip archive that cannot be unpacked: %w", ErrFormat, err)
	}
	s.Format = "zip, "
	return s.open(&boundedReader{r: file, left: o.Limits.MaxBytes, rowLeft: o.Limits.MaxBytes}, o, true)
}

// openText finds the encoding and the separator of a text.
func (s *Sheet) openText(input *bufio.Reader, o *Options) (table, error) {
	start, _ := input.Peek(4)
	s.Encoding = "UTF-8"
	var decoded io.Reader = input
	switch {
	case bytes.HasPrefix(start, []byte("\xFF\xFE")), len(start) >= 4 && start[1] == 0 && start[3] == 0 && start[0] != 0:
		s.Encoding = "UTF-16LE"
		decoded = transform.NewReader(input, unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewDecoder())
	case bytes.HasPrefix(start, []byte("\xFE\xFF")), len(start) >= 4 && start[0] == 0 && start[2] == 0 && start[1] != 0:
		s.Encoding = "UTF-16BE"
		decoded = transform.NewReader(input, unicode.UTF16(unicode.BigEndian, unicode.UseBOM).NewDecoder())
	case bytes.HasPrefix(start, []byte("\xEF\xBB\xBF")):
		_, _ = input.Discard(3)
	}
	bounded := &boundedReader{r: &textReader{r: bufio.NewReader(decoded), encoding: &s.Encoding}, left: o.Limits.MaxBytes,
		rowLeft: maxRowBytes}
	text := bufio.NewReaderSize(bounded, peeked)
	head, err := text.Peek(peeked)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, ErrTooLarge) {
		return nil, err
	}
	if html := strings.ToLower(strings.TrimSpace(string(head[:min(len(head), 200)]))); strings.HasPrefix(html,
		"<!doctype") ||
		strings.HasPrefix(html, "<html") {
		return nil, fmt.Errorf("%w: it is an HTML page, without a header line of a rate deck; a login page that was saved, "+
			"say",
			ErrFormat)
	}
	t := &textTable{input: bounded}
	separator := s.separator(head, o)
	if first, rest, _ := bytes.Cut(head, []byte("\n")); len(first) == 5 && strings.EqualFold(string(first[:4]), "sep=") {
		separator = rune(first[4])
		_, _ = text.Discard(len(head) - len(rest))
		t.linesBefore = 1
	}
	s.Separator = string(separator)
	s.Format += "text"
	t.csv = csv.NewReader(text)
	t.csv.Comma = separator
	t.csv.FieldsPerRecord = -1 // rows are judged one by one
	t.csv.ReuseRecord = true
	return t, nil
}

// separator is the one of comma, semicolon, tab and bar by which a text has the header line of a price sheet first, or,
// if it has none, the one that its first line has most of.
func (s *Sheet) separator(head []byte, o *Options) rune {
	best, bestColumns, bestLine := ',', 0, headerWithin
	for _, separator := range ",;\t|" {
		r := csv.NewReader(bytes.NewReader(head))
		r.Comma, r.FieldsPerRecord, r.LazyQuotes = separator, -1, true
		for n := range headerWithin {
			record, err := r.Read()
			if err != nil {
				break
			}
			line := headerWithin
			if len(record) <= maxColumns && readColumns(record, o.Columns).looksLikeHeader() {
				line = n
			}
			switch columns := min(len(record), maxColumns); {
			case line == headerWithin && n > 0:
				continue
			case line < bestLine, line == bestLine && columns > bestColumns:
				best, bestColumns, bestLine = separator, columns, line
			}
			if line < headerWithin {
				break
			}
		}
	}
	return best
}

// textTable is a text with separators.
type textTable struct {
	csv         *csv.Reader
	input       *boundedReader
	linesBefore int
}

func (t *textTable) next() (cells []string, line int, err error) {
	t.input.rowLeft = maxRowBytes
	cells, err = t.csv.Read()
	malformed := (*csv.ParseError)(nil)
	switch {
	case errors.As(err, &malformed):
		malformed.StartLine += t.linesBefore
		return nil, malformed.StartLine, malformed
	case err != nil:
		return nil, 0, err
	}
	line, _ = t.csv.FieldPos(0)
	return cells, line + t.linesBefore, nil
}

// textReader makes UTF-8 with line feeds of what it reads. Bytes that are no UTF-8 are taken for Windows-1252, which is
// what spreadsheets save a CSV in where they do not save UTF-8.
type textReader struct {
	r        *bufio.Reader
	encoding *string
	returned bool   // the last character was a carriage return
	left     []byte // of a character that did not fit
	buffer   [utf8.UTFMax]byte
	err      error // once it has come
}

func (t *textReader) Read(p []byte) (n int, err error) {
	for n < len(p) && t.err == nil {
		if len(t.left) == 0 {
			if t.left, t.err = t.char(); t.err != nil {
				break
			}
		}
		copied := copy(p[n:], t.left)
		t.left = t.left[copied:]
		n += copied
	}
	if n > 0 {
		return n, nil
	}
	return 0, t.err
}

// char returns the next character.
func (t *textReader) char() ([]byte, error) {
	for {
		char, size, err := t.r.ReadRune()
		if err != nil {
			return nil, err
		}
		after := t.returned
		t.returned = char == '\r'
		switch {
		case char == 0:
			return nil, fmt.Errorf("%w: it has a byte of zero", ErrEncoding)
		case char == utf8.RuneError && size == 1:
			_ = t.r.UnreadRune()
			one, _ := t.r.ReadByte()
			char = charmap.Windows1252.DecodeByte(one)
			*t.encoding = "Windows-1252"
		case char == '\n' && after:
			continue
		case char == '\r':
			char = '\n'
		}
		return utf8.AppendRune(t.buffer[:0], char), nil
	}
}

// boundedReader fails once more than left bytes have come, or more than rowLeft since that was last set. After an error
// it returns no more bytes.
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
