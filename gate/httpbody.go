package gate

import (
	"errors"
	"io"
	"sync/atomic"
	"time"

	"github.com/icpgate/icpgate/gate/sniff"
)

// bodyFraming follows a body to its end.
type bodyFraming struct {
	chunked bool
	left    int64 // of a body with a length; -1 is until the end of the connection
	chunks  sniff.Chunks
}

// start takes in what has come of a body already, and returns how many of the
// bytes belong to it.
func (f *bodyFraming) start(frame sniff.Framing, b []byte) int {
	f.chunked, f.left = frame.Chunked, frame.ContentLength
	return f.take(b)
}

// take steps over what has come.
func (f *bodyFraming) take(b []byte) (n int) {
	switch {
	case f.chunked:
		return f.chunks.Next(b)
	case f.left < 0:
		return len(b)
	}
	n = int(min(int64(len(b)), f.left))
	f.left -= int64(n)
	return n
}

// appendPayload takes what has come of a body, and appends what it carries. It
// returns how many of the bytes belong to it.
func (f *bodyFraming) appendPayload(payload, b []byte) ([]byte, int) {
	for n := 0; ; {
		k := int(min(int64(len(b)-n), max(0, f.straight())))
		if k == 0 && (n == len(b) || f.done() || f.bad()) {
			return payload, n
		}
		if payload = append(payload, b[n:n+k]...); k > 0 {
			f.skip(int64(k))
		} else {
			k = f.chunks.Next(b[n : n+1])
		}
		n += k
	}
}

func (f *bodyFraming) done() bool {
	if f.chunked {
		return f.chunks.Done()
	}
	return f.left == 0
}

func (f *bodyFraming) bad() bool { return f.chunked && f.chunks.Bad() }

// straight returns how many bytes are to come that need not be looked at; -1 is
// all there are.
func (f *bodyFraming) straight() int64 {
	if f.chunked {
		return f.chunks.Data()
	}
	return f.left
}

// skip steps over n of them.
func (f *bodyFraming) skip(n int64) {
	switch {
	case f.chunked:
		f.chunks.Skip(n)
	case f.left > 0:
		f.left -= n
	}
}

// spliceFrom is how long a piece must be to go through the kernel unseen: below
// it, a copy is cheaper than the calls.
const spliceFrom = 64 << 10

var errBadChunk = errors.New("the body is malformed")

// relayBody moves the rest of a body from src to dst. rest returns bytes behind
// its end, which were read with it; moved is told of every piece.
func relayBody(dst, src *side, f *bodyFraming, moved func(int64) error, rest func([]byte)) error {
	for !f.done() {
		if n := f.straight(); n < 0 || n >= spliceFrom {
			k, err := pump(dst, src, n, moved)
			if n < 0 {
				f.left = 0
				return err
			}
			if f.skip(k); err != nil {
				return err
			}
			continue
		}
		if err := relayPiece(dst, src, f, moved, rest); err != nil {
			return err
		}
	}
	return nil
}

// relayPiece moves what comes next.
func relayPiece(dst, src *side, f *bodyFraming, moved func(int64) error, rest func([]byte)) error {
	var b *[]byte
	_, err := src.read(&b)
	if b == nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return err
	}
	defer func() { giveBack(b) }()
	n := f.take(*b)
	if n > 0 {
		if _, err := dst.Write((*b)[:n]); err != nil {
			return &writeError{err}
		}
		if err := moved(int64(n)); err != nil {
			return err
		}
	}
	if f.bad() {
		return errBadChunk
	}
	if n < len(*b) {
		rest((*b)[n:])
	}
	return nil
}

// upload is the rest of a request's body on its way, in a goroutine of its own:
// the response may come first.
type upload struct {
	h       *httpConn
	body    bodyFraming
	up      *side
	rate    bodyRate
	last    time.Time     // of the last byte
	stopped atomic.Bool   // by interrupt
	done    chan struct{} // closed at the end
	err     error         // read after done
	rest    []byte        // of the client, behind the body; read after done
	early   bool          // the response began before done; of whoever reads that
}

var errPanic = errors.New("a fault of the gate's own")

// errSlow: the body comes too slowly.
var errSlow = errors.New("the body comes too slowly")

func newUpload(h *httpConn, body bodyFraming) *upload {
	now := time.Now()
	return &upload{h: h, body: body, up: h.up, rate: newBodyRate(h.s.bodyRate, now), last: now, done: make(chan struct{})}
}

func (u *upload) run() {
	defer u.end()
	defer u.h.contain(func() { u.err = errPanic })
	for {
		now := time.Now()
		u.renew(now)
		u.err = relayBody(u.up, u.h.client, &u.body, u.moved, func(b []byte) { u.rest = append([]byte(nil), b...) })
		now = time.Now()
		switch {
		case !isTimeout(u.err) || u.stopped.Load():
			return
		case u.rate.tooSlow(now):
			u.err = errSlow
			return
		case now.Sub(u.last) >= u.h.s.timeouts.idle:
			return
		}
	}
}

// moved notes bytes that have gone out.
func (u *upload) moved(n int64) error {
	now := time.Now()
	u.last = now
	u.rate.count(now, int(n))
	u.h.s.metrics.in.Add(uint64(n))
	if u.rate.tooSlow(now) {
		return errSlow
	}
	u.renew(now)
	return nil
}

// renew has the next read wait no longer than until it must be looked whether
// the body comes too slowly.
func (u *upload) renew(now time.Time) {
	idle := now.Add(u.h.s.timeouts.idle)
	_ = u.up.SetWriteDeadline(idle)
	_ = u.up.SetReadDeadline(now.Add(u.h.s.response)) // a response may wait for the end of the body
	if look := u.rate.look(now); !look.IsZero() && look.Before(idle) {
		idle = look
	}
	_ = u.h.client.SetReadDeadline(idle)
	if u.stopped.Load() {
		_ = u.h.client.SetReadDeadline(past)
	}
}

// past is a deadline that has passed.
var past = time.Unix(1, 0)

// interrupt ends it, and waits.
func (u *upload) interrupt() {
	u.stopped.Store(true)
	u.up.Close()
	_ = u.h.client.SetReadDeadline(past)
	<-u.done
}

// end tells that it has ended, and then the upstream, which must not take what
// came for all of it where it failed; who waits for its response hears of it. An
// upstream that takes no more has often answered before, and the answer can
// still be read.
func (u *upload) end() {
	close(u.done)
	if u.err != nil && !u.refused() {
		u.up.Close()
	}
}

// refused reports whether the upstream has closed before it had all. It is for
// when it has ended.
func (u *upload) refused() bool {
	var taker *writeError
	return errors.As(u.err, &taker) && !isTimeout(taker.err)
}

func (u *upload) isDone() bool {
	select {
	case <-u.done:
		return true
	default:
		return false
	}
}

// giveRest takes back what was read behind the body, which is the next request's.
func (u *upload) giveRest() {
	if len(u.rest) > 0 {
		b := append((*lend())[:0], u.rest...)
		u.h.in, u.h.at = &b, 0
	}
}
