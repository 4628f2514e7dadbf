package api

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/field"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/profile"
	"github.com/tollgate/tollgate/internal/rest"
	"github.com/tollgate/tollgate/internal/store"
)

// accountView is the account of the key.
type accountView struct {
	ID                  id.ID     `json:"id" readOnly:"true"`
	RecordType          string    `json:"record_type" readOnly:"true" enum:"account"`
	Name                string    `json:"name" minLength:"1" maxLength:"255"`
	Active              bool      `json:"active" readOnly:"true" doc:"Keys and calls of an account that is not active are refused."`
	ConcurrentCallLimit *int32    `json:"concurrent_call_limit" minimum:"0" doc:"Calls of all profiles together, ringing or up; null for no limit. Profiles cannot be given more. When it is lowered, profiles keep what they have and calls that are up go on: no new one is let in above it. Only a key with the scope admin may raise it."`
	DefaultRateDeckID   id.ID     `json:"default_rate_deck_id" readOnly:"true" doc:"The rate deck of profiles that name none; activate a deck to change it."`
	OrganizationID      uuid.UUID `json:"organization_id" readOnly:"true"`
	EmergencyNumbers    []string  `json:"emergency_numbers" maxItems:"50" doc:"Dialled numbers that are emergency calls besides those of the connection and its country: 2 to 6 digits that can be dialled as nothing else on any connection of the account. Only a key with the scope admin may add one."`
	profile.SpendLimit
	LockedFields           []string  `json:"locked_fields" readOnly:"true" maxItems:"11" enum:"daily_spend_limit,concurrent_call_limit,default_rate_deck_id,rate_deck_id,rate_decks,gateways,billing_groups,emergency_numbers,record_retention_days,recording_retention_days,verified_numbers" doc:"What only a key with the scope admin changes, though others could: daily_spend_limit with all that belongs to it, other fields of the account by their names, rate_deck_id of every profile, rate_decks and gateways as a whole, of billing_groups their limits, their release and which group a profile is in, and the verification of a number (verified_numbers). Set at /tollgate/v1/accounts/{id}."`
	SharedSources          []string  `json:"shared_sources" readOnly:"true" maxItems:"100" maxLength:"253" doc:"Addresses, networks and domain names that the account may use though they are another account's. Every connection there needs a tech_prefix or a token. Set at /tollgate/v1/accounts/{id}."`
	RecordRetentionDays    *int32    `json:"record_retention_days" minimum:"1" maximum:"36500" doc:"How many whole UTC days before today call detail records are kept; those of calls that ended earlier are deleted, and with them what usage reports and call events are made of. Those of today are never deleted. null for ever."`
	RecordingRetentionDays *int32    `json:"recording_retention_days" minimum:"1" maximum:"36500" doc:"How long recordings are kept after their call; older ones are deleted. null for ever."`
	CreatedAt              time.Time `json:"created_at" readOnly:"true"`
	UpdatedAt              time.Time `json:"updated_at" readOnly:"true"`
}

// tenantView is an account as the operator of the server sees it.
type tenantView struct {
	accountView
	Active            bool     `json:"active" doc:"Keys and calls of an account that is not active are refused."`
	DefaultRateDeckID id.ID    `json:"default_rate_deck_id" doc:"The rate deck of profiles that name none: one of the account's."`
	LockedFields      []string `json:"locked_fields" maxItems:"11" enum:"daily_spend_limit,concurrent_call_limit,default_rate_deck_id,rate_deck_id,rate_decks,gateways,billing_groups,emergency_numbers,record_retention_days,recording_retention_days,verified_numbers" doc:"What only a key with the scope admin changes, though others could: daily_spend_limit with all that belongs to it, other fields of the account by their names, rate_deck_id of every profile, rate_decks and gateways as a whole, of billing_groups their limits, their release and which group a profile is in, and the verification of a number (verified_numbers)."`
	SharedSources     []string `json:"shared_sources" maxItems:"100" minLength:"1" maxLength:"253" doc:"Addresses, networks and domain names that the account may use though they are another account's. Every connection there needs a tech_prefix or a token. What is taken off keeps what is in use already."`
}

// newTenantView is a new account with its first key.
type newTenantView struct {
	tenantView
	APIKey newKeyView `json:"api_key" readOnly:"true" doc:"The account's first key, with the scopes read, write and admit."`
}

