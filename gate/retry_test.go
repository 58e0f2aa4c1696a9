package gate_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/icpgate/icpgate/gate"
	"github.com/icpgate/icpgate/gate/internal/hello"
	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/edge"
)

// lax is a TLS server that asks for a second hello once it has begun to read, and
// takes whatever comes. It tells how much came behind the first hello, until the
// client's end; and says as much to the client.
func newLax(t testing.TB, answer []byte) (addr string, got <-chan string) {
	t.Helper()
	came := make(chan string, 1)
	return newRawOrigin(t, func(c net.Conn, r *bufio.Reader) {
		if _, err := io.CopyN(io.Discard, r, int64(len(hello.For("filed.example")))); err != nil {
			return
		}
		_, _ = c.Write(answer)
		b, _ := io.ReadAll(r)
		came <- string(b)
		fmt.Fprint(c, "passed")
	}), came
}

// afterRetry sends first, waits for an answer, sends second, and returns what came
// behind the answer.
func afterRetry(t *testing.T, addr string, answer int, first, second []byte) string {
	t.Helper()
	c := dialTCP(t, addr)
	if _, err := c.Write(first); err != nil {
		t.Fatal(err)
	}
	if _, err := io.CopyN(io.Discard, c, int64(answer)); err != nil {
		return "no answer"
	}
	_, _ = c.Write(second)
	_ = c.(*net.TCPConn).CloseWrite()
	b, _ := io.ReadAll(c)
	if len(b) == 7 && b[0] == 21 {
		return fmt.Sprintf("alert %d", b[6])
	}
	return string(b)
}

// TestSecondHello: what a server asks for by HelloRetryRequest must name what the
// first hello named, whenever and in whatever pieces it comes. Nothing of one that
// does not reaches the server.
func TestSecondHello(t *testing.T) {
	first, again, other := hello.For("filed.example"), hello.For("filed.example"), hello.For("www.filed.example")
	retry, server := hello.Records(hello.Retry()), hello.Records(hello.Server())
	ciphers, early := []byte{20, 3, 3, 0, 1, 1}, append([]byte{23, 3, 3, 0, 100}, make([]byte, 100)...)
	msg := hello.Spec{Extensions: [][]byte{hello.SNI("www.filed.example")}}.Message()
	join := func(parts ...[]byte) []byte { return slices.Concat(parts...) }
	for _, tt := range []struct {
		name                  string
		answer, begin, second []byte // begin is sent with the first hello, second after the answer
		want                  string
		passes                []byte // reaches the server
	}{
		{"the same name", retry, nil, again, "passed", again},
		{"in other letters", retry, nil, hello.For("Filed.Example."), "passed", hello.For("Filed.Example.")},
		{"behind a change of ciphers and early data", retry, early, join(early, ciphers, again), "passed", join(early, early, ciphers, again)},
		{"and what follows it", retry, nil, join(again, early, []byte("anything")), "passed", join(again, early, []byte("anything"))},
		{"another name", retry, nil, other, "alert 47", nil},
		{"no name", retry, nil, hello.Records(hello.Spec{}.Message()), "alert 47", nil},
		{"an address", retry, nil, hello.For("127.0.0.1"), "alert 47", nil},
		{"another name in small records", retry, nil, hello.Records(msg, slices.Repeat([]int{3}, 20)...), "alert 47", nil},
		{"another name behind early data", retry, nil, join(ciphers, early, other), "alert 47", join(ciphers, early)},
		{"another name, not waiting", retry, other, nil, "alert 47", nil},
		{"another name, not waiting, behind early data", retry, join(early, other), nil, "alert 47", early},
		{"another name and an answer in small records", hello.Records(hello.Retry(), 3, 20, 1, 5), nil, other, "alert 47", nil},
		{"another name and an answer behind a warning", join([]byte{21, 3, 3, 0, 2, 1, 112}, retry), nil, other, "alert 47", nil},
		{"a name that is none", retry, nil, hello.For("filed.example.."), "alert 50", nil},
		{"two names", retry, nil, hello.Records(hello.Spec{Extensions: [][]byte{hello.SNI("filed.example"), hello.SNI("www.filed.example")}}.Message()), "alert 47", nil},
		{"another message", retry, nil, hello.Records([]byte{16, 0, 0, 1, 0}), "alert 10", nil},
		{"another protocol", retry, nil, []byte("GET / HTTP/1.1\r\n\r\n"), "alert 10", nil},
		{"half of one, and the end", retry, nil, again[:50], "", nil},
		{"no retry", server, nil, other, "passed", other},
		{"no retry, and a message that did not wait", server, other, nil, "passed", other},
		{"no TLS in the answer", []byte("HTTP/1.1 400 Bad Request\r\n\r\n"), nil, other, "passed", other},
	} {
		t.Run(tt.name, func(t *testing.T) {
			up, came := newLax(t, tt.answer)
			l := serve(t, gate.TestService{Kind: "tls", Upstream: up})
			if got := afterRetry(t, l.Addr(), len(tt.answer), join(first, tt.begin), tt.second); got != tt.want {
				t.Errorf("got %q; want %q", got, tt.want)
			}
			if got := <-came; got != string(tt.passes) {
				t.Errorf("%d bytes reached the server; want %d", len(got), len(tt.passes))
			}
		})
	}
}

