package gate

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// insideNetns tells the test binary that it runs in a network of its own.
const insideNetns = "ICP_GATE_TEST_NETNS"

// TestOriginalDst has connections turned by the kernel's packet filter, in a
// network namespace that ends with the test.
func TestOriginalDst(t *testing.T) {
	if os.Getenv(insideNetns) != "" {
		t.Run("redirect", testRedirect)
		t.Run("redirect6", testRedirect6)
		t.Run("tproxy", testTProxy)
		return
	}
	for _, tool := range []string{"ip", "iptables", "ip6tables"} {
		if _, err := exec.LookPath(tool); err != nil {
			skipPeer(t, tool+" (Debian packages iproute2, iptables) is not installed")
		}
	}
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestOriginalDst$", "-test.v")
	cmd.Env = append(os.Environ(), insideNetns+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	out, err := cmd.CombinedOutput()
	switch {
	case err != nil && len(out) == 0:
		skipPeer(t, fmt.Sprintf("a network namespace cannot be made: %v", err))
	case err != nil:
		t.Fatalf("in the namespace: %v\n%s", err, out)
	case strings.Contains(string(out), "SKIP"):
		skipPeer(t, "the packet filter cannot be set: "+string(out))
	}
}

// skipPeer skips a test whose peer is missing; with REQUIRE_PEERS=1 it fails.
func skipPeer(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("REQUIRE_PEERS") == "1" {
		t.Fatal(why)
	}
	t.Skip(why)
}

// run runs a command of the namespace; a kernel without its parts skips.
func run(t *testing.T, line string) {
	t.Helper()
	f := strings.Fields(line)
	if out, err := exec.Command(f[0], f[1:]...).CombinedOutput(); err != nil {
		t.Skipf("%s: %v: %s", line, err, out)
	}
}

// turned dials dst and returns what the listener's side tells of it.
func turned(t *testing.T, ln net.Listener, dst string, mode OriginalMode) netip.AddrPort {
	t.Helper()
	c, err := net.Dial("tcp", dst)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	got, err := originalDst(s.(*net.TCPConn), mode)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func listenHere(t *testing.T, lc net.ListenConfig, addr string) (net.Listener, int) {
	t.Helper()
	ln, err := lc.Listen(context.Background(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return ln, ln.Addr().(*net.TCPAddr).Port
}

func testRedirect(t *testing.T) {
	run(t, "ip link set lo up")
	// Dual-stack, so that the IPv4 connection comes on an IPv6 socket.
	ln, port := listenHere(t, net.ListenConfig{}, ":0")
	run(t, "ip addr add 203.0.113.9/32 dev lo")
	run(t, fmt.Sprintf("iptables -t nat -A OUTPUT -p tcp -d 203.0.113.9 --dport 443 -j REDIRECT --to-ports %d", port))
	if got, want := turned(t, ln, "203.0.113.9:443", Redirect), netip.MustParseAddrPort("203.0.113.9:443"); got != want {
		t.Errorf("got %s; want %s", got, want)
	}
}

func testRedirect6(t *testing.T) {
	run(t, "ip link set lo up")
	ln, port := listenHere(t, net.ListenConfig{}, "[::]:0")
	run(t, "ip addr add 2001:db8::9/128 dev lo nodad")
	run(t, fmt.Sprintf("ip6tables -t nat -A OUTPUT -p tcp -d 2001:db8::9 --dport 443 -j REDIRECT --to-ports %d", port))
	if got, want := turned(t, ln, "[2001:db8::9]:443", Redirect), netip.MustParseAddrPort("[2001:db8::9]:443"); got != want {
		t.Errorf("got %s; want %s", got, want)
	}
}

func testTProxy(t *testing.T) {
	run(t, "ip link set lo up")
	ln, port := listenHere(t, net.ListenConfig{Control: controlTransparent}, "0.0.0.0:0")
	for _, line := range []string{
		"ip rule add fwmark 1 lookup 100",
		"ip route add local 0.0.0.0/0 dev lo table 100",
		"ip route add default dev lo",
		"iptables -t mangle -A OUTPUT -p tcp -d 198.51.100.9 --dport 443 -j MARK --set-mark 1",
		fmt.Sprintf("iptables -t mangle -A PREROUTING -p tcp -d 198.51.100.9 --dport 443 -j TPROXY --on-port %d --on-ip 127.0.0.1 --tproxy-mark 1", port),
	} {
		run(t, line)
	}
	if got, want := turned(t, ln, "198.51.100.9:443", TProxy), netip.MustParseAddrPort("198.51.100.9:443"); got != want {
		t.Errorf("got %s; want %s", got, want)
	}
}

// TestOriginalDstNotTurned: a client that connects to the gate itself.
func TestOriginalDstNotTurned(t *testing.T) {
	_, s := tcpPair(t)
	got, err := originalDst(s, Redirect)
	// A machine without connection tracking knows of none; one with it names the
	// gate, which the guard refuses.
	if err == nil && got.String() != s.LocalAddr().String() {
		t.Errorf("got %s; want an error or %s", got, s.LocalAddr())
	}
	if err != nil && !strings.Contains(err.Error(), s.LocalAddr().String()) {
		t.Errorf("error %q does not name the connection", err)
	}
}
