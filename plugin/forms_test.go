package icp_test

import (
	"context"
	"net"
	"testing"

	"github.com/coredns/coredns/plugin"
	"github.com/coredns/coredns/plugin/pkg/dnstest"
	"github.com/coredns/coredns/plugin/test"
	"github.com/miekg/dns"

	icp "github.com/icpgate/icpgate/plugin"
	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/edge"
)

// TestUnusualForms: records that say the same in another form than usual.
func TestUnusualForms(t *testing.T) {
	w := newWorld(t)
	header := func(rrtype uint16) dns.RR_Header {
		return dns.RR_Header{Name: "unfiled.test.", Rrtype: rrtype, Class: dns.ClassINET, Ttl: 300}
	}
	svcb := func(kvs ...dns.SVCBKeyValue) dns.RR {
		return &dns.HTTPS{SVCB: dns.SVCB{Hdr: header(dns.TypeHTTPS), Priority: 1, Target: ".", Value: kvs}}
	}
	tests := []struct {
		name    string
		rr      dns.RR
		blocked bool
	}{
		{"A of 16 bytes", &dns.A{Hdr: header(dns.TypeA), A: net.ParseIP(ours).To16()}, true},
		{"A of nothing", &dns.A{Hdr: header(dns.TypeA)}, false},
		{"AAAA of 4 bytes", &dns.AAAA{Hdr: header(dns.TypeAAAA), AAAA: net.ParseIP(ours).To4()}, true},
		{"TYPE1", &dns.RFC3597{Hdr: header(dns.TypeA), Rdata: "cb007101"}, true},
		{"TYPE1 abroad", &dns.RFC3597{Hdr: header(dns.TypeA), Rdata: "c6336401"}, false},
		{"TYPE1 cut short", &dns.RFC3597{Hdr: header(dns.TypeA), Rdata: "cb00"}, false},
		{"TYPE65", &dns.RFC3597{Hdr: header(dns.TypeHTTPS), Rdata: "0001000004" + "0004cb007101"}, true},
		{"TYPE65 with a mapped hint", &dns.RFC3597{Hdr: header(dns.TypeHTTPS), Rdata: "0001000006" + "001000000000000000000000ffffcb007101"}, true},
		{"TYPE64 cut short behind a hint", &dns.RFC3597{Hdr: header(dns.TypeSVCB), Rdata: "0001000004" + "0008cb007101"}, true},
		{"TYPE64 without a target", &dns.RFC3597{Hdr: header(dns.TypeSVCB), Rdata: "000101"}, false},
		{"TYPE28", &dns.RFC3597{Hdr: header(dns.TypeAAAA), Rdata: "20010db8008600000000000000000001"}, true},
		{"TYPE16", &dns.RFC3597{Hdr: header(dns.TypeTXT), Rdata: "04cb007101"}, false},
		{"hint under its number", svcb(&dns.SVCBLocal{KeyCode: dns.SVCB_IPV4HINT, Data: net.ParseIP(ours).To4()}), true},
		{"hint under another number", svcb(&dns.SVCBLocal{KeyCode: 65400, Data: net.ParseIP(ours).To4()}), false},
		{"second hint", svcb(&dns.SVCBIPv4Hint{Hint: []net.IP{net.ParseIP(private).To4(), net.ParseIP(ours).To4()}}), true},
		{"translated hint", svcb(&dns.SVCBIPv6Hint{Hint: []net.IP{net.ParseIP(mapped)}}), true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := w.cfg
			cfg.Policy.Mixed = registry.MixedBlock
			next := answering{edit: func(m *dns.Msg) { m.Answer = []dns.RR{tt.rr} }}.handler(t)
			m := ask(t, icp.Open(t, cfg, next, "."), query{name: "unfiled.test", qtype: tt.rr.Header().Rrtype})
			if blocked := len(m.Answer) == 0; blocked != tt.blocked {
				t.Errorf("got\n%s; want blocked %t", m, tt.blocked)
			}
		})
	}
	t.Run("stripped of a numbered hint", func(t *testing.T) {
		rr := svcb(&dns.SVCBLocal{KeyCode: dns.SVCB_IPV4HINT, Data: net.ParseIP(ours).To4()}, &dns.SVCBIPv6Hint{Hint: []net.IP{net.ParseIP(abroad6)}})
		next := answering{edit: func(m *dns.Msg) { m.Answer = []dns.RR{rr} }}.handler(t)
		m := ask(t, icp.Open(t, w.cfg, next, "."), query{name: "unfiled.test", qtype: dns.TypeHTTPS})
		if got := addresses(m); !equal(got, []string{abroad6}) {
			t.Errorf("got %v; want %s alone", m.Answer, abroad6)
		}
	})
}

