package transport

import (
	"net/netip"
	"slices"
	"sync/atomic"
	"time"
)

// banList holds the banned sources. Looking an address up takes no
// lock, and one look into a map for each length of prefix that is in use.
type banList struct {
	current atomic.Pointer[banSet]
}

type banSet struct {
	until   map[netip.Prefix]int64 // Unix microseconds, 0 for ever
	lengths [2][]int               // of the prefixes, of IPv4 and of IPv6
}

// Ban is one entry of the list.
type Ban struct {
	Prefix netip.Prefix
	Until  time.Time // zero for ever
}

func newBanSet(bans []Ban) *banSet {
	s := &banSet{until: make(map[netip.Prefix]int64, len(bans))}
	for _, b := range bans {
		until := int64(0)
		if !b.Until.IsZero() {
			until = b.Until.UnixMicro()
		}
		s.add(b.Prefix, until)
	}
	return s
}

func (s *banSet) add(prefix netip.Prefix, until int64) {
	s.until[prefix] = until
	family := familyOf(prefix.Addr())
	if !slices.Contains(s.lengths[family], prefix.Bits()) {
		s.lengths[family] = append(s.lengths[family], prefix.Bits())
	}
}

func familyOf(a netip.Addr) int {
	if a.Is4() {
		return 0
	}
	return 1
}

// has reports whether a source is banned.
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

// SetBans puts a list of bans in force in the place of the one before. It is safe for
// concurrent use.
func (f *Filter) SetBans(bans []Ban) { f.bans.current.Store(newBanSet(bans)) }

// Banned reports whether a source is banned.
func (f *Filter) Banned(source netip.Addr) bool { return f.bans.has(source, f.now()) }

// Ban adds a ban to the list, unless it has as many as it may.
func (f *Filter) Ban(b Ban, most int) {
	for {
		before := f.bans.current.Load()
		next := newBanSet([]Ban{b})
		if before != nil {
			if len(before.until) >= most {
				return // the flood is held off by the rate limits
			}
			for prefix, until := range before.until {
				if prefix != b.Prefix {
					next.add(prefix, until)
				}
			}
		}
		if f.bans.current.CompareAndSwap(before, next) {
			return
		}
	}
}
