package api

import (
	"net/http"

	"github.com/tollgate/tollgate/internal/field"
	"github.com/tollgate/tollgate/internal/id"
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

func (s *server) gatewayOperations() []operation {
	r := &resource[routing.Gateway, gatewayView, id.ID]{
		path: "/tollgate/v1/gateways", name: "gateway", tag: "Gateways", closed: true, watched: true, scope: ScopeCarrier, answers: schemaOf[gatewayView](),
		collection: store.Of[routing.Gateway, id.ID](s.Resources), parseKey: id.Parse, fresh: routing.NewGateway,
		required: []string{"name", "address"}, created: http.StatusCreated,
		adopt: func(next, current *routing.Gateway) {
			next.ID, next.AccountID, next.Version = current.ID, current.AccountID, current.Version
			next.CreatedAt, next.UpdatedAt = current.CreatedAt, current.UpdatedAt
		},
		validate: func(_ id.ID, g *routing.Gateway, named map[string]any) []field.Error {
			errs := g.Validate()
			if len(errs) == 0 && s.CheckGateway != nil && aims(g, named) {
				errs = s.CheckGateway(g)
			}
			return errs
		},
		view: viewEach(func(g routing.Gateway) gatewayView {
			set := g.Password != nil && *g.Password != ""
			view := gatewayView{Gateway: g, PasswordSet: set, RecordType: "gateway"}
			if s.GatewayHealth != nil {
				if health, ok := s.GatewayHealth(g.ID); ok {
					view.Health = &health
				}
			}
			return view
		}),
		secrets: secretsOfGateway,
		filters: nameFilters("name", 0),
		sorts:   []string{"created_at", "name", "priority"}, standard: "-created_at", pageSize: 20,
	}
	return r.mustOperations()
}

// aims says whether a request gives the gateway a target. One that is there already
// and is not allowed any more can still be renamed and switched off.
func aims(g *routing.Gateway, named map[string]any) bool {
	for _, field := range []string{"address", "transport", "enabled"} {
		if _, ok := named[field]; ok && (g.Enabled || field != "enabled") {
			return true
		}
	}
	return false
}
