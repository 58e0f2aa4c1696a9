package gate

import (
	"errors"
	"net"
	"time"

	"github.com/icpgate/icpgate/gate/sniff"
	"github.com/icpgate/icpgate/registry"
)

// httpConn is a client's connection with HTTP/1: one request after the other,
// each judged, each with its response, over one upstream connection of its own.
// A request that stands in the pipeline waits for the end of the response before
// it. While the client is idle nothing is held but its connection, and of a client
// that stays so, the goroutine is given back as well: it rests.
type httpConn struct {
	*conn
	scheme string // "http", or "https" where TLS is ended here
	sni    *asked // of the TLS connection, judged with every host; nil without TLS

	intake

	alone  func() // ends it where there is no upstream connection
	up     *side
	upBuf  *[]byte // what was read of the upstream and not forwarded
	reused bool    // the upstream connection has answered before
	upload *upload // the body that is on its way, beside the response
	rested error   // how its rest ended; nil is with something to read
}

// serveHTTP serves a connection to its end.
func (c *conn) serveHTTP() {
	h := &httpConn{conn: c, scheme: "http"}
	h.serve()
}

func (h *httpConn) serve() {
	h.begin(h.conn)
	h.alone = func() { h.client.Close() }
	h.onEnd(h.alone)
	defer h.close()
	h.requests(h.begun.Add(h.s.timeouts.head))
}

// requests serves requests, the first of which is to be there by the deadline,
// until the connection ends or is to rest.
func (h *httpConn) requests(deadline time.Time) {
	for ; h.one(deadline); deadline = time.Now().Add(h.s.timeouts.head) {
		if h.in == nil && !h.await() {
			return
		}
	}
}

// one reads a request by the deadline and has it answered. It reports whether
// the connection goes on. It stands alone for the sake of its frame: who waits
// for a request must not hold a place for it, or an idle connection costs twice
// the stack.
//
//go:noinline
func (h *httpConn) one(deadline time.Time) bool {
	r, ok := h.next(deadline)
	return ok && h.request(&r)
}

// close gives back all that is held, unless the connection is to rest.
func (h *httpConn) close() {
	if h.resting != nil {
		return
	}
	h.dropUpstream()
	h.empty()
	h.client.Close()
}

func (h *httpConn) dropUpstream() {
	if h.up != nil {
		h.up.Close()
		h.up = nil
		h.onEnd(h.alone) // what it was holds the upstream connection's memory
	}
	if h.upBuf != nil {
		giveBack(h.upBuf)
		h.upBuf = nil
	}
	h.reused = false
}

// next reads the head of a request. It reports false where there is
// none: the client has gone, or was told why it must.
func (h *httpConn) next(deadline time.Time) (r sniff.Request, ok bool) {
	_ = h.client.SetReadDeadline(deadline)
	for scanned := 0; ; {
		b := h.pending()
		if r = sniff.ReadRequest(b, scanned, h.s.limits); r.Kind != sniff.More {
			return r, true
		}
		scanned = len(b)
		h.compact()
		if _, err := h.client.read(&h.in); err != nil {
			if isTimeout(err) && scanned > 0 {
				h.refuse(408, sniff.NoCause)
			}
			h.s.metrics.sniffed(sniff.More, sniff.NoCause)
			return r, false
		}
	}
}

// upstreamIdle is how long an upstream connection is kept for a client that may
// send its next request. Clients that do, do so at once; the others would hold
// two connections for one.
const upstreamIdle = 2 * time.Second

// await waits for the first byte of the next request; it is in the buffer then. It
// reports false where there is none: the connection ends, or is to rest.
func (h *httpConn) await() bool {
	h.idle.Store(true)
	if h.leaving.Load() {
		h.idle.Store(false)
		return false
	}
	now := time.Now()
	_ = h.client.SetReadDeadline(now.Add(min(h.s.kept, h.s.timeouts.idle)))
	_, err := h.client.read(&h.in)
	if isTimeout(err) {
		h.dropUpstream()
		_ = h.client.SetReadDeadline(now.Add(h.s.timeouts.idle))
		if h.client.waits() {
			h.resting = h
			return false
		}
		_, err = h.client.read(&h.in)
	}
	h.idle.Store(false)
	return err == nil
}

// rest waits for the next request in place of the goroutine that has served the
// last: that has a stack of 4 KiB at least, since stacks grow and hardly shrink, and
// this one is new. What it calls must need no more than the 2 KiB it has, nor half of
// them while it waits: the runtime begins all goroutines with twice what they use.
func (h *httpConn) rest() {
	h.rested = h.client.wait()
	h.idle.Store(false)
	h.crew.run(h.wake)
}

// wake goes on behind a rest.
func (h *httpConn) wake() { h.run(afterRest) }

