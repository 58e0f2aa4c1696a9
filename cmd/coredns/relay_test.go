package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/icpgate/icpgate/deploy/loopback"
)

// TestBehindRelay has CoreDNS follow a relay that follows a registry of record, all
// of them real: a change at the registry is in force at CoreDNS, the registry hears
// of it, and while the registry is gone and the relay is started again, all goes on.
func TestBehindRelay(t *testing.T) {
	dig := needPeer(t, "dig", "bind9-dnsutils")
	dir := t.TempDir()
	build(t, dir, "coredns", "icp-registry")
	file := func(name string) string { return filepath.Join(dir, name) }
	run := func(args ...string) string {
		t.Helper()
		out, err := exec.Command(file("icp-registry"), args...).Output()
		if err != nil {
			t.Fatalf("icp-registry %v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	token := func(at, owner, scopes string) string {
		t.Helper()
		path := file(at + "-" + owner + ".token")
		if err := os.WriteFile(path, []byte(run("token", "create", owner, "--scope", scopes, "--dir", file(at))), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	staff, up, edge := token("origin", "staff", "read,write"), token("origin", "relay", "edge"), token("relay", "edge", "edge")
	_, origin := startRegistry(t, dir, "--dir", file("origin"))
	asRelay := []string{"--dir", file("relay"), "--upstream", origin, "--upstream-token", up, "--upstream-key", file("origin/signing.pub.pem")}
	endRelay, relay := startRegistry(t, dir, asRelay...)
	writeLines(t, file("mainland.txt"), []string{"203.0.113.0/24"})
	coredns := startCoreDNS(t, dir, fmt.Sprintf(`. {
	icp {
		registry %[2]s key %[1]s/origin/signing.pub.pem token %[3]s
		state %[1]s/state
		mainland %[1]s/mainland.txt
	}
	forward . %[4]s
}
`, dir, relay, edge, startZone(t).addr), func() {})
	d := digger{t, dig}
	d.until(coredns, "www.example.com", "icp: not filed")
	atOrigin := []string{"--server", origin, "--token-file", staff}
	run(append([]string{"set", "example.com", "--new", "--domain", "example.com", "--number", "京ICP备10000001号-1", "--status", "normal", "--why", "a test"}, atOrigin...)...)
	d.until(coredns, "www.example.com", "203.0.113.1")
	d.want(coredns, "www.example.org", "A", "ANSWER: 0,", "icp: not filed")
	// The relay goes and comes; its address stays.
	endRelay()
	d.want(coredns, "www.example.com", "A", "203.0.113.1")
	run(append([]string{"cancel", "example.com", "--why", "a test"}, atOrigin...)...)
	_, _ = startRegistry(t, dir, append(asRelay, "--listen", strings.TrimPrefix(relay, "http://"))...)
	d.until(coredns, "www.example.com", "icp: filing cancelled")
}

// startRegistry serves a registry or a relay until the test ends or end is called,
// and returns where.
func startRegistry(t *testing.T, dir string, args ...string) (end func(), url string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, filepath.Join(dir, "icp-registry"), append([]string{"serve", "--listen", net.JoinHostPort(loopback.Host(), "0")}, args...)...)
	log, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	end = func() { cancel(); <-done }
	t.Cleanup(end)
	lines, said := bufio.NewScanner(log), ""
	for url == "" && lines.Scan() {
		said += lines.Text() + "\n"
		if _, rest, ok := strings.Cut(lines.Text(), "address="); ok {
			address, _, _ := strings.Cut(rest, " ")
			url = "http://" + address
		}
	}
	go func() {
		defer close(done)
		for lines.Scan() {
		}
		_ = cmd.Wait() // it was ended
	}()
	if url == "" {
		t.Fatalf("icp-registry serve %v ended:\n%s", args, said)
	}
	return end, url
}
