package sqlstore_test

import (
	"context"
	"testing"

	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/store"
	"github.com/tollgate/tollgate/internal/store/sqlstore"
	"github.com/tollgate/tollgate/internal/store/storetest"
)

// TestClaimsThroughTwoNodes has two accounts claim one network at the same moment,
// each at another node.
func TestClaimsThroughTwoNodes(t *testing.T) {
	url, _ := newDatabase(t)
	clock := newTestClock(noon)
	a, b := newTestNode(t, url, "a", clock.Now),
		newTestNode(t, url, "b", clock.Now, func(c *sqlstore.Config) { c.IDs = id.NewSource(2, clock.Now) })
	account, _ := configure(t, a.Store)
	other, err := a.Accounts().Create(context.Background(), 0, store.Account{Name: "other", Active: true})
	check(t, err)
	storetest.Race(t, subject{a.Store}, subject{b.Store}, account, other.ID)
}
