package icp_test

import (
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"

	icp "github.com/icpgate/icpgate/plugin"
	"github.com/icpgate/icpgate/registry"
)

// TestBesidePlugins: in one server block with each of the plugins that make or
// alter answers, an unfiled name stays withheld and a filed one gets through.
func TestBesidePlugins(t *testing.T) {
	w := newWorld(t)
	w.file(t, "unfiled.zone", zone("unfiled.test", "@ 60 IN A "+ours+"\n@ 60 IN AAAA "+ours6+"\n@ 60 IN TXT \"proof\""))
	w.file(t, "accessed.zone", zone("accessed.test", "@ 60 IN A "+ours+"\n@ 60 IN AAAA "+ours6))
	w.file(t, "Ktest.key", "test. IN DNSKEY 256 3 13 eNMYFZYb6e0oJOV47IPo5f/UHy7wY9aBebotvcKakIYLyyGscBmXJQhbKLt/LhrMNDE2Q96hQnI5PdTBeOLzhQ==\n")
	w.file(t, "Ktest.private", "Private-key-format: v1.3\nAlgorithm: 13 (ECDSAP256SHA256)\nPrivateKey: f03VplaIEA+KHI9uizlemUSbUJH86hPBPjmcUninPoM=\n")
	w.file(t, "hosts", ours+" unfiled.test accessed.test\n"+ours6+" unfiled.test accessed.test\n")
	const files = "file unfiled.zone unfiled.test\nfile accessed.zone accessed.test\n"
	up := newUpstream(t, "unfiled.test. 60 IN A "+ours, "unfiled.test. 60 IN AAAA "+ours6, "unfiled.test. 60 IN TXT proof",
		"accessed.test. 60 IN A "+ours, "accessed.test. 60 IN AAAA "+ours6)
	forward := "forward . " + up.addr + "\n"
	tests := map[string]string{
		"file":        files,
		"forward":     forward,
		"hosts":       "hosts hosts\n",
		"cache":       "cache {\nserve_stale 1h\nprefetch 1\n}\n" + forward,
		"any":         "any\n" + forward,
		"chaos":       "chaos\n" + forward,
		"loadbalance": "loadbalance\n" + forward,
		"minimal":     "minimal\n" + files,
		"header":      "header {\nresponse set aa ra\n}\n" + forward,
		"dnssec":      "dnssec unfiled.test accessed.test {\nkey file Ktest\n}\n" + files,
		"multisocket": "multisocket 4\n" + forward,
		"metadata":    "metadata\nlog . \"{/icp/verdict}\"\n" + forward,
		"template":    "template IN ANY {\nanswer \"{{ .Name }} 60 IN A " + ours + "\"\n}\n",
		"prometheus":  "prometheus 127.0.0.1:0\nerrors\n" + forward,
	}
	for name, plugins := range tests {
		t.Run(name, func(t *testing.T) {
			s := w.start(t, "test:0 {\nSERVER\nICP\n"+plugins+"}")
			for _, qtype := range []uint16{dns.TypeA, dns.TypeAAAA} {
				for _, do := range []bool{false, true} {
					m := s.ask(t, query{name: "unfiled.test", qtype: qtype, edns: true, do: do})
					wantBlocked(t, m, "not filed")
					for _, rr := range append(m.Answer, m.Ns...) {
						if t1 := rr.Header().Rrtype; t1 == dns.TypeRRSIG || t1 == dns.TypeNSEC {
							t.Errorf("got %v over an answer that is not the zone's", rr)
						}
					}
					if m.AuthenticatedData {
						t.Error("got AD on an answer that nobody has authenticated")
					}
				}
				if m := s.ask(t, query{name: "unfiled.test", qtype: qtype}); len(m.Answer) != 0 {
					t.Errorf("without EDNS: got %v", m.Answer)
				}
				if m := s.ask(t, query{name: "accessed.test", qtype: qtype, edns: true, do: true}); len(addresses(m)) == 0 {
					t.Errorf("the filed name: got\n%s; want its address", m)
				}
			}
			if m := s.ask(t, query{name: "unfiled.test", qtype: dns.TypeANY, edns: true}); len(addresses(m))+len(addressesOf(m.Extra)) != 0 {
				t.Errorf("asked for everything: got\n%s", m)
			}
			tcp := exchange(t, "tcp", s.tcp(), query{name: "unfiled.test", qtype: dns.TypeA, edns: true}.msg())
			wantBlocked(t, tcp, "not filed")
		})
	}
	t.Run("text lives on", func(t *testing.T) {
		s := w.start(t, "test:0 {\nSERVER\nICP\ncache\n"+forward+"}")
		wantBlocked(t, s.ask(t, query{name: "unfiled.test", qtype: dns.TypeA, edns: true}), "not filed")
		if m := s.ask(t, query{name: "unfiled.test", qtype: dns.TypeTXT, edns: true}); len(m.Answer) != 1 {
			t.Errorf("got\n%s; want the TXT record", m)
		}
	})
}

