package transport

import (
	"net/netip"
	"sync"
	"time"
)

// Buckets are token buckets, as of source addresses, in two generations: when the
// young one is full the old one is dropped, so that a flood of forged addresses has
// a bounded cost.
type Buckets[K comparable] struct {
	Most int // of one generation

	mu         sync.Mutex // guards both below
	young, old map[K]Bucket
}

// Bucket is a token bucket.
type Bucket struct {
	Tokens float64
	at     time.Time
}

// Take takes a token of a key, which gets perSecond and may save burst, and says
// whether there was one. With a floor below 0 a token may be taken on credit.
func (b *Buckets[K]) Take(key K, now time.Time, perSecond, burst, floor float64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	one := b.get(key, now, perSecond, burst)
	if len(b.young) >= b.Most || b.young == nil {
		if _, there := b.young[key]; !there {
			b.young, b.old = make(map[K]Bucket), b.young
		}
	}
	allowed := one.Tokens-1 >= floor
	if allowed {
		one.Tokens--
	}
	b.young[key] = one
	return allowed
}

// get is the bucket of a key as of now; b.mu is held.
func (b *Buckets[K]) get(key K, now time.Time, perSecond, burst float64) Bucket {
	one, ok := b.young[key]
	if !ok {
		if one, ok = b.old[key]; !ok {
			return Bucket{Tokens: burst, at: now}
		}
	}
	one.Tokens = min(burst, one.Tokens+now.Sub(one.at).Seconds()*perSecond)
	one.at = now
	return one
}

// Has reports whether a key has a token, and takes none.
func (b *Buckets[K]) Has(key K, now time.Time, perSecond, burst float64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.get(key, now, perSecond, burst).Tokens >= 1
}

func (b *Buckets[K]) size() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.young) + len(b.old)
}

// SourceKey is what a source counts by: an IPv4 address, or the /64 of an IPv6 one,
// of which a single customer of a network has all.
func SourceKey(source netip.Addr) netip.Addr {
	if source.Is4() || source.Is4In6() {
		return source.Unmap()
	}
	prefix, err := source.WithZone("").Prefix(64)
	if err != nil {
		return source
	}
	return prefix.Addr()
}

// Fill adds what a second gives, up to a second's worth; a new bucket is full.
func (b *Bucket) Fill(now time.Time, perSecond float64) {
	if b.at.IsZero() {
		b.Tokens = perSecond
	}
	b.Tokens = min(perSecond, b.Tokens+max(0, now.Sub(b.at).Seconds())*perSecond)
	b.at = now
}
