//go:build linux

package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"math/big"
	"net"
	"time"

	"github.com/quic-go/quic-go"
)

// webOrigin is a server of quic-go that sends back what it gets. It has addresses
// proven by Retry, as servers do in a flood.
type webOrigin struct {
	tr    *quic.Transport
	ln    *quic.Listener
	roots *x509.CertPool
	name  string
}

func newWebOrigin(name string) (*webOrigin, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	form := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{name}, NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, form, form, key.Public(), key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	conf := &tls.Config{NextProtos: []string{"echo"}, Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	o := &webOrigin{name: name, roots: x509.NewCertPool()}
	o.roots.AddCert(cert)
	sock, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, err
	}
	o.tr = &quic.Transport{Conn: sock, VerifySourceAddress: func(net.Addr) bool { return true }}
	if o.ln, err = o.tr.Listen(conf, nil); err != nil {
		return nil, err
	}
	go o.serve()
	return o, nil
}

func (o *webOrigin) addr() net.Addr { return o.ln.Addr() }

func (o *webOrigin) close() {
	o.ln.Close()
	o.tr.Close()
	o.tr.Conn.Close()
}

func (o *webOrigin) serve() {
	for {
		c, err := o.ln.Accept(context.Background())
		if err != nil {
			return
		}
		go func() {
			for {
				s, err := c.AcceptStream(context.Background())
				if err != nil {
					return
				}
				_, _ = io.Copy(s, s)
				s.Close()
			}
		}()
	}
}

// ask has a client with a port of its own connect through to, and send something
// and get it back. It returns how long the handshake took.
func (o *webOrigin) ask(ctx context.Context, to net.Addr) (handshake time.Duration, err error) {
	sock, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return 0, err
	}
	defer sock.Close()
	tr := &quic.Transport{Conn: sock}
	defer tr.Close()
	begin := time.Now()
	c, err := tr.Dial(ctx, to, &tls.Config{ServerName: o.name, RootCAs: o.roots, NextProtos: []string{"echo"}}, &quic.Config{HandshakeIdleTimeout: 10 * time.Second})
	if err != nil {
		return 0, err
	}
	defer c.CloseWithError(0, "")
	handshake = time.Since(begin)
	s, err := c.OpenStreamSync(ctx)
	if err != nil {
		return 0, err
	}
	fmt.Fprint(s, "echo")
	s.Close()
	deadline, _ := ctx.Deadline()
	_ = s.SetReadDeadline(deadline)
	if b, err := io.ReadAll(s); err != nil || string(b) != "echo" {
		return 0, fmt.Errorf("got %q: %w", b, err)
	}
	return handshake, nil
}
