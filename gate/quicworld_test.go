package gate_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// quicOrigin is a web server of HTTP/3 that knows nothing of a gate: quic-go's.
type quicOrigin struct {
	addr string
	cert tls.Certificate
	mu   sync.Mutex
	// names are those that connections and requests came for; early counts
	// connections that used early data.
	names []string
	early int
	open  map[*quic.Conn]bool
}

// quicOriginConfig says how an origin differs.
type quicOriginConfig struct {
	retry    bool
	versions []quic.Version
	curves   []tls.CurveID
	addr     string
	names    []string // more names of its certificate
}

func newQUICOrigin(t testing.TB, c quicOriginConfig) *quicOrigin {
	t.Helper()
	files := newCertificate(t, append(c.names, "filed.example", "*.filed.example", "unfiled.example")...)
	cert, err := tls.LoadX509KeyPair(files.Cert, files.Key)
	if err != nil {
		t.Fatal(err)
	}
	if c.addr == "" {
		c.addr = "127.0.0.1:0"
	}
	sock, err := net.ListenPacket("udp", c.addr)
	if err != nil {
		t.Fatal(err)
	}
	o := &quicOrigin{addr: sock.LocalAddr().String(), cert: cert, open: map[*quic.Conn]bool{}}
	tr := &quic.Transport{Conn: sock, VerifySourceAddress: func(net.Addr) bool { return c.retry }}
	tlsConf := &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"h3", "doq"}, CurvePreferences: c.curves}
	ln, err := tr.ListenEarly(tlsConf, &quic.Config{Allow0RTT: true, Versions: c.versions, MaxIdleTimeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	srv := &http3.Server{Handler: http.HandlerFunc(o.serve)}
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := ln.Accept(ctx)
			if err != nil {
				return
			}
			all.Go(func() { o.accept(ctx, srv, c) })
		}
	})
	t.Cleanup(func() { cancel(); ln.Close(); tr.Close(); sock.Close(); all.Wait() })
	return o
}

func (o *quicOrigin) accept(ctx context.Context, srv *http3.Server, c *quic.Conn) {
	select {
	case <-c.HandshakeComplete():
	case <-c.Context().Done():
		return
	}
	st := c.ConnectionState()
	o.note(st.TLS.ServerName, func() {
		if st.Used0RTT {
			o.early++
		}
		o.open[c] = true
	})
	defer o.forget(c)
	if st.TLS.NegotiatedProtocol == "h3" {
		_ = srv.ServeQUICConn(c)
		return
	}
	for {
		s, err := c.AcceptStream(ctx)
		if err != nil {
			return
		}
		go func() { _, _ = io.Copy(s, s); s.Close() }()
	}
}

func (o *quicOrigin) forget(c *quic.Conn) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.open, c)
}

// hangUp ends the connections for a name, as servers do with those that are not
// used.
func (o *quicOrigin) hangUp(name string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for c := range o.open {
		if c.ConnectionState().TLS.ServerName == name {
			_ = c.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeNoError), "")
		}
	}
}

func (o *quicOrigin) note(name string, more func()) {
	o.mu.Lock()
	o.names = append(o.names, name)
	more()
	o.mu.Unlock()
}

// saw reports whether a name has come to the origin.
func (o *quicOrigin) saw(name string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Contains(o.names, name)
}

func (o *quicOrigin) earlies() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.early
}

func (o *quicOrigin) serve(w http.ResponseWriter, r *http.Request) {
	if n, _ := strconv.Atoi(r.URL.Query().Get("bulk")); n > 0 {
		b := make([]byte, 32<<10)
		for ; n > 0; n -= len(b) {
			if _, err := w.Write(b[:min(n, len(b))]); err != nil {
				return
			}
		}
		return
	}
	if r.Method == http.MethodPost {
		n, _ := io.Copy(io.Discard, r.Body)
		fmt.Fprintf(w, "got %d", n)
		return
	}
	fmt.Fprintf(w, "%s %s", r.TLS.ServerName, r.Host)
}

// quicClient is a client of quic-go with a port of its own.
type quicClient struct {
	tr   *quic.Transport
	to   net.Addr
	tls  *tls.Config
	conf *quic.Config
}

func newQUICClient(t testing.TB, to, name string) *quicClient {
	t.Helper()
	return newQUICClientAt(t, "127.0.0.1", to, name)
}

// newQUICClientAt is one at an address.
func newQUICClientAt(t testing.TB, ip, to, name string) *quicClient {
	t.Helper()
	sock, err := net.ListenPacket("udp", ip+":0")
	if err != nil {
		t.Fatal(err)
	}
	addr, err := net.ResolveUDPAddr("udp", to)
	if err != nil {
		t.Fatal(err)
	}
	c := &quicClient{
		tr: &quic.Transport{Conn: sock}, to: addr,
		tls:  &tls.Config{ServerName: name, InsecureSkipVerify: true, NextProtos: []string{"h3"}},
		conf: &quic.Config{HandshakeIdleTimeout: time.Minute, MaxIdleTimeout: time.Minute},
	}
	t.Cleanup(func() { c.tr.Close(); sock.Close() })
	return c
}

// dial connects and returns the connection.
func (c *quicClient) dial(t testing.TB) (*quic.Conn, error) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	return c.tr.Dial(ctx, c.to, c.tls, c.conf)
}

// h3 speaks HTTP/3 on a connection.
func h3(c *quic.Conn) *http3.ClientConn { return new(http3.Transport).NewClientConn(c) }

// get3 asks for a path on a connection, and returns what came.
func get3(t testing.TB, h *http3.ClientConn, host, path string) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+host+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := h.RoundTrip(req)
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return err.Error()
	}
	if len(b) > 100 {
		return fmt.Sprintf("%d bytes", len(b))
	}
	return string(b)
}

// came tells what came of a connection: what the origin says, or the error.
func (c *quicClient) came(t testing.TB) string {
	t.Helper()
	conn, err := c.dial(t)
	if err != nil {
		return quicError(err)
	}
	defer conn.CloseWithError(0, "")
	if conn.ConnectionState().TLS.NegotiatedProtocol != "h3" {
		return echo3(t, conn)
	}
	return get3(t, h3(conn), c.tls.ServerName, "/")
}

// echo3 sends something over a stream, and returns what comes back.
func echo3(t testing.TB, c *quic.Conn) string {
	t.Helper()
	s, err := c.OpenStream()
	if err != nil {
		return err.Error()
	}
	_ = s.SetDeadline(time.Now().Add(patience))
	fmt.Fprint(s, "echo")
	s.Close()
	b, err := io.ReadAll(s)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// quicError names what went wrong.
func quicError(err error) string {
	var tr *quic.TransportError
	var idle *quic.IdleTimeoutError
	var handshake *quic.HandshakeTimeoutError
	switch {
	case errors.As(err, &tr) && tr.Remote:
		return fmt.Sprintf("error 0x%x", uint64(tr.ErrorCode))
	case errors.As(err, &idle), errors.As(err, &handshake), errors.Is(err, context.DeadlineExceeded):
		return "silence"
	}
	return err.Error()
}
