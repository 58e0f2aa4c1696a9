package gate_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/icpgate/icpgate/gate"
	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/edge"
)

// writeFile makes a file in dir and returns its path.
func writeFile(t testing.TB, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// writePair makes a certificate for example.com with its key.
func writePair(t testing.TB, dir, name string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "example.com"}, DNSNames: []string{"example.com"},
		NotBefore: time.Unix(1_700_000_000, 0), NotAfter: time.Unix(4_000_000_000, 0),
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	pk, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, dir, name+".crt", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	writeFile(t, dir, name+".key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pk})))
}

// confDir is a directory with the files that a test's configuration may name.
func confDir(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"r.snap", "page.html"} {
		writeFile(t, dir, name, "")
	}
	writePair(t, dir, "a")
	writePair(t, dir, "b")
	return dir
}

func parseConf(dir, text string) (gate.Config, error) {
	return gate.Parse(filepath.Join(dir, "gate.conf"), strings.NewReader(text))
}

const icp = "icp {\nregistry r.snap\n}\n"

// site is a server block that lacks nothing, with lines added.
func site(keys, lines string) string {
	return keys + " {\n" + icp + "upstream 192.0.2.1:8080\nserves mainland\n" + lines + "\n}\n"
}

func TestParseEveryDirective(t *testing.T) {
	dir := confDir(t)
	in := func(name string) string { return filepath.Join(dir, name) }
	got, err := parseConf(dir, `
# the first line is empty
http://:80 tls://[2001:db8::1]:443,
mixed://192.0.2.7:8443 http://unix:run/x.sock {
	icp {
		registry r.snap
		provider aliyun
	}
	upstream 192.0.2.1:8080 [2001:db8::2]:80 proxy-protocol v2 check 5s
	upstream unix:up.sock tls backend.example.com
	serves 203.0.113.10 2001:db8::10 product ecs
	proxy-protocol require 198.51.100.0/24 2001:db8::5
	tls a.crt a.key
	tls b.crt b.key
	block page status 451 template page.html
	notice provider "Example Cloud" contact "400-000-0000, 9-17"
	notice contact-url https://help.example.com/icp contact-mail icp@example.com
	notice filing https://beian.example.com/ access https://beian.example.com/access blocked-by https://www.example.com/
	limits connections 1000 per-client 50
	limits prefix 24 56 head 16k body-rate 1024
	timeouts head 3s idle 30s
	timeouts dial 1s drain 10s
	established close 20s
	upgrade off
	h2c on
	ech refuse
	forwarded replace
	log gate.log sample 100 client-prefix 24 48
}`)
	if err != nil {
		t.Fatal(err)
	}
	want := gate.Server{
		At: in("gate.conf") + ":3",
		Listeners: []gate.Listener{
			{gate.HTTP, "tcp", ":80", netip.MustParseAddrPort("[::]:80")},
			{gate.TLS, "tcp", "[2001:db8::1]:443", netip.MustParseAddrPort("[2001:db8::1]:443")},
			{gate.Mixed, "tcp", "192.0.2.7:8443", netip.MustParseAddrPort("192.0.2.7:8443")},
			{gate.HTTP, "unix", in("run/x.sock"), netip.AddrPort{}},
		},
		ICP: edge.Config{Registry: in("r.snap"), Provider: "aliyun"},
		Upstreams: []gate.Upstream{
			{Network: "tcp", Address: "192.0.2.1:8080", ProxyProtocol: 2, Check: 5 * time.Second},
			{Network: "tcp", Address: "[2001:db8::2]:80", ProxyProtocol: 2, Check: 5 * time.Second},
			{Network: "unix", Address: in("up.sock"), TLS: true, TLSName: "backend.example.com"},
		},
		Serves: gate.Serves{
			Addrs:   []netip.Addr{netip.MustParseAddr("203.0.113.10"), netip.MustParseAddr("2001:db8::10")},
			Product: registry.ECS,
		},
		ProxyFrom:    []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("2001:db8::5/128")},
		Certificates: []gate.Certificate{{in("a.crt"), in("a.key"), false}, {in("b.crt"), in("b.key"), false}},
		Block:        gate.Block{Action: gate.BlockPage, Status: 451, Template: in("page.html")},
		Says: gate.NoticeConfig{
			Provider: "Example Cloud", BlockedBy: "https://www.example.com/",
			Contact:   gate.NoticeContact{Text: "400-000-0000, 9-17", URL: "https://help.example.com/icp", Mail: "icp@example.com"},
			FilingURL: "https://beian.example.com/", AccessURL: "https://beian.example.com/access",
		},
		Limits:      gate.Limits{Connections: 1000, PerClient: 50, PrefixV4: 24, PrefixV6: 56, Head: 16384, BodyRate: 1024},
		Timeouts:    gate.Timeouts{Head: 3 * time.Second, Idle: 30 * time.Second, Dial: time.Second, Drain: 10 * time.Second},
		Established: gate.Established{After: 20 * time.Second},
		UpgradeOff:  true, H2C: true, ECHRefuse: true, Forwarded: gate.ForwardedReplace,
		Log: gate.Log{On: true, File: in("gate.log"), Sample: 100, PrefixV4: 24, PrefixV6: 48},
	}
	if len(got.Servers) != 1 || !reflect.DeepEqual(got.Servers[0], want) {
		t.Errorf("got\n%+v\nwant\n%+v", got.Servers, want)
	}
}

