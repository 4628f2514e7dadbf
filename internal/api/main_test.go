package api

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/store/sqlstore"
	"github.com/tollgate/tollgate/test/postgres"
)

// onServer means that the tests have a PostgreSQL database each, and not a SQLite file.
var onServer bool

// TestMain runs every test on SQLite, and then every test again on PostgreSQL, but not with -short.
func TestMain(m *testing.M) {
	flag.Parse()
	code := m.Run()
	for _, name := range []string{"test.bench", "test.fuzz", "test.list"} {
		if f := flag.Lookup(name); f != nil && f.Value.String() != "" {
			os.Exit(code)
		}
	}
	if code == 0 && !testing.Short() {
		fmt.Println("the same tests on PostgreSQL:")
		onServer = true
		code = m.Run()
	}
	if databases.s != nil {
		if err := databases.s.Remove(); err != nil {
			fmt.Fprintln(os.Stderr, "stop PostgreSQL:", err)
			code = 1
		}
	}
	os.Exit(code)
}

// databases is the PostgreSQL server of the tests, with a database whose tables are made.
var databases struct {
	once  sync.Once
	s     *postgres.Server
	ready string
	err   error
}

// newDatabase is the URL of a database that is ready, and goes with the test.
func newDatabase(t testing.TB) string {
	t.Helper()
	databases.once.Do(func() { databases.ready, databases.err = startServer() })
	if databases.err != nil {
		t.Fatal(databases.err)
	}
	url, _ := databases.s.NewCopy(t, databases.ready)
	return url
}

func startServer() (ready string, err error) {
	if databases.s, err = postgres.Start(); err != nil {
		return "", err
	}
	url, name, err := databases.s.CreateDatabase()
	if err != nil {
		return "", err
	}
	s, err := sqlstore.Open(context.Background(), sqlstore.Config{
		DatabaseURL: url, NodeName: "first", Live: policy.NewLive(), Clock: time.Now, IDs: id.NewSource(1, time.Now),
		Owner: uuid.New(), Logger: slog.New(slog.DiscardHandler), Ticks: make(chan time.Time),
	})
	if err != nil {
		return "", err
	}
	return name, s.Close()
}
