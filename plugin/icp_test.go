package icp_test

import (
	"context"
	"testing"
	"time"

	"github.com/coredns/coredns/plugin"
	"github.com/coredns/coredns/plugin/pkg/dnstest"
	"github.com/coredns/coredns/plugin/test"
	"github.com/miekg/dns"

	icp "github.com/icpgate/icpgate/plugin"
	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/edge"
	"github.com/icpgate/icpgate/registry/index"
)

// answering is a plugin that answers every question with the same records.
type answering struct {
	answer, ns, extra []string
	authoritative     bool
	rcode             int
	edit              func(*dns.Msg)
}

func (a answering) handler(t testing.TB) plugin.Handler {
	t.Helper()
	parsed := [3][]dns.RR{rrs(t, a.answer), rrs(t, a.ns), rrs(t, a.extra)}
	return plugin.HandlerFunc(func(_ context.Context, w dns.ResponseWriter, r *dns.Msg) (int, error) {
		m := new(dns.Msg).SetReply(r)
		m.RecursionAvailable, m.AuthenticatedData = !a.authoritative, true
		m.Authoritative, m.Rcode = a.authoritative, a.rcode
		// Shared with every other answer, as those of file and cache are.
		m.Answer, m.Ns, m.Extra = parsed[0], parsed[1], parsed[2]
		if a.edit != nil {
			a.edit(m)
		}
		return m.Rcode, w.WriteMsg(m)
	})
}

func rrs(t testing.TB, lines []string) []dns.RR {
	t.Helper()
	var all []dns.RR
	for _, l := range lines {
		rr, err := dns.NewRR(l)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, rr)
	}
	return all
}

// query is a question as a client may send it.
type query struct {
	name     string
	qtype    uint16
	edns, do bool
}

func (q query) msg() *dns.Msg {
	m := new(dns.Msg).SetQuestion(dns.Fqdn(q.name), q.qtype)
	if q.edns || q.do {
		m.SetEdns0(1232, q.do)
	}
	return m
}

// ask sends a question through the handler and returns the answer.
func ask(t testing.TB, p plugin.Handler, q query) *dns.Msg {
	t.Helper()
	rec := dnstest.NewRecorder(&test.ResponseWriter{})
	if _, err := p.ServeDNS(context.Background(), rec, q.msg()); err != nil {
		t.Fatal(err)
	}
	if rec.Msg == nil {
		t.Fatal("nothing was written")
	}
	return rec.Msg
}

// ede returns the extended error of an answer.
func ede(m *dns.Msg) (code int, text string) {
	opt := m.IsEdns0()
	if opt == nil {
		return -1, "no OPT"
	}
	for _, o := range opt.Option {
		if e, ok := o.(*dns.EDNS0_EDE); ok {
			return int(e.InfoCode), e.ExtraText
		}
	}
	return -1, "no EDE"
}

