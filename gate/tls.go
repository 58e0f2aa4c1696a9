package gate

import (
	"context"
	"net"
	"time"

	"github.com/icpgate/icpgate/gate/sniff"
	"github.com/icpgate/icpgate/registry"
)

// serveTLS passes a TLS connection through unopened, or refuses it, by the name
// in its hello.
func (c *conn) serveTLS() {
	in, hello, a := c.readHello()
	defer func() {
		if in != nil {
			giveBack(in)
		}
	}()
	if hello.Kind == sniff.More || hello.Kind == sniff.Other {
		c.client.Close()
		return
	}
	c.note(a, true) // before it is judged: what is in force may change meanwhile
	s := c.inForce()
	enforces, exempt := s.treatment(c.from.Addr())
	v := registry.Verdict{Reason: registry.Malformed, Block: true}
	switch {
	case exempt:
		v = registry.Verdict{Reason: registry.Exempt}
	case hello.Kind != sniff.Malformed:
		v = s.judge(a, &c.route)
	}
	s.report(&c.route, a, v, enforces, hello.Cause, "")
	if enforces && (v.Block || hello.ECH && c.s.echRefused) {
		c.note(asked{}, false) // it is refused, and nobody's to end
		if v.Block && c.showsPage(a) {
			c.endTLS(in, a)
			in = nil
			return
		}
		c.refuseTLS(hello, v)
		return
	}
	b := in
	in = nil
	if exempt {
		hello.Length = 0
	}
	c.passThrough(b, hello.Length, a)
}

// showsPage reports whether a blocked client can be shown the page: there is a
// certificate for the name that it wants to see.
func (c *conn) showsPage(a asked) bool {
	return c.s.certs != nil && a.host.Kind() == registry.NameHost && c.s.certs.find(a.host.String()) != nil
}

// readHello reads until the hello is all there, or cannot be one. What was read
// is in the buffer; nil where that is nothing. The name is copied into a: in the
// hello it may lie in a buffer that is lent to others afterwards.
func (c *conn) readHello() (in *[]byte, h sniff.Hello, a asked) {
	c.all.heads.Add(1)
	_ = c.client.SetReadDeadline(c.begun.Add(c.s.timeouts.head))
	if len(c.head) > 0 {
		b := append((*lend())[:0], c.head...)
		in, c.head = &b, nil
	}
	join := lend()
	defer func() { giveBack(join) }()
	for {
		if in != nil {
			if h = sniff.ClientHello(*in, join); h.Kind != sniff.More {
				c.s.metrics.sniffed(h.Kind, h.Cause)
				c.s.metrics.headTook(c.begun)
				if h.ECH {
					c.s.metrics.ech.Inc()
				}
				a = hostOf(h.Kind, h.Name, registry.ChannelHTTPS)
				h.Name, h.ALPN = nil, nil
				return in, h, a
			}
		}
		if _, err := c.client.read(&in); err != nil {
			c.s.metrics.sniffed(sniff.More, sniff.NoCause)
			return in, h, a
		}
	}
}

// passThrough sends on the hello, which meant a, and then relays. Where hello is 0
// it cannot be told where that ends, or nobody asks, and all that was read goes on.
func (c *conn) passThrough(in *[]byte, hello int, a asked) {
	up, err := c.s.upstream.dial(context.Background(), c.origin())
	if err != nil {
		c.s.metrics.upstreamFailed()
		giveBack(in)
		c.client.Close()
		return
	}
	_ = up.SetWriteDeadline(time.Now().Add(c.s.timeouts.idle))
	first := *in
	if hello > 0 {
		first = first[:hello]
	}
	n, err := up.Write(first)
	c.s.metrics.in.Add(uint64(n))
	rel := relay{conn: c, client: c.client, up: newSide(up), idle: c.s.timeouts.idle, in: c.s.metrics.in, out: c.s.metrics.out}
	if err != nil {
		giveBack(in)
		rel.abort()
		return
	}
	if hello > 0 {
		rel.retry.rel, rel.retry.first = &rel, a
		rel.retry.keep(in, hello)
	} else {
		giveBack(in)
	}
	c.onEnd(rel.abort)
	rel.run()
}

// refuseTLS ends a connection whose hello may not pass.
func (c *conn) refuseTLS(h sniff.Hello, v registry.Verdict) {
	switch c.s.refusal {
	case refuseReset:
		c.reset()
		return
	case refuseAnswer:
		alert := uint8(sniff.AlertUnrecognizedName)
		if h.Kind == sniff.Malformed {
			alert = h.Alert
		}
		_ = c.client.SetWriteDeadline(time.Now().Add(lingerTime))
		if _, err := c.client.Write(alertRecord(alert)); err != nil {
			c.client.Close()
			return
		}
	}
	c.client.linger(time.Now())
}

// reset ends the connection without a word.
func (c *conn) reset() {
	if tcp, ok := c.client.Conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	c.client.Close()
}

// alertRecord is a fatal alert in a record of its own, RFC 8446 §5.1, §6.
func alertRecord(description uint8) []byte {
	const typeAlert, fatal = 21, 2
	return []byte{typeAlert, 3, 3, 0, 2, fatal, description}
}
