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
	"time"

	"github.com/icpgate/icpgate/gate"
	"github.com/icpgate/icpgate/gate/internal/hello"
)

// segment is what one segment holds over Ethernet with timestamps: less than a
// hello of Chromium, which has the name anywhere in it.
const segment = 1448

// shuffled has Chromium load a filed and an unfiled page over segments as they
// are on a network; those of the loopback are larger than any hello.
func shuffled(t *testing.T, w *evaded) string {
	chromium := needChromium(t)
	addr, longest := relay(t, w.web)
	_, port, _ := net.SplitHostPort(addr)
	outcome := "does not load"
	if page := browse(t, chromium, addr, "https://filed.example:"+port+"/"); strings.Contains(page, "filed.example filed.example:"+port) {
		outcome = "loads"
	}
	if n := longest.Load(); n <= segment {
		t.Errorf("the hello has %d bytes; want more than a segment of %d, or this shows nothing", n, segment)
	}
	page := browse(t, chromium, addr, "https://unfiled.example:"+port+"/")
	for _, said := range []string{"ERR_SSL_UNRECOGNIZED_NAME_ALERT", "unfiled.example unfiled.example"} {
		if strings.Contains(page, said) {
			outcome += ", " + said
		}
	}
	return outcome
}

// relay passes connections on in small segments; it tells how long the longest
// record was that a client began with.
func relay(t *testing.T, to string) (addr string, longest *atomic.Int64) {
	t.Helper()
	longest = new(atomic.Int64)
	return gate.LocalTCP(t, func(c net.Conn) { relayed(c, to, longest) }), longest
}

func relayed(c net.Conn, to string, longest *atomic.Int64) {
	defer c.Close()
	d := net.Dialer{Control: func(_, _ string, c syscall.RawConn) (err error) {
		if bad := c.Control(func(fd uintptr) {
			err = shortSegments(fd, segment)
		}); bad != nil {
			return bad
		}
		return err
	}}
	s, err := d.Dial("tcp", to)
	if err != nil {
		return
	}
	defer s.Close()
	r := bufio.NewReader(c)
	if head, err := r.Peek(5); err == nil {
		n := 5 + int64(head[3])<<8 + int64(head[4])
		for old := longest.Load(); n > old && !longest.CompareAndSwap(old, n); old = longest.Load() {
		}
	}
	go func() {
		_, _ = io.Copy(s, r)
		_ = s.(*net.TCPConn).CloseWrite()
	}()
	_, _ = io.Copy(c, s)
}

// cutOff resets a connection within a body. The upstream sees it cut off, and
// the next request comes by another connection.
func cutOff(t *testing.T, _ *evaded) string {
	web, cut := newCounting(t)
	addr := start(t, 1, "http://127.0.0.1:0 {\nICP\nupstream "+web+"\n}", nil).addr(t, "http:")
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	first := byWhich(t, c)
	if _, err := io.WriteString(c, "POST / HTTP/1.1\r\nHost: filed.example\r\nContent-Length: 100\r\n\r\nten bytes."); err != nil {
		t.Fatal(err)
	}
	if got := <-cut; got != "began" {
		t.Fatalf("the upstream got %s; want the head of the request", got)
	}
	_ = c.(*net.TCPConn).SetLinger(0)
	c.Close()
	outcome := <-cut
	next, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	_ = next.SetDeadline(time.Now().Add(30 * time.Second))
	if byWhich(t, next) == first {
		return outcome + ", the next by the same connection"
	}
	return outcome + ", the next by another connection"
}

// byWhich asks a counting web server by which of its connections it was asked.
func byWhich(t *testing.T, c net.Conn) string {
	t.Helper()
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: filed.example\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("got %s %q, %v", resp.Status, body, err)
	}
	return string(body)
}

// newCounting is a web server that answers with the number of the connection. It
// tells when a POST has begun, and what came of it.
func newCounting(t *testing.T) (addr string, told <-chan string) {
	t.Helper()
	tell := make(chan string, 8)
	var number atomic.Int64
	return gate.LocalTCP(t, func(c net.Conn) { counting(c, number.Add(1), tell) }), tell
}

func counting(c net.Conn, number int64, tell chan<- string) {
	for r := bufio.NewReader(c); ; {
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		if req.Method == http.MethodPost {
			tell <- "began"
			b, err := io.ReadAll(req.Body)
			if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) {
				tell <- "cut off"
				return
			}
			tell <- fmt.Sprintf("a body %q, %v", b, err)
		}
		n := fmt.Sprint(number)
		fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(n), n)
	}
}

// ledAway names hosts that tell by themselves where another server is. All come
// to the upstream of the configuration, or are refused.
func ledAway(t *testing.T, w *evaded) string {
	var elsewhere atomic.Int64
	at, stop := gate.Accepted(t, "tcp", "127.0.0.1:0", func(net.Conn) { elsewhere.Add(1) })
	_, port, _ := net.SplitHostPort(at)
	got := []string{
		getHost("Host: "+at)(t, w),
		getHost("Host: filed.example:"+port)(t, w),
		said("GET http://"+at+"/ HTTP/1.1\r\nHost: "+at+"\r\n\r\n")(t, w),
		said("CONNECT "+at+" HTTP/1.1\r\nHost: "+at+"\r\n\r\n")(t, w),
		sent(hello.For("127.0.0.1"))(t, w),
	}
	stop()
	return fmt.Sprintf("%s, elsewhere %d", strings.Join(got, " "), elsewhere.Load())
}
