//go:build linux || darwin || freebsd

package edge

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// lockFile takes the lock of a file without waiting; ok is false while another
// process holds it. The kernel gives it back when the file is closed, and so when
// its holder dies.
func lockFile(f *os.File) (ok bool, err error) {
	for {
		switch err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err {
		case nil:
			return true, nil
		case syscall.EINTR:
		case syscall.EWOULDBLOCK:
			return false, nil
		default:
			return false, fmt.Errorf("lock of %q: %w", f.Name(), err)
		}
	}
}

// checkOwner refuses a directory of another user.
func checkOwner(dir string, info os.FileInfo) error {
	st, ok := info.Sys().(*syscall.Stat_t)
	if me := os.Geteuid(); ok && int(st.Uid) != me {
		return fmt.Errorf("directory %q is that of the user with id %d, this process runs as %d; different users need different directories", dir, st.Uid, me)
	}
	if info.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("directory %q may be written by others (mode %s); expect one that only its owner may write, as chmod go-w makes it", dir, info.Mode().Perm())
	}
	return nil
}

// dontWait opens a pipe at once, with or without a reader, and lets no thread hang
// on a write to it. It means nothing for other files.
const dontWait = syscall.O_NONBLOCK

// nobodyReads reports whether err is that of opening a pipe without a reader.
func nobodyReads(err error) bool { return errors.Is(err, syscall.ENXIO) }
