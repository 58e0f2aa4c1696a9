//go:build linux && !portable

package udp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Poller waits for datagrams on many sockets at once. Make one with NewPoller.
// Wait is for one goroutine, the other methods may be used concurrently.
type Poller struct {
	epoll, wake int
	events      [128]unix.EpollEvent
	ready       [128]uint64
}

// NewPoller makes a Poller.
func NewPoller() (*Poller, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll: %w", err)
	}
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		unix.Close(epoll)
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	p := &Poller{epoll: epoll, wake: wake}
	if err := p.add(wake, wakeToken); err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

// wakeToken is no socket's.
const wakeToken = 1<<64 - 1

// Add has Wait tell of a socket by token until it is closed.
func (p *Poller) Add(s *Socket, token uint64) error { return p.add(s.fd, token) }

func (p *Poller) add(fd int, token uint64) error {
	e := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(uint32(token)), Pad: int32(uint32(token >> 32))}
	_, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_CTL, uintptr(p.epoll), unix.EPOLL_CTL_ADD, uintptr(fd), uintptr(unsafe.Pointer(&e)), 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// Remove has Wait tell of a socket no more.
func (p *Poller) Remove(s *Socket) { _ = unix.EpollCtl(p.epoll, unix.EPOLL_CTL_DEL, s.fd, nil) }

// Wait waits until there is something to read on a socket, or was woken, or d has
// passed; it has no end if d is negative. It returns the tokens of the sockets,
// valid until the next call.
func (p *Poller) Wait(d time.Duration) ([]uint64, error) {
	ms := -1
	if d >= 0 {
		ms = int((d + time.Millisecond - 1) / time.Millisecond)
	}
	n, err := unix.EpollWait(p.epoll, p.events[:], ms)
	if errors.Is(err, unix.EINTR) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	list := p.ready[:0]
	for _, e := range p.events[:n] {
		token := uint64(uint32(e.Pad))<<32 | uint64(uint32(e.Fd))
		if token == wakeToken {
			var b [8]byte
			_, _ = unix.Read(p.wake, b[:])
			continue
		}
		list = append(list, token)
	}
	return list, nil
}

// Wake has Wait return.
func (p *Poller) Wake() {
	var b [8]byte
	binary.NativeEndian.PutUint64(b[:], 1)
	_, _ = unix.Write(p.wake, b[:]) // it is awake where this fails
}

// Close closes it. The sockets stay open.
func (p *Poller) Close() {
	unix.Close(p.epoll)
	unix.Close(p.wake)
}