// accountFields are what a request sets of an account.
type accountFields struct {
	Name                string   `json:"name"`
	Active              *bool    `json:"active"`
	ConcurrentCallLimit *int32   `json:"concurrent_call_limit"`
	EmergencyNumbers    []string `json:"emergency_numbers"`
	profile.SpendLimit
	RecordRetentionDays    *int32 `json:"record_retention_days"`
	RecordingRetentionDays *int32 `json:"recording_retention_days"`

	// What only an admin sets; not given in a request that cannot.
	ofAdmin           bool
	DefaultRateDeckID id.ID    `json:"default_rate_deck_id"`
	LockedFields      []string `json:"locked_fields"`
	SharedSources     []string `json:"shared_sources"`
}

func (f *accountFields) put(a *store.Account) {
	if f.ofAdmin {
		a.DefaultDeck, a.LockedFields, a.SharedSources = f.DefaultRateDeckID, f.LockedFields, f.SharedSources
	}
	a.Name, a.ChannelLimit, a.EmergencyNumbers = f.Name, f.ConcurrentCallLimit, f.EmergencyNumbers
	a.RecordRetentionDays, a.RecordingRetentionDays = f.RecordRetentionDays, f.RecordingRetentionDays
	a.SpendLimit = f.SpendLimit
	if f.Active != nil {
		a.Active = *f.Active
	}
}

func viewAccount(a *store.Account) accountView {
	return accountView{ID: a.ID, RecordType: "account", Name: a.Name, Active: a.Active,
		ConcurrentCallLimit: a.ChannelLimit, DefaultRateDeckID: a.DefaultDeck, OrganizationID: a.OrganizationID,
		EmergencyNumbers: a.EmergencyNumbers, LockedFields: append([]string{}, a.LockedFields...),
		SharedSources: append([]string{}, a.SharedSources...), RecordRetentionDays: a.RecordRetentionDays,
		RecordingRetentionDays: a.RecordingRetentionDays, SpendLimit: a.SpendLimit, CreatedAt: a.CreatedAt,
		UpdatedAt: a.UpdatedAt}
}

func viewTenant(a *store.Account) tenantView {
	v := viewAccount(a)
	return tenantView{accountView: v, Active: v.Active, DefaultRateDeckID: v.DefaultRateDeckID,
		LockedFields: v.LockedFields, SharedSources: v.SharedSources}
}

func answerAccount(_ context.Context, a store.Account) (*rest.Response, error) {
	return &rest.Response{Data: viewAccount(&a), Version: a.Version}, nil
}

func answerTenant(_ context.Context, a store.Account) (*rest.Response, error) {
	return &rest.Response{Data: viewTenant(&a), Version: a.Version}, nil
}

