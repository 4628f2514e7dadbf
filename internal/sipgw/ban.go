package sipgw

import (
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/tollgate/tollgate/internal/store"
)

// banList is the sources that nothing is taken from. Looking an address up takes no
// lock, and one look into a map for each length of prefix that is in use.
type banList struct {
	current atomic.Pointer[banSet]
}

type banSet struct {
	until   map[netip.Prefix]int64 // Unix microseconds, 0 for ever
	lengths [2][]int               // of the prefixes, of IPv4 and of IPv6
}

func newBanSet(bans []store.Ban) *banSet {
	s := &banSet{until: make(map[netip.Prefix]int64, len(bans))}
	for i := range bans {
		s.add(&bans[i])
	}
	return s
}

func (s *banSet) add(b *store.Ban) {
	until := int64(0)
	if !b.ExpiresAt.IsZero() {
		until = b.ExpiresAt.UnixMicro()
	}
	s.until[b.Prefix] = until
	family := familyOf(b.Prefix.Addr())
	if !slices.Contains(s.lengths[family], b.Prefix.Bits()) {
		s.lengths[family] = append(s.lengths[family], b.Prefix.Bits())
	}
}

func familyOf(a netip.Addr) int {
	if a.Is4() {
		return 0
	}
	return 1
}

// has says whether a source is banned.
func (l *banList) has(source netip.Addr, now time.Time) bool {
	s := l.current.Load()
	if s == nil || len(s.until) == 0 {
		return false
	}
	for _, bits := range s.lengths[familyOf(source)] {
		prefix, err := source.Prefix(bits)
		if err != nil {
			continue
		}
		if until, banned := s.until[prefix]; banned && (until == 0 || now.UnixMicro() < until) {
			return true
		}
	}
	return false
}

// SetBans puts a list of bans in force in the place of the one before. It is safe
// for concurrent use.
func (srv *Server) SetBans(bans []store.Ban) { srv.filter.bans.current.Store(newBanSet(bans)) }

// strike notes a wrong digest of an unknown source. A source with too many is banned for
// a time, here at once and on other nodes when they hear of it. A digest is only checked
// if its nonce was given to this very address, so no one can have another source banned
// by sending in its name. Known sources are not banned, since one telephone with an old
// password must not silence the office around it: they are held back (guess.go).
func (srv *Server) strike(source netip.Addr, now time.Time) {
	limits := &srv.config.Limits
	if limits.BanAfter < 0 || srv.filter.knows(source) ||
		!srv.strikes.wrong(sourceKey(source), now, limits.BanAfter, limits.BanWindow) {
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
	srv.filter.ban(&b)
	srv.config.Banned(b)
}

// ban adds a ban to the list.
func (f *filter) ban(b *store.Ban) {
	for {
		before := f.bans.current.Load()
		next := newBanSet(nil)
		if before != nil {
			for prefix, until := range before.until {
				next.add(&store.Ban{Prefix: prefix, ExpiresAt: expiry(until)})
			}
		}
		if len(next.until) >= store.MaxBans {
			return // the flood is held off by the rate limits
		}
		next.add(b)
		if f.bans.current.CompareAndSwap(before, next) {
			return
		}
	}
}

func expiry(micros int64) time.Time {
	if micros == 0 {
		return time.Time{}
	}
	return time.UnixMicro(micros)
}
