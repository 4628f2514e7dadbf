package api

import (
	"net/http"
	"strings"

	"github.com/tollgate/tollgate/internal/field"
	"github.com/tollgate/tollgate/internal/secret"
)

// secretField is a field of a resource that a key without the scope secrets does not
// get to see, but in the answer to the request that has set it.
type secretField struct {
	path string // as in outbound/ip_authentication_token
	show func(change func(string) string)
	// hashed says of a secret that it is stored as what it was made into, which is shown to
	// no key, and not taken; nil for none.
	hashed func(string) bool
}

func (s *secretField) isHashed(stored string) bool { return s.hashed != nil && s.hashed(stored) }

// conceal masks the secrets of an object that is answered. Telnyx shows a password in
// full on create, and on an update that changed it; everywhere else to no key but one
// with the scope secrets.
func (r *resource[T, V, K]) conceal(in *request, view *V) {
	if r.secrets == nil {
		return
	}
	set := in.op.method == http.MethodPost || in.op.method == http.MethodPatch
	for _, s := range r.secrets(view) {
		given, named := in.named(s.path)
		s.show(func(stored string) string {
			switch {
			case stored == "":
				return ""
			case set && named && given != "":
				return given
			case !in.caller.sees, s.isHashed(stored):
				return secret.Mask
			}
			return stored
		})
	}
}

// named is the text that the request gives a field.
func (in *request) named(path string) (value string, named bool) {
	var at any = in.body
	for name := range strings.SplitSeq(path, "/") {
		object, ok := at.(map[string]any)
		if !ok {
			return "", false
		}
		if at, named = object[name]; !named {
			return "", false
		}
	}
	value, named = at.(string)
	return value, named
}

// maskProblems refuses what stands for a secret in answers as the secret itself: a
// client that sends a whole object back would set its password to asterisks.
func (r *resource[T, V, K]) maskProblems(in *request) []field.Error {
	if r.secrets == nil {
		return nil
	}
	var errs []field.Error
	for _, s := range r.secrets(new(V)) {
		given, _ := in.named(s.path)
		var detail string
		switch {
		case secret.IsMask(given):
			detail = " is only asterisks, which stand for a secret that is not shown. Leave it out to keep the one that is " +
				"set, or give a new one."
		case s.isHashed(given):
			detail = " holds a control character. Use printable characters."
		default:
			continue
		}
		errs = append(errs, field.Error{Pointer: "/" + s.path, Code: field.Malformed,
			Detail: s.path[strings.LastIndexByte(s.path, '/')+1:] + detail})
	}
	return errs
}
