//go:build !unix

package storetest

import (
	"errors"
	"syscall"
)

// Unprivileged fails: nobody has yet run PostgreSQL for tests there.
func Unprivileged(string) (*syscall.SysProcAttr, error) { return nil, errors.ErrUnsupported }

func apart(*syscall.SysProcAttr) {}
