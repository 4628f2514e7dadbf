package store

import "github.com/tollgate/tollgate/internal/collection"

// What all collections have in common is in package collection. It is part of what this
// package promises, under the same names.

type (
	// Collection keeps one kind of resource.
	Collection[T any, K comparable] = collection.Of[T, K]
	// Page is a page of a list.
	Page[T any] = collection.Page[T]

	// Query selects, orders and pages a list.
	Query = collection.Query
	// Filter is one condition of a query.
	Filter = collection.Filter
	// Operator compares a field with a value.
	Operator = collection.Operator
	// Order is one field to sort by.
	Order = collection.Order

	// Origin is who writes, and why.
	Origin = collection.Origin
	// Idempotency names a write that may be repeated.
	Idempotency = collection.Idempotency
	// Answer is what a write was answered, for its repetition.
	Answer = collection.Answer

	// ReferenceError says which field collides with which other object.
	ReferenceError = collection.ReferenceError
	// VersionError says that an object has another version than was wanted.
	VersionError = collection.VersionError
	// ReplayError says that a write was made already.
	ReplayError = collection.ReplayError
)

// The operators.
const (
	Equal      = collection.Equal
	Contains   = collection.Contains
	AtLeast    = collection.AtLeast
	AtMost     = collection.AtMost
	Below      = collection.Below
	Above      = collection.Above
	Not        = collection.Not
	StartsWith = collection.StartsWith
	EndsWith   = collection.EndsWith
	OneOf      = collection.OneOf
)

// Errors of collections.
var (
	ErrNotFound     = collection.ErrNotFound
	ErrInUse        = collection.ErrInUse
	ErrDuplicate    = collection.ErrDuplicate
	ErrNoReference  = collection.ErrNoReference
	ErrBusy         = collection.ErrBusy
	ErrUnavailable  = collection.ErrUnavailable
	ErrVersion      = collection.ErrVersion
	ErrKeyReused    = collection.ErrKeyReused
	ErrUnknownField = collection.ErrUnknownField
	ErrBadValue     = collection.ErrBadValue
)

// Functions for what travels in the context of a write.
var (
	WithOrigin = collection.WithOrigin
	OriginOf   = collection.OriginOf
)
