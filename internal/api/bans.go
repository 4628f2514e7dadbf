package api

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/field"
	"github.com/tollgate/tollgate/internal/rest"
	"github.com/tollgate/tollgate/internal/store"
)

// banView is a source that the SIP gateway does not listen to.
type banView struct {
	ID         string     `json:"id" readOnly:"true" doc:"The source with an underscore in the place of the slash, as in 203.0.113.0_24."`
	RecordType string     `json:"record_type" readOnly:"true" enum:"ban"`
	Source     string     `json:"source" minLength:"2" maxLength:"49" doc:"An address, as in 203.0.113.7, or a network, as in 203.0.113.0/24 or 2001:db8::/48."`
	Reason     string     `json:"reason" maxLength:"255" doc:"For the reader of the ban."`
	Automatic  bool       `json:"automatic" readOnly:"true" doc:"Made by the gateway, after too many wrong digest credentials."`
	CreatedAt  time.Time  `json:"created_at" readOnly:"true"`
	ExpiresAt  *time.Time `json:"expires_at" doc:"null: never."`
}

func viewBan(b *store.Ban) banView {
	v := banView{ID: strings.ReplaceAll(b.Prefix.String(), "/", "_"), RecordType: "ban", Source: b.Prefix.String(),
		Reason: b.Reason, Automatic: b.Automatic, CreatedAt: b.CreatedAt}
	if b.Prefix.IsSingleIP() {
		v.Source = b.Prefix.Addr().String()
	}
	if !b.ExpiresAt.IsZero() {
		v.ExpiresAt = &b.ExpiresAt
	}
	return v
}

// The widest networks that can be banned. Wider ones are a typing error more often
// than a wish, and belong in a firewall.
const (
	widestBan4 = 8
	widestBan6 = 16
)

func (s *server) banOperations() []rest.Operation {
	const all, one, tag = "/tollgate/v1/bans", "/tollgate/v1/bans/{id}", "Bans"
	ban := schemaOf[banView]()
	whole := ban.Request(true, []string{"source"}, true)
	defaults := map[string]any{"reason": "", "expires_at": nil}
	return []rest.Operation{
		{Method: http.MethodGet, Path: all, ID: "list_ban", Tag: tag, Scope: ScopeAdmin, Status: http.StatusOK, Answer: ban,
			Shape:   rest.List,
			Summary: "List the sources whose SIP requests are ignored by every node of this database, the newest first.",
			Params:  rest.PageParams(rest.MaxPageSize, rest.MaxPageSize), Handle: s.listBans},
		{Method: http.MethodPost, Path: all, ID: "create_ban", Tag: tag, Scope: ScopeAdmin, Effect: rest.Configures,
			Status: http.StatusCreated, Answer: ban, Body: whole.WithDefaults(defaults),
			Summary: "Ban an address or a network, known to a connection or not, within seconds on " +
				"every node. A ban of the same source is replaced. Calls that are up go on; their further messages are ignored.",
			Handle: func(ctx context.Context, in *rest.Request) (*rest.Response, error) {
				return s.createBan(ctx, in, whole, defaults)
			}},
		{Method: http.MethodDelete, Path: one, ID: "delete_ban", Tag: tag, Scope: ScopeAdmin, Effect: rest.Configures,
			Status: http.StatusOK, Answer: ban, Summary: "Lift a ban.", Handle: s.deleteBan},
	}
}

func (s *server) listBans(ctx context.Context, in *rest.Request) (*rest.Response, error) {
	bans, err := s.Bans.ListBans(ctx)
	if err != nil {
		return nil, err
	}
	q := in.Query.StoreQuery("", rest.MaxPageSize)
	first, end := pageBounds(q, len(bans))
	views := []banView{}
	for i := range bans[first:end] {
		views = append(views, viewBan(&bans[first+i]))
	}
	return &rest.Response{Data: views, Meta: rest.MetaOf(q, len(bans))}, nil
}

// banFields are what a request may set.
type banFields struct {
	Source    string     `json:"source"`
	Reason    string     `json:"reason"`
	ExpiresAt *time.Time `json:"expires_at"`
}

func (s *server) createBan(ctx context.Context, in *rest.Request, whole *rest.Schema,
	defaults map[string]any) (*rest.Response, error) {
	body, problems := in.Checked(whole, nil, defaults)
	if len(problems) > 0 {
		return nil, rest.Invalid(problems)
	}
	var fields banFields
	if err := rest.Decode(body, &fields); err != nil {
		return nil, err
	}
	b := store.Ban{Reason: fields.Reason}
	var errs []field.Error
	prefix, err := parseSource(fields.Source)
	if err != nil {
		errs = append(errs, field.Error{Pointer: "/source", Code: field.Malformed, Detail: err.Error()})
	}
	b.Prefix = prefix
	if fields.ExpiresAt != nil {
		if b.ExpiresAt = *fields.ExpiresAt; !b.ExpiresAt.After(s.Clock()) {
			errs = append(errs, field.Error{Pointer: "/expires_at", Code: field.Malformed,
				Detail: "Must be in the future, or null for a ban that does not expire."})
		}
	}
	if len(errs) > 0 {
		return nil, rest.InvalidFields(errs)
	}
	return s.changedBans(ctx, in, func(ctx context.Context) (store.Ban, error) { return s.Bans.PutBan(ctx, b) })
}

// parseSource reads an address or a network.
func parseSource(text string) (netip.Prefix, error) {
	prefix, err := netip.ParsePrefix(text)
	if err != nil {
		address, err := netip.ParseAddr(text)
		if err != nil || address.Zone() != "" {
			return prefix, fmt.Errorf("%q is neither an address, as in 203.0.113.7, nor a network, as in 203.0.113.0/24", text)
		}
		address = address.Unmap()
		return netip.PrefixFrom(address, address.BitLen()), nil
	}
	widest := widestBan6
	if prefix.Addr().Is4() {
		widest = widestBan4
	}
	if prefix.Bits() < widest || prefix.Addr().Is4In6() {
		return prefix, fmt.Errorf("networks may have /%d and longer (IPv4) or /%d and longer (IPv6)", widestBan4, widestBan6)
	}
	return prefix.Masked(), nil
}

func (s *server) deleteBan(ctx context.Context, in *rest.Request) (*rest.Response, error) {
	prefix, err := netip.ParsePrefix(strings.Replace(in.ID, "_", "/", 1))
	if err != nil {
		return nil, collection.ErrNotFound
	}
	return s.changedBans(ctx, in, func(ctx context.Context) (store.Ban, error) { return s.Bans.DeleteBan(ctx, prefix) })
}

func (s *server) changedBans(ctx context.Context, in *rest.Request,
	act func(context.Context) (store.Ban, error)) (*rest.Response, error) {
	answer, err := rest.Committed(ctx, in, func(_ context.Context, b store.Ban) (*rest.Response, error) {
		return &rest.Response{Data: viewBan(&b)}, nil
	}, act)
	if err == nil && s.BansChanged != nil {
		s.BansChanged()
	}
	return answer, err
}
