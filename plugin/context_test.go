package icp_test

import (
	"context"
	"net"
	"testing"

	"github.com/coredns/coredns/plugin"
	"github.com/coredns/coredns/plugin/pkg/dnstest"
	"github.com/coredns/coredns/plugin/pkg/nonwriter"
	"github.com/coredns/coredns/plugin/test"
	"github.com/miekg/dns"

	icp "github.com/icpgate/icpgate/plugin"
	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/edge"
)

// TestNested: what plugins ask within a question is judged only for its own name.
func TestNested(t *testing.T) {
	w := newWorld(t)
	tests := []struct {
		name, inner, addr string
		qtype             uint16
		want              int // addresses that the inner question gives
	}{
		{"another name", "cdn.unfiled.test.", ours, dns.TypeA, 1},
		{"the same name", "unfiled.test.", ours, dns.TypeA, 0},
		{"the same name in other letters", "UNFILED.test.", ours, dns.TypeA, 0},
		{"the same name for another type", "unfiled.test.", ours6, dns.TypeAAAA, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var p *icp.ICP
			got := -1
			p = icp.Open(t, w.cfg, plugin.HandlerFunc(func(ctx context.Context, w dns.ResponseWriter, r *dns.Msg) (int, error) {
				m := new(dns.Msg).SetReply(r)
				if got < 0 { // the client's question: ask as upstream.Lookup does
					got = 0
					nw := nonwriter.New(w)
					p.ServeDNS(ctx, nw, query{name: tt.inner, qtype: tt.qtype, edns: true}.msg())
					got = len(addresses(nw.Msg))
					return 0, w.WriteMsg(m)
				}
				m.Answer = rrs(t, []string{tt.inner + " 60 IN " + dns.TypeToString[tt.qtype] + " " + tt.addr})
				return 0, w.WriteMsg(m)
			}), ".")
			ask(t, p, query{name: "unfiled.test", qtype: dns.TypeAAAA, edns: true})
			if got != tt.want {
				t.Errorf("got %d addresses; want %d", got, tt.want)
			}
		})
	}
}

// TestZones: names outside the directive's zones are not judged, nor what is
// asked within their questions.
func TestZones(t *testing.T) {
	w := newWorld(t)
	var p *icp.ICP
	within := ""
	p = icp.Open(t, w.cfg, plugin.HandlerFunc(func(ctx context.Context, w dns.ResponseWriter, r *dns.Msg) (int, error) {
		m := new(dns.Msg).SetReply(r)
		if inner := within; inner != "" {
			within = ""
			nw := nonwriter.New(w)
			p.ServeDNS(ctx, nw, query{name: inner, qtype: dns.TypeA}.msg())
			m.Answer = nw.Msg.Answer
			return 0, w.WriteMsg(m)
		}
		m.Answer = rrs(t, []string{"x. 60 IN A " + ours})
		return 0, w.WriteMsg(m)
	}), "unfiled.test.", "other.test.")
	tests := []struct {
		name, within string
		want         int
	}{
		{"www.unfiled.test", "", 0},
		{"UNFILED.TEST", "", 0},
		{"www.other.test", "", 0},
		{"notunfiled.test", "", 1},
		{"elsewhere.example", "", 1},
		{"elsewhere.example", "www.unfiled.test.", 1},
	}
	for _, tt := range tests {
		within = tt.within
		if m := ask(t, p, query{name: tt.name, qtype: dns.TypeA}); len(m.Answer) != tt.want {
			t.Errorf("%s: got\n%s; want %d addresses", tt.name, m, tt.want)
		}
	}
}

// TestPassedBy: messages that are no answer for a client's browser.
func TestPassedBy(t *testing.T) {
	w := newWorld(t)
	p := icp.Open(t, w.cfg, answering{answer: []string{"unfiled.test. 60 IN A " + ours}}.handler(t), ".")
	tests := []struct {
		name   string
		edit   func(*dns.Msg)
		passes bool
	}{
		{"query", func(*dns.Msg) {}, false},
		{"AXFR", func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeAXFR }, true},
		{"IXFR", func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeIXFR }, true},
		{"NOTIFY", func(m *dns.Msg) { m.Opcode, m.Question[0].Qtype = dns.OpcodeNotify, dns.TypeSOA }, true},
		{"UPDATE", func(m *dns.Msg) { m.Opcode, m.Question[0].Qtype = dns.OpcodeUpdate, dns.TypeSOA }, true},
		{"NOTIFY for an address", func(m *dns.Msg) { m.Opcode = dns.OpcodeNotify }, false},
		{"UPDATE for an address", func(m *dns.Msg) { m.Opcode = dns.OpcodeUpdate }, false},
		{"class ANY", func(m *dns.Msg) { m.Question[0].Qclass = dns.ClassANY }, false},
	}
	for _, tt := range tests {
		r := query{name: "unfiled.test", qtype: dns.TypeA}.msg()
		tt.edit(r)
		rec := dnstest.NewRecorder(&test.ResponseWriter{})
		if _, err := p.ServeDNS(context.Background(), rec, r); err != nil {
			t.Fatal(err)
		}
		if passes := len(rec.Msg.Answer) == 1; passes != tt.passes {
			t.Errorf("%s: got\n%s; want it to pass: %t", tt.name, rec.Msg, tt.passes)
		}
	}
}

