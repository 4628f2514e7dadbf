package api

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/field"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/rest"
	"github.com/tollgate/tollgate/internal/store"
)

// Connections of each kind as they are answered.
type ipConnectionView struct {
	connection.IPConnection
	RecordType string `json:"record_type" readOnly:"true" enum:"ip_connection"`
}

type credentialConnectionView struct {
	connection.CredentialConnection
	RecordType string `json:"record_type" readOnly:"true" enum:"credential_connection"`
}

// shortestNameSearch is Telnyx's: filter[connection_name][contains] wants at least 3 characters.
const shortestNameSearch = 3

// connectionFilters are those of every list of connections.
func connectionFilters() []rest.Parameter {
	return append(rest.NameFilters("connection_name", shortestNameSearch),
		rest.EqualFilter("filter[outbound_voice_profile_id]", "outbound_voice_profile_id", rest.IDSchema()),
		rest.EqualFilter("filter[outbound.outbound_voice_profile_id]", "outbound_voice_profile_id", rest.IDSchema()),
		fqdnFilter(),
	)
}

func connectionSorts() []string { return []string{"created_at", "connection_name", "active"} }

func (s *server) connectionOperations() []rest.Operation {
	byIP := &rest.Resource[connection.IPConnection, ipConnectionView, id.ID]{
		Path: "/v2/ip_connections", Name: "ip_connection", Tag: "Connections", Answers: schemaOf[ipConnectionView](),
		Collection: store.Of[connection.IPConnection](s.Resources),
		Settle: settleConnection(s, func(c *connection.IPConnection) settled {
			return settled{&c.Base, &c.Outbound.Outbound, c.Outbound.TechPrefix}
		}),
		View: rest.ViewEach(func(c connection.IPConnection) ipConnectionView {
			return ipConnectionView{IPConnection: c, RecordType: string(connection.KindIP)}
		}),
		Secrets: secretsOfIP, Filters: connectionFilters(), Sorts: connectionSorts(), PageSize: rest.MaxPageSize,
	}
	byUser := &rest.Resource[connection.CredentialConnection, credentialConnectionView, id.ID]{
		Path: "/v2/credential_connections", Name: "credential_connection", Tag: "Connections",
		Answers: schemaOf[credentialConnectionView](), Collection: store.Of[connection.CredentialConnection](s.Resources),
		Required: []string{"connection_name", "password", "user_name"},
		Validate: func(_ id.ID, c *connection.CredentialConnection, named map[string]any) []field.Error {
			return append(c.Validate(), renamedProblem(c.Password, named)...)
		}, Secrets: secretsOfCredential, Settle: s.settleCredential,
		View: rest.ViewEach(func(c connection.CredentialConnection) credentialConnectionView {
			return credentialConnectionView{CredentialConnection: c, RecordType: string(connection.KindCredential)}
		}), Filters: connectionFilters(), Sorts: connectionSorts(), PageSize: rest.MaxPageSize,
	}
	anyKind := schemaOf[connectionView]()
	return slices.Concat(byIP.MustOperations(), byUser.MustOperations(), s.fqdnConnectionOperations(), []rest.Operation{
		{Method: http.MethodGet, Path: "/v2/connections", ID: "list_connection", Tag: "Connections",
			Summary: "List connections of every kind.", Scope: ScopeRead,
			Params: slices.Concat(rest.PageParams(rest.MaxPageSize, rest.MaxPageSize), connectionFilters(),
				[]rest.Parameter{rest.SortParam("-created_at", connectionSorts()...)}),
			Status: http.StatusOK, Answer: anyKind, Shape: rest.List, Handle: s.listConnections},
		{Method: http.MethodGet, Path: "/v2/connections/{id}", ID: "get_connection", Tag: "Connections",
			Summary: "Get a connection of any kind.", Scope: ScopeRead, Status: http.StatusOK, Answer: anyKind,
			Handle: s.getConnection},
		s.activeCallsOperation(), s.registrationOperation(),
	})
}

