package httpd

import (
	"net/http"
	"net/netip"
	"time"
)

// The requests of strangers: of one source and of all.
const (
	sourcePerSecond, sourceBurst = 200, 1000
	allPerSecond, allBurst       = 2000, 4000

	// Handshakes of TLS, which cost the server more than the client.
	sourceHandshakes, sourceHandshakesBurst = 50, 200
	allHandshakes, allHandshakesBurst       = 300, 600

	// maxSources bounds the tables. In a flood of more sources than that any one may be
	// forgotten, and the budget of all strangers holds.
	maxSources = 20_000
	// keyMemory is how long a source from which a key was used keeps its advantages: it
	// may have more connections on which no key was shown yet, and its requests without
	// one, such as probes, are not counted with those of all strangers.
	keyMemory = time.Hour
	keyNoted  = 60 // seconds between notes of a key on one connection
)

// bucket is filled at a rate and emptied by requests.
type bucket struct {
	level float64
	at    time.Time
}

// take takes one and returns 0, or how long to wait until there is one.
func (b *bucket) take(now time.Time, perSecond, burst float64) time.Duration {
	if b.at.IsZero() {
		b.level = burst
	} else if passed := now.Sub(b.at); passed > 0 {
		b.level = min(burst, b.level+passed.Seconds()*perSecond)
	}
	b.at = now
	if b.level < 1 {
		return time.Duration((1 - b.level) / perSecond * float64(time.Second))
	}
	b.level--
	return 0
}

// asker is a source of requests, with or without what may be a key.
type asker struct {
	source netip.Prefix
	shows  bool
}

// rates are what strangers have left.
type rates struct {
	all     map[bool]*bucket // true for requests with what may be a key
	sources map[asker]*bucket

	handshakes       bucket
	sourceHandshakes map[netip.Prefix]*bucket

	keys map[netip.Prefix]time.Time // when a key was last used from there
}

func (rs *rates) init() {
	rs.sourceHandshakes = make(map[netip.Prefix]*bucket)
	rs.all = map[bool]*bucket{false: {}, true: {}}
	rs.sources = make(map[asker]*bucket)
	rs.keys = make(map[netip.Prefix]time.Time)
}

func (rs *rates) hasKey(source netip.Prefix, now time.Time) bool {
	last, ok := rs.keys[source]
	return ok && now.Sub(last) < keyMemory
}

func (rs *rates) sawKey(source netip.Prefix, now time.Time) {
	makeRoom(rs.keys)
	rs.keys[source] = now
}

// makeRoom forgets any entry of a full table.
func makeRoom[K comparable, V any](table map[K]V) {
	for key := range table {
		if len(table) < maxSources {
			return
		}
		delete(table, key)
	}
}

// of is the bucket of a key of a table.
func of[K comparable](table map[K]*bucket, key K) *bucket {
	b := table[key]
	if b == nil {
		makeRoom(table)
		b = &bucket{}
		table[key] = b
	}
	return b
}

// handshake reports whether a stranger may have one more handshake. The caller holds mu.
func (s *Server) handshake(address netip.Addr) bool {
	source, now := sourceOf(address), s.Clock()
	if s.rates.hasKey(source, now) {
		return true
	}
	if of(s.rates.sourceHandshakes, source).take(now, sourceHandshakes, sourceHandshakesBurst) > 0 {
		s.full(fullSourceHandshakes, sourceHandshakes, address)
		return false
	}
	if s.rates.handshakes.take(now, allHandshakes, allHandshakesBurst) > 0 {
		s.full(fullHandshakes, allHandshakes, address)
		return false
	}
	return true
}

// Enter counts a request that is not known to show a valid key. It returns how long
// its sender is to wait, or 0 if it may be served. Requests that show what may be
// a key are counted apart from those that do not.
func (s *Server) Enter(r *http.Request, shows bool) time.Duration {
	address := addressOf(r)
	source, now := sourceOf(address), s.Clock()
	s.mu.Lock()
	defer s.mu.Unlock()
	own := of(s.rates.sources, asker{source, shows})
	if wait := own.take(now, sourcePerSecond, sourceBurst); wait > 0 {
		s.full(fullSourceRequests, sourcePerSecond, address)
		return wait
	}
	if s.rates.hasKey(source, now) {
		return 0
	}
	if wait := s.rates.all[shows].take(now, allPerSecond, allBurst); wait > 0 {
		s.full(fullRequests, allPerSecond, address)
		return wait
	}
	return 0
}
