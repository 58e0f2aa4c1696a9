package authz_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/icpgate/icpgate/gate/authz"
	"github.com/icpgate/icpgate/gate/sniff"
	"github.com/icpgate/icpgate/registry"
)

// read reads the question of a request for a path with some lines of fields.
func read(t testing.TB, path, lines string, told bool) authz.Question {
	t.Helper()
	b := []byte("GET " + path + " HTTP/1.1\r\n" + strings.ReplaceAll(lines, "\n", "\r\n") + "\r\n\r\n")
	r := sniff.ReadRequest(b, 0, sniff.Limits{})
	if r.Kind == sniff.More || r.Kind == sniff.Malformed {
		t.Fatalf("%q: %s %s", b, r.Kind, r.Cause)
	}
	p, rest, ok := authz.PresetOf(r.Path.Of(b))
	if !ok {
		t.Fatalf("%s is no preset", path)
	}
	return p.Read(&r, b, rest, authz.NewNames(), told)
}

func TestPresetHost(t *testing.T) {
	const f, u = "filed.example", "unfiled.example"
	for _, tt := range []struct {
		name, path, lines string
		host              string
		cause             sniff.Cause
	}{
		{"nginx", "/auth/nginx", "Host: icp\nX-Forwarded-Host: " + f, f, sniff.NoCause},
		{"nginx with a query", "/auth/nginx?a=b", "Host: icp\nX-Forwarded-Host: " + f, f, sniff.NoCause},
		{"forward", "/auth/forward", "Host: icp\nX-Forwarded-Host: " + f, f, sniff.NoCause},
		{"envoy", "/auth/envoy", "Host: " + f, f, sniff.NoCause},
		{"envoy with a path", "/auth/envoy/a/b?c", "Host: " + f + ":8443", f, sniff.NoCause},
		{"the case of letters", "/auth/forward", "Host: icp\nx-forwarded-HOST: WWW.Filed.Example", "www." + f, sniff.NoCause},
		{"port and dot", "/auth/forward", "Host: icp\nX-Forwarded-Host: " + f + ".:443", f, sniff.NoCause},
		{"address", "/auth/forward", "Host: icp\nX-Forwarded-Host: 192.0.2.1:80", "192.0.2.1", sniff.NoCause},
		{"IPv6", "/auth/nginx", "Host: icp\nX-Forwarded-Host: [2001:db8::1]", "2001:db8::1", sniff.NoCause},
		{"envoy, IPv6", "/auth/envoy/", "Host: [2001:db8::1]:80", "2001:db8::1", sniff.NoCause},
		{"empty", "/auth/forward", "Host: icp\nX-Forwarded-Host:", "", sniff.NoCause},
		{"envoy, empty", "/auth/envoy/", "Host:", "", sniff.NoCause},
		{"nginx tells the raw host too", "/auth/nginx", "Host: icp\nX-Forwarded-Host: " + f + "\nX-Original-Host: FILED.example:80", f, sniff.NoCause},
		{"envoy, forwarded host agrees", "/auth/envoy/", "Host: " + f + "\nX-Forwarded-Host: " + f, f, sniff.NoCause},

		{"none", "/auth/nginx", "Host: " + f, "", sniff.BadHost},
		{"none, forward", "/auth/forward", "Host: " + f + "\nX-Original-Host: " + f, "", sniff.BadHost},
		{"twice", "/auth/forward", "Host: icp\nX-Forwarded-Host: " + f + "\nX-Forwarded-Host: " + u, "", sniff.BadHost},
		{"twice the same", "/auth/forward", "Host: icp\nX-Forwarded-Host: " + f + "\nX-forwarded-host: " + f, "", sniff.BadHost},
		{"three times", "/auth/forward", "Host: icp" + strings.Repeat("\nX-Forwarded-Host: "+f, 3), "", sniff.BadHost},
		{"list", "/auth/forward", "Host: icp\nX-Forwarded-Host: " + f + ", " + u, "", sniff.BadHost},
		{"list without blanks", "/auth/nginx", "Host: icp\nX-Forwarded-Host: " + f + "," + u, "", sniff.BadHost},
		{"user", "/auth/nginx", "Host: icp\nX-Forwarded-Host: " + f + ":80@" + u, "", sniff.BadHost},
		{"two ports", "/auth/nginx", "Host: icp\nX-Forwarded-Host: " + f + ":80:" + u, "", sniff.BadHost},
		{"path", "/auth/nginx", "Host: icp\nX-Forwarded-Host: " + f + "/" + u, "", sniff.BadHost},
		{"percent", "/auth/nginx", "Host: icp\nX-Forwarded-Host: www%2e" + f, "", sniff.BadHost},
		{"quotes", "/auth/nginx", "Host: icp\nX-Forwarded-Host: \"" + f + "\"", "", sniff.BadHost},
		{"dots", "/auth/nginx", "Host: icp\nX-Forwarded-Host: " + f + "..", "", sniff.BadHost},
		{"UTF-8", "/auth/nginx", "Host: icp\nX-Forwarded-Host: 例子.example", "", sniff.BadHost},
		{"the raw host differs", "/auth/nginx", "Host: icp\nX-Forwarded-Host: " + f + "\nX-Original-Host: " + u, "", sniff.HostDiffers},
		{"the raw host is longer", "/auth/nginx", "Host: icp\nX-Forwarded-Host: " + f + "\nX-Original-Host: " + f + ":80@" + u, "", sniff.BadHost},
		{"the raw host is empty", "/auth/nginx", "Host: icp\nX-Forwarded-Host: " + f + "\nX-Original-Host:", "", sniff.HostDiffers},
		{"the raw host twice", "/auth/nginx", "Host: icp\nX-Forwarded-Host: " + f + strings.Repeat("\nX-Original-Host: "+f, 2), "", sniff.BadHost},
		{"envoy, another one was forwarded", "/auth/envoy/", "Host: " + f + "\nX-Forwarded-Host: " + u, "", sniff.HostDiffers},
		{"envoy, two were forwarded", "/auth/envoy/", "Host: " + f + "\nX-Forwarded-Host: " + f + ", " + f, "", sniff.BadHost},
	} {
		t.Run(tt.name, func(t *testing.T) {
			q := read(t, tt.path, tt.lines, false)
			if got := q.Host.String(); got != tt.host || q.Cause != tt.cause {
				t.Errorf("host %q, cause %q; want %q, %q", got, q.Cause, tt.host, tt.cause)
			}
		})
	}
}

