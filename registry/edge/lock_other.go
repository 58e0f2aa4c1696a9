//go:build !linux && !darwin && !freebsd

package edge

import (
	"fmt"
	"os"
	"runtime"
)

// lockFile: without a lock that goes with its holder nothing may be written.
func lockFile(*os.File) (bool, error) {
	return false, fmt.Errorf("%s has no lock that a state directory could be held by", runtime.GOOS)
}

func checkOwner(string, os.FileInfo) error { return nil }

// dontWait: only Unix has pipes among its files.
const dontWait = 0

func nobodyReads(error) bool { return false }
