//go:build !unix

package gate_test

import (
	"errors"
	"syscall"
)

// Signals that there are not; sending one fails.
const (
	sigHandOver = syscall.Signal(-1)
	sigLog      = syscall.Signal(-1)
	sigHalt     = syscall.Signal(-1)
)

func makeFIFO(string) error { return errors.ErrUnsupported }

func shortSegments(uintptr, int) error { return errors.ErrUnsupported }

func asUser(uint32, uint32) *syscall.SysProcAttr { return nil }
