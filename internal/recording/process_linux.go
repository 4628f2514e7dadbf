package recording

import (
	"os"

	"golang.org/x/sys/unix"
)

// scratch makes a file without a name: in memory alone, or on the disk.
func scratch(private bool) (*os.File, error) {
	if !private {
		return unnamedFile()
	}
	fd, err := unix.MemfdCreate("recording", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "recording"), nil
}

// limitProcess bounds the memory and the processor time of a running process.
func limitProcess(pid int) error {
	memory := unix.Rlimit{Cur: encodeMemoryBytes, Max: encodeMemoryBytes}
	cpu := unix.Rlimit{Cur: encodeCPUSecs, Max: encodeCPUSecs}
	for limit, value := range map[int]*unix.Rlimit{unix.RLIMIT_AS: &memory, unix.RLIMIT_CPU: &cpu} {
		if err := unix.Prlimit(pid, limit, value, nil); err != nil && err != unix.ESRCH {
			return err
		}
	}
	return nil
}
