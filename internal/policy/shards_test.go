package policy

import (
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tollgate/tollgate/internal/id"
)

// TestShards holds the copied map against the language's own: the same operations
// leave the same entries, and no map that was there before changes.
func TestShards(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	worst := func(id.ID) uint64 { return 7 } // all keys in one part, at one place
	for name, hash := range map[string]func(id.ID) uint64{"spread": hashID, "one place": worst} {
		t.Run(name, func(t *testing.T) {
			var s shards[id.ID, int]
			model := map[id.ID]int{}
			for step := range 2000 {
				key := id.ID(random.IntN(60)) // with the zero key, which marks free slots
				before, kept := s, maps.Clone(model)
				if random.IntN(3) == 0 {
					s = s.remove(hash, key)
					delete(model, key)
				} else {
					s = s.put(hash, key, step)
					model[key] = step
				}
				same(t, &s, hash, model)
				same(t, &before, hash, kept)
			}
		})
	}
}

func same(t *testing.T, s *shards[id.ID, int], hash func(id.ID) uint64, want map[id.ID]int) {
	t.Helper()
	for key := range id.ID(60) {
		if got := s.get(hash(key), key); got != want[key] {
			t.Fatalf("key %d has %d, want %d", key, got, want[key])
		}
	}
	all := slices.Sorted(s.all)
	if wanted := slices.Sorted(maps.Values(want)); !slices.Equal(all, wanted) {
		t.Fatalf("all are %d, want %d", all, wanted)
	}
}
