package sipgw

import (
	"bytes"
	"net/netip"
	"sync"
	"time"
)

// buckets are the token buckets of source addresses, in two generations: when the
// young one is full the old one is dropped, so that a flood of forged addresses has
// a bounded cost.
type buckets struct {
	most int // of one generation

	mu         sync.Mutex // guards both below
	young, old map[netip.Addr]bucket
}

// bucket is a token bucket.
type bucket struct {
	tokens float64
	at     time.Time
}

// take takes a token of a source, which gets perSecond and may save burst, and says
// whether there was one. With a floor below 0 a token may be taken on credit.
func (b *buckets) take(source netip.Addr, now time.Time, perSecond, burst, floor float64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	one, ok := b.young[source]
	if !ok {
		if one, ok = b.old[source]; !ok {
			one = bucket{tokens: burst, at: now}
		}
		if len(b.young) >= b.most || b.young == nil {
			b.young, b.old = make(map[netip.Addr]bucket), b.young
		}
	}
	one.tokens = min(burst, one.tokens+now.Sub(one.at).Seconds()*perSecond)
	one.at = now
	allowed := one.tokens-1 >= floor
	if allowed {
		one.tokens--
	}
	b.young[source] = one
	return allowed
}

func (b *buckets) size() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.young) + len(b.old)
}

// inRate says whether a request of a source is within Limits.SourcePerSecond. What
// belongs to a call that there is has as much again to itself, so that running calls
// go on and end while new ones of their source are turned away. Answers are not
// counted, and what may be an emergency call is never turned away.
func (g *Gateway) inRate(data []byte, from peer) bool {
	per := g.config.Limits.SourcePerSecond
	if per <= 0 || bytes.HasPrefix(data, []byte("SIP/2.0 ")) {
		return true
	}
	begins := isNewCall(data)
	if begins && isShort(data) {
		return true
	}
	floor := 0.0
	if !begins && (bytes.HasPrefix(data, []byte("CANCEL ")) || bytes.Contains(headerOf(data, "to", 't'), []byte("tag="))) {
		floor = -per
	}
	return g.paces.take(from.addr.Addr(), g.config.Clock(), per, per, floor)
}

// sourceCalls counts the calls that each source has, where that has a limit.
type sourceCalls struct {
	most int // 0 for no limit

	mu    sync.Mutex // guards calls
	calls map[netip.Addr]int
}

// enter counts a call of a source, unless it has as many as it may; an emergency
// call always enters.
func (c *sourceCalls) enter(source netip.Addr, emergency bool) bool {
	if c.most <= 0 {
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.calls[source] >= c.most && !emergency {
		return false
	}
	c.calls[source]++
	return true
}

// leave takes one call off.
func (c *sourceCalls) leave(source netip.Addr) {
	if c.most <= 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.calls[source]--; c.calls[source] <= 0 {
		delete(c.calls, source)
	}
}

// limited logs that a source is turned away, one line a minute: a flood must not fill
// the log.
func (g *Gateway) limited(source netip.Addr, by string) {
	now, last := g.config.Clock().UnixNano(), g.limitedAt.Load()
	if now-last < int64(time.Minute) || !g.limitedAt.CompareAndSwap(last, now) {
		return
	}
	g.log.Warn("a source is turned away, since it is above a limit; further ones are only counted for a minute", "source", source.String(), "limit", by)
}
