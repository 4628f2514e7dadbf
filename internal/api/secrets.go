package api

import (
	"net/http"
	"slices"
	"strings"

	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/field"
	"github.com/tollgate/tollgate/internal/secret"
)

// secretField is a field of a resource that a key without the scope secrets does not
// get to see, but in the answer to the request that has set it.
type secretField struct {
	path string // as in outbound/ip_authentication_token
	show func(change func(string) string)
}

// text is the field of a view that is a text.
func text(path string, value *string) secretField {
	return secretField{path, func(change func(string) string) { *value = change(*value) }}
}

// optional is the field of a view that may be null. What the view shares with the
// object is left alone.
func optional(path string, value **string) secretField {
	return secretField{path, func(change func(string) string) {
		if *value != nil {
			*value = new(change(**value))
		}
	}}
}

const tokenPath = "outbound/ip_authentication_token"

func secretsOfCredential(v *credentialConnectionView) []secretField {
	return []secretField{text("password", &v.Password)}
}

func secretsOfIP(v *ipConnectionView) []secretField {
	return []secretField{optional(tokenPath, &v.Outbound.IPAuthenticationToken)}
}

func secretsOfFQDN(v *fqdnConnectionView) []secretField {
	return []secretField{optional("password", &v.Password), optional(tokenPath, &v.Outbound.IPAuthenticationToken)}
}

// secretsOfGateway only says which field must not be set to a mask: a gateway's
// password is shown to no key.
func secretsOfGateway(*gatewayView) []secretField {
	return []secretField{{"password", func(func(string) string) {}}}
}

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
			case !in.sees(), connection.IsHashed(stored):
				return secret.Mask
			}
			return stored
		})
	}
}

// sees says whether the key of the request gets to see secrets.
func (in *request) sees() bool { return slices.Contains(in.key.Scopes, ScopeSecrets) }

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
		case connection.IsHashed(given):
			detail = " holds a control character. Use printable characters."
		default:
			continue
		}
		errs = append(errs, field.Error{Pointer: "/" + s.path, Code: field.Malformed,
			Detail: s.path[strings.LastIndexByte(s.path, '/')+1:] + detail})
	}
	return errs
}

// renamedProblem is for connections whose password is kept as hashes alone: they do not
// hold for another user name.
func renamedProblem(password string, named map[string]any) []field.Error {
	if _, renamed := named["user_name"]; !renamed || !connection.IsHashed(password) {
		return nil
	}
	return []field.Error{{Pointer: "/password", Code: field.Missing,
		Detail: "The password is stored as hashes, which hold for the user_name of before. Give user_name " +
			"and password together."}}
}
