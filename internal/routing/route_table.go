package routing

import (
	"cmp"
	"fmt"
	"math/bits"
	"slices"
	"time"

	"github.com/tollgate/tollgate/internal/e164"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/numberlist"
	"github.com/tollgate/tollgate/internal/profile"
)

// CompiledRoute is a route as decisions read it. It never changes.
type CompiledRoute struct {
	ID       id.ID
	Refuses  bool
	Stop     bool
	weighted bool
	gateways []RouteGateway
	priority int32
	// conditions counts those of Match that are set.
	conditions int

	prefixes, callers []e164.Number
	countries         e164.CountrySet
	ranges            e164.RangeSet
	types             e164.NumberTypeSet
	lists, profiles   []id.ID
	time              *compiledTime // nil for always
	match             RouteMatch
}

// compiledTime is a window, and the days of the week on which it begins.
type compiledTime struct {
	profile.Window
	days uint8 // bit n is time.Weekday(n)
}

func (t *RouteTime) compile() (*compiledTime, error) {
	window, err := (&profile.CallingWindow{StartTime: t.StartTime, EndTime: t.EndTime, TimeZone: t.TimeZone}).Compile()
	if err != nil {
		return nil, err
	}
	compiled := &compiledTime{Window: window}
	for _, day := range t.Days {
		compiled.days |= 1 << slices.Index(weekdays[:], day)
	}
	if len(t.Days) == 0 {
		compiled.days = 1<<7 - 1
	}
	return compiled, nil
}

// includes reports whether a time is in the window of one of the days.
func (t *compiledTime) includes(now time.Time) bool {
	open, day := t.Locate(now)
	const thursday = 4 // 1970-01-01
	return open && t.days>>((day+thursday)%7)&1 != 0
}

// Compile resolves the names in a route. It returns nil for one that is disabled, and fails for
// names that Validate does not know.
func (r *Route) Compile() (*CompiledRoute, error) {
	if !r.Enabled {
		return nil, nil
	}
	if errs := r.Validate(); len(errs) > 0 {
		return nil, fmt.Errorf("compile route %s: %w", r.ID, errs[0])
	}
	m := &r.Match
	c := &CompiledRoute{
		ID: r.ID, Refuses: r.Action == Refuse, Stop: r.Stop, weighted: r.Order == ByWeight, gateways: r.Gateways,
		priority: r.Priority, prefixes: digitsOf(m.Prefixes), callers: digitsOf(m.CallerPrefixes),
		lists: m.NumberLists, profiles: m.Profiles, match: *m,
	}
	for _, name := range m.Countries {
		if country, ok := e164.CountryByAlpha2(name); ok {
			c.countries.Add(country)
		} else if named, ok := e164.ParseRange(name); ok {
			c.ranges.Add(named)
		}
	}
	for _, name := range m.NumberTypes {
		numberType, _ := e164.ParseNumberType(name)
		c.types.Add(numberType)
	}
	if m.Time != nil {
		compiled, err := m.Time.compile()
		if err != nil {
			return nil, fmt.Errorf("compile route %s: %w", r.ID, err)
		}
		c.time = compiled
		c.conditions++
	}
	for _, length := range [...]int{len(m.Countries), len(m.Prefixes), len(m.NumberTypes), len(m.NumberLists),
		len(m.Profiles), len(m.CallerPrefixes)} {
		c.conditions += min(1, length)
	}
	return c, nil
}

// Target is what routes look at of a call.
type Target struct {
	Callee, Caller e164.Number
	Class          e164.Class
	// Could is every type that a network could take the called number for. A route that refuses a
	// type refuses all of them.
	Could   e164.NumberTypeSet
	Profile id.ID
	Lists   []*numberlist.Compiled // of the account
	At      time.Time
}

// takes reports whether a call meets all conditions but that of the prefix.
func (c *CompiledRoute) takes(t *Target) bool {
	switch {
	case len(c.match.Countries) > 0 && !t.Class.In(c.countries, c.ranges),
		c.types != 0 && !c.types.Has(t.Class.Type) && (!c.Refuses || c.types&t.Could == 0),
		len(c.profiles) > 0 && !slices.Contains(c.profiles, t.Profile),
		len(c.callers) > 0 && !beginsWith(t.Caller, c.callers),
		c.time != nil && !c.time.includes(t.At):
		return false
	}
	return len(c.lists) == 0 || c.listed(t)
}

