package gate

import (
	"errors"
	"os"
	"time"

	"github.com/icpgate/icpgate/gate/sniff"
)

// respond brings the response to a request back, and those before the final one.
// It reports whether the connection goes on.
func (h *httpConn) respond(p *passing) bool {
	defer p.forget()
	for {
		resp, err := h.responseHead(p.head)
		if err != nil && p.out != nil && h.upBuf == nil && !isTimeout(err) {
			h.dropUpstream()
			err = h.send(*p.out)
			if p.forget(); err == nil {
				continue
			}
		}
		p.forget()
		switch {
		case err != nil || resp.Kind != sniff.Name:
			return h.noResponse(err)
		case resp.Interim:
			if !h.passOn(resp.Length) {
				return false
			}
		case resp.Status != 101:
			return h.finalResponse(p.r, &resp)
		case !p.upgrade:
			return h.noResponse(errUnasked) // the body may be on its way, with the client's side in use
		default:
			return h.tunnelUp(resp.Length)
		}
	}
}

var (
	errUnasked     = errors.New("the upstream switches to a protocol that nobody asked for")
	errBadResponse = errors.New("the upstream's response is malformed")
)

func isTimeout(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }

// responseHead reads until the head of a response is in the buffer.
func (h *httpConn) responseHead(head bool) (resp sniff.Response, err error) {
	_ = h.up.SetReadDeadline(time.Now().Add(h.s.response))
	for scanned := 0; ; {
		if h.upBuf != nil {
			b := *h.upBuf
			if resp = sniff.ReadResponse(b, scanned, head, maxResponseHead); resp.Kind != sniff.More {
				return resp, nil
			}
			scanned = len(b)
		}
		if _, err := h.up.read(&h.upBuf); err != nil {
			return resp, err
		}
	}
}

// maxResponseHead bounds the head of a response; the largest in use carry some
// 32 KiB of cookies and policies.
const maxResponseHead = 256 << 10

// noResponse tells the client that there is none, and whose fault that is.
func (h *httpConn) noResponse(err error) bool {
	switch u := h.upload; {
	case u == nil:
	case u.isDone() && u.err != nil:
		return h.badBody(u.err)
	default:
		u.interrupt()
	}
	if err == nil {
		err = errBadResponse
	}
	return h.failed(err)
}

// badBody tells the client what was wrong with its body.
func (h *httpConn) badBody(err error) bool {
	var taker *writeError
	switch {
	case errors.Is(err, errBadChunk):
		h.refuse(400, sniff.BadChunk)
	case errors.Is(err, errSlow), isTimeout(err):
		h.refuse(408, sniff.NoCause)
	case errors.As(err, &taker):
		return h.failed(err)
	}
	return false // the client has gone in the middle of it
}

// passOn writes the first n bytes that were read of the upstream to the client.
func (h *httpConn) passOn(n int) bool {
	_ = h.client.SetWriteDeadline(time.Now().Add(h.s.timeouts.idle))
	b := *h.upBuf
	if _, err := h.client.Write(b[:n]); err != nil {
		return false
	}
	h.s.metrics.out.Add(uint64(n))
	if n == len(b) {
		giveBack(h.upBuf)
		h.upBuf = nil
		return true
	}
	*h.upBuf = b[:copy(b, b[n:])]
	return true
}

// finalResponse brings the last response to a request to its end.
func (h *httpConn) finalResponse(r *sniff.Request, resp *sniff.Response) bool {
	if h.upload != nil {
		// Seen before the client sees any of it: one that waits for the answer to send
		// the rest would else decide whether it was early.
		h.upload.early = !h.upload.isDone()
	}
	var body bodyFraming
	n := body.start(resp.Framing, (*h.upBuf)[resp.Length:])
	if !h.passOn(resp.Length+n) || body.bad() {
		return false
	}
	surplus := h.upBuf != nil
	if !body.done() {
		err := relayBody(h.client, h.up, &body, h.sent, func([]byte) { surplus = true })
		if err != nil {
			return false
		}
	}
	h.reused = true
	if surplus || resp.Close {
		// Bytes that no request has asked for: nobody knows what they are.
		h.dropUpstream()
	}
	if !resp.Close && !r.Close && !h.leaving.Load() {
		return true
	}
	if h.in != nil {
		h.client.linger(time.Now()) // or a reset would overtake the response
	}
	return false
}

// sent notes bytes that went to the client.
func (h *httpConn) sent(n int64) error {
	now := time.Now()
	h.s.metrics.out.Add(uint64(n))
	_ = h.up.SetReadDeadline(now.Add(h.s.response))
	return h.client.SetWriteDeadline(now.Add(h.s.timeouts.idle))
}

// tunnelUp makes a tunnel of the connection, after the response that allows it.
func (h *httpConn) tunnelUp(n int) bool {
	if !h.passOn(n) {
		return false
	}
	if h.upBuf != nil {
		if !h.passOn(len(*h.upBuf)) {
			return false
		}
	}
	if b := h.pending(); len(b) > 0 {
		if _, err := h.up.Write(b); err != nil {
			return false
		}
		h.use(len(b))
	}
	h.note(h.asked, true)
	_ = h.client.SetDeadline(time.Time{})
	_ = h.up.SetDeadline(time.Time{})
	rel := relay{conn: h.conn, client: h.client, up: h.up, idle: h.s.timeouts.idle, in: h.s.metrics.in, out: h.s.metrics.out}
	rel.run()
	return false
}
