// Package column describes the columns of the tables of a database, each once: its name,
// what it holds, and how a value gets from a row into a statement and back. Tables,
// statements for both databases, scans and filters are made from that.
package column

import (
	"fmt"
	"strings"

	"github.com/google/uuid"
)

// Kind is what the values of a column are.
type Kind uint8

// The kinds.
const (
	Text    Kind = iota
	ID           // a resource id, 0 for none
	UUID         // as 16 bytes
	Int          // an integer
	Bool         //
	Time         // Unix microseconds, 0 for never
	Amount       // nano-dollars
	Number       // a phone number as an integer, 0 for none
	Outcome      // the number of a record.Outcome
	Address      // the text of an IP address or a network
	Bytes        //
)

// SQLite is the type of the kind in a file.
func (k Kind) SQLite() string {
	switch k {
	case Text, Address:
		return "TEXT"
	case UUID, Bytes:
		return "BLOB"
	}
	return "INTEGER"
}

// PostgreSQL is the type of the kind on a server.
func (k Kind) PostgreSQL() string {
	switch k {
	case Text, Address:
		return "TEXT"
	case UUID, Bytes:
		return "BYTEA"
	case Bool:
		return "BOOLEAN"
	}
	return "BIGINT"
}

// Column is a column of a table whose rows are values of R.
type Column[R any] struct {
	Name  string
	Kind  Kind
	Null  bool         // it may be NULL
	Value func(*R) any // for a statement: an int64, a string, a bool, bytes, or nil
	Into  func(*R) any // where a row of the database is scanned to
}

// Integer is a column for an integer of any type.
func Integer[R any, T ~int64 | ~int32 | ~uint64 | ~uint8](name string, kind Kind, at func(*R) *T) Column[R] {
	return Column[R]{
		Name: name, Kind: kind,
		Value: func(row *R) any { return int64(*at(row)) },
		Into:  func(row *R) any { return at(row) },
	}
}

// Words is a column for a text.
func Words[R any](name string, at func(*R) *string) Column[R] {
	return Column[R]{
		Name: name, Kind: Text,
		Value: func(row *R) any { return *at(row) },
		Into:  func(row *R) any { return at(row) },
	}
}

// Flag is a column for a truth value.
func Flag[R any](name string, at func(*R) *bool) Column[R] {
	return Column[R]{
		Name: name, Kind: Bool,
		Value: func(row *R) any { return *at(row) },
		Into:  func(row *R) any { return at(row) },
	}
}

// Key is a column for an id of 16 bytes.
func Key[R any](name string, at func(*R) *uuid.UUID) Column[R] {
	return Column[R]{
		Name: name, Kind: UUID,
		Value: func(row *R) any { return at(row)[:] },
		Into:  func(row *R) any { return at(row) },
	}
}

// OptionalKey is a column for an id of 16 bytes, or NULL.
func OptionalKey[R any](name string, at func(*R) **uuid.UUID) Column[R] {
	return Column[R]{
		Name: name, Kind: UUID, Null: true,
		Value: func(row *R) any {
			if key := *at(row); key != nil {
				return key[:]
			}
			return nil
		},
		Into: func(row *R) any { return optionalKey{at(row)} },
	}
}

// Blob is a column for bytes.
func Blob[R any](name string, at func(*R) *[]byte) Column[R] {
	return Column[R]{
		Name: name, Kind: Bytes,
		Value: func(row *R) any { return *at(row) },
		Into:  func(row *R) any { return at(row) },
	}
}

// Named is a column for a text that stands for something else.
func Named[R any](name string, text func(*R) string, read func(*R, string)) Column[R] {
	return Column[R]{
		Name: name, Kind: Text,
		Value: func(row *R) any { return text(row) },
		Into:  func(row *R) any { return &named[R]{row, read} },
	}
}

// Packed is a column for the bytes into which the parts of a row are packed that have no
// column of their own.
func Packed[R any](name string, pack func(*R) []byte, read func(*R, []byte) error) Column[R] {
	return Column[R]{
		Name: name, Kind: Bytes,
		Value: func(row *R) any { return pack(row) },
		Into:  func(row *R) any { return &packedInto[R]{row, read} },
	}
}

// Derived is a column for what follows from others. It is written, and not read back.
func Derived[R any](name string, kind Kind, of func(*R) any) Column[R] {
	return Column[R]{Name: name, Kind: kind, Value: of, Into: func(*R) any { return new(any) }}
}

type packedInto[R any] struct {
	row  *R
	read func(*R, []byte) error
}

// Scan implements sql.Scanner.
func (p *packedInto[R]) Scan(value any) error {
	bytes, ok := value.([]byte)
	if !ok {
		return fmt.Errorf("scan a %T: not bytes", value)
	}
	return p.read(p.row, bytes)
}

type optionalKey struct{ key **uuid.UUID }

// Scan implements sql.Scanner.
func (o optionalKey) Scan(value any) error {
	*o.key = nil
	switch v := value.(type) {
	case nil:
		return nil
	case []byte:
		key, err := uuid.FromBytes(v)
		*o.key = &key
		return err
	}
	return fmt.Errorf("scan a %T: not an id", value)
}

type named[R any] struct {
	row  *R
	read func(*R, string)
}

// Scan implements sql.Scanner. NULL is an empty text.
func (n *named[R]) Scan(value any) error {
	switch v := value.(type) {
	case nil:
		n.read(n.row, "")
	case string:
		n.read(n.row, v)
	case []byte:
		n.read(n.row, string(v))
	default:
		return fmt.Errorf("scan a %T: not a text", value)
	}
	return nil
}

// List is the columns of a table in their order.
type List[R any] []Column[R]

// Names is the list of their names for a statement.
func (l List[R]) Names() string {
	names := make([]string, len(l))
	for i := range l {
		names[i] = l[i].Name
	}
	return strings.Join(names, ", ")
}

// Definition is the columns as a statement that makes the table has them, each with the
// type of its kind and a comma after it.
func (l List[R]) Definition(typeOf func(Kind) string) string {
	var text strings.Builder
	for i := range l {
		text.WriteString("\t" + l[i].Name + " " + typeOf(l[i].Kind))
		if !l[i].Null {
			text.WriteString(" NOT NULL")
		}
		text.WriteString(",\n")
	}
	return text.String()
}

// Kinds are the kinds of the columns.
func (l List[R]) Kinds() []Kind {
	kinds := make([]Kind, len(l))
	for i := range l {
		kinds[i] = l[i].Kind
	}
	return kinds
}

// Append appends the values of a row.
func (l List[R]) Append(values []any, row *R) []any {
	for i := range l {
		values = append(values, l[i].Value(row))
	}
	return values
}

// Into appends where a row is scanned to.
func (l List[R]) Into(places []any, row *R) []any {
	for i := range l {
		places = append(places, l[i].Into(row))
	}
	return places
}
