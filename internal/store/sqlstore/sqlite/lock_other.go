//go:build !unix

package sqlite

import (
	"fmt"
	"os"
)

// lockFile keeps the lock file open. This system has no lock that a dead process
// surely gives up, so running one process is up to the operator here.
func lockFile(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock database: %w", err)
	}
	return file, nil
}