// TestSecondHelloBlind: behind bytes that are no records nobody can tell a second
// hello, and the connection ends when one is asked for.
func TestSecondHelloBlind(t *testing.T) {
	retry := hello.Records(hello.Retry())
	for _, monitor := range []bool{false, true} {
		garbage, seen := []byte("no record at all"), make(chan struct{})
		up := newRawOrigin(t, func(c net.Conn, r *bufio.Reader) {
			_, _ = io.CopyN(io.Discard, r, int64(len(hello.For("filed.example"))+len(garbage)))
			close(seen)
			_, _ = c.Write(retry)
			_, _ = io.Copy(io.Discard, r)
		})
		l := serve(t, gate.TestService{Kind: "tls", Upstream: up, Edge: modeEdge(t, monitor)})
		c := dialTCP(t, l.Addr())
		_, _ = c.Write(append(hello.For("filed.example"), garbage...))
		<-seen
		_ = c.(*net.TCPConn).CloseWrite()
		b, _ := io.ReadAll(c)
		if want := monitor; (string(b) == string(retry)) != want {
			t.Errorf("monitor %v: got %d bytes", monitor, len(b))
		}
	}
}

func modeEdge(t *testing.T, monitor bool) *edge.Edge {
	return newEdge(t, func(c *edge.Config) {
		if monitor {
			c.Policy.Mode = registry.Monitor
		}
	})
}

// TestSecondHelloMonitor: where verdicts are only counted, so is this.
func TestSecondHelloMonitor(t *testing.T) {
	other, retry := hello.For("unfiled.example"), hello.Records(hello.Retry())
	up, came := newLax(t, retry)
	reg := prometheus.NewRegistry()
	l := serve(t, gate.TestService{Kind: "tls", Upstream: up, Edge: modeEdge(t, true), Metrics: reg})
	if got := afterRetry(t, l.Addr(), len(retry), hello.For("filed.example"), other); got != "passed" || <-came != string(other) {
		t.Errorf("got %q; want it passed", got)
	}
	if n := metric(t, reg, "icp_gate_sniffs_total", "cause", "name-differs"); n != 1 {
		t.Errorf("%v were counted; want 1", n)
	}
	if n := metric(t, reg, "icp_gate_verdicts_total", "reason", "malformed", "mode", "monitor"); n != 1 {
		t.Errorf("%v verdicts were counted; want 1", n)
	}
}

// TestSecondHelloSlow: a second hello has as long as a first one, and no byte in
// between makes it longer.
func TestSecondHelloSlow(t *testing.T) {
	hasty(t, 200*time.Millisecond, func(t testing.TB, head time.Duration) {
		retry := hello.Records(hello.Retry())
		up, _ := newLax(t, retry)
		l := serve(t, gate.TestService{Kind: "tls", Upstream: up, Head: head})
		c := dialTCP(t, l.Addr())
		_, _ = c.Write(hello.For("filed.example"))
		if _, err := io.CopyN(io.Discard, c, int64(len(retry))); err != nil {
			t.Fatal(err)
		}
		_, _ = c.Write(hello.For("filed.example")[:40])
		if b, err := io.ReadAll(c); len(b) > 0 {
			t.Errorf("got %q, %v; want the end", b, err)
		}
	})
}

// TestRetryOpenSSL: openssl's server asks openssl's client for a second hello, and
// gets it.
func TestRetryOpenSSL(t *testing.T) {
	cert := newCertificate(t, "filed.example")
	up := freePort(t)
	server := command(t, "openssl", "s_server", "-accept", up, "-cert", cert.Cert, "-key", cert.Key, "-groups", "P-384", "-www", "-naccept", "3")
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Process.Kill(); _ = server.Wait() })
	eventually(t, "the server listens", func() bool {
		c, err := net.Dial("tcp", up)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	l := serve(t, gate.TestService{Kind: "tls", Upstream: up})
	for groups, hellos := range map[string]int{"X25519:P-384": 2, "P-384": 1} {
		out := toolIn(t, "GET / HTTP/1.0\r\n\r\n", "openssl", "s_client", "-connect", l.Addr(), "-servername", "filed.example", "-groups", groups, "-msg", "-ign_eof")
		if n := strings.Count(out, "], ClientHello"); n != hellos || !strings.Contains(out, "HTTP/1.0 200 ok") {
			t.Errorf("-groups %s: %d hellos; want %d, and the page:\n%.3000s", groups, n, hellos, out)
		}
	}
}
