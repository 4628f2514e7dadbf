package rating

import (
	"errors"
	"fmt"
	"io"
)

// Limits bounds what ReadCSV takes from a file. A zero field means its default.
type Limits struct {
	MaxBytes      int64 // DefaultMaxBytes
	MaxRows       int   // DefaultMaxRows
	MaxFieldBytes int   // DefaultMaxFieldBytes
	MaxErrors     int   // DefaultMaxErrors
}

// RowError says what is wrong in one place of a file.
type RowError struct {
	Line   int    // 1 is the first line of the file, blank lines and lines within quotes counted
	Column string // the column's name as the file writes it; "" if the whole row is meant
	Value  string // what the file has there, shortened
	Want   string // what is wrong and what would be accepted
}

func (e RowError) Error() string {
	return fmt.Sprintf("line %d, column %q: %q: %s", e.Line, e.Column, e.Value, e.Want)
}

// ReadCSV reads a carrier's deck.
func ReadCSV(r io.Reader, limits Limits) (rows []Row, errs []RowError, err error) {
	return nil, nil, errors.New("not yet")
}
