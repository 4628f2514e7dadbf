package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"time"
)

// row is one load of a table.
type row struct {
	work        string
	connections int
	outcome
	cpu   time.Duration // of the server for each round
	empty float64       // rounds a second of the empty handler with as many connections; 0 when not compared
}

// report is the text of a run in Markdown.
type report struct{ text bytes.Buffer }

// printf adds to the report, and shows it while the run goes on.
func (r *report) printf(format string, args ...any) {
	fmt.Fprintf(&r.text, format, args...)
	fmt.Printf(format, args...)
}

func (r *report) table(title string, rows []row) {
	r.printf("### %s\n\n| load | connections | a second | of the empty handler | p50 | p99 | server CPU each |\n"+
		"|---|---:|---:|---:|---:|---:|---:|\n", title)
	for _, row := range rows {
		ratio := ""
		if row.empty > 0 {
			ratio = fmt.Sprintf("%.2f", row.PerSecond/row.empty)
		}
		cpu := ""
		if row.cpu > 0 {
			cpu = fmt.Sprintf("%d µs", row.cpu.Microseconds())
		}
		r.printf("| %s | %d | %s | %s | %s | %s | %s |\n", row.work, row.connections, thousands(row.PerSecond), ratio,
			milliseconds(row.P50), milliseconds(row.P99), cpu)
	}
	r.printf("\n")
}

func milliseconds(d time.Duration) string {
	return fmt.Sprintf("%.2f ms", float64(d)/float64(time.Millisecond))
}

func thousands(f float64) string {
	digits := fmt.Sprintf("%.0f", f)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// write puts the report in its section of a document, between two lines that name the
// section, and leaves the rest as it is.
func (r *report) write(path, name string) error {
	document, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	start, end := fmt.Sprintf("<!-- %s: start -->\n", name), fmt.Sprintf("<!-- %s: end -->\n", name)
	before, rest, started := strings.Cut(string(document), start)
	_, after, ended := strings.Cut(rest, end)
	if !started || !ended {
		return fmt.Errorf("%s has no section between %q and %q", path, strings.TrimSpace(start), strings.TrimSpace(end))
	}
	return os.WriteFile(path, []byte(before+start+"\n"+r.text.String()+end+after), 0o644)
}
