//go:build !linux

package gate

import (
	"net"
	"syscall"
)

// controlListen leaves sockets as they are: other systems hand nothing on from
// the listening socket.
func controlListen(string, string, syscall.RawConn) error { return nil }

// untaken reports whether the other end has not taken yet what was sent to it, which
// is not known here.
func untaken(*net.TCPConn) bool { return false }
