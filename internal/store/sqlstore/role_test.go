package sqlstore_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/store"
	"github.com/tollgate/tollgate/internal/store/sqlstore"
)

// The statements of docs/POSTGRESQL.md for a role that only uses the tables.
var grants = []string{
	"GRANT USAGE ON SCHEMA public TO tollgate_app",
	"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO tollgate_app",
}

// appRole has the owner of a database make its tables, and returns the database's URL
// for a role that is neither a superuser nor the owner, and does not pass row-level
// security.
func appRole(t *testing.T) (url, database string) {
	t.Helper()
	ownerURL, database := newDatabase(t)
	owner := newTestNode(t, ownerURL, "owner", newTestClock(noon).Now)
	check(t, owner.Close())
	server := postgresServer(t)
	check(t, server.Exec(database, `DO $$ BEGIN CREATE ROLE tollgate_app LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOBYPASSRLS;
		EXCEPTION WHEN duplicate_object THEN NULL; END $$`))
	for _, grant := range grants {
		check(t, server.Exec(database, grant))
	}
	t.Cleanup(func() { check(t, server.Exec(database, "DROP OWNED BY tollgate_app")) })
	return server.URL(database, "tollgate_app"), database
}

// TestLeastPrivilege runs a node as a role that can do nothing but use the tables, and
// shows with the same role what row-level security leaves in sight.
func TestLeastPrivilege(t *testing.T) {
	url, _ := appRole(t)
	var log bytes.Buffer
	clock := newTestClock(noon)
	node := newTestNode(t, url, "app", clock.Now,
		func(c *sqlstore.Config) { c.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	account, phone := configure(t, node.Store)
	ctx := context.Background()
	other, err := node.Accounts().Create(ctx, 0, store.Account{Name: "other", Active: true})
	check(t, err)
	r := do(t, node, node.reserve(phone))
	if !r.Decision.Allow {
		t.Fatalf("refused: %v", r.Decision.Reason)
	}
	do(t, node, admission.Release{ID: r.Decision.ID})
	audited(t, node.Store)
	if strings.Contains(log.String(), "row-level") {
		t.Errorf("it warns: %s", log.String())
	}

	conn, err := pgx.Connect(ctx, url)
	check(t, err)
	defer conn.Close(ctx)
	guarded := guardedTables(t, conn)
	if len(guarded) < 15 {
		t.Fatalf("only %d tables are guarded: %v", len(guarded), guarded)
	}
	filled := 0
	for _, table := range guarded {
		if seen(t, conn, "*", table, "") > 0 {
			filled++
		}
		if n := seen(t, conn, "", table, ""); n != 0 {
			t.Errorf("%s: %d rows are in sight of a transaction that names no account", table, n)
		}
		for name, setting := range map[string]string{"of another account": other.ID.String(), "of none": "0",
			"of a pattern": "%", "of more than one": "*, *"} {
			where := ""
			if setting == other.ID.String() {
				where = fmt.Sprintf(" WHERE %s = %d", accountColumn(table), account)
			}
			if n := seen(t, conn, setting, table, where); n != 0 {
				t.Errorf("%s: %d rows are in sight of a transaction %s", table, n, name)
			}
		}
		if seen(t, conn, "*", table, "") > 0 && table != "webhook_attempts" &&
			seen(t, conn, account.String(), table, "") == 0 {
			t.Errorf("%s: the account does not see its own", table)
		}
	}
	if filled < 7 {
		t.Errorf("only %d tables have rows", filled)
	}
	refusedToRole(t, conn, account, other.ID)
}

func accountColumn(table string) string {
	switch table {
	case "accounts":
		return "id"
	case "webhook_attempts":
		return "0" // it has none of its own
	}
	return "account_id"
}

func guardedTables(t *testing.T, conn *pgx.Conn) []string {
	t.Helper()
	rows, err := conn.Query(context.Background(),
		"SELECT relname::text FROM pg_class WHERE relkind = 'r' AND relrowsecurity AND relforcerowsecurity")
	check(t, err)
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	check(t, err)
	slices.Sort(tables)
	return tables
}

// seen counts the rows that a transaction with a setting sees; "" sets nothing.
func seen(t *testing.T, conn *pgx.Conn, setting, table, where string) (n int) {
	t.Helper()
	ctx := context.Background()
	tx, err := conn.Begin(ctx)
	check(t, err)
	defer func() { check(t, tx.Rollback(ctx)) }()
	if setting != "" {
		_, err := tx.Exec(ctx, "SELECT set_config('tollgate.account', $1, true)", setting)
		check(t, err)
	}
	check(t, tx.QueryRow(ctx, "SELECT count(*) FROM "+table+where).Scan(&n))
	return n
}

// refusedToRole tries to write another account's rows, and to get rid of the rule.
func refusedToRole(t *testing.T, conn *pgx.Conn, account, other id.ID) {
	t.Helper()
	ctx := context.Background()
	for _, text := range []string{
		fmt.Sprintf("UPDATE profiles SET name = 'taken' WHERE account_id = %d", account),
		fmt.Sprintf("DELETE FROM accounts WHERE id = %d", account),
		fmt.Sprintf("UPDATE credential_connections SET doc = '{}' WHERE account_id = %d", account),
	} {
		tx, err := conn.Begin(ctx)
		check(t, err)
		_, err = tx.Exec(ctx, "SELECT set_config('tollgate.account', $1, true)", other.String())
		check(t, err)
		if done, err := tx.Exec(ctx, text); err == nil && done.RowsAffected() != 0 {
			t.Errorf("%s: %d rows", text, done.RowsAffected())
		}
		check(t, tx.Rollback(ctx))
	}
	for _, text := range []string{
		fmt.Sprintf("INSERT INTO webhook_queues (account_id, pending, refused) VALUES (%d, 0, 0)", account),
		"ALTER TABLE profiles DISABLE ROW LEVEL SECURITY", "ALTER TABLE profiles NO FORCE ROW LEVEL SECURITY",
		"DROP POLICY account ON profiles",
		"CREATE POLICY open ON profiles USING (true)", "ALTER ROLE tollgate_app BYPASSRLS", "SET ROLE postgres",
		"CREATE TABLE mine (one int)",
		"DROP TABLE audit_events", "TRUNCATE profiles", "SET row_security = off; SELECT count(*) FROM profiles",
	} {
		tx, err := conn.Begin(ctx)
		check(t, err)
		_, err = tx.Exec(ctx, "SELECT set_config('tollgate.account', $1, true)", other.String())
		check(t, err)
		if _, err := tx.Exec(ctx, text); err == nil {
			t.Errorf("the role may: %s", text)
		}
		check(t, tx.Rollback(ctx))
	}
}

// TestRowSecurityIsLookedFor: what would defeat the guard between accounts is logged
// at each start.
func TestRowSecurityIsLookedFor(t *testing.T) {
	url, database := appRole(t)
	server := postgresServer(t)
	opened := func(url string) string {
		var log bytes.Buffer
		node := newTestNode(t, url, "app", newTestClock(noon).Now,
			func(c *sqlstore.Config) { c.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
		check(t, node.Close())
		return log.String()
	}
	if log := opened(server.URL(database, "postgres")); !strings.Contains(log, "passes row-level security") {
		t.Errorf("a superuser is not reported: %s", log)
	}
	check(t, server.Exec(database,
		"ALTER TABLE gateways DISABLE ROW LEVEL SECURITY; ALTER TABLE accounts NO FORCE ROW LEVEL SECURITY"))
	if log := opened(url); !strings.Contains(log, "accounts, gateways") {
		t.Errorf("open tables are not reported: %s", log)
	}
}
