package sqlstore_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// server is a PostgreSQL server of this test binary: started when the first test
// wants it, on a socket in a temporary folder, and stopped at the end.
type server struct {
	dir      string
	programs string // where initdb and postgres are
	process  *exec.Cmd
	logged   sync.WaitGroup

	databases atomic.Int64
}

var startServer = sync.OnceValues(newServer)

// stopServer is for TestMain. It does nothing when no test has started a server.
var stopServer = func() {}

// serverStartLimit is how long initdb and each start may take.
const serverStartLimit = time.Minute

// postgresServer returns the server of this test binary.
func postgresServer(tb testing.TB) *server {
	tb.Helper()
	s, err := startServer()
	if err != nil {
		tb.Fatalf("PostgreSQL 15 is needed for this test (Debian package postgresql; make deps installs it): %v", err)
	}
	return s
}

func newServer() (*server, error) {
	programs, err := findPrograms()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "tollgate-pg")
	if err != nil {
		return nil, err
	}
	s := &server{dir: dir, programs: programs}
	stopServer = func() {
		err := s.stop(syscall.SIGINT)
		if err := errors.Join(err, os.RemoveAll(dir)); err != nil {
			fmt.Fprintln(os.Stderr, "stop PostgreSQL:", err)
		}
	}
	if os.Getuid() == 0 {
		// PostgreSQL refuses to run as root.
		account, err := user.Lookup("postgres")
		if err != nil {
			return nil, err
		}
		uid, _ := strconv.Atoi(account.Uid)
		gid, _ := strconv.Atoi(account.Gid)
		if err := os.Chown(dir, uid, gid); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), serverStartLimit)
	defer cancel()
	out, err := s.command(ctx, "initdb", "-D", s.data(), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8").CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("initdb: %w: %s", err, out)
	}
	if err := s.start(); err != nil {
		return nil, err
	}
	return s, s.asSuperuser("postgres", "CREATE ROLE tollgate LOGIN")
}

func findPrograms() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if err == nil && len(found) > 0 {
		return filepath.Dir(found[len(found)-1]), nil
	}
	path, err := exec.LookPath("initdb")
	return filepath.Dir(path), err
}

func (s *server) data() string { return filepath.Join(s.dir, "data") }

// command runs a program of PostgreSQL as a user that is not root, and ends it when
// this process dies.
func (s *server) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	full := []string{"--pdeathsig", "QUIT"}
	if os.Getuid() == 0 {
		full = append(full, "--reuid=postgres", "--regid=postgres", "--clear-groups")
	}
	full = append(full, filepath.Join(s.programs, name))
	c := exec.CommandContext(ctx, "setpriv", append(full, args...)...)
	c.Dir = s.dir
	return c
}

// start returns when the server takes connections.
func (s *server) start() error {
	s.process = s.command(context.Background(), "postgres", "-D", s.data(), "-k", s.dir,
		"-c", "listen_addresses=", "-c", "max_connections=200", "-c", "log_min_messages=warning", "-c", "log_line_prefix=")
	logs, err := s.process.StderrPipe()
	if err != nil {
		return err
	}
	if err := s.process.Start(); err != nil {
		return err
	}
	ready := make(chan error, 1)
	s.logged.Go(func() {
		lines := bufio.NewScanner(logs)
		var last string
		for lines.Scan() {
			last = lines.Text()
			if strings.Contains(last, "ready to accept connections") {
				ready <- nil
				break
			}
		}
		ready <- fmt.Errorf("PostgreSQL has ended: %s", last)
		_, _ = io.Copy(io.Discard, logs)
	})
	timer := time.NewTimer(serverStartLimit)
	defer timer.Stop()
	select {
	case err := <-ready:
		return err
	case <-timer.C:
		return errors.New("PostgreSQL does not take connections")
	}
}

// stop ends the server: SIGINT ends its connections, SIGQUIT kills it.
func (s *server) stop(signal syscall.Signal) error {
	if s.process == nil || s.process.Process == nil {
		return nil
	}
	if err := s.process.Process.Signal(signal); err != nil {
		return err
	}
	s.logged.Wait()
	err := s.process.Wait()
	if ended := new(exec.ExitError); errors.As(err, &ended) {
		err = nil // it says how it was ended
	}
	s.process = nil
	return err
}

// url is where a database of the server is, for a user.
func (s *server) url(database, user string) string {
	return fmt.Sprintf("host=%s dbname=%s user=%s", s.dir, database, user)
}

func (s *server) asSuperuser(database, text string, args ...any) error {
	ctx, cancel := context.WithTimeout(context.Background(), serverStartLimit)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.url(database, "postgres"))
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, text, args...)
	return errors.Join(err, conn.Close(ctx))
}

// newDatabase makes an empty database that goes with the test, and returns its URL
// and its name. Its owner is no superuser, so that row-level security holds.
func newDatabase(tb testing.TB) (url, name string) {
	tb.Helper()
	s := postgresServer(tb)
	name = fmt.Sprintf("test%d", s.databases.Add(1))
	check(tb, s.asSuperuser("postgres", "CREATE DATABASE "+name+" OWNER tollgate"))
	tb.Cleanup(func() { check(tb, s.asSuperuser("postgres", "DROP DATABASE "+name+" WITH (FORCE)")) })
	return s.url(name, "tollgate"), name
}
