package gate_test

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/icpgate/icpgate/gate"
)

// held is a connection whose writes go out together.
type held struct {
	net.Conn
	hold bool
	out  bytes.Buffer
}

// Write implements net.Conn.
func (h *held) Write(b []byte) (int, error) {
	if h.hold {
		return h.out.Write(b)
	}
	return h.Conn.Write(b)
}

func (h *held) release() {
	h.hold = false
	_, _ = h.Conn.Write(h.out.Bytes())
	h.out.Reset()
}

// newSurplus is a web server with TLS that answers with the number of the
// connection, and says more than it was asked for behind the response to HEAD:
// in a record of its own together with it, or once late is closed; then it tells
// said.
func newSurplus(t *testing.T, late <-chan struct{}, said chan<- struct{}) (addr, roots string) {
	t.Helper()
	files := newCertificate(t, "web.example")
	cert, err := tls.LoadX509KeyPair(files.Cert, files.Key)
	if err != nil {
		t.Fatal(err)
	}
	var number atomic.Int64
	return gate.LocalTCP(t, func(raw net.Conn) {
		n := fmt.Sprint(number.Add(1))
		under := &held{Conn: raw}
		c := tls.Server(under, &tls.Config{Certificates: []tls.Certificate{cert}})
		_ = c.SetDeadline(time.Now().Add(patience))
		for r := bufio.NewReader(c); ; {
			req, err := http.ReadRequest(r)
			if err != nil {
				return
			}
			if req.Method == http.MethodGet {
				fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(n), n)
				continue
			}
			under.hold = late == nil
			fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n")
			if late != nil {
				<-late
			}
			fmt.Fprint(c, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfalse")
			under.release()
			said <- struct{}{}
		}
	}), files.Cert
}

// TestTLSUpstreamSurplus: what an upstream with TLS says behind the end of its
// response is not taken for the response to the next request, whether it comes
// with it or later; one that says nothing keeps its connection.
func TestTLSUpstreamSurplus(t *testing.T) {
	for _, tt := range []struct {
		name string
		late chan struct{}
	}{{"with the response", nil}, {"later", make(chan struct{})}} {
		t.Run(tt.name, func(t *testing.T) {
			said := make(chan struct{}, 1)
			addr, roots := newSurplus(t, tt.late, said)
			t.Setenv("SSL_CERT_FILE", roots)
			p := start(t, 1, "http://127.0.0.1:0 {\nICP\nupstream "+addr+" tls web.example\n}", nil)
			c := dialTCP(t, p.addr(t, "http:"))
			r := bufio.NewReader(c)
			// Together, so that the gate never waits for a request and gives the
			// connection up over that.
			ask := func(methods string, want ...string) {
				t.Helper()
				text := ""
				for _, method := range strings.Fields(methods) {
					text += method + " / HTTP/1.1\r\nHost: filed.example\r\n\r\n"
				}
				fmt.Fprint(c, text)
				for i, method := range strings.Fields(methods) {
					if got := answered(t, r, method); got != want[i] {
						t.Errorf("%s %d: got %q; want %q", method, i, got, want[i])
					}
				}
			}
			ask("GET GET HEAD", "200 1", "200 1", "200 ")
			if tt.late != nil {
				close(tt.late)
			}
			<-said
			ask("GET GET", "200 2", "200 2")
		})
	}
}
