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
	return accountView{ID: a.ID, RecordType: "account", Name: a.Name, Active: a.Active, ConcurrentCallLimit: a.ChannelLimit,
		DefaultRateDeckID: a.DefaultDeck, OrganizationID: a.OrganizationID, EmergencyNumbers: a.EmergencyNumbers,
		LockedFields: append([]string{}, a.LockedFields...), SharedSources: append([]string{}, a.SharedSources...),
		RecordRetentionDays: a.RecordRetentionDays, RecordingRetentionDays: a.RecordingRetentionDays,
		SpendLimit: a.SpendLimit, CreatedAt: a.CreatedAt, UpdatedAt: a.UpdatedAt}
}

func viewTenant(a *store.Account) tenantView {
	v := viewAccount(a)
	return tenantView{accountView: v, Active: v.Active, DefaultRateDeckID: v.DefaultRateDeckID,
		LockedFields: v.LockedFields, SharedSources: v.SharedSources}
}

func answerAccount(_ context.Context, a store.Account) (*response, error) {
	return &response{data: viewAccount(&a), version: a.Version}, nil
}

func answerTenant(_ context.Context, a store.Account) (*response, error) {
	return &response{data: viewTenant(&a), version: a.Version}, nil
}

func (s *server) accountOperations() []operation {
	const own, all, one, tag, adminTag = "/tollgate/v1/account", "/tollgate/v1/accounts", "/tollgate/v1/accounts/{id}", "Account", "Accounts"
	account, tenant := schemaOf[accountView](), schemaOf[tenantView]()
	required := []string{"name"}
	defaults := map[string]any{"active": true, "default_rate_deck_id": nil, "locked_fields": []any{},
		"shared_sources": []any{}, "concurrent_call_limit": nil, "emergency_numbers": []any{},
		"record_retention_days": nil, "recording_retention_days": nil,
		"daily_spend_limit": nil, "daily_spend_limit_enabled": false, "spend_limit_action": profile.BlockNewCalls, "after_limit": profile.ResumeAtReset}
	accountWhole, tenantWhole := account.request(true, required, true), tenant.request(true, required, true)
	return []operation{
		{method: http.MethodGet, path: own, id: "get_account", tag: tag, summary: "The account of the key.", scope: ScopeRead,
			status: http.StatusOK, answer: account, handle: s.getAccount},
		{method: http.MethodPatch, path: own, id: "update_account", tag: tag, summary: "Change what the request names (RFC 7396).", scope: ScopeWrite, effect: configures,
			body: account.request(true, required, false), status: http.StatusOK, answer: account,
			handle: func(ctx context.Context, in *request) (*response, error) {
				return s.updateAccount(ctx, in, in.account, accountWhole, defaults, answerAccount)
			}},
		{method: http.MethodPost, path: all, id: "create_tenant", noun: "new_tenant", tag: adminTag, scope: ScopeAdmin, effect: configures,
			summary: "Create an account. The answer shows the secret of its first key, once.",
			body:    tenantWhole.withDefaults(defaults), status: http.StatusCreated, answer: schemaOf[newTenantView](),
			handle: func(ctx context.Context, in *request) (*response, error) {
				return s.createTenant(ctx, in, tenantWhole, defaults)
			}},
		{method: http.MethodGet, path: all, id: "list_tenant", tag: adminTag, summary: "List the accounts of the server.", scope: ScopeAdmin,
			params: slices.Concat(pageParams(20, maxPageSize), []parameter{sortParam("-created_at", "created_at")}),
			status: http.StatusOK, answer: tenant, shape: list, handle: s.listTenants},
		{method: http.MethodGet, path: one, id: "get_tenant", tag: adminTag, summary: "Get one.", scope: ScopeAdmin,
			status: http.StatusOK, answer: tenant, handle: s.getTenant},
		{method: http.MethodPatch, path: one, id: "update_tenant", tag: adminTag, summary: "Change what the request names (RFC 7396).", scope: ScopeAdmin, effect: configures,
			body: tenant.request(true, required, false), status: http.StatusOK, answer: tenant,
			handle: func(ctx context.Context, in *request) (*response, error) {
				key, err := id.Parse(in.id)
				if err != nil {
					return nil, invalidPathID()
				}
				return s.updateAccount(ctx, in, key, tenantWhole, defaults, answerTenant)
			}},
		{method: http.MethodDelete, path: one, id: "delete_tenant", tag: adminTag, scope: ScopeAdmin, effect: configures, status: http.StatusOK, answer: tenant,
			summary: "Delete one and its keys. One that has anything else, or has ever had a call, can only be made inactive.", handle: s.deleteTenant},
	}
}

func (s *server) getAccount(ctx context.Context, in *request) (*response, error) {
	a, err := s.Accounts.Account(ctx, in.account)
	if err != nil {
		return nil, err
	}
	return answerAccount(ctx, a)
}

