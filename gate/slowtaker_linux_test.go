package gate_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
	"golang.org/x/sys/unix"

	"github.com/icpgate/icpgate/gate"
)

// dialNarrow connects with segments and a buffer so small that little is on its way
// to the client, as over a slow line.
func dialNarrow(t testing.TB, addr string) net.Conn {
	t.Helper()
	d := net.Dialer{Control: func(_, _ string, raw syscall.RawConn) (err error) {
		return errors.Join(raw.Control(func(fd uintptr) {
			err = errors.Join(unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 8<<10),
				unix.SetsockoptInt(int(fd), unix.SOL_TCP, unix.TCP_MAXSEG, 536))
		}), err)
	}}
	c, err := d.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// endless is an origin whose body comes as fast as it is taken, and does not end.
func endless(t testing.TB, start func(http.Handler) *httptest.Server) string {
	t.Helper()
	srv := start(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(int64(1)<<50))
		for piece := make([]byte, 64<<10); ; {
			if _, err := w.Write(piece); err != nil {
				return
			}
		}
	}))
	t.Cleanup(srv.Close)
	return srv.Listener.Addr().String()
}

// TestSlowTaker: a client that takes a long body all the time, but for a piece of it
// takes longer than the limit for idleness, is not let go of.
func TestSlowTaker(t *testing.T) {
	hasty(t, time.Second, func(t testing.TB, idle time.Duration) {
		c := dialNarrow(t, serve(t, gate.TestService{Idle: idle, Upstream: endless(t, httptest.NewServer)}).Addr())
		_ = c.SetDeadline(time.Now().Add(patience))
		fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: filed.example\r\n\r\n")
		tick := time.NewTicker(idle / 50)
		defer tick.Stop()
		b, got := make([]byte, 7<<10), 0
		for begun := time.Now(); time.Since(begun) < 4*idle; <-tick.C {
			n, err := c.Read(b)
			if got += n; err != nil {
				t.Fatalf("after %s and %d bytes: %v", time.Since(begun), got, err)
			}
		}
	})
}

// TestLongTransfer: TLS that is passed through goes on for longer than the limit for
// idleness where bytes never stop, whoever the gate waits for when a deadline passes.
func TestLongTransfer(t *testing.T) {
	hasty(t, time.Second, func(t testing.TB, idle time.Duration) {
		l := serve(t, gate.TestService{Kind: "tls", Idle: idle, Upstream: endless(t, httptest.NewTLSServer)})
		c := tls.Client(dialTCP(t, l.Addr()), &tls.Config{ServerName: "filed.example", InsecureSkipVerify: true})
		fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: filed.example\r\n\r\n")
		b, got := make([]byte, 64<<10), 0
		for begun := time.Now(); time.Since(begun) < 6*idle; {
			n, err := c.Read(b)
			if got += n; err != nil {
				t.Fatalf("after %s and %d bytes: %v", time.Since(begun), got, err)
			}
		}
	})
}

// TestNoTaker: of a body for a client that takes nothing for longer than the limit
// for idleness the system keeps nothing: the connection is reset, whatever it speaks.
func TestNoTaker(t *testing.T) {
	request := func(c net.Conn) { fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: filed.example\r\n\r\n") }
	secure := func(protocols ...string) func(t testing.TB, c net.Conn) net.Conn {
		return func(t testing.TB, c net.Conn) net.Conn {
			s := tls.Client(c, &tls.Config{ServerName: "filed.example", InsecureSkipVerify: true, NextProtos: protocols})
			if err := s.Handshake(); err != nil {
				t.Fatal(err)
			}
			return s
		}
	}
	plain := func(_ testing.TB, c net.Conn) net.Conn { return c }
	h2 := func(c net.Conn) {
		fr := http2.NewFramer(c, c)
		_, _ = io.WriteString(c, http2.ClientPreface)
		_ = fr.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1<<31 - 1})
		_ = fr.WriteWindowUpdate(0, 1<<31-1-65535)
		var block bytes.Buffer
		for enc, i := hpack.NewEncoder(&block), 0; i < 4; i++ {
			f := [4][2]string{{":method", "GET"}, {":scheme", "https"}, {":path", "/"}, {":authority", "filed.example"}}[i]
			_ = enc.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
		}
		_ = fr.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true})
	}
	certs := []gate.Certificate{newCertificate(t, "filed.example")}
	for _, tt := range []struct {
		name    string
		service gate.TestService
		origin  func(http.Handler) *httptest.Server
		begin   func(testing.TB, net.Conn) net.Conn
		ask     func(net.Conn)
	}{
		{"HTTP", gate.TestService{}, httptest.NewServer, plain, request},
		{"TLS passed through", gate.TestService{Kind: "tls"}, httptest.NewTLSServer, secure(), request},
		{"TLS ended", gate.TestService{Kind: "tls", Certificates: certs}, httptest.NewServer, secure("http/1.1"), request},
		{"HTTP/2", gate.TestService{Kind: "tls", Certificates: certs}, httptest.NewServer, secure("h2"), h2},
		{"HTTP/2 in plaintext", gate.TestService{H2C: true}, httptest.NewServer, plain, h2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			hasty(t, 200*time.Millisecond, func(t testing.TB, idle time.Duration) {
				s := tt.service
				s.Idle, s.Upstream = idle, endless(t, tt.origin)
				l := serve(t, s)
				c := dialNarrow(t, l.Addr())
				_ = c.SetDeadline(time.Now().Add(patience))
				tt.ask(tt.begin(t, c))
				eventually(t, "it is let go of", func() bool { return l.Open() == 0 })
				if _, err := io.Copy(io.Discard, c); !errors.Is(err, syscall.ECONNRESET) {
					t.Errorf("got %v; want a reset", err)
				}
			})
		})
	}
}
