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

// expectOutput runs the command line, and wants a status and a text that is printed.
func expectOutput(t *testing.T, wantStatus int, want string, args ...string) {
	t.Helper()
	if status, text := output(t, args...); status != wantStatus || !strings.Contains(text, want) {
		t.Errorf("%q: got status %d and %q, want %d and %q", args, status, text, wantStatus, want)
	}
}

func TestAuditVerify(t *testing.T) {
	dir := t.TempDir()
	expectOutput(t, 2, "secrets.key", "audit", "verify", "--data-dir", dir)
	key := filepath.Join(dir, "secrets.key")
	if err := secret.Make(key); err != nil {
		t.Fatal(err)
	}
	vault, err := secret.Load(key)
	if err != nil {
		t.Fatal(err)
	}
	expectOutput(t, 2, "no database", "audit", "verify", "--data-dir", dir)
	path := filepath.Join(dir, app.DatabaseFile)
	ctx := context.Background()
	s, err := sqlstore.Open(ctx, sqlstore.Config{
		Path: path, Live: policy.NewLive(), Clock: time.Now, IDs: id.NewSource(1, time.Now), Owner: uuid.New(),
		Vault: vault,
	})
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
	_, err = db.ExecContext(ctx, "DROP TRIGGER audit_events_update; "+
		"UPDATE audit_events SET doc = replace(doc, 'group', 'troop') WHERE id = 2")
	if err != nil {
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
		expectOutput(t, 2, "is not a head", "audit", "verify", "--data-dir", dir, "--head="+bad)
	}
	// A database server goes before the folder, whose chain would say nothing of it.
	t.Setenv("TOLLGATE_DATABASE_URL", "postgres://u@127.0.0.1:1/d?connect_timeout=1")
	expectOutput(t, 2, "refused", "audit", "verify", "--data-dir", dir)
	expectOutput(t, 2, "must not have a password", "audit", "verify", "--database-url", "postgres://u:secret@127.0.0.1/d")
}

// TestAuditLedger audits beside a store that is open, before and after a row was
// spoiled, and what cannot be audited.
func TestAuditLedger(t *testing.T) {
	dir := t.TempDir()
	expectOutput(t, 2, "no database", "audit", "--data-dir", dir)
	path := filepath.Join(dir, app.DatabaseFile)
	ctx := context.Background()
	s, err := sqlstore.Open(ctx, sqlstore.Config{
		Path: path, Live: policy.NewLive(), Clock: time.Now, IDs: id.NewSource(1, time.Now), Owner: uuid.New(),
	})
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
	_, err = db.ExecContext(ctx, "INSERT INTO spend_days "+
		"(account_id, scope_kind, scope_id, day, step, posted, held, overrun, told, told_limit) "+
		"VALUES (1, 1, unhex('00000000000000000000000000000002'), 20000, 0, 5, 0, 0, 0, 0)")
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	status, text := output(t, "audit", "ledger", "--data-dir", dir)
	const broken = "I6 is broken first by day 2024-10-04 of profile 2 of account 1, which has 0.000000005 posted"
	if status != 1 || !strings.Contains(text, broken) {
		t.Errorf("a spoiled row: %d, %s", status, text)
	}
	for _, secret := range []string{
		"postgres://u:hunter22@127.0.0.1:1/d", "host=127.0.0.1 password = hunter22",
		"postgres://127.0.0.1/d?password=hunter22",
	} {
		status, text := output(t, "audit", "--database-url", secret)
		if status != 2 || !strings.Contains(text, "must not have a password") || strings.Contains(text, "hunter22") {
			t.Errorf("%d, %s", status, text)
		}
	}
	expectOutput(t, 2, "refused", "audit", "--database-url", "postgres://u@127.0.0.1:1/d?connect_timeout=1")
}

// No option leads to a password where everyone on the machine sees it.
func TestPasswordInArguments(t *testing.T) {
	for _, command := range []string{"serve", "check-config"} {
		for _, database := range []string{"postgres://u:secret@127.0.0.1/d", "host=127.0.0.1 password=secret"} {
			status, text := output(t, command, "--database-url", database)
			if status == 0 || !strings.Contains(text, "must not have a password") || strings.Contains(text, "secret") {
				t.Errorf("%s --database-url %s: %d, %s", command, database, status, text)
			}
		}
	}
}