// TestVerdicts: what is asked, where it points, what becomes of it.
func TestVerdicts(t *testing.T) {
	w := newWorld(t)
	tests := []struct {
		name string
		host string
		addr string
		want string // the text of the block; "" for an answer that passes
	}{
		{"accessed here", "accessed.test", ours, ""},
		{"below a filed name", "a.b.accessed.test", ours, ""},
		{"filed elsewhere, our server", "www.elsewhere.test", ours, "icp: not accessed here"},
		{"filed elsewhere, our cdn", "www.elsewhere.test", ourCDN, ""},
		{"filed elsewhere, their server", "www.elsewhere.test", theirs, ""},
		{"filed elsewhere, nobody's address", "www.elsewhere.test", nobodys, ""},
		{"cancelled", "cancelled.test", ours, "icp: filing cancelled"},
		{"restricted", "www.restricted.test", ours, "icp: restricted"},
		{"unfiled", "unfiled.test", ours, "icp: not filed"},
		{"unfiled, our cdn", "unfiled.test", ourCDN, "icp: not filed"},
		{"unfiled, nobody's address", "unfiled.test", nobodys, "icp: not filed"},
		{"unfiled abroad", "unfiled.test", abroad, ""},
		{"unfiled and private", "unfiled.test", private, ""},
		{"letters glued in front", "notaccessed.test", ours, "icp: not filed"},
		{"a suffix appended", "accessed.test.evil.example", ours, "icp: not filed"},
		{"upper case", "WWW.aCCessed.TEST", ours, ""},
		{"single label", "host", ours, ""},
		{"reverse", "1.113.0.203.in-addr.arpa", ours, ""},
		{"a label with a dot in it", `accessed\.test.`, ours, "icp: not filed"},
		{"a label that only looks filed", `www\.accessed.test`, ours, "icp: not filed"},
		{"a label that is no text", `\255\254.accessed.test`, ours, "icp: not filed"},
		{"service labels", "_8443._https.accessed.test", ours, ""},
		{"service labels on an unfiled name", "_8443._https.unfiled.test", ours, "icp: not filed"},
		{"nothing but a service label", "_x.test", ours, "icp: not filed"},
		{"translated", "unfiled.test", mapped, "icp: not filed"},
		{"translated and filed", "accessed.test", mapped, ""},
		{"6to4", "unfiled.test", "2002:cb00:7101::1", "icp: not filed"},
		{"translated by a local prefix", "unfiled.test", "64:ff9b:1:2::cb00:7101", "icp: not filed"},
		{"Teredo", "unfiled.test", "2001:0:1:2:3:4:34ff:8efe", "icp: not filed"},
		{"translated by a local prefix of 48 bits", "unfiled.test", "64:ff9b:1:cb00:71:100::", "icp: not filed"},
		{"translated by a local prefix of 64 bits", "unfiled.test", "64:ff9b:1:2:cb:71:100::", "icp: not filed"},
		{"translated abroad", "unfiled.test", "64:ff9b::c633:6401", ""},
		{"mapped", "unfiled.test", "::ffff:203.0.113.1", "icp: not filed"},
		{"IPv6", "unfiled.test", ours6, "icp: not filed"},
		{"IPv6 and filed", "accessed.test", ours6, ""},
		{"IPv6 abroad", "unfiled.test", abroad6, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			qtype, record := dns.TypeA, " 300 IN A "
			if addrOf(tt.addr).Is6() {
				qtype, record = dns.TypeAAAA, " 300 IN AAAA "
			}
			p := icp.Open(t, w.cfg, answering{answer: []string{dns.Fqdn(tt.host) + record + tt.addr}}.handler(t), ".")
			m := ask(t, p, query{name: tt.host, qtype: qtype, edns: true})
			if tt.want == "" {
				if len(m.Answer) != 1 || !m.AuthenticatedData {
					t.Errorf("got\n%s; want the answer untouched", m)
				}
				return
			}
			if code, text := ede(m); code != 16 || text != tt.want || len(m.Answer) != 0 {
				t.Errorf("got\n%s; want an empty answer and EDE 16 %q", m, tt.want)
			}
		})
	}
}

// TestNameForms: a name in another form than it was filed in, and government
// units, of which each files for itself.
func TestNameForms(t *testing.T) {
	w := newWorld(t)
	w.registry(t, filing("xn--55qx5d.test", registry.Aliyun), filing("a.gov.cn", registry.Aliyun), filing("lower.deep.test", registry.Aliyun))
	p := icp.Open(t, w.cfg, pointing(t, ours), ".")
	tests := map[string]bool{ // whether it passes
		`\229\133\172\229\143\184.test.`:     true, // raw UTF-8, as some clients send it
		`www.\229\133\172\229\143\184.TEST.`: true,
		"XN--55QX5D.test.":                   true,
		`\229\133\172.test.`:                 false,
		`xn--55qx5d\.test.`:                  false,
		"a.gov.cn.":                          true,
		"www.a.gov.cn.":                      true,
		"b.a.gov.cn.":                        false,
		"_8443._https.a.gov.cn.":             true, // the labels only name a service on it
		"_8443._https.b.a.gov.cn.":           false,
		"lower.deep.test.":                   true,
		"x.lower.deep.test.":                 true,
		"deep.test.":                         false,
		"_dmarc.lower.deep.test.":            true,
		"_443._tcp.unfiled.test.":            false,
	}
	for name, passes := range tests {
		m := ask(t, p, query{name: name, qtype: dns.TypeA})
		if got := len(m.Answer) == 1; got != passes {
			t.Errorf("%s: passes %t; want %t", name, got, passes)
		}
	}
}

