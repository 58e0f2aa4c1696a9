package gate_test

import (
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
// for idleness the system keeps nothing: the connection is reset.
func TestNoTaker(t *testing.T) {
	hasty(t, 200*time.Millisecond, func(t testing.TB, idle time.Duration) {
		l := serve(t, gate.TestService{Idle: idle, Upstream: endless(t, httptest.NewServer)})
		c := dialNarrow(t, l.Addr())
		_ = c.SetDeadline(time.Now().Add(patience))
		fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: filed.example\r\n\r\n")
		eventually(t, "it is let go of", func() bool { return l.Open() == 0 })
		if _, err := io.Copy(io.Discard, c); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("got %v; want a reset", err)
		}
	})
}