func beginsWith(n e164.Number, prefixes []e164.Number) bool {
	if n == 0 {
		return false
	}
	for _, prefix := range prefixes {
		digits := prefix.Digits()
		if n.First(digits.Len) == prefix {
			return true
		}
	}
	return false
}

// listed reports whether one of the route's lists allows the call's number.
func (c *CompiledRoute) listed(t *Target) bool {
	for _, list := range t.Lists {
		if !slices.Contains(c.lists, list.ID) {
			continue
		}
		number := t.Callee
		if list.Callers {
			number = t.Caller
		}
		if prefix, allow := list.Find(number, t.At.UnixMicro()); prefix != 0 && allow {
			return true
		}
	}
	return false
}

// RouteTable finds the routes of a call among those of an account. A route stands where its calls
// are looked for: at each of its prefixes, else at each of its countries; and there at each of its
// profiles, else at each prefix of callers. So a call looks at few routes, however many there are.
type RouteTable struct {
	prefixes  shelf
	countries map[e164.Country]*place
	ranges    map[string]*place
	rest      *place
}

// shelf are places by the beginnings of numbers.
type shelf struct {
	lengths uint16 // bit n is set where a prefix has n digits
	at      map[e164.Number]*place
}

// place is where the routes of one destination stand.
type place struct {
	ranked   []rankedRoute
	profiles map[id.ID]*place
	callers  shelf
}

// rankedRoute is a route at one of its prefixes. Those that are looked at first have a lower rank.
type rankedRoute struct {
	rank   int32
	digits uint8 // of the prefix
	*CompiledRoute
}

// NewRouteTable arranges routes.
func NewRouteTable(routes []*CompiledRoute) *RouteTable {
	var all []rankedRoute
	for _, r := range routes {
		var lengths uint16
		for _, prefix := range r.prefixes {
			digits := prefix.Digits()
			lengths |= 1 << digits.Len
		}
		if lengths == 0 {
			lengths = 1
		}
		for ; lengths != 0; lengths &= lengths - 1 {
			all = append(all, rankedRoute{digits: uint8(bits.TrailingZeros16(lengths)), CompiledRoute: r})
		}
	}
	slices.SortFunc(all, func(a, b rankedRoute) int {
		return cmp.Or(cmp.Compare(a.priority, b.priority), cmp.Compare(b.digits, a.digits),
			cmp.Compare(b.conditions, a.conditions), cmp.Compare(a.ID, b.ID))
	})
	t := &RouteTable{countries: map[e164.Country]*place{}, ranges: map[string]*place{}, rest: &place{}}
	for i := range all {
		all[i].rank = int32(i)
		t.arrange(all[i])
	}
	return t
}

func (t *RouteTable) arrange(r rankedRoute) {
	switch {
	case len(r.prefixes) > 0:
		for _, prefix := range r.prefixes {
			if digits := prefix.Digits(); digits.Len == int(r.digits) {
				t.prefixes.place(prefix).arrange(r)
			}
		}
	case len(r.match.Countries) > 0:
		for country := range r.countries.All() {
			placeOf(t.countries, country).arrange(r)
		}
		for named := range r.ranges.All() {
			placeOf(t.ranges, named.String()).arrange(r)
		}
	default:
		t.rest.arrange(r)
	}
}

func (p *place) arrange(r rankedRoute) {
	switch {
	case len(r.profiles) > 0:
		if p.profiles == nil {
			p.profiles = map[id.ID]*place{}
		}
		for _, profile := range r.profiles {
			placeOf(p.profiles, profile).add(r)
		}
	case len(r.callers) > 0:
		for _, prefix := range r.callers {
			p.callers.place(prefix).add(r)
		}
	default:
		p.add(r)
	}
}

// add adds a route behind those before it, once.
func (p *place) add(r rankedRoute) {
	if n := len(p.ranked); n == 0 || p.ranked[n-1].rank != r.rank {
		p.ranked = append(p.ranked, r)
	}
}

