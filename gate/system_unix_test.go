//go:build unix

package gate_test

import "syscall"

// What the tests ask of the system, which others than Unix have not.
const (
	sigHandOver = syscall.SIGUSR2 // to the program: start a new one in your place
	sigLog      = syscall.SIGUSR1
	sigHalt     = syscall.SIGSTOP
)

func makeFIFO(path string) error { return syscall.Mkfifo(path, 0o600) }

// shortSegments has a socket take n bytes at a time.
func shortSegments(fd uintptr, n int) error {
	return syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_MAXSEG, n)
}

// asUser has a program run as another user.
func asUser(uid, gid uint32) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: gid}}
}