// TestParseDefaults: what the least configuration says is the zero value.
func TestParseDefaults(t *testing.T) {
	dir := confDir(t)
	got, err := parseConf(dir, site("tls://", ""))
	if err != nil {
		t.Fatal(err)
	}
	want := gate.Server{
		At:        filepath.Join(dir, "gate.conf") + ":1",
		Listeners: []gate.Listener{{gate.TLS, "tcp", ":443", netip.MustParseAddrPort("[::]:443")}},
		ICP:       edge.Config{Registry: filepath.Join(dir, "r.snap")},
		Upstreams: []gate.Upstream{{Network: "tcp", Address: "192.0.2.1:8080"}},
		Serves:    gate.Serves{Mainland: true},
	}
	if !reflect.DeepEqual(got.Servers[0], want) {
		t.Errorf("got\n%+v\nwant\n%+v", got.Servers[0], want)
	}
	l := gate.Limits{BodyRate: -1}.WithDefaults()
	if l.BodyRate != 0 || l.Connections != gate.DefaultConnections || l.Head != gate.DefaultHead || l.PerClient != 0 {
		t.Errorf("limits with defaults: %+v", l)
	}
	if d := (gate.Timeouts{Idle: time.Second}).WithDefaults(); d.Idle != time.Second || d.Head != gate.DefaultHeadTimeout {
		t.Errorf("timeouts with defaults: %+v", d)
	}
}

// TestParseListeners pairs keys with what they are written as again.
func TestParseListeners(t *testing.T) {
	dir := confDir(t)
	for key, want := range map[string]string{
		"http://": "http://:80", "http://:0": "http://:0", "http://192.0.2.1": "http://192.0.2.1:80",
		"tls://[2001:db8::1]": "tls://[2001:db8::1]:443", "tls://[::]:443": "tls://[::]:443",
		"quic://": "quic://:443", "quic://[2001:db8::1]:8443": "quic://[2001:db8::1]:8443",
		"mixed://0.0.0.0:99": "mixed://0.0.0.0:99", "http://unix:/run/x.sock": "http://unix:/run/x.sock",
	} {
		cfg, err := parseConf(dir, site(key, ""))
		if err != nil {
			t.Errorf("%s: %v", key, err)
		} else if got := cfg.Servers[0].Listeners[0].String(); got != want {
			t.Errorf("%s: got %s; want %s", key, got, want)
		}
	}
}

// TestParseBlocksSideBySide: several blocks, import and the environment.
func TestParseBlocksSideBySide(t *testing.T) {
	dir := confDir(t)
	writeFile(t, dir, "common", icp+"serves mainland\n")
	t.Setenv("GATE_PORT", "8081")
	t.Setenv("GATE_UP", "192.0.2.9:80")
	cfg, err := parseConf(dir, "(up) {\nupstream {$GATE_UP}\n}\nhttp://:{$GATE_PORT} {\nimport common\nimport up\n}\n"+
		"http://:8082 {\nimport common\nupstream {%GATE_UP%}\n}\n")
	if err != nil {
		t.Fatal(err)
	}
	if len(cfg.Servers) != 2 {
		t.Fatalf("%d servers; want 2", len(cfg.Servers))
	}
	for i, want := range []string{":8081", ":8082"} {
		s := cfg.Servers[i]
		if s.Listeners[0].Address != want || s.Upstreams[0].Address != "192.0.2.9:80" || s.ICP.Registry != filepath.Join(dir, "r.snap") {
			t.Errorf("server %d: %+v", i, s)
		}
	}
	if want := filepath.Join(dir, "gate.conf") + ":8"; cfg.Servers[1].At != want {
		t.Errorf("second block at %s; want %s", cfg.Servers[1].At, want)
	}
}

