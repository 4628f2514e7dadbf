package api

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/field"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/rest"
	"github.com/tollgate/tollgate/internal/store"
)

// keyView is an API key as it is answered: never its secret.
type keyView struct {
	ID                id.ID      `json:"id" readOnly:"true"`
	RecordType        string     `json:"record_type" readOnly:"true" enum:"api_key"`
	Name              string     `json:"name" minLength:"1" maxLength:"255"`
	Hint              string     `json:"hint" readOnly:"true" doc:"The first characters of the secret, to tell keys apart."`
	Scopes            []string   `json:"scopes" maxItems:"6" enum:"read,write,admit,carrier,secrets,admin" doc:"What the key may do. read: every GET. write: everything that changes configuration, but for what the next ones are for. admit: ask for admission of calls. carrier: change rate decks and gateways. secrets: see stored secrets in full. admin: accounts of the server. No scope includes another. A key gives no other key a scope that it has not itself."`
	ExpiresAt         *time.Time `json:"expires_at" doc:"From when the key is refused; null for never."`
	PreviousExpiresAt *time.Time `json:"previous_secret_expires_at" readOnly:"true" doc:"Until when the secret before the last rotation is taken too."`
	LastUsedAt        *time.Time `json:"last_used_at" readOnly:"true" doc:"To the minute; null when the key was never used."`
	CreatedAt         time.Time  `json:"created_at" readOnly:"true"`
	UpdatedAt         time.Time  `json:"updated_at" readOnly:"true"`
}

// newKeyView is a key with its secret, in the one answer that shows it.
type newKeyView struct {
	keyView
	Secret *string `json:"secret" readOnly:"true" secret:"true" doc:"The key itself. It is shown this once and not stored; null in a dry run."`
}

// rotation asks for a new secret.
type rotation struct {
	GraceSecs int32 `json:"grace_secs" minimum:"0" maximum:"604800" doc:"How long the secret of before is taken too, in seconds. Default: a day."`
}

// defaultGraceSecs is a day: time to change every script.
const defaultGraceSecs = 86400

func viewKey(k *store.Key, uses map[id.ID]time.Time) keyView {
	v := keyView{ID: k.ID, RecordType: "api_key", Name: k.Name, Hint: k.Hint, Scopes: k.Scopes, ExpiresAt: k.ExpiresAt,
		PreviousExpiresAt: k.PreviousExpiresAt, CreatedAt: k.CreatedAt, UpdatedAt: k.UpdatedAt}
	if at, used := uses[k.ID]; used {
		v.LastUsedAt = &at
	}
	if v.UpdatedAt.IsZero() { // of an older server
		v.UpdatedAt = v.CreatedAt
	}
	return v
}

func (s *server) keyOperations() []rest.Operation {
	const keys, one, tag = "/tollgate/v1/api_keys", "/tollgate/v1/api_keys/{id}", "API keys"
	full, shown := schemaOf[keyView](), schemaOf[newKeyView]()
	required := []string{"name"}
	defaults := map[string]any{"scopes": []any{ScopeRead, ScopeWrite}, "expires_at": nil}
	create := full.Request(true, required, true).WithDefaults(defaults)
	update, whole := full.Request(true, required, false), full.Request(true, required, true)
	graceDefaults := map[string]any{"grace_secs": rest.Literal("86400")}
	rotate := schemaOf[rotation]().Request(true, nil, true).WithDefaults(map[string]any{"grace_secs": defaultGraceSecs})
	return []rest.Operation{
		{Method: http.MethodPost, Path: keys, ID: "create_api_key", Noun: "new_api_key", Tag: tag,
			Summary: "Create one. Only this answer shows its secret.", Scope: ScopeWrite, Effect: rest.Configures, Body: create,
			Status: http.StatusCreated, Answer: shown,
			Handle: func(ctx context.Context, in *rest.Request) (*rest.Response, error) {
				return s.createKey(ctx, in, whole, defaults)
			}},
		{Method: http.MethodPost, Path: "/tollgate/v1/accounts/{id}/api_keys", ID: "create_tenant_api_key",
			Noun: "new_api_key", Tag: "Accounts", Scope: ScopeAdmin, Effect: rest.Configures,
			Summary: "Create a key of an account: for one that has lost its own, or one with the scope carrier, by which " +
				"the operator of the server sets the account's rate decks and gateways. Only this answer shows its secret.",
			Body: create, Status: http.StatusCreated, Answer: shown,
			Handle: func(ctx context.Context, in *rest.Request) (*rest.Response, error) {
				return s.createTenantKey(ctx, in, whole, defaults)
			}},
		{Method: http.MethodGet, Path: keys, ID: "list_api_key", Tag: tag, Summary: "List them.", Scope: ScopeRead,
			Status: http.StatusOK, Answer: full, Shape: rest.List,
			Params: slices.Concat(rest.PageParams(20, rest.MaxPageSize), rest.NameFilters("name", 0),
				[]rest.Parameter{rest.SortParam("-created_at", "created_at", "name")}),
			Handle: s.listKeys},
		{Method: http.MethodGet, Path: one, ID: "get_api_key", Tag: tag, Summary: "Get one.",
			Scope: ScopeRead, Status: http.StatusOK, Answer: full, Handle: s.getKey},
		{Method: http.MethodPatch, Path: one, ID: "update_api_key", Tag: tag,
			Summary: "Change what the request names (RFC 7396).", Scope: ScopeWrite, Effect: rest.Configures, Body: update,
			Status: http.StatusOK, Answer: full,
			Handle: func(ctx context.Context, in *rest.Request) (*rest.Response, error) {
				return s.updateKey(ctx, in, whole, defaults)
			}},
		{Method: http.MethodDelete, Path: one, ID: "delete_api_key", Tag: tag,
			Summary: "Revoke one. This node refuses it at once, other nodes of the same database within 5 seconds.",
			Scope:   ScopeWrite, Effect: rest.Configures, Status: http.StatusOK, Answer: full, Handle: s.deleteKey},
		{Method: http.MethodPost, Path: one + "/rotate", ID: "rotate_api_key", Noun: "new_api_key", Tag: tag,
			Scope: ScopeWrite, Effect: rest.Configures,
			Summary: "Give one a new secret, which only this answer shows. The previous secret is " +
				"accepted for a grace period; older ones are not.",
			Body: rotate, Status: http.StatusOK, Answer: shown,
			Handle: func(ctx context.Context, in *rest.Request) (*rest.Response, error) {
				return s.rotateKey(ctx, in, rotate, graceDefaults)
			}},
	}
}