func afterRest(c *conn) {
	h := c.resting
	c.resting = nil
	defer h.close()
	if h.rested != nil {
		return
	}
	if _, err := h.client.read(&h.in); err == nil {
		h.requests(time.Now().Add(h.s.timeouts.head))
	}
}

// request judges a request and has it answered. It reports whether the
// connection goes on.
func (h *httpConn) request(r *sniff.Request) bool {
	h.all.heads.Add(1)
	b := h.pending()
	if r.Forwards > 0 && h.s.tellsBadHost(r.HostsTold(b, h.s.passesAlike())) {
		r.Kind, r.Cause = sniff.Malformed, sniff.BadHost
	}
	h.s.metrics.sniffed(r.Kind, r.Cause)
	switch {
	// The preface is the first that a connection says, or somebody else has said it.
	case r.Cause == sniff.HTTP2 && h.s.h2c && h.sni == nil && !h.asked.known:
		h.toH2()
		return false
	case beginsProxy(b):
		h.client.Close() // of whom, only listed peers may say
		return false
	case r.Kind == sniff.Malformed || r.Kind == sniff.Other:
		h.inForce().malformed(&h.route, h.channel(), r.Cause, "")
		h.refuse(r.Cause.Status(), r.Cause)
		return false
	}
	a := hostOf(r.Kind, r.Host.Of(b), h.channel())
	a.host.ACME = sniff.IsACME(r.Path.Of(b))
	h.note(a, false) // before it is judged: what is in force may change meanwhile
	s := h.inForce()
	enforces, exempt := s.treatment(h.from.Addr())
	if !exempt {
		v := h.verdict(s, a)
		if r.Forwards > 0 {
			a, v = h.s.withTold(s, a, v, &h.route, r.HostsTold(b, h.s.passesAlike()))
		}
		id := ""
		if v.Block && enforces {
			id = newRequestID()
		}
		s.report(&h.route, a, v, enforces, r.Cause, id)
		if id != "" {
			h.note(asked{}, false) // it is answered, and nobody's to end
			h.block(r, a, v, id)
			return false
		}
	}
	return h.forward(r)
}

func (h *httpConn) channel() registry.Channel {
	if h.sni != nil {
		return registry.ChannelHTTPS
	}
	return registry.ChannelHTTP
}

// toH2 goes on with HTTP/2, of which the preface was read.
func (h *httpConn) toH2() {
	nc := &replayed{Conn: h.client.Conn, head: append([]byte(nil), h.pending()...)}
	h.use(len(nc.head))
	h.dropUpstream()
	_ = nc.SetDeadline(time.Time{})
	h.serveH2(nc, asked{}, false)
}

// verdict is that of the host, and of the name that TLS was begun with: both must
// pass.
func (h *httpConn) verdict(s *service, a asked) registry.Verdict {
	v := s.judge(a, &h.route)
	if h.sni != nil && *h.sni != a && h.sni.host.Kind() != registry.NoHost {
		v = v.Worse(s.judge(*h.sni, &h.route))
	}
	return v
}

// refuse answers what cannot be read, or not be served, and ends the connection.
func (h *httpConn) refuse(status int, cause sniff.Cause) {
	b := lend()
	*b = h.s.notices.AppendError1((*b)[:0], status, cause.String())
	h.last(*b)
	giveBack(b)
}

// block answers a request that may not be served. Its body is not read, and a
// client that waits for 100 before it sends one gets the answer in its place.
func (h *httpConn) block(r *sniff.Request, a asked, v registry.Verdict, id string) {
	switch h.s.refusal {
	case refuseReset:
		h.dropUpstream()
		h.reset()
		return
	case refuseClose:
		h.dropUpstream()
		h.client.linger(time.Now())
		return
	}
	head := h.pending()[:r.Length]
	b := lend()
	*b = h.s.notices.AppendHTTP1((*b)[:0], Notice{
		Host: a.host.String(), Verdict: v, RequestID: id, Time: time.Now(),
		Accept: string(r.Field(head, "accept")), Language: string(r.Field(head, "accept-language")),
		Head: string(r.Method.Of(head)) == "HEAD",
	})
	h.last(*b)
	giveBack(b)
}

// last writes the last answer of the connection.
func (h *httpConn) last(b []byte) {
	now := time.Now()
	h.dropUpstream()
	_ = h.client.SetWriteDeadline(now.Add(lingerTime))
	if _, err := h.client.Write(b); err == nil {
		h.client.linger(now)
	}
}

// failed tells the client that the upstream did not do its part.
func (h *httpConn) failed(err error) bool {
	status := 502
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() {
		status = 504
	}
	h.s.metrics.upstreamFailed()
	h.refuse(status, sniff.NoCause)
	return false
}