func TestLoad(t *testing.T) {
	dir := confDir(t)
	cfg, err := gate.Load(writeFile(t, dir, "gate.conf", site("http://:80", "")))
	if err != nil || len(cfg.Servers) != 1 {
		t.Errorf("got %+v, %v; want one server", cfg, err)
	}
	if _, err := gate.Load(filepath.Join(dir, "none")); err == nil || !strings.Contains(err.Error(), "none") {
		t.Errorf("missing file: %v; want an error that names it", err)
	}
}

// TestParseAccepts: what is near to an error and none.
func TestParseAccepts(t *testing.T) {
	dir := confDir(t)
	for _, text := range []string{
		site("http://:80 tls://:443", "block alert"),
		site("quic://:443", "block alert"),
		site("quic://:443", "block drop\nech refuse\nlimits initials 50 prefix 24 56"),
		site("http://:443 quic://:443", "block page"),
		site("tls://:443 quic://:443", "block close\ntls a.crt a.key page"),
		"quic://192.0.2.1:443 {\n" + icp + "upstream web-1.example.com:443 192.0.2.9:443 check 5s\n}",
		site("http://:80 tls://:443", "block redirect https://notice.example.com/a?b=c"),
		site("tls://:443", "block page\ntls a.crt a.key page"),
		site("tls://:443", "tls a.crt a.key page"),
		site("tls://:443", "block rst"),
		site("tls://:443", "ech pass\nh2c off"),
		site("mixed://:443", "h2c on\nupgrade websocket"),
		site("http://:80", "limits body-rate off\nlog\nestablished keep"),
		site("http://:80", "upstream web-1.example.com:80 [2001:db8::1]:80\nforwarded off"),
		site("http://:80", "") + site("http://:81", ""),
		site("http://192.0.2.1:80", "") + site("http://192.0.2.2:80", ""),
		"http://192.0.2.1:80 {\n" + icp + "upstream 192.0.2.9:80\n}",
		"http://:80 {\n" + icp + "upstream 192.0.2.9:80\nproxy-protocol require 198.51.100.7\n}",
		"http://:80 {\n" + icp + "upstream 192.0.2.9:80 tls\nserves mainland\n}",
		"tls://:443 {\n" + icp + "upstream 192.0.2.9:80 tls example.com\ntls a.crt a.key\nserves mainland\n}",
		"spoe://127.0.0.1:9000 spoe://unix:spoe.sock {\n" + icp + "serves asked mainland product cdn\npeers 127.0.0.1 192.0.2.0/24\nblock redirect https://notice.example.com/\ntimeouts idle 1h head 1s\n}",
		"spoe://unix:spoe.sock {\n" + icp + "serves asked\nsocket 0666\n}",
		"http://unix:web.sock {\n" + icp + "upstream 192.0.2.9:80\nserves mainland\nsocket 660 0\n}",
		"grpc://:9001 grpc://unix:envoy.sock {\n" + icp + "serves asked mainland\npeers 127.0.0.1\nreflection on\nblock page status 451\n}",
	} {
		if _, err := parseConf(dir, text); err != nil {
			t.Errorf("%s\ngot %v; want none", text, err)
		}
	}
}

