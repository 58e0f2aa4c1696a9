package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"golang.org/x/net/publicsuffix"

	"github.com/icpgate/icpgate/bench/corpus"
	"github.com/icpgate/icpgate/deploy/loopback"
)

// TestNames drives thousands of names through the built programs: all filed,
// then asked for as they are, one level deeper, and as look-alikes, while the
// upstream answers everything with an address in the mainland.
//
// It makes its own names and prefixes. ICP_NAMES and ICP_MAINLAND name files of
// real ones, one a line, to use instead.
func TestNames(t *testing.T) {
	names, prefixes := testNames(t), testPrefixes(t)
	dir := t.TempDir()
	build(t, dir, "coredns", "icp-registry")
	importNames(t, dir, names)
	addr := startCoreDNS(t, dir, fmt.Sprintf(`. {
	icp {
		registry %[1]s/registry.icp
		mainland %[1]s/mainland.txt
	}
	forward . %[2]s
}
`, dir, startUpstream(t, prefixes)), func() {
		writeLines(t, filepath.Join(dir, "mainland.txt"), prefixes)
	})

	filed := map[string]bool{}
	for _, name := range names {
		if !isSuffix(name) {
			filed[name] = true
		}
	}
	client := newClient(t, addr)
	rnd := rand.New(rand.NewPCG(1, 2))
	passed, withheld := 0, 0
	check := func(name string) {
		t.Helper()
		got := client.ask(t, name)
		want := slowCovered(filed, name)
		switch {
		case want && got.address:
			passed++
		case !want && !got.address && got.ede == "icp: not filed":
			withheld++
		default:
			t.Errorf("%s: got address %v, EDE %q; want an address: %v", name, got.address, got.ede, want)
		}
	}
	for _, name := range names {
		check(name)
		sub := "www." + name
		if !gov(name) {
			sub = fmt.Sprintf("h%d.%s", rnd.IntN(1000), name)
		}
		check(sub)
		for _, like := range lookAlikes(rnd, name) {
			check(like)
		}
	}
	t.Logf("%d names, %d of them public suffixes; %d answers passed, %d withheld", len(names), len(names)-len(filed), passed, withheld)
	if passed < len(filed) || withheld < len(filed) {
		t.Errorf("passed %d and withheld %d answers; want at least %d of each", passed, withheld, len(filed))
	}
}

// testNames returns the names to file, public suffixes among them.
func testNames(t *testing.T) []string {
	if file := os.Getenv("ICP_NAMES"); file != "" {
		return readLines(t, file)
	}
	names := []string{"com.cn", "gov.cn", "bj.cn", "xn--55qx5d.cn"}
	for i := range 1500 {
		names = append(names, corpus.Name(i))
	}
	return names
}

func testPrefixes(t *testing.T) []string {
	if file := os.Getenv("ICP_MAINLAND"); file != "" {
		return readLines(t, file)
	}
	return []string{"203.0.113.0/24", "198.51.100.128/25", "2001:db8:1::/48"}
}

// slowCovered is the rule, written as plainly as it can be. A single label is
// never judged.
func slowCovered(filed map[string]bool, name string) bool {
	if !strings.Contains(name, ".") {
		return true
	}
	if gov(name) {
		return filed[name] || strings.HasPrefix(name, "www.") && filed[strings.TrimPrefix(name, "www.")]
	}
	for labels := strings.Split(name, "."); len(labels) > 1; labels = labels[1:] {
		if filed[strings.Join(labels, ".")] {
			return true
		}
	}
	return false
}

func gov(name string) bool {
	return strings.HasSuffix(name, ".gov.cn") || strings.HasSuffix(name, ".xn--zfr164b")
}

// isSuffix reports whether name is an ICANN public suffix.
func isSuffix(name string) bool {
	suffix, icann := publicsuffix.PublicSuffix(name)
	return suffix == name && (icann || !strings.Contains(name, "."))
}

// lookAlikes are names that are not name but look like it: letters glued in
// front of what is registered, a suffix appended, a letter changed.
func lookAlikes(rnd *rand.Rand, name string) []string {
	label, _, _ := strings.Cut(name, ".")
	i := rnd.IntN(len(label))
	changed := []byte(name)
	for changed[i] == name[i] || changed[0] == '-' {
		changed[i] = "abcdefghijklmnopqrstuvwxyz0123456789"[rnd.IntN(36)]
	}
	return []string{"not" + name, name + ".example", name + ".com", string(changed), "www." + string(changed)}
}

func build(t *testing.T, dir string, programs ...string) {
	t.Helper()
	for _, p := range programs {
		cmd := exec.Command("go", "build", "-o", filepath.Join(dir, p), "github.com/icpgate/icpgate/cmd/"+p)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("go build %s: %v\n%s", p, err, out)
		}
	}
}

// importNames files all names with made-up numbers, and checks that the import
// names each public suffix among them and nothing else as refused.
func importNames(t *testing.T, dir string, names []string) {
	t.Helper()
	var csv bytes.Buffer
	csv.WriteString("domain,number,status,filed_at\n")
	for i, name := range names {
		fmt.Fprintf(&csv, "%s,京ICP备%010d号-1,normal,2022-01-01\n", name, i+1)
	}
	file, refused := filepath.Join(dir, "filings.csv"), filepath.Join(dir, "refused.csv")
	if err := os.WriteFile(file, csv.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(dir, "icp-registry"), "import", file, "-o", filepath.Join(dir, "registry.icp"), "--refused", refused)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("import: %v\n%s", err, out)
	}
	report, err := os.ReadFile(refused)
	if err != nil {
		t.Fatalf("import left no file of refused rows: %v\n%s", err, out)
	}
	rows := strings.Split(strings.TrimSpace(string(report)), "\n")[1:]
	want := 0
	for _, name := range names {
		if !isSuffix(name) {
			continue
		}
		want++
		if !strings.Contains(string(report), `"`+name+`"`) {
			t.Errorf("public suffix %s was not refused by name", name)
		}
	}
	if len(rows) != want {
		t.Errorf("%d rows were refused; want the %d public suffixes:\n%s", len(rows), want, report)
	}
}