// TestUnreadable: no filing and no exemption reaches a name that no host can have.
func TestUnreadable(t *testing.T) {
	w := newWorld(t)
	w.registry(t, filing("unreadable.invalid", registry.Aliyun))
	w.cfg.Exempt = []edge.Exempted{{Name: registry.MustParseDomain("unreadable.invalid"), Exemption: registry.Exemption{Granted: true}}}
	p := icp.Open(t, w.cfg, pointing(t, ours), ".")
	for _, name := range []string{`a\.b.test.`, `\255.test.`, `a\000b.test.`, `a\032b.test.`} {
		wantBlocked(t, ask(t, p, query{name: name, qtype: dns.TypeA, edns: true}), "not filed")
	}
}

// TestProductByAlias: where the networks do not know an address, the CNAME says
// whose it is and what.
func TestProductByAlias(t *testing.T) {
	w := newWorld(t)
	w.cfg.Suffixes = w.file(t, "suffixes", "cdn.own.example aliyun cdn\nlb.own.example aliyun slb\nlb.other.example tencent slb\n")
	tests := []struct{ target, addr, want string }{
		{"x.cdn.own.example.", nobodys, ""},
		{"x.lb.own.example.", nobodys, "icp: not accessed here"},
		{"x.lb.other.example.", nobodys, ""},
		{"x.unknown.example.", nobodys, ""},
		{"xlb.own.example.", nobodys, ""},
		{"x.cdn.own.example.", ours, "icp: not accessed here"},
		{"x.lb.own.example.", ourCDN, ""},
	}
	for _, tt := range tests {
		answer := []string{"elsewhere.test. 60 IN CNAME " + tt.target, tt.target + " 60 IN A " + tt.addr}
		m := ask(t, icp.Open(t, w.cfg, answering{answer: answer}.handler(t), "."), query{name: "elsewhere.test", qtype: dns.TypeA, edns: true})
		if _, text := ede(m); (tt.want == "") != (len(m.Answer) == 2) || tt.want != "" && text != tt.want {
			t.Errorf("%s at %s: got\n%s; want %q", tt.target, tt.addr, m, tt.want)
		}
	}
}

