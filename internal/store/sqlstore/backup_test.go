package sqlstore_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/collection"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/money"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/profile"
	"github.com/tollgate/tollgate/internal/store/sqlstore"
	"github.com/tollgate/tollgate/internal/store/sqlstore/postgres"
	"github.com/tollgate/tollgate/internal/store/sqlstore/sqlite"
)

// TestBackupUnderLoad copies a store while calls run, restores the copy, and looks
// whether the copy is a whole ledger that re-opens on the safe side.
func TestBackupUnderLoad(t *testing.T) {
	dir := t.TempDir()
	path, copied := filepath.Join(dir, "tollgate.db"), filepath.Join(dir, "copy.db")
	s, _ := openStore(t, path, 0)
	_, connectionID := configure(t, s)
	l := startLoad(t, connectionID, s)
	l.await(t, 200)
	check(t, sqlite.Backup(t.Context(), sqlstore.Tables(), path, copied, time.Now()))
	l.await(t, 200) // the server goes on
	l.stop.Store(true)
	l.group.Wait()
	if info, err := os.Stat(copied); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("copy: %v, %v", info.Mode(), err)
	}
	if audit, err := sqlstore.AuditFile(t.Context(), copied); err != nil || !audit.Holds() || audit.Records == 0 {
		t.Errorf("audit of the copy: %+v, %v", audit, err)
	}
	if err := sqlite.Backup(t.Context(), sqlstore.Tables(), path, copied, time.Now()); err == nil ||
		!strings.Contains(err.Error(), "is there already") {
		t.Errorf("over a file that is there: %v", err)
	}

	// What is in use, or there, is not restored over.
	err := sqlite.Restore(t.Context(), sqlstore.Tables(), copied, path)
	if err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("over an open store: %v", err)
	}
	check(t, s.Close())
	if err := sqlite.Restore(t.Context(), sqlstore.Tables(), copied, path); err == nil ||
		!strings.Contains(err.Error(), "not overwritten") {
		t.Errorf("over a database: %v", err)
	}
	damaged := filepath.Join(dir, "damaged.db")
	text, err := os.ReadFile(copied)
	check(t, err)
	for i := len(text) / 2; i < len(text)/2+3*4096; i++ {
		text[i] ^= 0xff
	}
	check(t, os.WriteFile(damaged, text, 0o600))
	if err := sqlite.Restore(t.Context(), sqlstore.Tables(), damaged, filepath.Join(dir, "new", "x.db")); err == nil {
		t.Error("restored into a folder that is not there")
	}
	check(t, os.Mkdir(filepath.Join(dir, "new"), 0o700))
	if err := sqlite.Restore(t.Context(), sqlstore.Tables(), damaged, filepath.Join(dir, "new", "x.db")); err == nil ||
		!strings.Contains(err.Error(), "not a whole") {
		t.Errorf("a damaged copy: %v", err)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "new", "*.db*")); err != nil || len(left) > 1 { // the lock
		t.Errorf("a refused restore left %v, %v", left, err)
	}
	restored := filepath.Join(dir, "new", "tollgate.db")
	check(t, sqlite.Restore(t.Context(), sqlstore.Tables(), copied, restored))
	again, _ := openStore(t, restored, 0)
	if audit, err := again.Audit(t.Context()); err != nil || !audit.Holds() || audit.Leases != 0 {
		t.Errorf("audit of what was restored: %+v, %v", audit, err)
	}
}

// TestRestoredCopyReopensConservatively opens a copy of a ledger: what has a limit
// counts as spent until midnight or until it is released, what has none is let
// through, and the mark is used up.
func TestRestoredCopyReopensConservatively(t *testing.T) {
	for _, midnight := range []bool{false, true} {
		t.Run(fmt.Sprint("midnight ", midnight), func(t *testing.T) { testRestored(t, midnight) })
	}
}

func testRestored(t *testing.T, midnight bool) {
	t.Run("SQLite", func(t *testing.T) {
		dir := t.TempDir()
		path := filepath.Join(dir, "first.db")
		testReopenCopy(t, midnight, func(t *testing.T, clock *testClock) *sqlstore.Store {
			return openAt(t, sqlstore.Config{Path: path}, clock)
		},
			func() {
				check(t, sqlite.Backup(t.Context(), sqlstore.Tables(), path, filepath.Join(dir, "copy.db"), time.Now()))
				path = filepath.Join(dir, "second.db")
				check(t, sqlite.Restore(t.Context(), sqlstore.Tables(), filepath.Join(dir, "copy.db"), path))
			})
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		url, _ := newDatabase(t)
		testReopenCopy(t, midnight, func(t *testing.T, clock *testClock) *sqlstore.Store {
			return openAt(t, sqlstore.Config{DatabaseURL: url, NodeName: "node", MaxClockOffset: -1}, clock)
		}, func() { check(t, postgres.MarkRestored(t.Context(), url, noon.Add(time.Hour))) })
	})
}

