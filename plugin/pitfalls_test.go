package icp_test

import (
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/icpgate/icpgate/deploy/loopback"
	icp "github.com/icpgate/icpgate/plugin"
	"github.com/icpgate/icpgate/registry"
)

// The tests of this file each set up what has gone wrong with answer-inspecting
// blockers in CoreDNS, with the real plugins. What is known to go wrong, by row:
//
//	row a  below cache, no EDE and a frozen verdict: TestBehindCache, TestStale, TestPrefetch
//	row b  below cache, an alias's lookup leaves its target's address: TestAliasOutOfZone
//	row c  lookups within a question judged for their own name: TestAliasOutOfZone, TestNested
//	row d  lookups within a question never judged: TestDNS64, TestNested
//	row e  the address within what dns64 makes: TestDNS64, TestTranslatedUpstream
//	row f  OPT to clients without EDNS: exchange in every test, TestBlockAnswer, TestDig
//	row g  DO set where the client did not: TestBlockAnswer, TestDig
//	row h  the question of a rewritten request answered: TestRewrite, TestDig
//	row i  the rewritten name judged: TestRewrite, TestRewriteCNAME
//	row j  a transfer's messages replaced: TestTransfer, TestNoTransfer, TestNsupdate
//	row k  hints of service records: TestServiceRecords, TestUnusualForms, TestHostile
//	row l  addresses beside the answer: TestServiceRecords, TestStrip, TestHostile
//	row m  the transport told by the client's address: TestKdig, TestTransports, TestClients
//	row n  names in mixed case: TestRandomCase, TestDig
//	row o  one block's readiness hides another's: TestReadyOfAllBlocks
//	row p  another process on the same port: startCoreDNS of cmd/coredns asks who answers

// TestBehindCache: a warm cache holds no verdict, and takes nothing from a block
// answer.
func TestBehindCache(t *testing.T) {
	w := newWorld(t)
	up := newUpstream(t, "unfiled.test. 3600 IN A "+ours, "accessed.test. 3600 IN A "+ours)
	s := w.start(t, `.:0 {
		SERVER
		ICP
		cache 3600
		forward . `+up.addr+`
	}`)
	unfiled := query{name: "unfiled.test", qtype: dns.TypeA, edns: true}
	filed := query{name: "accessed.test", qtype: dns.TypeA, edns: true}
	for range 3 {
		wantBlocked(t, s.ask(t, unfiled), "not filed")
		wantAddresses(t, s.ask(t, filed), ours)
	}
	if n := up.queries.Load(); n != 2 {
		t.Errorf("the upstream was asked %d times; want 2, the rest from the cache", n)
	}

	w.registry(t, filing("unfiled.test", registry.Aliyun), cancelled("accessed.test"))
	icp.Refresh()
	wantAddresses(t, s.ask(t, unfiled), ours)
	wantBlocked(t, s.ask(t, filed), "filing cancelled")
	if n := up.queries.Load(); n != 2 {
		t.Errorf("the upstream was asked %d times; want 2: the cache is warm", n)
	}
}

// TestNotifyForAddress: the server takes a NOTIFY with any question, and cache and
// forward answer it like a query.
func TestNotifyForAddress(t *testing.T) {
	w := newWorld(t)
	up := newUpstream(t, "unfiled.test. 60 IN A "+ours, "accessed.test. 60 IN A "+ours)
	s := w.start(t, `.:0 {
		SERVER
		ICP
		cache
		forward . `+up.addr+`
	}`)
	notify := func(name string) *dns.Msg {
		m := query{name: name, qtype: dns.TypeA, edns: true}.msg()
		m.Opcode = dns.OpcodeNotify
		return exchange(t, "udp", s.udp(), m)
	}
	for range 2 { // the second from the cache
		wantBlocked(t, notify("unfiled.test"), "not filed")
		wantAddresses(t, notify("accessed.test"), ours)
	}
}

