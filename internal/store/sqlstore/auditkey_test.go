package sqlstore_test

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"
	_ "github.com/jackc/pgx/v5/stdlib"

	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/secret"
	"github.com/tollgate/tollgate/internal/store"
	"github.com/tollgate/tollgate/internal/store/sqlstore"
	"github.com/tollgate/tollgate/internal/store/sqlstore/trail"
)

// forger can write the database and lacks the key.
type forger struct {
	t  *testing.T
	db *sql.DB
}

func (f *forger) do(text string, args ...any) {
	f.t.Helper()
	_, err := f.db.ExecContext(f.t.Context(), text, args...)
	check(f.t, err)
}

// rehash recomputes a chain of plain hashes, which is all that a forger can do.
func (f *forger) rehash() {
	f.t.Helper()
	var docs []string
	rows, err := f.db.QueryContext(f.t.Context(), "SELECT doc FROM audit_events ORDER BY id")
	check(f.t, err)
	for rows.Next() {
		var doc string
		check(f.t, rows.Scan(&doc))
		docs = append(docs, doc)
	}
	check(f.t, rows.Err())
	check(f.t, rows.Close())
	var last [32]byte
	for i, doc := range docs {
		last = sha256.Sum256(append(last[:], doc...))
		f.do("UPDATE audit_events SET hash = $1 WHERE id = $2", last[:], i+1)
	}
	f.do("UPDATE audit_head SET last = $1, hash = $2", len(docs), last[:])
}

// What a forger may do, on both databases.
func TestForgedAudit(t *testing.T) {
	const cutBack = `DELETE FROM audit_events WHERE id > 4; UPDATE audit_head SET last = 4, hash = (SELECT hash FROM audit_events WHERE id = 4)`
	cases := []struct {
		name  string
		forge func(f *forger)
		first int64 // the event that is named; 0 when only a kept head shows it
		kept  int64 // the same with a kept head
	}{
		{name: "rewritten and computed anew", forge: func(f *forger) {
			f.do("UPDATE audit_events SET doc = replace(doc, 'deploy', 'mallory') WHERE id = 3")
			f.rehash()
		}, first: 1, kept: 1},
		{name: "as if of a server without a key", forge: func(f *forger) {
			f.do("UPDATE audit_events SET doc = replace(doc, 'deploy', 'mallory'), key = '' WHERE id = 3")
			f.do("UPDATE audit_events SET key = ''")
			f.rehash()
		}, first: 1, kept: 1},
		{name: "removed and computed anew", forge: func(f *forger) {
			f.do("DELETE FROM audit_events WHERE id = 6")
			f.rehash()
		}, first: 1, kept: 1},
		{name: "two swapped", forge: func(f *forger) {
			f.do("UPDATE audit_events SET id = 100 WHERE id = 2; UPDATE audit_events SET id = 2 WHERE id = 3; UPDATE " +
				"audit_events SET id = 3 WHERE id = 100")
		}, first: 2, kept: 2},
		{name: "one added", forge: func(f *forger) {
			f.do("INSERT INTO audit_events SELECT id + 1, account_id, created_at, doc, hash, key FROM audit_events WHERE id = " +
				"6; UPDATE audit_head SET last = 7")
		}, first: 7, kept: 7},
		{name: "cut off, with the head", forge: func(f *forger) { f.do(cutBack) }, first: 0, kept: 5},
		{name: "emptied", forge: func(f *forger) {
			f.do("DELETE FROM audit_events")
			f.do("UPDATE audit_head SET last = 0, hash = $1", make([]byte, 32))
		}, first: 0, kept: 1},
	}
	for _, database := range []string{"SQLite", "PostgreSQL"} {
		for _, c := range cases {
			t.Run(database+"/"+c.name, func(t *testing.T) {
				config := sqlstore.Config{Live: policy.NewLive(), Clock: time.Now, IDs: id.NewSource(1, time.Now),
					Owner: uuid.New(), Vault: vaultOf(t, 'a'), MaxClockOffset: -1}
				kind, source := "sqlite", filepath.Join(t.TempDir(), "tollgate.db")
				disarm := "DROP TRIGGER audit_events_update; DROP TRIGGER audit_events_delete"
				config.Path = source
				if database == "PostgreSQL" {
					kind, disarm = "pgx", "ALTER TABLE audit_events DISABLE TRIGGER USER"
					source, _ = newDatabase(t)
					config.DatabaseURL, config.NodeName = source, "node"
				}
				s, err := sqlstore.Open(t.Context(), config)
				check(t, err)
				defer func() { check(t, s.Close()) }()
				changeSome(t, s)
				head, err := s.VerifyAuditChain(t.Context())
				check(t, err)
				db, err := sql.Open(kind, source)
				check(t, err)
				defer db.Close()
				db.SetMaxOpenConns(1)
				f := &forger{t, db}
				if database == "PostgreSQL" {
					f.do("SET tollgate.account = '*'")
				}
				f.do(disarm)
				c.forge(f)
				check(t, db.Close())
				wantBroken(t, s, c.first)
				wantBroken(t, s, c.kept, head)
				if has, err := s.HasAuditHead(t.Context(), head); err != nil ||
					has && c.kept <= head.Sequence && c.name != "two swapped" {
					t.Errorf("the kept head is found: %v, %v", has, err)
				}
			})
		}
	}
}

func wantBroken(t *testing.T, s *sqlstore.Store, first int64, known ...trail.Head) {
	t.Helper()
	_, err := s.VerifyAuditChain(context.Background(), known...)
	broken := (*trail.Error)(nil)
	switch {
	case first == 0:
		check(t, err)
	case !errors.As(err, &broken) || broken.Sequence != first:
		t.Errorf("with %d heads: %v, want event %d", len(known), err, first)
	}
}

// After a rotation both keys are needed to check the chain, and either node may append.
func TestAuditOfTwoKeys(t *testing.T) {
	twoDatabases(t, func(t *testing.T, open func(v *secret.Vault) (*sqlstore.Store, error), _ func() string) {
		s, err := open(vaultOf(t, 'a'))
		check(t, err)
		changeSome(t, s)
		check(t, s.Close())
		s, err = open(vaultOf(t, 'b', 'a'))
		check(t, err)
		defer func() { check(t, s.Close()) }()
		account, _, err := s.EnsureFirst(t.Context())
		check(t, err)
		_, err = s.BillingGroups().Create(t.Context(), account.ID, store.BillingGroup{Name: "group"})
		check(t, err)
		head, err := s.VerifyAuditChain(t.Context())
		check(t, err)
		if opened, err := trail.OpenHead(vaultOf(t, 'b'), head.Sign(vaultOf(t, 'b', 'a'))); err != nil ||
			opened != head {
			t.Errorf("a kept head: %v, %v", opened, err)
		}
		if _, err := trail.OpenHead(vaultOf(t, 'b'), "7:"+head.Sign(vaultOf(t, 'b', 'a'))[2:]+"0"); err == nil {
			t.Error("a changed head is taken")
		}
	})
}
