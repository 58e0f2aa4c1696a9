package gate_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/icpgate/icpgate/gate"
)

// faulty is an upstream's connection with a fault: write and read, where there is
// one, are called with the number of the call before anything is done, and may
// end it.
type faulty struct {
	net.Conn
	write, read   func(call int32, b []byte) (n int, err error)
	writes, reads atomic.Int32
}

// Write implements net.Conn.
func (f *faulty) Write(b []byte) (int, error) {
	if f.write != nil {
		if n, err := f.write(f.writes.Add(1), b); err != nil {
			return n, err
		}
	}
	return f.Conn.Write(b)
}

// Read implements net.Conn.
func (f *faulty) Read(b []byte) (int, error) {
	if f.read != nil {
		if n, err := f.read(f.reads.Add(1), b); err != nil {
			return n, err
		}
	}
	return f.Conn.Read(b)
}

// dialFaulty dials an upstream; the first connection has the fault, the others are
// sound.
func dialFaulty(addr string, fault *faulty) (dial func() (net.Conn, error), dials *atomic.Int32) {
	dials = new(atomic.Int32)
	return func() (net.Conn, error) {
		c, err := net.Dial("tcp", addr)
		if err != nil || dials.Add(1) > 1 {
			return c, err
		}
		fault.Conn = c
		return fault, nil
	}, dials
}

// panicsAt panics at a call.
func panicsAt(call int32) func(int32, []byte) (int, error) {
	return func(n int32, _ []byte) (int, error) {
		if n == call {
			panic("a defect")
		}
		return 0, nil
	}
}

// TestPanics: a defect ends the connection that meets it, wherever it is met, and
// is counted; the others are served as before.
func TestPanics(t *testing.T) {
	const post = "POST / HTTP/1.1\r\nHost: filed.example\r\nContent-Length: 200000\r\n\r\n"
	const upgrade = "GET / HTTP/1.1\r\nHost: filed.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
	for _, tt := range []struct {
		name, say, then string // then follows what was read first
		fault           *faulty
	}{
		{"sending a head", "GET / HTTP/1.1\r\nHost: filed.example\r\n\r\n", "", &faulty{write: panicsAt(1)}},
		{"reading a response", "GET / HTTP/1.1\r\nHost: filed.example\r\n\r\n", "", &faulty{read: panicsAt(1)}},
		{"a body on its way", post + strings.Repeat("x", 100_000), "", &faulty{write: panicsAt(2)}},
		{"a response beside a body", post, "", &faulty{read: panicsAt(1)}},
		{"a tunnel, to the client", upgrade, "", &faulty{read: panicsAt(2)}},
		{"a tunnel, from the client", upgrade, "x", &faulty{write: panicsAt(2)}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			web := newRawOrigin(t, func(c net.Conn, r *bufio.Reader) {
				for {
					req, err := http.ReadRequest(r)
					if err != nil {
						return
					}
					if req.Header.Get("Upgrade") != "" {
						fmt.Fprint(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
						_, _ = io.Copy(io.Discard, r)
						return
					}
					if _, err := io.Copy(io.Discard, req.Body); err != nil {
						return
					}
					fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
				}
			})
			reg := prometheus.NewRegistry()
			dial, _ := dialFaulty(web, tt.fault)
			l := serve(t, gate.TestService{Dial: dial, Metrics: reg, WebSocket: true})
			c, r := dialGate(t, l)
			fmt.Fprint(c, tt.say)
			if tt.then != "" {
				if resp, err := http.ReadResponse(r, nil); err != nil || resp.StatusCode != 101 {
					t.Fatalf("got %v, %v; want 101", resp, err)
				}
				fmt.Fprint(c, tt.then)
			}
			if _, err := io.Copy(io.Discard, r); err != nil && !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("got %v; want the end", err)
			}
			eventually(t, "it has ended and is counted", func() bool {
				return l.Open() == 0 && metric(t, reg, "icp_gate_panics_total") > 0
			})
			if got := metric(t, reg, "icp_gate_panics_total"); got != 1 {
				t.Errorf("%v panics were counted; want 1", got)
			}
			if got := strings.Join(statuses(t, talk(t, l.Addr(), "GET / HTTP/1.1\r\nHost: filed.example\r\n\r\n")), " "); got != "200" {
				t.Errorf("the next connection: got %s; want 200", got)
			}
		})
	}
}

// TestSentInPart: a request of which a connection that was kept has taken a part
// may have been acted on, and is not sent again; one of which it took nothing is,
// over another.
func TestSentInPart(t *testing.T) {
	for _, tt := range []struct {
		name  string
		taken int
		want  string
		dials int32
	}{
		{"a part", 5, "502", 1},
		{"nothing", 0, "200", 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := new(seen)
			dial, dials := dialFaulty(newOrigin(t, s), &faulty{write: func(call int32, _ []byte) (int, error) {
				if call == 2 {
					return tt.taken, syscall.ECONNRESET
				}
				return 0, nil
			}})
			l := serve(t, gate.TestService{Dial: dial})
			// Together, so that the connection is still there for the second.
			text := talk(t, l.Addr(), "GET /a HTTP/1.1\r\nHost: filed.example\r\n\r\nGET /b HTTP/1.1\r\nHost: filed.example\r\n\r\n")
			if got := strings.Join(statuses(t, text), " "); got != "200 "+tt.want || dials.Load() != tt.dials {
				t.Errorf("got %s over %d connections; want 200 %s over %d", got, dials.Load(), tt.want, tt.dials)
			}
			if got := strings.Contains(s.String(), "/b"); got != (tt.want == "200") {
				t.Errorf("the origin saw %s", s)
			}
		})
	}
}
