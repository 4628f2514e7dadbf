package collection

import (
	"context"

	"github.com/tollgate/tollgate/internal/id"
)

// Origin says who asks for a write of configuration, and on which terms. It
// travels in the context; a write without one is the server's own.
type Origin struct {
	KeyID      id.ID // the API key; 0 for none
	KeyAccount id.ID // whose key it is
	KeyName    string
	Address    string // from where, without the port
	RequestID  string
	Reason     string // as the client gave it
	Admin      bool   // the key is an admin's, whom no lock of an account keeps out

	// DryRun has everything checked and nothing changed: the write returns what
	// it would return.
	DryRun bool
	// Versions are those of which the object must have one, or the write fails
	// with a VersionError; nil means any.
	Versions []int64
	// Idempotency makes the write happen once; nil for none.
	Idempotency *Idempotency
}

// Allows reports whether the origin's condition holds for an object of a version.
func (o *Origin) Allows(version int64) bool {
	if o == nil || o.Versions == nil {
		return true
	}
	for _, v := range o.Versions {
		if v == version {
			return true
		}
	}
	return false
}

// Idempotency is a key that a client chose for one request. The answer is kept in
// the transaction of the write itself, so that both are there or neither.
type Idempotency struct {
	Account id.ID // whose key it is: two accounts may choose the same one
	Key     string
	Request [32]byte // hash of what was asked for
	// Render makes the answer from what the write returns. It is called within the
	// transaction and must not write.
	Render func(object any) (Answer, error)
}

// Answer is an answer as it is kept for an idempotency key.
type Answer struct {
	Status int
	ETag   string
	Body   []byte
}

// VersionError carries the object as it is. It wraps ErrVersion.
type VersionError struct {
	Current any // of the type of the collection
}

func (e *VersionError) Error() string { return ErrVersion.Error() }

// Unwrap returns ErrVersion.
func (e *VersionError) Unwrap() error { return ErrVersion }

// ReplayError means that the write has happened before, with the same idempotency
// key and the same request, and how it was answered then. Nothing was done now.
type ReplayError struct {
	Answer Answer
}

func (e *ReplayError) Error() string { return "the write has happened before" }

type originKey struct{}

// WithOrigin returns a context in which writes have the origin.
func WithOrigin(ctx context.Context, o *Origin) context.Context {
	return context.WithValue(ctx, originKey{}, o)
}

// OriginOf returns the origin of a context, or nil.
func OriginOf(ctx context.Context) *Origin {
	o, _ := ctx.Value(originKey{}).(*Origin)
	return o
}