// TestParseRefuses: every error names the place and what would be legal.
func TestParseRefuses(t *testing.T) {
	dir := confDir(t)
	for _, tc := range []struct {
		name, text string
		want       []string
	}{
		{"empty", "", []string{":1", "http://:80"}},
		{"no block", "http://:80", []string{":1", "no icp"}},
		{"no scheme", site(":80", ""), []string{":1", `":80"`, "http://"}},
		{"quic on unix", site("quic://unix:/x", ""), []string{":1", "UDP", "quic://:443"}},
		{"quic twice", site("quic://:443", "") + site("quic://192.0.2.1:443", ""), []string{":9", "192.0.2.1:443", "quic://:443", ":1"}},
		{"quic unix upstream", site("quic://:443", "upstream unix:/x"), []string{":5", "unix:/x", "UDP", "HOST:PORT"}},
		{"quic upstream tls", site("quic://:443", "upstream 192.0.2.2:443 tls"), []string{"unopened", "block of its own"}},
		{"quic upstream proxy-protocol", site("quic://:443", "upstream 192.0.2.2:443 proxy-protocol v2"), []string{"PROXY header", "block of its own"}},
		{"quic proxy-protocol", site("quic://:443", "proxy-protocol require 192.0.2.0/24"), []string{":7", "PROXY header", "block of its own"}},
		{"quic original-dst", site("quic://:443", "original-dst redirect 192.0.2.0/24"), []string{":7", "not told", "serves and upstream"}},
		{"quic tls", site("quic://:443 tls://:443", "tls a.crt a.key"), []string{":7", "page"}},
		{"quic tls alone", site("quic://:443", "tls a.crt a.key page"), []string{":7", "no effect"}},
		{"quic forwarded", site("quic://:443", "forwarded add"), []string{"no effect"}},
		{"quic h2c", site("quic://:443", "h2c on"), []string{"no effect"}},
		{"quic block rst", site("quic://:443", "block rst"), []string{":7", "close or drop"}},
		{"quic block page", site("quic://:443", "block page"), []string{":7", "certificate"}},
		{"quic serves", "quic://:443 {\n" + icp + "upstream 192.0.2.1:443\n}", []string{"quic://:443", "serves ADDR"}},
		{"initials", site("http://:80", "limits initials 5"), []string{":7", "no effect", "quic://"}},
		{"initials none", site("quic://:443", "limits initials 0"), []string{`"0"`, "1 to 1000000"}},
		{"auth with an upstream", site("auth://127.0.0.1:80", ""), []string{":5", "upstream", "auth://127.0.0.1:80 passes nothing on"}},
		{"auth that nobody may ask", "auth://127.0.0.1:80 {\n" + icp + "serves mainland\n}\n", []string{"auth://127.0.0.1:80", "peers CIDR..."}},
		{"auth without an address to judge at", "auth://unix:a.sock {\n" + icp + "}\n", []string{"serves ADDR...", "serves asked"}},
		{"auth that does not answer", "auth://unix:a.sock {\n" + icp + "serves mainland\nblock fin\n}\n", []string{"block fin", "block page or redirect"}},
		{"auth beside tls", "tls://:443 auth://unix:a.sock {\n" + icp + "serves mainland\nupstream 192.0.2.1:80\n}\n", []string{"tls://:443", "auth://unix:", "a block for each"}},
		{"grpc with an upstream", site("grpc://:1", ""), []string{"upstream", "grpc://:1 passes nothing on"}},
		{"socket without one", site("http://:1", "socket 0660"), []string{"socket", "no listener is a unix socket"}},
		{"socket without a mode", site("http://unix:a", "socket"), []string{"socket", "MODE [GROUP]"}},
		{"socket with another mode", site("http://unix:a", "socket 0680"), []string{`"0680"`, "0660"}},
		{"socket for nobody", site("http://unix:a", "socket 0"), []string{`"0"`, "0660"}},
		{"socket that nobody may write to", site("http://unix:a", "socket 0444"), []string{`"0444"`, "0660"}},
		{"socket with setuid", site("http://unix:a", "socket 4755"), []string{`"4755"`, "0660"}},
		{"socket of nobody's group", site("http://unix:a", "socket 0660 no-such-group"), []string{`"no-such-group"`, "name or number"}},
		{"reflection without grpc", site("http://:1", "reflection on"), []string{"reflection", "grpc://"}},
		{"reflection with a wrong word", "grpc://:1 {\n" + icp + "serves mainland\npeers 127.0.0.1\nreflection yes\n}\n", []string{"reflection", "off or on"}},
		{"spoe with an upstream", site("spoe://:1", ""), []string{"upstream", "spoe://:1 passes nothing on"}},
		{"spoe without a port", site("spoe://127.0.0.1", ""), []string{"no port"}},
		{"spoe beside http", "spoe://:1 http://:2 {\n" + icp + "serves mainland\npeers 127.0.0.1\n}\n", []string{"spoe://:1", "http://:2", "a block for each"}},
		{"spoe that nobody may ask", "spoe://:1 {\n" + icp + "serves mainland\n}\n", []string{"peers CIDR..."}},
		{"spoe without an address to judge at", "spoe://:1 {\n" + icp + "peers 127.0.0.1\n}\n", []string{"serves ADDR...", "serves asked"}},
		{"spoe that does not answer", "spoe://:1 {\n" + icp + "serves mainland\npeers 127.0.0.1\nblock rst\n}\n", []string{"block page or redirect"}},
		{"spoe with a time to dial", "spoe://:1 {\n" + icp + "serves mainland\npeers 127.0.0.1\ntimeouts dial 1s\n}\n", []string{"timeouts dial", "passes nothing on"}},
		{"scheme", site("ftp://:21", ""), []string{`"ftp"`, "http://"}},
		{"port", site("http://:80800", ""), []string{`"80800"`, "65535"}},
		{"no port", site("mixed://", ""), []string{"no port"}},
		{"host", site("http://example.com:80", ""), []string{`"example.com"`, "IP"}},
		{"bare IPv6", site("http://::1:80", ""), []string{`"::1"`}},
		{"unix", site("http://unix:", ""), []string{"path"}},
		{"long unix", site("http://unix:/"+strings.Repeat("x", 107), ""), []string{"107"}},
		{"conflict in a block", site("http://:80 tls://:80", ""), []string{":1", "tls://:80", "http://:80"}},
		{"conflict", site("http://:80", "") + site("tls://192.0.2.1:80", ""), []string{":9", "192.0.2.1:80", "http://:80", ":1"}},
		{"conflict IPv6", site("http://[::1]:80", "") + site("http://:80", ""), []string{":9"}},
		{"conflict unix", site("http://unix:/a", "") + site("tls://unix:/a", ""), []string{":9", "unix:/a"}},
		{"no icp", "http://:80 {\nupstream 192.0.2.1:80\nserves mainland\n}", []string{":1", "icp {"}},
		{"two icp", site("http://:80", icp), []string{":7", "icp", ":2"}},
		{"bad icp", "http://:80 {\nicp {\nregistry r.snap\nbloc nodata\n}\n}", []string{":4", `"bloc"`, "block"}},
		{"unknown", site("http://:80", "upstreams 192.0.2.1:80"), []string{":7", `"upstreams"`, "upstream", "serves", "log"}},
		{"peers", site("http://:80", "peers 192.0.2.0/24"), []string{":7", "peers", "auth://"}},
		{"a block", site("http://:80", "serves mainland {\n x\n}"), []string{":7", "serves"}},
		{"block", site("http://:80", "h2c on {\n x\n}"), []string{":7", "takes no block"}},
		{"twice", site("http://:80", "serves mainland"), []string{":7", "serves", ":6"}},

		{"no upstream", "http://:80 {\n" + icp + "serves mainland\n}", []string{":1", "upstream HOST:PORT"}},
		{"upstream empty", site("http://:80", "upstream"), []string{":7", "HOST:PORT"}},
		{"upstream without port", site("http://:80", "upstream 192.0.2.1"), []string{`"192.0.2.1"`, "HOST:PORT"}},
		{"upstream port", site("http://:80", "upstream 192.0.2.1:0"), []string{`"0"`, "1 to 65535"}},
		{"upstream host", site("http://:80", "upstream 192.0.2.256:80"), []string{`"192.0.2.256"`}},
		{"upstream unspecified", site("http://:80", "upstream 0.0.0.0:80"), []string{`"0.0.0.0"`}},
		{"upstream twice", site("http://:80", "upstream 192.0.2.1:8080"), []string{":7", "192.0.2.1:8080", ":5"}},
		{"upstream option", site("http://:80", "upstream 192.0.2.2:80 check 5s weight 3"), []string{`"weight"`, "check INTERVAL"}},
		{"upstream check", site("http://:80", "upstream 192.0.2.2:80 check 5"), []string{`"5"`, "duration"}},
		{"upstream proxy", site("http://:80", "upstream 192.0.2.2:80 proxy-protocol v3"), []string{`"v3"`, "v1 or v2"}},
		{"upstream tls name", site("http://:80", "upstream 192.0.2.2:80 tls a/b"), []string{`"a/b"`}},
		{"upstream tls on unix", site("http://:80", "upstream unix:/x tls"), []string{"tls NAME"}},
		{"upstream tls in tls", site("tls://:443", "upstream 192.0.2.2:80 tls"), []string{"passed through", "tls CERT KEY"}},

		{"serves missing", "http://:80 {\n" + icp + "upstream 192.0.2.1:80\n}", []string{":1", "serves ADDR", "serves mainland", "original-dst"}},
		{"serves missing, loopback", "http://127.0.0.1:80 {\n" + icp + "upstream 192.0.2.1:80\n}", []string{"serves ADDR"}},
		{"serves missing, private", "http://10.0.0.1:80 {\n" + icp + "upstream 192.0.2.1:80\n}", []string{"serves ADDR"}},
		{"serves missing, unix", "http://192.0.2.1:80 http://unix:/x {\n" + icp + "upstream 192.0.2.1:80\n}", []string{"unix:/x", "serves ADDR"}},
		{"serves empty", "http://:80 {\n" + icp + "serves\n}", []string{":5", "ADDR...|mainland"}},
		{"serves private", "http://:80 {\n" + icp + "serves 192.168.0.1\n}", []string{":5", `"192.168.0.1"`, "not public"}},
		{"serves cgnat", "http://:80 {\n" + icp + "serves 100.64.0.1\n}", []string{"not public"}},
		{"serves word", "http://:80 {\n" + icp + "serves overseas\n}", []string{`"overseas"`, "mainland"}},
		{"serves both", "http://:80 {\n" + icp + "serves mainland 192.0.2.1\n}", []string{`"192.0.2.1"`, "alone"}},
		{"serves product", "http://:80 {\n" + icp + "serves mainland product blimp\n}", []string{`"blimp"`, "ecs"}},
		{"serves no product", "http://:80 {\n" + icp + "serves mainland product\n}", []string{"product"}},
		{"serves same", "http://:80 {\n" + icp + "serves 192.0.2.1 192.0.2.1\n}", []string{"twice"}},

		{"proxy-protocol", site("http://:80", "proxy-protocol use 192.0.2.0/24"), []string{`"use"`, "require"}},
		{"proxy-protocol nobody", site("http://:80", "proxy-protocol require"), []string{"CIDR"}},
		{"proxy-protocol network", site("http://:80", "proxy-protocol require 192.0.2.1/24"), []string{"192.0.2.0/24"}},
		{"proxy-protocol same", site("http://:80", "proxy-protocol require 192.0.2.0/24 192.0.2.0/24"), []string{"twice"}},

		{"tls one", site("tls://:443", "tls a.crt"), []string{"CERT KEY"}},
		{"tls missing", site("tls://:443", "tls c.crt a.key"), []string{"c.crt", "does not exist"}},
		{"tls directory", site("tls://:443", "tls . a.key"), []string{"directory"}},
		{"tls other key", site("tls://:443", "tls a.crt b.key"), []string{"a.crt", "b.key", "belongs to it"}},
		{"tls no PEM", site("tls://:443", "tls page.html a.key"), []string{"page.html", "PEM"}},
		{"tls twice", site("tls://:443", "tls a.crt a.key\ntls a.crt a.key"), []string{":8", "a.crt", ":7"}},
		{"tls word", site("tls://:443", "tls a.crt a.key pages"), []string{`"pages"`, "page"}},
		{"tls both ways", site("tls://:443", "tls a.crt a.key page\ntls b.crt b.key"), []string{":8", "page"}},
		{"tls on http", site("http://:80", "tls a.crt a.key"), []string{":7", "no effect", "tls://"}},
		{"ech on http", site("http://:80", "ech refuse"), []string{"no effect"}},
		{"upgrade on tls", site("tls://:443", "upgrade websocket"), []string{"no effect"}},
		{"forwarded on tls", site("tls://:443", "forwarded add"), []string{"no effect"}},
		{"body-rate on tls", site("tls://:443", "limits body-rate 5"), []string{":7", "no effect"}},
		{"h2c on tls", site("tls://:443", "h2c on"), []string{"no effect"}},

		{"block empty", site("http://:80", "block"), []string{"page|redirect"}},
		{"block word", site("http://:80", "block nodata"), []string{`"nodata"`, "page, redirect, alert, rst, fin, close or drop"}},
		{"block drop", site("http://:80", "block drop"), []string{"quic://", "page"}},
		{"block close", site("http://:80", "block close"), []string{"quic://"}},
		{"block page on tls", site("tls://:443", "block page"), []string{":7", "tls CERT KEY"}},
		{"block redirect on tls", site("tls://:443", "block redirect https://example.com/"), []string{"certificate"}},
		{"block alert on http", site("http://:80", "block alert"), []string{"alert", "page"}},
		{"block rst with page's certificate", site("tls://:443", "block rst\ntls a.crt a.key page"), []string{"certificate"}},
		{"block redirect", site("http://:80", "block redirect"), []string{"https://"}},
		{"block redirect URL", site("http://:80", "block redirect /notice"), []string{`"/notice"`, "absolute"}},
		{"block redirect script", site("http://:80", "block redirect javascript://x/"), []string{"http or https"}},
		{"status without page", site("http://:80", "block rst status 451"), []string{"status", "page only"}},
		{"status", site("http://:80", "block page status 404"), []string{`"404"`, "403 or 451"}},
		{"status sign", site("http://:80", "block page status +403"), []string{`"+403"`}},
		{"status twice", site("http://:80", "block page status 403 status 451"), []string{"twice"}},
		{"template", site("http://:80", "block page template none.html"), []string{"none.html"}},
		{"template without", site("http://:80", "block page template"), []string{"template FILE"}},
		{"block rest", site("http://:80", "block page 451"), []string{`"451"`, "status 403|451"}},

		{"notice", site("http://:80", "notice"), []string{":7", "[provider NAME]"}},
		{"notice word", site("http://:80", "notice name x"), []string{`"name"`, "provider, contact"}},
		{"notice twice", site("http://:80", "notice provider A\nnotice provider B"), []string{":8", "notice provider", ":7"}},
		{"notice empty", site("http://:80", `notice provider ""`), []string{"provider is empty"}},
		{"notice line", site("http://:80", "notice contact \"a\nb\""), []string{"contact", "one line"}},
		{"notice mail", site("http://:80", "notice contact-mail icp"), []string{`"icp"`, "icp@example.com"}},
		{"notice URL", site("http://:80", "notice filing javascript:alert(1)"), []string{"filing", "https://"}},
		{"notice unseen", site("tls://:443", "notice provider A"), []string{":7", "no effect", "tls CERT KEY"}},
		{"notice with rst", site("http://:80", "block rst\nnotice provider A"), []string{":8", "no effect", "block rst"}},
		{"notice blocked-by", site("http://:80", "notice blocked-by https://example.com/"), []string{":7", "status 451"}},

		{"limits", site("http://:80", "limits"), []string{"connections N"}},
		{"limits word", site("http://:80", "limits conns 5"), []string{`"conns"`, "connections, per-client"}},
		{"limits value", site("http://:80", "limits connections 0"), []string{`"0"`, "from 1"}},
		{"limits no value", site("http://:80", "limits connections"), []string{"lacks a value"}},
		{"limits twice", site("http://:80", "limits head 4k\nlimits head 8k"), []string{":8", "limits head", ":7"}},
		{"limits head", site("http://:80", "limits head 1m"), []string{`"1m"`, "65536"}},
		{"limits prefix", site("http://:80", "limits per-client 4 prefix 33 64"), []string{`"33"`, "32"}},
		{"limits prefix alone", site("http://:80", "limits prefix 24 56"), []string{"per-client"}},
		{"limits per-client", site("http://:80", "limits connections 5 per-client 6"), []string{"more than"}},
		{"timeouts", site("http://:80", "timeouts head 5"), []string{`"5"`, "5s"}},
		{"timeouts zero", site("http://:80", "timeouts idle 0s"), []string{`"0s"`, "from 1ms"}},
		{"established", site("http://:80", "established"), []string{"close D|keep"}},
		{"established word", site("http://:80", "established drop"), []string{`"drop"`, "close or keep"}},
		{"upgrade", site("http://:80", "upgrade h2c"), []string{`"h2c"`, "websocket or off"}},
		{"upgrade both", site("http://:80", "upgrade websocket off"), []string{`"off"`, "alone"}},
		{"h2c", site("http://:80", "h2c yes"), []string{`"yes"`, "off or on"}},
		{"ech", site("tls://:443", "ech"), []string{"pass or refuse"}},
		{"forwarded", site("http://:80", "forwarded keep"), []string{`"keep"`, "add, replace or off"}},
		{"log", site("http://:80", "log a.log b.log"), []string{`"b.log"`, "sample"}},
		{"log sample", site("http://:80", "log sample 0"), []string{`"0"`}},
		{"import", site("http://:80", "import nothing"), []string{":7", "nothing"}},
		{"brace", "http://:80 {\n" + icp, []string{"gate.conf:"}},
	} {
		_, err := parseConf(dir, tc.text)
		if err == nil {
			t.Errorf("%s: got none; want an error\n%s", tc.name, tc.text)
			continue
		}
		for _, want := range append(tc.want, "gate.conf:") {
			if !names(err, want) {
				t.Errorf("%s: got %q; want it to name %q", tc.name, err, want)
			}
		}
	}
}