func openAt(t *testing.T, c sqlstore.Config, clock *testClock) *sqlstore.Store {
	t.Helper()
	c.Live = policy.NewLive()
	c.Clock = clock.Now
	c.IDs = id.NewSource(1, clock.Now)
	c.Owner = uuid.New()
	c.Ticks =
		make(chan time.Time)
	s, err := sqlstore.Open(context.Background(), c)
	check(t, err)
	t.Cleanup(func() { check(t, s.Close()) })
	return s
}

func testReopenCopy(t *testing.T, midnight bool, open func(*testing.T, *testClock) *sqlstore.Store, restore func()) {
	clock := newTestClock(noon)
	s := open(t, clock)
	account, connectionID := configure(t, s)
	limit := func(p *profile.Profile) {
		p.DailySpendLimit, p.DailySpendLimitEnabled = new(money.Dollar), true
	}
	p := changeProfile(t, s, account, limit)
	reserve := func(s *sqlstore.Store) admission.Reason {
		return do(t, s, admission.Reserve{Owner: uuid.New(), Call: admission.Call{
			ID: uuid.Must(uuid.NewV7()), Connection: connectionID, From: "+12125550100", To: "+12125550199",
		}}).Decision.Reason
	}
	if why := reserve(s); why != admission.ReasonNone {
		t.Fatal(why)
	}
	check(t, s.Close())
	restore()

	s = open(t, clock)
	if why := reserve(s); why != admission.ReasonSpendHeldBack {
		t.Errorf("a call in what was restored: %v", why)
	}
	if audit, err := s.Audit(t.Context()); err != nil || !audit.Holds() {
		t.Errorf("audit: %+v, %v", audit, err)
	}
	emergency := do(t, s, admission.Reserve{Owner: uuid.New(),
		Call: admission.Call{ID: uuid.Must(uuid.NewV7()), Connection: connectionID, From: "+12125550100", To: "911"}})
	if !emergency.Decision.Allow {
		t.Errorf("an emergency call: %v", emergency.Decision.Reason)
	}
	changeProfile(t, s, account, func(p *profile.Profile) { p.DailySpendLimitEnabled = false })
	if why := reserve(s); why != admission.ReasonNone {
		t.Errorf("without a limit: %v", why)
	}
	changeProfile(t, s, account, limit)
	if why := reserve(s); why != admission.ReasonSpendHeldBack {
		t.Errorf("with a limit again: %v", why)
	}
	check(t, s.Close())
	s = open(t, clock) // an ordinary restart: the hold is still there, and is no new one
	if why := reserve(s); why != admission.ReasonSpendHeldBack {
		t.Errorf("after another restart: %v", why)
	}
	use, err := s.Spend(t.Context(), account, admission.ProfileScope(p.ID))
	check(t, err)
	if use.Hold == nil || use.Hold.Cause != admission.HoldRestored || use.Hold.SinceMicros != noon.UnixMicro() {
		t.Errorf("hold %+v", use.Hold)
	}
	if midnight {
		clock.advance(12 * time.Hour)
	} else {
		check(t, s.Release(t.Context(), account, admission.ProfileScope(p.ID)))
	}
	if why := reserve(s); why != admission.ReasonNone {
		t.Errorf("on the next day, or released: %v", why)
	}
	check(t, s.Close())
	s = open(t, clock)
	if why := reserve(s); why != admission.ReasonNone {
		t.Errorf("the mark was not used up: %v", why)
	}
	page, err := s.ListAudit(t.Context(), account, collection.Query{Number: 1, Size: 50})
	check(t, err)
	released := false
	for _, e := range page.Items {
		released = released || e.RecordType == "spend_hold" && e.ChangeType == "delete"
	}
	if released == midnight {
		t.Errorf("a release is in the audit: %v", released)
	}
}

// A node that runs keeps a database from being marked.
func TestMarkRestoredBesideANode(t *testing.T) {
	url, _ := newDatabase(t)
	s := openNode(t, url, "busy node")
	if err := postgres.MarkRestored(t.Context(), url, time.Now()); err == nil ||
		!strings.Contains(err.Error(), `"busy node" runs`) {
		t.Errorf("beside a node: %v", err)
	}
	check(t, s.Close())
}
