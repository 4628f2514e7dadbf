package api

import (
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/rest"
	"github.com/tollgate/tollgate/internal/routing"
	"github.com/tollgate/tollgate/internal/store"
)

// routeView is a route as it is answered.
type routeView struct {
	routing.Route
	RecordType string `json:"record_type" readOnly:"true" enum:"route"`
}

func (s *server) routeOperations() []rest.Operation {
	r := &rest.Resource[routing.Route, routeView, id.ID]{
		Path: "/tollgate/v1/routes", Name: "route", Tag: "Routes", Closed: true, Scope: ScopeCarrier,
		Answers: schemaOf[routeView](), Collection: store.Of[routing.Route](s.Resources), Required: []string{"name"},
		View: rest.ViewEach(func(r routing.Route) routeView {
			return routeView{Route: r, RecordType: "route"}
		}), Filters: rest.NameFilters("name", 0), Sorts: []string{"created_at", "name", "priority"},
	}
	operations := r.MustOperations()
	for i := range operations {
		operations[i].Refers = operations[i].Body != nil
	}
	return operations
}
