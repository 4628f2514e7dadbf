package sipgw

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"time"
)

// How many wrong digests are checked: of one user from one source, from one source,
// and of one user from everywhere. The first number may come at once, the second comes
// back each minute. What is above is not checked, unless this user has succeeded from
// this source lately: so guesses from elsewhere do not lock a user out where it usually
// is.
const (
	pairGuesses, pairGuessesPerMinute     = 5, 1
	sourceGuesses, sourceGuessesPerMinute = 20, 2
	userGuesses, userGuessesPerMinute     = 50, 10
)

// provenFor is how long a success counts.
const provenFor = 7 * 24 * time.Hour

// maxGuessers bounds one generation of what is kept of guesses.
const maxGuessers = 16_384

// pair is a user at a source. The user is hashed, so that long names cost nothing.
type pair struct {
	source netip.Addr // by sourceKey
	user   uint64
}

// guesses holds back sources that guess passwords. All of it is bounded.
type guesses struct {
	seed    maphash.Seed
	pairs   buckets[pair]
	sources buckets[netip.Addr]
	users   buckets[uint64] // that exist

	mu         sync.Mutex // guards all below
	young, old map[pair]time.Time
	repeats    map[pair]uint64 // the last wrong digest, which may be repeated
}

func newGuesses() *guesses {
	return &guesses{
		seed: maphash.MakeSeed(), young: make(map[pair]time.Time), repeats: make(map[pair]uint64),
		pairs: buckets[pair]{most: maxGuessers}, sources: buckets[netip.Addr]{most: maxGuessers},
		users: buckets[uint64]{most: maxGuessers},
	}
}

func (n *guesses) pairOf(source netip.Addr, user string) pair {
	return pair{sourceKey(source), maphash.String(n.seed, user)}
}

// room says whether a digest of a pair may be looked at, and whether its user's may.
func (n *guesses) room(p pair, now time.Time) (pair, user bool) {
	pair = n.pairs.has(p, now, pairGuessesPerMinute/60.0, pairGuesses) &&
		n.sources.has(p.source, now, sourceGuessesPerMinute/60.0, sourceGuesses)
	return pair, n.users.has(p.user, now, userGuessesPerMinute/60.0, userGuesses)
}

// wrong counts a wrong digest, and says whether it is another one than that before: a
// datagram that is repeated is no further guess. exists says whether there is such a user.
func (n *guesses) wrong(p pair, response string, exists bool, now time.Time) bool {
	given := maphash.String(n.seed, response)
	n.mu.Lock()
	same := n.repeats[p] == given
	if len(n.repeats) >= maxGuessers {
		clear(n.repeats)
	}
	n.repeats[p] = given
	n.mu.Unlock()
	if same {
		return false
	}
	n.pairs.take(p, now, pairGuessesPerMinute/60.0, pairGuesses, 0)
	n.sources.take(p.source, now, sourceGuessesPerMinute/60.0, sourceGuesses, 0)
	if exists {
		n.users.take(p.user, now, userGuessesPerMinute/60.0, userGuesses, 0)
	}
	return true
}

// right notes a success.
func (n *guesses) right(p pair, now time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.young) >= maxGuessers {
		n.young, n.old = make(map[pair]time.Time), n.young
	}
	n.young[p] = now.Add(provenFor)
}

// proven says whether a user has succeeded from a source lately.
func (n *guesses) proven(p pair, now time.Time) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	until, ok := n.young[p]
	if !ok {
		until = n.old[p]
	}
	return now.Before(until)
}

// strikes counts the wrong digests of each source, in two generations like the
// buckets, so that its memory is bounded.
type strikes struct {
	mu         sync.Mutex // guards all below
	young, old map[netip.Addr]int
	since      time.Time
}

// wrong counts a wrong digest and says whether the source has had too many within
// the window, or a little more than it.
func (n *strikes) wrong(source netip.Addr, now time.Time, most int, window time.Duration) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.young == nil || len(n.young) >= maxGuessers || now.Sub(n.since) >= window {
		n.old, n.young, n.since = n.young, make(map[netip.Addr]int), now
	}
	n.young[source]++
	if n.young[source]+n.old[source] < most {
		return false
	}
	delete(n.young, source)
	delete(n.old, source)
	return true
}
