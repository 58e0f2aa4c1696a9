package gate

import (
	"crypto/tls"
	"net"
	"time"

	"github.com/icpgate/icpgate/gate/sniff"
	"github.com/icpgate/icpgate/registry"
)

// replayed is a connection of which some bytes were read before.
type replayed struct {
	net.Conn
	head []byte
}

// Read implements net.Conn.
func (r *replayed) Read(b []byte) (int, error) {
	if len(r.head) == 0 {
		return r.Conn.Read(b)
	}
	n := copy(b, r.head)
	r.head = r.head[n:]
	return n, nil
}

// newTLSConfig is what TLS is ended with.
func newTLSConfig(certs *certificates, protocols ...string) *tls.Config {
	return &tls.Config{GetCertificate: certs.forHello, NextProtos: protocols, MinVersion: tls.VersionTLS12}
}

// terminateTLS ends TLS here and serves what is inside: HTTP/1.1, and HTTP/2
// where the client prefers it. The name in the hello is judged with every
// request. Where it is blocked and there is a certificate for it, the client gets
// the page; otherwise the hello is refused as where TLS passes through.
func (c *conn) terminateTLS() {
	in, hello, a := c.readHello()
	if hello.Kind == sniff.More || hello.Kind == sniff.Other {
		c.drop(in)
		return
	}
	c.noteHello(a) // before it is judged: what is in force may change meanwhile
	if refused, v := c.refusesHello(hello, a); refused {
		if in != nil {
			giveBack(in)
		}
		c.refuseTLS(hello, v)
		return
	}
	c.endTLS(in, a)
}

// endTLS shakes hands, of which the hello was read, and serves what is inside.
func (c *conn) endTLS(in *[]byte, a asked) {
	raw := &replayed{Conn: c.client.Conn, head: append([]byte(nil), *in...)}
	giveBack(in)
	t := tls.Server(raw, c.s.tlsConfig)
	_ = t.SetDeadline(c.begun.Add(c.s.timeouts.head))
	if err := t.Handshake(); err != nil {
		t.Close()
		return
	}
	_ = t.SetDeadline(time.Time{})
	// The head's deadline is that of the first request now.
	c.begun, c.client = time.Now(), newSide(t)
	if t.ConnectionState().NegotiatedProtocol == "h2" {
		c.serveH2(t, a, true)
		return
	}
	h := &httpConn{conn: c, scheme: "https", sni: &a}
	h.serve()
}

// drop ends a connection that said nothing of use.
func (c *conn) drop(in *[]byte) {
	if in != nil {
		giveBack(in)
	}
	c.client.Close()
}

// refusesHello reports whether the handshake is not even begun: the hello is
// malformed, or its name is blocked and no certificate of ours would let the
// client see why.
func (c *conn) refusesHello(h sniff.Hello, a asked) (bool, registry.Verdict) {
	s := c.inForce()
	if h.Kind == sniff.Malformed {
		return true, s.malformed(&c.route, registry.ChannelHTTPS, h.Cause, "")
	}
	enforces, exempt := s.treatment(c.from.Addr())
	if exempt || h.Kind == sniff.NoName {
		return false, registry.Verdict{} // the Host is judged
	}
	v := s.judge(a, &c.route)
	if !v.Block || !enforces {
		return false, v
	}
	c.noteHello(asked{}) // it is refused, or gets the page, and is nobody's to end
	if c.s.certs.find(a.host.String()) != nil {
		return false, v // counted with the request
	}
	s.report(&c.route, a, v, true, h.Cause, "")
	return true, v
}