// TestPresetEnvoyWithoutHost: HTTP/1.0 has requests without Host.
func TestPresetEnvoyWithoutHost(t *testing.T) {
	b := []byte("GET /auth/envoy/ HTTP/1.0\r\n\r\n")
	r := sniff.ReadRequest(b, 0, sniff.Limits{})
	p, rest, _ := authz.PresetOf(r.Path.Of(b))
	if q := p.Read(&r, b, rest, authz.NewNames(), false); q.Cause != sniff.BadHost {
		t.Errorf("%+v; want %s", q, sniff.BadHost)
	}
}

func TestPresetOf(t *testing.T) {
	const none authz.Preset = 255
	for path, want := range map[string]authz.Preset{
		"/auth/nginx": authz.Nginx, "/auth/nginx?x": authz.Nginx, "/auth/forward": authz.Forward, "/auth/envoy": authz.Envoy, "/auth/envoy/": authz.Envoy,
		"/auth/envoy/auth/nginx": authz.Envoy, "/auth/envoy?": authz.Envoy,
		"/auth/nginx/": none, "/auth/nginxx": none, "/auth/forward/x": none, "/auth/envoyx": none, "/auth": none, "/": none, "": none, "/AUTH/nginx": none, "//auth/nginx": none,
	} {
		got, _, ok := authz.PresetOf([]byte(path))
		if !ok {
			got = none
		}
		if got != want {
			t.Errorf("%q: %d; want %d", path, got, want)
		}
	}
}

func TestPresetClient(t *testing.T) {
	for _, tt := range []struct{ name, path, lines, want string }{
		{"nginx", "/auth/nginx", "X-Real-IP: 203.0.113.7\nX-Forwarded-For: 198.51.100.1", "203.0.113.7"},
		{"nginx without it", "/auth/nginx", "X-Forwarded-For: 198.51.100.1", "198.51.100.1"},
		{"nginx, twice", "/auth/nginx", "X-Real-IP: 203.0.113.7\nX-Real-IP: 203.0.113.8\nX-Forwarded-For: 198.51.100.1", ""},
		{"forward takes the last", "/auth/forward", "X-Forwarded-For: 192.0.2.1,198.51.100.1, 203.0.113.7", "203.0.113.7"},
		{"of the last line", "/auth/forward", "X-Forwarded-For: 192.0.2.1\nX-Forwarded-For: 203.0.113.7", "203.0.113.7"},
		{"forward does not know X-Real-IP", "/auth/forward", "X-Real-IP: 203.0.113.7", ""},
		{"envoy", "/auth/envoy", "X-Forwarded-For: 2001:db8::7", "2001:db8::7"},
		{"port", "/auth/forward", "X-Forwarded-For: 203.0.113.7:1234", "203.0.113.7"},
		{"IPv6 and port", "/auth/forward", "X-Forwarded-For: [2001:db8::7]:1234", "2001:db8::7"},
		{"mapped", "/auth/forward", "X-Forwarded-For: ::ffff:203.0.113.7", "203.0.113.7"},
		{"none", "/auth/forward", "", ""},
		{"unknown", "/auth/forward", "X-Forwarded-For: 192.0.2.1, unknown", ""},
		{"empty at the end", "/auth/forward", "X-Forwarded-For: 192.0.2.1,", ""},
		{"zone", "/auth/forward", "X-Forwarded-For: fe80::1%eth0", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			lines := "Host: filed.example\nX-Forwarded-Host: filed.example"
			if tt.lines != "" {
				lines += "\n" + tt.lines
			}
			q, want := read(t, tt.path, lines, false), netip.Addr{}
			if tt.want != "" {
				want = netip.MustParseAddr(tt.want)
			}
			if q.Client != want || q.Cause != sniff.NoCause {
				t.Errorf("client %s, cause %q; want %s", q.Client, q.Cause, want)
			}
		})
	}
}

