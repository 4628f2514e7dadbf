package policy

import (
	"maps"
	"net/netip"
)

// numShards is how many parts a map is split into, so that a change copies one
// part: with 100,000 connections that is about 100 entries and 8 kB of pointers.
const numShards = 1024

// shards is an immutable map that is copied one part at a time. The zero value
// is empty. The hash is given by the caller because the keys' own structure is
// a better source of it than a generic hash.
type shards[K comparable, V any] struct {
	parts *[numShards]map[K]V
}

func spread(hash uint64) uint64 {
	// Fibonacci hashing: the top bits of the product depend on all bits of the key.
	return (hash * 0x9E3779B97F4A7C15) >> 54
}

func (s *shards[K, V]) get(hash uint64, key K) (value V) {
	if s.parts == nil {
		return value
	}
	return s.parts[spread(hash)][key]
}

// put returns a map that also has key. The receiver is left as it is.
func (s shards[K, V]) put(hash uint64, key K, value V) shards[K, V] {
	next, part := s.copyPart(hash)
	part[key] = value
	return next
}

// remove returns a map without key. The receiver is left as it is.
func (s shards[K, V]) remove(hash uint64, key K) shards[K, V] {
	next, part := s.copyPart(hash)
	delete(part, key)
	return next
}

func (s shards[K, V]) copyPart(hash uint64) (shards[K, V], map[K]V) {
	var parts [numShards]map[K]V
	if s.parts != nil {
		parts = *s.parts
	}
	i := spread(hash)
	part := maps.Clone(parts[i])
	if part == nil {
		part = make(map[K]V)
	}
	parts[i] = part
	return shards[K, V]{parts: &parts}, part
}

func hashString(s string) uint64 {
	const offset, prime = 14695981039346656037, 1099511628211 // FNV-1a
	h := uint64(offset)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * prime
	}
	return h
}

func hashAddr(a netip.Addr) uint64 {
	bytes := a.As16()
	var h uint64
	for _, b := range bytes {
		h = h*31 + uint64(b)
	}
	return h
}

// all calls yield for every value, in no order.
func (s *shards[K, V]) all(yield func(V) bool) {
	if s.parts == nil {
		return
	}
	for _, part := range s.parts {
		for _, value := range part {
			if !yield(value) {
				return
			}
		}
	}
}
