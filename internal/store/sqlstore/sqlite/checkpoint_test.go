package sqlite_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/store/sqlstore"
	"github.com/tollgate/tollgate/internal/store/sqlstore/sqlite"
)

// TestCheckpoints writes without a pause, and looks whether the log is copied and begun
// anew: it must stay near the length at which a commit copies the rest.
func TestCheckpoints(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tollgate.db")
	owner := uuid.New()
	s := open(t, path, owner)
	account, _, err := s.EnsureFirst(t.Context())
	check(t, err)
	const calls, pageBytes = 30_000, 4096 + 24
	for range calls {
		// There is no connection: the call is refused, which is a record of several pages.
		reserve := admission.Reserve{Owner: owner, Call: admission.Call{
			ID: uuid.Must(uuid.NewV7()), Account: account.ID, From: "+12125550100", To: "+12125550199",
			Identity: policy.IdentityNone,
		}}
		_, err := s.Do(t.Context(), reserve)
		check(t, err)
	}
	log, err := os.Stat(path + "-wal")
	check(t, err)
	if pages := log.Size() / pageBytes; pages > sqlite.CheckpointPages+sqlite.CheckpointPages/4 {
		t.Errorf("the log has %d pages, and was to be begun anew at some %d", pages, sqlite.CheckpointPages)
	}
	file, err := os.Stat(path)
	check(t, err)
	if file.Size() < 4<<20 {
		t.Errorf("the database file has %d bytes: nothing was copied", file.Size())
	}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// open opens a store on a file.
func open(t testing.TB, path string, owner uuid.UUID) *sqlstore.Store {
	t.Helper()
	s, err := sqlstore.Open(context.Background(), sqlstore.Config{
		Path: path, Live: policy.NewLive(), Clock: time.Now, IDs: id.NewSource(1, time.Now), Owner: owner,
	})
	check(t, err)
	t.Cleanup(func() { check(t, s.Close()) })
	return s
}