func TestPresetAddr(t *testing.T) {
	for _, tt := range []struct {
		lines string
		told  bool
		want  string
		cause sniff.Cause
	}{
		{"X-ICP-Addr: 203.0.113.10", true, "203.0.113.10", sniff.NoCause},
		{"X-ICP-Addr: [2001:db8::1]:443", true, "2001:db8::1", sniff.NoCause},
		{"X-ICP-Addr: 203.0.113.10", false, "invalid IP", sniff.NoCause},
		{"X-Other: 203.0.113.10", true, "invalid IP", sniff.NoCause},
		{"X-ICP-Addr: 203.0.113.10, 203.0.113.11", true, "invalid IP", sniff.BadAddress},
		{"X-ICP-Addr: 203.0.113.10\nX-ICP-Addr: 203.0.113.10", true, "invalid IP", sniff.BadAddress},
		{"X-ICP-Addr:", true, "invalid IP", sniff.BadAddress},
		{"X-ICP-Addr: www.example.com", true, "invalid IP", sniff.BadAddress},
		{"X-ICP-Addr: 203.0.113.10, x", false, "invalid IP", sniff.NoCause},
	} {
		q := read(t, "/auth/forward", "Host: icp\nX-Forwarded-Host: filed.example\n"+tt.lines, tt.told)
		if q.Addr.String() != tt.want || q.Cause != tt.cause {
			t.Errorf("%s, told %v: %s, %q; want %s, %q", tt.lines, tt.told, q.Addr, q.Cause, tt.want, tt.cause)
		}
	}
}

func TestPresetChannelAndPath(t *testing.T) {
	for _, tt := range []struct {
		path, lines string
		channel     registry.Channel
		acme        bool
	}{
		{"/auth/nginx", "X-Forwarded-Proto: https\nX-Original-URI: /.well-known/acme-challenge/x", registry.ChannelHTTPS, true},
		{"/auth/forward", "X-Forwarded-Proto: WSS\nX-Forwarded-Uri: /.well-known/acme-challenge/x", registry.ChannelHTTPS, true},
		{"/auth/envoy/.well-known/acme-challenge/x", "X-Forwarded-Proto: http", registry.ChannelHTTP, true},
		{"/auth/envoy", "X-Forwarded-Uri: /.well-known/acme-challenge/x", registry.ChannelHTTP, false},
		{"/auth/forward", "X-Original-URI: /.well-known/acme-challenge/x", registry.ChannelHTTP, false},
	} {
		q := read(t, tt.path, "Host: filed.example\nX-Forwarded-Host: filed.example\n"+tt.lines, false)
		if q.Channel != tt.channel || q.Host.ACME != tt.acme {
			t.Errorf("%s %q: %s, ACME %v; want %s, %v", tt.path, tt.lines, q.Channel, q.Host.ACME, tt.channel, tt.acme)
		}
	}
}

func TestParseAddrAsNetip(t *testing.T) {
	for _, s := range []string{
		"1.2.3.4", "0.0.0.0", "255.255.255.255", "256.1.1.1", "01.2.3.4", "1.2.3", "1.2.3.4.", "1.2.3.4.5", "1..3.4", ".1.2.3", "1.2.3.4 ", "1.2.3.0004",
		"", "1", "::1", "2001:db8::1", "1.2.3.4/32", "0x1.2.3.4", "1.2.3.00", "999.1.1.1", "+1.2.3.4",
	} {
		want, _ := netip.ParseAddr(s)
		if got := authz.ParseAddr([]byte(s)); got != want {
			t.Errorf("%q: %s; want %s", s, got, want)
		}
	}
}

func TestPresetAllocatesNothing(t *testing.T) {
	b := []byte("GET /auth/forward HTTP/1.1\r\nHost: icp\r\nX-Forwarded-Host: www.filed.example\r\nX-Forwarded-For: 203.0.113.7\r\n\r\n")
	names := authz.NewNames()
	if n := testing.AllocsPerRun(100, func() {
		r := sniff.ReadRequest(b, 0, sniff.Limits{})
		p, rest, _ := authz.PresetOf(r.Path.Of(b))
		if q := p.Read(&r, b, rest, names, true); q.Host.Kind() != registry.NameHost {
			t.Fatal("not read")
		}
	}); n != 0 {
		t.Errorf("%v allocations; want none", n)
	}
}