// TestAliasOutOfZone: the file plugin asks the server for the target of an alias.
// The target has no filing of its own, which is the alias's good right; asked
// for by itself it is withheld, also after the answer was cached.
func TestAliasOutOfZone(t *testing.T) {
	w := newWorld(t)
	w.file(t, "accessed.zone", zone("accessed.test", "www 60 IN CNAME cdn.unfiled.test."))
	up := newUpstream(t, "cdn.unfiled.test. 60 IN A "+ours, "cdn.unfiled.test. 60 IN AAAA "+ours6)
	s := w.start(t, `.:0 {
		SERVER
		ICP
		cache
		file accessed.zone accessed.test
		forward . `+up.addr+`
	}`)
	for range 2 {
		wantAddresses(t, s.ask(t, query{name: "www.accessed.test", qtype: dns.TypeA, edns: true}), ours)
		wantAddresses(t, s.ask(t, query{name: "www.accessed.test", qtype: dns.TypeAAAA, edns: true}), ours6)
		wantBlocked(t, s.ask(t, query{name: "cdn.unfiled.test", qtype: dns.TypeA, edns: true}), "not filed")
		wantBlocked(t, s.ask(t, query{name: "cdn.unfiled.test", qtype: dns.TypeAAAA, edns: true}), "not filed")
	}
}

// TestAliasToFiled: a target's filing is not lent to the alias.
func TestAliasToFiled(t *testing.T) {
	w := newWorld(t)
	w.file(t, "unfiled.zone", zone("unfiled.test", "www 60 IN CNAME accessed.test.\nd 60 IN DNAME accessed.test."))
	up := newUpstream(t, "accessed.test. 60 IN A "+ours, "deep.accessed.test. 60 IN A "+ours)
	s := w.start(t, `.:0 {
		SERVER
		ICP
		file unfiled.zone unfiled.test
		forward . `+up.addr+`
	}`)
	wantBlocked(t, s.ask(t, query{name: "www.unfiled.test", qtype: dns.TypeA, edns: true}), "not filed")
	wantBlocked(t, s.ask(t, query{name: "deep.d.unfiled.test", qtype: dns.TypeA, edns: true}), "not filed")
	wantAddresses(t, s.ask(t, query{name: "deep.accessed.test", qtype: dns.TypeA, edns: true}), ours)
}

// TestDNS64: an address made out of a withheld one is withheld, whatever the
// prefix, and a filed name's is not.
func TestDNS64(t *testing.T) {
	w := newWorld(t)
	up := newUpstream(t, "unfiled.test. 60 IN A "+ours, "accessed.test. 60 IN A "+ours, "abroad.test. 60 IN A "+abroad)
	for _, prefix := range []string{"64:ff9b::/96", "2001:db8:64::/96"} {
		t.Run(prefix, func(t *testing.T) {
			s := w.start(t, `.:0 {
				SERVER
				ICP
				dns64 {
					prefix `+prefix+`
					allow_ipv4
				}
				forward . `+up.addr+`
			}`)
			server := "dns://" + loopback.Host() + ":0"
			blocks := map[string]string{"server": server, "verdict": "block", "reason": "unfiled"}
			blocked, all := count(t, blocks), count(t, map[string]string{"server": server})
			m := s.ask(t, query{name: "unfiled.test", qtype: dns.TypeAAAA, edns: true})
			if len(addresses(m)) != 0 {
				t.Errorf("got %v; want nothing", m.Answer)
			}
			// The lookup within the question is judged, but the client has one answer.
			if b, a := count(t, blocks)-blocked, count(t, map[string]string{"server": server})-all; b != 1 || a != 1 {
				t.Errorf("counted %v blocks of %v answers; want 1 of 1", b, a)
			}
			for _, name := range []string{"accessed.test", "abroad.test"} {
				m := s.ask(t, query{name: name, qtype: dns.TypeAAAA, edns: true})
				if len(addresses(m)) != 1 {
					t.Errorf("%s: got %v; want one address", name, m.Answer)
				}
			}
		})
	}
}

// TestTranslatedUpstream: a translator upstream with a prefix of the network's
// own is known by the nat64 option only.
func TestTranslatedUpstream(t *testing.T) {
	w := newWorld(t)
	up := newUpstream(t, "unfiled.test. 60 IN AAAA 2001:db8:64::cb00:7101")
	s := w.start(t, `.:0 {
		SERVER
		ICP(nat64 2001:db8:64::/96)
		forward . `+up.addr+`
	}`)
	wantBlocked(t, s.ask(t, query{name: "unfiled.test", qtype: dns.TypeAAAA, edns: true}), "not filed")
}

