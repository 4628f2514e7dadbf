package sqlstore_test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/store/sqlstore"
	"github.com/tollgate/tollgate/internal/store/sqlstore/sqlite"
)

// olderForms are what turns an empty database, or one of this version, into one that an
// earlier version wrote.
var olderForms = map[string]struct {
	made       bool // by this version
	statements []string
}{
	"tables": {statements: []string{
		"CREATE TABLE goose_db_version (version_id BIGINT)", "INSERT INTO goose_db_version VALUES (0), (1), (40)",
		"CREATE TABLE profile_days (day BIGINT)",
	}},
	"encodings": {made: true, statements: []string{
		"UPDATE stored_form SET form = REPLACE(form, 'decisions ', 'decisions 1')",
	}},
}

// TestOtherForm opens, audits and copies databases that an earlier version wrote: with
// other tables, or other encodings. They are refused with what to do.
func TestOtherForm(t *testing.T) {
	open := func(c sqlstore.Config) error {
		c.Live = policy.NewLive()
		c.Clock = time.Now
		c.IDs = id.NewSource(1, time.Now)
		c.Owner = uuid.New()
		s, err := sqlstore.Open(t.Context(), c)
		if err != nil {
			return err
		}
		return s.Close()
	}
	refused := func(t *testing.T, what string, err error) {
		t.Helper()
		if err == nil || !strings.HasSuffix(err.Error(), "start with an empty database") {
			t.Errorf("%s: %v", what, err)
		}
	}
	for name, older := range olderForms {
		t.Run("SQLite/"+name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "tollgate.db")
			if older.made {
				check(t, open(sqlstore.Config{Path: path}))
			}
			raw := openRaw(t, path)
			for _, statement := range append(older.statements, "PRAGMA wal_checkpoint(TRUNCATE)") {
				_, err := raw.ExecContext(t.Context(), statement)
				check(t, err)
			}
			refused(t, "open", open(sqlstore.Config{Path: path}))
			_, err := sqlstore.AuditFile(t.Context(), path)
			refused(t, "audit", err)
			refused(t, "back up", sqlite.Backup(t.Context(), sqlstore.Tables(), path, filepath.Join(dir, "copy.db"), noon))
			refused(t, "restore", sqlite.Restore(t.Context(), sqlstore.Tables(), path, filepath.Join(dir, "restored.db")))
		})
		t.Run("PostgreSQL/"+name, func(t *testing.T) {
			url, database := newDatabase(t)
			if older.made {
				check(t, open(sqlstore.Config{DatabaseURL: url, NodeName: "node"}))
			}
			statements := append(older.statements, "GRANT ALL ON ALL TABLES IN SCHEMA public TO tollgate")
			check(t, postgresServer(t).Exec(database, strings.Join(statements, "; ")))
			refused(t, "open", open(sqlstore.Config{DatabaseURL: url, NodeName: "node"}))
			_, err := sqlstore.AuditServer(t.Context(), url)
			refused(t, "audit", err)
		})
	}
}
