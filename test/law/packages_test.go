package law

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The client is for programs outside of this module: it takes no package of the
// server's with it, and of others only the one that reads JSON.
func TestTheClientStandsAlone(t *testing.T) {
	command := exec.Command("go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", "./client")
	command.Dir = "../.."
	out, err := command.Output()
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for path := range strings.FieldsSeq(string(out)) {
		switch {
		case path == module+"client":
			found = true
		case !strings.HasPrefix(path, "github.com/go-json-experiment/json"):
			t.Errorf("the client needs %s", path)
		}
	}
	if !found {
		t.Errorf("the client is not among %s", out)
	}
}

// Packages of Node are pinned by version and checksum, and name no host.
func TestNodePackagesArePinned(t *testing.T) {
	locks, err := filepath.Glob("../*/package-lock.json")
	if err != nil || len(locks) < 2 {
		t.Fatalf("found the lock files %v: %v", locks, err)
	}
	for _, lock := range locks {
		text, err := os.ReadFile(lock)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(text, []byte("://")) || !bytes.Contains(text, []byte(`"integrity": "sha512-`)) {
			t.Errorf("%s names a host, or lacks checksums", lock)
		}
		wanted, err := os.ReadFile(filepath.Join(filepath.Dir(lock), "package.json"))
		if err != nil {
			t.Fatal(err)
		}
		_, dependencies, _ := strings.Cut(string(wanted), `"dependencies"`)
		pinned := regexp.MustCompile(`": "(npm:[a-z-]+@)?[0-9]+\.[0-9]+\.[0-9]+"`).FindAllString(dependencies, -1)
		if len(pinned) == 0 || strings.Count(dependencies, `": "`) != len(pinned) {
			t.Errorf("%s does not pin exact versions: %s", lock, dependencies)
		}
	}
}
