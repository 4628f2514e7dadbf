// Package process runs the built program as a process, as an operator does, for tests
// that look at it from outside.
package process

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

var program string

// Program is the path of the built program. Main must have built it.
func Program() string { return program }

// Main builds the program, runs the tests, and removes it. It is called by TestMain
// and returns the status of the test binary. With -short, no test runs.
func Main(m *testing.M) int {
	if flag.Parse(); testing.Short() {
		fmt.Println("skipped: tests of the whole program are not short")
		return 0
	}
	folder, err := os.MkdirTemp("", "tollgate-process")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(folder) }()
	program = filepath.Join(folder, "tollgate")
	// It ends by itself, and the path is ours (G204).
	build := exec.Command("go", "build", "-o", program, "github.com/tollgate/tollgate/cmd/tollgate") //nolint:noctx,gosec // see above
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the program: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// Log is what a process has written. It is read while it is written.
type Log struct {
	mu   sync.Mutex
	text []byte
}

// Write implements io.Writer.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, p...)
	return len(p), nil
}

func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.text)
}
