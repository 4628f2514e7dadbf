package law

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// Each direct dependency of go.mod and each npm package of the tests has its line in
// docs/DEPENDENCIES.md, and the document names no module that is not required.
func TestDependenciesHaveTheirReason(t *testing.T) {
	text := read(t, "../../docs/DEPENDENCIES.md")
	named := map[string]bool{} // those in the first cells of its tables
	for _, line := range strings.Split(text, "\n") {
		if cells := strings.Split(line, "|"); len(cells) > 2 {
			for _, name := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(cells[1], -1) {
				named[name[1]] = true
			}
		}
	}
	wanted := map[string]bool{}
	for _, match := range regexp.MustCompile(`(?m)^\t(\S+) v\S+$`).FindAllStringSubmatch(read(t, "../../go.mod"), -1) {
		wanted[match[1]] = true
	}
	packages, err := filepath.Glob("../*/package.json")
	if err != nil || len(packages) == 0 {
		t.Fatalf("found no package.json: %v", err)
	}
	for _, path := range packages {
		_, dependencies, _ := strings.Cut(read(t, path), `"dependencies"`)
		for _, match := range regexp.MustCompile(`"([^"]+)": "`).FindAllStringSubmatch(dependencies, -1) {
			wanted[match[1]] = true
		}
	}
	if len(wanted) < 30 {
		t.Fatalf("found only %d dependencies", len(wanted))
	}
	for name := range wanted {
		if !named[name] {
			t.Errorf("docs/DEPENDENCIES.md has no line for %s", name)
		}
	}
	for name := range named {
		if !wanted[name] {
			t.Errorf("docs/DEPENDENCIES.md names %s, which is not required", name)
		}
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
