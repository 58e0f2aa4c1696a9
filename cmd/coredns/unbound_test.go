package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/icpgate/icpgate/deploy/loopback"
)

// TestBehindUnbound puts a caching resolver between the client and CoreDNS: what
// it keeps of a blocked name hurts no other type, and what becomes of a filing is
// seen when the little that it may keep has expired.
func TestBehindUnbound(t *testing.T) {
	unbound, dig := needPeer(t, "unbound", "unbound"), needPeer(t, "dig", "bind9-dnsutils")
	dir := t.TempDir()
	build(t, dir, "coredns", "icp-registry")
	up := startZone(t)
	importStatus(t, dir, "example.com", "normal")
	coredns := startCoreDNS(t, dir, fmt.Sprintf(`. {
	icp {
		registry %[1]s/registry.icp
		mainland %[1]s/mainland.txt
		ttl 1
		max-ttl 2
	}
	cache
	forward . %[2]s
}
`, dir, up.addr), func() { writeLines(t, filepath.Join(dir, "mainland.txt"), []string{"203.0.113.0/24"}) })
	d := digger{t, dig}
	resolver := startUnbound(t, unbound, dir, coredns, "iterator")

	for range 2 {
		d.want(resolver, "www.example.org", "A", "status: NOERROR", "ANSWER: 0,", "SOA")
		d.want(resolver, "www.example.org", "TXT", `"v=spf1 -all"`)
		d.want(resolver, "www.example.org", "MX", "10 mail.example.org.")
		d.want(resolver, "www.example.org", "CAA", `0 issue "ca.example"`)
		d.want(resolver, "www.example.com", "A", "203.0.113.1")
	}
	// What the resolver may keep is short, whatever the zone says.
	for name, most := range map[string]int{"www.example.org": 1, "www.example.com": 2} {
		if ttl := d.ttl(resolver, name); ttl > most {
			t.Errorf("%s: the resolver keeps the answer for %d seconds; want %d at most", name, ttl, most)
		}
	}

	// One name gets a filing, the other loses it.
	for _, name := range []string{"www.example.org", "www.example.com"} {
		d.ask(coredns, name, "A") // CoreDNS keeps answers to dig apart from those to Unbound, which sets DO
	}
	asked := up.addresses.Load()
	importStatus(t, dir, "example.org", "normal", "example.com", "cancelled")
	d.until(coredns, "www.example.org", "203.0.113.2")
	d.want(coredns, "www.example.com", "A", "ANSWER: 0,", `EDE: 16 \(Censored\): \(icp: filing cancelled\)`)
	if n := up.addresses.Load(); n != asked {
		t.Errorf("the zone was asked for addresses %d times more; want 0: CoreDNS's own cache is warm", n-asked)
	}
	d.until(resolver, "www.example.org", "203.0.113.2")
	d.until(resolver, "www.example.com", "ANSWER: 0,")
	d.want(resolver, "www.example.org", "TXT", `"v=spf1 -all"`)
}

// needPeer finds a program, or skips the test by name; with REQUIRE_PEERS=1 it
// fails.
func needPeer(t *testing.T, name, pkg string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err == nil {
		return path
	}
	if os.Getenv("REQUIRE_PEERS") == "1" {
		t.Fatalf("%s is not installed (Debian: %s), and REQUIRE_PEERS=1 is set", name, pkg)
	}
	t.Skipf("%s is not installed (Debian: %s)", name, pkg)
	return ""
}

// digger asks with dig.
type digger struct {
	t    *testing.T
	path string
}

// patience is how long CoreDNS waits for the zone behind it before it answers SERVFAIL,
// or a little less (forward's two attempts of two seconds). The zone is in this process:
// where a machine stands still for as long, that says nothing of who is tested.
const patience = 3 * time.Second

func (d digger) ask(addr, name, qtype string) string {
	d.t.Helper()
	host, port, _ := net.SplitHostPort(addr)
	for end := time.Now().Add(2 * time.Minute); ; {
		begun := time.Now()
		out, err := exec.Command(d.path, "@"+host, "-p", port, "+tries=4", "+timeout=20", name, qtype).CombinedOutput()
		if err != nil {
			d.t.Fatalf("dig %s %s: %v\n%s", name, qtype, err, out)
		}
		if late := time.Since(begun) > patience && strings.Contains(string(out), "status: SERVFAIL"); !late || time.Now().After(end) {
			return string(out)
		}
	}
}

func (d digger) want(addr, name, qtype string, patterns ...string) {
	d.t.Helper()
	out := d.ask(addr, name, qtype)
	for _, p := range patterns {
		if !regexp.MustCompile(p).MatchString(out) {
			d.t.Errorf("got\n%s\nwant %q in it", out, p)
		}
	}
}

