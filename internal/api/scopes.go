package api

import "github.com/tollgate/tollgate/internal/rest"

// Scopes of keys.
const (
	ScopeRead    = rest.ScopeRead
	ScopeWrite   = rest.ScopeWrite
	ScopeAdmit   = "admit"   // to ask for admission of calls
	ScopeCarrier = "carrier" // to set prices and routes: rate decks and gateways
	ScopeSecrets = "secrets" // to see stored secrets in full
	ScopeAdmin   = "admin"   // over all accounts of the server
)

// Scopes are all that a key can have. No scope includes another.
func Scopes() []string {
	return []string{ScopeRead, ScopeWrite, ScopeAdmit, ScopeCarrier, ScopeSecrets, ScopeAdmin}
}

// tenantScopes are those of a tenant's first key. What decides about prices, routes
// and limits stays with the operator of the server.
func tenantScopes() []string { return []string{ScopeRead, ScopeWrite, ScopeAdmit} }
