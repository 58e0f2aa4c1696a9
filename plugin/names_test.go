package icp_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/coredns/coredns/plugin"
	"github.com/coredns/coredns/plugin/pkg/dnstest"
	"github.com/coredns/coredns/plugin/test"
	"github.com/miekg/dns"

	icp "github.com/icpgate/icpgate/plugin"
	"github.com/icpgate/icpgate/registry"
)

// pointing answers every question with one address under the asked name.
func pointing(t testing.TB, addr string) plugin.Handler {
	return plugin.HandlerFunc(func(_ context.Context, w dns.ResponseWriter, r *dns.Msg) (int, error) {
		m := new(dns.Msg).SetReply(r)
		m.Answer = []dns.RR{&dns.A{
			Hdr: dns.RR_Header{Name: r.Question[0].Name, Rrtype: dns.TypeA, Class: dns.ClassINET, Ttl: 60},
			A:   addrOf(addr).AsSlice(),
		}}
		return 0, w.WriteMsg(m)
	})
}

// TestManyNames files some thousand names and asks for them, for names below
// them, and for names that only look like them. What is covered is told by a
// slow check of the test's own.
func TestManyNames(t *testing.T) {
	w := newWorld(t)
	random := rand.New(rand.NewPCG(1, 2))
	names := make(map[string]bool)
	for len(names) < 5000 {
		names[generated(random)] = true
	}
	var filings []registry.Filing
	for n := range names {
		filings = append(filings, filing(n, registry.Aliyun))
	}
	w.registry(t, filings...)
	p := icp.Open(t, w.cfg, pointing(t, ours), ".")

	asked, withheld := 0, 0
	check := func(name string) {
		t.Helper()
		asked++
		rec := dnstest.NewRecorder(&test.ResponseWriter{})
		if _, err := p.ServeDNS(context.Background(), rec, query{name: name, qtype: dns.TypeA, edns: true}.msg()); err != nil {
			t.Fatal(err)
		}
		want := covered(names, name)
		if got := len(rec.Msg.Answer) == 1; got != want {
			t.Fatalf("%s: passes %t; want %t", name, got, want)
		}
		if !want {
			withheld++
			wantBlocked(t, rec.Msg, "not filed")
		}
	}
	for n := range names {
		check(n)
		check(strings.ToUpper(n))
		check(fmt.Sprintf("x%d.%s", random.IntN(1000), n))
		check("a.b.c." + n)
		for _, lookalike := range lookalikes(random, n) {
			check(lookalike)
		}
	}
	if withheld < len(names)*4 {
		t.Errorf("of %d names asked for, %d were withheld; want most of the look-alikes", asked, withheld)
	}
}

// generated is a name such as an import brings: below one, two or three labels,
// now and then internationalised.
func generated(r *rand.Rand) string {
	suffixes := []string{"test", "example", "co.example", "xn--fiqs8s", "site.corp.test"}
	label := make([]byte, 2+r.IntN(12))
	for i := range label {
		label[i] = "abcdefghijklmnopqrstuvwxyz0123456789"[r.IntN(36)]
	}
	return string(label) + "." + suffixes[r.IntN(len(suffixes))]
}

// lookalikes are what somebody may register in the hope to pass for a name.
func lookalikes(r *rand.Rand, name string) []string {
	i := r.IntN(strings.IndexByte(name, '.'))
	changed := []byte(name)
	changed[i] = "abcdefghijklmnopqrstuvwxyz"[r.IntN(26)]
	return []string{
		"my" + name,
		"www" + name,
		name + ".evil.test",
		name + "." + "example",
		string(changed),
		strings.Replace(name, ".", "-", 1),
		name[1:],
		strings.Replace(name, ".", `\.`, 1), // a dot within a label
	}
}

// covered is the slow twin: is the name, or one above it, among those filed?
func covered(names map[string]bool, name string) bool {
	if strings.Contains(name, `\`) {
		return false
	}
	labels := strings.Split(strings.ToLower(name), ".")
	if len(labels) == 1 {
		return true // a single label is never judged
	}
	for i := range labels {
		if names[strings.Join(labels[i:], ".")] {
			return true
		}
	}
	return false
}