// TestBlockAnswer: each form of a block answer, for clients of each kind.
func TestBlockAnswer(t *testing.T) {
	w := newWorld(t)
	redirect := edge.Block{Action: edge.Redirect, Addrs: addrsOf(notice, notice6)}
	tests := []struct {
		name  string
		cfg   func(*edge.Config)
		q     query
		rcode int
		soa   bool
		addrs []string
		ede   int // -1: no OPT at all
	}{
		{"nodata", nil, query{qtype: dns.TypeA, edns: true}, dns.RcodeSuccess, true, nil, 16},
		{"nodata without EDNS", nil, query{qtype: dns.TypeA}, dns.RcodeSuccess, true, nil, -1},
		{"nodata with DO", nil, query{qtype: dns.TypeA, do: true}, dns.RcodeSuccess, true, nil, 16},
		{"other code", func(c *edge.Config) { c.EDE = 15 }, query{qtype: dns.TypeA, edns: true}, dns.RcodeSuccess, true, nil, 15},
		{"nxdomain", func(c *edge.Config) { c.Block.Action = edge.NXDomain }, query{qtype: dns.TypeA, edns: true}, dns.RcodeNameError, true, nil, 16},
		{"refused", func(c *edge.Config) { c.Block.Action = edge.Refused }, query{qtype: dns.TypeA, edns: true}, dns.RcodeRefused, false, nil, 16},
		{"redirect A", func(c *edge.Config) { c.Block = redirect }, query{qtype: dns.TypeA, edns: true}, dns.RcodeSuccess, false, []string{notice}, 4},
		{"redirect AAAA", func(c *edge.Config) { c.Block = redirect }, query{qtype: dns.TypeAAAA, edns: true}, dns.RcodeSuccess, false, []string{notice6}, 4},
		{"redirect HTTPS", func(c *edge.Config) { c.Block = redirect }, query{qtype: dns.TypeHTTPS, edns: true}, dns.RcodeSuccess, true, nil, 4},
		{"redirect ANY", func(c *edge.Config) { c.Block = redirect }, query{qtype: dns.TypeANY, edns: true}, dns.RcodeSuccess, false, []string{notice, notice6}, 4},
		{"redirect without EDNS", func(c *edge.Config) { c.Block = redirect }, query{qtype: dns.TypeA}, dns.RcodeSuccess, false, []string{notice}, -1},
		{"redirect without an address of the family", func(c *edge.Config) {
			c.Block = edge.Block{Action: edge.Redirect, Addrs: addrsOf(notice)}
		}, query{qtype: dns.TypeAAAA, edns: true}, dns.RcodeSuccess, true, nil, 4},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := w.cfg
			if tt.cfg != nil {
				tt.cfg(&cfg)
			}
			p := icp.Open(t, cfg, answering{answer: []string{"unfiled.test. 300 IN A " + ours}}.handler(t), ".")
			tt.q.name = "UnFiled.Test"
			r := tt.q.msg()
			rec := dnstest.NewRecorder(&test.ResponseWriter{})
			if rc, err := p.ServeDNS(context.Background(), rec, r); rc != dns.RcodeSuccess || err != nil {
				t.Errorf("ServeDNS returned %d, %v; want 0 and no error: an answer was written", rc, err)
			}
			m := rec.Msg
			if m.Rcode != tt.rcode || m.Id != r.Id || !m.Response || m.Authoritative || m.AuthenticatedData || !m.RecursionAvailable {
				t.Errorf("got header\n%s; want rcode %d, RA, neither AA nor AD", m, tt.rcode)
			}
			if len(m.Question) != 1 || m.Question[0] != r.Question[0] {
				t.Errorf("got question %v; want %v", m.Question, r.Question)
			}
			if got := addresses(m); !equal(got, tt.addrs) {
				t.Errorf("got addresses %v; want %v", got, tt.addrs)
			}
			checkSOA(t, m, tt.soa, "UnFiled.Test.")
			if code, _ := ede(m); code != tt.ede {
				t.Errorf("got EDE %d; want %d", code, tt.ede)
			}
			if opt := m.IsEdns0(); opt != nil && (opt.Do() != tt.q.do || opt.UDPSize() != 1232) {
				t.Errorf("got OPT %v; want size 1232 and DO as asked", opt)
			}
			if n := m.Len(); n > 512 {
				t.Errorf("got %d bytes; want 512 at most", n)
			}
		})
	}
}

func checkSOA(t *testing.T, m *dns.Msg, want bool, owner string) {
	t.Helper()
	if !want {
		if len(m.Ns) != 0 {
			t.Errorf("got authority %v; want none", m.Ns)
		}
		return
	}
	if len(m.Ns) != 1 {
		t.Fatalf("got authority %v; want one SOA", m.Ns)
	}
	soa, ok := m.Ns[0].(*dns.SOA)
	if !ok || soa.Hdr.Name != owner || soa.Hdr.Ttl != edge.DefaultTTL || soa.Minttl != edge.DefaultTTL {
		t.Errorf("got %v; want the SOA of %s with TTL and minimum %d", m.Ns[0], owner, edge.DefaultTTL)
	}
}

