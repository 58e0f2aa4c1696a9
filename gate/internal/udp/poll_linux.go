//go:build linux && !portable

package udp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Poller waits for datagrams on many sockets at once. Make one with NewPoller.
// Wait is for one goroutine, the other methods may be used concurrently.
//
// It sleeps in the runtime's own poller, of which its descriptor is one: in a system
// call of its own it would have the scheduler's watcher awake, which looks 20,000
// times a second whether it has got stuck.
type Poller struct {
	epoll, wake int
	file        *os.File // epoll
	raw         syscall.RawConn
	events      [128]unix.EpollEvent
	ready       [128]uint64

	// Of Wait.
	until time.Time // the deadline of the file; zero is none
	n     int
	err   error
	take  func(fd uintptr) bool // made once, since it escapes
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
	if err = p.park(); err == nil {
		err = p.add(wake, wakeToken)
	}
	if err != nil {
		p.Close()
		return nil, err
	}
	return p, nil
}

// park puts the poller into the runtime's.
func (p *Poller) park() (err error) {
	nonblocking := unix.SetNonblock(p.epoll, true) // or it would be no file to wait for
	p.file = os.NewFile(uintptr(p.epoll), "epoll")
	p.take = p.look
	if nonblocking != nil {
		return fmt.Errorf("epoll: %w", nonblocking)
	}
	if err := p.file.SetReadDeadline(time.Time{}); err != nil {
		return fmt.Errorf("epoll: %w", err)
	}
	p.raw, err = p.file.SyscallConn()
	return err
}

// look takes what is ready, and reports whether there is anything.
func (p *Poller) look(fd uintptr) bool {
	for {
		n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, fd, uintptr(unsafe.Pointer(&p.events[0])), uintptr(len(p.events)), 0, 0, 0)
		switch errno {
		case 0:
			p.n = int(n)
			return n > 0
		case unix.EINTR:
		default:
			p.n, p.err = 0, errno
			return true
		}
	}
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
	p.n, p.err = 0, nil
	if d == 0 {
		p.look(uintptr(p.epoll))
	} else {
		p.limit(d)
		switch err := p.raw.Read(p.take); {
		case errors.Is(err, os.ErrDeadlineExceeded):
			p.until = past // whatever it was
		case err != nil:
			return nil, err
		}
	}
	n := p.n
	if p.err != nil {
		return nil, p.err
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

// limit has the next read end in d. A deadline that comes before is left: setting
// one costs more than to wait again.
func (p *Poller) limit(d time.Duration) {
	now := time.Now()
	end := now.Add(d)
	switch {
	case p.until.After(now) && (d < 0 || !p.until.After(end)):
		return
	case d < 0:
		if p.until.IsZero() {
			return
		}
		end = time.Time{}
	}
	p.until = end
	_ = p.file.SetReadDeadline(end)
}

// past is a deadline that is over.
var past = time.Unix(1, 0)

// Wake has Wait return.
func (p *Poller) Wake() {
	var b [8]byte
	binary.NativeEndian.PutUint64(b[:], 1)
	_, _ = unix.Write(p.wake, b[:]) // it is awake where this fails
}

// Close closes it. The sockets stay open.
func (p *Poller) Close() {
	p.file.Close()
	unix.Close(p.wake)
}
