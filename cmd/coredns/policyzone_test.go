package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestPolicyZone has a real Unbound, in place of CoreDNS, withhold by a response
// policy zone of icp-registry: what the zone can say, and what the help of "export"
// and docs/rpz.md say that it cannot.
func TestPolicyZone(t *testing.T) {
	unbound, dig := needPeer(t, "unbound", "unbound"), needPeer(t, "dig", "bind9-dnsutils")
	control := needPeer(t, "unbound-control", "unbound")
	dir := t.TempDir()
	build(t, dir, "icp-registry")
	up := startZone(t,
		"www.example.com. 3600 IN AAAA 2001:db8::1", "www.cancelled.example. 3600 IN A 203.0.113.3",
		"abroad.example. 3600 IN A 198.51.100.1", "abroad.example. 3600 IN AAAA 2001:db8:ffff::1",
		"both.example. 3600 IN A 198.51.100.2", "both.example. 3600 IN A 203.0.113.4",
		"unit.gov.cn. 3600 IN A 203.0.113.5", "www.unit.gov.cn. 3600 IN A 203.0.113.5", "img.unit.gov.cn. 3600 IN A 203.0.113.5",
		"other.unit.gov.cn. 3600 IN A 203.0.113.6", "www.listed.example. 3600 IN A 203.0.113.7", "listed.example. 3600 IN A 198.51.100.3",
		"six.example. 3600 IN AAAA 2001:db8:1::1", "www.example.org. 3600 IN HTTPS 1 . ipv4hint=203.0.113.2",
	)
	file := func(name string) string { return filepath.Join(dir, name) }
	filings := []string{
		"domain,number,status,covers", "example.com,京ICP备10000001号-1,normal,", "cancelled.example,京ICP备10000002号-1,cancelled,",
		"unit.gov.cn,京ICP备10000003号-1,normal,img", "listed.example,京ICP备10000004号-1,normal,",
	}
	export := func() {
		t.Helper()
		writeLines(t, file("filings.csv"), filings)
		for _, args := range [][]string{
			{"import", file("filings.csv"), "--blacklist", file("blacklist.txt"), "-o", file("registry.icp")},
			{"export", "--registry", file("registry.icp"), "--format", "rpz", "--mainland", file("mainland.txt"), "--zone", "rpz.icp", "-o", file("rpz.zone")},
		} {
			if out, err := exec.Command(file("icp-registry"), args...).CombinedOutput(); err != nil {
				t.Fatalf("icp-registry %v: %v\n%s", args, err, out)
			}
		}
	}
	writeLines(t, file("blacklist.txt"), []string{"listed.example"})
	writeLines(t, file("mainland.txt"), []string{"203.0.113.0/24", "2001:db8::/33", "2001:db8:1::/48"})
	export()
	d := digger{t, dig}
	shown := strings.ReplaceAll(fenced(t, "../../docs/rpz.md", "unbound"), "/var/lib/unbound/rpz.zone", file("rpz.zone"))
	resolver := startUnbound(t, unbound, dir, up.addr, "iterator", append(strings.Split(shown, "\n"),
		"remote-control:", "  control-enable: yes", "  control-interface: "+file("control"), "  control-use-cert: no")...)
	for range 2 { // the second time it might answer from its cache
		for _, tt := range []struct{ name, qtype, want string }{
			{"www.example.com", "A", `203\.0\.113\.1\b`},
			{"www.example.com", "AAAA", `2001:db8::1\b`},
			{"www.example.org", "A", `NOERROR(?s:.*)ANSWER: 0,`},
			{"www.example.org", "TXT", `"v=spf1 -all"`},
			{"www.example.org", "MX", "10 mail.example.org."},
			{"www.cancelled.example", "A", "ANSWER: 0,"},
			{"abroad.example", "A", `198\.51\.100\.1\b`},
			{"abroad.example", "AAAA", `2001:db8:ffff::1\b`},
			{"six.example", "AAAA", "ANSWER: 0,"},
			{"unit.gov.cn", "A", `203\.0\.113\.5\b`},
			{"www.unit.gov.cn", "A", `203\.0\.113\.5\b`},
			{"img.unit.gov.cn", "A", `203\.0\.113\.5\b`},
			{"other.unit.gov.cn", "A", "ANSWER: 0,"},
			{"www.listed.example", "A", "ANSWER: 0,"},
			// What a response policy zone cannot say.
			{"listed.example", "A", "ANSWER: 0,"},            // withheld, though it points abroad
			{"www.example.org", "HTTPS", `203\.0\.113\.2\b`}, // hints are not looked at
			{"both.example", "A", "ANSWER: 0,"},              // the address abroad goes as well
		} {
			d.want(resolver, tt.name, tt.qtype, tt.want)
		}
	}
	// A new zone is in force when Unbound has loaded it.
	filings = append(filings, "example.org,京ICP备10000005号-1,normal,")
	export()
	if out, err := exec.Command(control, "-c", file("unbound.conf"), "auth_zone_reload", "rpz.icp").CombinedOutput(); err != nil {
		t.Fatalf("unbound-control: %v\n%s", err, out)
	}
	for range 2 {
		d.want(resolver, "www.example.org", "A", `203\.0\.113\.2\b`)
	}
}

// fenced returns the block of a kind in a page.
func fenced(t *testing.T, path, kind string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, block, ok := strings.Cut(string(text), "```"+kind+"\n")
	block, _, end := strings.Cut(block, "```")
	if !ok || !end {
		t.Fatalf("%s has no block of %s", path, kind)
	}
	return block
}
