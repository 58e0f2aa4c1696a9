//go:build unix && !linux

package storetest

import "syscall"

// apart has a process take no signals of the terminal.
func apart(a *syscall.SysProcAttr) { a.Setpgid = true }
