package admission

import (
	"strings"
	"testing"

	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/profile"
	"github.com/tollgate/tollgate/internal/routing"
)

// TestRoutesChooseGateways: a decision names its route and the gateways in their order, is stored
// with both, and allocates nothing.
func TestRoutesChooseGateways(t *testing.T) {
	const first, second, third = 11, 12, 13
	route := func(key id.ID, stop bool, order string, gateways ...id.ID) policy.Change {
		r := routing.NewRoute()
		r.ID, r.AccountID, r.Priority, r.Stop, r.Order = key, testAccount, int32(key), stop, order
		for _, g := range gateways {
			r.Gateways = append(r.Gateways, routing.RouteGateway{Gateway: g, Weight: 1})
		}
		return policy.PutRoute(&r)
	}
	refusing := func(key id.ID) policy.Change {
		r := routing.NewRoute()
		r.ID, r.AccountID, r.Priority, r.Action = key, testAccount, int32(key), routing.Refuse
		return policy.PutRoute(&r)
	}
	var gateways []*routing.Gateway
	for _, key := range []id.ID{first, second, third} {
		g := routing.NewGateway()
		g.ID, g.AccountID, g.Priority = key, testAccount, int32(key)
		gateways = append(gateways, &g)
	}
	for _, tt := range []struct {
		name   string
		routes []policy.Change
		want   []id.ID
	}{
		{"none", nil, []id.ID{first, second, third}},
		{"one that stops", []policy.Change{route(1, true, routing.ByPriority, third, first)}, []id.ID{third, first}},
		{"the account's follow", []policy.Change{route(1, false, routing.ByPriority, third)}, []id.ID{third, first, second}},
		{"another follows", []policy.Change{route(1, false, routing.ByPriority, third),
			route(2, true, routing.ByPriority, second, third)}, []id.ID{third, second}},
		{"a refusal follows", []policy.Change{route(1, false, routing.ByPriority, third), refusing(2)}, []id.ID{third}},
		{"a gateway that is not there", []policy.Change{route(1, true, routing.ByPriority, 99, second)}, []id.ID{second}},
	} {
		s, err := snapshotOf(t, testAccountPolicy(), profile.New(), attachedConnection(), standardDeck(t)).With(tt.routes...)
		if err != nil {
			t.Fatal(err)
		}
		call := callTo("+12125550123")
		d := Decide(s, &call, NothingUsed{}, noon)
		again, err := DecodeDecision(d.Append(nil))
		if err != nil || again.Facts.RouteFacts != d.Facts.RouteFacts || !again.Allow {
			t.Errorf("%s: stored %+v: %v", tt.name, again.Facts.RouteFacts, err)
		}
		var got []id.ID
		for _, g := range again.Facts.Gateways(gateways) {
			got = append(got, g.ID)
		}
		if len(got) != len(tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
			continue
		}
		for i := range got {
			if got[i] != tt.want[i] {
				t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
			}
		}
		seen := again.Explain()[RuleRoute].Seen
		if named := strings.HasPrefix(seen, "route "); named == (tt.routes == nil) {
			t.Errorf("%s: explained as %q", tt.name, seen)
		}
		if allocs := testing.AllocsPerRun(100, func() { d = Decide(s, &call, NothingUsed{}, noon) }); allocs != 0 {
			t.Errorf("%s: %v allocations", tt.name, allocs)
		}
	}
}
