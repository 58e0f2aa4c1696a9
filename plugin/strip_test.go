package icp_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/miekg/dns"

	icp "github.com/icpgate/icpgate/plugin"
	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/edge"
)

const sig = " 300 IN RRSIG %s 13 2 300 20300101000000 20200101000000 1 test. AAAA"

func rrsig(owner, covered string) string { return owner + strings.Replace(sig, "%s", covered, 1) }

// TestStrip: answers of which something is withheld and something stays.
func TestStrip(t *testing.T) {
	w := newWorld(t)
	tests := []struct {
		name      string
		host      string
		qtype     uint16
		cfg       func(*edge.Config)
		answer    []string
		ns, extra []string

		wantAnswer, wantExtra []string // as lines, in order; nil is none
		wantEDE               string   // "" where nothing is told
		wantAD                bool
	}{
		{
			name: "mixed addresses", host: "unfiled.test", qtype: dns.TypeA,
			answer:     []string{"unfiled.test. 300 IN A " + ours, "unfiled.test. 300 IN A " + abroad, rrsig("unfiled.test.", "A")},
			wantAnswer: []string{"unfiled.test. 300 IN A " + abroad}, wantEDE: "icp: not filed",
		},
		{
			name: "mixed addresses under mixed block", host: "unfiled.test", qtype: dns.TypeA,
			cfg:     func(c *edge.Config) { c.Policy.Mixed = registry.MixedBlock },
			answer:  []string{"unfiled.test. 300 IN A " + ours, "unfiled.test. 300 IN A " + abroad},
			wantEDE: "icp: not filed",
		},
		{
			name: "our server of a name filed elsewhere", host: "elsewhere.test", qtype: dns.TypeA,
			answer:     []string{"elsewhere.test. 300 IN A " + ours, "elsewhere.test. 300 IN A " + theirs},
			wantAnswer: []string{"elsewhere.test. 300 IN A " + theirs}, wantEDE: "icp: not accessed here",
		},
		{
			name: "behind an alias", host: "unfiled.test", qtype: dns.TypeA,
			answer: []string{"unfiled.test. 300 IN CNAME accessed.test.", rrsig("unfiled.test.", "CNAME"),
				"accessed.test. 300 IN A " + ours, "accessed.test. 300 IN A " + abroad, rrsig("accessed.test.", "A")},
			wantAnswer: []string{"unfiled.test. 300 IN CNAME accessed.test.", rrsig("unfiled.test.", "CNAME"), "accessed.test. 300 IN A " + abroad},
			wantEDE:    "icp: not filed",
		},
		{
			name: "hints", host: "unfiled.test", qtype: dns.TypeHTTPS,
			answer:     []string{"unfiled.test. 300 IN HTTPS 1 . alpn=h2 ipv4hint=" + ours + "," + abroad + " ipv6hint=" + ours6, rrsig("unfiled.test.", "HTTPS")},
			wantAnswer: []string{"unfiled.test. 300 IN HTTPS 1 . alpn=h2 ipv4hint=" + abroad}, wantEDE: "icp: not filed",
		},
		{
			name: "mandatory hints", host: "unfiled.test", qtype: dns.TypeSVCB,
			answer: []string{"unfiled.test. 300 IN SVCB 1 . mandatory=alpn,ipv6hint alpn=h2 ipv4hint=" + abroad + " ipv6hint=" + ours6,
				"unfiled.test. 300 IN SVCB 2 . mandatory=ipv6hint ipv4hint=" + abroad + " ipv6hint=" + ours6},
			wantAnswer: []string{"unfiled.test. 300 IN SVCB 1 . mandatory=alpn alpn=h2 ipv4hint=" + abroad,
				"unfiled.test. 300 IN SVCB 2 . ipv4hint=" + abroad},
			wantEDE: "icp: not filed",
		},
		{
			name: "hints only in the mainland", host: "unfiled.test", qtype: dns.TypeHTTPS,
			answer:  []string{"unfiled.test. 300 IN HTTPS 1 . ipv4hint=" + ours, "unfiled.test. 300 IN HTTPS 2 ."},
			wantEDE: "icp: not filed",
		},
		{
			name: "everything", host: "unfiled.test", qtype: dns.TypeANY,
			answer: []string{"unfiled.test. 300 IN A " + ours, "unfiled.test. 300 IN AAAA " + ours6, "unfiled.test. 300 IN MX 10 mail.test.",
				`unfiled.test. 300 IN TXT "v=spf1 -all"`, rrsig("unfiled.test.", "A"), rrsig("unfiled.test.", "MX")},
			wantAnswer: []string{"unfiled.test. 300 IN MX 10 mail.test.", `unfiled.test. 300 IN TXT "v=spf1 -all"`, rrsig("unfiled.test.", "MX")},
			wantEDE:    "icp: not filed",
		},
		{
			name: "everything under mixed block", host: "unfiled.test", qtype: dns.TypeANY,
			cfg: func(c *edge.Config) { c.Policy.Mixed = registry.MixedBlock },
			answer: []string{"unfiled.test. 300 IN A " + ours, "unfiled.test. 300 IN A " + abroad,
				`unfiled.test. 300 IN TXT "v=spf1 -all"`},
			wantAnswer: []string{`unfiled.test. 300 IN TXT "v=spf1 -all"`}, wantEDE: "icp: not filed",
		},
		{
			name: "targets beside a mail answer", host: "unfiled.test", qtype: dns.TypeMX,
			answer:     []string{"unfiled.test. 300 IN MX 10 mail.unfiled.test.", "unfiled.test. 300 IN MX 20 mail.accessed.test."},
			extra:      []string{"mail.unfiled.test. 300 IN A " + ours, rrsig("mail.unfiled.test.", "A"), "mail.accessed.test. 300 IN A " + ours, "mail.unfiled.test. 300 IN A " + abroad},
			wantAnswer: []string{"unfiled.test. 300 IN MX 10 mail.unfiled.test.", "unfiled.test. 300 IN MX 20 mail.accessed.test."},
			wantExtra:  []string{"mail.accessed.test. 300 IN A " + ours, "mail.unfiled.test. 300 IN A " + abroad},
			wantAD:     true,
		},
		{
			name: "a target beside a service answer", host: "_sip._tcp.accessed.test", qtype: dns.TypeSRV,
			answer:     []string{"_sip._tcp.accessed.test. 300 IN SRV 1 1 5060 sip.unfiled.test."},
			extra:      []string{"sip.unfiled.test. 300 IN AAAA " + ours6},
			wantAnswer: []string{"_sip._tcp.accessed.test. 300 IN SRV 1 1 5060 sip.unfiled.test."},
			wantAD:     true,
		},
		{
			name: "a filed target of an unfiled name's HTTPS record", host: "unfiled.test", qtype: dns.TypeHTTPS,
			answer:     []string{"unfiled.test. 300 IN HTTPS 0 cdn.accessed.test."},
			extra:      []string{"cdn.accessed.test. 300 IN A " + ours, "cdn.accessed.test. 300 IN A " + abroad, "cdn.accessed.test. 300 IN HTTPS 1 . ipv4hint=" + ours},
			wantAnswer: []string{"unfiled.test. 300 IN HTTPS 0 cdn.accessed.test."},
			wantExtra:  []string{"cdn.accessed.test. 300 IN A " + abroad, "cdn.accessed.test. 300 IN HTTPS 1 ."},
			wantEDE:    "icp: not filed", wantAD: true,
		},
		{
			name: "the name itself beside its HTTPS record", host: "unfiled.test", qtype: dns.TypeHTTPS,
			answer:     []string{"unfiled.test. 300 IN HTTPS 1 . alpn=h3 ech=AAA="},
			extra:      []string{"UNFILED.test. 300 IN A " + ours},
			wantAnswer: []string{"unfiled.test. 300 IN HTTPS 1 . alpn=h3"}, wantEDE: "icp: not filed",
		},
		{
			name: "addresses of name servers", host: "sub.unfiled.test", qtype: dns.TypeA,
			answer: nil,
			ns:     []string{"unfiled.test. 300 IN NS NS1.unfiled.test."},
			extra:  []string{"ns1.unfiled.test. 300 IN A " + ours},

			wantExtra: []string{"ns1.unfiled.test. 300 IN A " + ours}, wantAD: true,
		},
		{
			name: "a name server of the asked name", host: "unfiled.test", qtype: dns.TypeA,
			ns:      []string{"unfiled.test. 300 IN NS unfiled.test."},
			extra:   []string{"unfiled.test. 300 IN A " + ours},
			wantEDE: "icp: not filed", wantAD: true,
		},
		{
			name: "the same for mail", host: "unfiled.test", qtype: dns.TypeMX,
			ns:        []string{"unfiled.test. 300 IN NS unfiled.test."},
			extra:     []string{"unfiled.test. 300 IN A " + ours},
			wantExtra: []string{"unfiled.test. 300 IN A " + ours}, wantAD: true,
		},
		{
			name: "a filed alias's address beside the alias", host: "unfiled.test", qtype: dns.TypeA,
			answer:     []string{"unfiled.test. 300 IN CNAME www.accessed.test."},
			extra:      []string{"www.accessed.test. 300 IN A " + ours},
			wantAnswer: []string{"unfiled.test. 300 IN CNAME www.accessed.test."}, wantEDE: "icp: not filed", wantAD: true,
		},
		{
			name: "the same behind two service records", host: "unfiled.test", qtype: dns.TypeHTTPS,
			answer:     []string{"unfiled.test. 300 IN HTTPS 0 one.accessed.test."},
			extra:      []string{"one.accessed.test. 300 IN HTTPS 1 two.accessed.test.", "two.accessed.test. 300 IN A " + ours},
			wantAnswer: []string{"unfiled.test. 300 IN HTTPS 0 one.accessed.test."},
			wantExtra:  []string{"one.accessed.test. 300 IN HTTPS 1 two.accessed.test."}, wantEDE: "icp: not filed", wantAD: true,
		},
		{
			name: "a target that calls itself a name server", host: "unfiled.test", qtype: dns.TypeHTTPS,
			answer:     []string{"unfiled.test. 300 IN HTTPS 1 ns.accessed.test."},
			ns:         []string{"unfiled.test. 300 IN NS ns.accessed.test.", "unfiled.test. 300 IN NS ns2.accessed.test."},
			extra:      []string{"ns.accessed.test. 300 IN A " + ours, "ns2.accessed.test. 300 IN A " + ours},
			wantAnswer: []string{"unfiled.test. 300 IN HTTPS 1 ns.accessed.test."},
			wantExtra:  []string{"ns2.accessed.test. 300 IN A " + ours}, wantEDE: "icp: not filed", wantAD: true,
		},
		{
			// Only addresses are glue: a client that asks for mail goes nowhere by it.
			name: "hints of a name server beside a mail answer", host: "unfiled.test", qtype: dns.TypeMX,
			answer:     []string{"unfiled.test. 300 IN MX 10 mail.test."},
			ns:         []string{"unfiled.test. 300 IN NS unfiled.test.", "unfiled.test. 300 IN NS ns.unfiled.test."},
			extra:      []string{"unfiled.test. 300 IN HTTPS 1 . alpn=h2 ipv4hint=" + ours, "ns.unfiled.test. 300 IN SVCB 1 . ipv6hint=" + ours6, "ns.unfiled.test. 300 IN A " + ours},
			wantAnswer: []string{"unfiled.test. 300 IN MX 10 mail.test."},
			wantExtra:  []string{"unfiled.test. 300 IN HTTPS 1 . alpn=h2", "ns.unfiled.test. 300 IN SVCB 1 .", "ns.unfiled.test. 300 IN A " + ours},
			wantEDE:    "icp: not filed", wantAD: true,
		},
		{
			name: "the same where name servers were asked for", host: "accessed.test", qtype: dns.TypeNS,
			answer:     []string{"accessed.test. 300 IN NS ns.unfiled.test."},
			extra:      []string{"ns.unfiled.test. 300 IN AAAA " + ours6, "ns.unfiled.test. 300 IN HTTPS 1 . ipv6hint=" + ours6},
			wantAnswer: []string{"accessed.test. 300 IN NS ns.unfiled.test."},
			wantExtra:  []string{"ns.unfiled.test. 300 IN AAAA " + ours6, "ns.unfiled.test. 300 IN HTTPS 1 ."},
			wantAD:     true,
		},
		{
			name: "owners that are never judged beside a mail answer", host: "unfiled.test", qtype: dns.TypeMX,
			cfg:        func(c *edge.Config) { c.Policy.Mixed = registry.MixedBlock },
			answer:     []string{"unfiled.test. 300 IN MX 10 ."},
			extra:      []string{". 300 IN A " + ours, "host. 300 IN AAAA " + ours6, "1.113.0.203.in-addr.arpa. 300 IN A " + ours, ". 300 IN A " + abroad},
			wantAnswer: []string{"unfiled.test. 300 IN MX 10 ."},
			wantExtra:  []string{". 300 IN A " + abroad},
			wantEDE:    "icp: not filed", wantAD: true,
		},
		{
			name: "the same of a filed name", host: "accessed.test", qtype: dns.TypeMX,
			answer:     []string{"accessed.test. 300 IN MX 10 host."},
			extra:      []string{"host. 300 IN A " + ours},
			wantAnswer: []string{"accessed.test. 300 IN MX 10 host."},
			wantExtra:  []string{"host. 300 IN A " + ours},
			wantAD:     true,
		},
		{
			name: "a root that an answer abroad stands beside", host: "unfiled.test", qtype: dns.TypeA,
			cfg:        func(c *edge.Config) { c.Policy.Mixed = registry.MixedBlock },
			answer:     []string{"unfiled.test. 300 IN A " + abroad},
			extra:      []string{". 300 IN A " + ours},
			wantAnswer: []string{"unfiled.test. 300 IN A " + abroad},
			wantEDE:    "icp: not filed", wantAD: true,
		},
		{
			name: "a name server that a DNAME leads to", host: "www.unfiled.test", qtype: dns.TypeA,
			answer:     []string{"unfiled.test. 300 IN DNAME accessed.test."},
			ns:         []string{"accessed.test. 300 IN NS www.accessed.test."},
			extra:      []string{"www.accessed.test. 300 IN A " + ours},
			wantAnswer: []string{"unfiled.test. 300 IN DNAME accessed.test."},
			wantEDE:    "icp: not filed", wantAD: true,
		},
		{
			name: "a name server at the end of service records", host: "unfiled.test", qtype: dns.TypeHTTPS,
			answer:     []string{"unfiled.test. 300 IN HTTPS 0 one.accessed.test."},
			ns:         []string{"accessed.test. 300 IN NS two.accessed.test."},
			extra:      []string{"one.accessed.test. 300 IN HTTPS 1 two.accessed.test.", "two.accessed.test. 300 IN A " + ours},
			wantAnswer: []string{"unfiled.test. 300 IN HTTPS 0 one.accessed.test."},
			wantExtra:  []string{"one.accessed.test. 300 IN HTTPS 1 two.accessed.test."}, wantEDE: "icp: not filed", wantAD: true,
		},
		{
			name: "everything, and some beside it, under mixed block", host: "unfiled.test", qtype: dns.TypeANY,
			cfg:        func(c *edge.Config) { c.Policy.Mixed = registry.MixedBlock },
			answer:     []string{"unfiled.test. 300 IN A " + ours, `unfiled.test. 300 IN TXT "x"`, "unfiled.test. 300 IN NS ns.unfiled.test."},
			extra:      []string{"unfiled.test. 300 IN A " + abroad, "ns.unfiled.test. 300 IN A " + abroad},
			wantAnswer: []string{`unfiled.test. 300 IN TXT "x"`, "unfiled.test. 300 IN NS ns.unfiled.test."},
			wantExtra:  []string{"ns.unfiled.test. 300 IN A " + abroad},
			wantEDE:    "icp: not filed",
		},
		{
			name: "an address in the wrong section", host: "unfiled.test", qtype: dns.TypeA,
			ns:      []string{"unfiled.test. 300 IN A " + ours},
			wantEDE: "icp: not filed", wantAD: true,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := w.cfg
			if tt.cfg != nil {
				tt.cfg(&cfg)
			}
			p := icp.Open(t, cfg, answering{answer: tt.answer, ns: tt.ns, extra: tt.extra}.handler(t), ".")
			m := ask(t, p, query{name: tt.host, qtype: tt.qtype, edns: true})
			if want := rrs(t, tt.wantAnswer); !sameRRs(m.Answer, want) {
				t.Errorf("got answer\n%v; want\n%v", m.Answer, want)
			}
			extra := slices.DeleteFunc(slices.Clone(m.Extra), func(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeOPT })
			if want := rrs(t, tt.wantExtra); !sameRRs(extra, want) {
				t.Errorf("got extra\n%v; want\n%v", extra, want)
			}
			if _, text := ede(m); tt.wantEDE != "" && text != tt.wantEDE || tt.wantEDE == "" && m.IsEdns0() != nil {
				t.Errorf("got EDE %q; want %q", text, tt.wantEDE)
			}
			if m.AuthenticatedData != tt.wantAD {
				t.Errorf("got AD %t; want %t", m.AuthenticatedData, tt.wantAD)
			}
			if _, err := m.Pack(); err != nil {
				t.Errorf("the answer cannot be packed: %v", err)
			}
		})
	}
}

