// Package collection says what all kinds of resources have in common where they are kept:
// how a list is queried, who writes and on which conditions, and why a write fails.
package collection

import (
	"context"
	"errors"

	"github.com/tollgate/tollgate/internal/id"
)

// Errors of collections. They are wrapped with what was tried.
var (
	// ErrNotFound: no such object in this account. Another account's object is not found either.
	ErrNotFound = errors.New("not found")
	// ErrInUse: the object is referred to by another and cannot be deleted.
	ErrInUse = errors.New("in use")
	// ErrDuplicate: another object has the same unique value.
	ErrDuplicate = errors.New("duplicate")
	// ErrNoReference: the object names another one that the account does not have.
	ErrNoReference = errors.New("referenced object does not exist")
	// ErrBusy: the queue of the store is full; nothing was done.
	ErrBusy = errors.New("store is busy")
	// ErrUnavailable: the database failed or is closed. A command whose commit
	// failed may or may not be durable; repeating it with the same id is safe.
	ErrUnavailable = errors.New("store is unavailable")
	// ErrVersion: the object has none of the versions of Origin.Versions.
	ErrVersion = errors.New("version mismatch")
	// ErrKeyReused: the idempotency key was used with another request.
	ErrKeyReused = errors.New("idempotency key already used with another request")
)

// ReferenceError says which field of an object collides with, is used by, or
// names which other object. It wraps ErrInUse, ErrDuplicate or ErrNoReference.
type ReferenceError struct {
	Err   error
	Field string // JSON pointer, as in "/group_id"
	Other string // what it collides with or is used by, for people
}

func (e *ReferenceError) Error() string { return e.Field + ": " + e.Err.Error() + ": " + e.Other }

// Unwrap returns the sentinel.
func (e *ReferenceError) Unwrap() error { return e.Err }

// Of keeps one kind of resource. Every method works within one account.
//
// Create and Update check references and uniqueness and are durable, and in force,
// when they return. The function given to Update may be called more
// than once; it gets the current object and returns the next one.
type Of[T any, K comparable] interface {
	// Fresh makes an object with all its defaults, for a Create.
	Fresh() T
	Create(ctx context.Context, account id.ID, object T) (T, error)
	Get(ctx context.Context, account id.ID, key K) (T, error)
	Update(ctx context.Context, account id.ID, key K, change func(T) (T, error)) (T, error)
	Delete(ctx context.Context, account id.ID, key K) (T, error)
	List(ctx context.Context, account id.ID, q Query) (Page[T], error)
}

// Query selects, orders and pages a list. Every order is made total by the id.
type Query struct {
	Filters []Filter
	Sort    []Order
	Number  int // page, from 1
	Size    int // objects a page, at least 1
}

// Operator compares a field with a value.
type Operator uint8

// The operators.
const (
	Equal    Operator = iota
	Contains          // without regard to case
	AtLeast
	AtMost
	Below
	Above
	Not
	StartsWith // without regard to case, as Contains
	EndsWith
	OneOf // of a field that is an id
)

// Filter is one condition. Field is the JSON name of a field; which fields can be
// filtered and sorted is the store's table for that kind, and an unknown one is an
// error that wraps ErrUnknownField. Value is a string, int64 or bool; with OneOf it is
// a []id.ID, and an empty one selects nothing.
type Filter struct {
	Field string
	Op    Operator
	Value any
}

// Order is one field to sort by.
type Order struct {
	Field      string
	Descending bool
}

// ErrUnknownField means that a list cannot be filtered or sorted by a field.
var ErrUnknownField = errors.New("unknown field")

// ErrBadValue means that a filter's value or operator does not fit its field, or that
// a page size or the number of filters is out of range. It is wrapped with which.
var ErrBadValue = errors.New("value cannot be used in a query")

// Page is one page of a list and the number of objects in all pages.
type Page[T any] struct {
	Items []T
	Total int
}