// TestClients: clients with a treatment of their own, by whatever transport.
func TestClients(t *testing.T) {
	w := newWorld(t)
	w.cfg.Clients = []edge.Client{
		{Prefix: prefixOf("192.0.2.0/25"), Treatment: edge.ExemptClient},
		{Prefix: prefixOf("192.0.2.128/25"), Treatment: edge.MonitoredClient},
		{Prefix: prefixOf("2001:db8::/32"), Treatment: edge.ExemptClient},
	}
	p := icp.Open(t, w.cfg, answering{answer: []string{"unfiled.test. 60 IN A " + ours}}.handler(t), ".")
	ip := net.ParseIP
	tests := []struct {
		client  net.Addr
		blocked bool
	}{
		{&net.UDPAddr{IP: ip("192.0.2.1"), Port: 5}, false},
		{&net.TCPAddr{IP: ip("192.0.2.1"), Port: 5}, false},
		{&net.UDPAddr{IP: ip("192.0.2.200").To4(), Port: 5}, false},
		{&net.UDPAddr{IP: ip("2001:db8::1"), Port: 5}, false},
		{wrapped{&net.TCPAddr{IP: ip("192.0.2.1"), Port: 5}}, false},
		{named("192.0.2.1:5"), false},
		{&net.UDPAddr{IP: ip("198.51.100.1"), Port: 5}, true},
		{&net.TCPAddr{}, true}, // a cache's prefetch
		{named("pipe"), true},
		{nil, true},
	}
	for _, tt := range tests {
		rec := dnstest.NewRecorder(&from{addr: tt.client})
		if _, err := p.ServeDNS(context.Background(), rec, query{name: "unfiled.test", qtype: dns.TypeA}.msg()); err != nil {
			t.Fatal(err)
		}
		if blocked := len(rec.Msg.Answer) == 0; blocked != tt.blocked {
			t.Errorf("%v: got\n%s; want blocked %t", tt.client, rec.Msg, tt.blocked)
		}
	}
}

// from is a writer to a client of any address.
type from struct {
	test.ResponseWriter
	addr net.Addr
}

func (w *from) RemoteAddr() net.Addr { return w.addr }

type wrapped struct{ net.Addr }

func (w wrapped) Unwrap() net.Addr { return w.Addr }

type named string

func (named) Network() string  { return "other" }
func (n named) String() string { return string(n) }

// TestMonitor: verdicts without effect.
func TestMonitor(t *testing.T) {
	w := newWorld(t)
	w.cfg.Policy.Mode, w.cfg.MaxTTL, w.cfg.StripECH = registry.Monitor, 5, edge.StripECHUnfiled
	next := answering{
		answer: []string{"unfiled.test. 60 IN HTTPS 1 . ech=AAA= ipv4hint=" + ours, "unfiled.test. 60 IN A " + abroad},
		extra:  []string{"other.test. 60 IN A " + ours},
	}
	m := ask(t, icp.Open(t, w.cfg, next.handler(t), "."), query{name: "unfiled.test", qtype: dns.TypeHTTPS, edns: true})
	if !sameRRs(m.Answer, rrs(t, next.answer)) || !sameRRs(m.Extra, rrs(t, next.extra)) {
		t.Errorf("got\n%s; want it untouched", m)
	}
}

// TestExempt: exemptions of names, and what they do not reach.
func TestExempt(t *testing.T) {
	w := newWorld(t)
	granted := registry.Exemption{Granted: true}
	w.cfg.Exempt = []edge.Exempted{
		{Name: registry.MustParseDomain("unfiled.test"), Exemption: granted},
		{Name: registry.MustParseDomain("search.test"), Below: true, Exemption: granted},
		{Name: registry.MustParseDomain("restricted.test"), Exemption: granted},
		{Name: registry.MustParseDomain("www.restricted.test"), Exemption: registry.Exemption{Granted: true, Authority: true}},
		{Name: registry.MustParseDomain("past.test"), Exemption: registry.Exemption{Granted: true, Until: 1}},
	}
	tests := []struct {
		host, alias string
		passes      bool
	}{
		{"unfiled.test.", "", true},
		{"www.unfiled.test.", "", false},
		{"search.test.", "", false},
		{"a.b.search.test.", "", true},
		{"a.search.test.", "cdn.example.", true},                          // an ordinary alias of an exempt name
		{"www.other.test.search.test.", "www.other.test.", false},         // a search list's: the target was meant
		{"www.accessed.test.search.test.", "www.accessed.test.", true},    // the same, of a filed name
		{"www.accessed.test.unfiled2.test.", "www.accessed.test.", false}, // no exempt zone: the alias is not followed
		{"restricted.test.", "", false},
		{"www.restricted.test.", "", true},
		{"past.test.", "", false},
	}
	for _, tt := range tests {
		answer := []string{tt.host + " 60 IN A " + ours}
		if tt.alias != "" {
			answer = []string{tt.host + " 60 IN CNAME " + tt.alias, tt.alias + " 60 IN A " + ours}
		}
		m := ask(t, icp.Open(t, w.cfg, answering{answer: answer}.handler(t), "."), query{name: tt.host, qtype: dns.TypeA, edns: true})
		if passes := len(addresses(m)) == 1; passes != tt.passes {
			t.Errorf("%s: got\n%s; want it to pass: %t", tt.host, m, tt.passes)
		}
	}
}