func sameRRs(a, b []dns.RR) bool {
	return slices.EqualFunc(a, b, func(a, b dns.RR) bool { return a.String() == b.String() })
}

func TestStripECH(t *testing.T) {
	w := newWorld(t)
	const (
		keys    = " 300 IN HTTPS 1 . mandatory=ech ech=AAA= ipv4hint="
		without = " 300 IN HTTPS 1 . ipv4hint="
	)
	tests := []struct {
		host  string
		strip edge.StripECH
		hints string
		want  string
	}{
		{"unfiled.test.", edge.StripECHBlocked, ours + "," + abroad, without + abroad},
		{"unfiled.test.", edge.StripECHBlocked, abroad, keys + abroad},
		{"unfiled.test.", edge.StripECHOff, ours + "," + abroad, keys + abroad},
		{"unfiled.test.", edge.StripECHUnfiled, ours + "," + abroad, without + abroad},
		{"unfiled.test.", edge.StripECHUnfiled, abroad, without + abroad},
		{"www.accessed.test.", edge.StripECHUnfiled, abroad, keys + abroad},
		{"www.accessed.test.", edge.StripECHUnfiled, ours, keys + ours},
		{"cluster.local.", edge.StripECHUnfiled, abroad, keys + abroad},
	}
	for _, tt := range tests {
		cfg := w.cfg
		cfg.StripECH = tt.strip
		p := icp.Open(t, cfg, answering{answer: []string{tt.host + keys + tt.hints}}.handler(t), ".")
		m := ask(t, p, query{name: tt.host, qtype: dns.TypeHTTPS, edns: true})
		if want := rrs(t, []string{tt.host + tt.want}); !sameRRs(m.Answer, want) {
			t.Errorf("%s, strip-ech %s, at %s: got %v; want %v", tt.host, tt.strip, tt.hints, m.Answer, want)
		}
	}
}

