package gate

import (
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// The keep-alive of clients' connections: a client that has vanished is found
// within two minutes or so. It is set on the listening socket, from which Linux
// hands it on, so that accepting takes no calls for it.
const (
	keepAliveIdle   = 60 * time.Second
	keepAliveEvery  = 15 * time.Second
	keepAliveProbes = 4
)

// controlListen is net.ListenConfig.Control of a listener.
func controlListen(network, _ string, c syscall.RawConn) error {
	if network == "unix" {
		return nil
	}
	var sockErr error
	err := c.Control(func(fd uintptr) {
		for _, o := range []struct{ level, name, value int }{
			{unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
			{unix.SOL_TCP, unix.TCP_KEEPIDLE, int(keepAliveIdle.Seconds())},
			{unix.SOL_TCP, unix.TCP_KEEPINTVL, int(keepAliveEvery.Seconds())},
			{unix.SOL_TCP, unix.TCP_KEEPCNT, keepAliveProbes},
		} {
			if sockErr == nil {
				sockErr = unix.SetsockoptInt(int(fd), o.level, o.name, o.value)
			}
		}
	})
	if err != nil {
		return err
	}
	return sockErr
}

// untaken reports whether the other end has not taken yet what was sent to it
// (SIOCOUTQ of tcp(7)).
func untaken(c *net.TCPConn) bool {
	raw, err := c.SyscallConn()
	if err != nil {
		return false
	}
	n := 0
	err = raw.Control(func(fd uintptr) { n, _ = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ) })
	return err == nil && n > 0
}
