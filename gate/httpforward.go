package gate

import (
	"context"
	"time"

	"github.com/icpgate/icpgate/gate/sniff"
)

// forward sends a request on and brings its response back. It reports whether
// the connection goes on.
func (h *httpConn) forward(r *sniff.Request) bool {
	b := h.pending()
	p := passing{r: r, upgrade: h.grants(r, b), head: string(r.Method.Of(b)) == "HEAD"}
	var body bodyFraming
	n := body.start(r.Framing, b[r.Length:])
	if body.bad() {
		h.refuse(400, sniff.BadChunk)
		return false
	}
	p.out = lend()
	*p.out = h.appendHead((*p.out)[:0], r, b, p.upgrade)
	*p.out = append(*p.out, b[r.Length:r.Length+n]...)
	err := h.send(*p.out)
	// The response may show that the upstream had closed the connection before it
	// saw the request, which is sent again then if that does no harm.
	if err != nil || !h.reused || !repeatable(r.Method.Of(b)) || r.ContentLength > 0 || r.Chunked {
		p.forget()
	}
	h.use(r.Length + n)
	switch {
	case err != nil:
		return h.failed(err)
	case body.done():
		return h.respond(&p)
	}
	return h.exchange(&p, body)
}

// passing is a request on its way.
type passing struct {
	r       *sniff.Request
	head    bool    // the response has no body
	upgrade bool    // 101 is granted
	out     *[]byte // what was sent, if it may be sent once more
}

// forget gives up sending again.
func (p *passing) forget() {
	if p.out != nil {
		giveBack(p.out)
		p.out = nil
	}
}

// repeatable reports whether a request may be sent twice, RFC 9110 §9.2.2.
func repeatable(method []byte) bool {
	switch string(method) {
	case "GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE":
		return true
	}
	return false
}

// grants reports whether the upgrade that a request asks for is one that may be. In
// HTTP/1.0 it asks for nothing (RFC 9110 §7.8).
func (h *httpConn) grants(r *sniff.Request, b []byte) bool {
	u := r.Upgrade.Of(b)
	return h.s.websocket && asciiFold(u, "websocket") && r.Minor == 1 && r.ContentLength == 0 && !r.Chunked
}

// asciiFold reports whether b is lower, which is in lower case, but for case.
func asciiFold(b []byte, lower string) bool {
	if len(b) != len(lower) {
		return false
	}
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		if c != lower[i] {
			return false
		}
	}
	return true
}

// send writes to the upstream, over a new connection where there is none, or the
// old one has been closed and took nothing: of what took a part, nobody knows
// whether it was acted on.
func (h *httpConn) send(b []byte) error {
	if h.up != nil {
		// What it has said since, nobody asked for; it would be taken for the response.
		if h.up.silent() {
			if n, err := h.sendUp(b); err == nil || n > 0 {
				return err
			}
		}
		h.dropUpstream()
	}
	if err := h.connect(); err != nil {
		return err
	}
	_, err := h.sendUp(b)
	return err
}

func (h *httpConn) sendUp(b []byte) (int, error) {
	_ = h.up.SetWriteDeadline(time.Now().Add(h.s.timeouts.idle))
	n, err := h.up.Write(b)
	h.s.metrics.in.Add(uint64(n))
	return n, err
}

// connect dials the upstream.
func (h *httpConn) connect() error {
	c, err := h.s.upstream.dial(context.Background(), h.origin())
	if err != nil {
		return err
	}
	h.up, h.reused = newSide(c), false
	client, up := h.client, h.up
	h.onEnd(func() { client.Close(); up.Close() })
	return nil
}

// exchange brings the response back while the rest of the body is on its way.
func (h *httpConn) exchange(p *passing, body bodyFraming) bool {
	u := newUpload(h, body)
	h.crew.run(u.run)
	h.upload = u
	goes := h.respond(p)
	h.upload = nil
	if goes && u.early {
		// Who answers before it has read all may take the rest for a request.
		defer h.dropUpstream()
	}
	// A response may come before the body has ended. What is left of it is taken
	// for as long as a reset would endanger the response.
	wait := time.NewTimer(lingerTime)
	defer wait.Stop()
	select {
	case <-u.done:
	case <-wait.C:
		u.interrupt()
		return false
	}
	if u.err != nil {
		if u.refused() {
			h.client.linger(time.Now()) // it sends on, and a reset would overtake the response
		}
		return false
	}
	u.giveRest()
	return goes
}
