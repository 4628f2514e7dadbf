package sipgw

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"time"

	"github.com/tollgate/tollgate/internal/sip/transport"
	"github.com/tollgate/tollgate/internal/store"
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

// maxProven bounds one generation of the successes that count, some 8 MB: telephones that
// register are many.
const maxProven = 1 << 17

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
	pairs   transport.Buckets[pair]
	sources transport.Buckets[netip.Addr]
	users   transport.Buckets[uint64] // that exist

	mu         sync.Mutex // guards all below
	young, old map[pair]time.Time
	repeats    map[pair]uint64 // the last wrong digest, which may be repeated
}

func newGuesses() *guesses {
	return &guesses{
		seed: maphash.MakeSeed(), young: make(map[pair]time.Time), repeats: make(map[pair]uint64),
		pairs: transport.Buckets[pair]{Most: maxGuessers}, sources: transport.Buckets[netip.Addr]{Most: maxGuessers},
		users: transport.Buckets[uint64]{Most: maxGuessers},
	}
}

func (n *guesses) pairOf(source netip.Addr, user string) pair {
	return pair{transport.SourceKey(source), maphash.String(n.seed, user)}
}

// room reports whether a digest of a pair may be looked at, and whether its user's may.
func (n *guesses) room(p pair, now time.Time) (pair, user bool) {
	pair = n.pairs.Has(p, now, pairGuessesPerMinute/60.0, pairGuesses) &&
		n.sources.Has(p.source, now, sourceGuessesPerMinute/60.0, sourceGuesses)
	return pair, n.users.Has(p.user, now, userGuessesPerMinute/60.0, userGuesses)
}

// wrong counts a wrong digest, and reports whether it is another one than that before: a
// datagram that is repeated is no further guess. exists reports whether there is such a user.
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
	n.pairs.Take(p, now, pairGuessesPerMinute/60.0, pairGuesses, 0)
	n.sources.Take(p.source, now, sourceGuessesPerMinute/60.0, sourceGuesses, 0)
	if exists {
		n.users.Take(p.user, now, userGuessesPerMinute/60.0, userGuesses, 0)
	}
	return true
}

// right notes a success.
func (n *guesses) right(p pair, now time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.young) >= maxProven {
		n.young, n.old = make(map[pair]time.Time), n.young
	}
	n.young[p] = now.Add(provenFor)
}

// proven reports whether a user has succeeded from a source lately.
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

// wrong counts a wrong digest and reports whether the source has had too many within
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

// SetBans puts a list of bans in force in the place of the one before. It is safe
// for concurrent use.
func (srv *Server) SetBans(bans []store.Ban) {
	list := make([]transport.Ban, len(bans))
	for i := range bans {
		list[i] = transport.Ban{Prefix: bans[i].Prefix, Until: bans[i].ExpiresAt}
	}
	srv.filter.SetBans(list)
}

// strike notes a wrong digest of an unknown source. A source with too many is banned for
// a time, here at once and on other nodes when they are notified. A digest is only checked
// if its nonce was given to this very address, so no one can have another source banned
// by sending in its name. Known sources are not banned, since one telephone with an old
// password must not silence the office around it: they are held back (guess.go).
func (srv *Server) strike(source netip.Addr, now time.Time) {
	limits := &srv.config.Limits
	if limits.BanAfter < 0 || srv.filter.Knows(source) ||
		!srv.strikes.wrong(transport.SourceKey(source), now, limits.BanAfter, limits.BanWindow) {
		return
	}
	bits := source.BitLen()
	if source.Is6() {
		bits = 64
	}
	prefix, err := source.WithZone("").Prefix(bits)
	if err != nil {
		return
	}
	b := store.Ban{
		Prefix: prefix, Reason: "wrong digest credentials, again and again",
		Automatic: true, CreatedAt: now, ExpiresAt: now.Add(limits.BanFor),
	}
	srv.count.bans.Add(1)
	srv.filter.Ban(transport.Ban{Prefix: b.Prefix, Until: b.ExpiresAt}, store.MaxBans)
	srv.config.Banned(b)
}