func (s *server) accountOperations() []rest.Operation {
	const (
		own      = "/tollgate/v1/account"
		all      = "/tollgate/v1/accounts"
		one      = all + "/{id}"
		tag      = "Account"
		adminTag = "Accounts"
	)
	account, tenant := schemaOf[accountView](), schemaOf[tenantView]()
	required := []string{"name"}
	defaults := map[string]any{"active": true, "default_rate_deck_id": nil, "locked_fields": []any{},
		"shared_sources": []any{}, "concurrent_call_limit": nil, "emergency_numbers": []any{}, "record_retention_days": nil,
		"recording_retention_days": nil, "daily_spend_limit": nil, "daily_spend_limit_enabled": false,
		"spend_limit_action": profile.BlockNewCalls, "after_limit": profile.ResumeAtReset}
	accountWhole, tenantWhole := account.Request(true, required, true), tenant.Request(true, required, true)
	return []rest.Operation{
		{Method: http.MethodGet, Path: own, ID: "get_account", Tag: tag, Summary: "The account of the key.", Scope: ScopeRead,
			Status: http.StatusOK, Answer: account, Handle: s.getAccount},
		{Method: http.MethodPatch, Path: own, ID: "update_account", Tag: tag,
			Summary: "Change what the request names (RFC 7396).", Scope: ScopeWrite, Effect: rest.Configures,
			Body: account.Request(true, required, false), Status: http.StatusOK, Answer: account,
			Handle: func(ctx context.Context, in *rest.Request) (*rest.Response, error) {
				return s.updateAccount(ctx, in, in.Account, accountWhole, defaults, answerAccount)
			}},
		{Method: http.MethodPost, Path: all, ID: "create_tenant", Noun: "new_tenant", Tag: adminTag, Scope: ScopeAdmin,
			Effect: rest.Configures, Summary: "Create an account. The answer shows the secret of its first key, once.",
			Body: tenantWhole.WithDefaults(defaults), Status: http.StatusCreated, Answer: schemaOf[newTenantView](),
			Handle: func(ctx context.Context, in *rest.Request) (*rest.Response, error) {
				return s.createTenant(ctx, in, tenantWhole, defaults)
			}},
		{Method: http.MethodGet, Path: all, ID: "list_tenant", Tag: adminTag, Summary: "List the accounts of the server.",
			Scope: ScopeAdmin,
			Params: slices.Concat(rest.PageParams(20, rest.MaxPageSize),
				[]rest.Parameter{rest.SortParam("-created_at", "created_at")}),
			Status: http.StatusOK, Answer: tenant, Shape: rest.List, Handle: s.listTenants},
		{Method: http.MethodGet, Path: one, ID: "get_tenant", Tag: adminTag, Summary: "Get one.", Scope: ScopeAdmin,
			Status: http.StatusOK, Answer: tenant, Handle: s.getTenant},
		{Method: http.MethodPatch, Path: one, ID: "update_tenant", Tag: adminTag,
			Summary: "Change what the request names (RFC 7396).", Scope: ScopeAdmin, Effect: rest.Configures,
			Body: tenant.Request(true, required, false), Status: http.StatusOK, Answer: tenant,
			Handle: func(ctx context.Context, in *rest.Request) (*rest.Response, error) {
				key, err := id.Parse(in.ID)
				if err != nil {
					return nil, rest.InvalidPathID()
				}
				return s.updateAccount(ctx, in, key, tenantWhole, defaults, answerTenant)
			}},
		{Method: http.MethodDelete, Path: one, ID: "delete_tenant", Tag: adminTag, Scope: ScopeAdmin, Effect: rest.Configures,
			Status: http.StatusOK, Answer: tenant,
			Summary: "Delete one and its keys. One that has anything else, or has ever had a call, can only be made inactive.",
			Handle:  s.deleteTenant},
	}
}

func (s *server) getAccount(ctx context.Context, in *rest.Request) (*rest.Response, error) {
	a, err := s.Accounts.Account(ctx, in.Account)
	if err != nil {
		return nil, err
	}
	return answerAccount(ctx, a)
}

func (s *server) getTenant(ctx context.Context, in *rest.Request) (*rest.Response, error) {
	key, err := id.Parse(in.ID)
	if err != nil {
		return nil, rest.InvalidPathID()
	}
	a, err := s.Accounts.Account(ctx, key)
	if err != nil {
		return nil, err
	}
	return answerTenant(ctx, a)
}

func (s *server) listTenants(ctx context.Context, in *rest.Request) (*rest.Response, error) {
	q := in.Query.StoreQuery("-created_at", 20)
	page, err := s.Accounts.ListAccounts(ctx, q)
	if err != nil {
		return nil, rest.ListError(err)
	}
	views := make([]tenantView, len(page.Items))
	for i := range page.Items {
		views[i] = viewTenant(&page.Items[i])
	}
	return &rest.Response{Data: views, Meta: rest.MetaOf(q, page.Total)}, nil
}

func (s *server) accountBody(in *rest.Request, whole *rest.Schema, before *store.Account,
	current, defaults map[string]any) (fields accountFields, err error) {
	body, problems := in.Checked(whole, current, defaults)
	numbers, _ := body["emergency_numbers"].([]any)
	texts := make([]string, len(numbers))
	for i := range numbers {
		texts[i], _ = numbers[i].(string)
	}
	for _, e := range accountEmergencyProblems(s.Live.Snapshot(), before.ID, before.EmergencyNumbers, texts) {
		if !slices.ContainsFunc(problems, func(p rest.Problem) bool { return p.Pointer == e.Pointer }) &&
			len(problems) < rest.MaxProblems {
			problems = append(problems, rest.Problem{Code: e.Code, Detail: e.Detail, Pointer: e.Pointer})
		}
	}
	if len(problems) > 0 {
		return fields, rest.Invalid(problems)
	}
	if err := rest.Decode(body, &fields); err != nil {
		return fields, err
	}
	_, fields.ofAdmin = body["locked_fields"]
	if hasTwice(fields.LockedFields) {
		return fields, rest.FailAt(http.StatusUnprocessableEntity, "/locked_fields", field.Malformed,
			"locked_fields names one twice. Give each once.")
	}
	problems = foldSources(fields.SharedSources)
	for _, e := range fields.SpendLimit.Validate() {
		problems = append(problems, rest.Problem{Code: e.Code, Detail: e.Detail, Pointer: e.Pointer})
	}
	if len(problems) > 0 {
		return fields, rest.Invalid(problems)
	}
	return fields, nil
}

