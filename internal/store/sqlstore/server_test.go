package sqlstore_test

import (
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/tollgate/tollgate/test/postgres"
)

// startServer starts the PostgreSQL server of this test binary when the first test
// wants it.
var startServer = sync.OnceValues(func() (*postgres.Server, error) {
	s, err := postgres.Start()
	if err == nil {
		stopServer = func() {
			if err := s.Remove(); err != nil {
				fmt.Fprintln(os.Stderr, "stop PostgreSQL:", err)
			}
		}
	}
	return s, err
})

// stopServer is for TestMain. It does nothing when no test has started a server.
var stopServer = func() {}

func postgresServer(tb testing.TB) *postgres.Server {
	tb.Helper()
	if testing.Short() {
		tb.Skip("needs PostgreSQL")
	}
	s, err := startServer()
	check(tb, err)
	return s
}

// newDatabase makes an empty database that goes with the test, and returns its URL
// and its name.
func newDatabase(tb testing.TB) (url, name string) {
	tb.Helper()
	return postgresServer(tb).NewDatabase(tb)
}
