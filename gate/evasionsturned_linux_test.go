package gate_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// insideTurned tells the test binary that it runs in namespaces of its own.
const insideTurned = "ICP_GATE_TEST_TURNED"

// TestEvasionsTurned (P05, P07): the program in a network where the packet filter
// turns connections to it, and where a filed name resolves to another server.
func TestEvasionsTurned(t *testing.T) {
	if os.Getenv(insideTurned) != "" {
		turnedEvasions(t)
		return
	}
	for _, name := range []string{"ip", "iptables"} {
		command(t, name)
	}
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestEvasionsTurned$", "-test.v")
	cmd.Env = append(os.Environ(), insideTurned+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS}
	out, err := cmd.CombinedOutput()
	switch {
	case err != nil && len(out) == 0:
		without(t, fmt.Sprintf("namespaces cannot be made: %v", err))
	case err != nil:
		t.Fatalf("in the namespace: %v\n%s", err, out)
	case strings.Contains(string(out), "SKIP"):
		without(t, "the namespace cannot be set up: "+string(out))
	}
	t.Logf("%s", out)
}

// without skips a test by name for what the machine does not permit; with
// REQUIRE_PEERS=1 it fails.
func without(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("REQUIRE_PEERS") == "1" {
		t.Fatal(why)
	}
	t.Skip(why)
}

// Addresses of the namespace: a client whose connections are turned, a server
// inside the networks of original-dst, and one outside.
const (
	turnedClient  = "192.0.2.7"
	turnedInside  = "203.0.113.9"
	turnedOutside = "198.51.100.9"
)

func turnedEvasions(t *testing.T) {
	setUpTurned(t)
	inside, outside := newCountedOrigin(t, turnedInside), newCountedOrigin(t, turnedOutside)
	p := start(t, 2, fmt.Sprintf(`
http://:0 {
	ICP
	original-dst redirect 203.0.113.0/24
}
http://127.0.0.1:0 {
	ICP
	upstream %s:80
}`, turnedInside), nil)
	_, port, _ := net.SplitHostPort(p.addr(t, "http://:"))
	inNamespace(t, "iptables -t nat -A OUTPUT -p tcp -s "+turnedClient+" --dport 80 -j REDIRECT --to-ports "+port)
	for _, tt := range []struct {
		id, what, from, to, host, want string
		toInside, toOutside            int64
	}{
		{"P05", "a server inside the networks", turnedClient, turnedInside + ":80", "filed.example", "200", 1, 0},
		{"P05", "the same under an unfiled name", turnedClient, turnedInside + ":80", "unfiled.example", "403", 0, 0},
		{"P05", "a server outside of them", turnedClient, turnedOutside + ":80", "filed.example", "closed", 0, 0},
		{"P05", "the gate's own address, inside them", turnedInside, net.JoinHostPort(turnedInside, port), "filed.example", "closed", 0, 0},
		{"P07", "a filed name that resolves to another server", "127.0.0.1", p.addr(t, "http://127.0.0.1:"), "filed.example", "200", 1, 0},
	} {
		in, out := inside.Load(), outside.Load()
		got := askedFrom(t, tt.from, tt.to, tt.host)
		t.Logf("%-4s %-60s %s", tt.id, tt.what, got)
		if in, out = inside.Load()-in, outside.Load()-out; got != tt.want || in != tt.toInside || out != tt.toOutside {
			t.Errorf("%s, %s: got %s, with %d and %d requests inside and outside; want %s, %d and %d", tt.id, tt.what, got, in, out, tt.want, tt.toInside, tt.toOutside)
		}
	}
}

// setUpTurned gives the namespace its addresses and has filed.example resolve to
// the server outside.
func setUpTurned(t *testing.T) {
	t.Helper()
	inNamespace(t, "ip link set lo up")
	for _, a := range []string{turnedClient, turnedInside, turnedOutside} {
		inNamespace(t, "ip addr add "+a+"/32 dev lo")
	}
	hosts := filepath.Join(t.TempDir(), "hosts")
	if err := os.WriteFile(hosts, []byte(turnedOutside+" filed.example\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	inNamespace(t, "mount --make-rprivate /")
	inNamespace(t, "mount --bind "+hosts+" /etc/hosts")
	if got, err := net.LookupHost("filed.example"); err != nil || len(got) != 1 || got[0] != turnedOutside {
		t.Fatalf("filed.example resolves to %v, %v; want %s", got, err, turnedOutside)
	}
}

// inNamespace runs a command; a kernel without its parts skips.
func inNamespace(t *testing.T, line string) {
	t.Helper()
	f := strings.Fields(line)
	if out, err := exec.Command(f[0], f[1:]...).CombinedOutput(); err != nil {
		t.Skipf("%s: %v: %s", line, err, out)
	}
}

// newCountedOrigin is a web server on port 80 that counts requests.
func newCountedOrigin(t *testing.T, ip string) *atomic.Int64 {
	t.Helper()
	ln, err := net.Listen("tcp", ip+":80")
	if err != nil {
		t.Fatal(err)
	}
	n := new(atomic.Int64)
	srv := &httptest.Server{Listener: ln, Config: &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { n.Add(1) })}}
	srv.Start()
	t.Cleanup(srv.Close)
	return n
}

// askedFrom asks from an address of the client's and tells what came back.
func askedFrom(t *testing.T, from, to, host string) string {
	t.Helper()
	c, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}).Dial("tcp", to)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: "+host+"\r\nConnection: close\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	got, _ := io.ReadAll(c) // a reset says that it is closed
	if len(got) == 0 {
		return "closed"
	}
	return strings.Join(statuses(t, string(got)), " ")
}
