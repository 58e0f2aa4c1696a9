package gate

import (
	"net"
	"syscall"
)

// over reports whether it has ended, and all its connections have.
func (l *listener) over() bool {
	select {
	case <-l.deaf:
		return l.taken.Load() == 0
	default:
		return false
	}
}

// end takes no more connections than those that have come already: closing resets
// what waits to be accepted, and with it what its clients have asked.
func (l *listener) end() {
	if !l.closing.Swap(true) {
		close(l.ending)
		q := l.queueOf()
		l.Close()
		<-l.deaf // who is between accept and take counts before anybody looks whether all have gone
		q.take(l)
		l.crew.end()
	}
	l.Close()
}

// queue is another descriptor of a listening socket, by which what waits there
// outlives the first. Below 0 is none.
type queue int

// queueOf returns the queue of the listener that is to end: none where another
// process goes on with it, or where no descriptor is left.
func (l *listener) queueOf() queue {
	s, ok := l.Listener.(syscall.Conn)
	if !ok || l.handed.Load() {
		return -1
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return -1
	}
	q := -1
	if err := raw.Control(func(fd uintptr) { q = sysDup(fd) }); err != nil {
		return -1
	}
	return queue(q)
}

// mostWaiting bounds how many are taken at the end: Linux lets no more wait, unless
// somebody has changed that (net.core.somaxconn).
const mostWaiting = 4096

// take takes the connections that wait, and closes the socket. Between the look that
// finds none and the end there is nothing but one call after the other: what comes
// then is lost, as is all that no descriptor is left for.
func (q queue) take(l *listener) {
	if q < 0 {
		return
	}
	defer sysClose(int(q))
	for range mostWaiting {
		f := sysAccept(uintptr(q))
		if f == nil {
			return
		}
		if c, err := net.FileConn(f); err == nil {
			l.take(c)
		}
		f.Close()
	}
}
