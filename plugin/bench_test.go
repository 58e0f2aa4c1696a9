package icp_test

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/plugin"
	"github.com/miekg/dns"

	icp "github.com/icpgate/icpgate/plugin"
	"github.com/icpgate/icpgate/registry"
)

// sink is a client that takes every answer and keeps the last.
type sink struct {
	dns.ResponseWriter
	last *dns.Msg
}

var sinkAddr net.Addr = &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 53053}

func (s *sink) WriteMsg(m *dns.Msg) error { s.last = m; return nil }
func (s *sink) RemoteAddr() net.Addr      { return sinkAddr }
func (s *sink) LocalAddr() net.Addr       { return sinkAddr }

// replies is a plugin that has its answer at hand.
type replies struct{ m *dns.Msg }

func (replies) Name() string { return "replies" }

func (p replies) ServeDNS(_ context.Context, w dns.ResponseWriter, _ *dns.Msg) (int, error) {
	return dns.RcodeSuccess, w.WriteMsg(p.m)
}

// question is one query of a benchmark and the answer that waits for it.
type question struct {
	name  string
	edns  bool
	lines []string
}

func (q question) request() *dns.Msg {
	r := new(dns.Msg).SetQuestion(q.name, dns.TypeA)
	if q.edns {
		r.SetEdns0(1232, false)
	}
	return r
}

func (q question) reply(t testing.TB) *dns.Msg {
	m := new(dns.Msg).SetReply(q.request())
	m.RecursionAvailable = true
	m.Answer = rrs(t, q.lines)
	if q.edns {
		m.SetEdns0(1232, false)
	}
	return m
}

// questions are by what becomes of their answers.
var questions = map[string]question{
	"pass-mainland": {name: "www.accessed.test.", lines: []string{"www.accessed.test. 60 A " + ours}},
	"pass-outside":  {name: "www.unfiled.test.", lines: []string{"www.unfiled.test. 60 A " + abroad}},
	"pass-edns":     {name: "www.accessed.test.", edns: true, lines: []string{"www.accessed.test. 60 A " + ours}},
	"pass-alias": {name: "www.accessed.test.", lines: []string{
		"www.accessed.test. 60 CNAME cdn.example.", "cdn.example. 60 A " + nobodys, "cdn.example. 60 A " + ours}},
	"block":      {name: "www.unfiled.test.", lines: []string{"www.unfiled.test. 60 A " + ours}},
	"block-edns": {name: "www.unfiled.test.", edns: true, lines: []string{"www.unfiled.test. 60 A " + ours}},
}

// serving is the context that a server gives its plugins.
func serving() context.Context {
	ctx := context.WithValue(context.Background(), dnsserver.Key{}, &dnsserver.Server{Addr: "dns://127.0.0.1:53"})
	return context.WithValue(ctx, dnsserver.LoopKey{}, 0)
}

func BenchmarkServeDNS(b *testing.B) {
	w := newWorld(b)
	for name, q := range questions {
		next := replies{q.reply(b)}
		b.Run(name, func(b *testing.B) { serve(b, icp.Open(b, w.cfg, next, "."), q) })
		b.Run("judged-"+name, func(b *testing.B) { serve(b, icp.OpenForgetful(b, w.cfg, next, "."), q) })
		b.Run("none-"+name, func(b *testing.B) { serve(b, next, q) })
	}
}

func serve(b *testing.B, p plugin.Handler, q question) {
	ctx, client, r := serving(), &sink{}, q.request()
	b.ReportAllocs()
	for b.Loop() {
		p.ServeDNS(ctx, client, r)
	}
}

// hotNames and perRevision are those of a server that is asked for 100,000 names,
// 50,000 times a second, while the registry has a revision a second.
const (
	hotNames    = 100_000
	perRevision = 50_000
)

// BenchmarkHotNames asks for many names in turn: always recalled, judged at each
// time, never seen before, and with a revision every so often.
func BenchmarkHotNames(b *testing.B) {
	w := newWorld(b)
	var filings []registry.Filing
	for i := range hotNames {
		filings = append(filings, filing(fmt.Sprintf("name%d.test", i), registry.Aliyun))
	}
	w.cfg.Registry, w.cfg.Live = "", newLive(b, filings...)
	names := func(prefix string) (all []*dns.Msg) {
		for i := range hotNames {
			m := new(dns.Msg).SetQuestion(fmt.Sprintf("%sname%d.test.", prefix, i), dns.TypeA)
			m.Answer = rrs(b, []string{m.Question[0].Name + " 60 IN A " + ours})
			all = append(all, m)
		}
		return all
	}
	asked := &asked{}
	next := plugin.HandlerFunc(func(_ context.Context, w dns.ResponseWriter, _ *dns.Msg) (int, error) {
		return 0, w.WriteMsg(asked.reply)
	})
	bench := func(name string, p *icp.ICP, pool []*dns.Msg, between func(i int)) {
		b.Run(name, func(b *testing.B) {
			ctx, client := serving(), &sink{}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				between(i)
				asked.reply = pool[i%len(pool)]
				p.ServeDNS(ctx, client, asked.reply)
			}
		})
	}
	never := func(int) {}
	remembers, forgets := icp.Open(b, w.cfg, next, "."), icp.OpenForgetful(b, w.cfg, next, ".")
	pool := names("")
	bench("recalled", remembers, pool, never)
	bench("judged", forgets, pool, never)
	for _, p := range []struct {
		name string
		*icp.ICP
	}{{"revised", remembers}, {"judged-revised", forgets}} {
		bench(p.name, p.ICP, pool, func(i int) {
			if i%perRevision == 0 {
				revise(b, w.cfg.Live, "turn.test", i/perRevision%2 == 0)
			}
		})
	}
	bench("each-revised", remembers, pool, func(i int) { // nothing is recalled, ever
		if i%16 == 0 {
			revise(b, w.cfg.Live, "turn.test", i/16%2 == 0)
		}
	})
	bench("judged-each-revised", forgets, pool, func(i int) {
		if i%16 == 0 {
			revise(b, w.cfg.Live, "turn.test", i/16%2 == 0)
		}
	})
}

// moreAllocations is what an answer may cost beyond the same chain without the
// directive, passed or blocked.
const moreAllocations = 4

func TestAllocations(t *testing.T) {
	w := newWorld(t)
	for name, q := range questions {
		next := replies{q.reply(t)}
		p := icp.Open(t, w.cfg, next, ".")
		ctx, client, r := serving(), &sink{}, q.request()
		allocs := func(h plugin.Handler) float64 {
			return testing.AllocsPerRun(1000, func() { h.ServeDNS(ctx, client, r) })
		}
		without := allocs(next)
		more := allocs(p) - without
		if client.last == nil {
			t.Fatalf("%s: got no answer; want one", name)
		}
		if passed := len(addresses(client.last)) > 0; passed == strings.HasPrefix(name, "block") {
			t.Errorf("%s: got\n%s", name, client.last)
		} else if more > moreAllocations {
			t.Errorf("%s: got %v allocations more; want %v at most", name, more, moreAllocations)
		}
		t.Logf("%s: %v allocations more", name, more)
	}
}
