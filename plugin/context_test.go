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

// TestOddQuestions: whatever is asked, and with whatever opcode, an address in the
// answer is one. Only the rcode of what is no QUERY stays: it tells what was done.
func TestOddQuestions(t *testing.T) {
	w := newWorld(t)
	p := icp.Open(t, w.cfg, answering{answer: []string{"unfiled.test. 60 IN A " + ours}, rcode: dns.RcodeNXRrset}.handler(t), ".")
	tests := []struct {
		name  string
		edit  func(*dns.Msg)
		rcode int
	}{
		{"query", func(*dns.Msg) {}, dns.RcodeSuccess},
		{"AXFR", func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeAXFR }, dns.RcodeSuccess},
		{"IXFR", func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeIXFR }, dns.RcodeSuccess},
		{"NOTIFY", func(m *dns.Msg) { m.Opcode, m.Question[0].Qtype = dns.OpcodeNotify, dns.TypeSOA }, dns.RcodeNXRrset},
		{"UPDATE", func(m *dns.Msg) { m.Opcode, m.Question[0].Qtype = dns.OpcodeUpdate, dns.TypeSOA }, dns.RcodeNXRrset},
		{"NOTIFY for an address", func(m *dns.Msg) { m.Opcode = dns.OpcodeNotify }, dns.RcodeNXRrset},
		{"UPDATE for an address", func(m *dns.Msg) { m.Opcode = dns.OpcodeUpdate }, dns.RcodeNXRrset},
		{"class ANY", func(m *dns.Msg) { m.Question[0].Qclass = dns.ClassANY }, dns.RcodeSuccess},
	}
	for _, tt := range tests {
		r := query{name: "unfiled.test", qtype: dns.TypeA}.msg()
		tt.edit(r)
		for range 2 { // what is remembered of one is not another's
			rec := dnstest.NewRecorder(&test.ResponseWriter{})
			if _, err := p.ServeDNS(context.Background(), rec, r); err != nil {
				t.Fatal(err)
			}
			if len(rec.Msg.Answer) > 0 || rec.Msg.Rcode != tt.rcode {
				t.Errorf("%s: got\n%s; want no address and the code %s", tt.name, rec.Msg, dns.RcodeToString[tt.rcode])
			}
		}
	}
}

// TestNoTransfer: a plugin that answers whatever is asked makes no zone transfer out
// of a question for one. What begins with the zone's SOA record is one, in all of
// its messages.
func TestNoTransfer(t *testing.T) {
	w := newWorld(t)
	s := w.start(t, `.:0 {
		SERVER
		ICP
		template ANY ANY {
			answer "{{ .Name }} 60 IN A `+ours+`"
			answer "{{ .Name }} 60 IN AAAA `+ours6+`"
			additional "{{ .Name }} 60 IN A `+ours+`"
		}
	}`)
	for _, qtype := range []uint16{dns.TypeAXFR, dns.TypeIXFR, dns.TypeANY} {
		for network, addr := range map[string]string{"udp": s.udp(), "tcp": s.tcp()} {
			m := exchange(t, network, addr, query{name: "unfiled.test", qtype: qtype, edns: true}.msg())
			wantBlocked(t, m, "not filed")
			wantAddresses(t, exchange(t, network, addr, query{name: "accessed.test", qtype: qtype}.msg()), ours, ours6)
		}
	}
	soa := "unfiled.test. 60 IN SOA ns.unfiled.test. hostmaster.unfiled.test. 7 1 1 1 1"
	other := "other.test. 60 IN SOA ns.unfiled.test. hostmaster.unfiled.test. 7 1 1 1 1"
	address := "www.unfiled.test. 60 IN A " + ours
	for _, tt := range []struct {
		messages [][]string
		passes   int
	}{
		{[][]string{{soa, address}, {address}, {address, soa}}, 3},
		{[][]string{{soa}, {address, address, soa}}, 2},
		{[][]string{{address}, {soa, address}}, 1},
		{[][]string{{address, soa}}, 0},
		{[][]string{{other, address, other}}, 0},
	} {
		got := 0
		next := plugin.HandlerFunc(func(_ context.Context, w dns.ResponseWriter, r *dns.Msg) (int, error) {
			if r.Question[0].Qtype != dns.TypeAXFR {
				return dns.RcodeServerFailure, nil
			}
			for _, lines := range tt.messages {
				m := new(dns.Msg).SetReply(r)
				m.Answer = rrs(t, lines)
				if err := w.WriteMsg(m); err != nil {
					return 0, err
				}
			}
			return 0, nil
		})
		out := &eachMessage{each: func(m *dns.Msg) { got += len(addressesOf(m.Answer)) }}
		p := icp.Open(t, w.cfg, next, ".")
		if _, err := p.ServeDNS(context.Background(), out, query{name: "Unfiled.Test", qtype: dns.TypeAXFR}.msg()); err != nil {
			t.Fatal(err)
		}
		if got != tt.passes {
			t.Errorf("%v: got %d addresses; want %d", tt.messages, got, tt.passes)
		}
	}
}

// eachMessage is a client that looks at every message of an answer.
type eachMessage struct {
	test.ResponseWriter
	each func(*dns.Msg)
}

func (w *eachMessage) WriteMsg(m *dns.Msg) error { w.each(m); return nil }

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
