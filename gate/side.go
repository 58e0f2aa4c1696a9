package gate

import (
	"crypto/tls"
	"io"
	"net"
	"syscall"
	"time"
)

// side is one end of what a gate relays: the client's connection or the
// upstream's. It reads into buffers that are lent only once there is something to
// read, where the connection is one of the system's. It is used by one goroutine
// a direction.
type side struct {
	net.Conn
	raw  syscall.RawConn // nil where the connection is none of the system's, as TLS that is ended here
	want *[]byte         // where ready puts what it read
	n    int
	err  error
	// ready is read from the system's poller. It is made once, since it escapes.
	ready func(fd uintptr) bool
	look  func(fd uintptr) // made once, as well, by silent
	still bool             // what it saw

	// What is being written, how much of it was, and how: made once, as well.
	from  []byte
	wrote int
	werr  error
	room  func(fd uintptr) bool
}

// newSide wraps a connection; one that a wrapper hides from the system's calls
// is read as it comes.
func newSide(c net.Conn) *side {
	s := &side{Conn: c}
	if sc, ok := c.(syscall.Conn); ok {
		if raw, err := sc.SyscallConn(); err == nil {
			s.raw = raw
			s.ready, s.room = s.readReady, s.writeReady
		}
	}
	return s
}

// read puts what there is to read behind what is in *b, and waits for it without
// holding a buffer: where *b is nil, one is lent when there is something. It
// returns io.EOF at the end, and leaves *b nil where nothing was read into it.
func (s *side) read(b **[]byte) (n int, err error) {
	if s.raw == nil || *b != nil {
		return s.readInto(b)
	}
	s.want, s.n, s.err = nil, 0, nil
	if err := s.raw.Read(s.ready); err != nil {
		return 0, err
	}
	*b = s.want
	s.want = nil
	return s.n, s.err
}

// waits reports whether wait can be called: not where it would not be seen that
// there is something to read.
func (s *side) waits() bool { return s.raw != nil && sysCanWait }

// wait waits until there is something to read, or the end, and reads nothing. It
// takes little stack.
func (s *side) wait() error { return s.raw.Read(sysReadable) }

// readInto reads into the buffer that is there, or a lent one.
func (s *side) readInto(b **[]byte) (int, error) {
	if *b == nil {
		*b = lend()
	}
	p := grow(**b)
	n, err := s.Conn.Read(p[len(p):cap(p)])
	**b = p[:len(p)+n]
	if n == 0 && len(p) == 0 {
		giveBack(*b)
		*b = nil
	}
	return n, err
}

// readReady is called when there may be something to read.
func (s *side) readReady(fd uintptr) bool {
	b := lend()
	n, err := sysRead(fd, (*b)[:cap(*b)])
	if n > 0 {
		*b = (*b)[:n]
		s.want, s.n = b, n
		return true
	}
	giveBack(b)
	if isAgain(err) {
		return false
	}
	if err == nil {
		err = io.EOF
	}
	s.err = err
	return true
}

// Write writes all of b, or returns an error.
func (s *side) Write(b []byte) (int, error) {
	if s.raw == nil || len(b) == 0 {
		n, err := s.Conn.Write(b)
		s.late(err)
		return n, err
	}
	s.from, s.wrote, s.werr = b, 0, nil
	err := s.raw.Write(s.room)
	s.from = nil
	if err == nil {
		err = s.werr
	}
	s.late(err)
	return s.wrote, err
}

// late has the connection end with a reset where the error of a write is that its
// taker has had its time.
func (s *side) late(err error) {
	if isTimeout(err) {
		endsByReset(s.Conn)
	}
}

// endsByReset has a connection end with a reset when it is closed, since its taker has
// had its time. The system would keep what it has not taken for minutes yet, beside all
// that limits bound: 3.5 MB for 340 s of a client on loopback.
func endsByReset(c net.Conn) {
	for {
		switch in := c.(type) {
		case *tls.Conn:
			c = in.NetConn()
		case *replayed:
			c = in.Conn
		case *net.TCPConn:
			_ = in.SetLinger(0)
			return
		default:
			return
		}
	}
}

// writeReady is called when there may be room to write.
func (s *side) writeReady(fd uintptr) bool {
	for s.wrote < len(s.from) {
		n, err := sysWrite(fd, s.from[s.wrote:])
		if s.wrote += n; err != nil {
			if isAgain(err) {
				return false
			}
			s.werr = err
			return true
		}
	}
	return true
}

// silent reports whether there is nothing to read, and no end either. Where the
// connection is neither one of the system's nor TLS over one that cannot be told,
// and it is. The deadline for reading is not what it was afterwards.
func (s *side) silent() bool {
	if t, ok := s.Conn.(*tls.Conn); ok {
		return newSide(t.NetConn()).silent() && nothingRead(t)
	}
	if s.raw == nil {
		return true
	}
	if s.look == nil {
		s.look = s.peek
	}
	return s.raw.Control(s.look) == nil && s.still
}

// nothingRead reports whether a TLS connection holds no byte that it has read
// already: it may have taken several records at once. What the peer says of the
// session alone is worked off by this.
func nothingRead(t *tls.Conn) bool {
	_ = t.SetReadDeadline(past) // what is at the socket is left there
	n, err := t.Read(make([]byte, 1))
	return n == 0 && isTimeout(err)
}

func (s *side) peek(fd uintptr) { s.still = sysSilent(fd) }

// closeWrite ends the direction away from us, so that the other end reads EOF
// and may go on sending.
func (s *side) closeWrite() error {
	if c, ok := s.Conn.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return s.Conn.Close()
}

// Limits of what is read from a client that was answered and is to go: an early
// close would turn into a reset, and lose the answer.
const (
	lingerBytes = 64 << 10
	lingerTime  = 2 * time.Second
)

// linger ends the write side, discards what still comes within limits, and
// closes.
func (s *side) linger(now time.Time) { s.lingerFor(now, lingerBytes) }

// lingerFor is linger with another limit for what is discarded.
func (s *side) lingerFor(now time.Time, most int) {
	defer s.Close()
	if s.closeWrite() != nil {
		return
	}
	_ = s.SetReadDeadline(now.Add(lingerTime))
	for left := most; left > 0; {
		var b *[]byte
		n, err := s.read(&b)
		if b != nil {
			giveBack(b)
		}
		if left -= n; err != nil {
			return
		}
	}
}
