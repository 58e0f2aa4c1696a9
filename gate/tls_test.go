package gate_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/icpgate/icpgate/gate"
	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/edge"
)

// newTLSOrigin is a web server with TLS that tells whom the client named.
func newTLSOrigin(t testing.TB) string {
	t.Helper()
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s", r.TLS.ServerName, r.Host)
	}))
	t.Cleanup(srv.Close)
	return srv.Listener.Addr().String()
}

// handshake connects as a browser does and returns what came of it.
func handshake(addr, name string) error {
	c, err := tls.DialWithDialer(&net.Dialer{Timeout: time.Minute}, "tcp", addr, &tls.Config{ServerName: name, InsecureSkipVerify: true})
	if err != nil {
		return err
	}
	return c.Close()
}

func TestTLSByName(t *testing.T) {
	l := serve(t, gate.TestService{Kind: "tls", Upstream: newTLSOrigin(t)})
	for name, alert := range map[string]string{
		"www.filed.example": "", "WWW.Filed.Example": "", "www.unfiled.example": "unrecognized name", "elsewhere.example": "unrecognized name",
		"a_b.filed.example": "",
	} {
		err := handshake(l.Addr(), name)
		if got := fmt.Sprint(err); alert == "" && err != nil || alert != "" && !strings.Contains(got, alert) {
			t.Errorf("%s: got %v; want %q", name, err, alert)
		}
	}
}

func TestTLSBlockForms(t *testing.T) {
	for form, want := range map[string]error{"rst": syscall.ECONNRESET, "close": io.EOF} {
		l := serve(t, gate.TestService{Kind: "tls", Upstream: newTLSOrigin(t), TLSBlock: form})
		if err := handshake(l.Addr(), "unfiled.example"); !errors.Is(err, want) {
			t.Errorf("%s: got %v; want %v", form, err, want)
		}
	}
}

// TestTLSMonitor: what would be blocked is counted and goes on, also what is
// malformed.
func TestTLSMonitor(t *testing.T) {
	monitor := newEdge(t, func(c *edge.Config) { c.Policy.Mode = registry.Monitor })
	l := serve(t, gate.TestService{Kind: "tls", Upstream: newTLSOrigin(t), Edge: monitor})
	if err := handshake(l.Addr(), "unfiled.example"); err != nil {
		t.Errorf("got %v; want a handshake", err)
	}
}

func TestMixed(t *testing.T) {
	var s seen
	l := serve(t, gate.TestService{Kind: "mixed", Upstream: newOrigin(t, &s)})
	if got := strings.Join(statuses(t, talk(t, l.Addr(), "GET / HTTP/1.1\r\nHost: filed.example\r\n\r\n")), " "); got != "200" {
		t.Errorf("plaintext: got %s; want 200", got)
	}
	if err := handshake(l.Addr(), "unfiled.example"); !strings.Contains(fmt.Sprint(err), "unrecognized name") {
		t.Errorf("TLS: got %v; want the alert", err)
	}
}

// TestTLSHalfClose: the end of one direction is passed on, and the other goes on.
func TestTLSHalfClose(t *testing.T) {
	l := serve(t, gate.TestService{Kind: "tls", Upstream: newSink(t)})
	hello := helloFor(t, "filed.example")
	if got, want := talk(t, l.Addr(), string(hello)+strings.Repeat("x", 200_000)), fmt.Sprintf("passed %d", len(hello)+200_000); got != want {
		t.Errorf("got %q; want %q", got, want)
	}
}

// TestTLSMalformed: the alert tells what is wrong, and the upstream is not dialled.
func TestTLSMalformed(t *testing.T) {
	l := serve(t, gate.TestService{Kind: "tls", Upstream: "127.0.0.1:1"})
	hello := helloFor(t, "filed.example")
	for name, tt := range map[string]struct {
		send string
		want string
	}{
		"a name with a NUL":      {strings.Replace(string(hello), "filed.example", "filed\x00example", 1), "\x15\x03\x03\x00\x02\x02\x32"},
		"an empty record":        {"\x16\x03\x01\x00\x00" + string(hello), "\x15\x03\x03\x00\x02\x02\x32"},
		"another type between":   {string(hello[:5]) + "\x15\x03\x01\x00\x02\x01\x00", "\x15\x03\x03\x00\x02\x02\x0a"},
		"half, and then nothing": {string(hello[:40]), ""},
		"plaintext":              {"GET / HTTP/1.1\r\n\r\n", ""},
		"SSL 2":                  {"\x80\x2e\x01\x03\x01", ""},
	} {
		if name == "another type between" {
			tt.send = string([]byte{22, 3, 1, 0, 4}) + string(hello[5:9]) + "\x14\x03\x03\x00\x01\x01"
		}
		if got := talk(t, l.Addr(), tt.send); got != tt.want {
			t.Errorf("%s: got %q; want %q", name, got, tt.want)
		}
	}
}

// helloFor is the hello of Go's client for a name.
func helloFor(t testing.TB, name string) []byte {
	t.Helper()
	here, there := net.Pipe()
	defer there.Close()
	go func() {
		_ = tls.Client(here, &tls.Config{ServerName: name, InsecureSkipVerify: true}).Handshake()
		here.Close()
	}()
	b := make([]byte, 16<<10)
	n, err := there.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	return b[:n]
}
