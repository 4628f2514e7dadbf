package phone

import (
	"maps"
	"net/netip"
	"slices"
	"time"
)

// resend is a message that is repeated until something stops it: a request until
// its answer, a final answer to an INVITE until its ACK.
type resend struct {
	raw      []byte
	to       netip.AddrPort
	interval time.Duration // until the next repetition; doubles
	most     time.Duration // where the doubling stops; 0 means never
	next     time.Time
	deadline time.Time
}

// resends are the messages being repeated, by the name of what stops them.
type resends map[string]*resend

// put begins to repeat a message that has been sent. INVITE doubles its interval
// without bound (Timer A), the rest up to T2 (Timers E and G; RFC 3261 sections
// 17.1.1.2, 17.1.2.2 and 17.2.1).
func (r resends) put(name string, raw []byte, to netip.AddrPort, bounded bool, t1 time.Duration, now time.Time) {
	e := &resend{raw: raw, to: to, interval: t1, next: now.Add(t1), deadline: now.Add(timeoutPerT1 * t1)}
	if bounded {
		e.most = t2PerT1 * t1
	}
	r[name] = e
}

// stop ends the repetition, and says whether there was one.
func (r resends) stop(name string) bool {
	_, ok := r[name]
	delete(r, name)
	return ok
}

// next is when due has something to return; zero for never.
func (r resends) next() (at time.Time) {
	for _, e := range r {
		at = earlier(at, earlier(e.next, e.deadline))
	}
	return at
}

// due returns what is to be sent again now, and the names of those whose time is
// up, which are gone.
func (r resends) due(now time.Time) (again []*resend, expired []string) {
	for _, name := range slices.Sorted(maps.Keys(r)) {
		e := r[name]
		switch {
		case !now.Before(e.deadline):
			delete(r, name)
			expired = append(expired, name)
		case !now.Before(e.next):
			e.interval *= 2
			if e.most > 0 {
				e.interval = min(e.interval, e.most)
			}
			e.next = now.Add(e.interval)
			again = append(again, e)
		}
	}
	return again, expired
}

// earlier is the earlier of two moments, where zero means never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || (!b.IsZero() && b.Before(a)) {
		return b
	}
	return a
}
