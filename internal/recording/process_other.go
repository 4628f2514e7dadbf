//go:build !linux

package recording

import "os"

// scratch makes a file without a name. There is none in memory alone here.
func scratch(bool) (*os.File, error) { return unnamedFile() }

// limitProcess cannot limit another process here; the time limit holds.
func limitProcess(int) error { return nil }
