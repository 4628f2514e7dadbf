package law

import (
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// docs/ARCHITECTURE.md names files that exist, and every package of the product.
func TestTheArchitectureNamesWhatIsThere(t *testing.T) {
	text := read(t, "../../docs/ARCHITECTURE.md")
	out, err := exec.Command("git", "-C", "../..", "ls-files", "*.go").Output()
	if err != nil {
		t.Fatal(err)
	}
	files := "/" + strings.ReplaceAll(string(out), "\n", "\n/")
	named := regexp.MustCompile("`([a-z0-9_/]+\\.go)`").FindAllStringSubmatch(text, -1)
	if len(named) < 60 {
		t.Fatalf("it names only %d files", len(named))
	}
	for _, name := range named {
		if !strings.Contains(files, "/"+name[1]+"\n") {
			t.Errorf("docs/ARCHITECTURE.md names %s, which is not there", name[1])
		}
	}
	for _, p := range packages(t) {
		name := strings.TrimPrefix(p.ImportPath, "internal/")
		if !strings.Contains(text, "`"+name+"`") && !strings.Contains(name, "/gen") && name != "sip/torture" && name != "sip/transport/zonetest" &&
			name != "webhook/webhooktest" && name != "shaken/shakentest" {
			t.Errorf("docs/ARCHITECTURE.md does not name the package %s", name)
		}
	}
}
