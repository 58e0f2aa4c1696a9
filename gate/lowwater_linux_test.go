package gate_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/icpgate/icpgate/gate"
)

// lowMark is how much must have come before the reader of a connection is woken.
func lowMark(t testing.TB, c net.Conn) (n int) {
	t.Helper()
	raw, err := c.(*net.TCPConn).SyscallConn()
	if err == nil {
		err = errors.Join(raw.Control(func(fd uintptr) {
			var geterr error
			if n, geterr = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVLOWAT); geterr != nil {
				t.Error(geterr)
			}
		}))
	}
	if err != nil {
		t.Error(err)
	}
	return n
}

// upstreamSide has a gate dial an origin, and hands out the gate's end.
func upstreamSide(t testing.TB, origin string) (*gate.TestListener, <-chan net.Conn) {
	t.Helper()
	dialed := make(chan net.Conn, 1)
	return serve(t, gate.TestService{Kept: time.Hour, Idle: time.Hour, Dial: func() (net.Conn, error) {
		c, err := net.Dial("tcp", origin)
		if err == nil {
			dialed <- c
		}
		return c, err
	}}), dialed
}

// sendUntilMarked writes pieces until the gate has found that they come fast, and
// returns how many bytes that were.
func sendUntilMarked(t *testing.T, c, up net.Conn) (sent int) {
	for piece := make([]byte, 256<<10); ; {
		if lowMark(t, up) > 1 {
			return sent
		}
		n, err := c.Write(piece)
		if sent += n; err != nil {
			t.Errorf("after %d bytes as fast as they go, which were never found to come fast: %v", sent, err)
			return sent
		}
	}
}

// TestFastBodyHalts: of a body that came fast and then comes byte by byte, each
// arrives before the next is sent, and so does its end.
func TestFastBodyHalts(t *testing.T) {
	const singles = 30
	for _, head := range []string{"Content-Length: 1099511627776\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n10000000000\r\n"} {
		t.Run(head[:12], func(t *testing.T) {
			var dialed <-chan net.Conn
			sent, arrived := make(chan int, 1), make(chan struct{})
			l, dialed := upstreamSide(t, newRawOrigin(t, func(c net.Conn, r *bufio.Reader) {
				defer close(sent)
				if _, err := http.ReadRequest(r); err != nil {
					t.Error(err)
					return
				}
				fmt.Fprint(c, "HTTP/1.1 200 OK\r\n", head)
				sent <- sendUntilMarked(t, c, <-dialed)
				for range singles {
					select {
					case <-arrived:
					case <-t.Context().Done():
						return
					}
					if _, err := c.Write([]byte{'.'}); err != nil {
						t.Error(err)
					}
					sent <- 1
				}
				select {
				case <-arrived:
				case <-t.Context().Done():
				}
			}))
			c := dialTCP(t, l.Addr())
			fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: filed.example\r\n\r\n")
			// Go's reader of chunks waits until it has as much as is asked for.
			r := bufio.NewReader(c)
			for got := ""; !strings.HasSuffix(got, head); {
				b, err := r.ReadByte()
				if err != nil {
					t.Fatalf("after %q: %v", got, err)
				}
				got += string(b)
			}
			got, want := make(chan int, 1<<16), 0
			go func() {
				defer close(got)
				for b := make([]byte, 64<<10); ; {
					n, err := r.Read(b)
					if got <- n; err != nil {
						return
					}
				}
			}()
			have := 0
			for n := range sent {
				for want += n; have < want; {
					n, more := <-got
					if have += n; !more {
						t.Fatalf("the body ends after %d bytes of %d", have, want)
					}
				}
				arrived <- struct{}{}
			}
			for n := range got {
				have += n
			}
			if have != want {
				t.Errorf("%d bytes came; want %d", have, want)
			}
		})
	}
}

// TestMarkTakenBack: behind a body that came fast, a connection is read as it was
// before.
func TestMarkTakenBack(t *testing.T) {
	const n = 32 << 20
	body := make([]byte, n)
	_, _ = io.ReadFull(random(3, n), body)
	var conns atomic.Int64
	ups, marked := make(chan net.Conn, 1), make(chan bool, 1)
	l, dialed := upstreamSide(t, newRawOrigin(t, func(c net.Conn, r *bufio.Reader) {
		if conns.Add(1) > 1 {
			return
		}
		up := <-ups
		for {
			req, err := http.ReadRequest(r)
			if err != nil {
				return
			}
			if req.URL.Path == "/short" {
				fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n.")
				continue
			}
			fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", n)
			was := false
			for rest := body; len(rest) > 0; {
				k, err := c.Write(rest[:min(len(rest), 256<<10)])
				if rest = rest[k:]; err != nil {
					t.Error(err)
					return
				}
				was = was || lowMark(t, up) > 1
			}
			marked <- was
		}
	}))
	c := dialTCP(t, l.Addr())
	r := bufio.NewReader(c)
	get := func(path string) []byte {
		t.Helper()
		fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: filed.example\r\n\r\n", path)
		resp, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	go func() { ups <- <-dialed }()
	for tries := 0; ; tries++ {
		if !bytes.Equal(get("/long"), body) {
			t.Fatal("another body came")
		}
		if <-marked {
			break
		}
		if tries == 50 {
			t.Fatal("nothing was found to come fast; this shows nothing")
		}
	}
	if got := get("/short"); len(got) != 1 {
		t.Errorf("%d bytes came; want 1", len(got))
	}
	if len(dialed) > 0 {
		t.Error("the upstream's connection was not kept; this shows nothing")
	}
}

// TestBodyByteByByte: of a long body that comes byte by byte, up or down, each
// arrives before the next is sent.
func TestBodyByteByByte(t *testing.T) {
	const n, singles = 10 << 20, 100
	body := make([]byte, n)
	_, _ = io.ReadFull(random(4, n), body)
	// send gives a byte after the other to w, each when the one before has been
	// received, and then the rest; receive is the other end.
	send := func(w io.Writer, received <-chan struct{}) error {
		for i := range singles {
			if _, err := w.Write(body[i : i+1]); err != nil {
				return err
			}
			select {
			case <-received:
			case <-time.After(patience):
				return fmt.Errorf("byte %d has not arrived", i)
			}
		}
		_, err := w.Write(body[singles:])
		return err
	}
	receive := func(r io.Reader, received chan<- struct{}) error {
		got := make([]byte, n)
		for i := range singles {
			if _, err := io.ReadFull(r, got[i:i+1]); err != nil {
				return fmt.Errorf("byte %d: %w", i, err)
			}
			received <- struct{}{}
		}
		if _, err := io.ReadFull(r, got[singles:]); err != nil {
			return err
		}
		if !bytes.Equal(got, body) {
			return errors.New("the body is another one")
		}
		return nil
	}
	up, down := make(chan struct{}, singles), make(chan struct{}, singles)
	l := serve(t, gate.TestService{Upstream: newRawOrigin(t, func(c net.Conn, r *bufio.Reader) {
		req, err := http.ReadRequest(r)
		if err == nil {
			err = receive(req.Body, up)
		}
		if err == nil {
			fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", n)
			err = send(c, down)
		}
		if err != nil {
			t.Errorf("origin: %v", err)
		}
	})})
	c := dialTCP(t, l.Addr())
	fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: filed.example\r\nContent-Length: %d\r\n\r\n", n)
	if err := send(c, up); err != nil {
		t.Fatalf("client: %v", err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err == nil {
		err = receive(resp.Body, down)
	}
	if err != nil {
		t.Fatalf("client: %v", err)
	}
}
