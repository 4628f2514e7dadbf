// Package faults injects faults into real processes of Tollgate and holds the
// invariants of docs/RELIABILITY.md against what is left: the built program as one
// or several nodes, SQLite and PostgreSQL, phones, carriers and switches as the
// load, and kill -9, stopped processes, full disks, cut networks and wrong data as
// the faults. Each row of the table is one fault. Emergency calls are placed during
// each of them.
//
// Without flags the quick rows run, with few repetitions; "make faults" runs all of
// them with all repetitions and prints the table.
package faults

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/tollgate/tollgate/test/postgres"
)

var (
	full   = flag.Bool("full", false, "run every row with all its repetitions")
	update = flag.Bool("update", false, "write the table into docs/RELIABILITY.md; implies -full")
)

// program is the program under test, built once.
var program string

// database starts one PostgreSQL server when a row first wants it.
var database = sync.OnceValues(postgres.Start)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) (status int) {
	if flag.Parse(); testing.Short() {
		fmt.Println("skipped: faults of whole programs are not short")
		return 0
	}
	*full = *full || *update
	folder, err := os.MkdirTemp("", "tollgate-faults")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(folder)
	program = filepath.Join(folder, "tollgate")
	build := exec.Command("go", "build", "-o", program, "github.com/tollgate/tollgate/cmd/tollgate")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the program: %v\n%s", err, out)
		return 1
	}
	usesDatabase := false
	inner := database
	database = func() (*postgres.Server, error) {
		usesDatabase = true
		return inner()
	}
	status = m.Run()
	if usesDatabase {
		if server, err := inner(); err == nil {
			if err := server.Remove(); err != nil {
				fmt.Fprintln(os.Stderr, "stop PostgreSQL:", err)
			}
		}
	}
	return status
}

// TestFaults runs the rows of the table, some at a time: they wait more than they
// work.
func TestFaults(t *testing.T) {
	done := make([]result, len(rows))
	t.Run("rows", func(t *testing.T) {
		for i, r := range rows {
			done[i].row = r
			if r.run == nil || !*full && !r.quick {
				continue
			}
			t.Run(r.name(), func(t *testing.T) {
				t.Parallel()
				started := time.Now()
				b := &bench{T: t, result: &done[i]}
				defer func() {
					b.finish()
					b.ran = true
					b.passed = !t.Failed()
					b.took = time.Since(started)
				}()
				r.run(b)
			})
		}
	})
	fmt.Print("\n", tableOf(done))
	if *update {
		if err := writeTable("../../docs/RELIABILITY.md", done); err != nil {
			t.Error(err)
		}
	}
}
