package sipgw

import (
	"maps"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/e164"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/routing"
	"github.com/tollgate/tollgate/internal/sip/transport"
)

// trunk is what this process knows about one gateway: whether it is healthy, and how
// much is being sent to it. Calls of every shard look at it; its own requests,
// OPTIONS and REGISTER, belong to one shard (probe.go).
type trunk struct {
	srv *Server
	id  id.ID

	mu      sync.Mutex // guards all below
	gateway *routing.Gateway
	gone    bool // no longer in the policy
	state   routing.State
	since   time.Time
	until   time.Time // of StateTripped and StateResting
	// routes are the prefixes to which the gateway asked not to be called, and until when.
	routes   map[string]time.Time
	live     int32
	failures int32 // calls in a row that were not answered at all
	// forbidden is why nothing is sent to the gateway: its address leads where this
	// server does not send. "" while it does not. told is what was logged last.
	forbidden, told string
	rate            transport.Bucket
	silences        int // OPTIONS in a row that were not answered
	answered        time.Time
	took            time.Duration
	// registered is until when the registration is in force.
	registered     time.Time
	registerStatus int32

	// streamsFrom is from when on a large request may go by TCP where UDP is the rule.
	streamsFrom time.Time

	checking atomic.Bool // Check is at it

	probe probe // of its shard's goroutine alone
}

// longestRest bounds the Retry-After of a gateway that is heeded. When so many prefixes
// rest at once, the gateway does.
const (
	longestRest  = time.Minute
	restingMakes = 3
)

// prefixDigits are those of a number that make the prefix by which routes rest: the
// country's code and what tells its networks and areas apart.
const prefixDigits = 3

// routeOf is the prefix of the route to a number: its country's code with the next three
// digits, "" of what is no number.
func routeOf(number e164.Number) string {
	text := number.String()
	if text == "" {
		return ""
	}
	code := strconv.Itoa(e164.Classify(number).Country.CallingCode())
	return text[:min(len(text), 1+len(code)+prefixDigits)]
}

// trunks are all of them, by gateway.
type trunks struct {
	srv *Server

	mu   sync.Mutex // guards byID
	byID map[id.ID]*trunk
}

// of returns the trunk of a gateway, made when it is new.
func (ts *trunks) of(gateway *routing.Gateway) *trunk {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	t := ts.byID[gateway.ID]
	if t == nil {
		now := ts.srv.config.Clock()
		t = &trunk{srv: ts.srv, id: gateway.ID, gateway: gateway, state: routing.StateUp, since: now}
		t.probe.sh = ts.srv.shards[uint64(gateway.ID)%uint64(len(ts.srv.shards))]
		ts.byID[gateway.ID] = t
	}
	return t
}

// configured is the gateway as it is configured now.
func (t *trunk) configured() *routing.Gateway {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.gateway
}

// follow brings the trunks in line with the policy. What was learned of a gateway
// that has not moved stays.
func (ts *trunks) follow(s *policy.Snapshot) {
	present := make(map[id.ID]bool)
	for g := range s.EveryGateway {
		present[g.ID] = true
		t := ts.of(g)
		t.configure(g)
		ts.srv.learn(g)
	}
	ts.mu.Lock()
	var gone []*trunk
	for key, t := range ts.byID {
		if !present[key] {
			delete(ts.byID, key)
			gone = append(gone, t)
		}
	}
	ts.mu.Unlock()
	for _, t := range gone {
		t.mu.Lock()
		t.gone = true
		t.mu.Unlock()
		t.wake()
	}
}

// all lists the trunks.
func (ts *trunks) all() []*trunk {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	list := make([]*trunk, 0, len(ts.byID))
	for _, t := range ts.byID {
		list = append(list, t)
	}
	return list
}

// learn makes the addresses of a gateway known to the filter, so that what it sends
// before the first call to it, such as OPTIONS, is not dropped.
func (srv *Server) learn(gateway *routing.Gateway) {
	if !gateway.Enabled {
		return
	}
	srv.resolver.Resolve(gateway, func(targets []transport.Target) {
		for _, t := range targets {
			srv.filter.Learn(t.Addr.Addr())
		}
		if len(targets) > 0 {
			srv.trunks.of(gateway).allow()
		}
	})
}

