package main

import (
	"context"
	"database/sql"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/app"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/secret"
	"github.com/tollgate/tollgate/internal/store"
	"github.com/tollgate/tollgate/internal/store/sqlstore"
)

// output runs the command line and returns what it prints, to either stream.
func output(t *testing.T, args ...string) (status int, text string) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, stderr := os.Stdout, os.Stderr
	os.Stdout, os.Stderr = w, w
	status = run(args)
	os.Stdout, os.Stderr = stdout, stderr
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	all, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return status, string(all)
}

func TestAuditVerify(t *testing.T) {
	dir := t.TempDir()
	if status, text := output(t, "audit", "verify", "--data-dir", dir); status != 2 || !strings.Contains(text, "secrets.key") {
		t.Errorf("without a key: %d, %s", status, text)
	}
	key := filepath.Join(dir, "secrets.key")
	if err := secret.Make(key); err != nil {
		t.Fatal(err)
	}
	vault, err := secret.Load(key)
	if err != nil {
		t.Fatal(err)
	}
	if status, text := output(t, "audit", "verify", "--data-dir", dir); status != 2 || !strings.Contains(text, "no database") {
		t.Errorf("without a database: %d, %s", status, text)
	}
	path := filepath.Join(dir, app.DatabaseFile)
	ctx := context.Background()
	s, err := sqlstore.Open(ctx, sqlstore.Config{Path: path, Live: policy.NewLive(), Clock: time.Now, IDs: id.NewSource(1, time.Now), Owner: uuid.New(), Vault: vault})
	if err != nil {
		t.Fatal(err)
	}
	account, _, err := s.EnsureFirst(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.BillingGroups().Create(ctx, account.ID, store.BillingGroup{Name: "group"}); err != nil {
		t.Fatal(err)
	}
	// The store is open, as in a running server.
	status, text := output(t, "audit", "verify", "--data-dir", dir)
	head := regexp.MustCompile(`2:[0-9a-f]{64}`).FindString(text)
	if status != 0 || head == "" || !strings.Contains(text, "Not proven: that the last events were not cut off") {
		t.Fatalf("while it is open: %d, %s", status, text)
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(ctx, "DROP TRIGGER audit_events_update; UPDATE audit_events SET doc = replace(doc, 'group', 'troop') WHERE id = 2"); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		status, text = output(t, "audit", "verify", "--data-dir", dir, "--head", head)
		if status != 1 || !strings.Contains(text, "audit event 2 ") {
			t.Errorf("after a change: %d, %s", status, text)
		}
		if err := s.Close(); err != nil { // and again when nothing has it open
			t.Fatal(err)
		}
	}
	for _, bad := range []string{"2", "x:00", "2:zz", "-1:" + strings.Repeat("0", 64), "2:00"} {
		if status, text := output(t, "audit", "verify", "--data-dir", dir, "--head="+bad); status != 2 || !strings.Contains(text, "is not a head") {
			t.Errorf("head %q: %d, %s", bad, status, text)
		}
	}
	// A database server goes before the folder, whose chain would say nothing of it.
	t.Setenv("TOLLGATE_DATABASE_URL", "postgres://u@127.0.0.1:1/d?connect_timeout=1")
	if status, text := output(t, "audit", "verify", "--data-dir", dir); status != 2 || !strings.Contains(text, "refused") {
		t.Errorf("with a server that does not answer: %d, %s", status, text)
	}
	if status, text := output(t, "audit", "verify", "--database-url", "postgres://u:secret@127.0.0.1/d"); status != 2 || !strings.Contains(text, "must not have a password") {
		t.Errorf("with a password in the arguments: %d, %s", status, text)
	}
}

// TestAuditLedger audits beside a store that is open, before and after a row was
// spoiled, and what cannot be audited.
func TestAuditLedger(t *testing.T) {
	dir := t.TempDir()
	if status, text := output(t, "audit", "--data-dir", dir); status != 2 || !strings.Contains(text, "no database") {
		t.Errorf("without a database: %d, %s", status, text)
	}
	path := filepath.Join(dir, app.DatabaseFile)
	ctx := context.Background()
	s, err := sqlstore.Open(ctx, sqlstore.Config{Path: path, Live: policy.NewLive(), Clock: time.Now, IDs: id.NewSource(1, time.Now), Owner: uuid.New()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	if status, text := output(t, "audit", "--data-dir", dir); status != 0 || strings.Count(text, ": holds") != 4 {
		t.Errorf("an empty ledger: %d, %s", status, text)
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.ExecContext(ctx, "INSERT INTO profile_days (account_id, profile_id, day, posted, held, overrun) VALUES (1, 2, 20000, 5, 0, 0)")
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	status, text := output(t, "audit", "ledger", "--data-dir", dir)
	if status != 1 || !strings.Contains(text, "I6 is broken first by day 2024-10-04 of profile 2 of account 1, which has 0.000000005 posted") {
		t.Errorf("a spoiled row: %d, %s", status, text)
	}
	for _, secret := range []string{"postgres://u:hunter22@127.0.0.1:1/d", "host=127.0.0.1 password = hunter22", "postgres://127.0.0.1/d?password=hunter22"} {
		status, text := output(t, "audit", "--database-url", secret)
		if status != 2 || !strings.Contains(text, "must not have a password") || strings.Contains(text, "hunter22") {
			t.Errorf("%d, %s", status, text)
		}
	}
	if status, text := output(t, "audit", "--database-url", "postgres://u@127.0.0.1:1/d?connect_timeout=1"); status != 2 || !strings.Contains(text, "refused") {
		t.Errorf("a server that is not there: %d, %s", status, text)
	}
}

// Nobody is led to put a password where everybody on the machine sees it.
func TestPasswordInArguments(t *testing.T) {
	for _, command := range []string{"serve", "check-config"} {
		for _, database := range []string{"postgres://u:secret@127.0.0.1/d", "host=127.0.0.1 password=secret"} {
			if status, text := output(t, command, "--database-url", database); status == 0 || !strings.Contains(text, "must not have a password") || strings.Contains(text, "secret") {
				t.Errorf("%s --database-url %s: %d, %s", command, database, status, text)
			}
		}
	}
}
