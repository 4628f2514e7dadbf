package admission

import (
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/routing"
)

// RuleRoute holds that no route refuses the call. Its facts say which gateways the call tries.
const RuleRoute Rule = 19

// ReasonRoute is the reason of RuleRoute.
const ReasonRoute Reason = 43

var routeRule = rule{
	name:    "route",
	needs:   needProfile | needCallee,
	gather:  gatherRoute,
	judge:   func(f *Facts) Reason { return refuseIf(f.RouteRefuses, ReasonRoute) },
	explain: explainRoute,
	fix: func(f *Facts) string {
		return fmt.Sprintf("Change route %s under /tollgate/v1/routes, or add one that comes before it.", f.Route)
	},
	code: func(c *coder, f *Facts) {
		c.Bools(&f.RouteRefuses, &f.OthersFollow)
		ints(c, &f.Route)
		n := f.Hunt.Len()
		ints(c, &n)
		for i := range min(max(n, 0), routing.MaxHunt) {
			ints(c, &f.Hunt[i])
		}
	},
	reasons: []answer{
		{ReasonRoute, "route_refused", "TG27", 403, "Destination is refused by a route",
			"Change the route under /tollgate/v1/routes."},
	},
}

// RouteFacts are where the routes send the call.
type RouteFacts struct {
	Route        id.ID // the first that matched, or the one that refuses; 0 for none
	RouteRefuses bool
	Hunt         routing.Hunt
	OthersFollow bool // the gateways of the account are tried behind those of Hunt
}

// Seed is what the draws of a call depend on, the same whenever it is decided again.
func Seed(call uuid.UUID) uint64 { return binary.BigEndian.Uint64(call[8:]) }

// gatherRoute is behind the rules that read the two numbers. A called number that a network could
// complete otherwise is refused if a route refuses either.
func gatherRoute(f *Facts, in *inquiry) {
	table := in.policy.Routes(f.Account)
	if table == nil || f.Emergency || f.Callee == 0 {
		return
	}
	target := routing.Target{
		Callee: f.Callee, Caller: f.Caller, Class: f.Class, Could: f.Could, Profile: f.Profile,
		Lists: in.policy.NumberLists(f.Account), At: in.now,
	}
	if in.callee.Without != 0 {
		target.Callee = in.callee.Without
		if first, _ := table.Next(&target, -1); first != nil && first.Refuses {
			f.Route, f.RouteRefuses = first.ID, true
			return
		}
		target.Callee = f.Callee
	}
	f.OthersFollow = true
	seed, rank := Seed(in.call.ID), int32(-1)
	for range routing.MaxHunt {
		var route *routing.CompiledRoute
		if route, rank = table.Next(&target, rank); route == nil {
			return
		}
		if route.Refuses {
			// Behind another route it ends the hunt, and refuses nothing.
			f.RouteRefuses, f.OthersFollow = f.Route == 0, false
		}
		if f.Route == 0 {
			f.Route = route.ID
		}
		if route.Refuses {
			return
		}
		f.Hunt.Add(route, seed)
		if route.Stop {
			f.OthersFollow = false
			return
		}
	}
}

// Gateways are those that the call tries, in order, of those of its account in the order in which
// it would try them without routes.
func (f *Facts) Gateways(ordered []*routing.Gateway) []*routing.Gateway {
	if f.Route == 0 || f.Emergency {
		return ordered
	}
	return f.Hunt.Sort(ordered, f.OthersFollow)
}

func explainRoute(f *Facts) (seen, allowed string) {
	const wanted = "a route that sends, or none"
	switch {
	case f.Route == 0:
		return "no route: the gateways of the account", wanted
	case f.RouteRefuses:
		return fmt.Sprintf("route %s refuses", f.Route), wanted
	}
	var gateways []string
	for _, gateway := range f.Hunt[:f.Hunt.Len()] {
		gateways = append(gateways, gateway.String())
	}
	seen = fmt.Sprintf("route %s: gateways %s", f.Route, strings.Join(gateways, ", "))
	return seen + yesNo(f.OthersFollow, ", then the others of the account", ""), wanted
}
