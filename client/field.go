package client

import (
	"errors"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Field is a field of a request. The zero Field is not sent, so that the server
// leaves the value as it is, or sets its default when an object is created.
type Field[T any] struct {
	value T
	state fieldState
}

type fieldState uint8

const (
	fieldAbsent fieldState = iota
	fieldNull
	fieldSet
)

// Set is a field with a value.
func Set[T any](value T) Field[T] { return Field[T]{value, fieldSet} }

// Null is a field that is sent as null, which sets it to its default.
func Null[T any]() Field[T] { return Field[T]{state: fieldNull} }

// IsZero reports whether the field is left out.
func (f Field[T]) IsZero() bool { return f.state == fieldAbsent }

// MarshalJSONTo writes the value, or null.
func (f Field[T]) MarshalJSONTo(encoder *jsontext.Encoder) error {
	if f.state != fieldSet {
		return encoder.WriteToken(jsontext.Null)
	}
	return json.MarshalEncode(encoder, f.value)
}

// Decimal is an exact decimal amount that JSON has as a text, such as "100.00".
type Decimal string

// Number is a JSON number with its digits as they were written, such as 0.0125.
type Number string

var errNumber = errors.New("not a JSON number")

// MarshalJSON writes the digits.
func (n Number) MarshalJSON() ([]byte, error) {
	value := jsontext.Value(n)
	if !value.IsValid() || value.Kind() != '0' {
		return nil, errNumber
	}
	return value, nil
}

// UnmarshalJSON keeps the digits.
func (n *Number) UnmarshalJSON(text []byte) error {
	if jsontext.Value(text).Kind() != '0' {
		return errNumber
	}
	*n = Number(text)
	return nil
}
