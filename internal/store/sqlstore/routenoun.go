package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/column"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/routing"
	"github.com/tollgate/tollgate/internal/store/sqlstore/database"
	"github.com/tollgate/tollgate/internal/store/sqlstore/table"
)

func routeNoun() *noun[routing.Route, id.ID] {
	type T = routing.Route
	return &noun[T, id.ID]{
		name: "route", table: "routes", fresh: routing.NewRoute,
		columns: append(named("name", func(r *T) *string { return &r.Name }),
			column.Integer("priority", column.Int, func(r *T) *int32 { return &r.Priority }),
			// What the route names, as in "|gateway 7|profile 8|".
			computed("refers_to", column.Text, func(r *T) any { return refersTo(r) }),
		),
		indexes: []table.Index{{On: "account_id, priority"}},
		most:    routing.MaxRoutes,
		check:   checkRoute,
		kind:    policy.KindRoute, put: once(policy.PutRoute), gone: policy.DropRoute,
	}
}

// reference is what a route names of its account.
type reference struct {
	kind, table, pointer string
	id                   id.ID
}

func references(r *routing.Route) (all []reference) {
	for i, g := range r.Gateways {
		all = append(all, reference{"gateway", "gateways", fmt.Sprintf("/gateways/%d/gateway_id", i), g.Gateway})
	}
	for i, profile := range r.Match.Profiles {
		pointer := fmt.Sprintf("/match/outbound_voice_profile_ids/%d", i)
		all = append(all, reference{"profile", "profiles", pointer, profile})
	}
	for i, list := range r.Match.NumberLists {
		all = append(all, reference{"list", "number_lists", fmt.Sprintf("/match/number_list_ids/%d", i), list})
	}
	return all
}

func refersTo(r *routing.Route) string {
	var text strings.Builder
	for _, to := range references(r) {
		fmt.Fprintf(&text, "|%s %d|", to.kind, int64(to.id))
	}
	return text.String()
}

// unrouted fails if a route names an object.
func unrouted(ctx context.Context, tx *database.Tx, account id.ID, kind string, object id.ID) error {
	return database.Unused(ctx, tx, "a route", "SELECT 1 FROM routes WHERE account_id = $1 AND refers_to LIKE $2",
		int64(account), fmt.Sprintf("%%|%s %d|%%", kind, int64(object)))
}

// checkRoute wants what the route names to be there, and no other route between which and this
// one nothing decides.
func checkRoute(ctx context.Context, tx *database.Tx, r *routing.Route) error {
	for _, to := range references(r) {
		found, err := table.Exists(ctx, tx, "SELECT 1 FROM "+to.table+" WHERE account_id = $1 AND id = $2",
			int64(r.AccountID), int64(to.id))
		if err != nil {
			return err
		}
		if !found {
			return &collection.ReferenceError{Err: collection.ErrNotFound, Field: to.pointer, Other: to.id.String()}
		}
	}
	var clash error
	err := table.Query(ctx, tx, func(rows *sql.Rows) error {
		other, err := routeNoun().scan(rows.Scan)
		if err == nil && clash == nil && r.Ambiguous(&other) {
			clash = &collection.ReferenceError{Err: collection.ErrDuplicate, Field: "/match", Other: fmt.Sprintf(
				"route %s (%.60q), which matches the same calls at priority %d as this route (%.60q)",
				other.ID, other.Name, r.Priority, r.Name)}
		}
		return err
	}, "SELECT "+docColumns+" FROM routes WHERE account_id = $1 AND priority = $2 AND id <> $3 ORDER BY id",
		int64(r.AccountID), r.Priority, int64(r.ID))
	if err == nil {
		err = clash
	}
	return err
}
