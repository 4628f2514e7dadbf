package routing

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tollgate/tollgate/internal/e164"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/profile"
)

// plainTakes is what a route's conditions mean, said without tables: the length of the longest
// prefix that matches, or -1.
func plainTakes(r *Route, t *Target) int {
	m, number, caller := &r.Match, t.Callee.String(), t.Caller.String()
	longest := 0
	for _, prefix := range m.Prefixes {
		if strings.HasPrefix(number, prefix) {
			longest = max(longest, len(prefix)-1)
		}
	}
	has := func(prefix string) bool { return strings.HasPrefix(caller, prefix) }
	switch {
	case len(m.Prefixes) > 0 && longest == 0,
		len(m.Countries) > 0 && !slices.Contains(m.Countries, t.Class.Country.Alpha2()),
		len(m.NumberTypes) > 0 && !slices.Contains(m.NumberTypes, t.Class.Type.String()),
		len(m.Profiles) > 0 && !slices.Contains(m.Profiles, t.Profile),
		len(m.CallerPrefixes) > 0 && !slices.ContainsFunc(m.CallerPrefixes, has):
		return -1
	}
	return longest
}

func conditions(m *RouteMatch) (n int) {
	for _, length := range []int{len(m.Prefixes), len(m.Countries), len(m.NumberTypes), len(m.Profiles),
		len(m.CallerPrefixes)} {
		n += min(1, length)
	}
	return n
}

// TestRoutesAgainstPlainModel: the table yields the routes that a walk through all of them finds,
// in the same order.
func TestRoutesAgainstPlainModel(t *testing.T) {
	prefixes := rapid.SliceOfN(rapid.SampledFrom([]string{"+4", "+44", "+4420", "+44207", "+1", "+1212", "+7"}), 0, 3)
	countries := rapid.SliceOfN(rapid.SampledFrom([]string{"GB", "US", "RU", "KZ"}), 0, 2)
	types := rapid.SliceOfN(rapid.SampledFrom([]string{"mobile", "fixed_line", "fixed_line_or_mobile"}), 0, 2)
	profiles := rapid.SliceOfN(rapid.SampledFrom([]id.ID{7, 8, 9}), 0, 2)
	rapid.Check(t, func(r *rapid.T) {
		var routes []Route
		var compiled []*CompiledRoute
		for i := range rapid.IntRange(0, 12).Draw(r, "routes") {
			route := NewRoute()
			route.ID, route.Action = id.ID(i+1), Refuse
			route.Priority = rapid.Int32Range(0, 2).Draw(r, "priority")
			route.Match = RouteMatch{Prefixes: prefixes.Draw(r, "prefixes"), Countries: countries.Draw(r, "countries"),
				NumberTypes: types.Draw(r, "types"), Profiles: profiles.Draw(r, "profiles"),
				CallerPrefixes: prefixes.Draw(r, "callers")}
			c, err := route.Compile()
			if err != nil {
				r.Fatal(err)
			}
			routes, compiled = append(routes, route), append(compiled, c)
		}
		numbers := rapid.SampledFrom([]e164.Number{442079460000, 447700900123, 12125550100, 74951234567, 77172123456})
		target := Target{Callee: numbers.Draw(r, "callee"), Caller: numbers.Draw(r, "caller"),
			Profile: rapid.SampledFrom([]id.ID{7, 8, 10}).Draw(r, "profile")}
		target.Class = e164.Classify(target.Callee)
		var want, got []id.ID
		routes = slices.DeleteFunc(routes, func(route Route) bool { return plainTakes(&route, &target) < 0 })
		slices.SortFunc(routes, func(a, b Route) int {
			return cmp.Or(cmp.Compare(a.Priority, b.Priority), cmp.Compare(plainTakes(&b, &target), plainTakes(&a, &target)),
				cmp.Compare(conditions(&b.Match), conditions(&a.Match)), cmp.Compare(a.ID, b.ID))
		})
		for _, route := range routes {
			want = append(want, route.ID)
		}
		table := NewRouteTable(compiled)
		for route, rank := table.Next(&target, -1); route != nil; route, rank = table.Next(&target, rank) {
			if !slices.Contains(got, route.ID) {
				got = append(got, route.ID)
			}
		}
		if !slices.Equal(got, want) {
			r.Fatalf("routes %v, want %v", got, want)
		}
	})
}

func TestRouteTime(t *testing.T) {
	at := func(hours, minutes int) *profile.TimeOfDay {
		return new(profile.TimeOfDay(time.Duration(hours)*time.Hour + time.Duration(minutes)*time.Minute))
	}
	zone := "America/New_York"
	night := &RouteTime{StartTime: at(22, 0), EndTime: at(6, 0), Days: []string{"fri"}, TimeZone: &zone}
	compiled, err := night.compile()
	if err != nil {
		t.Fatal(err)
	}
	for when, want := range map[string]bool{
		"2026-11-28T02:59:00Z": false, // Friday 21:59
		"2026-11-28T03:00:00Z": true,  // Friday 22:00
		"2026-11-28T10:59:00Z": true,  // Saturday 05:59, of Friday's night
		"2026-11-28T11:00:00Z": false,
		"2026-11-29T04:00:00Z": false, // Saturday 23:00
		"2026-11-27T10:00:00Z": false, // Friday 05:00, of Thursday's night
	} {
		now, err := time.Parse(time.RFC3339, when)
		if err != nil {
			t.Fatal(err)
		}
		if got := compiled.includes(now); got != want {
			t.Errorf("%s: %v", when, got)
		}
	}
}

