package api

import (
	"net/http"

	"github.com/tollgate/tollgate/internal/field"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/numbering"
	"github.com/tollgate/tollgate/internal/store"
)

// overrideView is an override of the numbering plan as it is answered.
type overrideView struct {
	numbering.Override
	RecordType string `json:"record_type" readOnly:"true" enum:"numbering_plan_override"`
}

// numberingOperations are about the whole server: any key may read them, and only
// one with the scope admin may change them.
func (s *server) numberingOperations() []operation {
	r := &resource[numbering.Override, overrideView, id.ID]{
		path: "/tollgate/v1/numbering_plan_overrides", name: "numbering_plan_override", tag: "Numbering plan", answers: schemaOf[overrideView](),
		closed: true, watched: true, scope: ScopeAdmin,
		collection: store.Of[numbering.Override, id.ID](s.Resources), parseKey: id.Parse, fresh: numbering.New,
		required: []string{"prefix", "valid"}, created: http.StatusCreated,
		adopt: func(next, current *numbering.Override) {
			next.ID, next.AccountID, next.Version = current.ID, current.AccountID, current.Version
			next.CreatedAt, next.UpdatedAt = current.CreatedAt, current.UpdatedAt
		},
		validate: func(_ id.ID, o *numbering.Override, _ map[string]any) []field.Error { return o.Validate() },
		view: viewEach(func(o numbering.Override) overrideView {
			return overrideView{Override: o, RecordType: "numbering_plan_override"}
		}),
		filters: []parameter{equalFilter("filter[prefix]", "prefix", &schema{kind: "string"})},
		sorts:   []string{"created_at", "prefix"}, standard: "prefix", pageSize: 20,
	}
	return r.mustOperations()
}