func TestMaxTTL(t *testing.T) {
	w := newWorld(t)
	uncapped := w.cfg
	w.cfg.MaxTTL = 60
	tests := []struct {
		addr string
		want uint32
	}{{ours, 60}, {abroad, 300}}
	for _, tt := range tests {
		next := answering{
			answer: []string{"www.accessed.test. 300 IN CNAME accessed.test.", "accessed.test. 300 IN A " + tt.addr, "accessed.test. 20 IN A " + tt.addr},
			extra:  []string{"x.accessed.test. 300 IN A " + tt.addr},
		}.handler(t)
		m := ask(t, icp.Open(t, w.cfg, next, "."), query{name: "www.accessed.test", qtype: dns.TypeA})
		got := []uint32{m.Answer[0].Header().Ttl, m.Answer[1].Header().Ttl, m.Answer[2].Header().Ttl, m.Extra[0].Header().Ttl}
		if want := []uint32{tt.want, tt.want, 20, tt.want}; !slices.Equal(got, want) {
			t.Errorf("at %s: got TTLs %v; want %v", tt.addr, got, want)
		}
		if !m.AuthenticatedData {
			t.Errorf("at %s: AD is gone; a lower TTL takes nothing from the signature", tt.addr)
		}
		m = ask(t, icp.Open(t, uncapped, next, "."), query{name: "www.accessed.test", qtype: dns.TypeA})
		if got := m.Answer[1].Header().Ttl; got != 300 {
			t.Errorf("at %s: got TTL %d without a cap; want 300: the records are shared", tt.addr, got)
		}
	}
}
