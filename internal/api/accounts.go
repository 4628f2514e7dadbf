package api

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/field"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/profile"
	"github.com/tollgate/tollgate/internal/rest"
	"github.com/tollgate/tollgate/internal/store"
)

// accountView is an account as it is answered.
type accountView struct {
	store.Account
	RecordType string `json:"record_type" readOnly:"true" enum:"account"`
}

// newTenantView is a new account with its first key.
type newTenantView struct {
	accountView
	APIKey newKeyView `json:"api_key" readOnly:"true" doc:"The account's first key, with the scopes read, write and admit."`
}

func viewAccount(a store.Account) accountView { return accountView{Account: a, RecordType: "account"} }

// ownAccountSchema is an account as its own keys see it: they do not set what only the
// operator of the server sets.
func ownAccountSchema() *rest.Schema {
	s := schemaOf[accountView]()
	for _, name := range []string{"active", "default_rate_deck_id", "locked_fields", "shared_sources"} {
		p := s.Property(name).Schema
		p.ReadOnly = true
		p.Description += " Only an operator sets it, at /tollgate/v1/accounts/{id}."
	}
	s.Property("default_rate_deck_id").Schema.Description = "The rate deck of profiles that name none; " +
		"activate a deck to change it."
	return s
}

func (s *server) accounts() collection.Of[store.Account, id.ID] {
	return store.Of[store.Account](s.Resources)
}

// account is one of any key: it is for what the account itself asks.
func (s *server) account(ctx context.Context, key id.ID) (store.Account, error) {
	return s.accounts().Get(ctx, key, key)
}

func (s *server) accountOperations() []rest.Operation {
	return append(s.ownAccountOperations(), s.tenantOperations()...)
}

// ownAccountOperations are about the account of the key, which no path names.
func (s *server) ownAccountOperations() (operations []rest.Operation) {
	r := &rest.Resource[store.Account, accountView, id.ID]{
		Path: "/tollgate/v1/account", Name: "account", Tag: "Account", Closed: true, Watched: true,
		Answers: ownAccountSchema(), Collection: s.accounts(), Required: []string{"name"},
		Adopt: func(next, current *store.Account) {
			next.OrganizationID = current.OrganizationID
			next.Active = current.Active
			next.DefaultRateDeckID = current.DefaultRateDeckID
			next.LockedFields = current.LockedFields
			next.SharedSources = current.SharedSources
		},
		Settle: s.settleAccount, Permit: permitAccount, View: rest.ViewEach(viewAccount),
	}
	for _, op := range r.MustOperations() {
		switch op.ID {
		case "get_account":
			op.Summary = "The account of the key."
		case "update_account":
		default:
			continue
		}
		op.Path = r.Path
		handle := op.Handle
		op.Handle = func(ctx context.Context, in *rest.Request) (*rest.Response, error) {
			in.ID = in.Account.String()
			return handle(ctx, in)
		}
		operations = append(operations, op)
	}
	return operations
}

// tenantOperations are about all accounts, for the operator of the server.
func (s *server) tenantOperations() []rest.Operation {
	r := &rest.Resource[store.Account, accountView, id.ID]{
		Path: "/tollgate/v1/accounts", Name: "tenant", Tag: "Accounts", Closed: true, Watched: true,
		Scope: ScopeAdmin, Reader: ScopeAdmin,
		Answers: schemaOf[accountView](), Collection: s.accounts(), Required: []string{"name"},
		Adopt:  func(next, current *store.Account) { next.OrganizationID = current.OrganizationID },
		Settle: s.settleAccount, Permit: permitAccount, View: rest.ViewEach(viewAccount),
		Create: s.createTenant, Sorts: []string{"created_at"},
	}
	operations := r.MustOperations()
	for i := range operations {
		switch op := &operations[i]; op.ID {
		case "create_tenant":
			op.Noun = "new_tenant"
			op.Summary = "Create an account. Only this answer shows the secret of its first key."
			op.Answer = schemaOf[newTenantView]()
		case "list_tenant":
			op.Summary = "List the accounts of the server."
		case "delete_tenant":
			op.Summary = "Delete one and its keys. " +
				"One that has anything else, or has ever had a call, can only be made inactive."
			remove := op.Handle
			op.Handle = func(ctx context.Context, in *rest.Request) (*rest.Response, error) {
				defer s.keys.forget()
				return remove(ctx, in)
			}
		}
	}
	return operations
}

