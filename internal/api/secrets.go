package api

import (
	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/field"
	"github.com/tollgate/tollgate/internal/rest"
)

// text is the field of a view that is a text.
func text(path string, value *string) rest.SecretField {
	return hashable(path, func(change func(string) string) { *value = change(*value) })
}

// optional is the field of a view that may be null. What the view shares with the
// object is left alone.
func optional(path string, value **string) rest.SecretField {
	return hashable(path, func(change func(string) string) {
		if *value != nil {
			*value = new(change(**value))
		}
	})
}

// hashable is a secret that may be kept as hashes.
func hashable(path string, show func(change func(string) string)) rest.SecretField {
	return rest.SecretField{Path: path, Show: show, Hashed: connection.IsHashed}
}

const tokenPath = "outbound/ip_authentication_token"

func secretsOfCredential(v *credentialConnectionView) []rest.SecretField {
	return []rest.SecretField{text("password", &v.Password)}
}

func secretsOfIP(v *ipConnectionView) []rest.SecretField {
	return []rest.SecretField{optional(tokenPath, &v.Outbound.IPAuthenticationToken)}
}

func secretsOfFQDN(v *fqdnConnectionView) []rest.SecretField {
	return []rest.SecretField{optional("password", &v.Password), optional(tokenPath, &v.Outbound.IPAuthenticationToken)}
}

// secretsOfGateway only says which field must not be set to a mask: a gateway's
// password is shown to no key.
func secretsOfGateway(*gatewayView) []rest.SecretField {
	return []rest.SecretField{hashable("password", func(func(string) string) {})}
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
