package api

import (
	"context"
	"errors"
	"net/http"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/field"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/profile"
	"github.com/tollgate/tollgate/internal/store"
)

// billingGroupView is a billing group as it is answered.
type billingGroupView struct {
	store.BillingGroup
	RecordType string `json:"record_type" readOnly:"true" enum:"billing_group"`
}

func (s *server) billingGroupOperations() []operation {
	r := &resource[store.BillingGroup, billingGroupView, uuid.UUID]{
		path: "/v2/billing_groups", name: "billing_group", tag: "Billing groups", answers: schemaOf[billingGroupView](),
		collection: store.Of[store.BillingGroup, uuid.UUID](s.Resources),
		parseKey:   parseGroupID, required: []string{"name"}, created: http.StatusOK,
		fresh: func() store.BillingGroup { return store.BillingGroup{SpendLimit: profile.NewSpendLimit()} },
		adopt: func(next, current *store.BillingGroup) {
			name, limit := next.Name, next.SpendLimit
			*next = *current
			next.Name, next.SpendLimit = name, limit
		},
		validate: func(_ id.ID, g *store.BillingGroup, _ map[string]any) []field.Error { return g.SpendLimit.Validate() },
		view: viewEach(func(g store.BillingGroup) billingGroupView {
			return billingGroupView{BillingGroup: g, RecordType: "billing_group"}
		}),
		filters: nameFilters("name", 0),
		sorts:   []string{"created_at", "name"}, standard: "-created_at", pageSize: 20,
	}
	operations := r.mustOperations()
	for i := range operations {
		switch op := &operations[i]; op.method {
		case http.MethodPost:
			op.body.property("id").schema.defaultTo = nil
			op.body.property("id").schema.description = "Tollgate's own: a UUID of your choice, so that groups can be brought over with their ids."
			op.handle = withoutNilID(op.handle)
		case http.MethodPatch:
			// The id of an existing group is not to be changed: it is read-only here.
			*op.body = *op.body.without("id")
		}
	}
	return operations
}

// withoutNilID refuses the one UUID that means no group.
func withoutNilID(next handler) handler {
	return func(ctx context.Context, in *request) (*response, error) {
		if in.body["id"] == uuid.Nil.String() {
			return nil, failAt(http.StatusUnprocessableEntity, "/id", field.Malformed, "id is the nil UUID, which means none. Give another one, or leave it out.")
		}
		return next(ctx, in)
	}
}

var errGroupID = errors.New("not a UUID")

func parseGroupID(text string) (uuid.UUID, error) {
	if parseUUID(text) != nil {
		return uuid.Nil, errGroupID
	}
	return uuid.Parse(text)
}
