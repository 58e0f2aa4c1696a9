package gate

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"net"
	"sync/atomic"
	"time"
)

// h2Wire is a client's connection with HTTP/2, for package http2, which knows no
// deadline of a head, and a body by whole frames alone. A head must come within
// its time, however it is cut; what comes of a frame of a body is handed on as a
// frame, so that it is seen how fast it comes; and frames that ask for nothing may
// come only so often. It is read by one goroutine and written by another.
type h2Wire struct {
	net.Conn
	c *conn
	r *bufio.Reader

	head  [frameHead]byte // of the last frame
	part  [frameHead]byte // of a piece of it
	out   []byte          // of either, still to be handed out
	left  int             // of a frame's bytes, still to be handed out
	rest  int             // of a frame of a body, whose head was handed out for what had come
	block bool            // a head is under way, over several frames
	timed bool            // there is a deadline
	calm  calm

	writing atomic.Bool
}

// What RFC 9113 §4.1 and §6 say of frames.
const (
	frameHead = 9

	frameData         = 0
	frameHeaders      = 1
	frameWindowUpdate = 8
	frameContinuation = 9

	flagEndStream  = 1
	flagEndHeaders = 4
	flagPadded     = 8
)

// newH2Wire begins with the client's preface.
func newH2Wire(nc net.Conn, c *conn) net.Conn {
	w := &h2Wire{Conn: nc, c: c, r: bufio.NewReaderSize(nc, h2Buffer), left: len("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")}
	w.time()
	if t, ok := nc.(*tls.Conn); ok {
		return &h2TLSWire{w, t}
	}
	return w
}

// h2Buffer is for what comes at once; a connection has it to its end.
const h2Buffer = 4 << 10

// h2TLSWire tells package http2 of the TLS that it is over.
type h2TLSWire struct {
	*h2Wire
	tls *tls.Conn
}

// ConnectionState is what package http2 asks for.
func (w *h2TLSWire) ConnectionState() tls.ConnectionState { return w.tls.ConnectionState() }

// Read implements net.Conn.
func (w *h2Wire) Read(p []byte) (n int, err error) {
	if len(w.out) == 0 && w.left == 0 {
		if err := w.next(); err != nil {
			return 0, err
		}
	}
	if len(w.out) > 0 {
		n = copy(p, w.out)
		w.out = w.out[n:]
		return n, nil
	}
	n, err = w.r.Read(p[:min(len(p), w.left)])
	w.left -= n
	w.c.s.metrics.in.Add(uint64(n))
	return n, err
}

// next has the head of the next frame, or piece of one, be handed out.
func (w *h2Wire) next() error {
	if w.rest > 0 {
		return w.piece()
	}
	if !w.block && w.timed {
		_ = w.Conn.SetReadDeadline(time.Time{})
		w.timed = false
	}
	if _, err := w.r.Peek(1); err != nil {
		return err
	}
	if w.r.Buffered() < frameHead {
		w.time()
	}
	b, err := w.r.Peek(frameHead)
	if err != nil {
		return err
	}
	copy(w.head[:], b)
	_, _ = w.r.Discard(frameHead) // which are there
	w.c.s.metrics.in.Add(frameHead)
	kind, flags, length := w.head[3], w.head[4], int(w.head[0])<<16|int(binary.BigEndian.Uint16(w.head[1:3]))
	if kind == frameHeaders || kind == frameContinuation {
		w.block = flags&flagEndHeaders == 0
	}
	if asksNothing(kind, flags, length) && !w.calm.take(time.Now()) {
		w.c.s.metrics.frames.Inc()
		return errFlood
	}
	if kind == frameData && length > 0 {
		return w.data(length, flags)
	}
	if w.block || length > w.r.Buffered() {
		w.time()
	}
	w.out, w.left = w.head[:], length
	return nil
}

// data hands out a frame of a body: what has come of it, where it may be cut.
func (w *h2Wire) data(length int, flags byte) error {
	if w.timed {
		_ = w.Conn.SetReadDeadline(time.Time{}) // its stream is watched
		w.timed = false
	}
	if flags&flagPadded != 0 || length > maxFrame {
		w.out, w.left = w.head[:], length
		return nil
	}
	w.rest = length
	return w.piece()
}

// piece hands out what has come of a frame of a body as a frame.
func (w *h2Wire) piece() error {
	if _, err := w.r.Peek(1); err != nil {
		return err
	}
	n := min(w.rest, w.r.Buffered())
	w.rest -= n
	w.part = w.head
	w.part[0], w.part[1], w.part[2] = byte(n>>16), byte(n>>8), byte(n)
	if w.rest > 0 {
		w.part[4] &^= flagEndStream
	}
	w.out, w.left = w.part[:], n
	return nil
}

// time gives what is under way its time, if it has not been given it.
func (w *h2Wire) time() {
	if !w.timed {
		w.timed = true
		_ = w.Conn.SetReadDeadline(time.Now().Add(w.c.s.timeouts.head))
	}
}

// Write implements net.Conn.
func (w *h2Wire) Write(p []byte) (int, error) {
	w.writing.Store(true)
	n, err := w.Conn.Write(p)
	w.writing.Store(false)
	if n == 0 && isTimeout(err) { // where a part was taken, package http2 goes on
		endsByReset(w.Conn)
	}
	w.c.s.metrics.out.Add(uint64(n))
	return n, err
}

// Close implements net.Conn. A write that waits for its taker then is of one that has
// answered no ping, or is to be cut off.
func (w *h2Wire) Close() error {
	if w.writing.Load() {
		endsByReset(w.Conn)
	}
	return w.Conn.Close()
}

// asksNothing reports whether a frame neither begins a request nor moves one: what
// it costs us, nothing holds back. One of an unknown kind is none that does.
func asksNothing(kind, flags byte, length int) bool {
	switch kind {
	case frameData:
		return length == 0 && flags&flagEndStream == 0
	case frameContinuation:
		return length == 0
	}
	return kind != frameHeaders && kind != frameWindowUpdate
}

// errFlood ends a connection.
var errFlood = errors.New("more frames than any client needs that ask for nothing")

// calm is how many more frames that ask for nothing may come. The zero value is
// as many as may come at once.
type calm struct {
	used int
	at   time.Time
}

// As many as calmBurst may come at once, and calmRate a second: browsers that leave
// a page reset some hundred streams, and nobody sends as many pings.
const (
	calmBurst = 1000
	calmRate  = 100
)

// take takes one, if it may come.
func (q *calm) take(now time.Time) bool {
	if since := now.Sub(q.at); since > 0 {
		back := min(int64(since.Seconds()*calmRate), calmBurst)
		if q.used = max(0, q.used-int(back)); back > 0 {
			q.at = now
		}
	}
	q.used++
	return q.used <= calmBurst
}
