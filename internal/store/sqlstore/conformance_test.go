package sqlstore_test

import (
	"context"
	"path/filepath"
	"sync"
	"testing"

	"github.com/tollgate/tollgate/internal/store/sqlstore"
	"github.com/tollgate/tollgate/internal/store/storetest"
)

// subject is a store as the suite takes it.
type subject struct{ *sqlstore.Store }

func (s subject) Webhooks() storetest.Webhooks { return s.Store.Webhooks() }

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t testing.TB, o storetest.Options) storetest.Store {
		t.Helper()
		s, err := sqlstore.Open(context.Background(), sqlstore.Config{
			Path: filepath.Join(o.Dir, "tollgate.db"), Live: o.Live, Clock: o.Clock, IDs: o.IDs, Owner: o.Owner,
			GroupSize: o.GroupSize, QueueLength: o.QueueLength, Ticks: o.Ticks, AroundCommit: o.AroundCommit,
			HungUp: o.HungUp,
		})
		if err != nil {
			t.Fatal(err)
		}
		return subject{s}
	})
}

func TestConformancePostgreSQL(t *testing.T) {
	var mu sync.Mutex
	databases := make(map[string]string) // by the folder that a test would have had
	storetest.Run(t, func(t testing.TB, o storetest.Options) storetest.Store {
		t.Helper()
		mu.Lock()
		defer mu.Unlock()
		if databases[o.Dir] == "" {
			databases[o.Dir], _ = newDatabase(t)
		}
		s, err := sqlstore.Open(context.Background(), sqlstore.Config{
			DatabaseURL: databases[o.Dir], NodeName: "node", Live: o.Live, Clock: o.Clock, IDs: o.IDs, Owner: o.Owner,
			GroupSize: o.GroupSize, QueueLength: o.QueueLength, Ticks: o.Ticks, AroundCommit: o.AroundCommit,
			HungUp:         o.HungUp,
			MaxClockOffset: -1, // the tests have a clock of their own
		})
		if err != nil {
			t.Fatal(err)
		}
		return subject{s}
	})
}
