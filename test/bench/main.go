// Command bench asks running servers for calls, and says how many a second they let
// through: over HTTP as switches do, beside an empty handler in the same run, and with
// -sip over SIP, beside Kamailio. Load and server share the machine's cores. "make
// bench" and "make bench-sip" run it; docs/PERFORMANCE.md holds the tables of a run.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"runtime"
	"time"
)

func main() {
	if len(os.Args) == 2 && os.Args[1] == "empty" {
		fmt.Fprintln(os.Stderr, serveEmpty())
		os.Exit(1)
	}
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run() (err error) {
	window := flag.Duration("time", 3*time.Second, "how long each load runs")
	only := flag.String("run", "", "run only the sections whose name matches this regular expression")
	path := flag.String("write", "", "document whose section to write, as in docs/PERFORMANCE.md")
	overSIP := flag.Bool("sip", false, "measure calls over SIP instead of admissions over HTTP")
	flag.Parse()
	chosen, err := regexp.Compile(*only)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	b := &bench{window: *window, deck: newDeck(deckRows)}
	if b.folder, err = os.MkdirTemp("", "tollgate-bench"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	if b.program, err = build(ctx, b.folder); err != nil {
		return err
	}
	name, chapters := "admissions", sections
	if *overSIP {
		name, chapters = "sip", sipSections
	}
	b.report.printf("Measured %s on %d cores, which the load generator and the servers share.\n\n",
		time.Now().UTC().Format("2006-01-02"), runtime.NumCPU())
	for _, s := range chapters {
		if !chosen.MatchString(s.name) {
			continue
		}
		fmt.Fprintf(os.Stderr, "%s…\n", s.name)
		if err := s.measure(ctx, b); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	if *path == "" {
		return nil
	}
	return b.report.write(*path, name)
}
