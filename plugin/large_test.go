package icp_test

import (
	"fmt"
	"math"
	"testing"

	"github.com/coredns/coredns/plugin"
	"github.com/miekg/dns"

	icp "github.com/icpgate/icpgate/plugin"
)

// large answers with as many aliases of every kind as addresses beside them, each
// of a name of its own. Some 1,800 of each fit into a message.
func large(t testing.TB, n int) plugin.Handler {
	return answering{edit: func(m *dns.Msg) {
		header := func(owner string, rrtype uint16) dns.RR_Header {
			return dns.RR_Header{Name: owner, Rrtype: rrtype, Class: dns.ClassINET, Ttl: 60}
		}
		for i := range n {
			m.Answer = append(m.Answer,
				&dns.DNAME{Hdr: header("unfiled.test.", dns.TypeDNAME), Target: fmt.Sprintf("d%d.accessed.test.", i)})
			m.Ns = append(m.Ns, &dns.NS{Hdr: header("accessed.test.", dns.TypeNS), Ns: fmt.Sprintf("n%d.accessed.test.", i)})
			m.Extra = append(m.Extra, &dns.A{Hdr: header(fmt.Sprintf("n%d.accessed.test.", i), dns.TypeA), A: addrOf(ours).AsSlice()})
		}
	}}.handler(t)
}

// TestLarge: what a message costs grows with its size and no faster, or a few
// answers of a hostile server would keep all others waiting.
func TestLarge(t *testing.T) {
	w := newWorld(t)
	cost := func(n int) func() float64 {
		p := icp.Open(t, w.cfg, large(t, n), ".")
		least := math.Inf(1)
		return func() float64 {
			least = min(least, testing.AllocsPerRun(1, func() { ask(t, p, query{name: "www.unfiled.test", qtype: dns.TypeA}) }))
			return least
		}
	}
	one, four := cost(200), cost(800)
	// What others in the process allocate is counted too, and what a pool has dropped,
	// which with the race detector is a part of all that it is given.
	for range 100 {
		if four() <= 5*one() {
			return
		}
	}
	t.Errorf("got %.0f allocations for 600 records and %.0f for four times as many; want them to grow as the records do", one(), four())
}

func BenchmarkLarge(b *testing.B) {
	w := newWorld(b)
	p := icp.Open(b, w.cfg, large(b, 1800), ".")
	m := query{name: "www.unfiled.test", qtype: dns.TypeA}
	for b.Loop() {
		ask(b, p, m)
	}
}

// TestLongChain: out of a zone without public sites, a chain is followed to its
// end, whatever its length and the case of its names.
func TestLongChain(t *testing.T) {
	w := newWorld(t)
	for _, n := range []int{1, 2, 3, 2000} {
		for end, withheld := range map[string]bool{"www.unfiled.test.": true, "www.accessed.test.": false, "h0.cluster.local.": false} {
			p := icp.Open(t, w.cfg, chain(t, n, end), ".")
			m := ask(t, p, query{name: "H0.cluster.local", qtype: dns.TypeA, edns: true})
			if got := len(addresses(m)) == 0; got != withheld {
				t.Errorf("%d aliases to %s: withheld %t; want %t", n, end, got, withheld)
			}
		}
	}
}

func BenchmarkLongChain(b *testing.B) {
	w := newWorld(b)
	p := icp.Open(b, w.cfg, chain(b, 3000, "www.unfiled.test."), ".")
	for b.Loop() {
		ask(b, p, query{name: "h0.cluster.local", qtype: dns.TypeA})
	}
}

// chain leads from h0.cluster.local over n aliases, told last to first, to an
// address of end.
func chain(t testing.TB, n int, end string) plugin.Handler {
	return answering{answer: []string{end + " 60 IN A " + ours}, edit: func(m *dns.Msg) {
		for i := range n {
			h := dns.RR_Header{Name: fmt.Sprintf("H%d.cluster.local.", n-1-i), Rrtype: dns.TypeCNAME, Class: dns.ClassINET, Ttl: 60}
			target := fmt.Sprintf("h%d.Cluster.local.", n-i)
			if i == 0 {
				target = end
			}
			m.Answer = append(m.Answer, &dns.CNAME{Hdr: h, Target: target})
		}
	}}.handler(t)
}

// TestMoved: a DNAME leads to the names at and below its target, and to no other.
func TestMoved(t *testing.T) {
	w := newWorld(t)
	for target, withheld := range map[string]bool{
		"ns.accessed.test.": true, "Accessed.TEST.": true, "test.": true, ".": true,
		"s.accessed.test.": false, "x.ns.accessed.test.": false, "elsewhere.test.": false,
	} {
		next := answering{
			answer: []string{"unfiled.test. 60 IN DNAME " + target},
			ns:     []string{"accessed.test. 60 IN NS ns.accessed.test."},
			extra:  []string{"NS.accessed.test. 60 IN A " + ours},
		}.handler(t)
		m := ask(t, icp.Open(t, w.cfg, next, "."), query{name: "www.unfiled.test", qtype: dns.TypeA, edns: true})
		if got := len(addressesOf(m.Extra)) == 0; got != withheld {
			t.Errorf("DNAME to %s: withheld %t; want %t", target, got, withheld)
		}
	}
}
