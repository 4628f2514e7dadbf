package law

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// framework is all that internal/rest may know of this module: values that say nothing of
// calls. Another service could be made of it.
var framework = []string{"internal/collection", "internal/csvcell", "internal/field", "internal/id", "internal/money", "internal/secret"}

func TestTheFrameworkKnowsNoTelephony(t *testing.T) {
	for _, p := range list(t, "-deps", "./internal/rest") {
		name := p.ImportPath
		if !p.Standard && strings.HasPrefix(name, "internal/") && name != "internal/rest" && !slices.Contains(framework, name) {
			t.Errorf("internal/rest needs %s", name)
		}
	}
	const words = `(^|[^a-z])(sip|rtp|pstn|e164|telephone|phone number|trunk|carrier|gateway|outbound|caller id|` +
		`voice|invite|hang ?up|billing|deck|recording|admission|routing)s?([^a-z]|$)`
	out, err := exec.Command("git", "-C", "../..", "grep", "-niE", words, "--",
		"internal/rest/*.go", "internal/collection/*.go", ":!*_test.go").Output()
	if err == nil {
		t.Errorf("words of telephony are in the framework:\n%s", out)
	}
}
