package store

import (
	"context"

	"github.com/tollgate/tollgate/internal/registration"
)

// MaxRegistrationsSaved is how many contacts are written at once, so that calls which are
// written after them hardly wait.
const MaxRegistrationsSaved = 64

// Registrations keeps the contacts of telephones for all nodes, and over restarts. They are
// no configuration: they have no audit, and their writes are in no order with others.
// Contacts that ended long ago are deleted in time (package registration says when), those
// of a connection or account with it.
type Registrations interface {
	// SaveRegistrations writes contacts, MaxRegistrationsSaved at most and each once. One
	// that does not supersede what is kept of the same contact is left out.
	SaveRegistrations(ctx context.Context, list []registration.Binding) error
	// RegistrationsSince gives the contacts of all accounts that were written after the
	// call that returned the mark, and possibly some from before it: all of them for mark
	// 0, else those that other processes have written. It returns the next mark.
	RegistrationsSince(ctx context.Context, mark int64) (list []registration.Binding, next int64, err error)
}
