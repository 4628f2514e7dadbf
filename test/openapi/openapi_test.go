// Package openapi lints the OpenAPI document that the server prints.
package openapi

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/api"
	"github.com/tollgate/tollgate/internal/app"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/store/sqlstore"
)

func TestLint(t *testing.T) {
	if testing.Short() {
		t.Skip("needs npm")
	}
	node, err := exec.LookPath("node")
	if err != nil {
		t.Fatal("node is missing; make deps installs it")
	}
	linter := filepath.Join(packages(t), "node_modules", "@redocly", "cli", "bin", "cli.js")
	text := document(t)
	if out, err := lint(t, node, linter, text); err != nil {
		t.Errorf("the linter complains: %v\n%s", err, out)
	}
	// A linter that lets everything through would be of no use.
	if out, err := lint(t, node, linter,
		[]byte(`{"openapi":"3.1.0","info":{"title":"x","version":"1"},"paths":{"/a":{"get":{"responses":{}}}}}`)); err == nil {
		t.Errorf("the linter lets a bad document through: %s", out)
	}
}

func lint(t *testing.T, node, linter string, text []byte) (string, error) {
	t.Helper()
	config, err := filepath.Abs("redocly.yaml")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "openapi.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), node, linter, "lint", "--config", config, "--format", "stylish", file)
	command.Env = append(os.Environ(), "REDOCLY_TELEMETRY=off", "REDOCLY_SUPPRESS_UPDATE_NOTICE=true", "CI=true")
	out, err := command.CombinedOutput()
	return string(out), err
}

// packages returns a folder in which the linter is installed: this one, or else a
// temporary one in which it is now.
func packages(t *testing.T) string {
	t.Helper()
	here, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(here, "node_modules", "@redocly")); err == nil {
		return here
	}
	folder := t.TempDir()
	for _, name := range []string{"package.json", "package-lock.json", ".npmrc"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Log("node_modules is missing: installing it in a temporary folder")
	install := exec.CommandContext(t.Context(), "npm", "ci", "--ignore-scripts", "--no-progress",
		"--cache", filepath.Join(folder, ".npm"))
	install.Dir = folder
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("npm ci: %v\n%s", err, out)
	}
	return folder
}

func document(t *testing.T) []byte {
	t.Helper()
	live := policy.NewLive()
	s, err := sqlstore.Open(t.Context(), sqlstore.Config{
		Path: filepath.Join(t.TempDir(), "tollgate.db"), Live: live, Clock: time.Now, IDs: id.NewSource(1, time.Now),
		Owner: uuid.New(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	recorder := httptest.NewRecorder()
	api.New(api.Config{Stores: app.StoresOf(s), Live: live, Version: "test"}).ServeHTTP(recorder,
		httptest.NewRequest(http.MethodGet, "/openapi.json", nil))
	return recorder.Body.Bytes()
}
