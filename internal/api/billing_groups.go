package api

import (
	"context"
	"net/http"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/field"
	"github.com/tollgate/tollgate/internal/rest"
	"github.com/tollgate/tollgate/internal/store"
)

// billingGroupView is a billing group as it is answered.
type billingGroupView struct {
	// Telnyx sets it; here a create request may choose it, so that groups can be brought over with their ids
	ID uuid.UUID `json:"id" mark:"ours"`
	store.BillingGroup
	RecordType string `json:"record_type" readOnly:"true" enum:"billing_group"`
}

func (s *server) billingGroupOperations() []rest.Operation {
	r := &rest.Resource[store.BillingGroup, billingGroupView, uuid.UUID]{
		Path: "/v2/billing_groups", Name: "billing_group", Tag: "Billing groups", Answers: schemaOf[billingGroupView](),
		Collection: store.Of[store.BillingGroup](s.Resources), Required: []string{"name"}, Created: http.StatusOK,
		Adopt: func(next, current *store.BillingGroup) { next.OrganizationID = current.OrganizationID },
		View: rest.ViewEach(func(g store.BillingGroup) billingGroupView {
			return billingGroupView{ID: g.ID, BillingGroup: g, RecordType: "billing_group"}
		}),
		Filters: rest.NameFilters("name", 0),
		Sorts:   []string{"created_at", "name"},
	}
	operations := r.MustOperations()
	for i := range operations {
		switch op := &operations[i]; op.Method {
		case http.MethodPost:
			op.Body.Property("id").Schema.DefaultTo = nil
			op.Body.Property("id").Schema.Description = "Tollgate's own: a UUID of your choice, " +
				"so that groups can be brought over with their ids."
			op.Handle = withoutNilID(op.Handle)
		case http.MethodPatch:
			// The id of an existing group is not to be changed: it is read-only here.
			*op.Body = *op.Body.Without("id")
		}
	}
	return operations
}

// withoutNilID refuses the one UUID that means no group.
func withoutNilID(next rest.Handler) rest.Handler {
	return func(ctx context.Context, in *rest.Request) (*rest.Response, error) {
		if in.Body["id"] == uuid.Nil.String() {
			return nil, rest.FailAt(http.StatusUnprocessableEntity, "/id", field.Malformed,
				"id is the nil UUID, which means none. Give another one, or leave it out.")
		}
		return next(ctx, in)
	}
}