// followPolicy keeps the trunks in line with the policy until the gateway stops,
// and looks their names up again from time to time.
func (srv *Server) followPolicy() {
	ticker := time.NewTicker(srv.config.Timers.PolicyCheck)
	defer ticker.Stop()
	var version uint64
	var at time.Time
	for {
		snapshot := srv.config.Live.Snapshot()
		if now := time.Now(); snapshot.Version() != version || now.Sub(at) >= transport.ResolvedFor {
			version, at = snapshot.Version(), now
			srv.trunks.follow(snapshot)
		}
		select {
		case <-srv.done:
			return
		case <-ticker.C:
		}
	}
}

// configure applies the policy of the gateway.
func (t *trunk) configure(gateway *routing.Gateway) {
	t.mu.Lock()
	old := t.gateway
	t.gateway = gateway
	if !samePlace(old, gateway) {
		t.set(routing.StateUp, time.Time{})
		t.failures, t.silences, t.registered = 0, 0, time.Time{}
		t.forbidden, t.told, t.routes = "", "", nil
	}
	changed := old != gateway || t.probe.fresh()
	t.mu.Unlock()
	if changed {
		t.wake()
	}
}

// samePlace reports whether what was seen of a gateway still holds.
func samePlace(a, b *routing.Gateway) bool {
	return a.Address == b.Address && a.Transport == b.Transport && a.Enabled == b.Enabled &&
		a.OptionsIntervalSecs == b.OptionsIntervalSecs && a.Register == b.Register &&
		textOf(a.UserName) == textOf(b.UserName) && textOf(a.Password) == textOf(b.Password)
}

func textOf(p *string) string {
	if p == nil {
		return ""
	}
	return *p
}

// set changes the state; t.mu is held.
func (t *trunk) set(state routing.State, until time.Time) {
	t.until = until
	if t.state == state {
		return
	}
	was := t.state
	t.state, t.since = state, t.srv.config.Clock()
	t.srv.log.Info("gateway state changed", "gateway", t.id.String(), "name", t.gateway.Name, "from", string(was),
		"to", string(state))
}

// forbid notes that the gateway's address leads where this server does not send: as
// a whole, or one of the addresses of its name.
func (t *trunk) forbid(why string, all bool) {
	t.mu.Lock()
	changed := all && t.forbidden != why
	if changed {
		t.forbidden, t.since = why, t.srv.config.Clock()
	}
	if t.told != why {
		t.told = why
		t.srv.log.Warn("gateway address is forbidden", "gateway", t.id.String(), "name", t.gateway.Name,
			"address", t.gateway.Address, "why", why, "unused", all)
	}
	t.mu.Unlock()
	if changed {
		t.wake()
	}
}

// allow notes that the gateway has an address to which something may be sent.
func (t *trunk) allow() {
	t.mu.Lock()
	changed := t.forbidden != ""
	if changed {
		t.forbidden, t.since = "", t.srv.config.Clock()
	}
	t.mu.Unlock()
	if changed {
		t.wake()
	}
}

// take asks for a place for one more call, and says why there is none. A call that
// is forced gets one in any case.
func (t *trunk) take(now time.Time, number e164.Number, force bool) admission.Reason {
	t.mu.Lock()
	defer t.mu.Unlock()
	if why := t.obstacle(now, number); why != admission.ReasonNone && !force {
		return why
	}
	t.live++
	t.rate.Tokens--
	if t.state == routing.StateTripped && !now.Before(t.until) {
		// This call is the trial; others wait for how it goes.
		t.until = now.Add(time.Duration(t.gateway.BreakerSecs) * time.Second)
	}
	return admission.ReasonNone
}

func (t *trunk) obstacle(now time.Time, number e164.Number) admission.Reason {
	per := t.gateway.CallsPerSecond
	if per != nil {
		t.rate.Fill(now, float64(*per))
	}
	switch {
	case t.forbidden != "" || t.current(now) != routing.StateUp &&
		!(t.state == routing.StateTripped && !now.Before(t.until)):
		return admission.ReasonGatewaysDown
	case len(t.routes) > 0 && now.Before(t.routes[routeOf(number)]):
		return admission.ReasonGatewaysDown
	case t.gateway.ChannelLimit != nil && t.live >= *t.gateway.ChannelLimit:
		return admission.ReasonGatewayLimit
	case per != nil && t.rate.Tokens < 1:
		return admission.ReasonGatewayLimit
	}
	return admission.ReasonNone
}