var isLine = regexp.MustCompile(`^:\d+$`)

// names reports whether an error holds a text, or where it is ":N", that line of
// the configuration and no longer number.
func names(err error, want string) bool {
	if !isLine.MatchString(want) {
		return strings.Contains(err.Error(), want)
	}
	return regexp.MustCompile(`gate\.conf` + want + `\b`).MatchString(err.Error())
}

// FuzzParse: no input panics, and every error names a line. What imports other
// files is left out: a fuzzer would have it read devices.
func FuzzParse(f *testing.F) {
	dir := confDir(f)
	for _, lines := range []string{
		"", "block page status 451", "limits connections 5 prefix 24 56", "upstream unix:/x tls a check 1s proxy-protocol v1",
		"log x sample 3", "timeouts head 1s", "original-dst redirect 192.0.2.0/24", "block redirect http://a/", "tls a.crt a.key",
	} {
		f.Add(site("http://:80", lines))
		f.Add(site("tls://:443, mixed://[::1]:1", lines))
	}
	f.Add("http://:80\nicp { \n}")
	f.Add("{")
	f.Add("\"")
	place := regexp.MustCompile(`gate\.conf:\d+`)
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "import") || strings.Contains(text, "{$") || strings.Contains(text, "{%") {
			t.Skip()
		}
		cfg, err := parseConf(dir, text)
		switch {
		case err != nil && !place.MatchString(err.Error()):
			t.Errorf("error %q names no line", err)
		case err == nil && len(cfg.Servers) == 0:
			t.Error("no error and no server")
		case err == nil:
			for _, s := range cfg.Servers {
				if len(s.Listeners) == 0 || s.ICP.Registry == "" || s.At == "" {
					t.Errorf("incomplete server %+v", s)
				}
				for _, l := range s.Listeners {
					_ = fmt.Sprint(l)
				}
			}
		}
	})
}

