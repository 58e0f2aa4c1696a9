package gate

import (
	"errors"
	"net"
	"net/netip"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// listener accepts connections and has them served by the service in force.
type listener struct {
	net.Listener
	kind    listenerKind
	service atomic.Pointer[service]
	open    *conns
	serving sync.WaitGroup
	closing atomic.Bool
}

// listenerKind is what a listener speaks.
type listenerKind uint8

const (
	kindHTTP  listenerKind = iota
	kindTLS                // passed through
	kindMixed              // both on one port
)

// accept takes connections until the listener is closed. Where the process has
// no descriptor left, it waits: the others must end first.
func (l *listener) accept() {
	for pause := time.Duration(0); ; {
		c, err := l.Listener.Accept()
		switch {
		case err == nil:
			pause = 0
			l.serving.Go(func() { l.serve(c) })
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
	<-t.C
}

// serve serves one connection. A panic ends it and nothing else.
func (l *listener) serve(nc net.Conn) {
	s := l.service.Load()
	c := &conn{s: s, client: newSide(nc), begun: time.Now()}
	c.from, c.dest = addrOf(nc.RemoteAddr()), addrOf(nc.LocalAddr())
	l.open.add(c)
	s.metrics.accepted.Inc()
	s.metrics.open.Inc()
	defer func() {
		l.open.remove(c)
		s.metrics.open.Dec()
	}()
	defer func() {
		if p := recover(); p != nil {
			s.panicked(p, debug.Stack())
			c.client.Close()
		}
	}()
	c.onEnd(func() { nc.Close() })
	switch l.kind {
	case kindTLS:
		c.tls()
	case kindMixed:
		c.serveMixed()
	default:
		c.serveHTTP()
	}
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
	if c.s.tlsConfig != nil {
		c.terminateTLS()
		return
	}
	c.serveTLS()
}
