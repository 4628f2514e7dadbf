package table

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/tollgate/tollgate/internal/collection"
)

// ReadError wraps the error of a read of one object.
func ReadError(what, key string, err error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("%s %s: %w", what, key, collection.ErrNotFound)
	}
	return fmt.Errorf("read %s %s: %w", what, key, Unavailable(err))
}

// Unavailable marks an error of the database as collection.ErrUnavailable. Errors of
// the store itself and of the caller's context stay as they are.
func Unavailable(err error) error {
	for _, own := range []error{
		collection.ErrUnavailable, collection.ErrBusy, collection.ErrNotFound, collection.ErrInUse, collection.ErrDuplicate,
		collection.ErrNoReference, collection.ErrUnknownField, collection.ErrBadValue, ErrCorrupt,
		context.Canceled, context.DeadlineExceeded,
	} {
		if errors.Is(err, own) {
			return err
		}
	}
	return fmt.Errorf("%w: %w", collection.ErrUnavailable, err)
}
