package icp_test

import (
	"path/filepath"
	"testing"

	"github.com/icpgate/icpgate/deploy/loopback"
)

// The tests of this file ask with the programs that operators have.

// TestDig: each form of a block answer as dig takes it. dig drops answers whose
// question is not its own, and warns of what does not belong into a message.
func TestDig(t *testing.T) {
	dig := need(t, "dig", "bind9-dnsutils")
	w := newWorld(t)
	up := newUpstream(t, "unfiled.test. 60 IN A "+ours, "unfiled.test. 60 IN HTTPS 1 . ipv4hint="+ours, "unfiled.test. 60 IN TXT proof",
		"www.accessed.test. 60 IN A "+ours, "mixed.test. 60 IN A "+ours, "mixed.test. 60 IN A "+abroad)
	const tail = "rewrite stop name exact alias.test unfiled.test\ncache\nforward . "
	blocks := map[string]string{
		"nodata":   "",
		"nxdomain": "block nxdomain",
		"refused":  "block refused",
		"redirect": "block redirect " + notice + " " + notice6,
	}
	status := map[string]string{"nodata": "NOERROR", "nxdomain": "NXDOMAIN", "refused": "REFUSED", "redirect": "NOERROR"}
	for name, line := range blocks {
		t.Run(name, func(t *testing.T) {
			s := w.start(t, ".:0 {\nSERVER\nICP("+line+")\n"+tail+up.addr+"\n}")
			ede, answer := `EDE: 16 \(Censored\): \(icp: not filed\)`, `ANSWER: 0,`
			if name == "redirect" {
				ede, answer = `EDE: 4 \(Forged Answer\): \(icp: not filed\)`, `IN\s+A\s+`+notice
			}
			for range 2 { // the second time out of the cache
				for addr, transport := range map[string]string{s.udp(): "+notcp", s.tcp(): "+tcp"} {
					wantText(t, dig.run(t, at(addr, transport, "UNfiled.test", "A")...), "status: "+status[name], answer, ede, "^;UNfiled.test.",
						"!"+ours+"$", "!WARNING", "!;; flags:.* aa", "!;; flags:.* ad")
				}
			}
			wantText(t, dig.run(t, at(s.udp(), "alias.test", "A")...), "status: "+status[name], ede, "!mismatch")
			wantText(t, dig.run(t, at(s.udp(), "+noedns", "unfiled.test", "A")...), "status: "+status[name], "!OPT PSEUDOSECTION", "!"+ours+"$")
			wantText(t, dig.run(t, at(s.udp(), "+dnssec", "unfiled.test", "A")...), "flags: do; udp: 1232")
			wantText(t, dig.run(t, at(s.udp(), "+edns=0", "+nodnssec", "unfiled.test", "A")...), "flags:; udp: 1232")
			wantText(t, dig.run(t, at(s.udp(), "unfiled.test", "HTTPS")...), "status: "+status[name], "ANSWER: 0,", "!"+ours)
			wantText(t, dig.run(t, at(s.udp(), "unfiled.test", "TXT")...), "proof", "!EDE")
			wantText(t, dig.run(t, at(s.udp(), "www.accessed.test", "A")...), ours, "!EDE")
			wantText(t, dig.run(t, at(s.udp(), "mixed.test", "A")...), abroad, "!"+ours, "EDE: (16|4)")
		})
	}
}

