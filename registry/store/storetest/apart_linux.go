package storetest

import "syscall"

// apart has a process take no signals of the terminal, and end with this one.
func apart(a *syscall.SysProcAttr) { a.Setpgid, a.Pdeathsig = true, syscall.SIGKILL }
