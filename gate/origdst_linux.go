package gate

import (
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// originalSupported: the system tells original destinations.
const originalSupported = true

// soOriginalDst is SO_ORIGINAL_DST and IP6T_SO_ORIGINAL_DST of
// linux/netfilter_ipv4.h and netfilter_ipv6/ip6_tables.h.
const soOriginalDst = 80

// originalDst tells where a connection was meant for before the packet filter
// turned it. A connection that was not turned has none, which is an error.
func originalDst(c *net.TCPConn, mode OriginalMode) (netip.AddrPort, error) {
	local := c.LocalAddr().(*net.TCPAddr).AddrPort()
	local = netip.AddrPortFrom(local.Addr().Unmap(), local.Port())
	if mode == TProxy {
		return local, nil
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return netip.AddrPort{}, err
	}
	var dst netip.AddrPort
	var sockErr error
	err = raw.Control(func(fd uintptr) {
		if local.Addr().Is4() {
			dst, sockErr = originalDst4(int(fd))
		} else {
			dst, sockErr = originalDst6(int(fd))
		}
	})
	if err == nil {
		err = sockErr
	}
	if err != nil {
		return dst, fmt.Errorf("original destination of a connection to %s: %w", local, err)
	}
	return dst, nil
}

// originalDst4 borrows the call for an option of 20 bytes: x/sys has none that
// fills a sockaddr_in of 16.
func originalDst4(fd int) (netip.AddrPort, error) {
	mreq, err := unix.GetsockoptIPv6Mreq(fd, unix.SOL_IP, soOriginalDst)
	if err != nil {
		return netip.AddrPort{}, err
	}
	sa := mreq.Multiaddr // family, port, address
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte(sa[4:8])), uint16(sa[2])<<8|uint16(sa[3])), nil
}

// originalDst6 borrows the call for an option that begins with a sockaddr_in6.
func originalDst6(fd int) (netip.AddrPort, error) {
	info, err := unix.GetsockoptIPv6MTUInfo(fd, unix.SOL_IPV6, soOriginalDst)
	if err != nil {
		return netip.AddrPort{}, err
	}
	// The port lies in the network's order, whatever the machine's is.
	port := (*[2]byte)(unsafe.Pointer(&info.Addr.Port))
	return netip.AddrPortFrom(netip.AddrFrom16(info.Addr.Addr), uint16(port[0])<<8|uint16(port[1])), nil
}

// controlTransparent is net.ListenConfig.Control of a TPROXY listener: it takes
// connections to addresses that are not the machine's.
func controlTransparent(network, _ string, c syscall.RawConn) error {
	var sockErr error
	err := c.Control(func(fd uintptr) {
		if sockErr = unix.SetsockoptInt(int(fd), unix.SOL_IP, unix.IP_TRANSPARENT, 1); sockErr == nil && network != "tcp4" {
			sockErr = unix.SetsockoptInt(int(fd), unix.SOL_IPV6, unix.IPV6_TRANSPARENT, 1)
		}
	})
	if err == nil {
		err = sockErr
	}
	if err != nil {
		return fmt.Errorf("original-dst tproxy: the socket cannot be made transparent (expect the capability CAP_NET_ADMIN): %w", err)
	}
	return nil
}

// controlUpstream makes the control function of an upstream's socket: what has
// been sent and is not acknowledged within unacked ends the connection, so that
// a peer that has vanished holds no sockets for the quarter of an hour that the
// kernel would try.
func controlUpstream(unacked time.Duration) func(network, address string, c syscall.RawConn) error {
	return func(network, _ string, c syscall.RawConn) error {
		if network == "unix" {
			return nil // knows no options of TCP
		}
		return setUserTimeout(c, unacked)
	}
}

// setUserTimeout sets TCP_USER_TIMEOUT.
func setUserTimeout(c syscall.RawConn, unacked time.Duration) error {
	var sockErr error
	err := c.Control(func(fd uintptr) {
		sockErr = unix.SetsockoptInt(int(fd), unix.SOL_TCP, unix.TCP_USER_TIMEOUT, int(unacked.Milliseconds()))
	})
	if err == nil {
		err = sockErr
	}
	return err
}