// TestSignedUpdate: UPDATE goes through, and a signed question gets a block
// answer with a valid signature.
func TestSignedUpdate(t *testing.T) {
	w := newWorld(t)
	const key, secret = "update.key.", "NoTCJU+DMqFWywaPyxSijrDEA/eC3nK0xi3AMEZuPVk="
	w.file(t, "unfiled.zone", zone("unfiled.test", "www 60 IN A "+abroad))
	s := w.start(t, `unfiled.test:0 {
		SERVER
		ICP
		tsig {
			secret `+key+" "+secret+`
			require_opcode UPDATE
		}
		dynupdate unfiled.test {
			file unfiled.zone
			allow `+key+` * *
		}
	}`)
	exchangeSigned := func(m *dns.Msg) *dns.Msg {
		t.Helper()
		m.SetTsig(key, dns.HmacSHA256, 300, time.Now().Unix())
		c := &dns.Client{TsigSecret: map[string]string{key: secret}, Timeout: time.Minute}
		r, _, err := c.Exchange(m, s.udp())
		if err != nil {
			t.Fatal(err) // a bad signature is an error here
		}
		if r.IsTsig() == nil {
			t.Errorf("got\n%s; want it signed", r)
		}
		return r
	}
	update := new(dns.Msg)
	update.SetUpdate("unfiled.test.")
	update.Insert(rrs(t, []string{"new.unfiled.test. 60 IN A " + ours}))
	if r := exchangeSigned(update); r.Rcode != dns.RcodeSuccess {
		t.Fatalf("got\n%s; want the update accepted", r)
	}
	wantBlocked(t, exchangeSigned(query{name: "new.unfiled.test", qtype: dns.TypeA, edns: true}.msg()), "not filed")
	wantAddresses(t, exchangeSigned(query{name: "www.unfiled.test", qtype: dns.TypeA, edns: true}.msg()), abroad)
	if r := exchangeSigned(query{name: "new.unfiled.test", qtype: dns.TypeA}.msg()); len(r.Answer) != 0 || r.IsEdns0() != nil {
		t.Errorf("without EDNS: got\n%s", r)
	}
}

// TestViews: each view judges by its own block, and they share the registry.
func TestViews(t *testing.T) {
	w := newWorld(t)
	up := newUpstream(t, "unfiled.test. 60 IN A "+ours, "elsewhere.test. 60 IN A "+ours)
	s := w.start(t, `.:0 {
		SERVER
		view strict {
			expr name() startsWith 'elsewhere'
		}
		ICP
		forward . `+up.addr+`
	}
	.:0 {
		SERVER
		icp {
			registry r.snap
			mainland mainland
			block nxdomain
		}
		forward . `+up.addr+`
	}`)
	inView := map[string]string{"view": "strict", "reason": "not-accessed", "verdict": "block"}
	before := count(t, inView)
	wantBlocked(t, s.ask(t, query{name: "elsewhere.test", qtype: dns.TypeA, edns: true}), "not accessed here")
	if m := s.ask(t, query{name: "unfiled.test", qtype: dns.TypeA}); m.Rcode != dns.RcodeNameError {
		t.Errorf("got\n%s; want NXDOMAIN", m)
	}
	if n := count(t, inView) - before; n != 1 {
		t.Errorf("counted %v in the view; want 1", n)
	}
	if n := len(icp.Indexes()); n != 1 {
		t.Errorf("got %d registries for two views of one file; want 1", n)
	}
}

