package sipgw

import (
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// sipPage shows what crosses from one leg to the other.
const sipPage = "../../docs/SIP.md"

var update = flag.Bool("update", false, "rewrite the table of "+sipPage)

//go:generate go test -run ^TestWhatCrossesIsDocumented$ . -update

func TestWhatCrossesIsDocumented(t *testing.T) {
	const start, end = "<!-- crossings: start -->\n", "<!-- crossings: end -->\n"
	text, err := os.ReadFile(sipPage)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(text), start)
	_, after, ended := strings.Cut(rest, end)
	if !found || !ended {
		t.Fatalf("%s has no place for the table", sipPage)
	}
	page := before + start + crossingTable() + end + after
	if *update {
		if err := os.WriteFile(sipPage, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(page, string(text)); diff != "" {
		t.Errorf("run go generate ./internal/sipgw (-table +page):\n%s", diff)
	}
}

// crossingTable prints the crossings.
func crossingTable() string {
	towards := map[direction]string{toCarrier: "to the carrier", toCaller: "to the caller", bothWays: "both"}
	var b strings.Builder
	b.WriteString("| what | in | direction | how | setting | trust |\n|---|---|---|---|---|---|\n")
	for i := range crossings {
		c := &crossings[i]
		var in []string
		for _, at := range c.in {
			in = append(in, placeNames[at])
		}
		b.WriteString("| " + strings.Join([]string{c.what, strings.Join(in, "; "), towards[c.to], c.how, c.setting, c.trust},
			" | ") + " |\n")
	}
	return b.String()
}
