package store

import "github.com/tollgate/tollgate/internal/collection"

// What all collections have in common is in package collection. It is part of what this
// package promises, under the same names.
type (
	// Collection keeps one kind of resource.
	Collection[T any, K comparable] = collection.Of[T, K]
	// Page is a page of a list.
	Page[T any] = collection.Page[T]

	Query    = collection.Query
	Filter   = collection.Filter
	Operator = collection.Operator
	Order    = collection.Order

	Origin      = collection.Origin
	Idempotency = collection.Idempotency
	Answer      = collection.Answer

	ReferenceError = collection.ReferenceError
	VersionError   = collection.VersionError
	ReplayError    = collection.ReplayError
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
