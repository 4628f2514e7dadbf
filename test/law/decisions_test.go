package law

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Decisions are numbered without gaps and have one form: a title with the number, the
// context, the decision, and its consequences.
func TestDecisionsHaveOneForm(t *testing.T) {
	paths, err := filepath.Glob("../../docs/decisions/*.md")
	if err != nil || len(paths) < 30 {
		t.Fatalf("found only %d decisions: %v", len(paths), err)
	}
	want := []string{"## Context", "## Decision", "## Consequences"}
	for i, path := range paths { // Glob sorts
		number, text := i+1, read(t, path)
		if name := filepath.Base(path); !strings.HasPrefix(name, fmt.Sprintf("%04d-", number)) {
			t.Fatalf("%s is the decision number %d", name, number)
		}
		if !strings.HasPrefix(text, fmt.Sprintf("# %d. ", number)) {
			t.Errorf("the title of %s does not begin with %d", path, number)
		}
		if got := regexp.MustCompile(`(?m)^##.*$`).FindAllString(text, -1); !slices.Equal(got, want) {
			t.Errorf("%s has the sections %q, not %q", path, got, want)
		}
	}
}

// References to decisions lead somewhere: those by name, and those by number alone.
func TestReferencesToDecisionsLeadSomewhere(t *testing.T) {
	out, err := exec.Command("git", "-C", "../..", "grep", "-nE", `decisions/[0-9]{4}`, "--", "*.go", "*.md").Output()
	if err != nil {
		t.Fatal(err)
	}
	references := regexp.MustCompile(`decisions/([0-9]{4}[-a-z0-9]*)`).FindAllStringSubmatch(string(out), -1)
	if len(references) < 10 {
		t.Fatalf("found only %d references", len(references))
	}
	for _, reference := range references {
		if found, _ := filepath.Glob("../../docs/decisions/" + reference[1] + "*.md"); len(found) != 1 {
			t.Errorf("decisions/%s is not there", reference[1])
		}
	}
}
