package icp_test

import (
	"context"
	"strings"
	"testing"

	"github.com/coredns/coredns/plugin"
	"github.com/miekg/dns"

	icp "github.com/icpgate/icpgate/plugin"
)

// TestZoneNotTold: a plugin that answers with authority, and does not tell its
// zone, holds no block answer back and brings nothing down.
func TestZoneNotTold(t *testing.T) {
	w := newWorld(t)
	icp.SOAPatience(t, 0)
	end := make(chan struct{})
	defer close(end)
	answers := answering{answer: []string{"www.unfiled.test. 300 IN A " + ours}, authoritative: true}.handler(t)
	for how, soa := range map[string]func(dns.ResponseWriter) (int, error){
		"never":          func(dns.ResponseWriter) (int, error) { <-end; return 0, nil },
		"with a panic":   func(dns.ResponseWriter) (int, error) { panic("no zone") },
		"with an error":  func(dns.ResponseWriter) (int, error) { return dns.RcodeServerFailure, nil },
		"with a message": func(w dns.ResponseWriter) (int, error) { return 0, w.WriteMsg(new(dns.Msg)) },
	} {
		t.Run(how, func(t *testing.T) {
			next := plugin.HandlerFunc(func(ctx context.Context, w dns.ResponseWriter, r *dns.Msg) (int, error) {
				if r.Question[0].Qtype == dns.TypeSOA {
					return soa(w)
				}
				return answers.ServeDNS(ctx, w, r)
			})
			m := ask(t, icp.Open(t, w.cfg, next, "test."), query{name: "www.unfiled.test", qtype: dns.TypeA, edns: true})
			wantBlocked(t, m, "not filed")
			checkSOA(t, m, true, "test.")
		})
	}
}

// TestZoneTold: who answers with authority and tells its zone is repeated, each time,
// also of an alias and below a DNAME, where the zone cannot be asked for by the name.
func TestZoneTold(t *testing.T) {
	w := newWorld(t)
	zone := rrs(t, []string{"test. 300 IN SOA ns.test. host.test. 7 1 1 1 300"})
	next := plugin.HandlerFunc(func(_ context.Context, w dns.ResponseWriter, r *dns.Msg) (int, error) {
		m := new(dns.Msg).SetReply(r)
		m.Authoritative = true
		switch q := r.Question[0]; {
		case strings.HasSuffix(q.Name, ".moved.unfiled.test."):
			m.Answer = rrs(t, []string{"moved.unfiled.test. 300 IN DNAME accessed.test.", q.Name + " 300 IN CNAME x.accessed.test."})
			if q.Qtype == dns.TypeA {
				m.Answer = append(m.Answer, rrs(t, []string{"x.accessed.test. 300 IN A " + ours})...)
			}
		case q.Name == "alias.unfiled.test.":
			m.Answer = rrs(t, []string{q.Name + " 300 IN CNAME x.unfiled.test."})
			if q.Qtype == dns.TypeA {
				m.Answer = append(m.Answer, rrs(t, []string{"x.unfiled.test. 300 IN A " + ours})...)
			}
		case q.Qtype == dns.TypeA:
			m.Answer = rrs(t, []string{q.Name + " 300 IN A " + ours})
		default:
			m.Ns = zone
		}
		return 0, w.WriteMsg(m)
	})
	p := icp.Open(t, w.cfg, next, ".")
	for _, name := range []string{"www.unfiled.test.", "alias.unfiled.test.", "a.b.moved.unfiled.test."} {
		for i := range 5000 {
			m := ask(t, p, query{name: name, qtype: dns.TypeA})
			if soa, ok := m.Ns[0].(*dns.SOA); !ok || soa.Hdr.Name != "test." || soa.Serial != 7 || soa.Hdr.Ttl != 5 {
				t.Fatalf("answer %d for %s has %s; want the SOA record of the zone", i, name, m.Ns[0])
			}
		}
	}
}

// TestZonePacked: what a plugin packs itself as the answer to the question for the
// zone does not reach the client.
func TestZonePacked(t *testing.T) {
	w := newWorld(t)
	next := plugin.HandlerFunc(func(_ context.Context, w dns.ResponseWriter, r *dns.Msg) (int, error) {
		m := new(dns.Msg).SetReply(r)
		m.Authoritative, m.Answer = true, rrs(t, []string{"www.unfiled.test. 300 IN A " + ours})
		b, err := m.Pack()
		if err != nil {
			t.Error(err)
		}
		_, err = w.Write(b)
		return 0, err
	})
	client := &wireCounter{}
	q := query{name: "www.unfiled.test", qtype: dns.TypeA, edns: true}
	if _, err := icp.Open(t, w.cfg, next, ".").ServeDNS(t.Context(), client, q.msg()); err != nil {
		t.Fatal(err)
	}
	m := new(dns.Msg)
	if err := m.Unpack(client.bytes); err != nil || client.n != 1 {
		t.Fatalf("the client got %d messages (%v); want one", client.n, err)
	}
	wantBlocked(t, m, "not filed")
}

// wireCounter is a wire that counts what it is sent.
type wireCounter struct {
	wire
	n int
}

func (w *wireCounter) Write(b []byte) (int, error) { w.n++; return w.wire.Write(b) }
func (w *wireCounter) WriteMsg(m *dns.Msg) error   { w.n++; return w.wire.WriteMsg(m) }

// TestUnaskedOPT: an OPT record that comes from behind, in whatever section, is
// not handed to a client that sent none with an answer that was changed.
func TestUnaskedOPT(t *testing.T) {
	w := newWorld(t)
	opt := func() dns.RR { return &dns.OPT{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeOPT, Class: 1232}} }
	for where, edit := range map[string]func(*dns.Msg){
		"answer":     func(m *dns.Msg) { m.Answer = append(m.Answer, opt()) },
		"additional": func(m *dns.Msg) { m.Extra = append(m.Extra, opt(), opt()) },
	} {
		for kind, addrs := range map[string][]string{"blocked": nil, "stripped": {abroad}} {
			t.Run(kind+", "+where, func(t *testing.T) {
				answer := []string{"unfiled.test. 300 IN A " + ours}
				for _, a := range addrs {
					answer = append(answer, "unfiled.test. 300 IN A "+a)
				}
				next := answering{answer: answer, edit: edit}.handler(t)
				m := ask(t, icp.Open(t, w.cfg, next, "."), query{name: "unfiled.test", qtype: dns.TypeA})
				for _, rr := range append(m.Answer, m.Extra...) {
					if rr.Header().Rrtype == dns.TypeOPT {
						t.Errorf("got %v; the client sent no OPT record", rr)
					}
				}
				if got := addresses(m); !equal(got, addrs) {
					t.Errorf("got %v; want %v", got, addrs)
				}
			})
		}
	}
}
