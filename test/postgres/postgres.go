// Package postgres runs a real PostgreSQL for tests and benchmarks: a server of its
// own on a socket in a temporary folder, which ends with the process that started it.
// The Debian package postgresql is needed; make deps installs it.
package postgres

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

// User owns the databases of a Server. It is no superuser, so that row-level
// security holds for it.
const User = "tollgate"

// limit is how long initdb, each start and each statement may take.
const limit = time.Minute

// Server is one PostgreSQL server.
type Server struct {
	// Env is added to the environment of its programs, from the next Restart on.
	Env []string

	dir      string
	programs string // where initdb and postgres are
	process  *exec.Cmd
	logged   sync.WaitGroup

	databases atomic.Int64
}

// Start makes a new server in a temporary folder, and returns when it takes
// connections. Remove ends it.
func Start() (*Server, error) {
	s, err := create()
	if err != nil {
		return nil, fmt.Errorf("PostgreSQL 15 is needed (Debian package postgresql; make deps installs it): %w", err)
	}
	return s, nil
}

func create() (_ *Server, err error) {
	programs, err := findPrograms()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "tollgate-pg")
	if err != nil {
		return nil, err
	}
	s := &Server{dir: dir, programs: programs}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Remove())
		}
	}()
	if err := s.own(dir); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	out, err := s.Command(ctx, "initdb", "-D", s.data(), "-U", "postgres", "-A", "trust", "-E", "UTF8",
		"--locale=C.UTF-8").CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("initdb: %w: %s", err, out)
	}
	if err := s.Restart(); err != nil {
		return nil, err
	}
	return s, s.Exec("postgres", "CREATE ROLE "+User+" LOGIN")
}

func findPrograms() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if err == nil && len(found) > 0 {
		return filepath.Dir(found[len(found)-1]), nil
	}
	path, err := exec.LookPath("initdb")
	return filepath.Dir(path), err
}

// own gives a folder to the user that PostgreSQL runs as, since it refuses to run as root.
func (s *Server) own(dir string) error {
	if os.Getuid() != 0 {
		return nil
	}
	account, err := user.Lookup("postgres")
	if err != nil {
		return err
	}
	uid, _ := strconv.Atoi(account.Uid)
	gid, _ := strconv.Atoi(account.Gid)
	return os.Chown(dir, uid, gid)
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

// Dir is the folder of the server's socket, and of its data in the subfolder data.
func (s *Server) Dir() string { return s.dir }

// PID is the process id of the running server.
func (s *Server) PID() int { return s.process.Process.Pid }

// Command is a program of PostgreSQL, run as a user that is not root. It ends when
// this process dies.
func (s *Server) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	full := []string{"--pdeathsig", "QUIT"}
	if os.Getuid() == 0 {
		full = append(full, "--reuid=postgres", "--regid=postgres", "--clear-groups")
	}
	full = append(append(append(full, "env"), s.Env...), filepath.Join(s.programs, name))
	c := exec.CommandContext(ctx, "setpriv", append(full, args...)...)
	c.Dir = s.dir
	return c
}

// Standby makes a synchronous standby of the server and starts it: from now on, no
// commit of the server is answered before the standby has it. Remove ends it.
func (s *Server) Standby() (_ *Server, err error) {
	dir, err := os.MkdirTemp("", "tollgate-pg")
	if err != nil {
		return nil, err
	}
	standby := &Server{dir: dir, programs: s.programs}
	defer func() {
		if err != nil {
			err = errors.Join(err, standby.Remove())
		}
	}()
	if err := s.own(dir); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	out, err := s.Command(ctx, "pg_basebackup", "-h", s.dir, "-U", "postgres", "-D", standby.data(), "-R", "-X", "stream",
		"-c", "fast",
		"-d", "application_name=standby").CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("pg_basebackup: %w: %s", err, out)
	}
	if err := standby.Restart(); err != nil {
		return nil, err
	}
	for _, statement := range []string{"ALTER SYSTEM SET synchronous_standby_names = '*'", "SELECT pg_reload_conf()"} {
		if err := s.Exec("postgres", statement); err != nil {
			return nil, err
		}
	}
	return standby, nil
}

// Restart starts the server after Stop, with further settings as in
// "synchronous_commit=off". It returns when connections are taken.
func (s *Server) Restart(settings ...string) error {
	args := []string{"-D", s.data(), "-k", s.dir}
	for _, setting := range append([]string{"listen_addresses=", "max_connections=200", "log_min_messages=warning",
		"log_line_prefix="}, settings...) {
		args = append(args, "-c", setting)
	}
	s.process = s.Command(context.Background(), "postgres", args...)
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
			if strings.Contains(last, "ready to accept") {
				ready <- nil
				break
			}
		}
		select {
		case ready <- fmt.Errorf("PostgreSQL has ended: %s", last):
		default:
		}
		_, _ = io.Copy(io.Discard, logs)
	})
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case err := <-ready:
		return err
	case <-timer.C:
		return errors.New("PostgreSQL does not take connections")
	}
}

// Stop ends the server: SIGINT ends its connections, SIGQUIT kills it.
func (s *Server) Stop(signal syscall.Signal) error {
	if s.process == nil || s.process.Process == nil {
		return nil
	}
	if err := s.process.Process.Signal(signal); err != nil {
		return err
	}
	s.logged.Wait()
	err := s.process.Wait()
	if ended := new(exec.ExitError); errors.As(err, &ended) {
		err = nil // ended by the signal, as asked
	}
	s.process = nil
	return err
}

// Remove ends the server and removes its folder.
func (s *Server) Remove() error {
	return errors.Join(s.Stop(syscall.SIGINT), os.RemoveAll(s.dir))
}

// URL is where a database of the server is, for a user.
func (s *Server) URL(database, user string) string {
	return fmt.Sprintf("host=%s dbname=%s user=%s", s.dir, database, user)
}

// Exec runs a statement as the superuser.
func (s *Server) Exec(database, statement string, args ...any) error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.URL(database, "postgres"))
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, statement, args...)
	return errors.Join(err, conn.Close(ctx))
}

// CreateDatabase makes an empty database of User's and returns its URL and name.
func (s *Server) CreateDatabase() (url, name string, err error) {
	name = fmt.Sprintf("test%d", s.databases.Add(1))
	if err := s.Exec("postgres", "CREATE DATABASE "+name+" OWNER "+User); err != nil {
		return "", "", err
	}
	return s.URL(name, User), name, nil
}

// NewCopy makes a copy of a database without connections. It goes with the
// test.
func (s *Server) NewCopy(tb testing.TB, of string) (url, name string) {
	tb.Helper()
	name = fmt.Sprintf("test%d", s.databases.Add(1))
	if err := s.Exec("postgres", "CREATE DATABASE "+name+" TEMPLATE "+of+" OWNER "+User); err != nil {
		tb.Fatal(err)
	}
	s.dropAfter(tb, name)
	return s.URL(name, User), name
}

func (s *Server) dropAfter(tb testing.TB, name string) {
	tb.Helper()
	tb.Cleanup(func() {
		if err := s.Exec("postgres", "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			tb.Error(err)
		}
	})
}

// NewDatabase makes an empty database of User's that goes with the test, and
// returns its URL and name.
func (s *Server) NewDatabase(tb testing.TB) (url, name string) {
	tb.Helper()
	url, name, err := s.CreateDatabase()
	if err != nil {
		tb.Fatal(err)
	}
	s.dropAfter(tb, name)
	return url, name
}

// Promote makes a standby the primary, and returns when it takes writes.
func (s *Server) Promote() error { return s.Exec("postgres", "SELECT pg_promote()") }