func (s *server) getTenant(ctx context.Context, in *request) (*response, error) {
	key, err := id.Parse(in.id)
	if err != nil {
		return nil, invalidPathID()
	}
	a, err := s.Accounts.Account(ctx, key)
	if err != nil {
		return nil, err
	}
	return answerTenant(ctx, a)
}

func (s *server) listTenants(ctx context.Context, in *request) (*response, error) {
	q := in.query.storeQuery("-created_at", 20)
	page, err := s.Accounts.ListAccounts(ctx, q)
	if err != nil {
		return nil, listError(err)
	}
	views := make([]tenantView, len(page.Items))
	for i := range page.Items {
		views[i] = viewTenant(&page.Items[i])
	}
	return &response{data: views, meta: metaOf(q, page.Total)}, nil
}

func (s *server) accountBody(in *request, whole *schema, before *store.Account,
	current, defaults map[string]any) (fields accountFields, err error) {
	body, problems := in.checked(whole, current, defaults)
	numbers, _ := body["emergency_numbers"].([]any)
	texts := make([]string, len(numbers))
	for i := range numbers {
		texts[i], _ = numbers[i].(string)
	}
	for _, e := range accountEmergencyProblems(s.Live.Snapshot(), before.ID, before.EmergencyNumbers, texts) {
		if !slices.ContainsFunc(problems, func(p problem) bool { return p.pointer == e.Pointer }) &&
			len(problems) < maxProblems {
			problems = append(problems, problem{code: e.Code, detail: e.Detail, pointer: e.Pointer})
		}
	}
	if len(problems) > 0 {
		return fields, invalid(problems)
	}
	if err := decode(body, &fields); err != nil {
		return fields, err
	}
	_, fields.ofAdmin = body["locked_fields"]
	if hasTwice(fields.LockedFields) {
		return fields, failAt(http.StatusUnprocessableEntity, "/locked_fields", field.Malformed,
			"locked_fields names one twice. Give each once.")
	}
	problems = foldSources(fields.SharedSources)
	for _, e := range fields.SpendLimit.Validate() {
		problems = append(problems, problem{code: e.Code, detail: e.Detail, pointer: e.Pointer})
	}
	if len(problems) > 0 {
		return fields, invalid(problems)
	}
	return fields, nil
}

// foldSources checks addresses, networks and domain names, and puts each into the form
// in which it is compared.
func foldSources(sources []string) (problems []problem) {
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
			problems = append(problems, problem{code: field.Malformed, pointer: fmt.Sprint("/shared_sources/", i),
				detail: detail})
		}
	}
	return problems
}

func (s *server) updateAccount(ctx context.Context, in *request, account id.ID, whole *schema, defaults map[string]any,
	render func(context.Context, store.Account) (*response, error)) (*response, error) {
	return committed(ctx, in, render, func(ctx context.Context) (store.Account, error) {
		return s.Accounts.UpdateAccount(ctx, account, func(current store.Account) (store.Account, error) {
			tree, err := treeOf(viewTenant(&current))
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
				return current, &failure{status: http.StatusForbidden, problems: added}
			case raised(current.ChannelLimit, next.ChannelLimit) && beyond(in, []string{ScopeAdmin}) != "":
				return current, failAt(http.StatusForbidden, "/concurrent_call_limit", codeForbidden,
					"Raising concurrent_call_limit needs a key with the scope %q, at /tollgate/v1/accounts/{id}. %s",
					ScopeAdmin, wayToScope(ScopeAdmin))
			case weakened(&current.SpendLimit, &next.SpendLimit) && beyond(in, []string{ScopeAdmin}) != "":
				return current, failAt(http.StatusForbidden, "/daily_spend_limit", codeForbidden,
					"Raising or loosening daily_spend_limit needs a key with the scope %q, at /tollgate/v1/accounts/{id}. %s",
					ScopeAdmin, wayToScope(ScopeAdmin))
			case account == in.account && !next.Active:
				return current, failAt(http.StatusUnprocessableEntity, "/active", codeInUse, "The account is that of the key of this request, which would lock itself out.")
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

func (s *server) createTenant(ctx context.Context, in *request, whole *schema, defaults map[string]any) (*response, error) {
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
	render := func(ctx context.Context, t store.Tenant) (*response, error) {
		shown := newKeyView{keyView: viewKey(&t.Key, nil), Secret: shownSecret(ctx, secret)}
		return &response{data: newTenantView{tenantView: viewTenant(&t.Account), APIKey: shown}, version: t.Account.Version}, nil
	}
	return committed(ctx, in, render, func(ctx context.Context) (store.Tenant, error) {
		return s.Accounts.CreateTenant(ctx, a, key)
	})
}

func (s *server) deleteTenant(ctx context.Context, in *request) (*response, error) {
	key, err := id.Parse(in.id)
	if err != nil {
		return nil, invalidPathID()
	}
	defer s.keys.forget()
	return committed(ctx, in, answerTenant, func(ctx context.Context) (store.Account, error) {
		return s.Accounts.DeleteAccount(ctx, key)
	})
}