func (s *shelf) place(prefix e164.Number) *place {
	if s.at == nil {
		s.at = map[e164.Number]*place{}
	}
	digits := prefix.Digits()
	s.lengths |= 1 << digits.Len
	return placeOf(s.at, prefix)
}

func placeOf[K comparable](places map[K]*place, key K) *place {
	at := places[key]
	if at == nil {
		at = &place{}
		places[key] = at
	}
	return at
}

// search is the search for the next route of a call.
type search struct {
	*Target
	after int32 // the rank of the last one
	found *rankedRoute
}

// Next returns the next route of a call behind a rank, and its rank; nil for none. The first one
// is behind -1. It does not allocate.
func (t *RouteTable) Next(target *Target, after int32) (route *CompiledRoute, rank int32) {
	s := search{Target: target, after: after}
	for lengths := t.prefixes.within(target.Callee); lengths != 0; lengths &= lengths - 1 {
		s.place(t.prefixes.at[target.Callee.First(bits.TrailingZeros16(lengths))])
	}
	if country := target.Class.Country; country != 0 {
		s.place(t.countries[country])
	} else if target.Class.Range != "" {
		s.place(t.ranges[target.Class.Range])
	}
	s.place(t.rest)
	if s.found == nil {
		return nil, after
	}
	return s.found.CompiledRoute, s.found.rank
}

// within are the lengths of the prefixes that a number can begin with.
func (s *shelf) within(n e164.Number) uint16 {
	if n == 0 || s.lengths == 0 {
		return 0
	}
	digits := n.Digits()
	return s.lengths & (1<<(digits.Len+1) - 1)
}

func (s *search) place(p *place) {
	if p == nil {
		return
	}
	s.routes(p)
	if p.profiles != nil {
		s.routes(p.profiles[s.Profile])
	}
	for lengths := p.callers.within(s.Caller); lengths != 0; lengths &= lengths - 1 {
		s.routes(p.callers.at[s.Caller.First(bits.TrailingZeros16(lengths))])
	}
}

// routes looks for a route of a lower rank than that which was found.
func (s *search) routes(p *place) {
	if p == nil {
		return
	}
	for i := range p.ranked {
		r := &p.ranked[i]
		switch {
		case r.rank <= s.after:
			continue
		case s.found != nil && r.rank >= s.found.rank:
			return
		case r.takes(s.Target):
			s.found = r
			return
		}
	}
}

// Hunt is the order in which a call tries gateways by routes; 0 behind the last one.
type Hunt [MaxHunt]id.ID

// Len is how many there are.
func (h *Hunt) Len() int {
	if n := slices.Index(h[:], 0); n >= 0 {
		return n
	}
	return MaxHunt
}

// Add adds the gateways of a route in its order, without those that are there already. The draw
// by weights depends on seed alone.
func (h *Hunt) Add(r *CompiledRoute, seed uint64) {
	var lots [MaxHunt]float64
	var order [MaxHunt]uint8
	for i, g := range r.gateways {
		order[i] = uint8(i)
		if r.weighted {
			lots[i] = weightedLot(uniform(seed, uint64(g.Gateway)), max(1, g.Weight))
		}
	}
	drawn := order[:len(r.gateways)]
	slices.SortStableFunc(drawn, func(a, b uint8) int { return cmp.Compare(lots[b], lots[a]) })
	n := h.Len()
	for _, i := range drawn {
		gateway := r.gateways[i].Gateway
		if n < MaxHunt && !slices.Contains(h[:n], gateway) {
			h[n] = gateway
			n++
		}
	}
}

// Sort returns gateways in the order of a hunt, without the others or, if there are to be others,
// with these behind.
func (h *Hunt) Sort(gateways []*Gateway, others bool) []*Gateway {
	sorted := make([]*Gateway, 0, len(gateways))
	n := h.Len()
	for _, wanted := range h[:n] {
		at := slices.IndexFunc(gateways, func(g *Gateway) bool { return g.ID == wanted })
		if at >= 0 {
			sorted = append(sorted, gateways[at])
		}
	}
	for _, g := range gateways {
		if others && !slices.Contains(h[:n], g.ID) {
			sorted = append(sorted, g)
		}
	}
	return sorted
}