// wayToScope says who gives a key with the scope.
func wayToScope(scope string) string {
	switch scope {
	case ScopeAdmin:
		return "Ask the operator of the server."
	case ScopeCarrier, ScopeSecrets:
		return "The operator of the server gives a key that has it: POST /tollgate/v1/accounts/{id}/api_keys."
	}
	return "Use a key that has it."
}

// beyond is a scope that a key has not itself, or "".
func beyond(in *rest.Request, scopes []string) string {
	for _, scope := range scopes {
		if !slices.Contains(in.Caller.Scopes, scope) {
			return scope
		}
	}
	return ""
}

// mayChange refuses to let a key take over, weaken or revoke one that may do more
// than itself.
func mayChange(in *rest.Request, k *store.Key) error {
	if scope := beyond(in, k.Scopes); scope != "" {
		return rest.Fail(http.StatusForbidden, rest.CodeForbidden,
			"The key has the scope %q, which the key of this request has not.", scope)
	}
	return nil
}

// mayGive refuses to give a key of the own account a scope that the key of the
// request has not itself.
func mayGive(in *rest.Request, scopes []string) error {
	if scope := beyond(in, scopes); scope != "" {
		return rest.FailAt(http.StatusForbidden, "/scopes", rest.CodeForbidden,
			"The key of this request lacks the scope %q, so it cannot give it.", scope)
	}
	return nil
}

// mayOutlive refuses to let a key that expires make one that lives longer: access that
// was given for a while would become permanent.
func mayOutlive(in *rest.Request, until *time.Time) error {
	own := in.Caller.Until
	if own == nil || until != nil && !until.After(*own) {
		return nil
	}
	return rest.FailAt(http.StatusForbidden, "/expires_at", rest.CodeForbidden,
		"The key of this request expires at %s, so it gives none that is good for longer. Give an earlier expires_at, or "+
			"use a key that does not expire.",
		own.UTC().Format(time.RFC3339))
}

// keyFields are what a request sets of a key.
type keyFields struct {
	Name      string     `json:"name"`
	Scopes    []string   `json:"scopes"`
	ExpiresAt *time.Time `json:"expires_at"`
}

// keyBody checks the body of a request against the key as it is, or the defaults.
func (s *server) keyBody(in *rest.Request, whole *rest.Schema, current,
	defaults map[string]any) (fields keyFields, err error) {
	body, problems := in.Checked(whole, current, defaults)
	if len(problems) > 0 {
		return fields, rest.Invalid(problems)
	}
	if err := rest.Decode(body, &fields); err != nil {
		return fields, err
	}
	_, expires := in.Body["expires_at"]
	switch {
	case len(fields.Scopes) == 0:
		problems = append(problems, rest.Problem{Code: field.Length, Pointer: "/scopes",
			Detail: "scopes is empty. Give at least one."})
	case hasTwice(fields.Scopes):
		problems = append(problems, rest.Problem{Code: field.Malformed, Pointer: "/scopes",
			Detail: "scopes names one twice. Give each once."})
	}
	if expires && fields.ExpiresAt != nil && !fields.ExpiresAt.After(s.Clock()) {
		problems = append(problems, rest.Problem{Code: field.OutOfRange, Pointer: "/expires_at",
			Detail: "expires_at has passed. Give a time to come or null, or delete the key."})
	}
	if len(problems) > 0 {
		return fields, rest.Invalid(problems)
	}
	return fields, nil
}

