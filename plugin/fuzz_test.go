package icp_test

import (
	"context"
	"net/netip"
	"strings"
	"testing"

	"github.com/coredns/coredns/plugin"
	"github.com/coredns/coredns/plugin/pkg/dnstest"
	"github.com/coredns/coredns/plugin/test"
	"github.com/miekg/dns"

	icp "github.com/icpgate/icpgate/plugin"
	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/edge"
)

// FuzzInspect lets a hostile upstream answer for an unfiled name with any
// message that can be unpacked. Nothing of the mainland may be left in it but
// the addresses of name servers, and of filed names that were not asked for.
func FuzzInspect(f *testing.F) {
	w := newWorld(f)
	var reply *dns.Msg
	next := plugin.HandlerFunc(func(_ context.Context, w dns.ResponseWriter, r *dns.Msg) (int, error) { return 0, w.WriteMsg(reply) })
	var handlers []*icp.ICP
	for _, edit := range []func(*edge.Config){
		func(*edge.Config) {},
		func(c *edge.Config) { c.Policy.Mixed, c.MaxTTL = registry.MixedBlock, 60 },
		func(c *edge.Config) { c.StripECH, c.Block.Action = edge.StripECHUnfiled, edge.NXDomain },
	} {
		cfg := w.cfg
		edit(&cfg)
		handlers = append(handlers, icp.Open(f, cfg, next, "."))
	}
	for _, lines := range [][3][]string{
		{{"unfiled.test. 1 IN A " + ours, "unfiled.test. 1 IN AAAA " + abroad6}},
		{{"unfiled.test. 1 IN HTTPS 1 x.accessed.test. mandatory=ipv4hint,ech ech=AAA= ipv4hint=" + ours + " ipv6hint=" + abroad6}, nil, {"x.accessed.test. 1 IN A " + ours}},
		{{"unfiled.test. 1 IN CNAME a.test."}, {"test. 1 IN NS a.test."}, {"a.test. 1 IN A " + ours, "a.test. 1 IN AAAA " + mapped}},
		{nil, {"unfiled.test. 1 IN SOA a. b. 1 2 3 4 5", "unfiled.test. 1 IN A " + ours}, {"unfiled.test. 1 IN A " + ours}},
		{{"unfiled.test. 1 IN DNAME b.test.", "unfiled.test. 1 IN A " + ours, rrsig("unfiled.test.", "A"), "unfiled.test. 1 IN MX 1 b.test."}},
	} {
		m := new(dns.Msg).SetReply(query{name: "unfiled.test", qtype: dns.TypeA}.msg())
		m.Answer, m.Ns, m.Extra = rrs(f, lines[0]), rrs(f, lines[1]), rrs(f, lines[2])
		b, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, dns.TypeA, false)
		f.Add(b, dns.TypeHTTPS, true)
		f.Add(b, dns.TypeMX, true)
	}
	f.Fuzz(func(t *testing.T, b []byte, qtype uint16, edns bool) {
		for _, p := range handlers {
			reply = new(dns.Msg)
			if reply.Unpack(b) != nil || isTransfer(qtype, "unfiled.test.", reply) {
				return
			}
			before := reply.String()
			rec := dnstest.NewRecorder(&test.ResponseWriter{})
			q := query{name: "unfiled.test", qtype: qtype, edns: edns}
			if _, err := p.ServeDNS(context.Background(), rec, q.msg()); err != nil {
				t.Fatal(err)
			}
			if reply.String() != before {
				t.Fatalf("the plugin's own message was altered:\n%s\nwas\n%s", reply, before)
			}
			leaks(t, rec.Msg, reply, qtype)
		}
	})
}

// leaks fails for every mainland address in m that nobody may see.
func leaks(t *testing.T, m, original *dns.Msg, qtype uint16) {
	t.Helper()
	for _, a := range addressesOf(m.Answer) {
		if inMainland(a) {
			t.Fatalf("%s is left of\n%s\nin\n%s", a, original, m)
		}
	}
	servers := map[string]bool{}
	for _, rr := range append(append([]dns.RR{}, original.Answer...), original.Ns...) {
		if ns, ok := rr.(*dns.NS); ok {
			servers[strings.ToLower(ns.Ns)] = true
		}
	}
	for _, rr := range append(append([]dns.RR{}, m.Ns...), m.Extra...) {
		owner := strings.ToLower(rr.Header().Name)
		asksAddress := qtype == dns.TypeA || qtype == dns.TypeAAAA || qtype == dns.TypeHTTPS || qtype == dns.TypeSVCB || qtype == dns.TypeANY ||
			qtype == dns.TypeAXFR || qtype == dns.TypeIXFR
		if servers[owner] || !asksAddress && within(owner, "accessed.test.") || !strings.Contains(strings.TrimSuffix(owner, "."), ".") {
			continue
		}
		for _, a := range addressesOf([]dns.RR{rr}) {
			if inMainland(a) && !strings.HasPrefix(owner, "_") && !within(owner, "elsewhere.test.") && !unjudged(owner) {
				t.Fatalf("%s of %s is left of\n%s\nin\n%s", a, owner, original, m)
			}
		}
	}
}

// isTransfer reports whether a message is one of a zone transfer, which passes.
func isTransfer(qtype uint16, name string, m *dns.Msg) bool {
	if qtype != dns.TypeAXFR && qtype != dns.TypeIXFR || len(m.Answer) == 0 {
		return false
	}
	soa, ok := m.Answer[0].(*dns.SOA)
	return ok && strings.EqualFold(soa.Hdr.Name, name)
}

func inMainland(s string) bool {
	a, err := netip.ParseAddr(s)
	if err != nil {
		return false // a record without an address in it
	}
	return prefixOf("203.0.113.0/24").Contains(a.Unmap()) || prefixOf("2001:db8:86::/48").Contains(a)
}

func within(name, zone string) bool { return name == zone || strings.HasSuffix(name, "."+zone) }

// unjudged are the zones without public sites.
func unjudged(owner string) bool {
	for _, z := range []string{"in-addr.arpa.", "ip6.arpa.", "localhost.", "home.arpa.", "cluster.local."} {
		if within(owner, z) {
			return true
		}
	}
	return false
}
