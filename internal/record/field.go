package record

import (
	"reflect"
	"time"

	"github.com/tollgate/tollgate/internal/column"
	"github.com/tollgate/tollgate/internal/e164"
)

// Field describes a field of call records: its column, what detail records show, and
// how a list can be filtered and sorted by it. The store's statements, the answers of the
// API, its document, its filters and the list of options are made from the table of them.
type Field struct {
	Name string // in detail records; "" for what they do not show
	Doc  string // in the document of the API
	Note string // in docs/COMPATIBILITY.md, where that says more than Doc
	Ours bool   // Telnyx does not have it
	Enum []string

	// Column is where it is stored; its Name is "" for a computed field or one in the body.
	Column column.Column[Call]
	Shown  Shown // what detail records show; the value of the column if nil

	Filter   Filter
	Also     []string // other names of the filter
	Sortable bool
}

// Filter is how a list of records can be filtered by a field.
type Filter uint8

// The filters.
const (
	NoFilter Filter = iota
	Exact           // by the value
	Parts           // by the value, or a part of the text
	Sizes           // by the value, or bounds of it
	Seconds         // the same, of microseconds in which a part of a second counts whole
	Times           // by a moment, or bounds of it
	Country         // by the code of a country
)

// Shown is what detail records show of a call.
type Shown struct {
	Type reflect.Type
	Of   func(*Call) any // a value of the type
}

func shown[T any](of func(*Call) T) Shown {
	return Shown{reflect.TypeFor[T](), func(c *Call) any { return of(c) }}
}

// word is a text that not every call has.
func word(of func(*Call) string) Shown { return shown(func(c *Call) *string { return orNull(of(c)) }) }

// constant is what all calls have in common.
func constant[T any](value T) Shown { return shown(func(*Call) T { return value }) }

// moment is the time of something that not every call has come to.
func moment(of func(*Call) int64) Shown {
	return shown(func(c *Call) *time.Time {
		if micros := of(c); micros != 0 {
			return new(time.UnixMicro(micros))
		}
		return nil
	})
}

// number is a phone number, if it is one.
func number(of func(*Call) e164.Number) Shown {
	return shown(func(c *Call) *e164.Number { return orNull(of(c)) })
}

func orNull[T comparable](value T) *T {
	var none T
	if value == none {
		return nil
	}
	return &value
}

// oneIf is 1 or 0.
func oneIf(of func(*Call) bool) Shown {
	return shown(func(c *Call) int {
		if of(c) {
			return 1
		}
		return 0
	})
}

// The functions below give a field its column, and show what the column holds where the
// field does not say otherwise.

func integer[T ~int64 | ~int32 | ~uint64 | ~uint8](f Field, name string, kind column.Kind, at func(*Call) *T) Field {
	return f.stored(column.Integer(name, kind, at), shown(func(c *Call) T { return *at(c) }))
}

func instant(f Field, name string, at func(*Call) *int64) Field {
	return f.stored(column.Integer(name, column.Time, at), moment(func(c *Call) int64 { return *at(c) }))
}

func words(f Field, name string, at func(*Call) *string) Field {
	return f.stored(column.Words(name, at), shown(func(c *Call) string { return *at(c) }))
}

func flag(f Field, name string, at func(*Call) *bool) Field {
	return f.stored(column.Flag(name, at), shown(func(c *Call) bool { return *at(c) }))
}

func named(f Field, name string, text func(*Call) string, read func(*Call, string)) Field {
	return f.stored(column.Named(name, text, read), word(text))
}

func (f Field) stored(c column.Column[Call], shown Shown) Field {
	f.Column = c
	if f.Shown.Of == nil {
		f.Shown = shown
	}
	return f
}

// Columns are the columns of call records.
func Columns() (columns column.List[Call]) {
	for i := range Fields {
		if Fields[i].Column.Name != "" {
			columns = append(columns, Fields[i].Column)
		}
	}
	return columns
}