func TestHuntIsDrawnByWeight(t *testing.T) {
	route := NewRoute()
	route.Order = ByWeight
	route.Gateways = []RouteGateway{{Gateway: 1, Weight: 1}, {Gateway: 2, Weight: 3}}
	c, err := route.Compile()
	if err != nil {
		t.Fatal(err)
	}
	const draws = 10_000
	first := map[id.ID]int{}
	for seed := range uint64(draws) {
		var hunt, again Hunt
		hunt.Add(c, seed)
		again.Add(c, seed)
		if hunt != again || hunt.Len() != 2 {
			t.Fatalf("drawn %v, then %v", hunt, again)
		}
		first[hunt[0]]++
	}
	if share := float64(first[2]) / draws; share < 0.73 || share > 0.77 {
		t.Errorf("a weight of 3 beside 1 comes first in %v", share)
	}
}

func TestAmbiguousRoutes(t *testing.T) {
	route := func(match RouteMatch) *Route {
		r := NewRoute()
		r.Match = match
		return &r
	}
	prefixes := func(p ...string) RouteMatch { return RouteMatch{Prefixes: p} }
	for _, tt := range []struct {
		name string
		a, b RouteMatch
		want bool
	}{
		{"none and none", RouteMatch{}, RouteMatch{}, true},
		{"the same prefix", prefixes("+44", "+33"), prefixes("33"), true},
		{"a longer prefix", prefixes("+44"), prefixes("+4420"), false},
		{"a condition more", prefixes("+44"), RouteMatch{Prefixes: []string{"+44"}, Profiles: []id.ID{7}}, false},
		{"other profiles", RouteMatch{Profiles: []id.ID{8}}, RouteMatch{Profiles: []id.ID{7}}, false},
		{"a country in common", RouteMatch{Countries: []string{"US", "CA"}}, RouteMatch{Countries: []string{"CA"}}, true},
		{"other days", RouteMatch{Time: &RouteTime{Days: []string{"mon"}}},
			RouteMatch{Time: &RouteTime{Days: []string{"sun"}}}, false},
		{"a day in common", RouteMatch{Time: &RouteTime{Days: []string{"mon"}}}, RouteMatch{Time: &RouteTime{}}, true},
	} {
		if got := route(tt.a).Ambiguous(route(tt.b)); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
	a, b := route(RouteMatch{}), route(RouteMatch{})
	a.Enabled = false
	if a.Ambiguous(b) {
		t.Error("a disabled route is in the way")
	}
}

func TestRouteIsValidated(t *testing.T) {
	for pointer, change := range map[string]func(*Route){
		"/gateways":                func(r *Route) { r.Gateways = nil },
		"/gateways/1/gateway_id":   func(r *Route) { r.Gateways = append(r.Gateways, r.Gateways[0]) },
		"/gateways/0/gateway_id":   func(r *Route) { r.Gateways[0].Gateway = 0 },
		"/match/countries/0":       func(r *Route) { r.Match.Countries = []string{"XX"} },
		"/match/prefixes/0":        func(r *Route) { r.Match.Prefixes = []string{"+0044"} },
		"/match/caller_prefixes/1": func(r *Route) { r.Match.CallerPrefixes = []string{"1", "1x"} },
		"/match/number_types/0":    func(r *Route) { r.Match.NumberTypes = []string{"cheap"} },
		"/match/time/days/0":       func(r *Route) { r.Match.Time = &RouteTime{Days: []string{"monday"}} },
		"/match/time/time_zone":    func(r *Route) { r.Match.Time = &RouteTime{TimeZone: new("Local")} },
	} {
		r := NewRoute()
		r.Gateways = []RouteGateway{{Gateway: 1}}
		if errs := r.Validate(); len(errs) > 0 {
			t.Fatal(errs)
		}
		change(&r)
		if errs := r.Validate(); len(errs) != 1 || errs[0].Pointer != pointer {
			t.Errorf("%s: %v", pointer, errs)
		}
	}
}

// TestFindingRoutesAllocatesNothing.
func TestFindingRoutesAllocatesNothing(t *testing.T) {
	var compiled []*CompiledRoute
	for i := range 1000 {
		r := NewRoute()
		r.ID, r.Order = id.ID(i+1), ByWeight
		r.Gateways = []RouteGateway{{Gateway: 1, Weight: 2}, {Gateway: 2, Weight: 1}}
		r.Match.Prefixes = []string{fmt.Sprintf("+44%d", 100+i)}
		c, err := r.Compile()
		if err != nil {
			t.Fatal(err)
		}
		compiled = append(compiled, c)
	}
	table, target := NewRouteTable(compiled), Target{Callee: 442079460000, Caller: 12125550100}
	allocs := testing.AllocsPerRun(100, func() {
		var hunt Hunt
		route, _ := table.Next(&target, -1)
		hunt.Add(route, 5)
		if hunt.Len() != 2 {
			t.Error(hunt)
		}
	})
	if allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}
