//go:build unix

package sqlite

import (
	"fmt"
	"os"
	"syscall"
)

// lockFile makes sure that one process at a time owns the database: another one
// would take the first one's calls for those of a dead process. The system frees
// the lock when the process ends, however it ends.
func lockFile(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock database: %w", err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("lock database: %s is in use by another process: %w", path, err)
	}
	return file, nil
}
