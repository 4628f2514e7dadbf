package database

import (
	"sync"

	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/store/sqlstore/table"
)

// versions count the writes of configuration, of each account and of all of them
// together.
type versions struct {
	mu   sync.Mutex // guards of
	of   map[id.ID]uint64
	over uint64 // writes that belong to no one account
}

// change counts a write that may be durable. It is called before the write is
// answered: until then a reader may see either state.
func (v *versions) change(account id.ID) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if account == table.EveryAccount {
		v.over++
		return
	}
	if v.of == nil {
		v.of = make(map[id.ID]uint64)
	}
	v.of[account]++
}

// ConfigVersion implements store.Writes. What other nodes write is not known. Both
// counts only rise, so their sum is the same only while both are.
func (d *DB) ConfigVersion(account id.ID) (version uint64, known bool) {
	if d.Kind == Server {
		return 0, false
	}
	d.versions.mu.Lock()
	defer d.versions.mu.Unlock()
	return d.versions.of[account] + d.versions.over + 1, true
}
