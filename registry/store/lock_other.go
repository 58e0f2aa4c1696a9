//go:build !linux && !darwin && !freebsd

package store

import (
	"fmt"
	"os"
	"runtime"
)

// lockFile: without a lock that goes with its holder two processes could write.
func lockFile(path string) (*os.File, error) {
	return nil, fmt.Errorf("%s has no lock that %q could be held by; use PostgreSQL", runtime.GOOS, path)
}
