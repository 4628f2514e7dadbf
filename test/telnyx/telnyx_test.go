// Package telnyx drives the built program with the packages that Telnyx publishes for
// Node, and with the requests that published set-ups send.
package telnyx

import (
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/go-json-experiment/json"

	"github.com/tollgate/tollgate/internal/phone"
	"github.com/tollgate/tollgate/test/hearing"
	"github.com/tollgate/tollgate/test/postgres"
	"github.com/tollgate/tollgate/test/process"
)

type object = process.Object

func TestMain(m *testing.M) {
	status := process.Main(m)
	if database.server != nil {
		if err := database.server.Remove(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			status = 1
		}
	}
	if installed.folder != "" {
		_ = os.RemoveAll(installed.folder)
	}
	os.Exit(status)
}

// database is the PostgreSQL server of all tests, started by the first that needs it.
var database struct {
	sync.Mutex
	server *postgres.Server
}

// onBothStores runs a test against a server on SQLite and one on PostgreSQL, which get
// the flags too.
func onBothStores(t *testing.T, run func(*testing.T, *process.Server), flags ...string) {
	t.Helper()
	t.Parallel()
	flags = append([]string{"--webhook-allow-private", "--webhook-allow-http"}, flags...)
	t.Run("SQLite", func(t *testing.T) {
		t.Parallel()
		run(t, process.Serve(t, t.TempDir(), flags...))
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		t.Parallel()
		run(t, process.Serve(t, t.TempDir(), append([]string{"--database-url", newDatabase(t), "--node-name", "node"}, flags...)...))
	})
}

func newDatabase(t *testing.T) string {
	t.Helper()
	database.Lock()
	defer database.Unlock()
	if database.server == nil {
		server, err := postgres.Start()
		if err != nil {
			t.Fatal(err)
		}
		database.server = server
	}
	url, _ := database.server.NewDatabase(t)
	return url
}

// installed is the folder in which the packages are, once it is known.
var installed struct {
	sync.Mutex
	here, folder string // folder is temporary, and only made if they are not installed here
}

// packages returns a folder in which the scripts and their packages are: this one
// if they are installed here, else a temporary one in which they are now.
func packages(t *testing.T) string {
	t.Helper()
	installed.Lock()
	defer installed.Unlock()
	if installed.folder != "" {
		return installed.folder
	}
	here, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	if isInstalled(here) {
		return here
	}
	folder, err := os.MkdirTemp("", "tollgate-telnyx")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(folder, scripts{os.DirFS(here)}); err != nil {
		t.Fatal(err)
	}
	t.Log("node_modules is missing or old: installing it in a temporary folder")
	install := exec.CommandContext(t.Context(), "npm", "ci", "--ignore-scripts", "--no-progress",
		"--cache", filepath.Join(folder, ".npm"))
	install.Dir = folder
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("npm ci: %v\n%s", err, out)
	}
	installed.folder = folder
	return folder
}

// isInstalled reports whether a folder has every package that package.json names.
func isInstalled(folder string) bool {
	text, err := os.ReadFile("package.json")
	if err != nil {
		return false
	}
	var named struct {
		Dependencies map[string]string `json:"dependencies"`
	}
	if err := json.Unmarshal(text, &named); err != nil {
		return false
	}
	for name, version := range named.Dependencies {
		text, err := os.ReadFile(filepath.Join(folder, "node_modules", name, "package.json"))
		if err != nil {
			return false
		}
		var has struct {
			Version string `json:"version"`
		}
		if err := json.Unmarshal(text, &has); err != nil || !strings.HasSuffix("@"+version, "@"+has.Version) {
			return false
		}
	}
	return true
}

// scripts is a folder without its installed packages.
type scripts struct{ fs.FS }

// ReadDir implements fs.ReadDirFS.
func (s scripts) ReadDir(name string) ([]fs.DirEntry, error) {
	entries, err := fs.ReadDir(s.FS, name)
	kept := entries[:0]
	for _, entry := range entries {
		if entry.Name() != "node_modules" {
			kept = append(kept, entry)
		}
	}
	return kept, err
}

// node runs a script against a server and wants the number of steps to hold. The script
// asks the address in TOLLGATE_CALLS to place calls, and for the code that the carrier heard.
func node(t *testing.T, s *process.Server, heard *hearing.Ear, steps int, args ...string) {
	t.Helper()
	program, err := exec.LookPath("node")
	if err != nil {
		t.Fatal("node is missing; make deps installs it")
	}
	folder := packages(t)
	command := exec.CommandContext(t.Context(), program, args...)
	command.Dir = folder
	command.Env = append(os.Environ(), "TOLLGATE_URL="+s.API+"/v2", "TOLLGATE_KEY="+process.Key, "TOLLGATE_CALLS="+phoneBooth(t, s, heard))
	out, err := command.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatalf("%s: %v", args[0], err)
	}
	if held := strings.Count("\n"+string(out), "\nok "); held != steps {
		t.Errorf("%s: %d steps held, want %d", args[0], held, steps)
	}
}

// market gives the server a carrier and a deck of one cent a second for +1. It returns
// what hears the calls at the carrier.
func market(t *testing.T, s *process.Server) *hearing.Ear {
	t.Helper()
	heard := hearing.New(t)
	carrier := phone.NewCarrier(phone.CarrierOptions{Default: phone.Answer, Hear: heard.Hear})
	if err := carrier.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(carrier.Stop)
	s.Must(http.MethodPost, "/tollgate/v1/gateways", object{"name": "carrier", "address": carrier.Addr()})
	deck := s.Must(http.MethodPost, "/tollgate/v1/rate_decks?name=default", "prefix,rate,first_increment,increment\n1,0.60,1,1\n")["id"]
	s.Must(http.MethodPost, fmt.Sprintf("/tollgate/v1/rate_decks/%v/activate", deck), nil)
	return heard
}
