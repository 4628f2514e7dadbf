//go:build unix

package app

import "syscall"

// descriptorLimit is how many files and sockets the process may have. The runtime has
// raised it to what the system allows.
func descriptorLimit() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return usualDescriptors
	}
	return int(min(limit.Cur, mostDescriptors))
}
