package law

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
)

// Every test that the threat model names is there: of test/hostile, or of the package
// that stands before its name.
func TestTheThreatModelNamesTestsThatExist(t *testing.T) {
	text, err := os.ReadFile("../../docs/THREAT-MODEL.md")
	if err != nil {
		t.Fatal(err)
	}
	names := regexp.MustCompile("`(?:([a-z0-9_/]+)\\.)?(Test[A-Z][A-Za-z0-9]*)`").FindAllSubmatch(text, -1)
	if len(names) < 60 {
		t.Fatalf("it names only %d tests", len(names))
	}
	checked := map[string]bool{}
	for _, name := range names {
		folder := string(name[1])
		if folder == "" {
			folder = "test/hostile"
		}
		test := filepath.Join(folder, string(name[2]))
		if checked[test] {
			continue
		}
		checked[test] = true
		pattern := "^func " + string(name[2]) + `(t \*testing.T)`
		if err := exec.Command("git", "-C", "../..", "grep", "-q", pattern, "--",
			":(glob)"+folder+"/*_test.go").Run(); err != nil {
			t.Errorf("docs/THREAT-MODEL.md names %s of %s, which is not there", name[2], folder)
		}
	}
	if bare := regexp.MustCompile("[^`./A-Za-z]Test[A-Z][A-Za-z0-9]*").FindAll(text, -1); bare != nil {
		t.Errorf("tests that are not in backquotes: %q", bare)
	}
}
