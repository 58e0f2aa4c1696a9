//go:build unix

package gate

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// handBuffer is what a pair of sockets holds: datagrams of some milliseconds.
const handBuffer = 4 << 20

// socketPair makes two sockets that are connected, and keep messages apart and in
// order.
func socketPair() (ours, theirs *os.File, err error) {
	syscall.ForkLock.RLock()
	fds, err := unix.Socketpair(unix.AF_UNIX, pairType, 0)
	if err == nil {
		unix.CloseOnExec(fds[0])
		unix.CloseOnExec(fds[1])
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, nil, err
	}
	for _, fd := range fds {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, handBuffer)
	}
	return os.NewFile(uintptr(fds[0]), "quic"), os.NewFile(uintptr(fds[1]), "quic"), nil
}
