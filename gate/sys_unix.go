//go:build unix

package gate

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
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

// sysSilent reports whether there is neither something to read nor the end.
func sysSilent(fd uintptr) bool {
	look := [1]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	n, err := unix.Poll(look[:], 0)
	return n == 0 && err == nil
}
