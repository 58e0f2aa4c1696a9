package icp_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/icpgate/icpgate/deploy/loopback"
	icp "github.com/icpgate/icpgate/plugin"
	"github.com/icpgate/icpgate/registry"
)

// until asks again and again until done says that the answer is the one that is
// waited for, which the clock of a plugin brings about.
func (s *server) until(t *testing.T, q query, what string, done func(*dns.Msg) bool) {
	t.Helper()
	for end := time.Now().Add(5 * time.Minute); ; {
		m := s.ask(t, q)
		if done(m) {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("got\n%s; want %s", m, what)
		}
	}
}

// TestStale: a cache that serves what has expired, since the upstream is away,
// holds addresses and no verdicts.
func TestStale(t *testing.T) {
	w := newWorld(t)
	records := rrs(t, []string{"unfiled.test. 1 IN A " + ours, "accessed.test. 1 IN A " + ours})
	for _, how := range []string{"", "immediate", "verify"} {
		t.Run("serve_stale "+how, func(t *testing.T) {
			var away atomic.Bool
			up := &upstream{}
			up.serve(t, func(w dns.ResponseWriter, r *dns.Msg) {
				if away.Load() {
					w.WriteMsg(new(dns.Msg).SetRcode(r, dns.RcodeServerFailure))
					return
				}
				w.WriteMsg(lookup(records, r))
			})
			w.registry(t, filing("accessed.test", registry.Aliyun))
			s := w.start(t, ".:0 {\nSERVER\nICP\ncache {\nsuccess 1000 3600 0\nserve_stale 1h "+how+"\n}\nforward . "+up.addr+"\n}")
			unfiled, filed := query{name: "unfiled.test", qtype: dns.TypeA, edns: true}, query{name: "accessed.test", qtype: dns.TypeA, edns: true}
			wantBlocked(t, s.ask(t, unfiled), "not filed")
			wantAddresses(t, s.ask(t, filed), ours)
			away.Store(true)
			s.until(t, filed, "an answer that has expired", func(m *dns.Msg) bool {
				wantAddresses(t, m, ours)
				return t.Failed() || m.Answer[0].Header().Ttl == 0
			})
			wantBlocked(t, s.ask(t, unfiled), "not filed")
			w.registry(t, filing("unfiled.test", registry.Aliyun), cancelled("accessed.test"))
			icp.Refresh()
			wantAddresses(t, s.ask(t, unfiled), ours)
			wantBlocked(t, s.ask(t, filed), "filing cancelled")
		})
	}
}

// TestPrefetch: what a cache fetches for no client is counted for none, and
// changes no verdict.
func TestPrefetch(t *testing.T) {
	w := newWorld(t)
	up := newUpstream(t, "unfiled.test. 10 IN A "+ours)
	s := w.start(t, ".:0 {\nSERVER\nICP(clients exempt 192.0.2.0/24)\ncache {\nprefetch 1 1m 90%\n}\nforward . "+up.addr+"\n}")
	q := query{name: "unfiled.test", qtype: dns.TypeA, edns: true}
	all := map[string]string{"server": "dns://" + loopback.Host() + ":0"}
	before, asked := count(t, all), 0.0
	s.until(t, q, "a prefetch", func(m *dns.Msg) bool {
		asked++
		wantBlocked(t, m, "not filed")
		return t.Failed() || up.queries.Load() > 1
	})
	wantBlocked(t, s.ask(t, q), "not filed")
	if n := count(t, all) - before; n != asked+1 {
		t.Errorf("counted %v answers; want %v, those of the client", n, asked+1)
	}
}

// TestTemplateUpstream: template makes an alias and asks the server for its
// target.
func TestTemplateUpstream(t *testing.T) {
	w := newWorld(t)
	up := newUpstream(t, "cdn.unfiled.test. 60 IN A "+ours, "cdn.accessed.test. 60 IN A "+ours)
	s := w.start(t, `.:0 {
		SERVER
		ICP
		template IN A accessed.test {
			match ^www\.
			answer "{{ .Name }} 60 IN CNAME cdn.unfiled.test."
			upstream
			fallthrough
		}
		template IN A www.unfiled.test {
			answer "{{ .Name }} 60 IN CNAME cdn.accessed.test."
			upstream
		}
		forward . `+up.addr+`
	}`)
	wantAddresses(t, s.ask(t, query{name: "www.accessed.test", qtype: dns.TypeA, edns: true}), ours)
	wantBlocked(t, s.ask(t, query{name: "www.unfiled.test", qtype: dns.TypeA, edns: true}), "not filed")
	wantBlocked(t, s.ask(t, query{name: "cdn.unfiled.test", qtype: dns.TypeA, edns: true}), "not filed")
}

