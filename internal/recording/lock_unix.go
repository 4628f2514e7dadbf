//go:build unix

package recording

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// lockFolder takes a live folder for this process. The lock ends with the process,
// however it ends, so that another one can tell that its calls have ended.
func lockFolder(folder string) (*os.File, error) {
	file, err := os.OpenFile(filepath.Join(folder, lockName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock recordings: %w", err)
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("lock recordings: %s is in use by another process: %w", folder, err)
	}
	return file, nil
}
