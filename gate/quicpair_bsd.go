//go:build unix && !linux

package gate

import "golang.org/x/sys/unix"

// pairType is what every system has.
const pairType = unix.SOCK_DGRAM