// TestPassesUntouched: what passes is the very message, not a copy.
func TestPassesUntouched(t *testing.T) {
	w := newWorld(t)
	var written *dns.Msg
	next := plugin.HandlerFunc(func(_ context.Context, w dns.ResponseWriter, r *dns.Msg) (int, error) {
		written = new(dns.Msg).SetReply(r)
		written.Answer = rrs(t, []string{"accessed.test. 300 IN A " + ours})
		return 0, w.WriteMsg(written)
	})
	p := icp.Open(t, w.cfg, next, ".")
	for _, name := range []string{"accessed.test", "unfiled.cluster.local"} {
		if m := ask(t, p, query{name: name, qtype: dns.TypeA}); m != written {
			t.Errorf("%s: got a copy; want the message itself", name)
		}
	}
}

// TestSharedRecords: records that plugins hand out again and again stay as they are.
func TestSharedRecords(t *testing.T) {
	w := newWorld(t)
	cfg := w.cfg
	cfg.MaxTTL = 60
	p := icp.Open(t, cfg, answering{
		answer: []string{
			"mixed.test. 300 IN A " + ours, "mixed.test. 300 IN A " + abroad,
			"mixed.test. 300 IN HTTPS 1 . ipv4hint=" + ours + "," + abroad,
		},
		extra: []string{"unfiled.test. 300 IN A " + ours},
	}.handler(t), ".")
	first := ask(t, p, query{name: "mixed.test", qtype: dns.TypeANY, edns: true}).String()
	for range 3 {
		if again := ask(t, p, query{name: "mixed.test", qtype: dns.TypeANY, edns: true}).String(); trimID(again) != trimID(first) {
			t.Fatalf("got\n%s\nafter\n%s", again, first)
		}
	}
	// The same records through a handler that changes nothing.
	if got := ask(t, icp.Open(t, w.cfg, answering{answer: []string{"mixed.test. 300 IN A " + abroad}}.handler(t), "."), query{name: "mixed.test", qtype: dns.TypeA}); got.Answer[0].Header().Ttl != 300 {
		t.Errorf("got %v; want the TTL untouched", got.Answer)
	}
}

func TestFailWithoutRegistry(t *testing.T) {
	w := newWorld(t)
	for _, fail := range []registry.FailPolicy{registry.FailOpen, registry.FailClosed} {
		cfg := w.cfg
		cfg.Live, cfg.Policy.Fail = new(index.Live), fail
		p := icp.Open(t, cfg, answering{answer: []string{"accessed.test. 300 IN A " + ours}}.handler(t), ".")
		m := ask(t, p, query{name: "accessed.test", qtype: dns.TypeA, edns: true})
		if blocked := len(m.Answer) == 0; blocked != (fail == registry.FailClosed) {
			t.Errorf("fail %s: got\n%s", fail, m)
		}
		if _, text := ede(m); fail == registry.FailClosed && text != "icp: no registry loaded" {
			t.Errorf("got EDE %q; want that no registry is loaded", text)
		}
	}
}

// TestTooOld: one that is too old to decide is not one that is missing.
func TestTooOld(t *testing.T) {
	cfg := newWorld(t).cfg
	cfg.MaxStale, cfg.OnStale = time.Hour, edge.StaleBlock
	cfg.Now = func() time.Time { return time.Now().Add(100 * 365 * 24 * time.Hour) }
	p := icp.Open(t, cfg, answering{answer: []string{"accessed.test. 300 IN A " + ours}}.handler(t), ".")
	wantBlocked(t, ask(t, p, query{name: "accessed.test", qtype: dns.TypeA, edns: true}), "registry too old")
}
