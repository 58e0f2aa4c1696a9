//go:build !unix

package gate

import (
	"errors"
	"os"
)

// Where there are no descriptors connections are read as they come: newSide
// finds nothing that reads otherwise.
func sysRead(uintptr, []byte) (int, error) { return 0, errors.ErrUnsupported }

func sysWrite(uintptr, []byte) (int, error) { return 0, errors.ErrUnsupported }

func isAgain(error) bool { return false }

func sysSilent(uintptr) bool { return true }

const sysCanWait = false

func sysReadable(uintptr) bool { return true }

func socketPair() (ours, theirs *os.File, err error) { return nil, nil, errors.ErrUnsupported }

func sysAccept(uintptr) *os.File { return nil }

func sysDup(uintptr) int { return -1 }

func sysClose(int) {}
