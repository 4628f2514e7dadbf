package api

import (
	"net/http"

	"github.com/go-json-experiment/json"

	"github.com/tollgate/tollgate/internal/field"
)

// readLean decodes the body straight into its Go type. What does not fit, or has a
// value that wellFormed does not vouch for, is read again as every other body is,
// to say exactly what is wrong with it.
func (in *request) readLean(into any, shape *schema, wellFormed func() bool) error {
	if json.Unmarshal(in.raw, into, json.RejectUnknownMembers(true)) == nil && wellFormed() {
		return nil
	}
	if _, err := in.parseBody(shape, shape); err != nil {
		return err
	}
	body, problems := in.checked(shape, nil, nil)
	if len(problems) > 0 {
		return invalid(problems)
	}
	if err := decode(body, into); err != nil {
		return fail(http.StatusUnprocessableEntity, field.Malformed, "The body has a value that cannot be read.")
	}
	return nil
}