// TestHeader: what a replaced answer keeps of the one it replaces.
func TestHeader(t *testing.T) {
	w := newWorld(t)
	unfiled := []string{"www.unfiled.test. 300 IN A " + ours}
	soa := "unfiled.test. 3600 IN SOA ns.unfiled.test. host.unfiled.test. 42 1 2 3 3600"
	tests := []struct {
		name  string
		next  answering
		owner string // of the SOA
		aa    bool
		check func(*dns.Msg) bool
	}{
		{"not authoritative", answering{answer: unfiled, ns: []string{soa}}, "www.unfiled.test.", false, nil},
		{"authoritative, SOA at hand", answering{answer: unfiled, ns: []string{soa}, authoritative: true}, "unfiled.test.", true,
			func(m *dns.Msg) bool { return m.Ns[0].(*dns.SOA).Serial == 42 }},
		{"authoritative, of another zone", answering{answer: unfiled, ns: []string{"other" + soa}, authoritative: true}, "test.", true, nil},
		{"authoritative, NS at hand", answering{answer: unfiled, ns: []string{"unfiled.test. 300 IN NS ns.unfiled.test."}, authoritative: true}, "unfiled.test.", true, nil},
		{"authoritative, nothing at hand", answering{answer: unfiled, authoritative: true}, "test.", true, nil},
		{"truncated", answering{answer: unfiled, edit: func(m *dns.Msg) { m.Truncated = true }}, "www.unfiled.test.", false,
			func(m *dns.Msg) bool { return m.Truncated }},
		{"checking disabled", answering{answer: unfiled, edit: func(m *dns.Msg) { m.CheckingDisabled = true }}, "www.unfiled.test.", false,
			func(m *dns.Msg) bool { return m.CheckingDisabled }},
		{"an error with an address", answering{answer: unfiled, edit: func(m *dns.Msg) { m.Rcode = dns.RcodeNameError }}, "www.unfiled.test.", false, nil},
		{"options", answering{answer: unfiled, edit: func(m *dns.Msg) {
			o := &dns.OPT{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeOPT}}
			o.SetVersion(1)
			o.Option = []dns.EDNS0{&dns.EDNS0_NSID{Code: dns.EDNS0NSID, Nsid: "01"}, &dns.EDNS0_EDE{InfoCode: 3, ExtraText: "stale"}}
			m.Extra = append(m.Extra, o)
		}}, "www.unfiled.test.", false, func(m *dns.Msg) bool {
			o := m.IsEdns0()
			return len(o.Option) == 2 && o.Version() == 0 && o.Option[0].Option() == dns.EDNS0NSID
		}},
		{"altered question", answering{answer: unfiled, edit: func(m *dns.Msg) { m.Question[0].Name, m.Id = "other.test.", 1 }}, "www.unfiled.test.", false,
			func(m *dns.Msg) bool { return m.Question[0].Name == "www.unfiled.test." && m.Id != 1 }},
		{"signed", answering{answer: unfiled, edit: func(m *dns.Msg) {
			m.Extra = append(m.Extra, &dns.TSIG{Hdr: dns.RR_Header{Name: "key.", Rrtype: dns.TypeTSIG, Class: dns.ClassANY}, OrigId: m.Id})
		}}, "www.unfiled.test.", false, func(m *dns.Msg) bool { return m.IsTsig() != nil && len(m.Extra) == 2 }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := ask(t, icp.Open(t, w.cfg, tt.next.handler(t), "test."), query{name: "www.unfiled.test", qtype: dns.TypeA, edns: true})
			if len(m.Answer) != 0 || m.Rcode != dns.RcodeSuccess || m.AuthenticatedData || m.Authoritative != tt.aa {
				t.Errorf("got\n%s; want NODATA with AA %t", m, tt.aa)
			}
			checkSOA(t, m, true, tt.owner)
			if tt.check != nil && !tt.check(m) {
				t.Errorf("got\n%s", m)
			}
		})
	}
}

// TestStripKeepsTSIGLast: the signature's record stays behind the OPT record.
func TestStripKeepsTSIGLast(t *testing.T) {
	w := newWorld(t)
	next := answering{
		answer: []string{"unfiled.test. 300 IN A " + ours, "unfiled.test. 300 IN A " + abroad},
		edit: func(m *dns.Msg) {
			m.Extra = append(m.Extra, &dns.TSIG{Hdr: dns.RR_Header{Name: "key.", Rrtype: dns.TypeTSIG, Class: dns.ClassANY}})
		},
	}
	m := ask(t, icp.Open(t, w.cfg, next.handler(t), "."), query{name: "unfiled.test", qtype: dns.TypeA, edns: true})
	if len(m.Extra) != 2 || m.IsTsig() == nil || m.IsEdns0() == nil {
		t.Errorf("got extra %v; want OPT and then TSIG", m.Extra)
	}
}