// TestKdig: kdig's transports, and the treatment of clients over each of them:
// the type of a client's address does not tell the transport (DNS over QUIC
// brings that of UDP).
func TestKdig(t *testing.T) {
	kdig := need(t, "kdig", "knot-dnsutils")
	w := newWorld(t)
	w.keyPair(t)
	var many []string
	for range 40 { // more than one small datagram holds
		many = append(many, "big.accessed.test. 60 IN TXT 0123456789012345678901234567890123456789")
	}
	up := newUpstream(t, append(many, "unfiled.test. 60 IN A "+ours, "www.accessed.test. 60 IN A "+ours)...)
	transports := map[string]struct {
		key  string
		args []string
	}{
		"udp":   {"", nil},
		"tcp":   {"", []string{"+tcp"}},
		"tls":   {"tls://", []string{"+tls"}},
		"https": {"https://", []string{"+https"}},
		"quic":  {"quic://", []string{"+quic"}},
	}
	for name, tr := range transports {
		t.Run(name, func(t *testing.T) {
			tls := "tls cert.pem key.pem\n"
			if tr.key == "" {
				tls = ""
			}
			start := func(lines string) func(args ...string) string {
				s := w.startUnsettled(t, tr.key+".:0 {\nSERVER\n"+tls+"ICP("+lines+")\nforward . "+up.addr+"\n}")
				addr := s.tcp
				if name == "udp" || name == "quic" {
					addr = s.udp
				}
				host, port := hostPort(addr())
				return func(args ...string) string {
					args = append([]string{"@" + host, "-p", port, "+timeout=60", "+retry=2"}, args...)
					return kdig.run(t, append(args, tr.args...)...)
				}
			}
			ask := start("")
			wantText(t, ask("+edns", "unfiled.test", "A"), "status: NOERROR", "ANSWER: 0", `EDE: 16 \(Censored\): 'icp: not filed'`, "!"+ours)
			wantText(t, ask("+noedns", "unfiled.test", "A"), "status: NOERROR", "ANSWER: 0", "!EDNS")
			wantText(t, ask("+edns", "www.accessed.test", "A"), ours, "!EDE")
			if name != "udp" && name != "quic" {
				wantText(t, ask("+edns", "+bufsize=512", "big.accessed.test", "TXT"), "ANSWER: 40", "!;; Flags:.* tc")
			}
			exempt := start("clients exempt 127.0.0.0/8")
			wantText(t, exempt("+edns", "unfiled.test", "A"), ours, "!EDE")
			others := start("clients exempt 192.0.2.0/24")
			wantText(t, others("+edns", "unfiled.test", "A"), "ANSWER: 0", "EDE: 16")
		})
	}
}

// TestNsupdate: UPDATE goes through untouched, and answers that were replaced
// have a signature that dig accepts.
func TestNsupdate(t *testing.T) {
	nsupdate, dig := need(t, "nsupdate", "bind9-dnsutils"), need(t, "dig", "bind9-dnsutils")
	w := newWorld(t)
	const key, secret = "update.key.", "NoTCJU+DMqFWywaPyxSijrDEA/eC3nK0xi3AMEZuPVk="
	w.file(t, "key", `key "`+key+`" { algorithm hmac-sha256; secret "`+secret+`"; };`)
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
	_, port := hostPort(s.udp())
	keyFile := filepath.Join(w.dir, "key")
	nsupdate.input(t, "server "+loopback.Host()+" "+port+"\nzone unfiled.test\nupdate add new.unfiled.test 60 A "+ours+
		"\nupdate add new.unfiled.test 60 TXT proof\nupdate add mixed.unfiled.test 60 A "+ours+"\nupdate add mixed.unfiled.test 60 A "+abroad+"\nsend\n", "-k", keyFile)
	signed := func(args ...string) string {
		return dig.run(t, at(s.udp(), append([]string{"+norecurse", "-k", keyFile}, args...)...)...)
	}
	valid := []string{"hmac-sha256", "!WARNING", "!tsig verify failure", "!Couldn't verify", "!BADSIG"}
	wantText(t, signed("new.unfiled.test", "A"), append(valid, "ANSWER: 0,", "EDE: 16", `unfiled.test.\s+5\s+IN\s+SOA`, "flags:.* aa")...)
	wantText(t, signed("+noedns", "new.unfiled.test", "A"), append(valid, "ANSWER: 0,", "!OPT PSEUDOSECTION")...)
	wantText(t, signed("mixed.unfiled.test", "A"), append(valid, abroad, "!"+ours, "EDE: 16")...)
	wantText(t, signed("new.unfiled.test", "TXT"), append(valid, "proof")...)
	wantText(t, signed("www.unfiled.test", "A"), append(valid, abroad)...)
	by := "hmac-sha256:" + key + ":" + secret
	wantText(t, dig.run(t, at(s.tcp(), "+norecurse", "-y", by, "+tcp", "new.unfiled.test", "A")...), append(valid, "ANSWER: 0,", "EDE: 16")...)
}
