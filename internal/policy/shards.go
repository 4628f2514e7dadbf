package policy

import (
	"hash/maphash"
	"math/bits"
	"net/netip"

	"github.com/tollgate/tollgate/internal/id"
)

// numShards is how many parts a map is split into, so that a change copies one
// part: with 100,000 connections that is about 100 entries, in 4 kB.
const numShards = 1024

// shards is an immutable map that is copied one part at a time. The zero value
// is empty. The hash is given by the caller because the keys' own structure is
// a better source of it than a generic hash.
//
// A part is a table with open addressing, so that a lookup touches two places in
// memory before the value. A decision makes half a dozen lookups, and with 100,000
// connections each place is likely to miss the cache.
type shards[K comparable, V any] struct {
	parts *[numShards]slots[K, V]
	zero  *V // the value of the zero key, nil for none
}

// slots are the entries of one part: none, or a power of two of which at least a
// quarter is free. A free one has the zero key.
type slots[K comparable, V any] []slot[K, V]

type slot[K comparable, V any] struct {
	key   K
	value V
}

// spread returns the part of a hash, and where in the part to begin the search.
func spread(hash uint64) (part, start uint64) {
	// Fibonacci hashing: the top bits of the product depend on all bits of the key.
	product := hash * 0x9E3779B97F4A7C15
	return product >> 54, product >> 32
}

func (s *shards[K, V]) get(hash uint64, key K) (value V) {
	var free K
	if key == free && s.zero != nil {
		return *s.zero
	}
	if s.parts == nil {
		return value
	}
	part, start := spread(hash)
	if found := s.parts[part].find(start, key); found != nil && found.key == key {
		return found.value
	}
	return value
}

// find returns the slot of a key, or the free slot where it belongs. It returns nil if
// there are no slots.
func (s slots[K, V]) find(start uint64, key K) *slot[K, V] {
	if len(s) == 0 {
		return nil
	}
	var free K
	for at := start; ; at++ {
		if found := &s[at&uint64(len(s)-1)]; found.key == key || found.key == free {
			return found
		}
	}
}

// put returns a map that also has key. The receiver is not modified.
func (s shards[K, V]) put(hash func(K) uint64, key K, value V) shards[K, V] {
	return s.with(hash, key, &value)
}

// remove returns a map without key. The receiver is not modified.
func (s shards[K, V]) remove(hash func(K) uint64, key K) shards[K, V] {
	return s.with(hash, key, nil)
}

// with returns a map in which key has this value, or no entry when it is nil.
func (s shards[K, V]) with(hash func(K) uint64, key K, value *V) shards[K, V] {
	var free K
	if key == free {
		s.zero = value
		return s
	}
	var parts [numShards]slots[K, V]
	if s.parts != nil {
		parts = *s.parts
	}
	part, _ := spread(hash(key))
	entries := make([]slot[K, V], 0, len(parts[part])+1)
	for _, entry := range parts[part] {
		if entry.key != free && entry.key != key {
			entries = append(entries, entry)
		}
	}
	if value != nil {
		entries = append(entries, slot[K, V]{key, *value})
	}
	parts[part] = slotsOf(hash, entries)
	return shards[K, V]{parts: &parts, zero: s.zero}
}

func slotsOf[K comparable, V any](hash func(K) uint64, entries []slot[K, V]) slots[K, V] {
	if len(entries) == 0 {
		return nil
	}
	table := make(slots[K, V], 1<<bits.Len(uint(len(entries)+len(entries)/3)))
	for _, entry := range entries {
		_, start := spread(hash(entry.key))
		*table.find(start, entry.key) = entry
	}
	return table
}

// seed prevents tenants from choosing names and addresses that collide.
var seed = maphash.MakeSeed()

func hashID(key id.ID) uint64 { return uint64(key) }

func hashString(key string) uint64 { return maphash.String(seed, key) }

func hashPrefix(key netip.Prefix) uint64 { return maphash.Comparable(seed, key) }

// all calls yield for every value, in no particular order.
func (s *shards[K, V]) all(yield func(V) bool) {
	var free K
	if s.zero != nil && !yield(*s.zero) || s.parts == nil {
		return
	}
	for _, part := range s.parts {
		for _, entry := range part {
			if entry.key != free && !yield(entry.value) {
				return
			}
		}
	}
}
