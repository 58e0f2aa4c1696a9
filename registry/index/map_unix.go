//go:build linux || darwin || freebsd

package index

import (
	"fmt"
	"math"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// mapFile maps a whole file for reading; nil for an empty one.
func mapFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() // the mapping stays
	fi, err := f.Stat()
	if err != nil {
		return nil, err
	}
	switch n := fi.Size(); {
	case !fi.Mode().IsRegular():
		return nil, fmt.Errorf("%q is not a regular file", path)
	case n == 0:
		return nil, nil
	case n > math.MaxInt:
		return nil, fmt.Errorf("%q has %d bytes, more than this machine can map", path, n)
	}
	image, err := syscall.Mmap(int(f.Fd()), 0, int(fi.Size()), syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("mmap %q: %w", path, err)
	}
	return image, nil
}

// release has the kernel take back the pages of a mapping that are in memory for
// this process. They stay in its cache of files, and are there again when they are
// read; an error would change nothing of that.
func release(image []byte) { _ = unix.Madvise(image, unix.MADV_DONTNEED) }

// unmap fails only for what mapFile has not made.
func unmap(image []byte) { _ = syscall.Munmap(image) }
