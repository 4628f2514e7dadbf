package storetest

import (
	"errors"
	"strings"
	"testing"

	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/routing"
	"github.com/tollgate/tollgate/internal/store"
)

// testRoutes: a route is in force when it is answered and when the store is opened again, names
// only what its account has, and keeps what it names from being deleted.
func testRoutes(t *testing.T, open Opener) {
	b := newBed(t, open)
	other := value(b.Accounts().Create(ctx, 0, store.Account{Name: "another", Active: true}))(t).ID
	gateway := value(b.Gateways().Create(ctx, b.account.ID, newGateway("carrier")))(t)
	foreign := value(b.Gateways().Create(ctx, other, newGateway("stranger")))(t)
	routes := func() collection.Of[routing.Route, id.ID] { return store.Of[routing.Route](b) }
	found := func() (route id.ID) {
		if table := b.options.Live.Snapshot().Routes(b.account.ID); table != nil {
			if r, _ := table.Next(&routing.Target{Callee: 442079460000}, -1); r != nil {
				route = r.ID
			}
		}
		return route
	}
	route := func(name string, gateway id.ID) routing.Route {
		r := routing.NewRoute()
		r.Name, r.Gateways = name, []routing.RouteGateway{{Gateway: gateway}}
		r.Match.Prefixes = []string{"+44"}
		return r
	}
	if _, err := routes().Create(ctx, b.account.ID, route("theirs", foreign.ID)); !errors.Is(err, collection.ErrNotFound) {
		t.Errorf("a route to a gateway of another account: %v", err)
	}
	made := value(routes().Create(ctx, b.account.ID, route("britain", gateway.ID)))(t)
	if found() != made.ID {
		t.Error("not in force")
	}
	_, err := routes().Create(ctx, b.account.ID, route("again", gateway.ID))
	if !errors.Is(err, collection.ErrDuplicate) || !strings.Contains(err.Error(), "britain") ||
		!strings.Contains(err.Error(), "again") {
		t.Errorf("an equal route: %v", err)
	}
	if _, err := b.Gateways().Delete(ctx, b.account.ID, gateway.ID); !errors.Is(err, collection.ErrInUse) {
		t.Errorf("deleted a gateway of a route: %v", err)
	}
	if _, err := routes().Get(ctx, other, made.ID); !errors.Is(err, collection.ErrNotFound) {
		t.Errorf("another account: %v", err)
	}
	b.reopen(t, open)
	if found() != made.ID {
		t.Error("not in force after the store was opened again")
	}
	value(routes().Update(ctx, b.account.ID, made.ID, func(r routing.Route) (routing.Route, error) {
		r.Enabled = false
		return r, nil
	}))(t)
	if found() != 0 {
		t.Error("a disabled route is in force")
	}
	value(routes().Delete(ctx, b.account.ID, made.ID))(t)
	value(b.Gateways().Delete(ctx, b.account.ID, gateway.ID))(t)
}
