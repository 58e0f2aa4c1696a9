package gate_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/icpgate/icpgate/gate"
)

// newRawOrigin serves every connection by hand.
func newRawOrigin(t testing.TB, serve func(c net.Conn, r *bufio.Reader)) string {
	t.Helper()
	return gate.LocalTCP(t, func(c net.Conn) {
		_ = c.SetDeadline(time.Now().Add(patience))
		serve(c, bufio.NewReader(c))
	})
}

func dialGate(t testing.TB, l *gate.TestListener) (net.Conn, *bufio.Reader) {
	t.Helper()
	c, err := net.Dial("tcp", l.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	return c, bufio.NewReader(c)
}

// answered reads a response and returns its status and body.
func answered(t testing.TB, r *bufio.Reader, method string) string {
	t.Helper()
	resp, err := http.ReadResponse(r, &http.Request{Method: method})
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(resp.StatusCode, " ", string(b))
}

// TestHTTPLateSurplus: what an upstream says behind the end of its response is
// not taken for the response to the next request.
func TestHTTPLateSurplus(t *testing.T) {
	got, said := make(chan struct{}), make(chan struct{})
	up := newRawOrigin(t, func(c net.Conn, r *bufio.Reader) {
		for {
			req, err := http.ReadRequest(r)
			if err != nil {
				return
			}
			if req.Method == "GET" {
				fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ntrue")
				continue
			}
			fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n")
			<-got
			fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfalse")
			close(said)
		}
	})
	l := serve(t, gate.TestService{Upstream: up})
	c, r := dialGate(t, l)
	fmt.Fprint(c, "HEAD / HTTP/1.1\r\nHost: filed.example\r\n\r\n")
	answered(t, r, "HEAD")
	close(got)
	<-said
	fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: filed.example\r\n\r\n")
	if got := answered(t, r, "GET"); got != "200 true" {
		t.Errorf("got %q; want the response to this request", got)
	}
}

// TestHTTPEarlyResponse: who answered before it had read the body gets no other
// request over the same connection.
func TestHTTPEarlyResponse(t *testing.T) {
	up := newRawOrigin(t, func(c net.Conn, r *bufio.Reader) {
		for n := 1; ; n++ {
			req, err := http.ReadRequest(r)
			if err != nil {
				return
			}
			fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d", n)
			_, _ = io.Copy(io.Discard, req.Body)
		}
	})
	l := serve(t, gate.TestService{Upstream: up})
	c, r := dialGate(t, l)
	fmt.Fprint(c, "POST / HTTP/1.1\r\nHost: filed.example\r\nContent-Length: 6\r\n\r\nabc")
	if got := answered(t, r, "POST"); got != "200 1" {
		t.Errorf("got %q; want 200 1", got)
	}
	fmt.Fprint(c, "def"+"GET / HTTP/1.1\r\nHost: filed.example\r\n\r\n")
	if got := answered(t, r, "GET"); got != "200 1" {
		t.Errorf("got %q; want a connection of its own, 200 1", got)
	}
}

// TestHTTPTooLarge: a client that goes on sending to an upstream that has
// answered and closed sees the answer and its end.
func TestHTTPTooLarge(t *testing.T) {
	hurried(t, 2*time.Second, func(t testing.TB) { // that a client which was answered is listened to
		up := newRawOrigin(t, func(c net.Conn, r *bufio.Reader) {
			if _, err := http.ReadRequest(r); err == nil {
				fmt.Fprint(c, "HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig")
			}
		})
		l := serve(t, gate.TestService{Upstream: up})
		c, r := dialGate(t, l)
		fmt.Fprint(c, "POST / HTTP/1.1\r\nHost: filed.example\r\nContent-Length: 1000000\r\n\r\n")
		if got := answered(t, r, "POST"); got != "413 big" {
			t.Errorf("got %q; want 413 big", got)
		}
		for range 3 {
			if _, err := c.Write(make([]byte, 10000)); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := r.ReadByte(); err != io.EOF {
			t.Errorf("got %v; want the end", err)
		}
	})
}

// TestHTTPUnasked101: a protocol that nobody asked for is refused while the body
// is still on its way.
func TestHTTPUnasked101(t *testing.T) {
	up := newRawOrigin(t, func(c net.Conn, r *bufio.Reader) {
		if _, err := http.ReadRequest(r); err == nil {
			fmt.Fprint(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
			_, _ = io.Copy(io.Discard, r)
		}
	})
	l := serve(t, gate.TestService{Upstream: up})
	c, r := dialGate(t, l)
	fmt.Fprint(c, "POST / HTTP/1.1\r\nHost: filed.example\r\nContent-Length: 30000\r\n\r\n")
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		for range 300 {
			if _, err := c.Write(make([]byte, 100)); err != nil {
				return
			}
		}
	}()
	if got := answered(t, r, "POST"); !strings.HasPrefix(got, "502 ") {
		t.Errorf("got %q; want 502", got)
	}
	<-sent
}

// TestHTTPSlowBody: an upstream may wait for the end of a body that takes longer
// than a response may.
func TestHTTPSlowBody(t *testing.T) {
	hasty(t, time.Second, func(t testing.TB, short time.Duration) {
		up := newRawOrigin(t, func(c net.Conn, r *bufio.Reader) {
			req, err := http.ReadRequest(r)
			if err != nil {
				return
			}
			n, _ := io.Copy(io.Discard, req.Body)
			fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n%d", n)
		})
		l := serve(t, gate.TestService{Upstream: up, Response: short})
		c, r := dialGate(t, l)
		fmt.Fprint(c, "POST / HTTP/1.1\r\nHost: filed.example\r\nContent-Length: 150000\r\n\r\n")
		tick := time.NewTicker(short / 10)
		defer tick.Stop()
		for range 15 {
			<-tick.C
			fmt.Fprint(c, strings.Repeat("x", 10_000)) // more than the least that must come
		}
		if got := answered(t, r, "POST"); got != "200 150000" {
			t.Errorf("got %q; want 200 150000", got)
		}
	})
}

// TestEndBeforeOpen: what a connection opens after it was ended is closed.
func TestEndBeforeOpen(t *testing.T) {
	closed := false
	gate.EndThenOpen(func() { closed = true })
	if !closed {
		t.Error("it stays open")
	}
}
