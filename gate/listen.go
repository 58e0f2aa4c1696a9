package gate

import (
	"errors"
	"net"
	"net/netip"
	"runtime/debug"
	"sync/atomic"
	"time"
)

// listener accepts connections and has them served by the service in force.
type listener struct {
	net.Listener
	kind    Scheme
	service atomic.Pointer[service]
	open    *conns
	crew    *crew
	closing atomic.Bool
	// handed: another process has it too, and takes what waits there.
	handed atomic.Bool
	ending chan struct{} // closed when closing is set
	deaf   chan struct{} // closed when accept takes no more
	taken  atomic.Int64  // its connections
	held   held
}

// newListener makes one; accept must run then.
func newListener(ln net.Listener, kind Scheme, open *conns) *listener {
	return &listener{
		Listener: ln, kind: kind, open: open, crew: newCrew(),
		ending: make(chan struct{}), deaf: make(chan struct{}),
	}
}

// accept takes connections until the listener is closed. Where the process has
// no descriptor left, it waits: the others must end first.
func (l *listener) accept() {
	defer close(l.deaf)
	for pause := time.Duration(0); ; {
		c, err := l.Listener.Accept()
		switch {
		case err == nil:
			pause = 0
			l.take(c)
		case l.closing.Load() || errors.Is(err, net.ErrClosed):
			return
		default:
			pause = min(max(2*pause, minPause), maxPause)
			l.service.Load().metrics.acceptFailed()
			l.pause(pause)
		}
	}
}

// The pauses of accept while there are no descriptors, as net/http has them.
const (
	minPause = 5 * time.Millisecond
	maxPause = time.Second
)

func (l *listener) pause(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-l.ending:
	}
}

// take has a connection served. It counts as open from now on, so that nobody who
// waits for the last one to end misses one that is only about to be served.
func (l *listener) take(c net.Conn) {
	l.open.open.Add(1)
	l.taken.Add(1)
	l.crew.run(func() { l.serve(c) })
}

// gone counts a connection that take has counted as one that has ended.
func (l *listener) gone() {
	l.open.open.Add(-1)
	l.taken.Add(-1)
}

// serve serves one connection until it has ended, or rests.
func (l *listener) serve(nc net.Conn) {
	s := l.service.Load()
	c := &conn{s: s, all: l.open, by: l, crew: l.crew, client: newSide(nc), begun: time.Now()}
	c.from, c.dest.Local = addrOf(nc.RemoteAddr()), addrOf(nc.LocalAddr())
	s.metrics.accepted.Inc()
	if !s.limiter.acquire() {
		s.metrics.total.Inc()
		c.reset()
		l.gone()
		return
	}
	l.open.add(c)
	s.metrics.open.Inc()
	c.run((*conn).serve)
}

// run does a part of what is to be done for a connection: all that is left of it,
// or until it rests, and then another goroutine goes on. A panic ends the connection
// and nothing else.
func (c *conn) run(part func(*conn)) {
	defer func() {
		if p := recover(); p != nil {
			c.s.panicked(p, debug.Stack())
			c.client.Close()
			c.resting = nil
		}
		if c.resting != nil {
			c.crew.aside(c.resting.rest)
			return
		}
		c.gone()
	}()
	part(c)
}

// gone gives back what the connection was counted for, and kept in.
func (c *conn) gone() {
	if c.introduced {
		c.s.limiter.releaseClient(c.from.Addr())
	}
	if c.stranger {
		c.s.limiter.releaseStranger()
	}
	c.by.open.remove(c)
	c.s.metrics.open.Dec()
	c.s.limiter.release()
	c.by.gone()
}

// serve serves a connection that has just been taken.
func (c *conn) serve() {
	l, nc := c.by, c.client.Conn
	c.onEnd(func() { nc.Close() })
	if l.open.over.Load() {
		c.end()
	}
	if c.introduced = c.introduce(l.kind); !c.introduced {
		return
	}
	switch l.kind {
	case TLS:
		c.tls()
	case Mixed:
		c.serveMixed()
	case Auth:
		c.serveAuth(l.service.Load)
	case GRPC:
		c.serveGRPC(l.service.Load)
	case SPOE:
		c.serveSPOE(l.service.Load)
	default:
		c.serveHTTP()
	}
}

// introduce finds out who the client is and where it was going, and takes one of
// its connections. It reports false where the connection has ended over that.
func (c *conn) introduce(kind Scheme) bool {
	if c.s.original != NoOriginal && !c.findOriginal() {
		c.client.Close()
		return false
	}
	if c.s.proxies.lists(c.from.Addr()) && !c.readProxy() {
		c.client.Close()
		return false
	}
	if !c.listed(kind) {
		c.s.metrics.unlisted.Inc()
		c.reset()
		return false
	}
	if !c.s.limiter.acquireClient(c.from.Addr()) {
		c.s.metrics.perClient.Inc()
		c.reset()
		return false
	}
	return true
}

// listed reports whether the peer may ask, where it is asked for that. Who asks
// over HTTP is told if not, while there are few of them.
func (c *conn) listed(kind Scheme) bool {
	switch {
	case !kind.Asked(), c.s.mayAsk(c.from.Addr()):
		return true
	case kind == Auth:
		c.stranger = c.s.limiter.acquireStranger()
	}
	return c.stranger
}

// findOriginal asks the packet filter where the client was going.
func (c *conn) findOriginal() bool {
	tcp, ok := c.client.Conn.(*net.TCPConn)
	if !ok {
		return false
	}
	dst, err := originalDst(tcp, c.s.original)
	if err != nil || c.s.guard.check(dst) != nil {
		c.s.metrics.destination.Inc()
		return false
	}
	c.dest.Original = dst
	c.s.destined(dst)
	return true
}

// readProxy reads the header by which a listed peer tells of its client.
func (c *conn) readProxy() bool {
	b := lend()
	defer giveBack(b)
	h, rest, err := readProxyHeader(c.client.Conn, c.begun.Add(c.s.timeouts.head), (*b)[:cap(*b)])
	if err != nil {
		c.s.metrics.proxy.Inc()
		return false
	}
	c.head = append(c.head, rest...)
	if h.Client.IsValid() {
		c.from, c.dest.Proxied = h.Client, h.Dst
		c.s.destined(h.Dst)
	}
	return true
}

// addrOf is the address of a connection's end; the zero AddrPort for a socket of
// the file system.
func addrOf(a net.Addr) netip.AddrPort {
	t, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	ap := t.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap().WithZone(""), ap.Port())
}

// serveMixed tells TLS from plaintext by the first byte.
func (c *conn) serveMixed() {
	_ = c.client.SetReadDeadline(c.begun.Add(c.s.timeouts.head))
	if len(c.head) == 0 {
		var b *[]byte
		if _, err := c.client.read(&b); err != nil {
			c.client.Close()
			return
		}
		c.head = append([]byte(nil), *b...)
		giveBack(b)
	}
	const handshake = 22 // RFC 8446 §5.1
	if c.head[0] == handshake {
		c.tls()
		return
	}
	c.serveHTTP()
}

// tls passes TLS through, or ends it where there are certificates for that.
func (c *conn) tls() {
	if c.s.tlsConfig != nil && !c.s.pageOnly {
		c.terminateTLS()
		return
	}
	c.serveTLS()
}
