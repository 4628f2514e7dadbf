package rest

import (
	"net/http"
	"strings"

	"github.com/tollgate/tollgate/internal/field"
	"github.com/tollgate/tollgate/internal/secret"
)

// SecretField is a field of a resource that a key without the scope secrets does not
// get to see, but in the answer to the request that has set it.
type SecretField struct {
	Path string // as in access/token
	Show func(change func(string) string)
	// Hashed says of a secret that it is stored as what it was made into, which is shown to
	// no key, and not taken; nil for none.
	Hashed func(string) bool
}

func (s *SecretField) isHashed(stored string) bool { return s.Hashed != nil && s.Hashed(stored) }

// conceal masks the secrets of an object that is answered. Telnyx shows a password in
// full on create, and on an update that changed it; everywhere else to no key but one
// with the scope secrets.
func (r *Resource[T, V, K]) conceal(in *Request, view *V) {
	if r.Secrets == nil {
		return
	}
	set := in.Op.Method == http.MethodPost || in.Op.Method == http.MethodPatch
	for _, s := range r.Secrets(view) {
		given, named := in.named(s.Path)
		s.Show(func(stored string) string {
			switch {
			case stored == "":
				return ""
			case set && named && given != "":
				return given
			case !in.Caller.Sees, s.isHashed(stored):
				return secret.Mask
			}
			return stored
		})
	}
}

// named is the text that the request gives a field.
func (in *Request) named(path string) (value string, named bool) {
	var at any = in.Body
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
func (r *Resource[T, V, K]) maskProblems(in *Request) []field.Error {
	if r.Secrets == nil {
		return nil
	}
	var errs []field.Error
	for _, s := range r.Secrets(new(V)) {
		given, _ := in.named(s.Path)
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
		errs = append(errs, field.Error{Pointer: "/" + s.Path, Code: field.Malformed,
			Detail: s.Path[strings.LastIndexByte(s.Path, '/')+1:] + detail})
	}
	return errs
}
