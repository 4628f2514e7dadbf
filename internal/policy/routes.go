package policy

import (
	"slices"

	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/routing"
)

// accountRoutes are the routes of an account that are enabled.
type accountRoutes struct {
	routes []*routing.CompiledRoute
	table  *routing.RouteTable // nil for no routes
}

// Routes returns what finds the routes of an account's calls, or nil when it has none.
func (s *Snapshot) Routes(account id.ID) *routing.RouteTable {
	return s.routes.get(uint64(account), account).table
}

// PutRoute adds or replaces a route.
func PutRoute(r *routing.Route) Change {
	return Change{Object{Kind: KindRoute, ID: r.ID, Account: r.AccountID}, func(s *Snapshot) error {
		compiled, err := r.Compile()
		if err != nil {
			return err
		}
		s.setRoute(r.AccountID, r.ID, compiled)
		return nil
	}}
}

// DropRoute removes a route.
func DropRoute(o Object) Change {
	return Change{Object{Kind: KindRoute, ID: o.ID, Account: o.Account}, func(s *Snapshot) error {
		s.setRoute(o.Account, o.ID, nil)
		return nil
	}}
}

// setRoute replaces a route, or removes it when there is no next one.
func (s *Snapshot) setRoute(account, route id.ID, next *routing.CompiledRoute) {
	routes := slices.DeleteFunc(slices.Clone(s.routes.get(uint64(account), account).routes),
		func(r *routing.CompiledRoute) bool { return r.ID == route })
	if next != nil {
		routes = append(routes, next)
	}
	s.routes = s.routes.put(hashID, account, accountRoutes{routes: routes})
	if !slices.Contains(s.staleRoutes, account) {
		// The slice may be shared with the snapshot before.
		s.staleRoutes = append(slices.Clone(s.staleRoutes), account)
	}
}

// arrangeRoutes runs once for all changes of a snapshot.
func (s *Snapshot) arrangeRoutes() {
	for _, account := range s.staleRoutes {
		routes := s.routes.get(uint64(account), account).routes
		if len(routes) == 0 {
			s.routes = s.routes.remove(hashID, account)
			continue
		}
		s.routes = s.routes.put(hashID, account, accountRoutes{routes, routing.NewRouteTable(routes)})
	}
	s.staleRoutes = nil
}
