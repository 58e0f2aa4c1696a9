//go:build unix && !linux

package gate

import "golang.org/x/sys/unix"

func sysRead(fd uintptr, b []byte) (n int, err error) { return sysMove(unix.Read, fd, b) }

func sysWrite(fd uintptr, b []byte) (n int, err error) { return sysMove(unix.Write, fd, b) }

func sysMove(call func(int, []byte) (int, error), fd uintptr, b []byte) (n int, err error) {
	for {
		if n, err = call(int(fd), b); err != unix.EINTR {
			return max(n, 0), err
		}
	}
}
