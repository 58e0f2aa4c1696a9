//go:build unix && !aix && !solaris && !illumos && !netbsd && !openbsd

package main

import "golang.org/x/sys/unix"

// diskSpace tells how many bytes are free for this user where a path lies, of how
// many.
func diskSpace(path string) (free, all uint64, err error) {
	var s unix.Statfs_t
	if err := unix.Statfs(path, &s); err != nil {
		return 0, 0, err
	}
	return uint64(s.Bavail) * uint64(s.Bsize), uint64(s.Blocks) * uint64(s.Bsize), nil
}
