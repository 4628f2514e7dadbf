//go:build !linux

package recording

import "os"

// scratch makes a file without a name. This system has none that are in memory alone.
func scratch(bool) (*os.File, error) { return unnamedFile() }

// limitProcess cannot limit another process here; the time limit holds.
func limitProcess(int) error { return nil }
