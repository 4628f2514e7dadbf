package api

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/field"
	"github.com/tollgate/tollgate/internal/rest"
	"github.com/tollgate/tollgate/internal/store"
)

const codeAccountClosed field.Code = "20012"

// failureOf is the answer to those errors of the store that not every collection has.
func failureOf(err error) *rest.RefusalError {
	reference := &collection.ReferenceError{}
	errors.As(err, &reference)
	locked := (*store.LockedError)(nil)
	switch {
	case errors.As(err, &locked):
		return lockedFailure(locked)
	case errors.Is(err, store.ErrTaken):
		return rest.FailAt(http.StatusUnprocessableEntity, reference.Field, field.Duplicate,
			"%s, or a part of it, is taken already. "+
				"Give one that is yours alone, or ask the operator of the server to share it with your account (shared_sources).",
			reference.Other)
	case errors.Is(err, store.ErrIndistinct):
		return rest.FailAt(http.StatusUnprocessableEntity, reference.Field, field.Duplicate,
			"%s is shared, and what comes from it could not be told apart. "+
				"Every connection there needs a tech_prefix or an ip_authentication_token that no other one there has.",
			reference.Other)
	case errors.Is(err, store.ErrTooMany):
		pointer, most := "/", ""
		if reference.Other != "" {
			pointer, most = reference.Field, ": there may be "+reference.Other
		}
		return rest.FailAt(http.StatusUnprocessableEntity, pointer, rest.CodeUnprocessable,
			"There are as many of these as there may be%s. Delete one that is not needed, or change one that is there.", most)
	case errors.Is(err, collection.ErrNoReference) && strings.HasSuffix(reference.Field, "/billing_group_id"):
		return rest.FailAt(http.StatusForbidden, reference.Field, rest.CodeForbidden,
			"The specified billing group either does not exist or is not part of your account.")
	}
	return nil
}

// lockedFailure names every field that is locked, and who can change it.
func lockedFailure(e *store.LockedError) *rest.RefusalError {
	f := &rest.RefusalError{Status: http.StatusForbidden}
	for _, locked := range e.Fields {
		f.Problems = append(f.Problems, rest.Problem{Code: rest.CodeForbidden, Pointer: locked.Pointer, Detail: fmt.Sprintf(
			"%s is locked for this account (locked_fields) by the operator of the server. Leave it as it is, or ask them: "+
				"a key with the scope %q changes or unlocks it at /tollgate/v1/accounts/{id}.", locked.Lock, ScopeAdmin)})
	}
	return f
}
