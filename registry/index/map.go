package index

import (
	"fmt"
	"runtime"
	"sync/atomic"
)

// mappings counts the files that are mapped at the moment.
var mappings atomic.Int64

// Map is ReadFile with the file mapped into memory instead of read, so that
// several processes of a host share it and its pages are the kernel's to drop.
// All of it is verified first, just the same.
//
// It is only for files that this host has written itself, into a directory that
// is nobody else's, by WriteFile or Merge: these put a new file in the place of
// the old one, which lives on as long as it is mapped. Whoever writes into a
// mapped file changes answers after they were verified, and whoever cuts it short
// kills the process (SIGBUS). The file of an operator is for ReadFile.
//
// The mapping goes when the garbage collector finds that nobody holds the Index
// any more; there is nothing to close. What answers and records refer to is
// never part of it. Where there is no mapping of files, Map is ReadFile.
func Map(path string) (*Index, error) { return mapAs(path, path) }

// mapAs is Map with errors that name another file, of which path is a copy.
func mapAs(path, named string) (*Index, error) {
	image, err := mapFile(path)
	switch {
	case err != nil:
		return nil, fmt.Errorf("snapshot cannot be mapped: %w", err)
	case image == nil:
		return readAs(path, named)
	}
	x, err := load(image)
	if err != nil {
		unmap(image)
		return nil, fmt.Errorf("snapshot %q cannot be used: %w", named, err)
	}
	x.mapped = true
	mappings.Add(1)
	// Every method that reads the image keeps x alive until it has done so.
	runtime.AddCleanup(x, func(image []byte) {
		unmap(image)
		mappings.Add(-1)
	}, image)
	return x, nil
}

// Release gives what the process has in memory of a mapped file back to the kernel:
// all of it has been read once, to verify it. A program that looks up little, such as
// a service that others follow, holds no more than it needs by that; the next look-up
// of a name takes microseconds longer, or a read of the disk where the kernel has
// dropped the page. Of an index that is not mapped nothing is released. It is safe for
// concurrent use, beside look-ups too.
func (x *Index) Release() {
	if x != nil && x.mapped {
		release(x.image)
		runtime.KeepAlive(x)
	}
}
