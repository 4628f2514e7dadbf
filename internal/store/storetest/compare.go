package storetest

import (
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/store"
)

// compare is how objects are compared: addresses by value, and an empty list is
// as good as none.
var compare = []cmp.Option{
	cmp.Comparer(func(a, b connection.Network) bool { return a == b }),
	cmpopts.EquateEmpty(),
}

var ignoreOrganization = cmpopts.IgnoreFields(store.BillingGroup{}, "OrganizationID")