// foldSources checks addresses, networks and domain names, and puts each into the form
// in which it is compared.
func foldSources(sources []string) (problems []rest.Problem) {
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
			problems = append(problems, rest.Problem{Code: field.Malformed, Pointer: fmt.Sprint("/shared_sources/", i),
				Detail: detail})
		}
	}
	return problems
}

func (s *server) updateAccount(ctx context.Context, in *rest.Request, account id.ID, whole *rest.Schema,
	defaults map[string]any,
	render func(context.Context, store.Account) (*rest.Response, error)) (*rest.Response, error) {
	return rest.Committed(ctx, in, render, func(ctx context.Context) (store.Account, error) {
		return s.Accounts.UpdateAccount(ctx, account, func(current store.Account) (store.Account, error) {
			tree, err := rest.TreeOf(viewTenant(&current))
			if err != nil {
				return current, err
			}
			fields, err := s.accountBody(in, whole, &current, tree, defaults)
			if err != nil {
				return current, err
			}
			next := current
			fields.put(&next)
			added := addedEmergencyNumbers(current.EmergencyNumbers, next.EmergencyNumbers, ", at /tollgate/v1/accounts/{id}")
			switch {
			case len(added) > 0 && beyond(in, []string{ScopeAdmin}) != "":
				return current, &rest.RefusalError{Status: http.StatusForbidden, Problems: added}
			case raised(current.ChannelLimit, next.ChannelLimit) && beyond(in, []string{ScopeAdmin}) != "":
				return current, rest.FailAt(http.StatusForbidden, "/concurrent_call_limit", rest.CodeForbidden,
					"Raising concurrent_call_limit needs a key with the scope %q, at /tollgate/v1/accounts/{id}. %s",
					ScopeAdmin, wayToScope(ScopeAdmin))
			case weakened(&current.SpendLimit, &next.SpendLimit) && beyond(in, []string{ScopeAdmin}) != "":
				return current, rest.FailAt(http.StatusForbidden, "/daily_spend_limit", rest.CodeForbidden,
					"Raising or loosening daily_spend_limit needs a key with the scope %q, at /tollgate/v1/accounts/{id}. %s",
					ScopeAdmin, wayToScope(ScopeAdmin))
			case account == in.Account && !next.Active:
				return current, rest.FailAt(http.StatusUnprocessableEntity, "/active", rest.CodeInUse,
					"The account is that of the key of this request, which would lock itself out.")
			}
			return next, nil
		})
	})
}

// weakened says whether a daily limit lets more through than before.
func weakened(from, to *profile.SpendLimit) bool {
	return from.Limits() && (!to.Limits() || *to.DailySpendLimit > *from.DailySpendLimit ||
		from.SpendLimitAction == profile.EndCalls && to.SpendLimitAction != profile.EndCalls ||
		from.AfterLimit == profile.HoldUntilReleased && to.AfterLimit != profile.HoldUntilReleased)
}

// raised says whether a limit becomes higher; nil is the highest.
func raised(from, to *int32) bool {
	return from != nil && (to == nil || *to > *from)
}

func (s *server) createTenant(ctx context.Context, in *rest.Request, whole *rest.Schema,
	defaults map[string]any) (*rest.Response, error) {
	fields, err := s.accountBody(in, whole, &store.Account{}, nil, defaults)
	if err != nil {
		return nil, err
	}
	var a store.Account
	fields.put(&a)
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
		return &rest.Response{Data: newTenantView{tenantView: viewTenant(&t.Account), APIKey: shown},
			Version: t.Account.Version}, nil
	}
	return rest.Committed(ctx, in, render, func(ctx context.Context) (store.Tenant, error) {
		return s.Accounts.CreateTenant(ctx, a, key)
	})
}

func (s *server) deleteTenant(ctx context.Context, in *rest.Request) (*rest.Response, error) {
	key, err := id.Parse(in.ID)
	if err != nil {
		return nil, rest.InvalidPathID()
	}
	defer s.keys.forget()
	return rest.Committed(ctx, in, answerTenant, func(ctx context.Context) (store.Account, error) {
		return s.Accounts.DeleteAccount(ctx, key)
	})
}
