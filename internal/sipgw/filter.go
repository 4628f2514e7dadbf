package sipgw

import (
	"bytes"
	"net/netip"
	"sync"
	"time"

	"github.com/tollgate/tollgate/internal/policy"
)

// filter stands in front of the parser. A source that no IP connection names, to
// which the gateway itself does not send, and that has not authenticated is
// unknown: it gets nothing at all where no digest credentials exist, and otherwise
// as much as it takes to answer a challenge.
type filter struct {
	live   *policy.Live
	now    func() time.Time
	limits Limits
	bans   banList

	strangers buckets

	mu      sync.Mutex               // guards learned
	learned map[netip.Addr]time.Time // until when
}

// learnedFor is how long a source that authenticated, or to which the gateway
// sent, is known after that. It outlasts every dialog whose session timer runs.
const learnedFor = 12 * time.Hour

func newFilter(live *policy.Live, now func() time.Time, limits Limits) *filter {
	return &filter{
		live: live, now: now, limits: limits,
		learned: make(map[netip.Addr]time.Time), strangers: buckets{most: limits.UnknownSources},
	}
}

// learn makes a source known for some hours.
func (f *filter) learn(source netip.Addr) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.learned) >= f.limits.LearnedSources {
		now := f.now()
		for a, until := range f.learned {
			// Those whose time is over go first, and then any.
			if until.Before(now) || len(f.learned) >= f.limits.LearnedSources {
				delete(f.learned, a)
			}
		}
	}
	f.learned[source] = f.now().Add(learnedFor)
}

// knows says whether a source may send anything.
func (f *filter) knows(source netip.Addr) bool {
	if f.live.Snapshot().Known(source) {
		return true
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	until, ok := f.learned[source]
	return ok && f.now().Before(until)
}

// admitsConnection says whether a TCP connection is worth accepting.
func (f *filter) admitsConnection(source netip.Addr) bool {
	if f.bans.has(source, f.now()) {
		return false
	}
	return f.knows(source) || f.live.Snapshot().HasUsers()
}

// unknownMethods are what a source may send before it has authenticated: what a
// challenge needs.
var unknownMethods = [][]byte{[]byte("INVITE "), []byte("ACK "), []byte("BYE "), []byte("CANCEL ")}

// admits says whether a message goes on to the parser.
func (f *filter) admits(source netip.Addr, data []byte) bool {
	if f.bans.has(source, f.now()) {
		return false
	}
	if f.knows(source) {
		return true
	}
	if !f.live.Snapshot().HasUsers() {
		return false
	}
	for _, method := range unknownMethods {
		if bytes.HasPrefix(data, method) {
			return f.strangers.take(source, f.now(), f.limits.UnknownPerSecond, f.limits.UnknownBurst, 0)
		}
	}
	return false
}