// TestParseOriginalDst: where the system tells it, upstream and serves may be
// left out.
func TestParseOriginalDst(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells original destinations")
	}
	dir := confDir(t)
	cfg, err := parseConf(dir, "tls://:15443 {\n"+icp+"original-dst tproxy 203.0.113.0/24 2001:db8::/32\n}")
	want := gate.OriginalDst{Mode: gate.TProxy, Within: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("2001:db8::/32")}}
	if err != nil || !reflect.DeepEqual(cfg.Servers[0].OriginalDst, want) {
		t.Errorf("got %+v, %v; want %+v", cfg, err, want)
	}
	for line, part := range map[string]string{
		"original-dst":                          "redirect|tproxy",
		"original-dst nat 192.0.2.0/24":         "redirect or tproxy",
		"original-dst redirect":                 "open proxy",
		"original-dst redirect 0.0.0.0/0":       "open proxy",
		"original-dst redirect 192.0.2.1/24":    "192.0.2.0/24",
		"original-dst redirect 2001:db8::/32 x": `"x"`,
	} {
		if _, err := parseConf(dir, site("tls://:443", line)); err == nil || !names(err, ":7") || !names(err, part) {
			t.Errorf("%s: got %v; want an error at line 7 with %q", line, err, part)
		}
	}
	if _, err := parseConf(dir, site("http://unix:/x", "original-dst redirect 192.0.2.0/24")); err == nil || !names(err, "unix:/x") {
		t.Errorf("on a unix socket: %v", err)
	}
}
