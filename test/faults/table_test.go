package faults

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"
	"text/tabwriter"
	"time"
)

// row is one fault.
type row struct {
	id         string // as in F1
	on         string // which store
	fault      string
	invariants string
	quick      bool // runs in every test run
	run        func(*bench)
	elsewhere  string // where the fault is injected instead, or why it is not; only without run
}

func (r row) name() string {
	if r.on == "" {
		return r.id
	}
	return r.id + "/" + r.on
}

// result is what a row came to.
type result struct {
	row
	ran, passed bool
	took        time.Duration
	injected    string
	load        string
	emergency   counted
}

// counted is how many emergency calls were placed while the fault lasted, and how
// many reached the carrier or were allowed.
type counted struct{ placed, admitted int64 }

// bench is a row being run.
type bench struct {
	*testing.T
	*result
	probes  []*probe
	keyFile string // see secretsKey
}

// times is how often something is repeated: all of n, or few in a quick run.
func (b *bench) times(n, quick int) int {
	if *full {
		return n
	}
	return quick
}

// did describes what was injected and under which load, for the table.
func (b *bench) did(injected, load string) { b.injected, b.load = injected, load }

// finish holds invariant I12, which every row is about.
func (b *bench) finish() {
	for _, p := range b.probes {
		p.stop()
		b.emergency.placed += p.placed.Load()
		b.emergency.admitted += p.admitted.Load()
		for _, text := range p.failed {
			b.Errorf("I12: %s", text)
		}
	}
	if len(b.probes) > 0 && b.emergency.placed == 0 {
		b.Error("I12: no emergency call was placed during the fault")
	}
}

func (b *bench) check(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func (r *result) verdict() string {
	switch {
	case r.run == nil:
		return "elsewhere"
	case !r.ran:
		return "not in this run"
	case r.passed:
		return "held"
	}
	return "BROKEN"
}

func (r *result) emergencies() string {
	if !r.ran || r.emergency.placed == 0 {
		return "-"
	}
	return fmt.Sprintf("%d of %d", r.emergency.admitted, r.emergency.placed)
}

// tableOf is the table for a terminal.
func tableOf(done []result) string {
	var text bytes.Buffer
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "row\tstore\tfault\tinjected\tinvariants\temergency\tverdict\ttook")
	for _, r := range done {
		injected := r.injected
		if r.run == nil {
			injected = r.elsewhere
		}
		if runes := []rune(injected); len(runes) > 60 {
			injected = string(runes[:57]) + "..."
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%.0f s\n", r.id, r.on, r.fault, injected, r.invariants, r.emergencies(),
			r.verdict(), r.took.Seconds())
	}
	w.Flush()
	return text.String()
}

// Between these lines the table of the last run stands in the document.
const (
	tableStart = "<!-- made by test/faults: start -->\n"
	tableEnd   = "<!-- made by test/faults: end -->\n"
)

// writeTable puts the table of a run into a document. Rows that were not in the run
// keep what an earlier one said.
func writeTable(path string, done []result) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	before, rest, ok := strings.Cut(string(text), tableStart)
	old, after, ends := strings.Cut(rest, tableEnd)
	if !ok || !ends {
		return fmt.Errorf("%s has no place for the table", path)
	}
	var b strings.Builder
	b.WriteString("\n| row | store | fault | injected | load | invariants | emergency calls admitted | verdict |\n" +
		"|---|---|---|---|---|---|---|---|\n")
	var elsewhere []string
	for _, r := range done {
		key := fmt.Sprintf("| %s | %s | %s | ", r.id, r.on, r.fault)
		switch {
		case r.run == nil:
			elsewhere = append(elsewhere, fmt.Sprintf("- **%s**, %s: %s\n", r.id, r.fault, r.elsewhere))
		case r.ran:
			fmt.Fprintf(&b, "%s%s | %s | %s | %s | %s |\n", key, r.injected, r.load, r.invariants, r.emergencies(), r.verdict())
		default:
			if _, line, found := strings.Cut(old, key); found {
				line, _, _ = strings.Cut(line, "\n")
				b.WriteString(key + line + "\n")
			}
		}
	}
	if len(elsewhere) > 0 {
		b.WriteString("\nNot by this runner:\n\n" + strings.Join(elsewhere, ""))
	}
	b.WriteString("\n")
	return os.WriteFile(path, []byte(before+tableStart+b.String()+tableEnd+after), 0o644)
}
