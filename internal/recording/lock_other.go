//go:build !unix

package recording

import (
	"fmt"
	"os"
	"path/filepath"
)

// lockFolder cannot keep another process out here: one server at a time may use a
// folder of recordings.
func lockFolder(folder string) (*os.File, error) {
	file, err := os.OpenFile(filepath.Join(folder, lockName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock recordings: %w", err)
	}
	return file, nil
}
