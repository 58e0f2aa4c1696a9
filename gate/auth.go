package gate

import (
	"bytes"
	"time"

	"github.com/icpgate/icpgate/gate/authz"
	"github.com/icpgate/icpgate/gate/sniff"
	"github.com/icpgate/icpgate/registry"
)

// authConn is a connection of somebody who asks over HTTP/1. Answers to requests
// that came together are sent together. While nobody asks, nothing is held but the
// connection.
type authConn struct {
	*conn
	intake
	current func() *service // the one in force: these connections outlive it
	v       *service        // the one that answers
	listed  bool            // that the peer may ask it
	out     *[]byte         // answers that are not sent yet; nil is none
	now     time.Time       // when something came last

	// The deadlines that are set: setting one costs as much as a verdict.
	readBy, writeBy time.Time
}

// serveAuth serves a connection to its end.
func (c *conn) serveAuth(current func() *service) {
	a := &authConn{conn: c, current: current, now: c.begun}
	a.follow()
	a.begin(c)
	defer a.close()
	a.setRead(c.begun.Add(a.v.timeouts.head), 0)
	for first := true; a.one(first); first = false {
	}
}

// follow goes on by the configuration in force, which may not list the peer any
// more.
func (a *authConn) follow() {
	v := a.current()
	if v == a.v {
		return
	}
	a.v = v
	if a.listed = v.mayAsk(a.from.Addr()); !a.listed {
		v.metrics.unlisted.Inc()
	}
}

func (a *authConn) close() {
	a.empty()
	if a.out != nil {
		giveBack(a.out)
		a.out = nil
	}
	a.client.Close()
}

// one answers a request. It reports whether the connection goes on. As with
// httpConn.one, who waits for a request must not hold a place for it.
func (a *authConn) one(first bool) bool {
	if a.in == nil && !(a.flush() && a.await(first)) {
		return false
	}
	return a.nextRequest()
}

//go:noinline
func (a *authConn) nextRequest() bool {
	r, ok := a.next()
	a.follow()
	if !ok {
		return false
	}
	a.all.heads.Add(1)
	switch {
	case r.Kind == sniff.Malformed || r.Kind == sniff.Other:
		a.v.metrics.sniffed(r.Kind, r.Cause)
		a.v.malformed(&a.route, registry.ChannelHTTP, r.Cause, "")
		return a.refuse(r.Cause.Status(), r.Cause.String())
	case !a.listed:
		return a.refuse(403, "not a listed peer")
	}
	return a.answer(&r)
}

// await waits for the first byte of the next request; it is in the buffer then.
// The first of all has its deadline already.
func (a *authConn) await(first bool) bool {
	a.idle.Store(true)
	defer a.idle.Store(false)
	if a.leaving.Load() {
		return false
	}
	if idle := a.v.timeouts.idle; !first {
		a.setRead(a.now.Add(idle), idle/8)
	}
	_, err := a.client.read(&a.in)
	a.now = time.Now()
	return err == nil
}

// next reads the rest of the head of a request. It reports false where there is
// none: the peer has gone, or was told why it must.
func (a *authConn) next() (r sniff.Request, ok bool) {
	for scanned := 0; ; {
		b := a.pending()
		if r = sniff.ReadRequest(b, scanned, a.v.limits); r.Kind != sniff.More {
			return r, true
		}
		if scanned == 0 {
			// Who waits for answers before it goes on must have them.
			if !a.flush() {
				return r, false
			}
			a.setRead(a.now.Add(a.v.timeouts.head), 0)
		}
		scanned = len(b)
		a.compact()
		_, err := a.client.read(&a.in)
		if a.now = time.Now(); err != nil {
			a.v.metrics.sniffed(sniff.More, sniff.NoCause)
			if isTimeout(err) {
				a.refuse(408, "")
			}
			return r, false
		}
	}
}

// setRead sets until when to read. A deadline that is set already and no more than
// slack before it does.
func (a *authConn) setRead(t time.Time, slack time.Duration) {
	if d := t.Sub(a.readBy); d < 0 || d > slack {
		a.readBy = t
		_ = a.client.SetReadDeadline(t)
	}
}

// reply is how a request is to be answered, whatever the answer is.
type reply struct {
	length int  // bytes of the request that are not stepped over yet
	head   bool // without a body
	old    bool // to HTTP/1.0
	stays  bool // the connection goes on
}

// replyTo tells how to answer a request. A body is not read, unless the answer
// depends on it: the connection ends with it.
func (a *authConn) replyTo(r *sniff.Request) reply {
	return reply{
		length: r.Length, head: string(r.Method.Of(a.pending())) == "HEAD", old: r.Minor == 0,
		stays: !r.Close && !a.leaving.Load() && !r.Chunked && r.ContentLength == 0,
	}
}

// answer answers a request that can be read. It reports whether the connection
// goes on.
func (a *authConn) answer(r *sniff.Request) bool {
	to := a.replyTo(r)
	target := r.Path.Of(a.pending())
	if p, rest, ok := authz.PresetOf(target); ok {
		return a.ask(p, rest, r, to)
	}
	switch path, query, _ := bytes.Cut(target, []byte{'?'}); string(path) {
	case "/v1/check":
		return a.check(r, string(query), to)
	case "/healthz":
		return a.health(true, to)
	case "/readyz":
		return a.health(a.v.edge.Ready(), to)
	}
	return a.refuse(404, "expect /auth/nginx, /auth/forward, /auth/envoy, /v1/check, /healthz or /readyz")
}

// done steps over a request that is answered. It reports whether the connection
// goes on.
func (a *authConn) done(to reply) bool {
	a.use(to.length)
	switch {
	case !to.stays:
		a.last()
		return false
	case a.out != nil && len(*a.out) >= spliceFrom:
		return a.flush()
	}
	return true
}

// buffer is where answers are put.
func (a *authConn) buffer() *[]byte {
	if a.out == nil {
		a.out = lend()
	}
	return a.out
}

// refuse answers what cannot be answered, and ends the connection.
func (a *authConn) refuse(status int, cause string) bool {
	b := a.buffer()
	*b = a.v.notices.AppendError1(*b, status, cause)
	a.last()
	return false
}

// lingerAsked is what is read of a listed proxy that was answered and is to go: the
// longest head that proxies take of a client, 8 MiB with Envoy, and more. If it could
// not send its question to the end, it would take the gate for gone, and where that
// means to serve all, any client could have itself served by a head that is too long.
const lingerAsked = 16 << 20

// last sends the last answers.
func (a *authConn) last() {
	most := lingerBytes
	if a.listed {
		most = lingerAsked
	}
	if a.flush() {
		a.client.lingerFor(time.Now(), most)
	}
}

// flush sends the answers that there are.
func (a *authConn) flush() bool {
	if a.out == nil {
		return true
	}
	idle := a.v.timeouts.idle
	if t := a.now.Add(idle); t.Sub(a.writeBy) > idle/8 {
		a.writeBy = t
		_ = a.client.SetWriteDeadline(t)
	}
	_, err := a.client.Write(*a.out)
	giveBack(a.out)
	a.out = nil
	return err == nil
}