// startCoreDNS starts the built CoreDNS with a Corefile of one block "." and
// returns its address once it answers. Who answers is asked too: two processes
// that listen on one port share its queries, and neither is told.
func startCoreDNS(t *testing.T, dir, corefile string, before func()) string {
	t.Helper()
	before()
	addr, token := loopback.Free(t), fmt.Sprint(rand.Uint64())
	host, port, _ := net.SplitHostPort(addr) // it has both
	path := filepath.Join(dir, "Corefile")
	corefile = strings.Replace(corefile, ". {", ".:"+port+" {\n\tbind "+host+"\n\tchaos "+token, 1)
	if err := os.WriteFile(path, []byte(corefile), 0o644); err != nil {
		t.Fatal(err)
	}
	var logs bytes.Buffer
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, filepath.Join(dir, "coredns"), "-conf", path, "-quiet")
	cmd.Stdout, cmd.Stderr = &logs, &logs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() { cancel(); <-ended })
	client, who := &dns.Client{Timeout: time.Second}, new(dns.Msg).SetQuestion("version.bind.", dns.TypeTXT)
	who.Question[0].Qclass = dns.ClassCHAOS
	for {
		if m, _, err := client.Exchange(who, addr); err == nil && strings.Contains(m.String(), token) {
			return addr
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("CoreDNS ended: %v\n%s", err, logs.String())
		default:
		}
	}
}

// startUpstream answers every A and AAAA question with an address out of the
// prefixes.
func startUpstream(t *testing.T, prefixes []string) string {
	t.Helper()
	var v4, v6 []netip.Prefix
	for _, s := range prefixes {
		p := netip.MustParsePrefix(s)
		if p.Addr().Is4() {
			v4 = append(v4, p)
		} else {
			v6 = append(v6, p)
		}
	}
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &dns.Server{PacketConn: conn, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, r *dns.Msg) {
		m := new(dns.Msg).SetReply(r)
		hdr := dns.RR_Header{Name: r.Question[0].Name, Rrtype: r.Question[0].Qtype, Class: dns.ClassINET, Ttl: 60}
		switch {
		case hdr.Rrtype == dns.TypeA && len(v4) > 0:
			m.Answer = []dns.RR{&dns.A{Hdr: hdr, A: inside(v4).AsSlice()}}
		case hdr.Rrtype == dns.TypeAAAA && len(v6) > 0:
			m.Answer = []dns.RR{&dns.AAAA{Hdr: hdr, AAAA: inside(v6).AsSlice()}}
		}
		_ = w.WriteMsg(m)
	})}
	done := make(chan struct{})
	go func() { _ = srv.ActivateAndServe(); close(done) }()
	t.Cleanup(func() { conn.Close(); <-done })
	return conn.LocalAddr().String()
}

// inside returns a random address of one of the prefixes.
func inside(prefixes []netip.Prefix) netip.Addr {
	p := prefixes[rand.IntN(len(prefixes))]
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < len(b)*8; i++ {
		b[i/8] |= byte(rand.IntN(2)) << (7 - i%8)
	}
	a, _ := netip.AddrFromSlice(b)
	return a
}

// client asks over one connected socket.
type client struct{ conn *dns.Conn }

func newClient(t *testing.T, addr string) *client {
	t.Helper()
	conn, err := dns.DialTimeout("udp", addr, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &client{conn}
}

type answer struct {
	address bool
	ede     string
}

// ask asks for the A and AAAA records of a name.
func (c *client) ask(t *testing.T, name string) (a answer) {
	t.Helper()
	for _, qtype := range []uint16{dns.TypeA, dns.TypeAAAA} {
		r := c.exchange(t, name, qtype)
		for _, rr := range r.Answer {
			if rr.Header().Rrtype == dns.TypeA || rr.Header().Rrtype == dns.TypeAAAA {
				a.address = true
			}
		}
		if opt := r.IsEdns0(); opt != nil {
			for _, o := range opt.Option {
				if ede, ok := o.(*dns.EDNS0_EDE); ok {
					a.ede = ede.ExtraText
				}
			}
		}
	}
	return a
}

// exchange asks one question, again where the answer to it is lost or comes after
// CoreDNS has waited for the zone in vain.
func (c *client) exchange(t *testing.T, name string, qtype uint16) *dns.Msg {
	t.Helper()
	for tries := 1; ; tries++ {
		q := new(dns.Msg).SetQuestion(dns.Fqdn(name), qtype)
		q.SetEdns0(1232, false)
		begun := time.Now()
		_ = c.conn.SetDeadline(begun.Add(20 * time.Second))
		if err := c.conn.WriteMsg(q); err != nil {
			t.Fatal(err)
		}
		r, err := c.conn.ReadMsg()
		for err == nil && r.Id != q.Id { // to an earlier one
			r, err = c.conn.ReadMsg()
		}
		late := time.Since(begun) > patience
		if err == nil && (r.Rcode != dns.RcodeServerFailure || !late) {
			return r
		}
		if !late || tries == 6 {
			t.Fatalf("%s: got %v, %v", name, r, err)
		}
	}
}

func readLines(t *testing.T, file string) (lines []string) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if line := strings.TrimSpace(s.Text()); line != "" && line[0] != '#' {
			lines = append(lines, line)
		}
	}
	return lines
}

func writeLines(t *testing.T, file string, lines []string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
}
