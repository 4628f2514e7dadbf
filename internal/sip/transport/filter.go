package transport

import (
	"bytes"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/tollgate/tollgate/internal/id"
)

// Filter stands in front of the parser. A source that no IP connection names, to
// which the server itself does not send, and that has not authenticated is
// unknown: it gets nothing at all where no digest credentials exist, and otherwise
// as much as it takes to answer a challenge.
type Filter struct {
	policy func() Sources
	now    func() time.Time
	limits Limits
	bans   banList
	// Ours reports whether a message belongs to what this server began; nil
	// is never. It is set before anything arrives.
	Ours func(data []byte) bool

	strangers Buckets[netip.Addr] // by sourceKey
	siblings  Buckets[netip.Addr] // the same, of what is ours
	cancels   Buckets[struct{}]   // of all unknown sources together

	mu      sync.Mutex                  // guards both below
	learned map[netip.Addr]acquaintance // to which the server itself sends
	proven  map[netip.Addr]acquaintance // at which digest users are, or that are expected
}

// acquaintance is a known source that no connection names.
type acquaintance struct {
	until time.Time
	// connections are the latest whose digests came from there.
	connections [4]id.ID
}

// learnedFor is how long a source that authenticated, or to which the server
// sent, is known after that. It outlasts every dialog whose session timer runs.
const learnedFor = 12 * time.Hour

// Sources are the sources in the operator's configuration.
type Sources interface {
	Known(source netip.Addr) bool   // it names the source as a caller's
	Carrier(source netip.Addr) bool // it names the source as a carrier's
	HasUsers() bool                 // someone may prove who they are from anywhere
	HasStreams() bool               // a carrier is reached over TCP or TLS
}

// NewFilter makes a filter that knows the sources of a policy alone.
func NewFilter(policy func() Sources, now func() time.Time, limits Limits) *Filter {
	return &Filter{
		policy: policy, now: now, limits: limits,
		learned: make(map[netip.Addr]acquaintance), proven: make(map[netip.Addr]acquaintance),
		strangers: Buckets[netip.Addr]{Most: limits.UnknownSources},
		siblings:  Buckets[netip.Addr]{Most: limits.UnknownSources}, cancels: Buckets[struct{}]{Most: 1},
	}
}

// Learn makes a source that an operator has the server send to known for some hours.
func (f *Filter) Learn(source netip.Addr) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.keep(f.learned, source, acquaintance{})
}

// Expect makes a source that a peer has named known for some hours, such as one in a
// carrier's Contact: what it sends within a call must pass.
func (f *Filter) Expect(source netip.Addr) { f.Authenticated(source, 0) }

// Authenticated makes a source at which a digest user is known for some hours.
func (f *Filter) Authenticated(source netip.Addr, connection id.ID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	one := f.proven[source]
	if connection != 0 && !slices.Contains(one.connections[:], connection) {
		copy(one.connections[1:], one.connections[:])
		one.connections[0] = connection
	}
	f.keep(f.proven, source, one)
}

// mostLooked bounds the search for an acquaintance that can be forgotten.
const mostLooked = 64

// keep keeps an acquaintance, if need be in the place of one whose time is over, or of
// any. f.mu is held.
func (f *Filter) keep(in map[netip.Addr]acquaintance, source netip.Addr, one acquaintance) {
	now := f.now()
	if _, known := in[source]; !known && len(in) >= f.limits.LearnedSources {
		looked := 0
		for a, other := range in {
			if looked++; other.until.Before(now) || looked == mostLooked || looked == len(in) {
				delete(in, a)
				break
			}
		}
	}
	one.until = now.Add(learnedFor)
	in[source] = one
}

// Knows reports whether a source may send anything.
func (f *Filter) Knows(source netip.Addr) bool {
	if policy := f.policy(); policy.Known(source) || policy.Carrier(source) {
		return true
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.now()
	return now.Before(f.learned[source].until) || now.Before(f.proven[source].until)
}

// Vouched reports whether a source is one that the server itself sends to, or a carrier's:
// an operator has named it.
func (f *Filter) Vouched(source netip.Addr) bool {
	if f.policy().Carrier(source) {
		return true
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.now().Before(f.learned[source].until)
}

// ConnectionsAt are the latest connections whose digests came from a source.
func (f *Filter) ConnectionsAt(source netip.Addr) (list [4]id.ID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if one := f.proven[source]; f.now().Before(one.until) {
		list = one.connections
	}
	return list
}

// admitsConnection reports whether a TCP connection is worth accepting, and whether it is
// a stranger's.
func (f *Filter) admitsConnection(source netip.Addr) (stranger, ok bool) {
	if f.bans.has(source, f.now()) {
		return false, false
	}
	if f.Knows(source) {
		return false, true
	}
	// A carrier's other machines prove by their first message that it belongs to a call.
	policy := f.policy()
	return true, policy.HasUsers() || policy.HasStreams()
}

// tolerated is how many messages that the filter drops a stranger may send on one
// connection. Where no stranger can prove who it is, there is nothing to wait for.
func (f *Filter) tolerated() int {
	if f.policy().HasUsers() {
		return strangerFiltered
	}
	return 0
}

// The most that an unknown source may send of what is ours: a carrier hangs up, and
// answers, from more machines than it names.
const siblingPerSecond, siblingBurst = 200, 500

// The CANCELs that all unknown sources together may send where none can prove who it is: a
// caller's other machine may cancel, and its CANCEL has nothing in it that we have made.
const cancelsPerSecond, cancelBurst = 50, 100

var cancelMethod = []byte("CANCEL ")

// unknownMethods are what a source may send before it has authenticated: what a
// challenge needs, and what phones and PBXs send before they make a call. Many make none
// while REGISTER or OPTIONS has no answer.
var unknownMethods = [][]byte{[]byte("INVITE "), []byte("ACK "), []byte("BYE "), cancelMethod,
	[]byte("REGISTER "), []byte("OPTIONS "), stunBinding}

// Admits reports whether a message is passed to the parser, and whether it is a stranger's.
func (f *Filter) Admits(source netip.Addr, data []byte) (stranger, ok bool) {
	if f.bans.has(source, f.now()) {
		return false, false
	}
	if f.Knows(source) {
		return false, true
	}
	if f.Ours != nil && f.Ours(data) {
		return true, f.siblings.Take(SourceKey(source), f.now(), siblingPerSecond, siblingBurst, 0)
	}
	if !f.policy().HasUsers() {
		return true, bytes.HasPrefix(data, cancelMethod) &&
			f.cancels.Take(struct{}{}, f.now(), cancelsPerSecond, cancelBurst, 0)
	}
	for _, method := range unknownMethods {
		if bytes.HasPrefix(data, method) {
			limits := &f.limits
			return true, f.strangers.Take(SourceKey(source), f.now(), limits.UnknownPerSecond, limits.UnknownBurst, 0)
		}
	}
	return true, false
}
