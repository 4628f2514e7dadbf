package telnyx

import (
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/tollgate/tollgate/test/process"
)

// types is what the package's types know of its operations, read once.
var types struct {
	sync.Mutex
	text []byte
}

// typesFile returns a file with what the package's types know.
func typesFile(t *testing.T) string {
	t.Helper()
	folder := packages(t)
	types.Lock()
	defer types.Unlock()
	if types.text == nil {
		command := exec.CommandContext(t.Context(), "node", "types.mjs")
		command.Dir = folder
		command.Stderr = os.Stderr
		text, err := command.Output()
		if err != nil {
			t.Fatalf("types.mjs: %v", err)
		}
		types.text = text
	}
	file := filepath.Join(t.TempDir(), "types.json")
	if err := os.WriteFile(file, types.text, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// TestEveryOperationOfThePackage calls every operation that version 7 has for our
// resources with every field that its types know, and checks the answers by schemas.
func TestEveryOperationOfThePackage(t *testing.T) {
	onBothStores(t, func(t *testing.T, s *process.Server) {
		node(t, s, market(t, s), everySteps, "every.mjs", typesFile(t))
	})
}

// everySteps are the steps of every.mjs: one of each operation, and of what holds for all.
const everySteps = 68
