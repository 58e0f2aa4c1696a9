package gate

import (
	"io"
	"net"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"
)

// pipe is a pipe of the kernel between two connections. It is lent while bytes
// are on their way and given back empty.
type pipe struct{ r, w int }

// pipeSize is what a pipe holds: what the kernel grants to all, so that a long body
// takes fewer calls. The kernel may give less.
const pipeSize = 1 << 20

// pipes are lent like buffers; what the pool drops is closed.
var pipes sync.Pool

// lendPipe returns an empty pipe; an error where the process may open none.
func lendPipe() (*pipe, error) {
	if p, ok := pipes.Get().(*pipe); ok {
		return p, nil
	}
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return nil, err
	}
	_, _ = unix.FcntlInt(uintptr(fds[1]), unix.F_SETPIPE_SZ, pipeSize) // less is as good, slower
	p := &pipe{fds[0], fds[1]}
	runtime.SetFinalizer(p, (*pipe).close)
	return p, nil
}

func (p *pipe) close() {
	runtime.SetFinalizer(p, nil)
	_ = unix.Close(p.r)
	_ = unix.Close(p.w)
}

// canSplice reports whether the kernel moves bytes between two connections.
func canSplice(dst, src *side) bool { return isStream(dst.Conn) && isStream(src.Conn) }

func isStream(c net.Conn) bool {
	switch c.(type) {
	case *net.TCPConn, *net.UnixConn:
		return true
	}
	return false
}

// splicing is one splice at work; its functions are made once.
type splicing struct {
	p    *pipe
	want int // bytes to move at most in one piece
	n    int // bytes in the pipe
	err  error
	low  lowWater
}

func splice(dst, src *side, limit int64, moved func(int64) error) (total int64, err error) {
	var s splicing
	s.low.begin(src, limit)
	defer s.low.end()
	fill, drain := s.fill, s.drain
	defer func() {
		if s.p != nil {
			s.p.close() // it may hold bytes that found no taker
		}
	}()
	for limit < 0 || total < limit {
		s.want = pipeSize
		if limit >= 0 {
			s.want = int(min(limit-total, pipeSize))
		}
		s.n, s.err = 0, nil
		if err := src.raw.Read(fill); err != nil {
			return total, err
		}
		if s.err != nil {
			return total, ended(s.err, limit)
		}
		piece, told := int64(s.n), int64(0)
		for s.n > 0 && s.err == nil {
			had := s.n
			err := dst.raw.Write(drain)
			switch took := int64(had - s.n); {
			case err == nil:
			case took == 0 || !isTimeout(err):
				dst.late(err)
				return total, &writeError{err}
			default:
				// A pipe holds more than a slow taker may take in the time it has: this
				// one takes, and being told gives it time again.
				told, total = told+took, total+took
				if err := moved(took); err != nil {
					return total, err
				}
			}
		}
		if s.err != nil {
			return total, &writeError{s.err}
		}
		pipes.Put(s.p)
		s.p = nil
		total += piece - told
		s.low.passed(piece)
		if err := moved(piece - told); err != nil {
			return total, err
		}
		if limit < 0 && piece < bufferSize {
			return total, errFew
		}
	}
	return total, nil
}

// fill moves bytes from the source into a pipe, which is lent only now.
func (s *splicing) fill(fd uintptr) bool {
	if s.p == nil {
		if s.p, s.err = lendPipe(); s.err != nil {
			s.err = errNoPipe // whatever the system lacks for one
			return true
		}
	}
	s.low.before(int(fd))
	n, err := spliceOnce(int(fd), s.p.w, s.want)
	switch {
	case n > 0:
		s.n = n
		s.low.came()
		return true
	case err == unix.EAGAIN:
		s.low.awaits()
		pipes.Put(s.p)
		s.p = nil
		return false
	}
	pipes.Put(s.p)
	if s.p, s.err = nil, err; err == nil {
		s.err = io.EOF
	}
	return true
}

// drain moves what is in the pipe on.
func (s *splicing) drain(fd uintptr) bool {
	for s.n > 0 {
		n, err := spliceOnce(s.p.r, int(fd), s.n)
		switch {
		case n > 0:
			s.n -= n
		case err == unix.EAGAIN:
			return false
		case err == nil:
			s.err = io.ErrShortWrite
			return true
		default:
			s.err = err
			return true
		}
	}
	return true
}

// spliceOnce is one call. It never blocks, so the runtime is not told of it: it
// would take a call that moves much for one that hangs, and hand the processor on
// to another thread.
func spliceOnce(from, to, n int) (int, error) {
	for {
		k, _, errno := unix.RawSyscall6(unix.SYS_SPLICE, uintptr(from), 0, uintptr(to), 0, uintptr(n),
			unix.SPLICE_F_MOVE|unix.SPLICE_F_NONBLOCK)
		switch errno {
		case 0:
			return int(k), nil
		case unix.EINTR:
			continue
		case unix.EAGAIN:
			return 0, unix.EAGAIN // made once, unlike errno
		}
		return 0, errno
	}
}
