//go:build unix

package gate

import (
	"os"

	"golang.org/x/sys/unix"
)

// isAgain reports whether there is nothing to read yet, or no room to write.
func isAgain(err error) bool { return err == unix.EAGAIN }

// sysSilent reports whether there is neither something to read nor the end.
func sysSilent(fd uintptr) bool {
	look := [1]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	for {
		// A signal, as the Go runtime sends its threads, ends the call even where it
		// does not wait.
		if n, err := unix.Poll(look[:], 0); err != unix.EINTR {
			return n == 0 && err == nil
		}
	}
}

// sysCanWait: sysReadable tells.
const sysCanWait = true

// sysReadable reports whether there is something to read, or the end.
func sysReadable(fd uintptr) bool { return !sysSilent(fd) }

// sysAccept takes a connection that waits at a listening socket; nil where there is
// none, or it cannot be taken.
func sysAccept(fd uintptr) *os.File {
	for {
		n, _, err := unix.Accept(int(fd))
		switch err {
		case nil:
			unix.CloseOnExec(n)
			return os.NewFile(uintptr(n), "accepted")
		case unix.EINTR, unix.ECONNABORTED:
		default:
			return nil
		}
	}
}

// sysDup returns another descriptor of a socket; below 0 where there can be none.
func sysDup(fd uintptr) int {
	n, err := unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return -1
	}
	return n
}

func sysClose(fd int) { _ = unix.Close(fd) }
