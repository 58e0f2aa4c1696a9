package icp_test

import (
	"bytes"
	"net/netip"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// peer is a program of somebody else's that the tests use.
type peer string

// need finds a program, or skips the test by name; with REQUIRE_PEERS=1 it fails.
func need(t testing.TB, name, pkg string) peer {
	t.Helper()
	path, err := exec.LookPath(name)
	if err == nil {
		return peer(path)
	}
	if os.Getenv("REQUIRE_PEERS") == "1" {
		t.Fatalf("%s is not installed (Debian: %s), and REQUIRE_PEERS=1 is set", name, pkg)
	}
	t.Skipf("%s is not installed (Debian: %s)", name, pkg)
	return ""
}

// run runs the program and returns what it writes; the test fails if it does. What asks
// a server asks again where the upstream, which is in this process, stood still.
func (p peer) run(t testing.TB, args ...string) (out string) {
	t.Helper()
	for range 10 {
		begun := time.Now()
		if out = p.input(t, "", args...); !strings.Contains(out, "SERVFAIL") || time.Since(begun) < 3*time.Second {
			break
		}
	}
	return out
}

// input is run with text for standard input.
func (p peer) input(t testing.TB, text string, args ...string) string {
	t.Helper()
	cmd := exec.Command(string(p), args...)
	cmd.Stdin = strings.NewReader(text)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %s: %v\n%s", p, strings.Join(args, " "), err, out.String())
	}
	return out.String()
}

// at are the arguments by which dig and kdig ask a server at an address.
func at(addr string, args ...string) []string {
	host, port := hostPort(addr)
	return append([]string{"@" + host, "-p", port, "+tries=3", "+timeout=60"}, args...)
}

// hostPort splits the address of a listener.
func hostPort(addr string) (host, port string) {
	ap := netip.MustParseAddrPort(addr)
	return ap.Addr().String(), strconv.Itoa(int(ap.Port()))
}

// wantText fails unless text has every pattern, and none of those behind "!".
func wantText(t testing.TB, text string, patterns ...string) {
	t.Helper()
	for _, p := range patterns {
		not, is := strings.CutPrefix(p, "!")
		want := !is
		if regexp.MustCompile("(?m)"+not).MatchString(text) != want {
			t.Errorf("got\n%s\nwant %q in it: %t", text, not, want)
		}
	}
}