// current is the state as of now; t.mu is held.
func (t *trunk) current(now time.Time) routing.State {
	switch {
	case !t.gateway.Enabled:
		return routing.StateDisabled
	case t.forbidden != "":
		return routing.StateForbidden
	case t.state == routing.StateResting && !now.Before(t.until):
		t.set(routing.StateUp, time.Time{})
	}
	if t.state == routing.StateUp && t.gateway.Register && !now.Before(t.registered) {
		return routing.StateUnregistered
	}
	return t.state
}

// release gives a place back.
func (t *trunk) release() {
	t.mu.Lock()
	t.live--
	t.mu.Unlock()
}

// reached notes that the gateway answered a call.
func (t *trunk) reached() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.failures = 0
	if t.state == routing.StateTripped {
		t.set(routing.StateUp, time.Time{})
	}
}

// missed notes that the gateway did not answer a call at all.
func (t *trunk) missed(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.failures++
	g := t.gateway
	tripped := t.state == routing.StateTripped
	if g.BreakerFailures > 0 && g.BreakerSecs > 0 &&
		(t.state == routing.StateUp && t.failures >= g.BreakerFailures || tripped) {
		t.set(routing.StateTripped, now.Add(time.Duration(g.BreakerSecs)*time.Second))
	}
}

// rest leaves the route to a number's prefix alone for as long as the gateway asked for
// (RFC 3261 section 21.5.4), and the whole gateway once it says so of several prefixes.
func (t *trunk) rest(now time.Time, number e164.Number, wanted time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.state != routing.StateUp || wanted <= 0 {
		return
	}
	until := now.Add(min(wanted, longestRest))
	maps.DeleteFunc(t.routes, func(_ string, until time.Time) bool { return !now.Before(until) })
	if t.routes == nil {
		t.routes = make(map[string]time.Time, restingMakes)
	}
	t.routes[routeOf(number)] = until
	if len(t.routes) < restingMakes {
		t.srv.log.Info("gateway route rests", "gateway", t.id.String(), "name", t.gateway.Name,
			"prefix", routeOf(number), "until", until)
		return
	}
	t.routes = nil
	t.set(routing.StateResting, until)
}

// restingRoutes are the prefixes to which the gateway is not called for now.
func (t *trunk) restingRoutes(now time.Time) []string {
	routes := []string{}
	for prefix, until := range t.routes {
		if now.Before(until) {
			routes = append(routes, prefix)
		}
	}
	slices.Sort(routes)
	return routes
}

// health is what the API shows.
func (t *trunk) health(now time.Time) routing.Health {
	t.mu.Lock()
	defer t.mu.Unlock()
	h := routing.Health{
		State: t.current(now), Since: t.since, LiveCalls: t.live, Failures: t.failures,
		OptionsMicros: t.took.Microseconds(), RegisterStatus: t.registerStatus,
	}
	if h.State == routing.StateForbidden {
		why := t.forbidden
		h.Detail = &why
	}
	h.RestingPrefixes = t.restingRoutes(now)
	h.Until, h.OptionsAt, h.RegisteredUntil = timeOrNil(t.until), timeOrNil(t.answered), timeOrNil(t.registered)
	return h
}

func timeOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// Forbidden reports why nothing is sent to a gateway's address.
func (srv *Server) Forbidden(gateway id.ID) bool {
	srv.trunks.mu.Lock()
	t := srv.trunks.byID[gateway]
	srv.trunks.mu.Unlock()
	if t == nil {
		return false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.forbidden != ""
}

// Health tells what this process has seen of a gateway; ok is false when it knows
// nothing of it yet.
func (srv *Server) Health(gateway id.ID) (h routing.Health, ok bool) {
	srv.trunks.mu.Lock()
	t := srv.trunks.byID[gateway]
	srv.trunks.mu.Unlock()
	if t == nil {
		return h, false
	}
	return t.health(srv.config.Clock()), true
}
