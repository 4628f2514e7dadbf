package sqlstore_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// TestMigrationKilled kills a process while it makes the tables. The next one finds
// none of them, and goes on: fault F22.
func TestMigrationKilled(t *testing.T) {
	url, name := newDatabase(t)
	server := postgresServer(t)
	ctx := t.Context()
	gate, err := pgx.Connect(ctx, server.URL(name, "postgres"))
	check(t, err)
	defer gate.Close(context.WithoutCancel(ctx))
	exec := func(text string, args ...any) {
		t.Helper()
		_, err := gate.Exec(ctx, text, args...)
		check(t, err)
	}
	// A process that has come to make a certain table waits there.
	exec("CREATE TABLE stop_at (name TEXT); GRANT SELECT ON stop_at TO PUBLIC")
	exec(`CREATE FUNCTION stop() RETURNS event_trigger LANGUAGE plpgsql AS $$
		BEGIN
			IF EXISTS (SELECT 1 FROM pg_event_trigger_ddl_commands() AS c, stop_at AS s WHERE c.object_identity = 'public.' || s.name) THEN
				PERFORM pg_advisory_lock(7);
			END IF;
		END $$`)
	exec("CREATE EVENT TRIGGER stop ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION stop()")
	for _, table := range []string{"stored_form", "call_slices", "webhook_queues"} {
		exec("SELECT pg_advisory_lock(7)")
		exec("DELETE FROM stop_at")
		exec("INSERT INTO stop_at VALUES ($1)", table)
		child := opening(url)
		check(t, child.Start())
		waiting := false
		for began := time.Now(); !waiting; {
			check(t, gate.QueryRow(ctx, `SELECT EXISTS (SELECT 1 FROM pg_stat_activity
				WHERE datname = $1 AND usename = 'tollgate' AND wait_event = 'advisory' AND query LIKE '%CREATE TABLE%')`, name).Scan(&waiting))
			if time.Since(began) > time.Minute {
				t.Fatalf("no process makes %s", table)
			}
		}
		check(t, child.Process.Kill())
		_ = child.Wait() // it means that it was killed
		exec("SELECT pg_advisory_unlock(7)")
		var left bool
		for began := time.Now(); ; {
			check(t, gate.QueryRow(ctx,
				"SELECT EXISTS (SELECT 1 FROM pg_stat_activity WHERE datname = $1 AND usename = 'tollgate')", name).Scan(&left))
			if !left {
				break
			}
			if time.Since(began) > time.Minute {
				t.Fatal("the server does not notice that the process was killed")
			}
		}
		var there bool
		check(t, gate.QueryRow(ctx, "SELECT to_regclass($1) IS NOT NULL", table).Scan(&there))
		if there {
			t.Errorf("%s is there without the other tables", table)
		}
	}
	exec("DROP EVENT TRIGGER stop")
	s := openNode(t, url, "node")
	_, connectionID := configure(t, s)
	l := startLoad(t, connectionID, s)
	l.await(t, 100)
	l.stop.Store(true)
	l.group.Wait()
	audited(t, s)
}

// opening is a child process that opens the store: see TestMain.
func opening(url string) *exec.Cmd {
	child := exec.Command(os.Args[0], "-test.run=^$")
	child.Env = append(os.Environ(), childPath+"="+url, childConnection+"=1")
	return child
}

// TestTablesGrowUnderLoad adds columns and tables, as the migrations of a later
// version do, while two nodes of this one run.
func TestTablesGrowUnderLoad(t *testing.T) {
	url, name := newDatabase(t)
	a, b := openNode(t, url, "a"), openNode(t, url, "b")
	account, connectionID := configure(t, a)
	l := startLoad(t, connectionID, a, b)
	for _, table := range []string{"leases", "spend_days", "call_records", "call_slices", "ledger_scopes", "nodes",
		"spend_holds", "callee_counts", "profiles", "accounts", "config_changes"} {
		l.await(t, 50)
		check(t, postgresServer(t).Exec(name,
			fmt.Sprintf("ALTER TABLE %s ADD COLUMN of_a_later_version BIGINT NOT NULL DEFAULT 0", table)))
	}
	check(t, postgresServer(t).Exec(name, "CREATE TABLE of_a_later_version (id BIGINT)"))
	l.await(t, 200)
	l.verify(t, b, account)
}