// until asks again and again for a name's address until the answer holds text:
// files are looked at now and then, and a cache has to forget.
func (d digger) until(addr, name, text string) {
	d.t.Helper()
	for end := time.Now().Add(5 * time.Minute); ; {
		out := d.ask(addr, name, "A")
		if strings.Contains(out, text) {
			return
		}
		if time.Now().After(end) {
			d.t.Fatalf("got\n%s\nwant %q in it", out, text)
		}
	}
}

// ttl returns for how long an answer to a name's A question may be kept.
func (d digger) ttl(addr, name string) int {
	d.t.Helper()
	out := d.ask(addr, name, "A")
	m := regexp.MustCompile(`(?m)^\S+\s+(\d+)\s+IN\s+(A|SOA)\s`).FindStringSubmatch(out)
	if m == nil {
		d.t.Fatalf("got\n%s\nwant an A or SOA record", out)
	}
	ttl, _ := strconv.Atoi(m[1])
	return ttl
}

// startUnbound runs Unbound in front of a server, with modules and more lines of its
// configuration, and returns its address once it answers.
func startUnbound(t *testing.T, unbound, dir, forward, modules string, more ...string) string {
	t.Helper()
	addr := loopback.Free(t)
	writeLines(t, filepath.Join(dir, "unbound.conf"), append([]string{
		"server:",
		"  interface: " + strings.ReplaceAll(addr, ":", "@"),
		"  access-control: 127.0.0.0/8 allow",
		"  do-daemonize: no",
		"  do-not-query-localhost: no",
		"  do-ip6: no",
		"  num-threads: 1",
		`  module-config: "` + modules + `"`,
		`  chroot: ""`,
		`  username: ""`,
		`  pidfile: ""`,
		`  directory: "` + dir + `"`,
		"  use-syslog: no",
		`  logfile: ""`,
		"remote-control:",
		"  control-enable: no",
		"forward-zone:",
		`  name: "."`,
		"  forward-addr: " + strings.ReplaceAll(forward, ":", "@"),
	}, more...))
	var logs bytes.Buffer
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, unbound, "-d", "-c", filepath.Join(dir, "unbound.conf"))
	cmd.Stdout, cmd.Stderr = &logs, &logs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() { cancel(); <-ended })
	for {
		c := &dns.Client{Timeout: 5 * time.Second}
		if m, _, err := c.Exchange(new(dns.Msg).SetQuestion("up.example.", dns.TypeTXT), addr); err == nil && m.Rcode != dns.RcodeServerFailure {
			return addr
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("Unbound ended: %v\n%s", err, logs.String())
		default:
		}
	}
}

// importStatus makes the registry out of names and the status of their filings.
func importStatus(t *testing.T, dir string, pairs ...string) {
	t.Helper()
	lines := []string{"domain,number,status,filed_at"}
	for i := 0; i < len(pairs); i += 2 {
		lines = append(lines, fmt.Sprintf("%s,京ICP备%010d号-1,%s,2022-01-01", pairs[i], i+1, pairs[i+1]))
	}
	file := filepath.Join(dir, "status.csv")
	writeLines(t, file, lines)
	out, err := exec.Command(filepath.Join(dir, "icp-registry"), "import", file, "-o", filepath.Join(dir, "registry.icp")).CombinedOutput()
	if err != nil {
		t.Fatalf("import: %v\n%s", err, out)
	}
}

// zone is an upstream with long TTLs. It has some records, and those that a test adds.
type zone struct {
	addr      string
	addresses atomic.Int64 // how often it was asked for A records
}

func startZone(t *testing.T, more ...string) *zone {
	t.Helper()
	var records []dns.RR
	for _, line := range append([]string{
		"www.example.com. 3600 IN A 203.0.113.1", "www.example.org. 3600 IN A 203.0.113.2",
		`www.example.org. 3600 IN TXT "v=spf1 -all"`, "www.example.org. 3600 IN MX 10 mail.example.org.",
		`www.example.org. 3600 IN CAA 0 issue "ca.example"`, `up.example. 3600 IN TXT "up"`,
	}, more...) {
		rr, err := dns.NewRR(line)
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, rr)
	}
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	z := &zone{addr: conn.LocalAddr().String()}
	srv := &dns.Server{PacketConn: conn, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, r *dns.Msg) {
		m := new(dns.Msg).SetReply(r)
		m.RecursionAvailable = true
		q := r.Question[0]
		if q.Qtype == dns.TypeA {
			z.addresses.Add(1)
		}
		for _, rr := range records {
			if h := rr.Header(); strings.EqualFold(h.Name, q.Name) && h.Rrtype == q.Qtype {
				m.Answer = append(m.Answer, rr)
			}
		}
		_ = w.WriteMsg(m)
	})}
	done := make(chan struct{})
	go func() { _ = srv.ActivateAndServe(); close(done) }()
	t.Cleanup(func() { conn.Close(); <-done })
	return z
}
