package api

import (
	"github.com/tollgate/tollgate/internal/field"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/rest"
	"github.com/tollgate/tollgate/internal/routing"
	"github.com/tollgate/tollgate/internal/store"
)

// gatewayView is a gateway as it is answered: its password is never shown.
type gatewayView struct {
	routing.Gateway
	Password    *string `json:"password,omitzero" maxLength:"128" writeOnly:"true" doc:"Digest password; never shown."`
	PasswordSet bool    `json:"password_set" readOnly:"true"`
	// Health is nil before this server has seen the gateway.
	Health     *routing.Health `json:"health" readOnly:"true" doc:"What the server that answers has seen of the gateway; null before."`
	RecordType string          `json:"record_type" readOnly:"true" enum:"gateway"`
}

func (s *server) gatewayOperations() []rest.Operation {
	r := &rest.Resource[routing.Gateway, gatewayView, id.ID]{
		Path: "/tollgate/v1/gateways", Name: "gateway", Tag: "Gateways", Closed: true, Watched: true, Scope: ScopeCarrier,
		Answers: schemaOf[gatewayView](), Collection: store.Of[routing.Gateway](s.Resources),
		Required: []string{"name", "address"},
		Validate: func(_ id.ID, g *routing.Gateway, named map[string]any) []field.Error {
			errs := g.Validate()
			if len(errs) == 0 && s.CheckGateway != nil && aims(g, named) {
				errs = s.CheckGateway(g)
			}
			return errs
		}, View: rest.ViewEach(func(g routing.Gateway) gatewayView {
			set := g.Password != nil && *g.Password != ""
			view := gatewayView{Gateway: g, PasswordSet: set, RecordType: "gateway"}
			if s.GatewayHealth != nil {
				if health, ok := s.GatewayHealth(g.ID); ok {
					view.Health = &health
				}
			}
			return view
		}), Secrets: secretsOfGateway, Filters: rest.NameFilters("name", 0),
		Sorts: []string{"created_at", "name", "priority"},
	}
	return append(r.MustOperations(), s.gatewayCheckOperation())
}

// aims reports whether a request gives the gateway a target. One that is there already
// and is not allowed any more can still be renamed and switched off.
func aims(g *routing.Gateway, named map[string]any) bool {
	for _, field := range []string{"address", "transport", "enabled"} {
		if _, ok := named[field]; ok && (g.Enabled || field != "enabled") {
			return true
		}
	}
	return false
}
