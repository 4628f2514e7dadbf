package api

import (
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/numbering"
	"github.com/tollgate/tollgate/internal/rest"
	"github.com/tollgate/tollgate/internal/store"
)

// overrideView is an override of the numbering plan as it is answered.
type overrideView struct {
	numbering.Override
	RecordType string `json:"record_type" readOnly:"true" enum:"numbering_plan_override"`
}

// numberingOperations are about the whole server: any key may read them, and only
// one with the scope admin may change them.
func (s *server) numberingOperations() []rest.Operation {
	r := &rest.Resource[numbering.Override, overrideView, id.ID]{
		Path: "/tollgate/v1/numbering_plan_overrides", Name: "numbering_plan_override", Tag: "Numbering plan",
		Answers: schemaOf[overrideView](), Closed: true, Watched: true, Scope: ScopeAdmin,
		Collection: store.Of[numbering.Override](s.Resources), Required: []string{"prefix", "valid"},
		View: rest.ViewEach(func(o numbering.Override) overrideView {
			return overrideView{Override: o, RecordType: "numbering_plan_override"}
		}), Filters: []rest.Parameter{rest.EqualFilter("filter[prefix]", "prefix", &rest.Schema{Kind: "string"})},
		Sorts: []string{"created_at", "prefix"}, Standard: "prefix",
	}
	return r.MustOperations()
}
