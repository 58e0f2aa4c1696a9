//go:build unix

package gate

import (
	"errors"
	"syscall"
)

func sysRead(fd uintptr, b []byte) (n int, err error) {
	for {
		n, err = syscall.Read(int(fd), b)
		if !errors.Is(err, syscall.EINTR) {
			return max(n, 0), err
		}
	}
}

// isAgain reports whether there is nothing to read yet.
func isAgain(err error) bool { return errors.Is(err, syscall.EAGAIN) }