// settleCredential is settleConnection for credential connections. A form of webhooks that
// clients may ask for, and do not know in answers, is kept as the one that is sent.
func (s *server) settleCredential(in *rest.Request, current, next *connection.CredentialConnection,
	errs []field.Error) ([]field.Error, error) {
	next.SettleWebhooks()
	return settleConnection(s, func(c *connection.CredentialConnection) settled {
		return settled{&c.Base, &c.Outbound, ""}
	})(in, current, next, errs)
}

// connectionView is what all kinds of connection have in common.
// Source: Telnyx v2, Connection.
type connectionView struct {
	ID id.ID `json:"id" readOnly:"true"`
	// the kind: `ip_connection`, `credential_connection` or `fqdn_connection`
	RecordType         string `json:"record_type" readOnly:"true" enum:"ip_connection,credential_connection,fqdn_connection"`
	Active             bool   `json:"active" mark:"enforced"`
	AnchorsiteOverride string `json:"anchorsite_override" mark:"kept"`
	ConnectionName     string `json:"connection_name" mark:"kept"`
	// flat here, as Telnyx has it; it is changed as `outbound.outbound_voice_profile_id` of the kind's own
	// resource
	OutboundVoiceProfileID id.ID    `json:"outbound_voice_profile_id" mark:"enforced"`
	Tags                   []string `json:"tags" mark:"kept"`
	WebhookAPIVersion      string   `json:"webhook_api_version" mark:"kept"`
	// events of the connection's calls go there, signed; `GET /tollgate/v1/webhook_public_key`. An `http://` or
	// private address is kept, and not called unless the operator allows it: the log of deliveries says so
	WebhookEventURL *string `json:"webhook_event_url" mark:"enforced"`
	// tried when the primary URL fails
	WebhookEventFailoverURL *string   `json:"webhook_event_failover_url" mark:"enforced"`
	CreatedAt               time.Time `json:"created_at"`
	UpdatedAt               time.Time `json:"updated_at"`
}

func viewConnection(kind connection.Kind, b *connection.Base, o *connection.Outbound) connectionView {
	return connectionView{ID: b.ID, RecordType: string(kind), Active: b.Active, AnchorsiteOverride: b.AnchorsiteOverride,
		ConnectionName: b.ConnectionName, OutboundVoiceProfileID: o.OutboundVoiceProfileID, Tags: b.Tags,
		WebhookAPIVersion: b.WebhookAPIVersion, WebhookEventURL: b.WebhookEventURL,
		WebhookEventFailoverURL: b.WebhookEventFailoverURL, CreatedAt: b.CreatedAt, UpdatedAt: b.UpdatedAt}
}

func viewOfIPConnection(c connection.IPConnection) connectionView {
	return viewConnection(connection.KindIP, &c.Base, &c.Outbound.Outbound)
}

func viewOfFQDNConnection(c connection.FQDNConnection) connectionView {
	return viewConnection(connection.KindFQDN, &c.Base, &c.Outbound.Outbound)
}

func viewOfCredentialConnection(c connection.CredentialConnection) connectionView {
	return viewConnection(connection.KindCredential, &c.Base, &c.Outbound)
}

func (s *server) getConnection(ctx context.Context, in *rest.Request) (*rest.Response, error) {
	key, err := rest.PathKey[id.ID](in.ID)
	if err != nil {
		return nil, err
	}
	// The snapshot knows which kind a connection is of; it also knows those of
	// other accounts, which the store then does not find.
	kind := connection.KindIP
	if c := s.Live.Snapshot().Connection(key); c != nil {
		kind = c.Kind
	}
	switch kind {
	case connection.KindCredential:
		connections := store.Of[connection.CredentialConnection](s.Resources)
		return answerConnection(ctx, connections, in.Account, key, viewOfCredentialConnection)
	case connection.KindFQDN:
		connections := store.Of[connection.FQDNConnection](s.Resources)
		return answerConnection(ctx, connections, in.Account, key, viewOfFQDNConnection)
	}
	connections := store.Of[connection.IPConnection](s.Resources)
	return answerConnection(ctx, connections, in.Account, key, viewOfIPConnection)
}

func answerConnection[T any](ctx context.Context, c collection.Of[T, id.ID], account, key id.ID,
	view func(T) connectionView) (*rest.Response, error) {
	found, err := c.Get(ctx, account, key)
	if err != nil {
		return nil, err
	}
	head, _ := collection.HeadOf[id.ID](&found)
	return &rest.Response{Data: view(found), Version: head.Version}, nil
}

