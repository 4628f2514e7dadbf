package sheet

import (
	"bufio"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/tollgate/tollgate/internal/csvcell"
	"github.com/tollgate/tollgate/internal/rating"
)

// written are the columns of a file that Writer makes.
var written = []meaning{prefix, rate, connectFee, firstIncrement, increment, effective, description}

// Writer writes the rows of a deck as CSV that Read reads back alike.
type Writer struct {
	out    *bufio.Writer
	header bool
	line   []byte
}

// NewWriter returns a writer of one file.
func NewWriter(w io.Writer) *Writer { return &Writer{out: bufio.NewWriterSize(w, peeked)} }

// Write adds rows.
func (w *Writer) Write(rows []rating.Row) error {
	w.begin()
	for i := range rows {
		row := &rows[i]
		w.line = append(w.line[:0], row.Prefix...)
		w.line = append(append(w.line, ','), row.Rate.PerMinute.String()...)
		w.line = append(append(w.line, ','), row.Rate.ConnectFee.String()...)
		w.line = strconv.AppendInt(append(w.line, ','), int64(max(1, row.Rate.FirstIncrement)), 10)
		w.line = strconv.AppendInt(append(w.line, ','), int64(max(1, row.Rate.Increment)), 10)
		w.line = append(w.line, ',')
		if !row.EffectiveAt.IsZero() {
			w.line = row.EffectiveAt.UTC().AppendFormat(w.line, time.RFC3339Nano)
		}
		w.line = append(append(w.line, ','), csvcell.Quote(csvcell.Protect(row.Description))...)
		w.line = append(w.line, '\n')
		if _, err := w.out.Write(w.line); err != nil {
			return err
		}
	}
	return nil
}

// Close writes what is left. It does not close what is written to.
func (w *Writer) Close() error {
	w.begin()
	return w.out.Flush()
}

// begin writes the header line first. A bufio.Writer remembers its error.
func (w *Writer) begin() {
	if w.header {
		return
	}
	w.header = true
	names := make([]string, len(written))
	for i, m := range written {
		names[i] = meanings[m]
	}
	_, _ = w.out.WriteString(strings.Join(names, ",") + "\n")
}