// settleAccount checks what depends on the connections of the account, and puts its shared
// sources into the form in which they are compared.
func (s *server) settleAccount(_ *rest.Request, current, next *store.Account,
	errs []field.Error) ([]field.Error, error) {
	var before store.Account
	if current != nil {
		before = *current
	}
	errs = append(errs, accountEmergencyProblems(s.Live.Snapshot(), before.ID, before.EmergencyNumbers,
		next.EmergencyNumbers)...)
	return append(errs, foldSources(next.SharedSources)...), nil
}

// foldSources checks addresses, networks and domain names, and puts each into the form
// in which it is compared.
func foldSources(sources []string) (errs []field.Error) {
	for i, text := range sources {
		network, err := connection.ParseNetwork(text)
		name := connection.FQDN{FQDN: text, ConnectionID: 1}
		detail := ""
		switch {
		case err == nil:
			sources[i], detail = network.String(), network.Problem()
		case len(name.Validate()) > 0 || strings.Contains(text, "/"):
			detail = fmt.Sprintf("%.50q is no address, network or domain name. Give one such as "+
				"\"192.0.2.1\", \"192.0.2.0/24\" or \"sip.example.com\".", text)
		default:
			sources[i] = name.Name()
		}
		if detail != "" {
			errs = append(errs, field.Error{Code: field.Malformed, Pointer: fmt.Sprint("/shared_sources/", i), Detail: detail})
		}
	}
	return errs
}

// permitAccount keeps what limits an account from being loosened by the account itself,
// and the key of the request from locking itself out.
func permitAccount(in *rest.Request, current, next *store.Account) error {
	if current == nil {
		return nil // only an operator makes accounts
	}
	if current.ID == in.Account && !next.Active {
		return rest.FailAt(http.StatusUnprocessableEntity, "/active", rest.CodeInUse,
			"The account is that of the key of this request, which would lock itself out.")
	}
	if beyond(in, []string{ScopeAdmin}) == "" {
		return nil
	}
	const where = "/tollgate/v1/accounts/{id}"
	added := addedEmergencyNumbers(current.EmergencyNumbers, next.EmergencyNumbers, ", at "+where)
	switch {
	case len(added) > 0:
		return &rest.RefusalError{Status: http.StatusForbidden, Problems: added}
	case raised(current.ConcurrentCallLimit, next.ConcurrentCallLimit):
		return rest.FailAt(http.StatusForbidden, "/concurrent_call_limit", rest.CodeForbidden,
			"Raising concurrent_call_limit needs a key with the scope %q, at %s. %s",
			ScopeAdmin, where, wayToScope(ScopeAdmin))
	case weakened(&current.SpendLimit, &next.SpendLimit):
		return rest.FailAt(http.StatusForbidden, "/daily_spend_limit", rest.CodeForbidden,
			"Raising or loosening daily_spend_limit needs a key with the scope %q, at %s. %s",
			ScopeAdmin, where, wayToScope(ScopeAdmin))
	}
	return nil
}

// weakened reports whether a daily limit allows more than before.
func weakened(from, to *profile.SpendLimit) bool {
	return from.Limits() && (!to.Limits() || *to.DailySpendLimit > *from.DailySpendLimit ||
		from.SpendLimitAction == profile.EndCalls && to.SpendLimitAction != profile.EndCalls ||
		from.AfterLimit == profile.HoldUntilReleased && to.AfterLimit != profile.HoldUntilReleased)
}

// raised reports whether a limit becomes higher; nil is the highest.
func raised(from, to *int32) bool {
	return from != nil && (to == nil || *to > *from)
}

// createTenant makes an account together with its first key, whose secret only this answer
// shows.
func (s *server) createTenant(ctx context.Context, in *rest.Request, a store.Account) (*rest.Response, error) {
	secret, err := NewKey(s.Random)
	if err != nil {
		return nil, err
	}
	key, err := ImportKey(secret, 0, "first key", tenantScopes()...)
	if err != nil {
		return nil, err
	}
	render := func(ctx context.Context, t store.Tenant) (*rest.Response, error) {
		shown := newKeyView{keyView: viewKey(&t.Key, nil), Secret: shownSecret(ctx, secret)}
		return &rest.Response{Data: newTenantView{accountView: viewAccount(t.Account), APIKey: shown},
			Version: t.Account.Version}, nil
	}
	return rest.Committed(ctx, in, render, func(ctx context.Context) (store.Tenant, error) {
		return s.Tenants.CreateTenant(ctx, a, key)
	})
}