// listConnections merges the lists of all kinds. Each is read in the order asked
// for, only as far as the page reaches.
func (s *server) listConnections(ctx context.Context, in *rest.Request) (*rest.Response, error) {
	q := in.Query.StoreQuery("-created_at", rest.MaxPageSize)
	kinds := s.connectionKinds(in.Account)
	if in.Query.Text(fqdnFilterName, "") != "" {
		kinds = kinds[len(kinds)-1:] // only those have domain names
	}
	total := 0
	for _, k := range kinds {
		k.query = q
		k.query.Number = 1
		k.query.Size = rest.MaxPageSize
		if err := k.fetch(ctx); err != nil {
			return nil, err
		}
		total += k.total
	}
	page := []connectionView{}
	first, end := (q.Number-1)*q.Size, min(q.Number*q.Size, total)
	for i := 0; i < end && first < total; i++ {
		next, err := mergeNext(ctx, kinds, q.Sort[0])
		if err != nil {
			return nil, err
		}
		if i >= first {
			page = append(page, next)
		}
	}
	return &rest.Response{Data: page, Meta: rest.MetaOf(q, total)}, nil
}

// connectionKinds are the lists of connections of each kind; those by domain names are the last.
func (s *server) connectionKinds(account id.ID) []*kindCursor {
	return []*kindCursor{
		{read: pagesOf(store.Of[connection.IPConnection](s.Resources), account, viewOfIPConnection)},
		{read: pagesOf(store.Of[connection.CredentialConnection](s.Resources), account, viewOfCredentialConnection)},
		{read: pagesOf(store.Of[connection.FQDNConnection](s.Resources), account, viewOfFQDNConnection)},
	}
}

// kindCursor walks through the connections of one kind.
type kindCursor struct {
	read  func(context.Context, collection.Query) (collection.Page[connectionView], error)
	query collection.Query // of the next page
	ahead []connectionView
	total int
}

func pagesOf[T any](c collection.Of[T, id.ID], account id.ID,
	view func(T) connectionView) func(context.Context, collection.Query) (collection.Page[connectionView], error) {
	return func(ctx context.Context, q collection.Query) (collection.Page[connectionView], error) {
		page, err := c.List(ctx, account, q)
		if err != nil {
			return collection.Page[connectionView]{}, rest.ListError(err)
		}
		views := make([]connectionView, len(page.Items))
		for i, item := range page.Items {
			views[i] = view(item)
		}
		return collection.Page[connectionView]{Items: views, Total: page.Total}, nil
	}
}

func (k *kindCursor) fetch(ctx context.Context) error {
	page, err := k.read(ctx, k.query)
	if err != nil {
		return err
	}
	k.ahead = page.Items
	k.total = page.Total
	k.query.Number++
	return nil
}

// mergeNext takes the connection that comes first of those that the cursors are at.
func mergeNext(ctx context.Context, kinds []*kindCursor, order collection.Order) (connectionView, error) {
	var best *kindCursor
	for _, k := range kinds {
		if len(k.ahead) > 0 && (best == nil || before(&k.ahead[0], &best.ahead[0], order)) {
			best = k
		}
	}
	if best == nil { // one was deleted between two reads
		return connectionView{}, collection.ErrUnavailable
	}
	next := best.ahead[0]
	best.ahead = best.ahead[1:]
	if len(best.ahead) == 0 {
		return next, best.fetch(ctx)
	}
	return next, nil
}

// before is the store's order of two connections of different kinds: by the
// field, then by id, both in the direction asked for.
func before(a, b *connectionView, order collection.Order) bool {
	var result int
	switch order.Field {
	case "active":
		result = boolRank(a.Active) - boolRank(b.Active)
	case "connection_name":
		result = cmp.Compare(a.ConnectionName, b.ConnectionName)
	default:
		result = a.CreatedAt.Compare(b.CreatedAt)
	}
	if result == 0 {
		result = cmp.Compare(a.ID, b.ID)
	}
	if order.Descending {
		return result > 0
	}
	return result < 0
}

func boolRank(b bool) int {
	if b {
		return 1
	}
	return 0
}