func hasTwice(names []string) bool {
	sorted := slices.Sorted(slices.Values(names))
	return len(slices.Compact(sorted)) < len(names)
}

// answerKey is the answer with a key, and with its secret when there is one to show.
func (s *server) answerKey(ctx context.Context, k store.Key) (*rest.Response, error) {
	uses, err := s.Keys.KeyUses(ctx, k.AccountID)
	if err != nil {
		return nil, err
	}
	return answerKeyUsed(&k, uses), nil
}

func answerKeyUsed(k *store.Key, uses map[id.ID]time.Time) *rest.Response {
	return &rest.Response{Data: viewKey(k, uses), Version: k.Version}
}

func (s *server) answerNewKey(secret string) func(context.Context, store.Key) (*rest.Response, error) {
	return func(ctx context.Context, k store.Key) (*rest.Response, error) {
		answer, err := s.answerKey(ctx, k)
		if err != nil {
			return nil, err
		}
		answer.Data = newKeyView{keyView: answer.Data.(keyView), Secret: shownSecret(ctx, secret)}
		return answer, nil
	}
}

// shownSecret is null in a dry run: nothing has that secret.
func shownSecret(ctx context.Context, secret string) *string {
	if collection.OriginOf(ctx).DryRun {
		return nil
	}
	return &secret
}

func (s *server) createKey(ctx context.Context, in *rest.Request, whole *rest.Schema,
	defaults map[string]any) (*rest.Response, error) {
	fields, err := s.keyBody(in, whole, nil, defaults)
	if err != nil {
		return nil, err
	}
	if err := mayGive(in, fields.Scopes); err != nil {
		return nil, err
	}
	if err := mayOutlive(in, fields.ExpiresAt); err != nil {
		return nil, err
	}
	return s.makeKey(ctx, in, in.Account, fields)
}

// createTenantKey makes a key of any account, so that one whose keys are all lost,
// expired or revoked is not lost with them.
func (s *server) createTenantKey(ctx context.Context, in *rest.Request, whole *rest.Schema,
	defaults map[string]any) (*rest.Response, error) {
	account, err := rest.PathKey[id.ID](in.ID)
	if err != nil {
		return nil, err
	}
	if _, err := s.account(ctx, account); err != nil {
		return nil, err
	}
	fields, err := s.keyBody(in, whole, nil, defaults)
	if err != nil {
		return nil, err
	}
	switch {
	case slices.Contains(fields.Scopes, ScopeAdmin):
		return nil, rest.FailAt(http.StatusForbidden, "/scopes", rest.CodeForbidden,
			"The scope %q is only given in /tollgate/v1/api_keys, by a key of the account that has it.", ScopeAdmin)
	case account == in.Account:
		// Else this would be the way around these rules.
		if err = mayGive(in, fields.Scopes); err == nil {
			err = mayOutlive(in, fields.ExpiresAt)
		}
	case slices.Contains(fields.Scopes, ScopeSecrets):
		err = mayGive(in, []string{ScopeSecrets}) // what is seen with it is the account's own
	}
	if err != nil {
		return nil, err
	}
	return s.makeKey(ctx, in, account, fields)
}

func (s *server) makeKey(ctx context.Context, in *rest.Request, account id.ID,
	fields keyFields) (*rest.Response, error) {
	secret, err := NewKey(s.Random)
	if err != nil {
		return nil, err
	}
	key, err := ImportKey(secret, account, fields.Name, fields.Scopes...)
	if err != nil {
		return nil, err
	}
	key.ExpiresAt = fields.ExpiresAt
	return rest.Committed(ctx, in, s.answerNewKey(secret), func(ctx context.Context) (store.Key, error) {
		return store.Of[store.Key](s.Resources).Create(ctx, account, key)
	})
}

func (s *server) getKey(ctx context.Context, in *rest.Request) (*rest.Response, error) {
	key, err := rest.PathKey[id.ID](in.ID)
	if err != nil {
		return nil, err
	}
	k, err := store.Of[store.Key](s.Resources).Get(ctx, in.Account, key)
	if err != nil {
		return nil, err
	}
	return s.answerKey(ctx, k)
}