// TestRewrite: rewrite alters the request in place; the question that is judged
// and answered is the client's.
func TestRewrite(t *testing.T) {
	w := newWorld(t)
	up := newUpstream(t, "unfiled.test. 60 IN A "+ours, "accessed.test. 60 IN A "+ours)
	s := w.start(t, `.:0 {
		SERVER
		ICP
		rewrite stop name exact www.accessed.test unfiled.test
		rewrite stop name exact www.unfiled.test accessed.test
		rewrite stop type HTTPS A
		forward . `+up.addr+`
	}`)
	wantAddresses(t, s.ask(t, query{name: "www.accessed.test", qtype: dns.TypeA, edns: true}), ours)
	wantBlocked(t, s.ask(t, query{name: "www.unfiled.test", qtype: dns.TypeA, edns: true}), "not filed")
	wantBlocked(t, s.ask(t, query{name: "unfiled.test", qtype: dns.TypeHTTPS, edns: true}), "not filed")
}

// TestRewriteCNAME: rewrite asks the server for the target.
func TestRewriteCNAME(t *testing.T) {
	w := newWorld(t)
	up := newUpstream(t, "www.accessed.test. 60 IN CNAME old.test.", "old.test. 60 IN A "+abroad, "new.test. 60 IN A "+ours,
		"www.unfiled.test. 60 IN CNAME old.test.")
	s := w.start(t, `.:0 {
		SERVER
		ICP
		rewrite cname exact old.test. new.test.
		forward . `+up.addr+`
	}`)
	wantAddresses(t, s.ask(t, query{name: "www.accessed.test", qtype: dns.TypeA, edns: true}), ours)
	wantBlocked(t, s.ask(t, query{name: "www.unfiled.test", qtype: dns.TypeA, edns: true}), "not filed")
}

// TestTransfer: several messages are one answer there; all of them pass.
func TestTransfer(t *testing.T) {
	w := newWorld(t)
	var hosts strings.Builder
	for i := range 2000 { // more than fits into one message
		hosts.WriteString("h" + strings.Repeat("x", i%40) + string(rune('a'+i%26)) + " 60 IN A " + ours + "\n")
	}
	w.file(t, "unfiled.zone", zone("unfiled.test", hosts.String()))
	s := w.start(t, `unfiled.test:0 {
		SERVER
		ICP
		file unfiled.zone unfiled.test
		transfer unfiled.test {
			to *
		}
	}`)
	m := new(dns.Msg)
	m.SetAxfr("unfiled.test.")
	envelopes, err := new(dns.Transfer).In(m, s.tcp())
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for e := range envelopes {
		if e.Error != nil {
			t.Fatal(e.Error)
		}
		n += len(addressesOf(e.RR))
	}
	if n < 500 {
		t.Errorf("got %d addresses; want the whole zone", n)
	}
	wantBlocked(t, exchange(t, "tcp", s.tcp(), query{name: "ha.unfiled.test", qtype: dns.TypeA, edns: true}.msg()), "not filed")
}

