//go:build linux && !portable

package udp

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Socket is a UDP socket, listening or dialled. Its methods but Close may be used
// concurrently. It never blocks.
type Socket struct {
	fd       int
	v6       bool
	wildcard bool
	addr     netip.AddrPort // local, of a listening one
	uncut    atomic.Bool    // the kernel does not cut for it (any more)
	refused  atomic.Bool
}

// Sizes of the kernel's buffers: what comes while a loop is busy, a burst of a few
// hundred full datagrams of one server and some thousands of all clients. They
// count for nothing until they are used.
const (
	listenBuffer = 8 << 20
	dialBuffer   = 1 << 20
)

// Listen opens n sockets on an address; the kernel gives each client one of them,
// and always the same. The unspecified address of IPv6 takes IPv4 as well. It is
// an error if anybody has the port already.
func Listen(addr netip.AddrPort, n int) (list []*Socket, err error) {
	defer func() {
		if err != nil {
			closeAll(list)
			list = nil
		}
	}()
	for i := range max(n, 1) {
		s, err := listen(addr, i > 0)
		if err != nil {
			return list, err
		}
		list = append(list, s)
		addr = netip.AddrPortFrom(addr.Addr(), s.addr.Port())
		if i == 0 && n > 1 {
			// The first was bound alone, or two programs would share the port.
			if err := unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
				return list, fmt.Errorf("SO_REUSEPORT: %w", err)
			}
		}
	}
	return list, nil
}

func closeAll(list []*Socket) {
	for _, s := range list {
		s.Close()
	}
}

func listen(addr netip.AddrPort, beside bool) (*Socket, error) {
	v6 := addr.Addr().Is6() && !addr.Addr().Is4In6()
	fd, err := open(v6)
	if errors.Is(err, unix.EAFNOSUPPORT) && addr.Addr() == netip.IPv6Unspecified() {
		v6, addr = false, netip.AddrPortFrom(netip.IPv4Unspecified(), addr.Port())
		fd, err = open(v6)
	}
	if err != nil {
		return nil, err
	}
	if v6 && addr.Addr().IsUnspecified() {
		err = unix.SetsockoptInt(fd, unix.SOL_IPV6, unix.IPV6_V6ONLY, 0)
	}
	if err == nil && beside {
		err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
	}
	if err == nil {
		err = unix.Bind(fd, sockaddr(EndpointOf(addr), v6))
	}
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	return adopt(fd)
}

// open makes a socket.
func open(v6 bool) (int, error) {
	family := unix.AF_INET
	if v6 {
		family = unix.AF_INET6
	}
	return unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
}

// adopt sets up a socket that is bound.
func adopt(fd int) (*Socket, error) {
	sa, err := unix.Getsockname(fd)
	if err != nil {
		unix.Close(fd)
		return nil, err
	}
	s := &Socket{fd: fd}
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		s.addr = netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
	case *unix.SockaddrInet6:
		s.addr, s.v6 = netip.AddrPortFrom(netip.AddrFrom16(sa.Addr), uint16(sa.Port)), true
	default:
		unix.Close(fd)
		return nil, errors.New("it is no socket of UDP")
	}
	s.wildcard = s.addr.Addr().IsUnspecified()
	if s.wildcard {
		if s.v6 {
			err = unix.SetsockoptInt(fd, unix.SOL_IPV6, unix.IPV6_RECVPKTINFO, 1)
		} else {
			err = unix.SetsockoptInt(fd, unix.SOL_IP, unix.IP_PKTINFO, 1)
		}
		if err != nil {
			unix.Close(fd)
			return nil, fmt.Errorf("the kernel does not tell local addresses: %w", err)
		}
	}
	s.tune(listenBuffer)
	return s, nil
}

// mayForce: the process may have larger buffers than the system's limit.
var mayForce atomic.Bool

func init() { mayForce.Store(true) }

