package api

import (
	"context"
	"encoding/hex"
	"net/http"
	"slices"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/rest"
	"github.com/tollgate/tollgate/internal/store"
)

// auditView is a change of configuration as it is answered.
// Source: Telnyx v2, AuditLogList.
type auditView struct {
	// a UUID
	ID uuid.UUID `json:"id" readOnly:"true"`
	// the kind of object that was changed, as in `outbound_voice_profile`
	RecordType          string  `json:"record_type" readOnly:"true" doc:"What kind of object was changed."`
	ResourceID          string  `json:"resource_id" readOnly:"true"`
	AlternateResourceID *string `json:"alternate_resource_id" readOnly:"true" doc:"The name of the object."`
	ChangeType          string  `json:"change_type" readOnly:"true" enum:"create,update,delete"`
	ChangeMadeBy        string  `json:"change_made_by" readOnly:"true" enum:"telnyx,account_manager,account_owner,organization_member" doc:"account_owner for a key of the account, account_manager for an admin key of another one, telnyx for the server itself."`
	// `field`, `from` and `to` of every field that differs; secrets read `[changed]`. In a list an item that is no
	// object is the `value` of one (`[{"value":"US"}]`), since the types of Telnyx's clients know lists of objects
	// only
	Changes        []auditChangeView `json:"changes" readOnly:"true" doc:"The fields that differ. Of secrets it says only that they were changed."`
	OrganizationID uuid.UUID         `json:"organization_id" readOnly:"true"`
	// always null: there are no users
	UserID    *uuid.UUID `json:"user_id" readOnly:"true" doc:"Always null: there are keys here and no users; see key_id."`
	CreatedAt time.Time  `json:"created_at" readOnly:"true"`

	// the API key of the request
	KeyID   id.ID   `json:"key_id" doc:"Tollgate's own: the API key of the request; null for the server itself."`
	KeyName *string `json:"key_name" doc:"Tollgate's own: its name at the time."`
	Address *string `json:"address" doc:"Tollgate's own: from where the request came."`
	// its `X-Request-Id`
	RequestID *string `json:"request_id" doc:"Tollgate's own: the X-Request-Id of the request."`
	// its `X-Tollgate-Reason`
	Reason *string `json:"reason" doc:"Tollgate's own: the X-Tollgate-Reason of the request."`
	// number of the event on this server, over all accounts
	Sequence int64 `json:"sequence" doc:"Tollgate's own: the number of the event on this server, over all accounts."`
	// SHA-256 of the event and of the hash before it
	Hash string `json:"hash" doc:"Tollgate's own: HMAC-SHA256 of the event and of the hash before it, by a key of the secrets key file; \"tollgate audit verify\" checks the chain."`
}

type auditChangeView struct {
	Field string         `json:"field" doc:"As in outbound.channel_limit."`
	From  jsontext.Value `json:"from" doc:"A text, a number, a bool, null or a list of objects: an item that is no object is the value of one."`
	To    jsontext.Value `json:"to" doc:"As from."`
}

// auditItem stands for an item of a list that is no object. Telnyx's types know
// lists of objects only as values of a change; its Python client refuses others.
type auditItem struct {
	Value jsontext.Value `json:"value"`
}

// auditValue is a value as the types of a change have it.
func auditValue(value jsontext.Value) (jsontext.Value, error) {
	if value.Kind() != '[' {
		return value, nil
	}
	var items []jsontext.Value
	if err := json.Unmarshal(value, &items); err != nil {
		return nil, err
	}
	for i, item := range items {
		if item.Kind() == '{' {
			continue
		}
		object, err := json.Marshal(auditItem{item})
		if err != nil {
			return nil, err
		}
		items[i] = object
	}
	return json.Marshal(items)
}

func (s *server) auditOperations() []rest.Operation {
	order := rest.SortParam("desc", "asc", "desc")
	order.Schema.Enum = []string{"asc", "desc"}
	order.Description = "The oldest or the newest first."
	return []rest.Operation{{Method: http.MethodGet, Path: "/v2/audit_events", ID: "list_audit_event", Tag: "Audit events",
		Scope: ScopeRead, Summary: "List the changes of the account's configuration.", Status: http.StatusOK,
		Answer: schemaOf[auditView](), Shape: rest.List, Handle: s.listAudit,
		Params: slices.Concat(rest.PageParams(20, rest.MaxPageSize), []rest.Parameter{order,
			rest.MomentFilter("filter[created_after]", "created_at", "gt"),
			rest.MomentFilter("filter[created_before]", "created_at", "lt")})}}
}

func (s *server) listAudit(ctx context.Context, in *rest.Request) (*rest.Response, error) {
	q := in.Query.StoreQuery("", 20)
	q.Sort = []collection.Order{{Field: "sequence", Descending: in.Query.Text("sort", "desc") == "desc"}}
	page, err := s.Writes.ListAudit(ctx, in.Account, q)
	if err != nil {
		return nil, rest.ListError(err)
	}
	account, err := s.account(ctx, in.Account)
	if err != nil {
		return nil, err
	}
	views := make([]auditView, len(page.Items))
	for i := range page.Items {
		if views[i], err = viewAudit(&page.Items[i], account.OrganizationID); err != nil {
			return nil, err
		}
	}
	return &rest.Response{Data: views, Meta: rest.MetaOf(q, page.Total)}, nil
}

func viewAudit(e *store.AuditEvent, organization uuid.UUID) (auditView, error) {
	v := auditView{ID: e.ID, RecordType: e.RecordType, ResourceID: e.ResourceID,
		AlternateResourceID: textOrNull(e.AlternateID), ChangeType: e.ChangeType, ChangeMadeBy: "account_owner",
		OrganizationID: organization, CreatedAt: e.CreatedAt, KeyID: e.KeyID, KeyName: textOrNull(e.KeyName),
		Address: textOrNull(e.Address), RequestID: textOrNull(e.RequestID), Reason: textOrNull(e.Reason),
		Sequence: e.Sequence, Hash: hex.EncodeToString(e.Hash[:])}
	switch e.KeyAccount {
	case e.AccountID:
	case 0:
		v.ChangeMadeBy = "telnyx"
	default:
		v.ChangeMadeBy = "account_manager"
	}
	v.Changes = make([]auditChangeView, len(e.Changes))
	for i, c := range e.Changes {
		from, err := auditValue(c.From)
		if err != nil {
			return v, err
		}
		to, err := auditValue(c.To)
		if err != nil {
			return v, err
		}
		v.Changes[i] = auditChangeView{Field: c.Field, From: from, To: to}
	}
	return v, nil
}