// TestHosts: names of a hosts file, and lines of several names.
func TestHosts(t *testing.T) {
	w := newWorld(t)
	w.file(t, "hosts", ours+" www.accessed.test unfiled.test\n"+abroad+" unfiled.test\n"+private+" pod\n")
	s := w.start(t, ".:0 {\nSERVER\nICP\nhosts hosts\n}")
	wantAddresses(t, s.ask(t, query{name: "www.accessed.test", qtype: dns.TypeA, edns: true}), ours)
	m := s.ask(t, query{name: "unfiled.test", qtype: dns.TypeA, edns: true})
	if got := addresses(m); !equal(got, []string{abroad}) {
		t.Errorf("got\n%s; want %s alone", m, abroad)
	}
	// The reverse name leads to names, of which none is judged.
	m = s.ask(t, query{name: "1.113.0.203.in-addr.arpa", qtype: dns.TypePTR, edns: true})
	if len(m.Answer) != 2 {
		t.Errorf("got\n%s; want both names of the address", m)
	}
}

// TestLoadbalance: another order of the records is the same answer.
func TestLoadbalance(t *testing.T) {
	w := newWorld(t)
	up := newUpstream(t, "unfiled.test. 60 IN A "+ours, "unfiled.test. 60 IN A "+abroad, "unfiled.test. 60 IN A "+theirs, "unfiled.test. 60 IN A 198.51.100.2")
	s := w.start(t, ".:0 {\nSERVER\nICP\nloadbalance round_robin\ncache\nforward . "+up.addr+"\n}")
	for range 50 {
		m := s.ask(t, query{name: "unfiled.test", qtype: dns.TypeA, edns: true})
		if got := addresses(m); len(got) != 2 || got[0][:7] != abroad[:7] || got[1][:7] != abroad[:7] {
			t.Fatalf("got\n%s; want the two addresses abroad", m)
		}
	}
}

// TestMinimalAndHeader: what they take away or set stays so in a replaced answer.
func TestMinimalAndHeader(t *testing.T) {
	w := newWorld(t)
	w.file(t, "unfiled.zone", zone("unfiled.test", "@ 60 IN A "+ours+"\n@ 60 IN A "+abroad+"\nwww 60 IN A "+ours+"\n@ 60 IN MX 10 www"))
	s := w.start(t, `unfiled.test:0 {
		SERVER
		ICP
		header {
			response set ra
			response clear aa
		}
		minimal
		file unfiled.zone unfiled.test
	}`)
	mixed := s.ask(t, query{name: "unfiled.test", qtype: dns.TypeA, edns: true})
	blocked := s.ask(t, query{name: "www.unfiled.test", qtype: dns.TypeA, edns: true})
	wantBlocked(t, blocked, "not filed")
	for _, m := range []*dns.Msg{mixed, blocked} {
		if m.Authoritative || !m.RecursionAvailable {
			t.Errorf("got\n%s; want RA without AA, as header has it", m)
		}
	}
	if got := addresses(mixed); !equal(got, []string{abroad}) || len(mixed.Ns) != 0 {
		t.Errorf("got\n%s; want %s and nothing beside", mixed, abroad)
	}
	if m := s.ask(t, query{name: "unfiled.test", qtype: dns.TypeMX}); len(m.Answer) != 1 || len(m.Extra) != 0 {
		t.Errorf("got\n%s; want the MX record alone", m)
	}
}

// TestGone: a client that has gone makes nobody ask for the zone's SOA.
func TestGone(t *testing.T) {
	w := newWorld(t)
	asked := 0
	next := answering{answer: []string{"unfiled.test. 60 IN A " + ours}, authoritative: true, edit: func(*dns.Msg) { asked++ }}
	p := icp.Open(t, w.cfg, next.handler(t), ".")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	out := &wire{}
	if _, err := p.ServeDNS(ctx, out, query{name: "unfiled.test", qtype: dns.TypeA}.msg()); err != nil {
		t.Fatal(err)
	}
	if m := unpack(t, out.bytes); len(m.Answer) != 0 || asked != 1 {
		t.Errorf("got\n%s after %d questions; want it blocked after 1", m, asked)
	}
}