// tune asks for what is good to have.
func (s *Socket) tune(buffer int) {
	for _, o := range [2][2]int{{unix.SO_RCVBUFFORCE, unix.SO_RCVBUF}, {unix.SO_SNDBUFFORCE, unix.SO_SNDBUF}} {
		if mayForce.Load() {
			if s.set(unix.SOL_SOCKET, o[0], buffer) {
				continue
			}
			mayForce.Store(false)
		}
		s.set(unix.SOL_SOCKET, o[1], buffer)
	}
	s.set(unix.SOL_UDP, unix.UDP_GRO, 1)
	// Datagrams are never fragmented (RFC 9000 §14), and both ends look for the
	// size that fits themselves.
	if s.v6 {
		s.set(unix.SOL_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_PROBE)
	}
	s.set(unix.SOL_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_PROBE)
	s.uncut.Store(!mayCut())
}

// mayCut reports whether the kernel cuts: one that does not know the option does
// not.
var mayCut = sync.OnceValue(func() bool {
	fd, err := open(false)
	if err != nil {
		fd, err = open(true)
	}
	if err != nil {
		return true // who tries will see
	}
	defer unix.Close(fd)
	_, err = unix.GetsockoptInt(fd, unix.SOL_UDP, unix.UDP_SEGMENT)
	return err == nil
})

// set sets an option, and reports whether the system took it. Like sending, it is
// nothing that the scheduler has to know of.
func (s *Socket) set(level, option, value int) bool {
	v := int32(value)
	_, _, errno := unix.RawSyscall6(unix.SYS_SETSOCKOPT, uintptr(s.fd), uintptr(level), uintptr(option), uintptr(unsafe.Pointer(&v)), unsafe.Sizeof(v), 0)
	return errno == 0
}

// Dial opens a socket whose peer is to, and to which nobody else's datagrams come.
func Dial(to netip.AddrPort) (*Socket, error) {
	to = netip.AddrPortFrom(to.Addr().Unmap(), to.Port())
	s := &Socket{v6: to.Addr().Is6()}
	var err error
	if s.fd, err = open(s.v6); err != nil {
		return nil, err
	}
	var sa unix.RawSockaddrInet6
	peer := EndpointOf(to)
	n := s.name(&sa, &peer)
	if _, _, errno := unix.RawSyscall(unix.SYS_CONNECT, uintptr(s.fd), uintptr(unsafe.Pointer(&sa)), uintptr(n)); errno != 0 {
		unix.Close(s.fd)
		return nil, errno
	}
	s.tune(dialBuffer)
	return s, nil
}

func sockaddr(e Endpoint, v6 bool) unix.Sockaddr {
	if v6 {
		return &unix.SockaddrInet6{Addr: e.Addr, Port: int(e.Port), ZoneId: e.Zone}
	}
	return &unix.SockaddrInet4{Addr: [4]byte(e.Addr[12:]), Port: int(e.Port)}
}

// FromFile makes a listening socket of one that the process was handed. The file
// may be closed afterwards.
func FromFile(f *os.File) (*Socket, error) {
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	return adopt(fd)
}

// File is the socket, to be handed to another process.
func (s *Socket) File() (*os.File, error) {
	fd, err := unix.FcntlInt(uintptr(s.fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "udp "+s.addr.String()), nil
}

// Addr is the local address of a listening socket.
func (s *Socket) Addr() netip.AddrPort { return s.addr }

// Wildcard reports whether it listens on all addresses, so that its packets tell
// theirs.
func (s *Socket) Wildcard() bool { return s.wildcard }

// Refused reports whether the peer of a dialled socket has refused a datagram,
// and forgets it.
func (s *Socket) Refused() bool { return s.refused.Load() && s.refused.Swap(false) }

// Behind reports whether more than half of what the kernel keeps for it is waiting
// to be read; false where the kernel does not tell.
func (s *Socket) Behind() bool {
	// SK_MEMINFO_RMEM_ALLOC, SK_MEMINFO_RCVBUF and seven more, linux/sock_diag.h.
	var info [9]uint32
	size := uint32(unsafe.Sizeof(info))
	_, _, errno := unix.RawSyscall6(unix.SYS_GETSOCKOPT, uintptr(s.fd), unix.SOL_SOCKET, unix.SO_MEMINFO, uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&size)), 0)
	return errno == 0 && size >= 8 && info[0] > info[1]/2
}

// Close closes it. Nobody may use it any more.
func (s *Socket) Close() { unix.RawSyscall(unix.SYS_CLOSE, uintptr(s.fd), 0, 0) }
