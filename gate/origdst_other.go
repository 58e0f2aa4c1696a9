//go:build !linux

package gate

import (
	"errors"
	"net"
	"net/netip"
	"syscall"
	"time"
)

// originalSupported: the system tells no original destinations, so that setup
// refuses original-dst and nothing below is reached.
const originalSupported = false

var errLinuxOnly = errors.New("only Linux tells the original destination of a connection")

func originalDst(*net.TCPConn, OriginalMode) (netip.AddrPort, error) {
	return netip.AddrPort{}, errLinuxOnly
}

func controlTransparent(string, string, syscall.RawConn) error { return errLinuxOnly }

// controlUpstream sets nothing: TCP_USER_TIMEOUT is Linux's.
func controlUpstream(time.Duration) func(network, address string, c syscall.RawConn) error {
	return nil
}

func setUserTimeout(syscall.RawConn, time.Duration) error { return nil }