func (s *server) listKeys(ctx context.Context, in *rest.Request) (*rest.Response, error) {
	q := in.Query.StoreQuery("-created_at", 20)
	page, err := store.Of[store.Key](s.Resources).List(ctx, in.Account, q)
	if err != nil {
		return nil, rest.ListError(err)
	}
	uses, err := s.Keys.KeyUses(ctx, in.Account)
	if err != nil {
		return nil, err
	}
	views := make([]keyView, len(page.Items))
	for i := range page.Items {
		views[i] = viewKey(&page.Items[i], uses)
	}
	return &rest.Response{Data: views, Meta: rest.MetaOf(q, page.Total)}, nil
}

// changeKey is a write to one existing key.
func (s *server) changeKey(ctx context.Context, in *rest.Request,
	render func(context.Context, store.Key) (*rest.Response, error),
	change func(store.Key) (store.Key, error)) (*rest.Response, error) {
	key, err := rest.PathKey[id.ID](in.ID)
	if err != nil {
		return nil, err
	}
	defer s.keys.forget() // also after an error: the change may be durable anyway
	return rest.Committed(ctx, in, render, func(ctx context.Context) (store.Key, error) {
		keys := store.Of[store.Key](s.Resources)
		return keys.Update(ctx, in.Account, key, func(current store.Key) (store.Key, error) {
			if err := mayChange(in, &current); err != nil {
				return current, err
			}
			return change(current)
		})
	})
}

func (s *server) updateKey(ctx context.Context, in *rest.Request, whole *rest.Schema,
	defaults map[string]any) (*rest.Response, error) {
	return s.changeKey(ctx, in, s.answerKey, func(current store.Key) (store.Key, error) {
		tree, err := rest.TreeOf(viewKey(&current, nil))
		if err != nil {
			return current, err
		}
		fields, err := s.keyBody(in, whole, tree, defaults)
		if err != nil {
			return current, err
		}
		if err := mayGive(in, fields.Scopes); err != nil {
			return current, err
		}
		later := fields.ExpiresAt == nil || current.ExpiresAt != nil && fields.ExpiresAt.After(*current.ExpiresAt)
		if later && current.ExpiresAt != nil {
			if err := mayOutlive(in, fields.ExpiresAt); err != nil {
				return current, err
			}
		}
		current.Name = fields.Name
		current.Scopes = fields.Scopes
		current.ExpiresAt = fields.ExpiresAt
		return current, nil
	})
}

func (s *server) rotateKey(ctx context.Context, in *rest.Request, shape *rest.Schema,
	defaults map[string]any) (*rest.Response, error) {
	body, problems := in.Checked(shape, nil, defaults)
	if len(problems) > 0 {
		return nil, rest.Invalid(problems)
	}
	var asked rotation
	if err := rest.Decode(body, &asked); err != nil {
		return nil, err
	}
	secret, err := NewKey(s.Random)
	if err != nil {
		return nil, err
	}
	return s.changeKey(ctx, in, s.answerNewKey(secret), func(current store.Key) (store.Key, error) {
		next := current
		next.PreviousHash = nil
		next.PreviousExpiresAt = nil
		if asked.GraceSecs > 0 {
			next.PreviousHash = new(current.Hash)
			next.PreviousExpiresAt = new(s.Clock().Add(time.Duration(asked.GraceSecs) * time.Second))
		}
		next.Hash = HashKey(secret)
		next.Hint = hintOf(secret)
		return next, nil
	})
}

func (s *server) deleteKey(ctx context.Context, in *rest.Request) (*rest.Response, error) {
	key, err := rest.PathKey[id.ID](in.ID)
	if err != nil {
		return nil, err
	}
	k, err := store.Of[store.Key](s.Resources).Get(ctx, in.Account, key)
	if err != nil {
		return nil, err
	}
	if err := mayChange(in, &k); err != nil {
		return nil, err
	}
	// When it was last used is gone with the key, and the answer says it anyway.
	uses, err := s.Keys.KeyUses(ctx, in.Account)
	if err != nil {
		return nil, err
	}
	defer s.keys.forget()
	return rest.Committed(ctx, in, func(_ context.Context, k store.Key) (*rest.Response, error) {
		return answerKeyUsed(&k, uses), nil
	},
		func(ctx context.Context) (store.Key, error) {
			return store.Of[store.Key](s.Resources).Delete(ctx, in.Account, key)
		})
}

// hintOf returns the part of a secret that is stored so that people can tell keys apart.
func hintOf(secret string) string {
	hint := 4
	if strings.HasPrefix(secret, keyPrefix) {
		hint += len(keyPrefix)
	}
	return secret[:hint]
}
