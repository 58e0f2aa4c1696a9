package gate

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// sysRead and sysWrite do not tell the scheduler: the descriptors of connections
// do not block, and a call lasts some microseconds. Told of it, the scheduler's
// watcher wakes 50,000 times a second to see whether one has got stuck, and hands
// the work on to another thread whenever this one was interrupted in it.

func sysRead(fd uintptr, b []byte) (n int, err error) { return sysMove(unix.SYS_READ, fd, b) }

func sysWrite(fd uintptr, b []byte) (n int, err error) { return sysMove(unix.SYS_WRITE, fd, b) }

func sysMove(call, fd uintptr, b []byte) (int, error) {
	for {
		n, _, errno := unix.RawSyscall(call, fd, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
		switch errno {
		case 0:
			return int(n), nil
		case unix.EAGAIN:
			return 0, errAgain
		case unix.EINTR:
		default:
			return 0, errno
		}
	}
}

// errAgain is made once: an errno in an interface may cost an allocation.
var errAgain error = unix.EAGAIN