// TestServiceRecords: hints and the addresses beside SRV and MX answers, from a
// zone of the server's own.
func TestServiceRecords(t *testing.T) {
	w := newWorld(t)
	w.file(t, "unfiled.zone", zone("unfiled.test", `
@    60 IN HTTPS 1 . alpn=h2 ipv4hint=`+ours+` ipv6hint=`+ours6+`
alt  60 IN HTTPS 1 . ipv4hint=`+ours+`,`+abroad+` ech=AAA=
ali  60 IN HTTPS 0 www
@    60 IN MX 10 mail
_s._tcp 60 IN SRV 1 1 443 www
_8443._https 60 IN HTTPS 1 www ipv4hint=`+ours+`
mail 60 IN A `+ours+`
www  60 IN A `+ours+`
www  60 IN A `+abroad+`
@    60 IN TXT "proof"`))
	s := w.start(t, `unfiled.test:0 {
		SERVER
		ICP
		file unfiled.zone unfiled.test
	}`)
	blocked := []query{
		{name: "unfiled.test", qtype: dns.TypeHTTPS, edns: true},
		{name: "_8443._https.unfiled.test", qtype: dns.TypeHTTPS, edns: true},
		{name: "mail.unfiled.test", qtype: dns.TypeA, edns: true},
	}
	for _, q := range blocked {
		m := s.ask(t, q)
		wantBlocked(t, m, "not filed")
		// The server is the zone's own: it must not look lame.
		if soa, ok := m.Ns[0].(*dns.SOA); !m.Authoritative || !ok || soa.Hdr.Name != "unfiled.test." || soa.Serial != 7 || soa.Minttl != 5 {
			t.Errorf("%s: got AA %t, %v; want AA and the zone's SOA with a minimum of 5", q.name, m.Authoritative, m.Ns)
		}
	}
	stripped := []struct {
		q      query
		answer int
		addrs  []string
	}{
		{query{name: "www.unfiled.test", qtype: dns.TypeA, edns: true}, 1, []string{abroad}},
		{query{name: "alt.unfiled.test", qtype: dns.TypeHTTPS, edns: true}, 1, []string{abroad}},
		{query{name: "ali.unfiled.test", qtype: dns.TypeHTTPS, edns: true}, 1, nil},
		{query{name: "unfiled.test", qtype: dns.TypeMX, edns: true}, 1, nil},
		{query{name: "_s._tcp.unfiled.test", qtype: dns.TypeSRV, edns: true}, 1, nil},
		{query{name: "unfiled.test", qtype: dns.TypeTXT, edns: true}, 1, nil},
	}
	for _, tt := range stripped {
		m := s.ask(t, tt.q)
		if len(m.Answer) != tt.answer || !equal(addresses(m), tt.addrs) || strings.Contains(m.String(), "ech=") {
			t.Errorf("got\n%s; want %d records with addresses %v", m, tt.answer, tt.addrs)
		}
		for _, a := range addressesOf(m.Extra) {
			if a != abroad {
				t.Errorf("got %s beside the answer to %v", a, tt.q)
			}
		}
	}
}

// TestRandomCase: resolvers vary the case of what they ask (0x20) and want it back.
func TestRandomCase(t *testing.T) {
	w := newWorld(t)
	up := newUpstream(t, "unfiled.test. 60 IN A "+ours, "www.accessed.test. 60 IN A "+ours)
	s := w.start(t, `.:0 {
		SERVER
		ICP
		cache
		forward . `+up.addr+`
	}`)
	for _, name := range []string{"UnFiLeD.tESt.", "unFILED.test."} {
		m := s.ask(t, query{name: name, qtype: dns.TypeA, edns: true})
		wantBlocked(t, m, "not filed")
		if got := m.Ns[0].Header().Name; got != name {
			t.Errorf("got the SOA of %s; want %s", got, name)
		}
	}
	wantAddresses(t, s.ask(t, query{name: "WWW.accEssed.TEST", qtype: dns.TypeA, edns: true}), ours)
}

// TestSearchList: autopath answers a name of the search list with an alias to the
// name that was meant, which is the one to judge.
func TestSearchList(t *testing.T) {
	w := newWorld(t)
	w.file(t, "resolv.conf", "nameserver 192.0.2.53\nsearch default.svc.cluster.local svc.cluster.local\n")
	up := newUpstream(t, "www.unfiled.test. 60 IN A "+ours, "www.accessed.test. 60 IN A "+ours,
		"pod.default.svc.cluster.local. 60 IN A "+ours, "ext.default.svc.cluster.local. 60 IN CNAME www.unfiled.test.")
	s := w.start(t, `.:0 {
		SERVER
		ICP
		autopath . `+w.path("resolv.conf")+`
		forward . `+up.addr+`
	}`)
	const search = ".default.svc.cluster.local"
	wantBlocked(t, s.ask(t, query{name: "www.unfiled.test" + search, qtype: dns.TypeA, edns: true}), "not filed")
	wantAddresses(t, s.ask(t, query{name: "www.accessed.test" + search, qtype: dns.TypeA, edns: true}), ours)
	wantAddresses(t, s.ask(t, query{name: "pod" + search, qtype: dns.TypeA, edns: true}), ours)
	wantBlocked(t, s.ask(t, query{name: "ext" + search, qtype: dns.TypeA, edns: true}), "not filed")
}

// zone is a zone file with a SOA of serial 7.
func zone(origin, records string) string {
	return "$ORIGIN " + origin + ".\n@ 3600 IN SOA ns host 7 7200 3600 1209600 3600\n@ 3600 IN NS ns\nns 3600 IN A 192.0.2.53\n" + records + "\n"
}