// TestPacked: plugins that write bytes are inspected as well.
func TestPacked(t *testing.T) {
	w := newWorld(t)
	tests := []struct {
		name  string
		host  string
		mode  registry.Mode
		bytes func([]byte) []byte
		raw   bool // passes byte for byte
		rcode int
	}{
		{"filed", "accessed.test.", registry.Enforce, nil, true, 0},
		{"unfiled", "unfiled.test.", registry.Enforce, nil, false, dns.RcodeSuccess},
		{"unreadable", "accessed.test.", registry.Enforce, func(b []byte) []byte { return b[:len(b)-2] }, false, dns.RcodeServerFailure},
		{"unreadable, monitored", "accessed.test.", registry.Monitor, func(b []byte) []byte { return b[:len(b)-2] }, true, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var sent []byte
			next := plugin.HandlerFunc(func(_ context.Context, w dns.ResponseWriter, r *dns.Msg) (int, error) {
				m := new(dns.Msg).SetReply(r)
				m.Answer = rrs(t, []string{tt.host + " 300 IN A " + ours})
				b, err := m.Pack()
				if err != nil {
					t.Fatal(err)
				}
				if tt.bytes != nil {
					b = tt.bytes(b)
				}
				sent = b
				n, err := w.Write(b)
				if n != len(b) {
					t.Errorf("Write returned %d; want %d", n, len(b))
				}
				return 0, err
			})
			cfg := w.cfg
			cfg.Policy.Mode = tt.mode
			got := &raw{}
			rec := dnstest.NewRecorder(got)
			q := query{name: tt.host, qtype: dns.TypeA}.msg()
			if _, err := icp.Open(t, cfg, next, ".").ServeDNS(context.Background(), rec, q); err != nil {
				t.Fatal(err)
			}
			if tt.raw {
				if string(got.bytes) != string(sent) || rec.Msg != nil {
					t.Errorf("got %q and message %v; want the bytes as they were", got.bytes, rec.Msg)
				}
				return
			}
			if rec.Msg == nil || rec.Msg.Rcode != tt.rcode || len(rec.Msg.Answer) != 0 || rec.Msg.Id != q.Id {
				t.Errorf("got %v; want an empty answer with rcode %d", rec.Msg, tt.rcode)
			}
		})
	}
}

// raw keeps what is written as bytes.
type raw struct {
	test.ResponseWriter
	bytes []byte
}

func (w *raw) Write(b []byte) (int, error) {
	w.bytes = append(w.bytes, b...)
	return len(b), nil
}

// TestNothingWritten: plugins that write nothing, or nothing at all.
func TestNothingWritten(t *testing.T) {
	w := newWorld(t)
	silent := plugin.HandlerFunc(func(context.Context, dns.ResponseWriter, *dns.Msg) (int, error) { return dns.RcodeServerFailure, nil })
	null := plugin.HandlerFunc(func(_ context.Context, w dns.ResponseWriter, _ *dns.Msg) (int, error) { return 0, w.WriteMsg(nil) })
	rec := dnstest.NewRecorder(&test.ResponseWriter{})
	q := query{name: "unfiled.test", qtype: dns.TypeA}
	if rc, err := icp.Open(t, w.cfg, silent, ".").ServeDNS(context.Background(), rec, q.msg()); rc != dns.RcodeServerFailure || err != nil {
		t.Errorf("got %d, %v; want what the next plugin returned", rc, err)
	}
	if _, err := icp.Open(t, w.cfg, null, ".").ServeDNS(context.Background(), rec, q.msg()); err == nil {
		t.Error("got no error for no message")
	}
	if rec.Msg != nil {
		t.Errorf("got %v written; want nothing", rec.Msg)
	}
	if rc, _ := icp.Open(t, w.cfg, silent, ".").ServeDNS(context.Background(), rec, new(dns.Msg)); rc != dns.RcodeServerFailure {
		t.Errorf("got %d for a message without a question; want SERVFAIL", rc)
	}
	if rc, _ := new(icp.ICP).ServeDNS(context.Background(), rec, q.msg()); rc != dns.RcodeServerFailure {
		t.Errorf("got %d before the start; want SERVFAIL", rc)
	}
}

// TestNotices: the notice host is never judged, under whatever name.
func TestNotices(t *testing.T) {
	w := newWorld(t)
	w.cfg.Block = edge.Block{Action: edge.Redirect, Addrs: addrsOf(notice, notice6)}
	p := icp.Open(t, w.cfg, answering{answer: []string{"notice.unfiled.test. 300 IN A " + notice}}.handler(t), ".")
	if m := ask(t, p, query{name: "notice.unfiled.test", qtype: dns.TypeA}); len(m.Answer) != 1 || m.Answer[0].Header().Ttl != 300 {
		t.Errorf("got\n%s; want the notice host untouched", m)
	}
}