// TestReloadCorefile: at a reload, the registry is neither read twice nor let go,
// and a reload that fails leaves nothing behind.
func TestReloadCorefile(t *testing.T) {
	w := newWorld(t)
	up := newUpstream(t, "unfiled.test. 60 IN A "+ours, "accessed.test. 60 IN A "+ours)
	corefile := func(lines, more string) string {
		return ".:0 {\nSERVER\nICP(" + lines + ")\nforward . " + up.addr + "\n" + more + "}"
	}
	w.file(t, "broken", "??? ???\n")
	s := w.start(t, corefile("", ""))
	before := icp.Indexes()
	for _, lines := range []string{"ttl 30", "block nxdomain", ""} {
		if err := s.reload(t, w.corefile(corefile(lines, ""))); err != nil {
			t.Fatal(err)
		}
		if after := icp.Indexes(); len(after) != 1 || after[0] != before[0] || icp.Opened() != 1 {
			t.Fatalf("after %q: got %d registries in %d handlers; want the same one in one", lines, len(after), icp.Opened())
		}
	}
	for _, bad := range []string{
		corefile("ttl soon", ""),                                           // our own block is refused
		corefile("suffixes broken", ""),                                    // it is read, but cannot be opened
		corefile("", "") + "\nother.test:0 {\nbind 203.0.113.1\nwhoami\n}", // no such address here: it fails after ours has started
	} {
		if err := s.reload(t, w.corefile(bad)); err == nil {
			t.Fatalf("got no error for\n%s", bad)
		}
		wantBlocked(t, s.ask(t, query{name: "unfiled.test", qtype: dns.TypeA, edns: true}), "not filed")
		wantAddresses(t, s.ask(t, query{name: "accessed.test", qtype: dns.TypeA, edns: true}), ours)
		if icp.Opened() != 1 {
			t.Errorf("%d handlers are open after a failed reload; want 1", icp.Opened())
		}
	}
	w.registry(t, filing("unfiled.test", registry.Aliyun))
	icp.Refresh()
	wantAddresses(t, s.ask(t, query{name: "unfiled.test", qtype: dns.TypeA, edns: true}), ours)
	s.stop()
	if icp.Opened() != 0 {
		t.Errorf("%d handlers are open after the stop; want 0", icp.Opened())
	}
}

// TestBadDataFile: a file that goes bad while the server runs leaves what it
// held in force, and is counted.
func TestBadDataFile(t *testing.T) {
	w := newWorld(t)
	up := newUpstream(t, "unfiled.test. 60 IN A "+ours)
	w.file(t, "exempt", "# nobody yet\n")
	s := w.start(t, ".:0 {\nSERVER\nICP(exempt ./exempt)\nforward . "+up.addr+"\n}")
	q := query{name: "unfiled.test", qtype: dns.TypeA, edns: true}
	wantBlocked(t, s.ask(t, q), "not filed")
	good, bad := reloads(t, "exempt", "success"), reloads(t, "exempt", "error")
	w.file(t, "exempt", "unfiled.test\n")
	icp.Refresh()
	wantAddresses(t, s.ask(t, q), ours)
	w.file(t, "exempt", "unfiled.test until doomsday\n")
	icp.Refresh()
	icp.Refresh()
	wantAddresses(t, s.ask(t, q), ours)
	w.file(t, "exempt", "")
	icp.Refresh()
	wantBlocked(t, s.ask(t, q), "not filed")
	if g, b := reloads(t, "exempt", "success")-good, reloads(t, "exempt", "error")-bad; g != 2 || b != 1 {
		t.Errorf("counted %v reloads and %v failures; want 2 and 1", g, b)
	}
}

// reloads returns how often data was read anew with a result.
func reloads(t *testing.T, data, result string) float64 {
	t.Helper()
	families, err := prometheus.DefaultGatherer.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "coredns_icp_reloads_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			if l := m.GetLabel(); l[0].GetValue() == data && l[1].GetValue() == result {
				return m.GetCounter().GetValue()
			}
		}
	}
	return 0
}
