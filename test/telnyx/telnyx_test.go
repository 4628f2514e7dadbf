// Package telnyx drives the API with the SDK that Telnyx publishes for Node.
package telnyx

import (
	"crypto/rand"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/tollgate/tollgate/internal/admission"
	"github.com/tollgate/tollgate/internal/api"
	"github.com/tollgate/tollgate/internal/connection"
	"github.com/tollgate/tollgate/internal/id"
	"github.com/tollgate/tollgate/internal/policy"
	"github.com/tollgate/tollgate/internal/profile"
	"github.com/tollgate/tollgate/internal/store"
	"github.com/tollgate/tollgate/internal/store/sqlstore"
	"github.com/tollgate/tollgate/test/postgres"
)

func TestSDK(t *testing.T) {
	drive(t, sqlstore.Config{Path: filepath.Join(t.TempDir(), "tollgate.db")})
}

func TestSDKOnPostgreSQL(t *testing.T) {
	server, err := postgres.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Remove(); err != nil {
			t.Error(err)
		}
	})
	url, _ := server.NewDatabase(t)
	drive(t, sqlstore.Config{DatabaseURL: url, NodeName: "node"})
}

// drive runs the script against the API over a store.
func drive(t *testing.T, config sqlstore.Config) {
	t.Helper()
	node, err := exec.LookPath("node")
	if err != nil {
		t.Fatal("node is missing; make deps installs it")
	}
	folder := packages(t)
	base, key := serve(t, config)
	command := exec.CommandContext(t.Context(), node, filepath.Join(folder, "drive.mjs"))
	command.Dir = folder
	command.Env = append(os.Environ(), "TOLLGATE_URL="+base+"/v2", "TOLLGATE_KEY="+key)
	out, err := command.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatal(err)
	}
	if steps := strings.Count(string(out), "ok "); steps != 12 {
		t.Errorf("%d steps held, want 12", steps)
	}
}

// packages returns a folder in which the script and its packages are: this one
// if they are installed here, else a temporary one in which they are now.
func packages(t *testing.T) string {
	t.Helper()
	here, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(here, "node_modules", "telnyx")); err == nil {
		return here
	}
	folder := t.TempDir()
	for _, name := range []string{"package.json", "package-lock.json", ".npmrc", "drive.mjs"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Log("node_modules is missing: installing it in a temporary folder")
	install := exec.CommandContext(t.Context(), "npm", "ci", "--ignore-scripts", "--no-progress")
	install.Dir = folder
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("npm ci: %v\n%s", err, out)
	}
	return folder
}

// serve starts the API over a store with two refused calls.
func serve(t *testing.T, config sqlstore.Config) (base, secret string) {
	t.Helper()
	live := policy.NewLive()
	config.Live, config.Clock, config.IDs, config.Owner = live, time.Now, id.NewSource(1, time.Now), uuid.New()
	s, err := sqlstore.Open(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	first, _, err := s.EnsureFirst(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	secret, err = api.NewKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := api.ImportKey(secret, first.ID, "test")
	if err == nil {
		_, err = s.PutKey(t.Context(), key)
	}
	if err != nil {
		t.Fatal(err)
	}
	refuseTwo(t, s, first.ID)
	server := httptest.NewServer(api.New(api.Config{Store: s, Live: live, Version: "test"}))
	t.Cleanup(server.Close)
	return server.URL, secret
}

// refuseTwo has two calls refused, for want of a rate deck.
func refuseTwo(t *testing.T, s store.Store, account id.ID) {
	t.Helper()
	p := profile.New()
	p.Name = "refused calls"
	p, err := s.Profiles().Create(t.Context(), account, p)
	if err != nil {
		t.Fatal(err)
	}
	c := connection.NewIPConnection()
	c.Outbound.OutboundVoiceProfileID = p.ID
	if c, err = s.IPConnections().Create(t.Context(), account, c); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		result, err := s.Do(t.Context(), admission.Reserve{Owner: uuid.New(), Call: admission.Call{ID: uuid.New(), Connection: c.ID,
			Identity: policy.IdentityKnown, From: "+13125550100", To: "+13125550199", SIPCallID: uuid.NewString()}})
		if err != nil || result.Decision.Allow {
			t.Fatalf("the call was not refused: %v", err)
		}
	}
}
