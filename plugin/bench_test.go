package icp_test

import (
	"context"
	"net"
	"strings"
	"testing"

	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/plugin"
	"github.com/miekg/dns"

	icp "github.com/icpgate/icpgate/plugin"
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

// moreAllocations is what a passed answer may cost beyond the same chain without
// the directive.
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
		} else if passed && more > moreAllocations {
			t.Errorf("%s: got %v allocations more; want %v at most", name, more, moreAllocations)
		}
		t.Logf("%s: %v allocations more", name, more)
	}
}
