package rest

import (
	"net/http"

	"github.com/go-json-experiment/json"

	"github.com/tollgate/tollgate/internal/field"
)

// ReadLean decodes the body straight into its Go type. What does not fit, or has a
// value that wellFormed does not vouch for, is read again as every other body is,
// to say exactly what is wrong with it.
func (in *Request) ReadLean(into any, shape *Schema, wellFormed func() bool) error {
	if json.Unmarshal(in.Raw, into, json.RejectUnknownMembers(true)) == nil && wellFormed() {
		return nil
	}
	if _, err := in.parseBody(shape, shape); err != nil {
		return err
	}
	body, problems := in.Checked(shape, nil, nil)
	if len(problems) > 0 {
		return Invalid(problems)
	}
	if err := Decode(body, into); err != nil {
		return Fail(http.StatusUnprocessableEntity, field.Malformed, "The body has a value that cannot be read.")
	}
	return nil
}
