package law

import (
	"regexp"
	"strings"
	"testing"
)

// Merges of CHANGELOG.md keep the lines of both sides, so an old list can come back
// beside the new one. Nothing was released yet, so nothing is fixed or changed either.
func TestTheChangelogIsOneList(t *testing.T) {
	text := read(t, "../../CHANGELOG.md")
	seen := map[string]bool{}
	for _, heading := range regexp.MustCompile(`(?m)^##+ .*$`).FindAllString(text, -1) {
		if seen[heading] {
			t.Errorf("CHANGELOG.md has %q twice", heading)
		}
		seen[heading] = true
	}
	if released := strings.Count(text, "\n## [") > 1; !released && (seen["### Fixed"] || seen["### Changed"]) {
		t.Error("CHANGELOG.md tells of what no release had: take main's file and add a line to its list")
	}
	for i, line := range strings.Split(text, "\n") {
		if len([]rune(line)) > 120 {
			t.Errorf("CHANGELOG.md:%d has more than 120 columns", i+1)
		}
	}
}
