package edge_test

import (
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/coredns/caddy/caddyfile"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/edge"
)

// parse reads a block in a directory that holds the files a block may name.
func parse(t *testing.T, block string) (edge.Config, string, error) {
	t.Helper()
	root := t.TempDir()
	for _, f := range []string{"r.snap", "cidrs", "nets", "bind", "suf", "prof", "exempt.txt"} {
		write(t, filepath.Join(root, f), "")
	}
	cfg, err := parseIn(root, block)
	return cfg, root, err
}

func parseIn(root, block string) (edge.Config, error) {
	d := caddyfile.NewDispenser("Corefile", strings.NewReader(block))
	d.Next()
	return edge.Parse(&d, root)
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// block wraps lines into a block with a registry.
func block(lines string) string { return "icp {\n registry r.snap\n " + lines + "\n}" }

func TestParseEveryOption(t *testing.T) {
	cfg, root, err := parse(t, `icp Example.com. 公司.example 192.0.2.0/24 . {
		registry r.snap
		state state
		cache 1000
		max-stale 72h block
		provider Aliyun
		mainland cidrs add
		networks nets
		nat64 2001:db8:64::/96 2001:db8:65::/64
		bindings bind
		suffixes suf
		profiles prof
		confirm 2
		mode monitor
		block redirect 192.0.2.1 2001:db8::1
		mixed block
		policy gov inherit
		policy ip-literal filed-only
		policy no-host block
		policy pending-access allow
		fail closed
		exempt example.com
		exempt *.example.org until 2027-06-30 authority
		exempt ./exempt.txt until 2027-06-30T00:00:00Z authority
		clients exempt 192.0.2.0/25 2001:db8::/32
		clients monitor 192.0.2.9
		ede 15
		ttl 30
		max-ttl 60
		strip-ech unfiled
		structured-error 65500 contact mailto:icp@example.com tel:+86-10-55550100 organisation "Example 接入" lang zh-Hans
		log blocks.log sample 100 client-prefix 16 32
		admin 192.0.2.1:9154
	}`)
	if err != nil {
		t.Fatal(err)
	}
	in := func(name string) string { return filepath.Join(root, name) }
	want := edge.Config{
		Zones:    []string{"example.com", "xn--55qx5d.example", "192.0.2.0/24", "."},
		Registry: in("r.snap"), State: in("state"), Cache: 1000, MaxStale: 72 * time.Hour, OnStale: edge.StaleBlock, Provider: "aliyun",
		Mainland: in("cidrs"), MainlandAdd: true, Networks: in("nets"),
		NAT64:   []netip.Prefix{netip.MustParsePrefix("2001:db8:64::/96"), netip.MustParsePrefix("2001:db8:65::/64")},
		Confirm: 2, Bindings: in("bind"), Suffixes: in("suf"), Profiles: in("prof"),
		Policy: registry.Policy{
			Gov: registry.GovInherit, IPLiteral: registry.IPLiteralFiledOnly, NoHost: registry.NoHostBlock,
			PendingAccess: registry.PendingAccessAllow, Fail: registry.FailClosed,
			Mode: registry.Monitor, Mixed: registry.MixedBlock,
		},
		Block: edge.Block{Action: edge.Redirect, Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")}},
		Exempt: []edge.Exempted{
			{Name: registry.MustParseDomain("example.com"), Exemption: registry.Exemption{Granted: true}},
			{Name: registry.MustParseDomain("example.org"), Below: true, Exemption: registry.Exemption{
				Granted: true, Authority: true,
				// The whole of 30 June in China ends at 16:00 UTC.
				Until: time.Date(2027, 6, 30, 16, 0, 0, 0, time.UTC).Unix(),
			}},
		},
		ExemptFiles: []edge.ExemptFile{{Path: in("exempt.txt"), Until: time.Date(2027, 6, 30, 0, 0, 0, 0, time.UTC).Unix(), Authority: true}},
		Clients: []edge.Client{
			{Prefix: netip.MustParsePrefix("192.0.2.0/25"), Treatment: edge.ExemptClient},
			{Prefix: netip.MustParsePrefix("2001:db8::/32"), Treatment: edge.ExemptClient},
			{Prefix: netip.MustParsePrefix("192.0.2.9/32"), Treatment: edge.MonitoredClient},
		},
		EDE: 15, TTL: 30, MaxTTL: 60, StripECH: edge.StripECHUnfiled,
		Structured: edge.Structured{
			Code: 65500, Contacts: []string{"mailto:icp@example.com", "tel:+86-10-55550100"},
			Organisation: "Example 接入", Lang: "zh-Hans",
		},
		Log:   edge.Log{On: true, File: in("blocks.log"), Sample: 100, ClientV4: 16, ClientV6: 32},
		Admin: netip.MustParseAddrPort("192.0.2.1:9154"),
	}
	if !reflect.DeepEqual(cfg, want) {
		t.Errorf("got\n%+v; want\n%+v", cfg, want)
	}
}

// TestParseDefaults: a block with nothing but a registry is the zero value.
func TestParseDefaults(t *testing.T) {
	cfg, root, err := parse(t, block(""))
	if err != nil {
		t.Fatal(err)
	}
	if want := (edge.Config{Registry: filepath.Join(root, "r.snap")}); !reflect.DeepEqual(cfg, want) {
		t.Errorf("got %+v; want %+v", cfg, want)
	}
	// The first value of every choice is the default, so writing it changes nothing.
	said, root, err := parse(t, block("mode enforce\nblock nodata\nmixed strip\npolicy gov strict\npolicy ip-literal allow\n"+
		"policy no-host allow\npolicy pending-access block\nfail open\nstrip-ech blocked\nmainland cidrs only"))
	if err != nil {
		t.Fatal(err)
	}
	want := edge.Config{Registry: filepath.Join(root, "r.snap"), Mainland: filepath.Join(root, "cidrs")}
	if !reflect.DeepEqual(said, want) {
		t.Errorf("got %+v; want %+v", said, want)
	}
}

func TestParseErrors(t *testing.T) {
	tests := []struct {
		name  string
		block string
		want  []string // what the error names
	}{
		{"no registry", "icp", []string{"no registry", "registry FILE"}},
		{"empty block", "icp {\n}", []string{"no registry"}},
		{"unknown option", block("colour red"), []string{"Corefile:3", `"colour"`, "provider", "strip-ech", " or admin"}},
		{"state without directory", block("state"), []string{"Corefile:3", "state DIR"}},
		{"state in a file", block("state nets"), []string{"Corefile:3", "nets", "expect a directory"}},
		{"state twice", block("state a\nstate b"), []string{"Corefile:4", "line 3"}},
		{"thin", "icp {\n registry r.snap thin\n}", []string{"Corefile:2", `"thin"`, "expects a snapshot file"}},
		{"url without thin", "icp {\n registry https://registry.example\n}", []string{"Corefile:2", "registry https://registry.example thin", "snapshot file"}},
		{"key nowhere", "icp {\n registry https://registry.example key\n}", []string{"key FILE"}},
		{"missing key", "icp {\n registry https://registry.example key gone\n}", []string{"gone", "does not exist"}},
		{"key twice", "icp {\n registry https://registry.example key nets key nets\n}", []string{`"key"`, "each once"}},
		{"thin-timeout with a feed", "icp {\n registry https://registry.example key nets\nthin-timeout 10ms\n}", []string{"thin-timeout in line 3", "registry URL thin"}},
		{"url of another kind", "icp {\n registry ftp://registry.example thin\n}", []string{"Corefile:2", "ftp://", "https://registry.example"}},
		{"thin twice", "icp {\n registry https://registry.example thin thin\n}", []string{`"thin"`, "each once"}},
		{"token nowhere", "icp {\n registry https://registry.example token\n}", []string{"token FILE"}},
		{"missing token", "icp {\n registry https://registry.example token gone thin\n}", []string{"gone", "does not exist"}},
		{"token for a file", "icp {\n registry r.snap token nets\n}", []string{`"token"`, "URL [token FILE] thin"}},
		{"key with thin", "icp {\n registry https://registry.example key nets thin\n}", []string{"key has no effect with thin"}},
		{"ca over http", "icp {\n registry http://registry.example key nets ca nets\n}", []string{"go with https"}},
		{"cert without key", "icp {\n registry https://registry.example key nets cert nets\n}", []string{"cert FILE KEY-FILE"}},
		{"accept-epoch of another form", "icp {\n registry https://registry.example key nets accept-epoch 7\n}", []string{"accept-epoch", `"7"`, "MILLISECONDS-RANDOM"}},
		{"accept-epoch with thin", "icp {\n registry https://registry.example accept-epoch 7-1 thin\n}", []string{"accept-epoch has no effect with thin"}},
		{"state with thin", "icp {\n registry https://registry.example thin\nstate a\n}", []string{"state in line 3", "registry FILE"}},
		{"no cache with thin", "icp {\n registry https://registry.example thin\ncache 0\n}", []string{"cache in line 3", "from 1 to"}},
		{"addresses with thin", "icp {\n registry https://registry.example thin\npolicy ip-literal filed-only\n}", []string{"ip-literal in line 3", "allow or block"}},
		{"thin-timeout without thin", block("thin-timeout 10ms"), []string{"thin-timeout in line 3", "registry URL thin"}},
		{"thin-timeout without unit", "icp {\n registry https://registry.example thin\nthin-timeout 50\n}", []string{"Corefile:3", `"50"`, "50ms"}},
		{"thin-timeout too long", "icp {\n registry https://registry.example thin\nthin-timeout 1m\n}", []string{`"1m"`, "10s"}},
		{"max-stale without duration", block("max-stale"), []string{"max-stale DURATION [keep|allow|block]"}},
		{"max-stale of a day", block("max-stale 1d"), []string{`"1d"`, "72h"}},
		{"max-stale otherwise", block("max-stale 1h drop"), []string{`"drop"`, "keep, allow or block"}},
		{"registry without a file", "icp {\n registry\n}", []string{"registry FILE"}},
		{"missing file", "icp {\n registry gone.snap\n}", []string{"Corefile:2", "gone.snap", "does not exist"}},
		{"directory", "icp {\n registry .\n}", []string{"directory"}},
		{"doubled registry", block("registry r.snap"), []string{"Corefile:3", "line 2", "once"}},
		{"doubled mode", block("mode monitor\nmode enforce"), []string{"Corefile:4", "mode", "line 3"}},
		{"doubled knob", block("policy gov strict\npolicy gov inherit"), []string{"Corefile:4", "policy gov", "line 3"}},
		{"unknown knob", block("policy colour red"), []string{`"colour"`, "gov, ip-literal, no-host or pending-access"}},
		{"knob with a line of its own", block("policy fail open"), []string{`"fail"`, "pending-access"}},
		{"bad knob value", block("policy gov lax"), []string{`"lax"`, "strict or inherit"}},
		{"unknown knob without value", block("policy foo"), []string{`"foo"`, "gov, ip-literal, no-host or pending-access"}},
		{"unknown knob with two values", block("policy foo bar baz"), []string{`"foo"`, "gov, ip-literal"}},
		{"knob without value", block("policy gov"), []string{"gov: no argument", "strict or inherit"}},
		{"knob with two values", block("policy no-host allow block"), []string{`no-host: arguments ["allow" "block"]`, "allow or block"}},
		{"policy without knob", block("policy"), []string{"policy gov|ip-literal"}},
		{"mode with two words", block("mode enforce monitor"), []string{`"enforce" "monitor"`, "mode enforce|monitor"}},
		{"clients with one word", block("clients 192.0.2.0/24"), []string{`"192.0.2.0/24"`, "clients exempt|monitor CIDR..."}},
		{"bad mode", block("mode loud"), []string{`"loud"`, "enforce or monitor"}},
		{"mode without value", block("mode"), []string{"mode enforce|monitor"}},
		{"bad fail", block("fail safe"), []string{`"safe"`, "open or closed"}},
		{"bad mixed", block("mixed pass"), []string{`"pass"`, "strip or block"}},
		{"bad provider", block("provider a_b"), []string{`"a_b"`}},
		{"two providers", block("provider a b"), []string{`arguments ["a" "b"]`, "provider ID"}},
		{"bad mainland word", block("mainland cidrs too"), []string{`"too"`, "only or add"}},
		{"missing mainland", block("mainland gone"), []string{"gone", "does not exist"}},
		{"mainland without file", block("mainland"), []string{"mainland FILE"}},
		{"missing networks", block("networks gone"), []string{"Corefile:3", "networks", "does not exist"}},
		{"networks without file", block("networks"), []string{"networks: no argument"}},
		{"bad nat64", block("nat64 2001:db8::/97"), []string{"2001:db8::/97", "RFC 6052"}},
		{"nat64 of IPv4", block("nat64 192.0.2.0/32"), []string{"192.0.2.0/32"}},
		{"nat64 twice the same", block("nat64 2001:db8:64::/96 2001:db8:64::1/96"), []string{"2001:db8:64::/96", "twice"}},
		{"nat64 without prefix", block("nat64"), []string{"nat64 PREFIX..."}},
		{"confirm none", block("confirm 0"), []string{`"0"`, "from 1 to 3"}},
		{"confirm word", block("confirm all"), []string{`"all"`}},
		{"bad block", block("block drop"), []string{`"drop"`, "nodata, nxdomain, refused or redirect"}},
		{"block without action", block("block"), []string{"block nodata|"}},
		{"redirect nowhere", block("block redirect"), []string{"redirect 192.0.2.1"}},
		{"redirect to a name", block("block redirect notice.example"), []string{"notice.example"}},
		{"redirect to many", block("block redirect 224.0.0.1"), []string{"224.0.0.1", "notice host"}},
		{"redirect to all", block("block redirect 255.255.255.255"), []string{"255.255.255.255", "notice host"}},
		{"redirect twice to one", block("block redirect 192.0.2.1 ::ffff:192.0.2.1"), []string{"twice"}},
		{"address without redirect", block("block nodata 192.0.2.1"), []string{"192.0.2.1", "only redirect"}},
		{"bad exemption", block("exempt a..example"), []string{"a..example"}},
		{"exemption of a public suffix's kind", block("exempt exempt.txt"), []string{"./exempt.txt", "exempt.txt."}},
		{"star inside", block("exempt www.*.example"), []string{"star"}},
		{"exemption until never", block("exempt example.com until"), []string{"until TIME"}},
		{"exemption until when", block("exempt example.com until tomorrow"), []string{`"tomorrow"`, "RFC 3339"}},
		{"exemption with more", block("exempt example.com please"), []string{`"please"`, "[until TIME] [authority]"}},
		{"exemption twice", block("exempt example.com\nexempt EXAMPLE.com."), []string{"Corefile:4", "line 3"}},
		{"missing exemptions", block("exempt ./gone.txt"), []string{"gone.txt", "does not exist"}},
		{"clients without network", block("clients exempt"), []string{"clients exempt|monitor CIDR..."}},
		{"clients otherwise", block("clients block 192.0.2.0/24"), []string{`"block"`, "exempt or monitor"}},
		{"bad network", block("clients exempt 192.0.2.0/33"), []string{"192.0.2.0/33"}},
		{"network with host bits", block("clients exempt 192.0.2.1/24"), []string{"192.0.2.0/24"}},
		{"network twice", block("clients exempt 192.0.2.0/24\nclients monitor 192.0.2.0/24"), []string{"line 3"}},
		{"bad ede", block("ede 65536"), []string{`"65536"`, "65535"}},
		{"zero ttl", block("ttl 0"), []string{`"0"`, "from 1"}},
		{"ttl of a year", block("ttl 31536000"), []string{"604800"}},
		{"bad max-ttl", block("max-ttl 1m"), []string{`"1m"`}},
		{"bad strip-ech", block("strip-ech always"), []string{`"always"`, "blocked, off or unfiled"}},
		{"cache without size", block("cache"), []string{"cache SIZE"}},
		{"cache of less than nothing", block("cache -1"), []string{`"-1"`, "from 0 to 16777216"}},
		{"cache with a unit", block("cache 1k"), []string{`"1k"`}},
		{"admin without address", block("admin"), []string{"admin ADDR"}},
		{"admin at a name", block("admin edge.example:9154"), []string{`"edge.example:9154"`, "IP address"}},
		{"admin without port", block("admin 192.0.2.1"), []string{`"192.0.2.1"`, ":9154"}},
		{"admin at port 0", block("admin :0"), []string{`":0"`, ":9154"}},
		{"admin with a word", block("admin :9154 profiles"), []string{`"profiles"`, "pprof or nothing"}},
		{"admin with two words", block("admin :9154 pprof pprof"), []string{"admin ADDR [pprof]"}},
		{"admin twice", block("admin :9154\nadmin :9155"), []string{"Corefile:4", "line 3"}},
		{"log to nothing", block(`log ""`), []string{"Corefile:3", `""`, "standard output"}},
		{"log to two files", block("log a b"), []string{`"b"`, "[FILE] [sample N]"}},
		{"log sample of none", block("log sample 0"), []string{`"0"`, "from 1"}},
		{"log sample alone", block("log sample"), []string{"sample 100"}},
		{"log prefix of IPv4 alone", block("log client-prefix 24"), []string{"client-prefix 24 48"}},
		{"log prefix too long", block("log client-prefix 33 48"), []string{`"33"`, "to 32"}},
		{"log samples twice", block("log sample 1 sample 2"), []string{"twice"}},
		{"structured error without code", block("structured-error"), []string{"structured-error CODE"}},
		{"structured error by an assigned code", block("structured-error 15 contact tel:1"), []string{`"15"`, "from 21"}},
		{"structured error without contact", block("structured-error 65500 organisation x"), []string{"no contact", "mailto:"}},
		{"structured error with a web contact", block("structured-error 65500 contact https://example.com"), []string{"https://example.com", "tel:"}},
		{"structured error with a bad language", block("structured-error 65500 contact tel:1 lang zh_CN"), []string{`"zh_CN"`, "zh-Hans"}},
		{"structured error with more", block("structured-error 65500 please"), []string{`"please"`, "contact"}},
		{"structured error twice told", block("structured-error 65500 contact tel:1 lang en lang zh"), []string{"lang is given twice"}},
		{"block in the block", block("ttl 5 {\n a\n }"), []string{`"{"`, "ttl takes no block"}},
		{"bad zone", "icp a..b {\n registry r.snap\n}", []string{`"a..b"`, "reverse CIDR"}},
		{"zone twice", "icp example.com EXAMPLE.com. {\n registry r.snap\n}", []string{"zone example.com"}},
		{"zone with port", "icp example.com:53 {\n registry r.snap\n}", []string{"example.com:53"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := parse(t, tt.block)
			if err == nil {
				t.Fatal("got no error")
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got error %q; want %q in it", err, want)
				}
			}
		})
	}
}

// TestParseAdmin: a port alone is one of loopback.
func TestParseAdmin(t *testing.T) {
	for written, want := range map[string]string{
		"9154": "127.0.0.1:9154", ":9154": "127.0.0.1:9154", "localhost:80": "127.0.0.1:80",
		"0.0.0.0:9154": "0.0.0.0:9154", "[::1]:9154": "[::1]:9154", "[::ffff:192.0.2.1]:9154": "192.0.2.1:9154",
	} {
		cfg, _, err := parse(t, block("admin "+written))
		if err != nil || cfg.Admin.String() != want {
			t.Errorf("admin %s: got %v, %v; want %s", written, cfg.Admin, err, want)
		}
		if cfg.AdminProfiles {
			t.Errorf("admin %s: got profiles; want none", written)
		}
	}
	if cfg, _, err := parse(t, block("admin :9154 pprof")); err != nil || !cfg.AdminProfiles || cfg.Admin.Port() != 9154 {
		t.Errorf("admin with pprof: got %v, %v, %v; want profiles at 9154", cfg.Admin, cfg.AdminProfiles, err)
	}
}

// TestParseLog: without words, everything is logged, of clients their networks.
func TestParseLog(t *testing.T) {
	for written, want := range map[string]edge.Log{
		"log":                   {On: true, Sample: 1, ClientV4: 24, ClientV6: 48},
		"log sample 9":          {On: true, Sample: 9, ClientV4: 24, ClientV6: 48},
		"log client-prefix 0 0": {On: true, Sample: 1},
		"log /sample sample 2":  {On: true, File: "/sample", Sample: 2, ClientV4: 24, ClientV6: 48},
	} {
		cfg, _, err := parse(t, block(written))
		if err != nil || cfg.Log != want {
			t.Errorf("%s: got %+v, %v; want %+v", written, cfg.Log, err, want)
		}
	}
}

// TestParseLeavesTheRest: the gate has directives behind the block.
func TestParseLeavesTheRest(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, "r.snap"), "")
	d := caddyfile.NewDispenser("Gatefile", strings.NewReader(block("ttl 5")+"\nupstream 192.0.2.1"))
	d.Next()
	if _, err := edge.Parse(&d, root); err != nil {
		t.Fatal(err)
	}
	if !d.Next() || d.Val() != "upstream" {
		t.Errorf("got %q behind the block; want upstream", d.Val())
	}
}

func FuzzParse(f *testing.F) {
	f.Add(block("ttl 5"))
	f.Add(block("exempt *.example.org until 2027-06-30 authority"))
	f.Add("icp {\n registry x {\n }\n }")
	f.Add("icp \"a\nb\" {")
	f.Fuzz(func(t *testing.T, s string) {
		parseIn(t.TempDir(), s) // must not panic, nor run for ever
	})
}

func FuzzParseExemptions(f *testing.F) {
	f.Add("example.com\n*.example.org until 2027-06-30 # comment\n")
	f.Fuzz(func(t *testing.T, s string) {
		edge.ParseExemptions("f", strings.NewReader(s))
	})
}
